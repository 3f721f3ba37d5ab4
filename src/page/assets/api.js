// The public API, as any other client uses it. The token is in memory only; the refresh token is in a cookie that no
// script sees.

import { fill, meaning, say } from "./words.js";

const base = document.documentElement.dataset.base;
const USER = "inkpot.user";
// Seconds before its end from which on a token is not used any more.
const MARGIN = 20;

let token = null;
let ends = 0;
let refreshing = null;

/** A refusal. */
export class Refusal extends Error {
    constructor(status, problem, retryAfter) {
        super(problem.code);
        this.status = status;
        this.code = problem.code;
        this.detail = problem.detail;
        this.errors = problem.errors ?? [];
        this.requestId = problem.request_id;
        this.retryAfter = retryAfter;
    }

    /** For people, in their language. */
    get text() {
        if (this.status === 429 && this.retryAfter) return fill("code.wait", { seconds: this.retryAfter });
        const text = meaning(this.code) ?? this.detail ?? say("code.other");
        return this.status === 500 ? `${text} (${this.requestId})` : text;
    }
}

/** The address of a path of this server. */
export function at(path) {
    return base + path;
}

/** Who is logged in, as far as this browser knows. */
export function user() {
    try {
        return JSON.parse(localStorage.getItem(USER));
    } catch {
        return null;
    }
}

/** Keeps what a token answer says. */
export function logIn(answer) {
    token = answer.token;
    ends = Date.now() + (answer.expires_in - MARGIN) * 1000;
    remember(answer.userinfo);
}

/** Keeps who is logged in, for the header of the documents to come. */
export function remember({ user_id, name, username, role }) {
    const text = JSON.stringify({ user_id, name, username, role });
    if (text !== localStorage.getItem(USER)) localStorage.setItem(USER, text);
    document.documentElement.dataset.in = role;
    dispatchEvent(new CustomEvent("inkpot:user"));
}

/** Forgets who was logged in. */
export function forget() {
    token = null;
    localStorage.removeItem(USER);
    delete document.documentElement.dataset.in;
}

// Another tab has logged out or in.
addEventListener("storage", ({ key, newValue }) => {
    if (key !== USER) return;
    token = null;
    if (newValue) document.documentElement.dataset.in = JSON.parse(newValue).role;
    else delete document.documentElement.dataset.in;
    dispatchEvent(new CustomEvent("inkpot:user"));
});

async function send(method, path, { body, headers = {}, keepalive = false, credentials = "same-origin" } = {}) {
    const init = { method, headers: { ...headers }, credentials, keepalive };
    if (body !== undefined) {
        init.headers["Content-Type"] = "application/json";
        init.body = JSON.stringify(body);
    }
    let response;
    try {
        response = await fetch(at(path), init);
    } catch {
        throw new Refusal(0, { code: "network" });
    }
    const kind = response.headers.get("Content-Type") ?? "";
    const answer = kind.includes("json") ? await response.json() : null;
    if (!response.ok) {
        const problem = answer ?? { code: "other", request_id: response.headers.get("X-Request-Id") };
        throw new Refusal(response.status, problem, response.headers.get("Retry-After"));
    }
    return { answer, etag: response.headers.get("ETag"), status: response.status };
}

/** A token that is good for a while; null for a guest. */
export async function freshToken() {
    if (token && Date.now() < ends) return token;
    if (!user()) return null;
    // All who need one wait for the same.
    refreshing ??= renew().finally(() => (refreshing = null));
    return refreshing;
}

/** The token is over, whatever its time: the next who needs one renews it. */
export function dropToken() {
    token = null;
}

async function renew() {
    try {
        logIn((await send("POST", "/user/refresh")).answer);
        return token;
    } catch (refusal) {
        if (refusal.status !== 401) throw refusal;
        forget();
        dispatchEvent(new CustomEvent("inkpot:user"));
        return null;
    }
}

/** Calls the API as whoever is logged in; gives { answer, etag }. A token that has ended is renewed, once. */
export async function call(method, path, options = {}) {
    for (let tries = 0; ; tries++) {
        const own = await freshToken();
        const headers = own ? { ...options.headers, Authorization: `Bearer ${own}` } : options.headers;
        try {
            return await send(method, path, { ...options, headers });
        } catch (refusal) {
            const hasEnded = refusal.status === 401 && ["token_expired", "invalid_token", "session_ended"].includes(refusal.code);
            if (!hasEnded || !own || tries > 0) throw refusal;
            token = null;
        }
    }
}

/** Calls the API at once, with the token that is there, and goes on when the document goes: for last things. */
export function callLast(method, path) {
    const headers = { Authorization: `Bearer ${token}` };
    send(method, path, { headers, keepalive: true }).catch(() => {});
}

const keys = new Map();

/** The key of a request: the same that is sent twice from here, after an answer that was lost, is done once. */
export function idempotencyKey(body) {
    const text = JSON.stringify(body);
    if (!keys.has(text)) keys.set(text, crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`);
    return keys.get(text);
}

/** Calls the API as a guest. */
export function ask(method, path, options) {
    return send(method, path, options);
}

/** Sees that this is the password of who is logged in; the session that this takes ends at once, and is not the page's. */
export async function checkPassword(password) {
    const { answer } = await call("GET", "/user/me");
    const body = { account: answer.userinfo.email, password };
    const { refresh_token } = (await send("POST", "/user/login", { body, credentials: "omit" })).answer;
    await send("POST", "/user/logout", { body: { refresh_token }, credentials: "omit" });
}

/** Ends the session. */
export async function logOut(everywhere = false) {
    const own = await freshToken().catch(() => null);
    const headers = own ? { Authorization: `Bearer ${own}` } : {};
    await send("POST", "/user/logout", { headers, body: everywhere ? { everywhere } : undefined });
    forget();
}

/** Goes to log in and comes back here. */
export function mustLogIn() {
    const here = location.pathname.slice(base.length) + location.search;
    location.assign(at(`/login?next=${encodeURIComponent(here)}`));
}
