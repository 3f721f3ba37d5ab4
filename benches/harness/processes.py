"""The programs of a measurement. Each lives within a `with` block and does not outlive it."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
INKPOT = TARGET / "release" / "inkpot"
RESULTS = TARGET / "bench"

TOKEN_SECONDS = 21600  # longer than any run
POOL = 10  # the server's default, and the bare transactions' too


class Trouble(Exception):
    """The measurement cannot go on, or would not be one."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def build():
    """Builds both programs; returns the peer's path. In this order: cargo builds the server beside the peer with the
    features that development asks of libraries, and what is measured is the server as it is shipped."""
    cargo = os.environ.get("CARGO", "cargo")
    common = [cargo, "build", "--release", "--locked"]
    built = subprocess.run(
        [*common, "--bench", "peer", "--message-format=json-render-diagnostics"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    subprocess.run(common, cwd=ROOT, check=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "peer":
            return Path(message["executable"])
    raise Trouble("cargo does not say where the peer is")


def clean_environment():
    """Without the caller's settings, which are not for what is measured."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("INKPOT_") and name not in ("DATABASE_URL", "REDIS_URL")
    }


@contextlib.contextmanager
def serving(command, **options):
    """A program that says where it listens. Yields its process, with its `host:port` as `address`."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", **options)
    try:
        prefix = "listening on http://"
        address = next((line[len(prefix) :].strip() for line in process.stdout if line.startswith(prefix)), None)
        if not address:
            raise Trouble(f"{command[0]} did not start (exit code {process.wait()})")
        process.address = address
        yield process
    finally:
        # Before it is waited for: a program whose output is read by nobody may wait itself.
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def inkpot(database, directory, log, level="info", extra=None):
    """The server as it is shipped, with `level` as INKPOT_LOG, its log in the file `log`, and `extra` settings. Yields its process."""
    settings = {
        "DATABASE_URL": database,
        "INKPOT_LISTEN": "127.0.0.1:0",
        "INKPOT_DATA_DIR": str(directory / "data"),
        "INKPOT_JWT_SECRET": secret_of(directory),
        "INKPOT_RATE_LIMITS": "off",
        "INKPOT_TOKEN_TTL": str(TOKEN_SECONDS),
        "INKPOT_DB_POOL": str(POOL),
        "INKPOT_LOG": level,
    }
    with log.open("ab") as errors, serving([INKPOT], stderr=errors, env={**clean_environment(), **settings, **(extra or {})}) as server:
        yield server


def secret_of(directory):
    """One secret for all servers of a database."""
    file = directory / "secret"
    if not file.exists():
        file.write_text(secrets.token_hex(32))
    return file.read_text()


@contextlib.contextmanager
def mariadb():
    """A private server with the memory of a real one. Yields its URL, to which the name of a database is added."""
    environment = {**os.environ, "MYSQLD": os.environ.get("MYSQLD", str(ROOT / "benches" / "roomy-mariadbd"))}
    script = ROOT / "tests" / "private-mariadb"
    server = subprocess.Popen(
        [script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    )
    try:
        url = server.stdout.readline().strip()
        if not url:
            raise Trouble("no MariaDB")
        yield url
    finally:
        # The end of its input stops it. Killed, it could not wait for the database server's end.
        server.stdin.close()
        server.wait(60)
        server.stdout.close()


@contextlib.contextmanager
def redis():
    """A private server. Yields its URL."""
    script = ROOT / "tests" / "private-redis"
    server = subprocess.Popen([script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        server.stdin.write("start\n")
        server.stdin.flush()
        port = server.stdout.readline().strip()
        if not port.isdigit():
            raise Trouble("no Redis")
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.stdin.close()
        server.wait(60)
        server.stdout.close()


class Peer:
    """Runs the peer in its roles that end."""

    def __init__(self, program):
        self.program = program

    def run(self, *arguments, lines=None):
        """Returns what it prints as JSON, if anything."""
        done = subprocess.run(
            [self.program, *map(str, arguments)],
            input=None if lines is None else "\n".join(lines) + "\n",
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        if done.returncode != 0:
            raise Trouble(f"peer {arguments[0]} failed with {done.returncode}")
        return json.loads(done.stdout) if done.stdout.strip() else None


def end_by_signals():
    """So that what was started is stopped: the blocks end as after any exception."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
