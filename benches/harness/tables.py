"""Results as Markdown for people and as JSON for programs."""

import datetime
import json
import os
import platform
from statistics import median

from . import machine
from .processes import RESULTS

# The bare side does a part of what the server does. A server that is faster was not compared with it.
POSSIBLE = 1.1

HEADINGS = {"sqlite": "SQLite", "mariadb": "MariaDB"}


def table(head, rows):
    """Markdown, padded, so that it can be read as it is; numbers to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells):
        padded = [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))]
        return f"| {' | '.join(padded)} |"

    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), line(ruler), *map(line, rows)])


def rate(results):
    return median(result["rate"] for result in results)


def ratio(ours, others):
    """The median of the rounds' ratios: what slows the machine down for a while slows both of a round."""
    return median(one["rate"] / other["rate"] for one, other in zip(ours, others))


def number(value):
    """Three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def milliseconds(results, percentile):
    return f"{median(result[percentile] for result in results) / 1000:.2f}"


def verdict(value, aim):
    """The aim, and what is to be said of the ratio: nothing when it is reached."""
    if value > POSSIBLE:
        return "DOUBTFUL"
    if aim is None:
        return ""
    return f"{aim:.2f}" + ("" if value >= aim else " missed")


def comparison(cases, server, bare):
    """The table of one database."""
    rows, beside = [], []
    for case in cases:
        ours, others = case.results[server], case.results[bare]
        value = ratio(ours, others)
        latencies = [milliseconds(each, p) for each in (ours, others) for p in ("p50", "p99")]
        rows.append(
            [case.title, number(rate(ours)), number(rate(others)), f"{value:.2f}", verdict(value, case.aim), *latencies]
        )
        for who in case.contenders:
            if who in (server, bare):
                continue
            results = case.results[who]
            if who == case.second:
                value = ratio(ours, results)
                beside.append([case.title, who, number(rate(results)), f"{value:.2f}", verdict(value, case.second_aim)])
            else:
                # The same server in another way: as itself against the bare one.
                value = ratio(results, others)
                beside.append([f"{who}: {case.title}", bare, number(rate(others)), f"{value:.2f}", ""])
    head = ["what", "inkpot/s", "bare/s", "ratio", "aim", "p50 ms", "p99 ms", "bare p50", "bare p99"]
    text = table(head, rows)
    if warning := machine.warning([share for case in cases for share in case.others]):
        text = f"{warning}\n\n{text}"
    if beside:
        text += "\n\n" + table(["what", "against", "its rate/s", "ratio", "aim"], beside)
    return text


def conditions(arguments):
    """One line: when, on what, how."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    how = ", ".join(f"{name} {value}" for name, value in sorted(vars(arguments).items()))
    return f"{now}; {os.cpu_count()} processors, {platform.machine()}; {how}"


def write(name, title, arguments, sections, raw):
    """Writes NAME.md and NAME.json; returns the Markdown. `sections` are (heading, text)."""
    parts = [f"# {title}", conditions(arguments)]
    for heading, text in sections:
        parts += [f"## {heading}", text]
    text = "\n\n".join(parts) + "\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    document = {"arguments": vars(arguments), "conditions": conditions(arguments), "results": raw}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return text
