// Forms: what is typed goes to the API as JSON, and each refusal stands beside its field.

import { all, element, find } from "./dom.js";
import { meaning, say } from "./words.js";

// The field that a refusal without a list is about.
const FIELDS = { wrong_password: "current_password", wrong_code: "code", code_expired: "code", code_used: "code", content_too_large: "content" };

/** What a form has: text that is not empty, and whether boxes are checked. */
export function values(form) {
    const found = {};
    for (const field of all("[name]", form)) {
        if (field.type === "checkbox") {
            if (field.checked) found[field.name] = true;
        } else if (field.value !== "") {
            found[field.name] = field.value;
        }
    }
    return found;
}

/** Takes a form into use: `submit` gets its values, and may throw a refusal. */
export function enhance(form, submit) {
    const fields = find("fieldset", form);
    fields.disabled = false;
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        if (form.ariaBusy === "true") return;
        clear(form);
        form.ariaBusy = "true";
        try {
            await submit(values(form));
        } catch (refusal) {
            show(form, refusal);
        } finally {
            form.ariaBusy = null;
        }
    });
    find("[autofocus]", form)?.focus();
}

function clear(form) {
    for (const field of all("[aria-invalid]", form)) field.removeAttribute("aria-invalid");
    for (const place of all(".error", form)) place.replaceChildren();
}

/** Shows a refusal: of fields beside them, all else above the button. */
export function show(form, refusal) {
    if (!("code" in refusal)) throw refusal;
    const rest = [];
    let first = null;
    const whole = FIELDS[refusal.code];
    const errors = refusal.errors.length === 0 && whole ? [{ pointer: `/${whole}`, code: refusal.code, detail: refusal.text }] : refusal.errors;
    for (const { pointer, code, detail } of errors) {
        const name = pointer.split("/")[1];
        const field = name && find(`[name="${CSS.escape(name)}"]`, form);
        const text = meaning(code) ?? detail;
        const place = field && document.getElementById(`${field.id}-error`);
        if (!place) {
            rest.push(name && !whole ? `${name}: ${text}` : text);
            continue;
        }
        place.append(element("span", {}, text), " ");
        field.setAttribute("aria-invalid", "true");
        first ??= field;
    }
    if (errors.length === 0) rest.push(refusal.text);
    const place = find("[data-error]", form);
    place.replaceChildren(...rest.map((text) => element("span", {}, text)));
    (first ?? find("button", form)).focus();
}

/** Asks before something that cannot be taken back. Gives what was typed, or null. */
export function confirmWith(title, text, { password = false, action }) {
    return new Promise((resolve) => {
        const input = element("input", { type: "password", id: "confirm-password", autocomplete: "current-password", required: true });
        const dialog = element(
            "dialog",
            { "aria-labelledby": "confirm-title" },
            element(
                "form",
                { method: "dialog" },
                element("h2", { id: "confirm-title" }, title),
                element("p", {}, text),
                password && element("div", { class: "field" }, element("label", { for: "confirm-password" }, say("field.password")), input),
                element(
                    "p",
                    { class: "buttons" },
                    element("button", { value: "do", class: "danger" }, action),
                    element("button", { value: "", class: "quiet", formnovalidate: true }, say("confirm.cancel")),
                ),
            ),
        );
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(dialog.returnValue === "do" ? input.value || true : null);
        });
        document.body.append(dialog);
        dialog.showModal();
    });
}
