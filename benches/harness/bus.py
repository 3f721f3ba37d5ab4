"""How soon one process knows what happened in another: on MariaDB, with Redis and without."""

import base64
import contextlib
import http.client
import json
import os
import socket
import time
from statistics import median

from . import databases, machine, tables
from .processes import inkpot, mariadb, redis, say

NAME = "bus"

TIMES = 50
TYPICAL_AIM, WORST_AIM = 100, 1000  # milliseconds
PATIENCE = 10  # seconds
PASSWORD = "correct horse battery staple"
# Between two measurements: longer than changes are gathered.
APART = 0.6


class Client:
    """Calls one process over one connection."""

    def __init__(self, server):
        self.address = server.address
        self.connection = http.client.HTTPConnection(server.address, timeout=PATIENCE)

    def call(self, method, path, token=None, body=None):
        """The status and the answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def done(self, *arguments):
        """The answer, which must be no refusal."""
        status, answer = self.call(*arguments)
        if status >= 300:
            raise OSError(f"{arguments[:2]}: {status} {answer[:300]}")
        return json.loads(answer) if answer else None

    def ready(self):
        """Waits until the process hears all others."""
        wait(lambda: json.loads(self.call("GET", "/readyz")[1]).get("status") == "ok")

    def login(self, account):
        body = {"account": account, "password": PASSWORD}
        return self.done("POST", "/user/login", None, body)["token"]


class Stream:
    """A WebSocket (RFC 6455) that is listened to: a server's frames are not masked, and these are short."""

    def __init__(self, client, token):
        host, port = client.address.rsplit(":", 1)
        self.connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.connection.sendall(
            f"GET /user/online HTTP/1.1\r\nHost: {client.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        self.rest = b""
        self.until(b"\r\n\r\n")
        self.until(b'"snapshot"')

    def until(self, text):
        """Reads until it has come, and gives the moment."""
        while text not in self.rest:
            got = self.connection.recv(65536)
            if not got:
                raise OSError(f"the stream ended before {text}")
            self.rest += got
        self.rest = self.rest.split(text, 1)[1]
        return time.perf_counter()

    def live(self):
        """Says that somebody is there, as an answer to a ping would: a pong, masked by zeros."""
        self.connection.sendall(b"\x8a\x80\0\0\0\0")

    def close(self):
        self.connection.close()


def wait(is_so):
    """Asks again and again; gives the moment at which it was so."""
    end = time.perf_counter() + PATIENCE
    while not is_so():
        if time.perf_counter() > end:
            raise OSError("it never came")
    return time.perf_counter()


def measure(peer, chosen):
    """Returns the raw results, milliseconds each, of two new processes each round."""
    say("bus")
    others, results = [], {}
    with mariadb() as server:
        for number in range(chosen.rounds):
            for way in ("redis", "database"):
                others.append(machine.others())
                database = databases.new_database(peer, server, f"inkpot_bus_{number}_{way}")
                for what, delays in one_round(database, way).items():
                    results.setdefault(way, {}).setdefault(what, []).append(delays)
    others.append(machine.others())
    return {"results": results, "others": others}


def one_round(database, way):
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(databases.directory())
        extra = {"REDIS_URL": stack.enter_context(redis())} if way == "redis" else {}
        here, there = (
            Client(stack.enter_context(inkpot(database, place, place / f"{name}.log", "warn", extra)))
            for name in ("here", "there")
        )
        here.ready(), there.ready()
        tokens = []
        for name in ("ann", "ben"):
            body = {"email": f"{name}@example.org", "name": name, "password": PASSWORD}
            tokens.append(here.done("POST", "/user/reg", None, body)["token"])
        results = {"post": posts(here, there, tokens[0]), "session": sessions(here, there)}
        if way == "redis":
            results["newcomer"] = newcomers(here, there, tokens)
        return results


def posts(here, there, token):
    """From the answer to a change until the other process shows it."""
    post = here.done("POST", "/post", token, {"title": "0", "content": "x"})["post_id"]
    delays = []
    for n in range(1, TIMES + 1):
        # Kept there.
        there.done("GET", f"/post/{post}")
        here.done("PATCH", f"/post/{post}", token, {"title": f"title {n}"})
        begun = time.perf_counter()
        seen = wait(lambda: f'"title {n}"'.encode() in there.call("GET", f"/post/{post}")[1])
        delays.append(1000 * (seen - begun))
    return delays


def sessions(here, there):
    """From the answer to a logout until the other process refuses the token."""
    delays = []
    for _ in range(TIMES):
        token = here.login("ann@example.org")
        there.done("GET", "/user/me", token)
        here.done("POST", "/user/logout", token, {})
        begun = time.perf_counter()
        delays.append(1000 * (wait(lambda: there.call("GET", "/user/me", token)[0] == 401) - begun))
    return delays


def newcomers(here, there, tokens):
    """From the opening of a socket until one of the other process has the frame."""
    listener = Stream(there, tokens[0])
    delays = []
    for _ in range(TIMES):
        time.sleep(APART)
        listener.live()
        begun = time.perf_counter()
        newcomer = Stream(here, tokens[1])
        delays.append(1000 * (listener.until(b'"name":"ben"') - begun))
        newcomer.close()
        listener.until(b'"offline":[2]')
    return delays


WHAT = {
    "post": "a changed post is shown",
    "session": "an ended session is refused",
    "newcomer": "a newcomer is told",
}


def section(raw):
    """Its table."""
    rows = []
    for way, title in (("redis", "with Redis"), ("database", "without")):
        for what, rounds in raw["results"][way].items():
            typical, worst = median(median(delays) for delays in rounds), max(max(delays) for delays in rounds)
            aims = ("", "")
            if way == "redis":
                aims = tuple(
                    f"{aim} ms" + ("" if value <= aim else " missed")
                    for value, aim in ((typical, TYPICAL_AIM), (worst, WORST_AIM))
                )
            rows.append([f"{WHAT[what]}, {title}, p50", f"{typical:.1f} ms", aims[0]])
            rows.append(["worst", f"{worst:.1f} ms", aims[1]])
    text = tables.table(["in another process", "figure", "aim"], rows)
    warning = machine.warning(raw["others"])
    return f"{warning}\n\n{text}" if warning else text
