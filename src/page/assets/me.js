// One's own: posts, profile, password, sessions, everything as a file, leaving.

import { at, call, forget, logOut, mustLogIn, remember, user } from "./api.js";
import { element, find, notify, notifyNext } from "./dom.js";
import { confirmWith, enhance } from "./forms.js";
import { device, fill, moment, say } from "./words.js";

const FIELDS = ["name", "email", "username", "mobile", "bio", "image"];
const NEEDED = ["name", "email"];

let own;

export async function start() {
    if (!user()) return mustLogIn();
    // First, so that no click on them is lost while the profile is on its way.
    actions();
    try {
        own = (await call("GET", "/user/me")).answer.userinfo;
    } catch (refusal) {
        if (refusal.status === 401) return mustLogIn();
        return notify(refusal.text);
    }
    profile();
    password();
    await Promise.all([posts(), sessions()]);
}

function profile() {
    const form = find('[data-form="profile"]');
    const put = () => {
        for (const name of FIELDS) form.elements[name].value = own[name] ?? "";
        form.elements.current_password.value = "";
        verified();
    };
    put();
    enhance(form, async (given) => {
        // What is not there any more is taken away; what is the same is left out.
        const body = {};
        for (const name of FIELDS) {
            const value = given[name] ?? (NEEDED.includes(name) ? "" : null);
            if (value !== own[name]) body[name] = value;
        }
        if (Object.keys(body).length === 0) return notify(say("me.same"));
        if (given.current_password) body.current_password = given.current_password;
        own = (await call("PATCH", "/user/me", { body })).answer.userinfo;
        put();
        remember(own);
        notify(say("notice.saved"));
    });
}

function verified() {
    const parts = [];
    const offer = (channel, text) => parts.push(element("a", { href: at(`/verify?channel=${channel}`) }, text), " ");
    if (!own.email_verified) offer("email", say("me.verify_email"));
    if (own.mobile && !own.mobile_verified) offer("mobile", say("me.verify_mobile"));
    find("[data-verified]").replaceChildren(...parts);
}

function password() {
    const form = find('[data-form="password"]');
    enhance(form, async ({ current_password = "", new_password = "" }) => {
        await call("PUT", "/user/me/password", { body: { current_password, new_password } });
        form.reset();
        notify(say("notice.password_changed"));
        await sessions();
    });
}

async function posts() {
    const place = find("[data-posts]");
    const list = async (query) => (await call("GET", `/post/?${query}&size=20`)).answer.posts;
    const [drafts, published] = await Promise.all([list("status=draft"), list(`author=${own.user_id}`)]);
    const when = (post) => (post.publish_at ? fill("me.scheduled", { when: moment(post.publish_at) }) : moment(post.updated));
    const row = (post, path) =>
        element("li", {}, element("a", { href: at(path), dir: "auto" }, post.post_title), " ", element("span", { class: "meta" }, when(post)));
    const part = (title, some, path) => [
        element("h3", {}, title),
        element("ul", { class: "rows" }, some.map((post) => row(post, path(post)))),
    ];
    const parts = [];
    if (drafts.length) parts.push(...part(say("me.drafts"), drafts, (post) => `/write/${post.post_id}`));
    if (published.length) parts.push(...part(say("me.published"), published, (post) => `/p/${post.post_id}`));
    if (parts.length === 0) parts.push(element("p", {}, say("me.nothing")));
    place.replaceChildren(...parts);
}

async function sessions() {
    const { answer } = await call("GET", "/user/me/sessions");
    const end = async (session) => {
        try {
            await call("DELETE", `/user/me/sessions/${session.session_id}`);
            await sessions();
        } catch (refusal) {
            notify(refusal.text);
        }
    };
    const row = (session) =>
        element(
            "li",
            { title: session.user_agent },
            element("span", {}, device(session.user_agent)),
            element("span", { class: "meta" }, ` ${session.ip ?? ""} · ${fill("me.last_used", { when: moment(session.last_used) })} `),
            session.current
                ? element("strong", {}, say("me.this_session"))
                : element("button", { type: "button", class: "quiet", onclick: () => end(session) }, say("me.end_session")),
        );
    find("[data-sessions]").replaceChildren(...answer.sessions.map(row));
    find("[data-end-others]").disabled = answer.sessions.length < 2;
}

function actions() {
    const act = (selector, run) =>
        find(selector).addEventListener("click", async () => {
            try {
                await run();
            } catch (refusal) {
                if (!("code" in refusal)) throw refusal;
                notify(refusal.text);
            }
        });
    act("[data-end-others]", async () => {
        await call("DELETE", "/user/me/sessions");
        notify(say("notice.others_ended"));
        await sessions();
    });
    act("[data-end-all]", async () => {
        await logOut(true);
        notifyNext(say("notice.all_ended"));
        location.assign(at("/"));
    });
    act("[data-export]", async () => {
        const { answer } = await call("GET", "/user/me/export");
        const file = new Blob([JSON.stringify(answer, null, 2)], { type: "application/json" });
        const link = element("a", { href: URL.createObjectURL(file), download: "inkpot.json" });
        link.click();
        // The browser reads it after the click: taken away at once, nothing may be saved.
        setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
    act("[data-leave]", async () => {
        const current_password = await confirmWith(say("me.leave"), say("me.leave_about"), { password: true, action: say("me.leave_do") });
        if (!current_password) return;
        await call("DELETE", "/user/me", { body: { current_password: String(current_password) } });
        for (const name of Object.keys(localStorage)) if (name.startsWith("inkpot.")) localStorage.removeItem(name);
        forget();
        notifyNext(say("notice.left"));
        location.assign(at("/"));
    });
}
