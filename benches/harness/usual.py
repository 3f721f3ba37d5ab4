"""What users would run, beside what they would pick instead: the server on both databases, and two small ones that do the same
over the same tables in the usual way (`benches/peer/usual.rs`, `benches/fastify`)."""

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from statistics import median

from . import databases, machine, tables
from .cases import ACCOUNT, LOGIN_LENGTH, LOGINS, PUBLISHERS
from .load import CONNECTIONS, once, post_json, wrk
from .processes import POOL, ROOT, Trouble, inkpot, mariadb, say, serving

NAME = "usual"

ON_MARIADB, ON_SQLITE, USUAL, FASTIFY = "MariaDB", "SQLite", "usual", "Fastify"

# The memory for answers is a tenth of the posts; of each some 3 KB.
KIB_OF_A_POST = 3
# Bytes of a post that is published.
TEXT = 1500

# Name, title, and how often the time of others.
ROWS = {
    "top": ("the list's first page", 1),
    "middle": ("the list's middle page", 1),
    "post": ("a post at random", 1),
    "pages": ("a page at random of all", 1),
    "cold": ("lists of authors and tags", 1),
    "number": ("search, one post has it", 1),
    "mix": ("90 % posts, 8 % lists, 2 % publishing", 1),
    "publish": ("publish 1.5 KB, 2 tags", 1),
    "login": ("login, cost 12, 4 clients", LOGIN_LENGTH),
}
# A page takes the usual way long: fewer at a time, or the first answer would come when all is over.
FEW = {"top": 8, "middle": 8, "pages": 8, "cold": 8}
# Until a database has done what nobody waits for any more.
PATIENCE = 60

@dataclass
class Side:
    """One server, its database, and what it did."""

    name: str
    address: str
    # Whose processor time counts.
    pids: list
    headers: list = field(default_factory=list)
    results: dict = field(default_factory=dict)

    def processor(self):
        """Seconds so far, of all its processes and their children."""
        parents = children()
        family, left = set(), list(self.pids)
        while left:
            pid = left.pop()
            family.add(pid)
            left += parents.get(pid, ())
        return sum(map(spent, family))


def stat(pid):
    """The fields of /proc/PID/stat behind the name, which may hold anything."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def spent(pid):
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children():
    """All processes by their parent."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            found.setdefault(int(stat(name)[1]), []).append(int(name))
    return found


def settle(pids):
    """Waits for MariaDB: statements whose client has gone go on to their end, and would slow the next."""
    for _ in range(PATIENCE * 4):
        before = sum(map(spent, pids))
        time.sleep(0.25)
        if sum(map(spent, pids)) - before <= 0.02:
            return
    raise Trouble("MariaDB does not come to rest")


def measure(peer, chosen):
    """The raw results by side and row; all sides in turn in each round."""
    say("usual")
    posts, others = chosen.posts, []
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(databases.directory())
        sides, daemons = start(stack, place, peer, posts)
        files = prepare(place, sides, posts)
        for number in range(chosen.rounds):
            for row, (title, length) in ROWS.items():
                others.append(machine.others())
                for side in sides:
                    if number == 0:
                        run(row, side, 1, files, posts)
                        settle(daemons)
                    before = side.processor()
                    result = run(row, side, chosen.seconds * length, files, posts)
                    result["processor"] = side.processor() - before
                    result["rate"] = result["requests"] / result["seconds"]
                    settle(daemons)
                    side.results.setdefault(row, []).append(result)
                done = ", ".join(f"{side.name} {cell(side.results[row][-1:])}" for side in sides)
                say(f"  {number + 1}: {title}: {done}")
    return {"results": {side.name: side.results for side in sides}, "others": others}


def start(stack, place, peer, posts):
    """All sides, with a MariaDB of its own for the server, as whoever else is connected makes its answers expire, and one for the
    others; and the processes of both."""
    sqlite = stack.enter_context(databases.sqlite(peer, place, posts))
    own, common = (databases.new_database(peer, stack.enter_context(mariadb()), f"inkpot_{name}") for name in ("own", "common"))
    for url in (own, common):
        databases.load(peer, url, posts)
    peer.run("usual-index", common)
    daemons = [peer.run("counters", url)["pid"] for url in (own, common)]
    memory = {"INKPOT_CACHE_MB": str(max(1, posts * KIB_OF_A_POST // 1024 // 10))}
    sides = []
    for name, database, pids in ((ON_MARIADB, own, daemons[:1]), (ON_SQLITE, sqlite, [])):
        home = place / name
        home.mkdir()
        process = stack.enter_context(inkpot(database, home, home / "log", extra=memory))
        sides.append(Side(name, process.address, [process.pid, *pids]))
    commands = {USUAL: [peer.program, "usual"], FASTIFY: fastify()}
    for name, command in commands.items():
        if not command:
            say(f"  without {name}: there is no Node.js")
            continue
        process = stack.enter_context(serving([*command, common, "--pool", str(POOL)]))
        sides.append(Side(name, process.address, [process.pid, daemons[1]]))
    return sides, daemons


def fastify():
    """The command of the peer in Node.js, installed; nothing where there is none."""
    install = ROOT / "benches" / "fastify" / "install"
    return subprocess.run([install], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout.splitlines()


def run(row, side, seconds, files, posts):
    address, headers, arguments = side.address, side.headers, [row, posts]
    if row == "login":
        result = wrk(address, "/user/login", "post", seconds, (), [files["login"]], LOGINS, least=0)
    elif row == "publish":
        result = wrk(address, "/post", "post", seconds, headers, [files["post"]], PUBLISHERS, least=0)
    elif row == "mix":
        result = wrk(address, "/", "usual", seconds, headers, [*arguments, files["post"]], least=0)
    else:
        result = wrk(address, "/", "usual", seconds, (), arguments, FEW.get(row, CONNECTIONS), least=0)
    # None in that time: one is more than there were.
    result["none"] = not result["requests"]
    result["requests"] = max(1, result["requests"])
    return result


def prepare(place, sides, posts):
    """The files that wrk sends, and a token for each side. All sides must tell the same of a post, of a page and of a search."""
    seen = [told(side, posts) for side in sides]
    if wrong := [side.name for side, one in zip(sides, seen) if one != seen[0]]:
        raise Trouble(f"{wrong} do not answer as {sides[0].name} does")
    for side in sides:
        side.headers = [("Authorization", f"Bearer {post_json(side.address, '/user/login', ACCOUNT, 200)['token']}")]
    title, text = seen[0][0]["post_title"], seen[0][0]["post_content"]
    files = {name: place / f"{name}.json" for name in ("post", "login")}
    document = {"title": title, "content": text.encode()[:TEXT].decode(errors="ignore"), "tags": ["tag-1", "tag-2"]}
    files["post"].write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    files["login"].write_text(json.dumps(ACCOUNT))
    return files


def told(side, posts):
    def get(path):
        status, _, body = once(side.address, "GET", path)
        if status != 200:
            raise Trouble(f"{side.name}: GET {path}: {status} {body[:200]}")
        return json.loads(body)

    post = get("/post/1")["post"]
    page, search = get(f"/post/?page={posts // 40}&size=20"), get(f"/post/?q={posts}&size=20")
    tagged, authored = get("/post/?tag=tag-7&size=20"), get("/post/?author=7&size=20")
    return (
        {name: post[name] for name in ("post_id", "post_title", "post_content", "author", "author_id", "tags")},
        *([one["post_id"] for one in answer["posts"]] for answer in (page, search, tagged, authored)),
        *(answer["pagination"]["count"] for answer in (page, search, tagged, authored)),
    )


def dearness(results):
    """Seconds of the processors for a thousand requests."""
    return median(1000 * result["processor"] / result["requests"] for result in results)


def cell(results):
    """Rate, and processor time."""
    less = "< " if any(result.get("none") for result in results) else ""
    return f"{less}{tables.number(tables.rate(results))} ({dearness(results):.3g})"


def section(raw):
    """Its tables: rates, and what the server is times as fast and times as cheap as the others."""
    results = raw["results"]
    names = list(results)
    rows, ratios = [], []
    for row, (title, _) in ROWS.items():
        rows.append([title, *(cell(results[name][row]) for name in names)])
        cells = [title]
        for own in (ON_MARIADB, ON_SQLITE):
            for other in names[2:]:
                faster = tables.ratio(results[own][row], results[other][row])
                cheaper = dearness(results[other][row]) / max(1e-9, dearness(results[own][row]))
                cells.append(f"{faster:.2f} ({cheaper:.1f})")
        ratios.append(cells)
    heads = [f"{own}: {other}" for own in (ON_MARIADB, ON_SQLITE) for other in names[2:]]
    text = tables.table(["requests/s (CPU s for 1,000)", *names], rows)
    text += "\n\n" + tables.table(["times as fast (as cheap)", *heads], ratios)
    warning = machine.warning(raw["others"])
    return f"{warning}\n\n{text}" if warning else text
