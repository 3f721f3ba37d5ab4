"""The dearest request of every route: what it costs the server and the database. Not compared with anything: what bounds
each is in docs/security.md."""

import http.client
import json
import os
import random
import subprocess
import time
from pathlib import Path
from statistics import median

from . import machine, tables
from .load import PATIENCE, once, post_json
from .processes import INKPOT, Trouble, clean_environment, inkpot, say, secret_of

NAME = "dearest"

LARGE = 1_048_576  # bytes of a post: the largest that is taken
LARGE_POSTS = 20  # of one author, as many as a feed has
ROWS = 100_000  # of the audit and of the queue of jobs
SESSIONS = 30  # of one account
FEW, MANY = 3, 20  # times that a request is made
PASSWORD = "quiet-harbour-41-lantern"
HAN = "中" * 349_000
MARKDOWN = "*a* `b` " * 1250  # the largest comment


class Client:
    """Somebody who calls."""

    def __init__(self, address, token=None, refresh=None, user=None, email=None):
        self.address, self.token, self.refresh, self.user, self.email = address, token, refresh, user, email
        self.connection = http.client.HTTPConnection(address, timeout=PATIENCE)

    def call(self, method, path, document=None, headers=()):
        headers = dict(headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = None
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document, ensure_ascii=False).encode()
        # The server closes what was idle for long, and some requests take others long.
        self.connection.close()
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def publish(self, content, tags=()):
        status, answer = self.call("POST", "/post/", {"title": "Dear", "content": content, "tags": list(tags)})
        if status != 201:
            raise Trouble(f"POST /post/: {status} {answer[:200]!r}")
        return json.loads(answer)["post_id"]

    def comment(self, post, content, reply_to=None):
        status, answer = self.call("POST", f"/post/{post}/comments", {"content": content, "reply_to": reply_to})
        if status != 201:
            raise Trouble(f"POST /post/{post}/comments: {status} {answer[:200]!r}")
        return json.loads(answer)["comment"]["comment_id"]


class Stage:
    """The server with what makes its requests dear."""

    def __init__(self, peer, database, place, server):
        self.address, self.database, self.place = server.address, database, place
        self.pids = {"server": server.pid, "database": database_pid()}
        self.dice = random.Random(1)
        self.people = 0
        self.anybody = Client(self.address)
        self.author = self.newcomer()
        say("    writing what is dear")
        self.han = [self.author.publish(HAN) for _ in range(3)]
        for _ in range(SESSIONS):
            post_json(self.address, "/user/login", {"account": self.author.email, "password": PASSWORD}, 200)
        self.writer = self.newcomer()
        self.large = [self.writer.publish(self.words(), [f"tag {n}" for n in range(10)]) for n in range(LARGE_POSTS)]
        self.commented = self.author.publish("Commented on")
        self.comment = self.author.comment(self.commented, MARKDOWN)
        self.author.comment(self.commented, "An answer", self.comment)
        named = {"email": "named@example.org", "name": "Dear", "username": "dear", "password": PASSWORD}
        post_json(self.address, "/user/reg", named, 201)
        self.admin = self.newcomer()
        environment = {**clean_environment(), "DATABASE_URL": database, "INKPOT_DATA_DIR": str(place / "data")}
        environment["INKPOT_JWT_SECRET"] = secret_of(place)
        subprocess.run([INKPOT, "user", "promote", self.admin.email], env=environment, check=True, stdout=subprocess.DEVNULL)
        peer_rows(database)

    def newcomer(self):
        self.people += 1
        email = f"dear-{self.people}@example.org"
        answer = post_json(self.address, "/user/reg", {"email": email, "name": "Dear", "password": PASSWORD}, 201)
        login = post_json(self.address, "/user/login", {"account": email, "password": PASSWORD}, 200)
        return Client(self.address, login["token"], login["refresh_token"], answer["userinfo"]["user_id"], email)

    def words(self):
        """As many words as a post can hold, hardly any of them twice, and no bytes that repeat."""
        words = []
        length = 0
        while length < LARGE - 16:
            word = f"{self.dice.getrandbits(40):x}"
            words.append(word)
            length += len(word) + 1
        return " ".join(words)


def database_pid():
    """Of the private server, which is a descendant of this process; nothing with SQLite."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            head, rest = (entry / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        names[int(entry.name)] = head.split("(", 1)[1]
        parents[int(entry.name)] = int(rest.split()[1])
    for pid, name in names.items():
        ancestor = pid
        while ancestor and ancestor != os.getpid():
            ancestor = parents.get(ancestor, 0)
        if ancestor and name in ("mariadbd", "mysqld"):
            return pid
    return None


def peer_rows(database):
    """Fills the audit and the queue of jobs, in SQL that both databases have."""
    statements = [
        "INSERT INTO audit (at, user_id, actor_id, action, ip, request_id, detail) SELECT a.created, a.user_id, a.user_id, "
        f"'login', '192.0.2.1', 'x', '' FROM user a CROSS JOIN user b LIMIT {ROWS}",
        "INSERT INTO job (kind, lane, state, attempts, payload, created, finished) SELECT 'sweep', 'default', 'done', 1, "
        f"'{{}}', a.created, a.created FROM user a CROSS JOIN user b LIMIT {ROWS}",
    ]
    first = "(SELECT MIN(post_id) FROM comment)"
    statements += [
        "INSERT INTO comment (post_id, author_id, content, created, updated, deleted) "
        f"SELECT {first}, a.user_id, 'Many', a.created, a.created, 0 FROM user a CROSS JOIN job b LIMIT {ROWS}",
        *(f"INSERT INTO post_stat (post_id, kind, slot, number) SELECT MIN(post_id), {kind}, 9, {ROWS} FROM comment" for kind in (0, 1)),
    ]
    if database.startswith("sqlite:"):
        import sqlite3

        with sqlite3.connect(database.removeprefix("sqlite:"), timeout=60) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return
    from urllib.parse import urlsplit

    url = urlsplit(database)
    command = ["mariadb", f"--host={url.hostname}", f"--port={url.port}", f"--user={url.username}", "--protocol=tcp"]
    environment = {**os.environ, "MYSQL_PWD": url.password or ""}
    subprocess.run([*command, url.path[1:]], input=";\n".join(statements), encoding="utf-8", env=environment, check=True)


def processor(pid):
    """Seconds of the processor that a process has used, all its threads."""
    if pid is None:
        return 0.0
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def requests(stage):
    """For each operation what its dearest request is, and how it is made again and again: (client, method, path, document,
    headers) for each time, the statuses that are right beside it."""
    anybody, author, writer, admin = stage.anybody, stage.author, stage.writer, stage.admin
    compressed = {"Accept-Encoding": "br"}
    login = {"account": author.email, "password": "x" * 1024}

    def fresh(number, make):
        return [make(stage.newcomer()) for _ in range(number)]

    def large(method, number=FEW):
        posts = [writer.publish(stage.words()) for _ in range(number)]
        return [
            (writer, method, f"/post/{post}", {"content": stage.words()} if method == "PATCH" else None, {}) for post in posts
        ]

    def same(client, method, path, document=None, headers=None, number=MANY):
        return [(client, method, path, document, headers or {})] * number

    def searches(query):
        # Each another page size, so that none is kept.
        return [(anybody, "GET", f"/post/?size={n + 1}&q={query}", None, {}) for n in range(FEW)]

    phrases = "+".join("%22" + "%E4%B8%AD" * 2 + "%22" for _ in range(32))
    tags = "".join(f"&tag=tag+{n}" for n in range(10))
    lists = f"?page={ROWS // 100}&size=100"
    register = {"name": "Dear", "password": PASSWORD + "x" * 900}
    return {
        "getKeys": ("the set", same(anybody, "GET", "/.well-known/jwks.json"), (200,)),
        "listKeys": ("", same(admin, "GET", "/keys"), (200,)),
        "getCheck": ("", same(admin, "GET", "/check"), (200,)),
        "askForCheck": ("again and again", same(admin, "POST", "/check"), (202,)),
        "listAudit": (f"the last page of {ROWS:,}", same(admin, "GET", f"/audit{lists}"), (200,)),
        "listAllComments": ("`q` that nobody wrote", same(admin, "GET", "/comment?q=zzzzzzzz&size=100"), (200,)),
        "listJobs": (f"the last page of {ROWS:,}", same(admin, "GET", f"/jobs{lists}"), (200,)),
        "listUsers": ("`q` that nobody has", same(admin, "GET", "/user?q=zzzzzzzz&size=100"), (200,)),
        "createUser": (
            "a password of 924 bytes",
            [(admin, "POST", "/user/", {**register, "email": f"made-{n}@example.org"}, {}) for n in range(FEW)],
            (201,),
        ),
        "getAccount": ("", same(admin, "GET", f"/user/{author.user}/account"), (200,)),
        "retryJob": ("one that is not there", same(admin, "POST", "/jobs/999999999/retry"), (404,)),
        "getLiveness": ("", same(anybody, "GET", "/livez"), (200,)),
        "getReadiness": ("", same(anybody, "GET", "/readyz"), (200,)),
        "getDescriptionAsJson": ("compressed", same(anybody, "GET", "/openapi.json", None, compressed), (200,)),
        "getDescriptionAsYaml": ("compressed", same(anybody, "GET", "/openapi.yaml", None, compressed), (200,)),
        "getProblem": ("", same(anybody, "GET", "/problems/not_found"), (200,)),
        "listPosts": ("`q` of 64 times 中, three posts of 349,000", searches("%E4%B8%AD" * 64), (200,)),
        "listPosts, phrases": ("`q` of 32 phrases, three posts of 349,000 times 中", searches(phrases), (200,)),
        "listPosts, a page": (
            "the last page, not kept",
            [(anybody, "GET", f"/post/?page=100000&size={n + 1}", None, {}) for n in range(MANY)],
            (200,),
        ),
        "listPosts, dates": (
            "ten tags between dates, not kept",
            [
                (anybody, "GET", f"/post/?since=2000-01-01T00:00:00Z&size={n + 1}{tags}", None, {})
                for n in range(MANY)
            ],
            (200,),
        ),
        "getArchive": ("by an author and ten tags", same(anybody, "GET", f"/post/archive?author={writer.user}{tags}", number=1), (200,)),
        "listTags": (
            "all, not kept",
            [(anybody, "GET", f"/tag/?sort=name&size={n + 1}", None, {}) for n in range(MANY)],
            (200,),
        ),
        "getNeighbours": (
            "in a list by ten tags, not kept",
            [(anybody, "GET", f"/post/{post}/around?{tags[1:]}", None, {}) for post in stage.large[:MANY]],
            (200,),
        ),
        "getAtomFeed": (
            f"{LARGE_POSTS} posts of 1 MiB, not kept",
            [(anybody, "GET", f"/feed.atom?author={writer.user}", None, compressed)],
            (200,),
        ),
        "getJsonFeed": (
            f"{LARGE_POSTS} posts of 1 MiB, not kept",
            [(anybody, "GET", f"/feed.json?author={writer.user}", None, compressed)],
            (200,),
        ),
        "getSitemap": ("a piece, not kept", [(anybody, "GET", "/sitemap.xml?piece=0", None, compressed)], (200,)),
        "getCommentsAtomFeed": (
            "not kept",
            [(anybody, "GET", f"/post/{stage.commented}/comments.atom?before={99 - n}", None, compressed) for n in range(MANY)],
            (200,),
        ),
        "getCommentsJsonFeed": (
            "not kept",
            [(anybody, "GET", f"/post/{stage.commented}/comments.json?before={99 - n}", None, compressed) for n in range(MANY)],
            (200,),
        ),
        "getPost": (
            "1 MiB, compressed, not kept",
            [(anybody, "GET", f"/post/{post}", None, compressed) for post in stage.large[:MANY]],
            (200,),
        ),
        "publish": (
            "1 MiB of words",
            [(writer, "POST", "/post/pub", {"title": "Dear", "content": stage.words()}, {}) for _ in range(FEW)],
            (201,),
        ),
        "previewPost": (
            "1 MiB of words",
            [(writer, "POST", "/post/preview", {"content": stage.words()}, {}) for _ in range(FEW)],
            (200,),
        ),
        "publishAtCollection": (
            "1 MiB of words",
            [(writer, "POST", "/post/", {"title": "Dear", "content": stage.words()}, {}) for _ in range(FEW)],
            (201,),
        ),
        "changePost": ("1 MiB of other words", large("PATCH"), (200,)),
        "deletePost": ("1 MiB of words", large("DELETE"), (204,)),
        "comment": (
            "10,000 characters of Markdown",
            [
                (author, "POST", f"/post/{stage.commented}/comments", {"content": MARKDOWN}, {})
                for _ in range(FEW)
            ],
            (201,),
        ),
        "listComments": (
            f"the last pages of {ROWS:,}, not kept",
            [(anybody, "GET", f"/post/{stage.commented}/comments?page={ROWS // (n + 50)}&size={n + 50}", None, {}) for n in range(MANY)],
            (200,),
        ),
        "like": ("", fresh(FEW, lambda user: (user, "PUT", f"/post/{stage.commented}/like", None, {})), (204,)),
        "unlike": ("", same(author, "DELETE", f"/post/{stage.commented}/like"), (204,)),
        "listLikes": (
            "a hundred posts",
            same(author, "GET", "/user/me/likes?" + "&".join(f"post={n + 1}" for n in range(100))),
            (200,),
        ),
        "follow": ("", fresh(FEW, lambda user: (user, "PUT", f"/user/{author.user}/follow", None, {})), (204,)),
        "unfollow": ("", same(writer, "DELETE", f"/user/{author.user}/follow"), (204,)),
        "listFollowers": ("a page", same(anybody, "GET", f"/user/{author.user}/followers?size=100"), (200,)),
        "listFollowed": (
            "of a page's users",
            same(author, "GET", "/user/me/following?" + "&".join(f"user={n + 1}" for n in range(100))),
            (200,),
        ),
        "listFollowing": ("a page", same(anybody, "GET", f"/user/{author.user}/following?size=100"), (200,)),
        "getComment": ("10,000 characters", same(anybody, "GET", f"/comment/{stage.comment}"), (200,)),
        "changeComment": (
            "10,000 characters of Markdown",
            [(author, "PATCH", f"/comment/{stage.comment}", {"content": f"{n}{MARKDOWN[5:]}"}, {}) for n in range(FEW)],
            (200,),
        ),
        "deleteComment": ("one that is answered", same(author, "DELETE", f"/comment/{stage.comment}", number=1), (204,)),
        "login": ("a wrong password", same(anybody, "POST", "/user/login", login, number=FEW), (401,)),
        "register": (
            "a password of 924 bytes",
            [
                (anybody, "POST", "/user/reg", {**register, "email": f"dearer-{n}@example.org"}, {})
                for n in range(FEW)
            ],
            (201,),
        ),
        "changePassword": (
            "the right one, and a new one",
            fresh(
                FEW,
                lambda user: (
                    user,
                    "PUT",
                    "/user/me/password",
                    {"current_password": PASSWORD, "new_password": "other-" + PASSWORD + "x" * 900},
                    {},
                ),
            ),
            (200, 204),
        ),
        "deleteOwnUser": (
            "the right password",
            fresh(FEW, lambda user: (user, "DELETE", "/user/me", {"current_password": PASSWORD}, {})),
            (200, 202, 204),
        ),
        "changeOwnUser": (
            "another address",
            fresh(
                FEW,
                lambda user: (
                    user,
                    "PATCH",
                    "/user/me",
                    {"email": f"other-{user.email}", "current_password": PASSWORD},
                    {},
                ),
            ),
            (200,),
        ),
        "exportOwnUser": (f"{LARGE_POSTS} posts of 1 MiB", same(writer, "GET", "/user/me/export", number=1), (200,)),
        "getOwnUser": ("", same(author, "GET", "/user/me"), (200,)),
        "getUserByUsername": ("", same(anybody, "GET", "/user/@dear"), (200,)),
        "listPeople": ("`q` that nobody has", same(author, "GET", "/user/directory?q=zzzzzzzz&size=100"), (200,)),
        "getUser": ("", same(anybody, "GET", f"/user/{author.user}"), (200,)),
        "listSessions": (f"{SESSIONS}", same(author, "GET", "/user/me/sessions"), (200,)),
        "endOtherSessions": (f"{SESSIONS}", same(author, "DELETE", "/user/me/sessions", number=1), (204,)),
        "endSession": ("one that is not there", same(author, "DELETE", "/user/me/sessions/999999999"), (404,)),
        "verify": ("a wrong code", same(author, "POST", "/user/me/verify", {"channel": "email", "code": "123456"}), (403,)),
        "sendVerification": (
            "a mail",
            fresh(FEW, lambda user: (user, "POST", "/user/me/verify/send", {"channel": "email"}, {})),
            (202,),
        ),
        "forgotPassword": (
            "a mail",
            fresh(FEW, lambda user: (anybody, "POST", "/user/password/forgot", {"account": user.email}, {})),
            (202,),
        ),
        "resetPassword": (
            "a wrong code",
            same(
                anybody,
                "POST",
                "/user/password/reset",
                {"account": author.email, "code": "123456", "new_password": PASSWORD + "-new"},
                number=FEW,
            ),
            (403,),
        ),
        "listOnline": ("nobody there", same(author, "GET", "/user/online"), (200,)),
        "refresh": (
            "",
            fresh(MANY, lambda user: (anybody, "POST", "/user/refresh", {"refresh_token": user.refresh}, {})),
            (200,),
        ),
        "logout": ("everywhere", fresh(FEW, lambda user: (user, "POST", "/user/logout", {"everywhere": True}, {})), (204,)),
        "changeUser": (
            "deactivated",
            fresh(FEW, lambda user: (admin, "PATCH", f"/user/{user.user}", {"is_active": False}, {})),
            (200,),
        ),
        "endUserSessions": ("one", fresh(FEW, lambda user: (admin, "DELETE", f"/user/{user.user}/sessions", None, {})), (204,)),
        "deleteUser": ("", fresh(FEW, lambda user: (admin, "DELETE", f"/user/{user.user}", None, {})), (200, 202, 204)),
    }


def measure(peer, database, place):
    """Rows of one database: operation, what was asked, times, milliseconds of the server's and of the database's
    processor, and of the clock."""
    say("  the dearest requests")
    log = place / "dearest.log"
    rows = []
    others = [machine.others()]
    with inkpot(database, place, log, "warn") as server:
        stage = Stage(peer, database, place, server)
        made = requests(stage)
        described = operations(server.address)
        if missing := described - {name.split(",")[0] for name in made}:
            raise Trouble(f"no request for {', '.join(sorted(missing))}")
        settle(stage)
        for name, (what, calls, statuses) in made.items():
            before = {who: processor(pid) for who, pid in stage.pids.items()}
            times = []
            for client, method, path, document, headers in calls:
                begun = time.monotonic()
                status, answer = client.call(method, path, document, headers)
                times.append(time.monotonic() - begun)
                if status not in statuses:
                    raise Trouble(f"{name}: {status} {answer[:300]!r}")
            used = {who: (processor(pid) - before[who]) / len(calls) for who, pid in stage.pids.items()}
            rows.append({"operation": name, "what": what, "times": len(calls), **used, "clock": median(times)})
    others.append(machine.others())
    return {"rows": rows, "others": others}


def settle(stage):
    """Waits until the jobs that the stage caused are done, which would be counted for others."""
    while True:
        before = processor(stage.pids["server"])
        time.sleep(1)
        if processor(stage.pids["server"]) - before < 0.02:
            return


def operations(address):
    status, _, body = once(address, "GET", "/openapi.json")
    if status != 200:
        raise Trouble(f"GET /openapi.json: {status}")
    paths = json.loads(body)["paths"].values()
    return {operation["operationId"] for path in paths for operation in path.values()}


def section(results):
    """The table of one database, the dearest first."""
    rows = sorted(results["rows"], key=lambda row: -(row["server"] + row["database"]))
    cells = [
        [row["operation"], row["what"], row["times"], *(f"{row[who] * 1000:,.1f}" for who in ("server", "database", "clock"))]
        for row in rows
    ]
    text = tables.table(["operation", "what", "times", "server ms", "database ms", "clock ms"], cells)
    warning = machine.warning(results["others"])
    return f"{warning}\n\n{text}" if warning else text
