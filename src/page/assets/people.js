// Everybody, with who is online, as it changes.

import { at, call, mustLogIn, user } from "./api.js";
import { element, find, notify } from "./dom.js";
import { watch } from "./presence.js";
import { count, say } from "./words.js";

const SIZE = 50;

const rows = new Map();
let words = "";
let next = null;

export async function start() {
    if (!user()) return mustLogIn();
    const form = find("[data-people-form]");
    find("fieldset", form).disabled = false;
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        words = form.elements.q.value.trim();
        load(true);
    });
    find("[data-more]").addEventListener("click", () => load(false));
    await load(true);
    watch(show);
}

/** Reads the first people, or those who follow. */
async function load(anew) {
    const query = new URLSearchParams({ size: SIZE, before: anew ? "" : next });
    if (words) query.set("q", words);
    let answer;
    try {
        ({ answer } = await call("GET", `/user/directory?${query}`));
    } catch (refusal) {
        if (refusal.status === 401) return mustLogIn();
        return notify(refusal.text);
    }
    const list = find("[data-people]");
    if (anew) {
        rows.clear();
        list.replaceChildren();
    }
    for (const person of answer.users) list.append(row(person));
    next = answer.pagination.next;
    find("[data-more]").hidden = next === null;
    find("[data-none]").hidden = rows.size > 0;
    find("[data-partial]").hidden = !answer.partial;
}

function row(person) {
    const path = person.username ? `/@${person.username}` : `/u/${person.user_id}`;
    const state = element("span", { class: "state" });
    const node = element(
        "li",
        {},
        state,
        element("a", { href: at(path) }, element("bdi", {}, person.name)),
        person.username && element("span", { class: "meta" }, `@${person.username}`),
        element("span", { class: "meta count" }, count("list.posts", person.posts)),
    );
    rows.set(person.user_id, state);
    mark(state, person.online);
    return node;
}

function mark(state, isOnline) {
    state.classList.toggle("on", isOnline);
    state.textContent = say(isOnline ? "people.online" : "people.offline");
}

function show(online, total, isKnown) {
    if (!isKnown) return;
    for (const [id, state] of rows) {
        // The list of who is online ends somewhere; who is not on it stays as the directory said.
        if (online.has(id) || total <= online.size) mark(state, online.has(id));
    }
    find("[data-online-count]").textContent = count("people.count", total);
}
