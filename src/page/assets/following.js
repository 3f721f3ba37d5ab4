// The posts of those whom one follows, the newest first.

import { at, call, mustLogIn, user } from "./api.js";
import { element, find, notify, time } from "./dom.js";
import { moment, say } from "./words.js";

const SIZE = 10;

let next = "";

export async function start() {
    if (!user()) return mustLogIn();
    find("[data-more]").addEventListener("click", load);
    await load();
}

/** Reads the first posts, or those that follow. */
async function load() {
    const query = new URLSearchParams({ feed: "following", size: SIZE, before: next });
    let answer;
    try {
        ({ answer } = await call("GET", `/post/?${query}`));
    } catch (refusal) {
        if (refusal.status === 401) return mustLogIn();
        return notify(refusal.text);
    }
    const list = find("[data-posts]");
    list.append(...answer.posts.map(item));
    next = answer.pagination.next;
    find("[data-more]").hidden = next === null;
    find("[data-none]").hidden = list.children.length > 0;
}

function item(post) {
    const author = post.author_username ? `/@${post.author_username}` : `/u/${post.author_id}`;
    return element(
        "article",
        {},
        element("h2", { dir: "auto" }, element("a", { href: at(`/p/${post.slug ?? post.post_id}`) }, post.post_title)),
        element(
            "p",
            { class: "meta" },
            element("span", {}, `${say("list.by")} `, element("a", { rel: "author", href: at(author) }, element("bdi", {}, post.author))),
            " · ",
            time(post.date, moment(post.date)),
        ),
        post.summary && element("p", { class: "teaser", dir: "auto" }, post.summary),
    );
}
