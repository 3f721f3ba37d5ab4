// What all documents do: the header knows who is logged in, and each kind of document has a module.

import { at, logOut, user } from "./api.js";
import { all, element, find, notify, notifyHere, notifyNext } from "./dom.js";
import { watch } from "./presence.js";
import { say } from "./words.js";

const MODULES = {
    login: () => import("./account.js"),
    register: () => import("./account.js"),
    forgot: () => import("./account.js"),
    reset: () => import("./account.js"),
    verify: () => import("./account.js"),
    write: () => import("./write.js"),
    me: () => import("./me.js"),
    post: () => import("./post.js"),
    author: () => import("./author.js"),
    following: () => import("./following.js"),
    people: () => import("./people.js"),
    admin: () => import("./admin.js"),
};

function showUser() {
    const known = user();
    for (const place of all("[data-user-name]")) place.textContent = known?.name ?? "";
}

find("[data-log-out]")?.addEventListener("click", async () => {
    try {
        await logOut();
        notifyNext(say("notice.logged_out"));
        location.assign(at("/"));
    } catch (refusal) {
        notify(refusal.text);
    }
});

/** Code and tables that are wider than the column are moved by keys as well. */
function reachWide() {
    for (const wide of all(".text pre, .text table")) {
        if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    }
}

/** Who reads is online, and sees which of the authors here are. */
function showPresence() {
    const places = all("[data-user]");
    watch((online) => {
        for (const place of places) {
            const isOnline = online.has(Number(place.dataset.user));
            const dot = find(".dot", place);
            if (isOnline && !dot) place.append(element("span", { class: "dot", role: "img", "aria-label": say("people.online"), title: say("people.online") }));
            if (!isOnline) dot?.remove();
        }
    });
}

addEventListener("inkpot:user", showUser);
showUser();
reachWide();
notifyHere();

const { page } = document.body.dataset;
const started = page in MODULES ? (await MODULES[page]()).start(page) : undefined;
if (user()) showPresence();
await started;
document.documentElement.dataset.ready = "";
