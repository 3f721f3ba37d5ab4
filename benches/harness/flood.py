"""What a flood of logins does to readers: the p99 of a post that is kept, before the flood and in it."""

import contextlib
import json
import threading
import time
from statistics import median

from . import databases, machine, tables
from .cases import ACCOUNT
from .load import post_json, wrk
from .processes import inkpot, say

NAME = "flood"

LOGINS = 64  # connections
SECONDS = 5
AIM = 3.0  # times the calm p99
# A second until the queue of logins is full.
BEGINNING = 1

WAYS = {
    "steady": "400 reads a second",
    "busy": "as many reads as go",
}


def measure(peer, chosen):
    """Returns the raw results, calm and in the flood in turn."""
    say("flood")
    results, others = {way: {"calm": [], "flood": []} for way in WAYS}, []
    logins = []
    with databases.directory() as place:
        database = f"sqlite:{place}/flood.db"
        with inkpot(database, place, place / "log", "warn") as server:
            user = {"email": ACCOUNT["account"], "name": "Ann", "password": ACCOUNT["password"]}
            token = post_json(server.address, "/user/reg", user, 201)["token"]
            headers = [("Authorization", f"Bearer {token}")]
            post = post_json(server.address, "/post", {"title": "x", "content": "word " * 500}, 201, headers)["post_id"]
            body = place / "login.json"
            body.write_text(json.dumps(ACCOUNT))
            path = f"/post/{post}"
            read = {
                "steady": lambda: peer.run("pace", server.address, path, "--seconds", SECONDS),
                "busy": lambda: wrk(server.address, path, "fixed", SECONDS),
            }
            for one in read.values():
                one()
            for _ in range(chosen.rounds):
                for way, one in read.items():
                    others.append(machine.others())
                    results[way]["calm"].append(one())
                    with flood(server.address, body) as flooded:
                        results[way]["flood"].append(one())
                    logins.append(flooded[0])
                    results[way]["flood"][-1]["logins"] = flooded[0]
    return {"results": results, "others": others}


@contextlib.contextmanager
def flood(address, body):
    """Logins by so many connections around the block. Yields a list that has their number a second when it ends."""
    counted = []

    def run():
        result = wrk(address, "/user/login", "post", SECONDS + 2 * BEGINNING, (), [body], LOGINS)
        counted.append(result["requests"] / result["seconds"])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        time.sleep(BEGINNING)
        yield counted
    finally:
        thread.join()


def section(raw):
    """Its table."""
    rows = []
    for way, title in WAYS.items():
        calm, flooded = (raw["results"][way][which] for which in ("calm", "flood"))
        times = median(one["p99"] / other["p99"] for one, other in zip(flooded, calm))
        rate = [f"{median(one['requests'] / one['seconds'] for one in each):,.0f}" for each in (calm, flooded)]
        p99 = [f"{median(one['p99'] for one in each) / 1000:.2f}" for each in (calm, flooded)]
        logins = f"{median(one['logins'] for one in flooded):.1f}"
        aim = f"{AIM:.0f}" + ("" if times <= AIM else " missed")
        rows.append([title, *rate, *p99, f"{times:.1f}", aim, logins])
    head = ["kept reads beside 64 logins", "calm/s", "flood/s", "calm p99 ms", "flood p99 ms", "times", "aim", "logins/s"]
    text = tables.table(head, rows)
    warning = machine.warning(raw["others"])
    return f"{warning}\n\n{text}" if warning else text
