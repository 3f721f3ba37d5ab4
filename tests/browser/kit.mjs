// What the tests in a browser share: Chromium, people who sit before it, and the mails that they get.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, watch } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, test } from "node:test";

const require = createRequire(join(process.env.NODE_MODULES, "any"));
const { chromium } = require("playwright-core");

/** The servers, of one installation. */
export const SERVERS = process.env.SERVERS.split(",");
export const PASSWORD = "correct horse battery staple";
/** How long anything may take that a test waits for, in milliseconds. */
const PATIENCE = 20_000;
/** Answers that are told of a journey that failed. */
const SHOWN = 60;
const FAILURES = process.env.FAILURES;

// Without these it asks hosts of its maker for things, which a test is not to wait for.
const QUIET = ["disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync", "no-sandbox"];

// No other host is there for it, whatever a document asks for. Requests are not held up for this, as those that Playwright
// routes are: those go by way of this program, each of them, and no document that is opened again has its modules yet.
const ALONE = "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [...QUIET, ALONE].map((flag) => `--${flag}`),
});
after(() => browser.close());

/** Everybody whom a journey seats before a browser; what went wrong in it fails the journey. */
class Room {
    contexts = [];
    pages = [];
    faults = [];
    asked = [];

    /** Somebody with a browser of their own. */
    async person({ server = 0, ...options } = {}) {
        const context = await browser.newContext({ baseURL: SERVERS[server], locale: "en", ...options });
        context.setDefaultTimeout(PATIENCE);
        this.contexts.push(context);
        context.on("request", (request) => {
            const { origin, protocol } = new URL(request.url());
            if (protocol.startsWith("http") && !SERVERS.includes(origin)) {
                this.faults.push(`a request to another host: ${request.url()}`);
            }
        });
        context.on("page", (page) => this.watch(page));
        return context.newPage();
    }

    watch(page) {
        this.pages.push(page);
        const number = this.pages.length;
        page.on("response", (response) => {
            const { pathname, search } = new URL(response.url());
            if (pathname.startsWith("/assets/")) return;
            this.asked.push(`${Math.round(performance.now())} page ${number}: ${response.request().method()} ${pathname}${search} ${response.status()}`);
        });
        page.on("pageerror", (error) => this.faults.push(`${page.url()}: ${error.stack ?? error}`));
        page.on("console", (message) => {
            // Refusals of the API are told by the document; the browser tells them as well.
            const isRefusal = message.text().startsWith("Failed to load resource");
            if (["error", "warning"].includes(message.type()) && !isRefusal) {
                this.faults.push(`${page.url()}: ${message.text()}`);
            }
        });
    }

    async keep(name) {
        if (!FAILURES) return;
        mkdirSync(FAILURES, { recursive: true });
        for (const [number, page] of this.pages.entries()) {
            const path = join(FAILURES, `${name.replace(/\W+/g, "_")}-${number}.png`);
            await page.screenshot({ path, fullPage: true }).catch(() => {});
        }
    }
}

/** A test with people: it reads as a sentence. `timeout` in milliseconds. */
export function journey(sentence, run, timeout = 6 * PATIENCE) {
    test(sentence, { timeout }, async () => {
        const room = new Room();
        try {
            await run(room);
            assert.deepEqual(room.faults, []);
        } catch (error) {
            await room.keep(sentence);
            const told = [sentence, ...room.pages.map((page) => page.url()), ...room.faults, ...room.asked.slice(-SHOWN)];
            process.stderr.write(`${told.join("\n    ")}\n`);
            throw error;
        } finally {
            await Promise.all(room.contexts.map((context) => context.close()));
        }
    });
}

let people = 0;

/** A name that nobody has yet. */
export function someone(name) {
    people += 1;
    const number = `${process.pid}-${people}`;
    return { name: `${name} ${number}`, email: `${name.toLowerCase()}-${number}@example.org`, username: `${name.toLowerCase()}-${number}` };
}

/** The document's modules are at work. */
export async function ready(page) {
    await page.locator("html[data-ready]").waitFor({ state: "attached" });
}

export async function open(page, path) {
    await page.goto(path);
    await ready(page);
}

/** Registers by the form. */
export async function register(page, who) {
    await open(page, "/register");
    await page.getByLabel("Name", { exact: true }).fill(who.name);
    await page.getByLabel("E-mail").fill(who.email);
    await page.getByLabel("Username").fill(who.username);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Register" }).click();
    await page.getByText("Welcome! Your account is there.").waitFor();
    await ready(page);
}

/** Fills the form to log in, and sends it. */
export async function tryToLogIn(page, account, password = PASSWORD) {
    await open(page, "/login");
    await page.getByLabel("E-mail, username or mobile number").fill(account);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
}

/** Logs in by the form, and is at home then. */
export async function logIn(page, account, password) {
    await tryToLogIn(page, account, password);
    await page.waitForURL(({ pathname }) => pathname !== "/login");
    await ready(page);
}

/** Waits until an address has nothing any more, or what is `left` of it. */
export async function gone(address, left = () => false) {
    const end = Date.now() + PATIENCE;
    for (;;) {
        const response = await fetch(address);
        const text = await response.text();
        const { status } = response;
        if (status === 404 || left(text)) return;
        assert.ok(Date.now() < end, `${address} is still there: ${status}`);
    }
}

/** Reads a document again until it shows something: other servers hear of a change a moment later. */
export async function comesUp(page, what) {
    const end = Date.now() + PATIENCE;
    for (;;) {
        await page.reload();
        if (await what.first().isVisible()) return;
        assert.ok(Date.now() < end, `${page.url()} does not show it`);
    }
}

/** Publishes by the form, and is at the post then. */
export async function publish(page, title, content, tags = "") {
    await open(page, "/write");
    await page.getByLabel("Title").fill(title);
    await page.getByLabel("Text", { exact: true }).fill(content);
    await page.getByLabel("Tags").fill(tags);
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByText("It is published.").waitFor();
    await ready(page);
}

/** Calls the API, as a program would. */
export async function api(method, path, body, token, server = 0) {
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(SERVERS[server] + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
}

/** Makes an account by the API; gives its token and id. */
export async function account(who) {
    const answer = await api("POST", "/user/reg", { ...who, password: PASSWORD });
    return { token: answer.token, id: answer.userinfo.user_id };
}

/** Makes somebody an admin, as who runs the server does. */
export function promote(email) {
    execFileSync(process.env.PROGRAM, ["user", "promote", email], { stdio: "pipe" });
}

/** Mends what is kept wrong, as who runs the server does. */
export function repair() {
    execFileSync(process.env.PROGRAM, ["check", "--repair"], { stdio: "pipe" });
}

/** Has the database do something that the program would not. */
export function sql(statement) {
    const { DATABASE_URL, INKPOT_DATA_DIR } = process.env;
    if (!DATABASE_URL) {
        const database = new (require("node:sqlite").DatabaseSync)(join(INKPOT_DATA_DIR, "inkpot.db"), { timeout: PATIENCE });
        database.exec(statement);
        return database.close();
    }
    const { hostname, port, username, password, pathname } = new URL(DATABASE_URL);
    const options = [`--host=${hostname}`, `--port=${port}`, `--user=${username}`, "--protocol=tcp", pathname.slice(1)];
    execFileSync("mariadb", options, { input: statement, env: { ...process.env, MYSQL_PWD: decodeURIComponent(password) }, stdio: ["pipe", "pipe", "pipe"] });
}

/** The six digits of the newest mail to an address, as soon as it is there. */
export function codeFor(address) {
    const outbox = process.env.OUTBOX;
    const read = () => {
        const mails = readdirSync(outbox).filter((name) => name.endsWith(".eml")).sort();
        const texts = mails.map((name) => readFileSync(join(outbox, name), "utf8"));
        const own = texts.filter((text) => text.includes(`To: ${address}`)).at(-1);
        return own?.match(/\b(\d{6})\b/)?.[1];
    };
    mkdirSync(outbox, { recursive: true });
    return new Promise((resolve, reject) => {
        const watcher = watch(outbox, () => look());
        const end = setTimeout(() => {
            watcher.close();
            reject(new Error(`no mail to ${address}`));
        }, PATIENCE);
        const look = () => {
            const code = read();
            if (!code) return;
            clearTimeout(end);
            watcher.close();
            resolve(code);
        };
        look();
    });
}

export { assert, browser, require };
