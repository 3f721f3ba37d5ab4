"""What else the machine is doing. Others' programs do not slow both sides alike: who sleeps at every commit queues for a
processor behind them at each waking, so a busy machine gives ratios that mean nothing."""

import time

SAMPLE = 0.5  # seconds
QUIET = 0.10  # of the processors' time that others may use


def others():
    """The share of the processors' time, 0 to 1, that is used while nothing of ours is asked for anything."""
    busy, total = times()
    time.sleep(SAMPLE)
    busy_after, total_after = times()
    return (busy_after - busy) / max(1, total_after - total)


def times():
    """(busy, all) of all processors since the machine's start, in the kernel's ticks."""
    with open("/proc/stat", encoding="utf-8") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]  # waiting for the disk is idle too
    return sum(fields) - idle, sum(fields)


def warning(shares):
    """A sentence for the head of a table when the machine was not quiet, else nothing."""
    worst = max(shares, default=0)
    if worst <= QUIET:
        return ""
    busy = sum(share > QUIET for share in shares)
    return (
        f"**Not to be relied upon**: other programs used up to {worst:.0%} of the processors "
        f"({busy} of {len(shares)} samples above {QUIET:.0%})."
    )
