// Registering, logging in, a forgotten password, a code.

import { ask, at, call, logIn, mustLogIn, user } from "./api.js";
import { all, find, notify, notifyNext } from "./dom.js";
import { enhance } from "./forms.js";
import { say } from "./words.js";

const RESET = "inkpot.reset";

const PAGES = { login, register, forgot, reset, verify };

export function start(page) {
    PAGES[page](find(`[data-form="${page}"]`));
    // Who registers first comes back as well.
    for (const link of all("main a[href]")) if (location.search && /\/(login|register)$/.test(link.pathname)) link.search = location.search;
}

/** Goes where somebody came from, or home. */
function goOn() {
    const next = new URLSearchParams(location.search).get("next") ?? "/";
    // Only within this site.
    const isOwn = next.startsWith("/") && !next.startsWith("//") && !next.includes("\\");
    location.assign(at(isOwn ? next : "/"));
}

function login(form) {
    enhance(form, async (given) => {
        logIn((await ask("POST", "/user/login", { body: { ...given, cookie: true } })).answer);
        goOn();
    });
}

function register(form) {
    enhance(form, async (given) => {
        logIn((await ask("POST", "/user/reg", { body: { ...given, cookie: true } })).answer);
        notifyNext(say("notice.welcome"));
        goOn();
    });
}

function forgot(form) {
    enhance(form, async ({ account = "" }) => {
        const { answer } = await ask("POST", "/user/password/forgot", { body: { account } });
        sessionStorage.setItem(RESET, JSON.stringify({ account, reset_id: answer?.reset_id }));
        notifyNext(say("notice.code_sent"));
        location.assign(at("/reset"));
    });
}

function reset(form) {
    const asked = JSON.parse(sessionStorage.getItem(RESET) ?? "{}");
    form.elements.account.value = asked.account ?? "";
    enhance(form, async (given) => {
        const isSame = given.account === asked.account && asked.reset_id;
        const body = isSame ? { ...given, reset_id: asked.reset_id } : given;
        await ask("POST", "/user/password/reset", { body });
        sessionStorage.removeItem(RESET);
        notifyNext(say("notice.password_changed"));
        location.assign(at("/login"));
    });
}

function verify(form) {
    if (!user()) return mustLogIn();
    const send = find('[data-form="send"]');
    const channel = send.elements.channel;
    channel.value = new URLSearchParams(location.search).get("channel") ?? "email";
    enhance(send, async () => {
        await call("POST", "/user/me/verify/send", { body: { channel: channel.value } });
        notify(say("notice.code_sent"));
        form.elements.code.focus();
    });
    enhance(form, async ({ code = "" }) => {
        await call("POST", "/user/me/verify", { body: { channel: channel.value, code } });
        notifyNext(say("notice.verified"));
        location.assign(at("/me"));
    });
}
