"""Runs wrk, and asks a server once before, so that the right thing is measured."""

import http.client
import json
import shutil
import subprocess

from .processes import ROOT, Trouble

THREADS = 2
CONNECTIONS = 32
PATIENCE = 60  # seconds; logins queue


def wrk(address, path, script, seconds, headers=(), arguments=(), connections=CONNECTIONS, least=1):
    """Returns wrk's result. Raises Trouble upon any answer from 400 on, any error of a socket, and fewer than `least` answers."""
    program = shutil.which("wrk")
    if not program:
        raise Trouble("there is no wrk; tests/install-deps bench")
    command = [program, f"--threads={min(THREADS, connections)}", f"--connections={connections}"]
    command += [f"--duration={seconds}s", f"--timeout={PATIENCE}s", f"--script=benches/wrk/{script}.lua"]
    command += [f"--header={name}: {value}" for name, value in headers]
    command += [f"http://{address}{path}", "--", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if done.returncode != 0 or not line:
        raise Trouble(f"wrk failed with {done.returncode}: {done.stdout[-500:]}")
    result = json.loads(line.removeprefix("RESULT "))
    if result["status"] or result["socket"] or result["requests"] < least:
        raise Trouble(f"{path} at {address}: not what was asked for: {result}")
    return result


def once(address, method, path, headers=(), body=None):
    """One request. Returns (status, headers, body)."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def same_answer(real, bare, path, headers, status):
    """Raises Trouble unless both servers give that status and the same answer to a GET."""
    answers = [once(address, "GET", path, headers) for address in (real, bare)]
    kept = ("Content-Type", "ETag", "Cache-Control", "Vary", "Content-Encoding")
    seen = [(answer[0], [answer[1].get(name) for name in kept], answer[2]) for answer in answers]
    if seen[0][0] != status or seen[0] != seen[1]:
        heads = [(answer[0], answer[1], len(answer[2])) for answer in seen]
        raise Trouble(f"GET {path} {headers}: the servers differ, or do not answer {status}: {heads}")


def post_json(address, path, document, status, headers=()):
    """Posts and returns the answer's JSON."""
    headers = [("Content-Type", "application/json"), *headers]
    got, _, answer = once(address, "POST", path, headers, json.dumps(document).encode())
    if got != status:
        raise Trouble(f"POST {path}: {got} {answer[:300]!r}")
    return json.loads(answer)
