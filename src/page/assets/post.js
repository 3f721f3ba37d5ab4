// A post: its author and admins change and delete it.

import { at, call, callLast, freshToken, mustLogIn, user } from "./api.js";
import { find, notify, notifyNext } from "./dom.js";
import { say } from "./words.js";

const UNDO = 8000; // milliseconds to take a deletion back

export function start() {
    const tools = find("[data-tools]");
    const { post, author } = tools.dataset;
    const known = user();
    if (!known || (String(known.user_id) !== author && known.role !== "admin")) return;
    tools.hidden = false;
    find("[data-delete]", tools).addEventListener("click", () => remove(post));
}

/** Deletes after a while in which it can be taken back; leaving does not take it back. */
async function remove(post) {
    // There is no time to ask for a token when somebody goes.
    try {
        if (!(await freshToken())) return mustLogIn();
    } catch (refusal) {
        return notify(refusal.text);
    }
    const article = find("article.post");
    article.classList.add("going");
    const path = `/post/${post}`;
    const send = async () => {
        stop();
        try {
            await call("DELETE", path);
            notifyNext(say("notice.deleted"));
            location.assign(at("/"));
        } catch (refusal) {
            article.classList.remove("going");
            notify(refusal.text);
        }
    };
    const leave = () => callLast("DELETE", path);
    const timer = setTimeout(send, UNDO);
    const stop = () => {
        clearTimeout(timer);
        removeEventListener("pagehide", leave);
    };
    addEventListener("pagehide", leave);
    notify(say("post.deleted"), {
        label: say("post.undo"),
        act() {
            stop();
            article.classList.remove("going");
        },
    });
}
