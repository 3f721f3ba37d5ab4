// Comments: written, answered, changed and deleted on the public API. What is typed stays in this browser until the
// server has it.

import { call, idempotencyKey, mustLogIn, user } from "./api.js";
import { all, element, find, notify, notifyNext, showSanitized } from "./dom.js";
import { enhance } from "./forms.js";
import { deleteLater } from "./later.js";
import { fill, moment, say } from "./words.js";

const KEEP_AFTER = 400; // milliseconds without a key

let post;

/** `isOwn`: whether the post is of who is logged in, or they are an admin. */
export function startComments(postId, isOwn) {
    post = postId;
    for (const time of all("[data-comments] time")) time.title = moment(time.dateTime);
    // Who followed a link to a comment goes on reading there.
    if (/^#comment-\d+$/.test(location.hash)) find(location.hash)?.focus();
    const form = find('[data-form="comment"]');
    if (!user()) return;
    for (const item of all("[data-comment]")) tools(item, isOwn);
    write(form);
}

/** What the session's end takes nothing of: tells it, and goes to log in. */
function sessionOver() {
    notifyNext(say("write.session_over"));
    mustLogIn();
}

/** Keeps what is typed into a field under a name; gives how to forget it. `told` hears whether it is kept. */
function keep(field, name, more = () => ({}), told = () => {}) {
    const place = `inkpot.comment.${user().user_id}.${name}`;
    const initial = field.value;
    let timer;
    const save = () => {
        clearTimeout(timer);
        if (field.value === initial) return localStorage.removeItem(place);
        try {
            localStorage.setItem(place, JSON.stringify({ ...more(), content: field.value, kept: new Date().toISOString() }));
            told(say("write.kept"));
        } catch {
            told(say("write.not_kept"));
        }
    };
    const later = () => {
        clearTimeout(timer);
        timer = setTimeout(save, KEEP_AFTER);
    };
    field.addEventListener("input", later);
    addEventListener("pagehide", save);
    return {
        kept: JSON.parse(localStorage.getItem(place) ?? "null"),
        save,
        forget() {
            clearTimeout(timer);
            field.removeEventListener("input", later);
            removeEventListener("pagehide", save);
            localStorage.removeItem(place);
        },
    };
}

/** The form under the comments. */
function write(form) {
    const { content, reply_to } = form.elements;
    const answered = find("[data-answered]", form);
    const answer = (id) => {
        const author = id && find(`[data-comment="${id}"] [rel="author"]`)?.textContent;
        reply_to.value = id ?? "";
        answered.hidden = !id;
        const stop = element("button", { type: "button", class: "link", onclick: () => answer(null) }, say("confirm.cancel"));
        if (id) answered.replaceChildren(author ? fill("comments.answering", { name: author }) : say("comments.reply_to_other"), " ", stop);
        memory.save();
    };
    const memory = keep(content, `post.${post}`, () => ({ reply_to: reply_to.value }), (text) => (find("[data-kept]", form).textContent = text));
    // Who is logged out meanwhile, elsewhere or by an admin, goes on seeing what they have typed.
    const hold = () => form.toggleAttribute("data-typed", content.value !== "");
    content.addEventListener("input", hold);
    for (const button of all("[data-reply]")) {
        button.addEventListener("click", () => {
            answer(button.dataset.reply);
            content.focus();
        });
    }
    enhance(form, async (given) => {
        memory.save();
        const body = { content: given.content ?? "", ...(given.reply_to && { reply_to: Number(given.reply_to) }) };
        try {
            const headers = { "Idempotency-Key": idempotencyKey({ post, ...body }) };
            const { comment } = (await call("POST", `/post/${post}/comments`, { body, headers })).answer;
            memory.forget();
            notifyNext(say("comments.written"));
            location.assign(`${location.pathname}?comment=${comment.comment_id}`);
        } catch (refusal) {
            if (refusal.status === 401) return sessionOver();
            throw refusal;
        }
    });
    if (memory.kept) {
        content.value = memory.kept.content;
        hold();
        answer(memory.kept.reply_to || null);
        notify(fill("write.restored", { when: moment(memory.kept.kept) }), {
            label: say("write.discard"),
            act() {
                content.value = "";
                hold();
                answer(null);
            },
        });
    }
}

/** What may be done with a comment, beside answering it. */
function tools(item, isOwn) {
    const { comment, author } = item.dataset;
    const isAuthor = author === String(user().user_id);
    if (!isAuthor && !isOwn) return;
    const attempt = async (run) => {
        try {
            await run(item);
        } catch (refusal) {
            if (!("code" in refusal)) throw refusal;
            if (refusal.status === 401) return mustLogIn();
            notify(refusal.text);
        }
    };
    const button = (text, run) => element("button", { type: "button", class: "link", onclick: () => attempt(run) }, text);
    const place = find("[data-tools]", item);
    if (isAuthor) {
        place.append(button(say("post.edit"), edit));
        if (localStorage.getItem(`inkpot.comment.${author}.${comment}`)) attempt(edit);
    }
    place.append(button(say("post.delete"), remove));
}

function remove(item) {
    const path = `/comment/${item.dataset.comment}`;
    return deleteLater(item, path, say("comments.deleted"), async () => {
        // One that was answered leaves its place.
        const left = await call("GET", path).catch((refusal) => (refusal.status === 404 ? null : Promise.reject(refusal)));
        if (!left) return item.remove();
        item.classList.replace("going", "gone");
        item.replaceChildren(element("p", { class: "meta" }, say("comments.gone")));
    });
}

/** A field below a comment, for its author. */
async function edit(item) {
    const id = item.dataset.comment;
    if (find("form", item)) return find("textarea", item).focus();
    const path = `/comment/${id}`;
    let { answer, etag } = await call("GET", path);
    const field = `comment-${id}-content`;
    const content = element("textarea", { id: field, name: "content", rows: 4, required: true, dir: "auto", "aria-describedby": `${field}-error` });
    content.value = answer.comment.content;
    const memory = keep(content, id);
    if (memory.kept) content.value = memory.kept.content;
    const close = () => {
        memory.forget();
        form.remove();
        item.focus();
    };
    const form = element(
        "form",
        { class: "comment", novalidate: true, method: "dialog" },
        element(
            "fieldset",
            {},
            element("div", { class: "field" }, element("label", { for: field }, say("comments.edit")), content, element("p", { class: "error", id: `${field}-error` })),
            element("p", { class: "error", "data-error": true, role: "alert" }),
            element(
                "p",
                { class: "buttons" },
                element("button", { type: "submit" }, say("write.save")),
                element("button", { type: "button", class: "quiet", onclick: close }, say("confirm.cancel")),
            ),
        ),
    );
    const put = (comment) => showSanitized(find(".text", item), comment.content_html);
    enhance(form, async (given) => {
        memory.save();
        try {
            ({ answer, etag } = await call("PATCH", path, { body: { content: given.content ?? "" }, headers: { "If-Match": etag } }));
            put(answer.comment);
            close();
            notify(say("notice.saved"));
        } catch (refusal) {
            if (refusal.status === 401) return sessionOver();
            if (refusal.status !== 412) throw refusal;
            // Changed elsewhere: it is shown as it is, and is what the next try replaces.
            ({ answer, etag } = await call("GET", path));
            put(answer.comment);
            throw { code: refusal.code, errors: [], text: say("comments.changed_meanwhile") };
        }
    });
    item.append(form);
    content.focus();
}
