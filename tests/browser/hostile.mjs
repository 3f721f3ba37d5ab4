// What was written runs nowhere: the cheat sheets stand in every text that people write, and every document is looked
// at in a browser.

import { readFileSync } from "node:fs";
import { PASSWORD, SERVERS, account, api, assert, journey, logIn, open, promote, someone } from "./kit.mjs";

const HOSTILE = JSON.parse(readFileSync(process.env.HOSTILE, "utf8"));
const AT_ONCE = 40; // texts in one post
const LONGEST = 300_000; // milliseconds, where the machine has much else to do

/** Texts that a title, a name or a tag takes. */
function line(text, most) {
    return [...text.replace(/[\p{Cc}\u202d\u202e]/gu, " ")].slice(0, most).join("");
}

/** Sees that the API does not take it. */
async function refused(method, path, body, token) {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
    const { status } = await fetch(SERVERS[0] + path, { method, headers, body: JSON.stringify(body) });
    assert.equal(status, 422, `${method} ${path} ${JSON.stringify(body)}`);
}

journey("what was written runs nowhere", async (room) => {
    const who = someone("Eve");
    const { token, id } = await account(who);
    await api("PATCH", "/user/me", { name: line(HOSTILE.find((text) => text.includes("onerror") && text.length < 60), 64) }, token);
    const contents = HOSTILE.map((text) => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, " "));
    const addresses = ["/", "/?page=2", `/u/${id}`, `/@${who.username}`];
    const posts = [];
    for (let at = 0; at < contents.length; at += AT_ONCE) {
        const some = contents.slice(at, at + AT_ONCE);
        for (const format of ["html", "markdown", "text"]) {
            // One that swallows what follows must not hide it: each stands in a post of its own once, too.
            const body = { title: line(some[0], 256), content: some.join("\n\n"), format, tags: some.slice(0, 10).map((text) => line(text, 32)) };
            posts.push(await api("POST", "/post/pub", body, token));
        }
    }
    for (const [number, content] of contents.entries()) {
        const body = { title: line(content, 256), content, format: number % 2 ? "html" : "markdown" };
        posts.push(await api("POST", "/post/pub", body, token));
    }
    // Under one post all that can be said, and in what is said of it in lists.
    const { post_id: talked } = posts[0];
    for (const text of contents) await api("POST", `/post/${talked}/comments`, { content: [...text].slice(0, 10_000).join("") }, token);
    for (const [number, text] of contents.slice(0, 30).entries()) await api("PATCH", `/post/${posts[number].post_id}`, { summary: line(text, 500) }, token);
    for (let page = 2; page <= Math.ceil(contents.length / 50); page++) addresses.push(`/p/${talked}?comments=${page}`);
    addresses.push(...posts.map(({ post_id }) => `/p/${post_id}`));
    const tags = new Set(posts.flatMap(({ post }) => post.tags));
    addresses.push(...[...tags].map((tag) => `/t/${encodeURIComponent(tag)}`));
    addresses.push(...contents.slice(0, 20).map((text) => `/search?q=${encodeURIComponent(text)}`));

    // What people say of themselves, who then stand everywhere with it.
    const mallory = someone("Mallory");
    const own = await account(mallory);
    const { post_id: short } = await api("POST", "/post/pub", { title: "Short", content: "x" }, own.token);
    await api("POST", `/post/${short}/comments`, { content: "x" }, own.token);
    const profiles = contents.map((text) => ({ bio: [...text].slice(0, 1000).join(""), name: line(text, 64).trim() || "x", image: `https://127.0.0.1/${text.replace(/\s/g, "")}` }));
    for (const text of [...contents, "javascript:alert(1)", "data:text/html,<script>alert(1)</script>"]) {
        await refused("PATCH", "/user/me", { username: text }, own.token);
        await refused("PATCH", "/user/me", { image: text }, own.token);
    }

    // Even if the policy were not there.
    const ran = [];
    const page = await room.person({ bypassCSP: true });
    page.context().on("request", (request) => {
        const isOwn = new URL(request.url()).hostname === "127.0.0.1";
        if (!isOwn && request.resourceType() !== "image") ran.push(`asked for ${request.url()}`);
    });
    await page.exposeFunction("told", (what) => ran.push(`${page.url()} ${what}`));
    await page.addInitScript(() => {
        for (const name of ["alert", "confirm", "prompt", "msgbox"]) globalThis[name] = () => globalThis.told(name);
    });
    page.on("dialog", (dialog) => {
        ran.push(`${page.url()}: a dialog`);
        return dialog.dismiss();
    });
    page.context().on("page", () => ran.push(`${page.url()}: a window`));
    const look = async (address) => {
        await open(page, address);
        assert.equal(new URL(page.url()).pathname, new URL(address, page.url()).pathname);
        // Whoever comes near with the mouse.
        await page.evaluate(() => {
            for (const node of document.querySelectorAll("main *")) {
                for (const type of ["mouseover", "mouseenter", "focus", "toggle", "animationstart"]) node.dispatchEvent(new Event(type));
            }
        });
        const found = await page.evaluate(() => [...document.querySelectorAll("main script, main iframe, main object, main embed, main style, .text form, .text input, [data-part] td *:not(a, bdi, span, button)")].map((node) => node.outerHTML));
        assert.deepEqual(found, [], address);
    };
    for (const address of addresses) await look(address);
    for (const [number, profile] of profiles.entries()) {
        await api("PATCH", "/user/me", profile, own.token);
        await look(`/u/${own.id}`);
        // Beside their posts and comments stands the name alone.
        if (number % 10 === 0) for (const address of [`/p/${short}`, "/"]) await look(address);
    }
    await logIn(page, who.email, PASSWORD);
    await page.getByRole("button", { name: "Log out", exact: true }).waitFor();
    for (const address of ["/", "/me", `/p/${talked}`, `/write/${posts[0].post_id}`]) await look(address);
    await page.getByRole("tab", { name: "Preview" }).click();
    await page.locator("[data-preview] > *").first().waitFor();
    // Modules write these.
    await api("PUT", `/user/${own.id}/follow`, undefined, token);
    for (const profile of profiles.slice(0, 5)) {
        await api("PATCH", "/user/me", profile, own.token);
        for (const address of ["/people", "/following", `/u/${own.id}`]) await look(address);
    }
    // An admin sees all of it in tables.
    promote(who.email);
    await logIn(page, who.email, PASSWORD);
    for (const address of ["/admin/users", `/admin/users?id=${id}`, "/admin/posts", "/admin/comments", `/admin/users?id=${own.id}`, "/admin/jobs", "/admin/audit"]) await look(address);
    await page.getByRole("region").first().waitFor();
    assert.deepEqual(ran, []);
    // Pictures that are nowhere, and links without a scheme that browsers know, are told in the console.
    room.faults.length = 0;
}, LONGEST);
