// The administration: users, posts, comments, jobs, the audit, the keys, how the service is.

import { at, call, checkPassword, user } from "./api.js";
import { element, find, notify } from "./dom.js";
import { confirmWith, enhance } from "./forms.js";
import { age, count, device, fill, moment, say } from "./words.js";

const PARTS = { users, posts, comments, jobs, audit, keys, health, check };
const SIZE = 30;
const SHOWN = 200; // characters of a comment
const SEARCHED = 5; // empty parts of a search before somebody asks for more
const LOOK = 1000; // milliseconds until a check that is under way is looked at again

let shown;

export async function start() {
    if (user()?.role !== "admin") return;
    find("[data-admin-only]").hidden = true;
    const place = find("[data-admin]");
    place.hidden = false;
    shown = find("[data-part]", place);
    const asked = location.pathname.match(/\/admin\/(\w+)\/?$/)?.[1];
    const part = asked in PARTS ? asked : "users";
    find(`nav a[href="${at(`/admin/${part}`)}"]`, place)?.setAttribute("aria-current", "page");
    await attempt(() => PARTS[part](new URLSearchParams(location.search)));
}

/** Does what may be refused, and tells it. */
async function attempt(run) {
    try {
        await run();
    } catch (refusal) {
        if (!("code" in refusal)) throw refusal;
        notify(refusal.errors?.[0]?.detail ?? refusal.text);
    }
}

const button = (text, run, kind = "quiet") => element("button", { type: "button", class: kind, onclick: () => attempt(run) }, text);

/** Asks for the own password before what cannot be taken back. */
async function withPassword(title, text, run) {
    const password = await confirmWith(title, text, { password: true, action: title });
    if (!password) return;
    await checkPassword(String(password));
    await run();
}

/** The heading of a column of buttons, for who hears it. */
const tools = () => element("span", { class: "unseen" }, say("admin.tools"));

/** What stays in one line. */
const whole = (...nodes) => element("span", { class: "whole" }, nodes);

/** A table with headings; cells are nodes or text. */
function table(headings, rows) {
    return element(
        "div",
        { class: "wide", tabindex: "0", role: "region", "aria-label": say("admin.title") },
        element(
            "table",
            {},
            element("thead", {}, element("tr", {}, headings.map((text) => element("th", { scope: "col" }, text)))),
            element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell))))),
        ),
    );
}

/** A list that goes on: `read` gives a page by its cursor, `row` the cells of an item. */
async function list(headings, read, row, empty) {
    const body = element("div", {});
    const more = button(say("list.older"), () => load());
    let before = "";
    const rows = [];
    const load = async () => {
        const { items, pagination } = await read(before);
        rows.push(...items.map(row));
        body.replaceChildren(rows.length ? table(headings, rows) : element("p", { class: "empty" }, empty));
        before = pagination.next;
        more.hidden = before === null;
    };
    await load();
    return [body, element("p", { class: "buttons" }, more)];
}

function searching(label, words, name = "q") {
    const field = element("input", { type: "search", id: "admin-q", name, value: words });
    return element(
        "form",
        { class: "search", role: "search", method: "get" },
        element("label", { for: "admin-q" }, label),
        field,
        element("button", { type: "submit" }, say("search.submit")),
    );
}

const address = (path, parameters) => `${path}?${new URLSearchParams(parameters)}`;

async function users(query) {
    const id = query.get("id");
    if (id) return oneUser(id);
    const words = query.get("q") ?? "";
    const read = async (before) => {
        const asked = { size: SIZE, before, ...(words && { q: words }) };
        const { answer } = await call("GET", address("/user/", asked));
        return { items: answer.users, pagination: answer.pagination };
    };
    const row = (one) => [
        element("a", { href: at(`/admin/users?id=${one.user_id}`) }, element("bdi", {}, one.name)),
        element("span", { class: "roomy" }, one.email),
        one.username ?? "",
        say(one.role === "admin" ? "admin.role_admin" : "admin.role_user"),
        one.is_active ? "" : say("admin.inactive"),
    ];
    const headings = [say("field.name"), say("field.email"), say("field.username"), say("admin.role"), say("admin.state")];
    shown.replaceChildren(searching(say("admin.find_user"), words), ...(await list(headings, read, row, say("admin.nobody"))), newUser());
}

function newUser() {
    const field = (name, type, label, required) => {
        const id = `new-${name}`;
        const note = required ? [] : [" ", element("span", { class: "meta" }, say("field.optional"))];
        return element(
            "div",
            { class: "field" },
            element("label", { for: id }, label, ...note),
            element("input", { type, id, name, required, autocomplete: "off", "aria-describedby": `${id}-error` }),
            element("p", { class: "error", id: `${id}-error` }),
        );
    };
    const form = element(
        "form",
        { novalidate: true },
        element("h2", {}, say("admin.new_user")),
        element("p", { class: "meta" }, say("admin.new_user_about")),
        element(
            "fieldset",
            {},
            field("email", "email", say("field.email"), true),
            field("name", "text", say("field.name"), true),
            field("username", "text", say("field.username"), false),
            element("p", { class: "error", "data-error": true, role: "alert" }),
            element("p", { class: "buttons" }, element("button", { type: "submit" }, say("admin.create"))),
        ),
    );
    enhance(form, async (given) => {
        const { answer } = await call("POST", "/user/", { body: given });
        location.assign(at(`/admin/users?id=${answer.userinfo.user_id}`));
    });
    return form;
}

async function oneUser(id) {
    const { answer } = await call("GET", `/user/${id}/account`);
    const one = answer.userinfo;
    const change = async (body) => {
        await call("PATCH", `/user/${id}`, { body });
        await oneUser(id);
        notify(say("notice.saved"));
    };
    const facts = [
        [say("field.email"), one.email],
        [say("field.username"), one.username ?? "–"],
        [say("field.mobile"), one.mobile ?? "–"],
        [say("admin.role"), say(one.role === "admin" ? "admin.role_admin" : "admin.role_user")],
        [say("admin.state"), say(one.is_active ? "admin.active" : "admin.inactive")],
        [say("admin.created"), moment(one.created)],
        [say("admin.last_login"), one.last_login ? moment(one.last_login) : "–"],
    ];
    const isAdmin = one.role === "admin";
    const ask = (title, run) => withPassword(title, fill("admin.sure", { name: one.name }), run);
    const deactivate = () => ask(say("admin.deactivate"), () => change({ is_active: false }));
    const end = () =>
        ask(say("admin.end_sessions"), async () => {
            await call("DELETE", `/user/${id}/sessions`);
            await oneUser(id);
            notify(say("admin.sessions_ended"));
        });
    const remove = () =>
        ask(say("admin.delete_user"), async () => {
            await call("DELETE", `/user/${id}`);
            location.assign(at("/admin/users"));
        });
    shown.replaceChildren(
        element("h2", {}, element("bdi", {}, one.name)),
        element("dl", { class: "facts" }, facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
        element(
            "p",
            { class: "buttons" },
            button(say(isAdmin ? "admin.demote" : "admin.promote"), () => ask(say(isAdmin ? "admin.demote" : "admin.promote"), () => change({ role: isAdmin ? "user" : "admin" }))),
            one.is_active ? button(say("admin.deactivate"), deactivate) : button(say("admin.activate"), () => change({ is_active: true })),
            one.sessions.length > 0 && button(say("admin.end_sessions"), end),
            button(say("admin.delete_user"), remove, "danger"),
        ),
        element("h3", {}, say("admin.sessions")),
        element("ul", { class: "rows" }, one.sessions.map((session) => element("li", {}, device(session.user_agent), element("span", { class: "meta" }, ` ${session.ip ?? ""} · ${fill("me.last_used", { when: moment(session.last_used) })}`)))),
        element(
            "p",
            { class: "ways" },
            element("a", { href: at(`/admin/comments?author=${id}`) }, say("admin.comments")),
            element("a", { href: at(`/admin/audit?user=${id}`) }, say("admin.audit")),
        ),
    );
}

async function posts(query) {
    const words = query.get("q") ?? "";
    const read = async (before) => {
        const asked = { size: SIZE, before, ...(words && { q: words }) };
        const { answer } = await call("GET", address("/post/", asked));
        return { items: answer.posts, pagination: answer.pagination };
    };
    const row = (post) => {
        const withdraw = async () => {
            await call("PATCH", `/post/${post.post_id}`, { body: { status: "draft" } });
            await posts(query);
        };
        const remove = () =>
            withPassword(say("post.delete"), fill("admin.sure", { name: post.post_title }), async () => {
                await call("DELETE", `/post/${post.post_id}`);
                await posts(query);
            });
        return [
            element("a", { href: at(`/p/${post.post_id}`), dir: "auto" }, post.post_title),
            element("bdi", {}, post.author),
            whole(moment(post.date)),
            element(
                "span",
                { class: "buttons" },
                element("a", { class: "button quiet", href: at(`/write/${post.post_id}`) }, say("post.edit")),
                button(say("write.withdraw"), withdraw),
                button(say("post.delete"), remove, "danger"),
            ),
        ];
    };
    const headings = [say("write.post_title"), say("admin.author"), say("admin.when"), tools()];
    shown.replaceChildren(searching(say("search.label"), words), ...(await list(headings, read, row, say("list.empty"))));
}

async function comments(query) {
    const asked = Object.fromEntries(["q", "author"].map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value));
    const read = async (before) => {
        // A part of a search may be empty and have more behind it.
        for (let parts = 0; ; parts++) {
            const { comments, pagination } = (await call("GET", address("/comment/", { size: SIZE, before, ...asked }))).answer;
            if (comments.length > 0 || pagination.next === null || parts === SEARCHED) return { items: comments, pagination };
            before = pagination.next;
        }
    };
    const row = (comment) => {
        const remove = () =>
            withPassword(say("admin.delete_comment"), fill("admin.sure", { name: comment.author ?? "" }), async () => {
                await call("DELETE", `/comment/${comment.comment_id}`);
                await comments(query);
            });
        const author = comment.author_id && element("a", { href: at(`/admin/users?id=${comment.author_id}`) }, element("bdi", {}, comment.author));
        return [
            element("span", { dir: "auto" }, shorten(comment.content)),
            author ?? "–",
            whole(element("a", { href: at(`/p/${comment.post_id}?comment=${comment.comment_id}`) }, moment(comment.created))),
            button(say("post.delete"), remove, "danger"),
        ];
    };
    const headings = [say("comments.label"), say("admin.author"), say("admin.when"), tools()];
    shown.replaceChildren(searching(say("admin.find_comment"), asked.q ?? ""), ...(await list(headings, read, row, say("admin.no_comments"))));
}

/** The beginning of a text. */
function shorten(text) {
    const characters = [...text];
    return characters.length > SHOWN ? `${characters.slice(0, SHOWN).join("")}…` : text;
}

async function jobs(query) {
    const state = query.get("state") ?? "";
    const read = async (before) => {
        const asked = { size: SIZE, before, ...(state && { state }) };
        const { answer } = await call("GET", address("/jobs/", asked));
        return { items: answer.jobs, pagination: answer.pagination };
    };
    const names = { waiting: say("admin.waiting"), running: say("admin.running"), done: say("admin.done"), dead: say("admin.dead") };
    const row = (job) => {
        const retry = async () => {
            await call("POST", `/jobs/${job.job_id}/retry`);
            await jobs(query);
        };
        const canRetry = job.state === "dead" || job.state === "waiting";
        return [whole(job.kind), names[job.state] ?? job.state, String(job.attempts), whole(moment(job.created)), job.last_error ?? "", canRetry ? button(say("admin.retry"), retry) : ""];
    };
    const link = (value, text) => element("a", { href: at(`/admin/jobs${value && `?state=${value}`}`), "aria-current": value === state && "page" }, text);
    const headings = [say("admin.kind"), say("admin.state"), say("admin.tries"), say("admin.when"), say("admin.error"), tools()];
    shown.replaceChildren(
        element("p", { class: "ways" }, link("", say("admin.all")), ...Object.entries(names).map(([value, text]) => link(value, text))),
        ...(await list(headings, read, row, say("admin.no_jobs"))),
    );
}

async function audit(query) {
    const who = query.get("user") ?? "";
    const read = async (before) => {
        const asked = { size: SIZE, before, ...(who && { user: who }) };
        const { answer } = await call("GET", address("/audit/", asked));
        return { items: answer.audit, pagination: answer.pagination };
    };
    const person = (id) => (id ? element("a", { href: at(`/admin/users?id=${id}`) }, String(id)) : "–");
    const row = (entry) => [whole(moment(entry.at)), whole(entry.action), person(entry.user_id), person(entry.actor_id), whole(entry.ip), entry.detail];
    const headings = [say("admin.when"), say("admin.action"), say("admin.whose"), say("admin.who"), say("admin.address"), say("admin.detail")];
    shown.replaceChildren(...(await list(headings, read, row, say("admin.no_audit"))));
}

async function keys() {
    const { answer } = await call("GET", "/keys");
    const kinds = { secret: say("admin.key_secret"), shared: say("admin.key_shared"), pair: say("admin.key_pair") };
    const use = (key) => {
        if (key.use === "signs") return say("admin.key_signs");
        if (key.use === "next") return fill("admin.key_next", { when: moment(key.signs_from) });
        if (key.use === "retired") return say("admin.key_retired");
        return key.verifies_until ? fill("admin.key_verifies_until", { when: moment(key.verifies_until) }) : say("admin.key_verifies");
    };
    const made = (key) => (key.created ? [age(key.created), element("span", { class: "meta" }, ` ${moment(key.created)}`)] : "–");
    const row = (key) => [element("code", {}, key.kid), key.alg, kinds[key.kind] ?? key.kind, use(key), element("span", {}, made(key))];
    const headings = [say("admin.key"), say("admin.algorithm"), say("admin.kind"), say("admin.use"), say("admin.age")];
    shown.replaceChildren(table(headings, answer.keys.map(row)), element("p", { class: "meta" }, say("admin.keys_about")));
}

async function health() {
    let state;
    try {
        state = (await call("GET", "/readyz")).answer;
    } catch (refusal) {
        state = { status: refusal.text };
    }
    const dead = (await call("GET", "/jobs/?state=dead&size=1")).answer.pagination.count;
    const waiting = (await call("GET", "/jobs/?state=waiting&size=1")).answer.pagination.count;
    const online = (await call("GET", "/user/online")).answer.total;
    const facts = [
        [say("admin.health"), state.status],
        [say("admin.database"), state.database ?? "–"],
        [say("admin.redis"), state.redis ?? "–"],
        [say("admin.jobs_waiting"), String(waiting)],
        [say("admin.jobs_dead"), String(dead)],
        [say("people.online"), String(online)],
    ];
    shown.replaceChildren(factsOf(facts));
}

/** Names and their values. */
const factsOf = (facts) => element("dl", { class: "facts" }, facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));

async function check() {
    const state = element("p", { role: "status" });
    const report = element("div", { "data-report": true });
    const start = button(say("admin.check_start"), async () => show((await call("POST", "/check")).answer.check), "");
    const show = (checked) => {
        const isUnderWay = checked.state === "waiting" || checked.state === "running";
        start.disabled = isUnderWay;
        report.ariaBusy = String(isUnderWay);
        // Who listens hears it when it changes.
        const text = stateOfCheck(checked);
        if (state.textContent !== text) state.textContent = text;
        report.replaceChildren(...(checked.report ? reportOfCheck(checked.report) : []));
        if (isUnderWay) setTimeout(() => attempt(look), LOOK);
    };
    const look = async () => show((await call("GET", "/check")).answer.check);
    shown.replaceChildren(
        element("p", {}, say("admin.check_about")),
        element("p", { class: "buttons" }, start),
        state,
        report,
    );
    await look();
}

const partsOfCheck = () => ({
    counts: say("admin.check_counts"),
    tags: say("admin.check_tags"),
    search: say("admin.check_search"),
    schedule: say("admin.check_scheduled"),
    comments: say("admin.check_comments"),
    follows: say("admin.check_follows"),
});

function stateOfCheck({ state, part, last_error }) {
    if (state === "never") return say("admin.check_never");
    if (state === "waiting") return last_error ?? say("admin.check_waiting");
    if (state === "running") return fill("admin.check_running", { part: partsOfCheck()[part] ?? part });
    if (state === "failed") return fill("admin.check_failed", { why: last_error ?? "–" });
    return "";
}

/** What the newest check found that came to its end. */
function reportOfCheck({ finished, differences, unindexed, parts, findings }) {
    const kinds = {
        list_count: say("admin.found_list_count"),
        stray_tag: say("admin.found_stray_tag"),
        untagged_post: say("admin.found_untagged_post"),
        unfound_post: say("admin.found_unfound_post"),
        stray_words: say("admin.found_stray_words"),
        unplanned_post: say("admin.found_unplanned_post"),
        post_count: say("admin.found_post_count"),
        stray_post: say("admin.found_stray_post"),
        user_count: say("admin.found_user_count"),
    };
    const names = partsOfCheck();
    const found = (finding) => [kinds[finding.kind] ?? finding.kind, element("code", {}, finding.detail)];
    const part = (one) => [names[one.part] ?? one.part, String(one.read), String(one.differences)];
    return [
        element("h2", {}, differences ? count("admin.check_differences", differences) : say("admin.check_right")),
        element("p", { class: "meta" }, fill("admin.check_finished", { when: moment(finished) })),
        differences > 0 && element("p", {}, say("admin.check_mend"), " ", element("code", {}, "inkpot check --repair")),
        findings.length > 0 && table([say("admin.kind"), say("admin.detail")], findings.map(found)),
        findings.length < differences && element("p", { class: "meta" }, say("admin.check_first")),
        unindexed > 0 && element("p", { class: "meta" }, count("admin.check_unindexed", unindexed)),
        element("h3", {}, say("admin.check_compared")),
        table([say("admin.check_what"), say("admin.check_read"), say("admin.check_wrong")], parts.map(part)),
    ].filter(Boolean);
}
