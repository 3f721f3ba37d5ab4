"""Many users who are online at one server: the memory of a socket, and how soon all know of a newcomer."""

from statistics import median

from . import databases, machine, tables
from .processes import inkpot, say, secret_of

NAME = "sockets"

SOCKETS = 5000
KIB_AIM = 16
NEWCOMER_AIM = 500  # milliseconds, p99


def measure(peer, chosen):
    """Returns the raw results, of a server of its own each round: what it had once it keeps."""
    say("sockets")
    others, results = [], []
    for _ in range(chosen.rounds):
        others.append(machine.others())
        with databases.directory() as place:
            database = f"sqlite:{place}/sockets.db"
            with inkpot(database, place, place / "log", "warn") as server:
                results.append(
                    peer.run(
                        "sockets", database, server.address,
                        "--pid", server.pid, "--secret", secret_of(place), "--sockets", SOCKETS,
                    )
                )  # fmt: skip
    others.append(machine.others())
    return {"results": results, "others": others}


def section(raw):
    """Its table."""
    results = raw["results"]

    def over(*path):
        def reach(result):
            for name in path:
                result = result[name]
            return result

        return median(reach(result) for result in results)

    kib, p99 = over("kib"), over("newcomer", "p99") / 1000
    rows = [
        [f"memory of a socket of {SOCKETS:,}", f"{kib:.1f} KiB", f"{KIB_AIM} KiB" + ("" if kib <= KIB_AIM else " missed")],
        ["a newcomer is known to all, p50", f"{over('newcomer', 'p50') / 1000:.0f} ms", ""],
        ["p99", f"{p99:.0f} ms", f"{NEWCOMER_AIM} ms" + ("" if p99 <= NEWCOMER_AIM else " missed")],
        ["worst", f"{over('newcomer', 'worst') / 1000:.0f} ms", ""],
        ["a thousand have left, known to all", f"{over('crowd', 'gone') * 1000:.0f} ms", ""],
        ["a thousand have come back, known to all", f"{over('crowd', 'back') * 1000:.0f} ms", ""],
    ]
    text = tables.table(["what", "figure", "aim"], rows)
    warning = machine.warning(raw["others"])
    return f"{warning}\n\n{text}" if warning else text
