// Writing: a new post or one that is there. What is typed stays in this browser until the server has it.

import { at, call, idempotencyKey, mustLogIn, user } from "./api.js";
import { all, element, find, notify, notifyNext, showSanitized } from "./dom.js";
import { enhance, show } from "./forms.js";
import { fill, moment, say } from "./words.js";

const KEEP_AFTER = 400; // milliseconds without a key
const OFFERED = 10; // tags

let form;
let postId = null;
let etag = null;
let status = null;
// When the post is published by itself: to the microsecond, and as the field shows it.
let scheduled = { exact: null, shown: "" };
let place;
let timer;

const field = (name) => form.elements[name];

export async function start() {
    form = find('[data-form="write"]');
    postId = location.pathname.match(/\/write\/(\d+)\/?$/)?.[1] ?? null;
    if (!user()) return mustLogIn();
    place = `inkpot.writing.${user().user_id}.${postId ?? "new"}`;
    if (postId) {
        try {
            await load();
        } catch (refusal) {
            find("fieldset", form).disabled = false;
            return show(form, refusal);
        }
    }
    restore();
    tabs();
    tags();
    form.addEventListener("input", () => {
        labels();
        clearTimeout(timer);
        timer = setTimeout(keep, KEEP_AFTER);
    });
    addEventListener("pagehide", keep);
    let wanted = "published";
    for (const button of all("button[type=submit]", form)) button.addEventListener("click", () => (wanted = button.value));
    find("[data-zone]", form).textContent = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
    enhance(form, () => save(wanted));
    labels();
    // At its beginning: a long text would move the document to its end.
    const first = field(postId ? "content" : "title");
    first.setSelectionRange(0, 0);
    first.focus({ preventScroll: true });
}

/** Fills the form with the post as it is. */
async function load() {
    const { answer, etag: seen } = await call("GET", `/post/${postId}`);
    etag = seen;
    put(answer.post);
}

function put(post) {
    status = post.status;
    field("title").value = post.post_title;
    field("content").value = post.post_content;
    field("tags").value = post.tags.join(", ");
    field("format").value = post.format;
    scheduled = post.publish_at ? { exact: post.publish_at, shown: local(post.publish_at) } : { exact: null, shown: "" };
    field("publish_at").value = scheduled.shown;
}

/** A moment as a field for date and time has it, by the reader's own clock. */
function local(text) {
    const time = new Date(text);
    const two = (number) => String(number).padStart(2, "0");
    return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** What a post that is to be published gets: at once, or at the time of the field, which leaves a finer one as it is. */
function publication() {
    const { value } = field("publish_at");
    if (!value || status === "published") return { status: "published" };
    const time = new Date(value);
    // What this browser's clock does not know the API refuses.
    const exact = Number.isNaN(time.getTime()) ? value : time.toISOString();
    const publish_at = value === scheduled.shown ? scheduled.exact : exact;
    return { status: "scheduled", publish_at };
}

function labels() {
    const isPublished = status === "published";
    const publish = isPublished ? "write.save" : field("publish_at").value ? "write.schedule" : "write.publish";
    find("[data-publish]", form).textContent = say(publish);
    if (isPublished) find("[data-draft]", form).textContent = say("write.withdraw");
    find("[data-publish-at]", form).hidden = isPublished;
}

function typed() {
    const tags = field("tags").value.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean);
    return {
        title: field("title").value,
        content: field("content").value,
        tags,
        format: field("format").value,
        publish_at: field("publish_at").value,
    };
}

/** Keeps what is typed in this browser. */
function keep() {
    clearTimeout(timer);
    if (!place) return;
    const now = typed();
    if (!now.title && !now.content) return localStorage.removeItem(place);
    try {
        localStorage.setItem(place, JSON.stringify({ ...now, etag, kept: new Date().toISOString() }));
        find("[data-kept]", form).textContent = say("write.kept");
    } catch {
        find("[data-kept]", form).textContent = say("write.not_kept");
    }
}

/** Takes what was typed and not saved. */
function restore() {
    const kept = JSON.parse(localStorage.getItem(place) ?? "null");
    if (!kept) return;
    const { kept: when, etag: based, ...was } = kept;
    if (JSON.stringify(was) === JSON.stringify(typed())) return localStorage.removeItem(place);
    const before = typed();
    const take = ({ title, content, tags, format, publish_at = "" }) => {
        field("title").value = title;
        field("content").value = content;
        field("tags").value = tags.join(", ");
        field("format").value = format;
        field("publish_at").value = publish_at;
        labels();
    };
    take(was);
    // What was written on another state of the post is saved against that one, and told.
    const present = etag;
    if (postId) etag = based;
    notify(fill("write.restored", { when: moment(when) }), {
        label: say("write.discard"),
        act() {
            etag = present;
            take(before);
            localStorage.removeItem(place);
        },
    });
}

async function save(wanted) {
    const body = { ...typed(), publish_at: undefined, ...(wanted === "published" ? publication() : { status: wanted }) };
    keep();
    try {
        const { answer } = postId
            ? await call("PATCH", `/post/${postId}`, { body, headers: { "If-Match": etag } })
            : await call("POST", "/post/pub", { body, headers: { "Idempotency-Key": idempotencyKey(body) } });
        const { post } = answer;
        // What is saved need not be kept.
        const done = place;
        place = null;
        clearTimeout(timer);
        localStorage.removeItem(done);
        notifyNext(notice(post));
        location.assign(at(post.status === "published" ? `/p/${post.post_id}` : "/me"));
    } catch (refusal) {
        if (refusal.status === 401) {
            notifyNext(say("write.session_over"));
            return mustLogIn();
        }
        if (refusal.status !== 412) throw refusal;
        await conflict(body, wanted);
    }
}

/** What is told of a post that was saved. */
function notice(post) {
    if (post.status === "scheduled") return fill("notice.scheduled", { when: moment(post.publish_at) });
    return say(post.status === "published" ? "notice.published" : "notice.drafted");
}

/** Somebody else has saved meanwhile: shows both, and asks. */
async function conflict(own, wanted) {
    const { answer, etag: present } = await call("GET", `/post/${postId}`);
    const theirs = answer.post;
    const box = find("[data-conflict]", form);
    const shown = (id, title, content) =>
        element(
            "div",
            { class: "version" },
            element("h3", { id }, title),
            element("textarea", { readonly: true, rows: 10, "aria-labelledby": id, dir: "auto" }, content),
        );
    const takeTheirs = () => {
        etag = present;
        put(theirs);
        labels();
        localStorage.removeItem(place);
        box.replaceChildren();
        field("content").focus();
    };
    const saveOwn = async () => {
        etag = present;
        box.replaceChildren();
        try {
            await save(wanted);
        } catch (refusal) {
            show(form, refusal);
        }
    };
    const heading = element("h2", { tabindex: "-1" }, say("conflict.title"));
    box.replaceChildren(
        element(
            "div",
            { class: "conflict" },
            heading,
            element("p", {}, fill("conflict.about", { when: moment(theirs.updated) })),
            element(
                "div",
                { class: "row" },
                shown("conflict-theirs", fill("conflict.theirs", { title: theirs.post_title }), theirs.post_content),
                shown("conflict-own", fill("conflict.own", { title: own.title }), own.content),
            ),
            element(
                "p",
                { class: "buttons" },
                element("button", { type: "button", onclick: saveOwn }, say("conflict.save_own")),
                element("button", { type: "button", class: "quiet", onclick: takeTheirs }, say("conflict.take_theirs")),
            ),
        ),
    );
    heading.focus();
}

/** Source and preview, by mouse and by arrows. */
function tabs() {
    const [source, preview] = all('[role="tab"]', form);
    const choose = async (chosen) => {
        for (const tab of [source, preview]) {
            const isChosen = tab === chosen;
            tab.setAttribute("aria-selected", String(isChosen));
            tab.tabIndex = isChosen ? 0 : -1;
            document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
        }
        chosen.focus();
        if (chosen === preview) await renderPreview();
    };
    for (const tab of [source, preview]) {
        tab.addEventListener("click", () => choose(tab));
        tab.addEventListener("keydown", ({ key }) => {
            if (key === "ArrowLeft" || key === "ArrowRight") choose(tab === source ? preview : source);
        });
    }
}

async function renderPreview() {
    const shown = find("[data-preview]", form);
    const { content, format } = typed();
    if (!content) return shown.replaceChildren(element("p", { class: "meta" }, say("write.nothing")));
    try {
        const { answer } = await call("POST", "/post/preview", { body: { content, format } });
        showSanitized(shown, answer.post_html);
    } catch (refusal) {
        shown.replaceChildren(element("p", { class: "error" }, refusal.text));
    }
}

/** Completes the tag that is being typed: by those of one's own last posts, and by those that begin so, which most posts have first. */
async function tags() {
    const input = field("tags");
    const split = () => input.value.match(/^(.*[,，]\s*)?(.*)$/s).slice(1);
    // Either may come first.
    let own = [];
    let others = [];
    const offer = () => {
        const [before = ""] = split();
        const some = [...new Set([...own, ...others])];
        find("#tag-list").replaceChildren(...some.map((tag) => element("option", { value: before + tag })));
    };
    input.addEventListener("input", async () => {
        others = [];
        offer();
        const [, begun] = split();
        if (!begun.trim()) return;
        const query = new URLSearchParams({ q: begun.trim(), size: OFFERED });
        const found = await call("GET", `/tag/?${query}`).catch(() => null);
        // Unless somebody has typed on meanwhile.
        if (!found || split()[1] !== begun) return;
        others = found.answer.tags.map(({ tag }) => tag);
        offer();
    });
    const found = await call("GET", `/post/?author=${user().user_id}&size=100`).catch(() => null);
    own = [...new Set((found?.answer.posts ?? []).flatMap((post) => post.tags))].sort();
    offer();
}
