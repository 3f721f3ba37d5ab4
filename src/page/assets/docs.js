// The API's description, to be read and tried out as whoever is logged in here.

import { at, freshToken, user } from "./api.js";
import { fill } from "./words.js";

// The viewer writes HTML that its own sanitizer has seen. What would be a script stays refused.
globalThis.trustedTypes?.createPolicy("default", { createHTML: (html) => html });

const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

function showUser() {
    const known = user();
    if (known) document.querySelector("[data-caller]").textContent = fill("docs.user_named", { name: known.name });
}
addEventListener("inkpot:user", showUser);
showUser();

/** What the viewer leaves out for who does not see it, or has no mouse; what it writes later is mended as well. */
const MENDED = [
    // A link in a button: the button does the same.
    [".opblock-summary-control a[href]", (node) => node.removeAttribute("href")],
    ["h3.opblock-tag", (node) => node.setAttribute("aria-level", "2")],
    ["h4, h5", (node) => node.setAttribute("aria-level", "3")],
    ["button:empty:not([aria-label])", (node) => node.setAttribute("aria-label", "Copy")],
    ["textarea.body-param__text:not([aria-label])", (node) => node.setAttribute("aria-label", "Body")],
    [".opblock-body pre:not([tabindex])", (node) => node.setAttribute("tabindex", "0")],
    ["#servers", (node) => node.setAttribute("aria-label", "Server")],
];
function mend() {
    for (const [selector, how] of MENDED) for (const node of document.querySelectorAll(`#docs ${selector}`)) how(node);
}
new MutationObserver(mend).observe(document.querySelector("#docs"), { childList: true, subtree: true });

globalThis.SwaggerUIBundle({
    url: at("/openapi.json"),
    dom_id: "#docs",
    deepLinking: true,
    validatorUrl: null,
    // Its colours cannot be told apart from the ground by everybody.
    syntaxHighlight: false,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    // The token that the page has, unless another one was given.
    async requestInterceptor(request) {
        const isOwn = new URL(request.url, location.href).origin === location.origin;
        const given = Object.keys(request.headers ?? {}).map((name) => name.toLowerCase());
        if (isOwn && !request.loadSpec && !given.includes("authorization") && !given.includes("jwt")) {
            const token = await freshToken();
            if (token) request.headers = { ...request.headers, Authorization: `Bearer ${token}` };
        }
        return request;
    },
    onComplete() {
        mend();
        document.documentElement.dataset.ready = "";
    },
});
