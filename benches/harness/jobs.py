"""What the queue of jobs does in a second, and how long a job waits for an idle worker."""

from statistics import median

from . import machine, tables
from .processes import POOL, Trouble, say

NAME = "jobs"

WORKERS = 4
JOBS = 20_000  # that they empty the queue of, each round
WOKEN = 1000  # jobs in the worker's process, one at a time, each round
ASLEEP = 100  # jobs of another process; each waits half a second, so once

RATE_AIM = 1000  # jobs a second
DELAY_AIM = 20  # milliseconds, the median in the worker's process


def measure(peer, database, rounds):
    """Returns the raw results. The database is the jobs' alone: what is done stays in it, as with a server."""
    say("  jobs")
    others, drained, woken = [], [], []
    for _ in range(rounds):
        others.append(machine.others())
        result = peer.run("drain", database, "--jobs", JOBS, "--workers", WORKERS, "--pool", POOL)
        result["rate"] = result["jobs"] / result["seconds"]
        drained.append(result)
        woken.append(delays(peer, database, WOKEN))
    others.append(machine.others())
    asleep = [delays(peer, database, ASLEEP, "--asleep")]
    return {"drained": drained, "woken": woken, "asleep": asleep, "others": others}


def delays(peer, database, times, *how):
    result = peer.run("delay", database, "--times", times, "--pool", POOL, *how)
    if result["times"] != times or not result["p50"] <= result["p99"] <= result["worst"]:
        raise Trouble(f"these are no delays of {times} jobs: {result}")
    return result


def section(results):
    """The table of one database."""
    drained = results["drained"]
    rate = median(result["rate"] for result in drained)
    units = median(result["units"] / result["jobs"] * 1000 for result in drained)
    rows = [
        [f"jobs a second, {WORKERS} workers", tables.number(rate), f"{RATE_AIM:,}" + ("" if rate >= RATE_AIM else " missed")],
        ["units of work for 1,000 of them", f"{units:.0f}", ""],
    ]
    for who, title in (("woken", "the same process"), ("asleep", "another process")):
        for name in ("p50", "p99", "worst"):
            value = median(result[name] for result in results[who]) / 1000
            aim = ""
            if (who, name) == ("woken", "p50"):
                aim = f"{DELAY_AIM} ms" + ("" if value < DELAY_AIM else " missed")
            rows.append([f"commit to begin, {title}, {name}", f"{value:,.2f} ms", aim])
    text = tables.table(["what", "figure", "aim"], rows)
    warning = machine.warning(results["others"])
    return f"{warning}\n\n{text}" if warning else text
