"""What `make bench` compares: for each case who does it, in turn, and what is aimed at."""

import json
from dataclasses import dataclass, field

from . import machine
from .load import once, post_json, same_answer, wrk
from .processes import POOL, Trouble

SERVER, BARE, QUIET, PLAIN = "inkpot", "bare", "inkpot, log warn", "inkpot, plain"

SIZE = 20  # posts a page
PUBLISHERS = 16  # connections, and threads of the bare transaction
LOGINS = 4  # connections: enough that a hash is always waiting
LOGIN_LENGTH = 3  # times the seconds of others: there are only a few a second

# The peer's author 1.
ACCOUNT = {"account": "author-1@example.org", "password": "correct horse battery staple"}


@dataclass
class Case:
    name: str
    title: str
    aim: float
    # Who does it: a function of seconds that returns requests, seconds, p50 and p99. SERVER and BARE at least.
    contenders: dict
    # What the server's rate is divided by beside BARE's, and the aim of that.
    second: str = None
    second_aim: float = None
    length: int = 1
    results: dict = field(default_factory=dict)
    # What others used of the processors before each round.
    others: list = field(default_factory=list)

    def measure(self, rounds, seconds, between):
        """All contenders in turn, again and again; before that each once for a moment, to be warm."""
        for work in self.contenders.values():
            work(1)
            between()
        for _ in range(rounds):
            self.others.append(machine.others())
            for who, work in self.contenders.items():
                result = work(seconds * self.length)
                result["rate"] = result["requests"] / result["seconds"]
                self.results.setdefault(who, []).append(result)
                between()


@dataclass
class Scene:
    """What runs while one database is measured."""

    peer: object
    database: str
    posts: int
    server: str  # host:port
    bare: str = None
    quiet: str = None
    body: object = None  # the file with a post to publish
    login: object = None  # the file with a login

    def token(self):
        return post_json(self.server, "/user/login", ACCOUNT, 200)["token"]

    def prepare_files(self, directory):
        """A post like those that are there, and a login."""
        status, _, answer = once(self.server, "GET", "/post/1")
        if status != 200:
            raise Trouble(f"GET /post/1: {status}")
        post = json.loads(answer)["post"]
        self.body, self.login = directory / "post.json", directory / "login.json"
        document = {"title": post["post_title"], "content": post["post_content"]}
        self.body.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        self.login.write_text(json.dumps(ACCOUNT))


def queries(posts):
    """Of the first page of the list, and of the middle one."""
    middle = max(1, posts // SIZE // 2)
    return f"page=1&size={SIZE}", f"page={middle}&size={SIZE}"


def getting(scene, path, headers=(), status=200):
    """The contenders for a GET of one path; the servers must agree about it."""
    same_answer(scene.server, scene.bare, path, headers, status)
    return {
        who: lambda seconds, address=address: wrk(address, path, "fixed", seconds, headers)
        for who, address in ((SERVER, scene.server), (BARE, scene.bare))
    }


def hot(scene):
    contenders = getting(scene, "/post/1")
    contenders[QUIET] = lambda seconds: wrk(scene.quiet, "/post/1", "fixed", seconds)
    return Case("hot", "one post, again and again", 0.85, contenders)


def random(scene):
    contenders = {
        who: lambda seconds, address=address: wrk(address, "/", "random", seconds, arguments=[scene.posts])
        for who, address in ((SERVER, scene.server), (BARE, scene.bare))
    }
    same_answer(scene.server, scene.bare, f"/post/{scene.posts}", (), 200)
    return Case("random", "a post at random of all", None, contenders)


def first_page(scene):
    return Case("list", "the list's first page", 0.80, getting(scene, f"/post/?{queries(scene.posts)[0]}"))


def middle_page(scene):
    return Case("middle", "the list's middle page", 0.80, getting(scene, f"/post/?{queries(scene.posts)[1]}"))


# What people read in a browser: the newest posts, and a post with what is said to it.
DOCUMENTS = HOME, POST = "/", "/p/1"


def document(name, title, path):
    return lambda scene: Case(name, title, 0.7, getting(scene, path))


def unchanged(scene):
    etag = once(scene.server, "GET", "/post/1")[1]["ETag"]
    return Case("304", "304 of a post", 0.95, getting(scene, "/post/1", [("If-None-Match", etag)], 304))


def compressed(name, title, aim, path):
    def case(scene):
        where = path(scene)
        contenders = getting(scene, where, [("Accept-Encoding", "br")])
        if once(scene.server, "GET", where, [("Accept-Encoding", "br")])[1]["Content-Encoding"] != "br":
            raise Trouble(f"{where} is not compressed")
        contenders[PLAIN] = lambda seconds: wrk(scene.server, where, "fixed", seconds)
        return Case(name, title, aim, contenders, second=PLAIN, second_aim=0.9)

    return case


def publish(scene):
    headers = [("Authorization", f"Bearer {scene.token()}")]
    post_json(scene.server, "/post", json.loads(scene.body.read_text("utf-8")), 201, headers)
    bare = ["publish", scene.database, "--body", scene.body, "--threads", PUBLISHERS, "--pool", POOL]
    contenders = {
        SERVER: lambda seconds: wrk(scene.server, "/post", "post", seconds, headers, [scene.body], PUBLISHERS),
        BARE: lambda seconds: scene.peer.run(*bare, "--seconds", seconds),
    }
    return Case("publish", "publish (bare: the transaction)", 0.8, contenders)


def login(scene):
    contenders = {
        SERVER: lambda seconds: wrk(scene.server, "/user/login", "post", seconds, (), [scene.login], LOGINS),
        BARE: lambda seconds: scene.peer.run("verify", "--seconds", seconds),
    }
    return Case("login", "login (bare: bcrypt on all processors)", 0.95, contenders, length=LOGIN_LENGTH)


# In this order: what writes comes last, for the bare server has the answers of before.
CASES = {
    "hot": hot,
    "random": random,
    "list": first_page,
    "middle": middle_page,
    "home": document("home", "the home page", HOME),
    "page": document("page", "the page of a post", POST),
    "304": unchanged,
    "br": compressed("br", "one post, br", 0.85, lambda scene: "/post/1"),
    "br-list": compressed("br-list", "the first page, br", 0.80, lambda scene: f"/post/?{queries(scene.posts)[0]}"),
    "login": login,
    "publish": publish,
}
