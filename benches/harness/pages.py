"""Ways into the list, as paths none of which was asked for before: so a cache of answers has none of them."""

import json
import random
import re
import time
from urllib.parse import parse_qs, urlsplit

from .load import once
from .processes import Trouble

FIRST = "first pages"
SIZES = range(20, 41)
NEAR = 5  # pages that count as the first, or as the last
AUTHOR = 2  # and those after, who have a thousandth of all posts each
BUSY = 1  # the author of a tenth of all, every one under TAG
TAG = "tag-0"
# The walk by cursors has a page size of its own, so that it asks for no path that is measured.
STRIDE = 19
FIRST_DATE = 1_577_836_800  # of the first post, in seconds since the epoch
COMMON = 10  # requests of a kind whose cost may grow with what there is


def ways(address, posts, requests):
    """Paths by the name of the way; `None` where the server does not have it."""
    known = parameters(address)
    dice = random.Random(posts)
    near = [(page, size) for page in range(NEAR) for size in SIZES]
    firsts = dice.sample(near, requests)
    lasts = [(posts // size - page, size) for page, size in dice.sample(near, requests)]
    # A twentieth of all around the middle.
    middles = set()
    while len(middles) < requests:
        size = dice.choice(SIZES)
        middles.add((int(posts / size * dice.uniform(0.475, 0.525)), size))
    found = {
        FIRST: [f"/post/?page={1 + page}&size={size}" for page, size in firsts],
        "middle": [f"/post/?page={page}&size={size}" for page, size in sorted(middles)],
        "last pages": [f"/post/?page={page}&size={size}" for page, size in lasts],
        "by cursor, from the first": None,
        "by cursor, from the middle": None,
        "an author's first pages": None,
    }
    if "before" in known:
        for way, page in (("first", 2), ("middle", posts // STRIDE // 2)):
            walk = cursors(address, f"/post/?page={page}&size={STRIDE}", requests)
            paths = [f"/post/?before={cursor}&size={dice.choice(SIZES)}" for cursor in walk]
            found[f"by cursor, from the {way}"] = paths
    if "author" in known:
        # There are a thousand authors, so an author has ten posts at least.
        paths = [f"/post/?author={AUTHOR + n}&size={dice.choice(SIZES)}" for n in range(requests)]
        found["an author's first pages"] = paths
    if {"tag", "q"} <= known:
        found |= searches(posts, requests, dice)
    selected = selections(posts, requests, dice)
    selected |= {
        "neighbours": [f"/post/{dice.randrange(1, posts + 1)}/around" for _ in range(requests)],
        "neighbours with a tag": [f"/post/{dice.randrange(1, posts + 1)}/around?tag={TAG}" for _ in range(requests)],
        "months of all": ["/post/archive"],
        "months of an author": [f"/post/archive?author={AUTHOR + n}" for n in range(requests)],
        "months of a tag": [f"/post/archive?tag=tag-{n}" for n in range(min(100, requests))],
        "tags": [f"/tag/?size={size}" for size in few_sizes()],
        "tags by their beginning": [f"/tag/?q=tag-{n}" for n in range(10)],
    }
    found |= selected if {"since", "sort"} <= known else dict.fromkeys(selected)
    return found


def few_sizes():
    return range(20, 20 + COMMON)


def selections(posts, requests, dice):
    """The other end, dates, and several tags."""
    sizes = [20 + n * 80 // requests for n in range(requests)]
    few = few_sizes()
    return {
        "oldest first": [f"/post/?sort=oldest&page={1 + n // 21}&size={20 + n % 21}" for n in range(requests)],
        "oldest first, the middle": [f"/post/?sort=oldest&page={posts // 50 - n}&size=25" for n in range(requests)],
        "since a date": [f"/post/?since={moment(dice.uniform(0, posts))}&before=&size={size}" for size in sizes],
        "between dates with a tag": [f"/post/?since={moment(0.4 * posts)}&until={moment(0.5 * posts)}&tag={TAG}&size={size}" for size in few],
        "two tags": [f"/post/?tag={TAG}&tag=tag-{1 + n}&size=20" for n in range(COMMON)],
    }


def searches(posts, requests, dice):
    """Of what no count is kept: an author's posts with a tag, and words."""
    sizes = [20 + n * 80 // requests for n in range(requests)]
    rare = [f"/post/?q={dice.randrange(1, posts + 1)}" for _ in range(requests)]
    few = range(20, 20 + COMMON)
    return {
        "an author's posts with a tag, a tenth of all": [f"/post/?author={BUSY}&tag={TAG}&size={size}" for size in few],
        "a tag": [f"/post/?tag=tag-{n}&size={sizes[n]}" for n in range(min(100, requests))],
        "a word of one post": rare,
        "a word of a quarter of all": [f"/post/?q=garden&size={size}" for size in few],
        "two words": [f"/post/?q=garden+kitchen&size={size}" for size in few],
        "a phrase": [f"/post/?q=%22garden+kitchen%22&size={size}" for size in few],
        "a phrase of Chinese": [f"/post/?q=%E4%BB%8A%E5%A4%A9%E5%A4%A9%E6%B0%94&size={size}" for size in few],
        "an author's word": [f"/post/?q=garden&author={AUTHOR + n}" for n in range(COMMON)],
    }


def moment(number):
    """When the post with this number was published: each is a minute younger than the one before."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(FIRST_DATE + 60 * int(number)))


def people(users):
    """What an admin reads, and a user with many sessions."""
    few = range(20, 20 + COMMON)
    return {
        "users": [f"/user/?size={size}" for size in few],
        "users, by a part of one name": [f"/user/?q=erson+{users - n}" for n in range(COMMON)],
        "users, by a part of all names": [f"/user/?q=erson&size={size}" for size in few],
        "users, page 2,000 of 50": ["/user/?page=2000&size=50"] * COMMON,
        "the audit": [f"/audit/?size={size}" for size in few],
        "the audit of one user": [f"/audit/?user={BUSY + n}" for n in range(COMMON)],
        "the audit, page 2,000 of 50": ["/audit/?page=2000&size=50"] * COMMON,
        "followers": [f"/user/{BUSY}/followers?size={size}" for size in few],
        "followers, by cursor from the middle": [f"/user/{BUSY}/followers?before={users // 2 - n}" for n in range(COMMON)],
        "followers, page 100 of 50": [f"/user/{BUSY}/followers?page={90 + n}&size=50" for n in range(COMMON)],
        "posts of those whom one follows": [f"/post/?feed=following&size={size}" for size in few],
        "the same by cursor, from the middle": [f"/post/?feed=following&before={users // 2 - n}" for n in range(COMMON)],
        "comments of all": [f"/comment/?size={size}" for size in few],
        "comments of all, by a part that nobody wrote": [f"/comment/?q=zzzz&size={size}" for size in few],
        "comments of one user": [f"/comment/?author={users - n}" for n in range(COMMON)],
        "one's 10,000 sessions": ["/user/me/sessions"] * COMMON,
    }


def parameters(address):
    """What the server's description says that the list takes."""
    status, _, body = once(address, "GET", "/openapi.json")
    if status != 200:
        raise Trouble(f"GET /openapi.json: {status}")
    described = json.loads(body)
    operation = described["paths"]["/post"]["get"]
    return {resolve(described, parameter)["name"] for parameter in operation.get("parameters", [])}


def resolve(described, parameter):
    """A parameter may be named, and described elsewhere."""
    for part in parameter.get("$ref", "").split("/")[1:]:
        described = described[part]
    return described if "$ref" in parameter else parameter


def cursors(address, path, number):
    """As many cursors as asked for, each of the page after the last one's."""
    walk = []
    while len(walk) < number:
        status, headers, body = once(address, "GET", path)
        cursor = cursor_of(headers.get("Link", ""), json.loads(body)) if status == 200 else None
        if cursor is None:
            raise Trouble(f"GET {path}: {status}, without a cursor")
        walk.append(cursor)
        path = f"/post/?before={cursor}&size={STRIDE}"
    return walk


def cursor_of(link, answer):
    """Of the page behind an answer: in its Link, or in its body as `next` or `before`."""
    for target in re.findall(r"<([^>]*)>", link):
        if before := parse_qs(urlsplit(target).query).get("before"):
            return before[0]
    pagination = answer.get("pagination", {})
    return pagination.get("next") or pagination.get("before")
