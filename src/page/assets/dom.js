// Documents change by nodes, never by text that is read as HTML, but for what the server's sanitizer wrote.

const policy = globalThis.trustedTypes?.createPolicy("inkpot", { createHTML: (html) => html }) ?? {
    createHTML: (html) => html,
};

/** Shows `post_html` of the API, and nothing else. */
export function showSanitized(node, html) {
    node.innerHTML = policy.createHTML(html);
}

/** An element; attributes that begin with "on" are listeners, false and null are left out. */
export function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
        else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return node;
}

/** A time element. */
export function time(text, shown) {
    return element("time", { datetime: text }, shown);
}

export function find(selector, within = document) {
    return within.querySelector(selector);
}

export function all(selector, within = document) {
    return [...within.querySelectorAll(selector)];
}

/** Tells something for a while, also to who listens; with an action it has a button. */
export function notify(text, action) {
    const notices = find("[data-notices]");
    const close = () => notice.remove();
    const notice = element("p", { class: "notice" }, text);
    if (action) {
        const act = () => {
            close();
            action.act();
        };
        notice.append(" ", element("button", { type: "button", class: "quiet", onclick: act }, action.label));
    }
    notices.replaceChildren(notice);
    return close;
}

const NOTICE = "inkpot.notice";

/** Tells something on the document that comes next. */
export function notifyNext(text) {
    sessionStorage.setItem(NOTICE, text);
}

/** Tells what the document before this one wanted told. */
export function notifyHere() {
    const text = sessionStorage.getItem(NOTICE);
    sessionStorage.removeItem(NOTICE);
    if (text) notify(text);
}
