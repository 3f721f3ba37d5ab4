"""Databases with posts in them."""

import contextlib
import hashlib
import shutil
import tempfile
from pathlib import Path

from .processes import RESULTS, ROOT, mariadb, say

# Bytes of a text, from and to.
TEXTS = (2048, 4096)
AUTHORS = 1000

# What decides what is in a loaded file.
INGREDIENTS = ("migrations/sqlite", "src/posts", "src/accounts", "src/core", "benches/peer")


@contextlib.contextmanager
def directory():
    """A place for one database and what belongs to it, on the disk that has the build."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run.", dir=RESULTS) as path:
        yield Path(path)


@contextlib.contextmanager
def sqlite(peer, place, posts):
    """A copy of a file that is loaded once and kept. Yields the database's URL."""
    kept = RESULTS / f"sqlite-{posts}-{fingerprint()}.db"
    if not kept.exists():
        for older in RESULTS.glob(f"sqlite-{posts}-*.db*"):
            older.unlink()
        # By another name until it is whole.
        draft = place / "draft.db"
        load(peer, f"sqlite:{draft}", posts)
        draft.rename(kept)
    shutil.copyfile(kept, place / "inkpot.db")
    yield f"sqlite:{place / 'inkpot.db'}"


@contextlib.contextmanager
def private_mariadb(peer, _place, posts):
    """A server that is loaded anew. Yields the database's URL."""
    with mariadb() as server:
        url = new_database(peer, server)
        load(peer, url, posts)
        yield url


KINDS = {"sqlite": sqlite, "mariadb": private_mariadb}


def new_database(peer, server, name="inkpot_bench"):
    """Its URL."""
    peer.run("create", server, name)
    return f"{server}{name}"


def beside(peer, database, name):
    """The URL of an empty one, where that one is."""
    where, _ = database.rsplit("/", 1)
    if database.startswith("sqlite:"):
        return f"{where}/{name}.db"
    return new_database(peer, f"{where}/", f"inkpot_{name}")


def load(peer, url, posts, texts=TEXTS):
    """Fills it up to so many posts."""
    say(f"  loading {posts:,} posts")
    peer.run("load", url, "--posts", posts, "--authors", AUTHORS, "--from", texts[0], "--to", texts[1])


def people(peer, url, users, sessions):
    """Users up to so many, an entry of the audit for each, and sessions of the first author, who becomes an admin."""
    say(f"  adding {users:,} users")
    peer.run("people", url, "--users", users, "--sessions", sessions)


def fingerprint():
    """Changes with whatever a loaded file depends on."""
    digest = hashlib.sha256()
    for folder in INGREDIENTS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file():
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
