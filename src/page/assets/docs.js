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

globalThis.SwaggerUIBundle({
    url: at("/openapi.json"),
    dom_id: "#docs",
    deepLinking: true,
    validatorUrl: null,
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
        // The viewer leaves it without a name.
        document.querySelector("#servers")?.setAttribute("aria-label", "Server");
        document.documentElement.dataset.ready = "";
    },
});
