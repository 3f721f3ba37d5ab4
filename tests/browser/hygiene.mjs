// What is true of every document: valid HTML, nothing that a screen reader stumbles over, nothing asked of another
// host, nothing that moves while it loads, for guests and for who is logged in, light and dark, wide and narrow.

import { PASSWORD, account, api, assert, journey, logIn, open, promote, ready, require, someone } from "./kit.mjs";

const { HtmlValidate } = require("html-validate");
const axe = require.resolve("axe-core/axe.min.js");

const PARTS = ["users", "posts", "comments", "jobs", "audit", "keys", "health", "check"];
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
        { title: "Donau ".repeat(43).slice(0, 256), content: "Of 256 characters.", tags: ["x".repeat(32)] },
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
    const boss = someone("Root");
    await account(boss);
    promote(boss.email);
    return { who, boss, id, posts, addresses, own: ["/", `/p/${posts[0]}`, "/write", `/write/${posts[0]}`, "/me", "/verify", "/people", "/following", `/@${who.username}`] };
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
        const text = ({ html, any, all, none }) => `${html.slice(0, 160)} ${[...any, ...all, ...none].map((check) => check.message).join("; ")}`;
        return violations.map(({ id, nodes }) => [id, `${nodes.length}: ${nodes.slice(0, 5).map(text).join(" | ")}`]);
    });
    faults.push(...found.map(([id, text]) => `${address} ${size}: ${id} ${text}`));
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (overflow > 0) faults.push(`${address} ${size}: ${overflow} pixels wider than the window`);
}

const SIZES = [
    ["narrow, dark", { viewport: { width: 320, height: 640 }, colorScheme: "dark", isMobile: true }],
    ["wide, light", { viewport: { width: 1400, height: 900 }, colorScheme: "light" }],
];

/** Somebody whose documents axe looks at. */
async function watched(room, options) {
    const page = await room.person({ ...options, bypassCSP: true });
    await page.addInitScript({ path: axe });
    return page;
}

journey("nobody stumbles: axe finds nothing, and nothing is wider than the window", async (room) => {
    const { who, addresses, own } = await site();
    const faults = [];
    for (const [size, options] of SIZES) {
        const page = await watched(room, options);
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
        await open(page, "/write");
        await page.getByRole("button", { name: "Publish" }).click();
        await page.locator("#write-title-error span").waitFor();
        await look(page, "/write refused", faults, size);
        await page.getByLabel("Text", { exact: true }).fill("# Part\n\nText with `code`.");
        await page.getByRole("tab", { name: "Preview" }).click();
        await page.locator("[data-preview] code").waitFor();
        await look(page, "/write previewed", faults, size);
    }
    assert.deepEqual(faults, []);
});

journey("nor does an admin", async (room) => {
    const { boss, id, posts } = await site();
    const faults = [];
    for (const [size, options] of SIZES) {
        const page = await watched(room, options);
        await logIn(page, boss.email);
        for (const part of PARTS) {
            await open(page, `/admin/${part}`);
            await look(page, `/admin/${part}`, faults, size);
        }
        await open(page, `/admin/users?id=${id}`);
        await look(page, "a user", faults, size);
        await page.getByRole("button", { name: "Deactivate" }).click();
        await page.getByRole("dialog").waitFor();
        await look(page, "a question", faults, size);
        await open(page, `/p/${posts[0]}`);
        await look(page, "somebody's post", faults, size);
    }
    assert.deepEqual(faults, []);
});

journey("nor does who reads the API", async (room) => {
    const { who } = await site();
    const faults = [];
    for (const [size, options] of SIZES) {
        const page = await watched(room, options);
        await logIn(page, who.email);
        await open(page, "/docs");
        await look(page, "/docs", faults, size);
        const operation = page.locator("#operations-posts-publish");
        await operation.locator(".opblock-summary-control").click();
        await operation.getByRole("button", { name: "Try it out" }).click();
        await operation.getByRole("button", { name: "Execute" }).click();
        await operation.locator(".live-responses-table").waitFor();
        await look(page, "/docs tried out", faults, size);
    }
    assert.deepEqual(faults, []);
});

journey("the policy of each document is strict, and holds in the browser", async (room) => {
    const { who, addresses, own } = await site();
    const page = await room.person();
    await logIn(page, who.email);
    for (const address of new Set([...addresses, ...own, "/docs"])) {
        const answer = await page.goto(address);
        const policy = answer.headers()["content-security-policy"];
        assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/, address);
        assert.match(policy, /frame-ancestors 'none'; require-trusted-types-for 'script'/, address);
        assert.doesNotMatch(policy, /unsafe|nonce|\*/, address);
    }
    for (const address of ["/", "/docs"]) {
        await open(page, address);
        const refused = await page.evaluate(() => {
            const isRefused = (run) => {
                try {
                    run();
                    return false;
                } catch (error) {
                    return error instanceof TypeError;
                }
            };
            const made = (name) => document.createElement(name);
            return {
                address: isRefused(() => (made("script").src = "/x.js")),
                text: isRefused(() => (made("script").text = "globalThis.ran = true")),
                handler: isRefused(() => made("p").setAttribute("onclick", "globalThis.ran = true")),
                document: isRefused(() => (made("iframe").srcdoc = "<script>1</script>")) || location.pathname === "/docs",
            };
        });
        assert.deepEqual(refused, { address: true, text: true, handler: true, document: true }, address);
    }
    // The browser tells what it has refused.
    room.faults = room.faults.filter((text) => !/Trusted|trusted/.test(text));
});

journey("who wants nothing to move sees nothing move", async (room) => {
    const { who, addresses, own } = await site();
    const page = await room.person({ reducedMotion: "reduce" });
    const moving = [];
    const see = async (address) => {
        await open(page, address);
        const found = await page.evaluate(() => {
            const times = (node, part) => Object.values((({ transitionDuration, animationDuration }) => ({ transitionDuration, animationDuration }))(getComputedStyle(node, part)));
            const moves = (node) => ["", "::before", "::after"].some((part) => times(node, part).some((list) => list.split(",").some((time) => parseFloat(time) > 0))) || getComputedStyle(node).scrollBehavior === "smooth";
            return [...document.querySelectorAll("*")].filter(moves).map((node) => node.outerHTML.slice(0, 80));
        });
        moving.push(...found.map((text) => `${address}: ${text}`));
    };
    for (const address of [...addresses, "/docs"]) await see(address);
    await logIn(page, who.email);
    for (const address of own) await see(address);
    assert.deepEqual(moving, []);
});

journey("what is written from right to left is shown so", async (room) => {
    const { posts } = await site();
    const page = await room.person();
    const directions = (selector) => page.locator(selector).evaluateAll((nodes) => nodes.map((node) => getComputedStyle(node).direction));
    await open(page, `/p/${posts[1]}`);
    assert.deepEqual(await directions("article > header h1, article .text, ul.tags a"), ["rtl", "rtl", "rtl"]);
    const { left, right } = await page.locator("article .text p").evaluate((node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        const [text, box] = [range.getBoundingClientRect(), node.getBoundingClientRect()];
        return { left: text.left - box.left, right: box.right - text.right };
    });
    assert.ok(right < 2 && left > 20, `${left} ${right}`);
    await open(page, `/p/${posts[0]}`);
    assert.deepEqual(await directions("article > header h1, article .text"), ["ltr", "ltr"]);
    assert.deepEqual(await directions(".comments li .text"), ["ltr", "rtl", "ltr"]);
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

