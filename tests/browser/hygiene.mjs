// What is true of every document: valid HTML, nothing that a screen reader stumbles over, nothing asked of another
// host, nothing that moves while it loads, for guests and for who is logged in, light and dark, wide and narrow.

import { PASSWORD, account, api, assert, journey, logIn, open, ready, require, someone } from "./kit.mjs";

const { HtmlValidate } = require("html-validate");
const axe = require.resolve("axe-core/axe.min.js");

const LONG = "Donaudampfschifffahrtsgesellschaft".repeat(7);

/** A site with posts of all kinds; gives its addresses. */
async function site() {
    const who = someone("Ann");
    const { token, id } = await account(who);
    const content = "# Part\n\nText with `code`, a [link](https://example.org/) and a note[^1].\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nlong ".concat("line ".repeat(60), "\n```\n\n- [x] done\n\n> said\n\n[^1]: Here.");
    const posts = [];
    for (const body of [
        { title: "A post", content, tags: ["one", "two words"] },
        { title: "مرحبا", content: "نص قصير", tags: ["عربي"] },
        { title: LONG, content: LONG, tags: ["long"] },
        { title: "<b>&\"' title", content: "x", format: "text", tags: ["<i>&\"'"] },
    ]) {
        posts.push((await api("POST", "/post/pub", body, token)).post_id);
    }
    const comments = `/post/${posts[0]}/comments`;
    const { comment } = await api("POST", comments, { content: "Well *said*[^1].\n\n[^1]: Or `put`." }, token);
    await api("POST", comments, { content: "مرحبا", reply_to: comment.comment_id }, token);
    await api("POST", comments, { content: LONG, reply_to: comment.comment_id }, token);
    await api("PUT", `/post/${posts[0]}/like`, undefined, token);
    const addresses = [
        "/",
        ...posts.map((post) => `/p/${post}`),
        "/t/two%20words",
        `/@${who.username}`,
        `/u/${id}`,
        "/archive",
        `/archive/${new Date().toISOString().slice(0, 7)}`,
        "/tags",
        "/tags?q=nothingthere",
        "/search",
        "/search?q=post",
        "/search?q=nothingthere",
        "/nothing",
        "/login",
        "/register",
        "/forgot",
        "/reset",
        "/people",
        "/admin",
    ];
    return { who, addresses, own: ["/", `/p/${posts[0]}`, "/write", `/write/${posts[0]}`, "/me", "/verify", "/people", "/following", `/@${who.username}`] };
}

journey("every document is valid HTML", async (room) => {
    const { addresses, own } = await site();
    const validator = new HtmlValidate({
        extends: ["html-validate:standard"],
        rules: {
            // Taste, of which the template has its own.
            "no-inline-style": "error",
            "void-style": ["error", { style: "omit" }],
            "attribute-boolean-style": "off",
            "doctype-style": "off",
            "long-title": "off",
            "prefer-native-element": "off",
            "no-trailing-whitespace": "off",
            "no-raw-characters": "off",
            "tel-non-breaking": "off",
        },
    });
    const reader = await room.person();
    const faults = [];
    for (const address of new Set([...addresses, ...own, "/docs"])) {
        const html = await (await reader.request.get(address)).text();
        const { results } = validator.validateStringSync(html);
        for (const { messages } of results) faults.push(...messages.map(({ ruleId, message, line, column }) => `${address}:${line}:${column} ${ruleId}: ${message}`));
    }
    assert.deepEqual(faults, []);
});

async function look(page, address, faults, size) {
    const found = await page.evaluate(async () => {
        const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.any.map((check) => check.message).join("; ")}`).join(" | ")}`);
    });
    faults.push(...found.map((text) => `${address} ${size}: ${text}`));
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (overflow > 0) faults.push(`${address} ${size}: ${overflow} pixels wider than the window`);
}

journey("nobody stumbles: axe finds nothing, and nothing is wider than the window", async (room) => {
    const { who, addresses, own } = await site();
    const faults = [];
    for (const [size, options] of [
        ["narrow, dark", { viewport: { width: 320, height: 640 }, colorScheme: "dark", isMobile: true }],
        ["wide, light", { viewport: { width: 1400, height: 900 }, colorScheme: "light" }],
    ]) {
        const page = await room.person({ ...options, bypassCSP: true });
        await page.addInitScript({ path: axe });
        for (const address of addresses) {
            await open(page, address);
            await look(page, address, faults, size);
        }
        await logIn(page, who.email);
        await page.getByRole("button", { name: "Log out", exact: true }).waitFor();
        for (const address of own) {
            await open(page, address);
            await look(page, `${address} logged in`, faults, size);
        }
    }
    assert.deepEqual(faults, []);
});

journey("nothing moves while a document loads", async (room) => {
    const { who, addresses, own } = await site();
    const page = await room.person();
    await page.addInitScript(() => {
        globalThis.shifts = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) globalThis.shifts += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
    });
    const moved = [];
    const see = async (address) => {
        await open(page, address);
        const shifts = await page.evaluate(() => globalThis.shifts);
        if (shifts > 0.01) moved.push(`${address}: ${shifts}`);
    };
    for (const address of addresses.filter((address) => address !== "/people")) await see(address);
    await logIn(page, who.email);
    await page.getByRole("button", { name: "Log out", exact: true }).waitFor();
    // Where lists are filled in later, there is nothing below them yet.
    for (const address of own.filter((address) => !["/me", "/people", "/following"].includes(address))) await see(address);
    assert.deepEqual(moved, []);
});

journey("one goes through the site by keys alone", async (room) => {
    const { who } = await site();
    const page = await room.person();
    await open(page, "/login");
    await page.locator("body").press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.type(who.email);
    await page.keyboard.press("Tab");
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Log out", exact: true }).waitFor();
    await ready(page);
});

