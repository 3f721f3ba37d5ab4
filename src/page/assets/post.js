// A post: its author and admins change and delete it, everybody comments on it and likes it.

import { at, call, mustLogIn, user } from "./api.js";
import { startComments } from "./comments.js";
import { find, notify, notifyNext } from "./dom.js";
import { deleteLater } from "./later.js";
import { count, say } from "./words.js";

export async function start() {
    const tools = find("[data-own]");
    const { post, author } = tools.dataset;
    const known = user();
    const isOwn = known && (String(known.user_id) === author || known.role === "admin");
    if (isOwn) {
        tools.hidden = false;
        find("[data-delete]", tools).addEventListener("click", () => remove(post));
    }
    startComments(post, isOwn);
    await likes(post);
}

function remove(post) {
    return deleteLater(find("article.post"), `/post/${post}`, say("post.deleted"), () => {
        notifyNext(say("notice.deleted"));
        location.assign(at("/"));
    });
}

/** The button, whose number is that of the document until somebody here changes it. */
async function likes(post) {
    const button = find("[data-like]");
    const shown = find("[data-likes]");
    const set = (isLiked) => button.setAttribute("aria-pressed", String(isLiked));
    const add = (by) => {
        const number = Number(shown.dataset.likes) + by;
        shown.dataset.likes = number;
        shown.textContent = number > 0 ? count("post.likes", number) : "";
    };
    button.disabled = false;
    button.addEventListener("click", async () => {
        if (!user()) return mustLogIn();
        if (button.ariaBusy === "true") return;
        button.ariaBusy = "true";
        const isLiked = button.getAttribute("aria-pressed") !== "true";
        // Shown at once, and taken back when it is refused.
        set(isLiked);
        add(isLiked ? 1 : -1);
        try {
            await call(isLiked ? "PUT" : "DELETE", `/post/${post}/like`);
        } catch (refusal) {
            set(!isLiked);
            add(isLiked ? -1 : 1);
            if (refusal.status === 401) return mustLogIn();
            notify(refusal.text);
        } finally {
            button.ariaBusy = null;
        }
    });
    if (!user()) return;
    try {
        const { answer } = await call("GET", `/user/me/likes?post=${post}`);
        set(answer.likes.length > 0);
    } catch (refusal) {
        // Who is a guest by now likes nothing.
        if (!("code" in refusal)) throw refusal;
    }
}
