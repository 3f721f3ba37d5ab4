// What people do on the page, from a stranger's first look on.

import { PASSWORD, SERVERS, account, api, assert, codeFor, comesUp, gone, journey, logIn, open, promote, publish, ready, register, repair, someone, sql, tryToLogIn } from "./kit.mjs";

const last = SERVERS.length - 1;

journey("a stranger registers, writes, and everybody reads it", async (room) => {
    const ann = await room.person();
    const who = someone("Ann");
    await open(ann, "/");
    await ann.getByRole("link", { name: "Register" }).click();
    await ann.waitForURL("**/register");
    await register(ann, who);
    await ann.getByRole("link", { name: "Write" }).click();
    await ready(ann);
    await ann.getByLabel("Title").fill("My first post");
    await ann.getByLabel("Text", { exact: true }).fill("It has *emphasis* and a\n\n- list");
    await ann.getByLabel("Tags").fill("first things, ink");
    await ann.getByRole("button", { name: "Publish" }).click();
    await ann.getByText("It is published.").waitFor();
    const address = new URL(ann.url()).pathname;
    // At the other server, where there is one, and by somebody without an account.
    const bob = await room.person({ server: last });
    await bob.goto(address);
    await bob.getByRole("heading", { name: "My first post" }).waitFor();
    assert.equal(await bob.locator(".text em").textContent(), "emphasis");
    await ready(bob);
    assert.equal(await bob.getByRole("button", { name: "Delete" }).count(), 0);
    assert.equal(await ann.getByRole("button", { name: "Delete" }).count(), 1);
    await bob.getByRole("link", { name: "first things" }).click();
    await bob.getByRole("link", { name: "My first post" }).waitFor();
});

journey("who logs out is told, and comes back by e-mail or username", async (room) => {
    const ann = await room.person();
    const who = someone("Ann");
    await register(ann, who);
    await ann.getByRole("button", { name: "Log out", exact: true }).click();
    await ann.getByText("You have logged out.").waitFor();
    await ann.getByRole("link", { name: "Log in" }).waitFor();
    for (const account of [who.email, who.username]) {
        await logIn(ann, account);
        await ann.getByRole("button", { name: "Log out", exact: true }).click();
        await ann.getByText("You have logged out.").waitFor();
    }
    await tryToLogIn(ann, who.email, "no such password");
    await ann.getByText("Account or password is wrong.").waitFor();
});

journey("who has to log in is told so, and comes back, also as a newcomer", async (room) => {
    const ann = await room.person();
    const told = ann.getByText("Log in to go on.");
    await open(ann, "/login");
    assert.equal(await told.isVisible(), false);
    await ann.goto("/people");
    await ann.waitForURL("**/login?next=%2Fpeople");
    await ready(ann);
    await told.waitFor();
    await ann.getByRole("main").getByRole("link", { name: "Register" }).click();
    await ready(ann);
    const who = someone("Ann");
    await ann.getByLabel("Name", { exact: true }).fill(who.name);
    await ann.getByLabel("E-mail").fill(who.email);
    await ann.getByLabel("Password").fill(PASSWORD);
    await ann.getByRole("button", { name: "Register" }).click();
    await ann.waitForURL("**/people");
    await ann.getByText("Welcome! Your account is there.").waitFor();
});

journey("who is remembered is so for two weeks, and no script sees what keeps them logged in", async (room) => {
    const who = someone("Ann");
    const mobile = `+3161${String(process.pid).padStart(7, "0")}`;
    await account({ ...who, mobile });
    const ann = await room.person();
    // What the answer to the login has: the document goes on before it could be read here.
    const tokens = [];
    await ann.exposeFunction("heard", (token) => tokens.push(token));
    await ann.addInitScript(() => {
        const { fetch } = globalThis;
        globalThis.fetch = async (address, options) => {
            const response = await fetch(address, options);
            if (String(address).endsWith("/user/login")) await globalThis.heard((await response.clone().json()).token);
            return response;
        };
    });
    for (const isRemembered of [false, true]) {
        await ann.context().clearCookies();
        await open(ann, "/login");
        await ann.getByLabel("E-mail, username or mobile number").fill(mobile);
        await ann.getByLabel("Password").fill(PASSWORD);
        await ann.getByLabel("Remember me on this device").setChecked(isRemembered);
        await ann.getByRole("button", { name: "Log in" }).click();
        await ann.waitForURL(({ pathname }) => pathname === "/");
        await ready(ann);
        const cookies = await ann.context().cookies();
        assert.equal(cookies.length, 1);
        const [{ httpOnly, sameSite, expires, value }] = cookies;
        assert.deepEqual([httpOnly, sameSite], [true, "Strict"]);
        // Else it goes with the browser.
        if (isRemembered) assert.ok(Math.abs(expires - Date.now() / 1000 - 14 * 86_400) < 3600, String(expires));
        else assert.equal(expires, -1);
        const kept = await ann.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
        const token = tokens.at(-1);
        assert.ok(token.length > 100 && !kept.includes(token) && !kept.includes(value) && !kept.includes("eyJ"), kept);
        // The cookie alone brings the next document its token.
        await open(ann, "/me");
        await ann.locator('[data-form="profile"]').getByLabel("E-mail").and(ann.locator(":enabled")).waitFor();
        assert.equal(await ann.locator('[data-form="profile"]').getByLabel("E-mail").inputValue(), who.email);
        await ann.getByRole("button", { name: "Log out", exact: true }).click();
        await ann.getByText("You have logged out.").waitFor();
    }
});

journey("each refusal stands beside its field, in the reader's language", async (room) => {
    const who = someone("Ann");
    await account(who);
    const ann = await room.person();
    await open(ann, "/register");
    await ann.getByLabel("Name", { exact: true }).fill("Ann");
    await ann.getByLabel("E-mail").fill("no address");
    await ann.getByLabel("Password").fill("12345678");
    await ann.getByRole("button", { name: "Register" }).click();
    await ann.locator("#register-email-error", { hasText: "This is not an e-mail address." }).waitFor();
    await ann.locator("#register-password-error", { hasText: "Digits alone are too easy to guess." }).waitFor();
    assert.equal(await ann.evaluate(() => document.activeElement.id), "register-email");
    await ann.getByLabel("E-mail").fill(who.email);
    await ann.getByLabel("Password").fill(PASSWORD);
    await ann.getByRole("button", { name: "Register" }).click();
    await ann.locator("#register-email-error", { hasText: "Another account has this e-mail address." }).waitFor();
    assert.equal(await ann.locator("#register-password-error").textContent(), "");

    const li = await room.person({ locale: "zh-CN" });
    await open(li, "/register");
    await li.getByLabel("电子邮箱").fill("x");
    await li.getByRole("button", { name: "注册" }).click();
    await li.getByText("这不是有效的电子邮箱。").waitFor();
    await open(li, "/login");
    await li.locator('[name="account"]').fill(who.email);
    await li.locator('[name="password"]').fill(PASSWORD);
    await li.locator('[data-form="login"] button').click();
    await li.waitForURL(({ pathname }) => pathname === "/");
    await open(li, "/verify");
    await li.locator('[data-form="verify"] [name="code"]').fill("000000");
    await li.locator('[data-form="verify"] button').click();
    await li.locator("#verify-code-error", { hasText: "验证码不正确" }).waitFor();
    await open(li, "/me");
    const password = li.locator('[data-form="password"]');
    await password.locator('[name="current_password"]').fill("not that one");
    await password.locator('[name="new_password"]').fill("another quite long password");
    await password.locator("button").click();
    await li.locator("#password-current_password-error span").waitFor();
    assert.equal(await li.evaluate(() => document.activeElement.id), "password-current_password");

    await logIn(ann, who.email);
    await open(ann, "/write");
    await ann.getByLabel("Text", { exact: true }).fill("x");
    await ann.getByLabel("Tags").fill("t".repeat(33));
    await ann.getByRole("button", { name: "Publish" }).click();
    await ann.locator("#write-title-error", { hasText: "This is needed." }).or(ann.locator("#write-title-error", { hasText: "A post needs a title." })).waitFor();
    await ann.locator("#write-tags-error", { hasText: "at most 32 characters" }).waitFor();
    // No more fits into it than a title may have.
    await ann.getByLabel("Title").fill("T".repeat(300));
    await ann.getByLabel("Tags").fill("t".repeat(32));
    await ann.getByRole("button", { name: "Publish" }).click();
    await ann.getByRole("heading", { name: "T".repeat(256) }).waitFor();
});

journey("a forgotten password is set anew by the code in a mail", async (room) => {
    const who = someone("Ann");
    await account(who);
    const ann = await room.person();
    await open(ann, "/login");
    await ann.getByRole("link", { name: "Forgot your password?" }).click();
    await ready(ann);
    await ann.getByLabel("E-mail, username or mobile number").fill(who.email);
    await ann.getByRole("button", { name: "Send a code" }).click();
    await ann.getByText("A code is on its way.", { exact: true }).waitFor();
    await ready(ann);
    await ann.getByLabel("Code").fill(await codeFor(who.email));
    await ann.getByLabel("New password").fill("another quite long password");
    await ann.getByRole("button", { name: "Set the password" }).click();
    await ann.getByText("The password is changed.").waitFor();
    await logIn(ann, who.email, "another quite long password");
    await ann.getByRole("button", { name: "Log out", exact: true }).waitFor();
});

journey("an address is verified by the code in a mail", async (room) => {
    const ann = await room.person();
    const who = someone("Ann");
    await register(ann, who);
    await open(ann, "/me");
    await ann.getByRole("link", { name: "Verify your e-mail address" }).click();
    await ready(ann);
    await ann.getByRole("button", { name: "Send a code" }).click();
    await ann.getByText("A code is on its way.", { exact: true }).waitFor();
    await ann.getByLabel("Code").fill(await codeFor(who.email));
    await ann.getByRole("button", { name: "Verify" }).click();
    await ann.getByText("That is verified now.").waitFor();
});

journey("a preview is what readers will see, before anything is saved", async (room) => {
    const ann = await room.person();
    await register(ann, someone("Ann"));
    await open(ann, "/write");
    await ann.getByLabel("Text", { exact: true }).fill("**Bold** <script>alert(1)</script>");
    await ann.getByRole("tab", { name: "Preview" }).click();
    await ann.locator("[data-preview] strong", { hasText: "Bold" }).waitFor();
    assert.equal(await ann.locator("[data-preview] script").count(), 0);
    await ann.getByRole("tab", { name: "Preview" }).press("ArrowLeft");
    assert.equal(await ann.getByLabel("Text", { exact: true }).isVisible(), true);
});

journey("a draft is seen by nobody else until it is published", async (room) => {
    const ann = await room.person();
    const who = someone("Ann");
    await register(ann, who);
    await open(ann, "/write");
    await ann.getByLabel("Title").fill("Not yet");
    await ann.getByLabel("Text", { exact: true }).fill("Soon.");
    await ann.getByRole("button", { name: "Keep as a draft" }).click();
    await ann.getByText("It is kept as a draft.").waitFor();
    const bob = await room.person({ server: last });
    await bob.goto(`/@${who.username}`);
    await bob.getByText("has not published anything yet").waitFor();
    await ann.getByRole("link", { name: "Not yet" }).click();
    await ready(ann);
    // Its beginning is seen, however long it is.
    assert.deepEqual(await ann.evaluate(() => [globalThis.scrollY, document.activeElement.id, document.activeElement.selectionEnd]), [0, "write-content", 0]);
    await ann.getByRole("button", { name: "Publish" }).click();
    await ann.getByText("It is published.").waitFor();
    await comesUp(bob, bob.getByRole("link", { name: "Not yet" }));
});

journey("a post is scheduled by the reader's own clock, and changed until then", async (room) => {
    const ann = await room.person({ timezoneId: "Australia/Eucla" });
    const who = someone("Ann");
    await register(ann, who);
    await open(ann, "/write");
    await ann.getByLabel("Title").fill("To come");
    await ann.getByLabel("Text", { exact: true }).fill("Soon.");
    await ann.getByText("Australia/Eucla").waitFor();
    const year = new Date().getFullYear();
    await ann.getByLabel("Publish at").fill(`${year - 1}-06-01T09:30`);
    await ann.getByRole("button", { name: "Schedule" }).click();
    await ann.getByText("The time has to be one to come").waitFor();
    await ann.getByLabel("Publish at").fill(`${year + 1}-06-01T09:30`);
    await ann.getByRole("button", { name: "Schedule" }).click();
    await ann.getByText("It will be published").waitFor();
    const mark = ann.getByText("will be published", { exact: false }).last();
    await mark.waitFor();
    assert.match(await mark.textContent(), new RegExp(`${year + 1}`));
    const { token } = await api("POST", "/user/login", { account: who.email, password: PASSWORD });
    const stored = async () => (await api("GET", "/post/?status=draft", undefined, token)).posts;
    const [post] = await stored();
    assert.equal(post.status, "scheduled");
    assert.equal(post.publish_at, `${year + 1}-06-01T00:45:00.000000Z`);
    // A change of the text leaves a time that is finer than the field.
    const fine = `${year + 1}-06-01T09:30:15.123456Z`;
    await api("PATCH", `/post/${post.post_id}`, { publish_at: fine }, token);
    await ann.getByRole("link", { name: "To come" }).click();
    await ready(ann);
    await ann.getByLabel("Text", { exact: true }).fill("Sooner.");
    await ann.getByRole("button", { name: "Schedule" }).click();
    await ann.getByText("It will be published").waitFor();
    assert.equal((await stored())[0].publish_at, fine);
    await ann.getByRole("link", { name: "To come" }).click();
    await ready(ann);
    await ann.getByLabel("Publish at").fill("");
    await ann.getByRole("button", { name: "Publish", exact: true }).click();
    await ann.getByText("It is published.").waitFor();
    await ann.locator(".text", { hasText: "Sooner." }).waitFor();
});

journey("a tag is completed by one's own and by everybody's", async (room) => {
    const [one, two] = [someone("Ann"), someone("Bob")];
    const { token } = await account(one);
    const rare = `zz ${one.username}`;
    await api("POST", "/post/pub", { title: "Tagged", content: "x", tags: [rare, "ink"] }, token);
    const other = await account(two);
    const own = `yy ${two.username}`;
    await api("POST", "/post/pub", { title: "Tagged", content: "x", tags: [own] }, other.token);
    const ann = await room.person();
    await logIn(ann, one.email);
    await open(ann, "/write");
    const offered = (page, text) => page.locator(`#tag-list option[value="${text}"]`).waitFor({ state: "attached" });
    await offered(ann, rare);
    const bob = await room.person();
    await logIn(bob, two.email);
    // One's own come late.
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await bob.route(/\/post\/\?author=/, async (route) => {
        await held;
        await route.fallback();
    });
    await open(bob, "/write");
    await bob.getByLabel("Tags").fill("first, zz");
    await offered(bob, `first, ${rare}`);
    release();
    await offered(bob, `first, ${own}`);
    await offered(bob, `first, ${rare}`);
    await bob.getByLabel("Title").fill("Tagged too");
    await bob.getByLabel("Text", { exact: true }).fill("x");
    await bob.getByLabel("Tags").fill(`first, ${rare}`);
    await bob.getByRole("button", { name: "Publish" }).click();
    await bob.getByRole("link", { name: rare }).waitFor();
});

journey("what is typed is there again after the browser was closed", async (room) => {
    const ann = await room.person();
    await register(ann, someone("Ann"));
    await open(ann, "/write");
    await ann.getByLabel("Title").fill("Half a thought");
    await ann.getByLabel("Text", { exact: true }).fill("and no");
    await ann.getByText("Kept in this browser.").waitFor();
    const again = await ann.context().newPage();
    await ann.close();
    await open(again, "/write");
    await again.getByText("Here is what you typed and did not save").waitFor();
    assert.equal(await again.getByLabel("Title").inputValue(), "Half a thought");
    await again.getByRole("button", { name: "Discard it" }).click();
    assert.equal(await again.getByLabel("Title").inputValue(), "");
});

journey("a session that ends while somebody writes costs no word", async (room) => {
    const ann = await room.person();
    const who = someone("Ann");
    await register(ann, who);
    await open(ann, "/write");
    await ann.getByLabel("Title").fill("Long thoughts");
    await ann.getByLabel("Text", { exact: true }).fill("Many words.");
    const { token } = await api("POST", "/user/login", { account: who.email, password: PASSWORD });
    await api("POST", "/user/logout", { everywhere: true }, token);
    await ann.getByRole("button", { name: "Publish" }).click();
    await ann.getByText("Your session is over.").waitFor();
    await ready(ann);
    await ann.getByLabel("E-mail, username or mobile number").fill(who.email);
    await ann.getByLabel("Password").fill(PASSWORD);
    await ann.getByRole("button", { name: "Log in" }).click();
    await ann.getByText("Here is what you typed and did not save").waitFor();
    await ready(ann);
    assert.equal(await ann.getByLabel("Text", { exact: true }).inputValue(), "Many words.");
    await ann.getByRole("button", { name: "Publish" }).click();
    await ann.getByText("It is published.").waitFor();
});

journey("a token that ends while somebody writes is renewed unseen", async (room) => {
    const ann = await room.person();
    await register(ann, someone("Ann"));
    await ann.clock.install();
    await open(ann, "/write");
    await ann.getByLabel("Title").fill("Slow thoughts");
    await ann.getByLabel("Text", { exact: true }).fill("Many words.");
    await ann.clock.fastForward("02:00:00");
    const renewed = ann.waitForResponse("**/user/refresh");
    await ann.getByRole("button", { name: "Publish" }).click();
    assert.equal((await renewed).status(), 200);
    await ann.getByText("It is published.").waitFor();
});

journey("who saves over somebody else's change sees both, and decides", async (room) => {
    const who = someone("Ann");
    const { token } = await account(who);
    const { post_id } = await api("POST", "/post/pub", { title: "Shared", content: "Once." }, token);
    const here = await room.person();
    const there = await room.person({ server: last });
    for (const page of [here, there]) {
        await logIn(page, who.email);
        await page.getByRole("button", { name: "Log out", exact: true }).waitFor();
        await open(page, `/write/${post_id}`);
    }
    await there.getByLabel("Text", { exact: true }).fill("Theirs.");
    await there.getByRole("button", { name: "Save" }).click();
    await there.getByText("It is published.").waitFor();
    await here.getByLabel("Text", { exact: true }).fill("Mine.");
    await here.getByRole("button", { name: "Save", exact: true }).click();
    await here.getByRole("heading", { name: "Somebody has saved this post meanwhile" }).waitFor();
    assert.equal(await here.getByLabel("As it is saved: Shared").inputValue(), "Theirs.");
    assert.equal(await here.getByLabel("As you have it: Shared").inputValue(), "Mine.");
    await here.getByRole("button", { name: "Save mine over it" }).click();
    await here.getByText("It is published.").waitFor();
    await here.locator(".text", { hasText: "Mine." }).waitFor();
});

journey("a deletion can be taken back, and holds for who goes away", async (room) => {
    const ann = await room.person();
    await register(ann, someone("Ann"));
    await publish(ann, "Short lived", "x");
    const address = ann.url();
    // However long this takes, no time passes in which it could be taken back.
    await ann.clock.install();
    await ann.clock.pauseAt(Date.now() + 1000);
    await ann.getByRole("button", { name: "Delete" }).click();
    await ann.getByRole("button", { name: "Undo" }).click();
    await ann.clock.runFor(60_000);
    await ann.reload();
    await ready(ann);
    await ann.getByRole("heading", { name: "Short lived" }).waitFor();
    await ann.getByRole("button", { name: "Delete" }).click();
    await ann.getByText("The post is deleted.").waitFor();
    await open(ann, "/");
    await gone(address);
    const answer = await ann.goto(address);
    assert.equal(answer.status(), 404);
    await ann.getByRole("heading", { name: "Not found" }).waitFor();
    // Who stays sees it go.
    await ann.clock.resume();
    await publish(ann, "Shorter lived", "x");
    const next = ann.url();
    await ann.getByRole("button", { name: "Delete" }).click();
    await ann.getByText("The post is deleted.").waitFor();
    await ann.clock.runFor(8000);
    await ann.getByText("The post is gone.").waitFor();
    assert.equal((await ann.goto(next)).status(), 404);
});

journey("a post is commented on, answered, and what was said is changed and deleted", async (room) => {
    const [one, two] = [someone("Ann"), someone("Bob")];
    const { token } = await account(one);
    const { post_id } = await api("POST", "/post/pub", { title: "Talked about", content: "x" }, token);
    await account(two);
    const bob = await room.person({ server: last });
    await open(bob, `/p/${post_id}`);
    assert.equal(await bob.getByLabel("Comment", { exact: true }).isVisible(), false);
    await bob.getByRole("link", { name: "Log in to comment." }).click();
    await ready(bob);
    await bob.getByLabel("E-mail, username or mobile number").fill(two.email);
    await bob.getByLabel("Password").fill(PASSWORD);
    await bob.getByRole("button", { name: "Log in" }).click();
    await bob.waitForURL("**/p/**");
    await ready(bob);
    await bob.getByRole("button", { name: "Comment" }).click();
    await bob.locator("#comment-content-error", { hasText: "This is needed." }).or(bob.locator("#comment-content-error", { hasText: "There is no text yet." })).waitFor();
    await bob.getByLabel("Comment", { exact: true }).fill("Well *said*");
    await bob.getByRole("button", { name: "Comment" }).click();
    await bob.getByText("Your comment is there.").waitFor();
    await bob.locator(".comments em", { hasText: "said" }).waitFor();
    assert.match(bob.url(), /#comment-\d+$/);

    const ann = await room.person();
    await logIn(ann, one.email);
    await open(ann, `/p/${post_id}`);
    await ann.getByRole("heading", { name: "1 comment" }).waitFor();
    await ann.getByRole("button", { name: `Reply to ${two.name}` }).click();
    await ann.getByText(`In answer to ${two.name}.`).waitFor();
    await ann.getByLabel("Comment", { exact: true }).fill("Thanks");
    await ann.getByRole("button", { name: "Comment" }).click();
    await ann.getByText("Your comment is there.").waitFor();
    await ready(ann);
    await ann.getByRole("link", { name: `in answer to ${two.name}` }).waitFor();

    await open(bob, `/p/${post_id}`);
    const own = bob.getByRole("listitem").filter({ hasText: "Well said" });
    await own.getByRole("button", { name: "Edit" }).click();
    await bob.getByLabel("Your comment").fill("Well **put**");
    // The same, changed elsewhere meanwhile.
    const { token: other } = await api("POST", "/user/login", { account: two.email, password: PASSWORD }, null, last);
    const id = (await api("GET", `/post/${post_id}/comments`)).comments[0].comment_id;
    await api("PATCH", `/comment/${id}`, { content: "Elsewhere" }, other, last);
    await bob.getByRole("button", { name: "Save" }).click();
    await bob.getByText("It was changed elsewhere meanwhile").waitFor();
    await bob.locator(".comments .text", { hasText: "Elsewhere" }).waitFor();
    await bob.getByRole("button", { name: "Save" }).click();
    await bob.locator(".comments strong", { hasText: "put" }).waitFor();

    // Its place stays, for it was answered.
    await bob.getByRole("listitem").filter({ hasText: "Well put" }).getByRole("button", { name: "Delete" }).click();
    await bob.getByRole("button", { name: "Undo" }).click();
    await bob.reload();
    await ready(bob);
    await bob.getByRole("listitem").filter({ hasText: "Well put" }).getByRole("button", { name: "Delete" }).click();
    await bob.getByText("The comment is deleted.").waitFor();
    await open(bob, "/");
    await gone(`${SERVERS[last]}/comment/${id}`, (text) => JSON.parse(text).comment?.deleted);
    await open(bob, `/p/${post_id}`);
    await bob.getByText("This comment was deleted.").waitFor();
    await bob.getByRole("heading", { name: "1 comment" }).waitFor();
    // The author of the post deletes what others said, here their own.
    await open(ann, `/p/${post_id}`);
    await ann.clock.install();
    await ann.getByRole("listitem").filter({ hasText: "Thanks" }).getByRole("button", { name: "Delete" }).click();
    await ann.getByText("The comment is deleted.").waitFor();
    await ann.clock.runFor(8000);
    await ann.getByRole("listitem").filter({ hasText: "Thanks" }).waitFor({ state: "detached" });
});

journey("a session that ends while somebody comments costs no word", async (room) => {
    const who = someone("Ann");
    const { token } = await account(who);
    const { post_id } = await api("POST", "/post/pub", { title: "Talked about", content: "x" }, token);
    await api("POST", `/post/${post_id}/comments`, { content: "First" }, token);
    const ann = await room.person();
    await logIn(ann, who.email);
    await open(ann, `/p/${post_id}`);
    await ann.getByRole("button", { name: `Reply to ${who.name}` }).click();
    await ann.getByLabel("Comment", { exact: true }).fill("Many words.");
    await api("POST", "/user/logout", { everywhere: true }, token);
    // The document hears of it, and what is typed stays to be seen.
    await ann.getByRole("banner").getByRole("link", { name: "Log in" }).waitFor();
    await ann.getByRole("button", { name: "Comment" }).click();
    await ann.getByText("Your session is over.").waitFor();
    await ready(ann);
    await ann.getByLabel("E-mail, username or mobile number").fill(who.email);
    await ann.getByLabel("Password").fill(PASSWORD);
    await ann.getByRole("button", { name: "Log in" }).click();
    await ann.getByText("Here is what you typed and did not save").waitFor();
    await ready(ann);
    assert.equal(await ann.getByLabel("Comment", { exact: true }).inputValue(), "Many words.");
    await ann.getByText(`In answer to ${who.name}.`).waitFor();
    await ann.getByRole("button", { name: "Comment" }).click();
    await ann.getByText("Your comment is there.").waitFor();
    await ready(ann);
    assert.equal(await ann.getByLabel("Comment", { exact: true }).inputValue(), "");
    await ann.getByRole("link", { name: `in answer to ${who.name}` }).waitFor();
});

journey("a post is liked, and not any more, and all see how many do", async (room) => {
    const who = someone("Ann");
    const { token } = await account(who);
    const { post_id } = await api("POST", "/post/pub", { title: "Liked", content: "x" }, token);
    await api("PUT", `/post/${post_id}/like`, undefined, token);
    const bob = await room.person({ server: last });
    await open(bob, `/p/${post_id}`);
    await bob.getByText("1 person likes this").waitFor();
    await bob.getByRole("button", { name: "Like" }).click();
    await bob.getByRole("heading", { name: "Log in" }).waitFor();
    await register(bob, someone("Bob"));
    await open(bob, `/p/${post_id}`);
    await bob.getByRole("button", { name: "Like", pressed: false }).click();
    await bob.getByText("2 people like this").waitFor();
    await bob.getByRole("button", { name: "Like", pressed: true }).and(bob.locator(":not([aria-busy])")).waitFor();
    await open(bob, `/p/${post_id}`);
    await bob.getByText("2 people like this").waitFor();
    await bob.getByRole("button", { name: "Like", pressed: true }).click();
    await bob.getByText("1 person likes this").waitFor();
    await bob.getByRole("button", { name: "Like", pressed: false }).and(bob.locator(":not([aria-busy])")).waitFor();
    await open(bob, `/p/${post_id}`);
    await bob.getByText("1 person likes this").waitFor();
});

journey("a profile is changed, sessions are seen and ended", async (room) => {
    const who = someone("Ann");
    const ann = await room.person();
    await register(ann, who);
    const other = await room.person({ server: last });
    await logIn(other, who.email);
    await other.getByRole("button", { name: "Log out", exact: true }).waitFor();
    await open(ann, "/me");
    const profile = ann.locator('[data-form="profile"]');
    await profile.getByLabel("Name", { exact: true }).fill("Ann Otherwise");
    await profile.getByRole("button", { name: "Save" }).click();
    await ann.getByText("Saved.").waitFor();
    await ann.locator("[data-user-name]", { hasText: "Ann Otherwise" }).waitFor();
    await ann.getByRole("button", { name: "Log out everywhere else" }).click();
    await ann.getByText("All other sessions have ended.").waitFor();
    await open(other, "/me");
    await other.getByRole("heading", { name: "Log in" }).waitFor();
    // One alone.
    await logIn(other, who.email);
    await ann.reload();
    await ready(ann);
    await ann.getByRole("button", { name: "Log out there" }).click();
    await ann.getByRole("button", { name: "Log out there" }).waitFor({ state: "detached" });
    await open(other, "/me");
    await other.getByRole("heading", { name: "Log in" }).waitFor();
    const password = ann.locator('[data-form="password"]');
    await password.getByLabel("Present password").fill(PASSWORD);
    await password.getByLabel("New password").fill("another quite long password");
    await password.getByRole("button").click();
    await ann.getByText("The password is changed.").waitFor();
    await logIn(other, who.email, "another quite long password");
    // And all of them.
    await ann.getByRole("button", { name: "Log out everywhere", exact: true }).click();
    await ann.getByText("You have logged out everywhere.").waitFor();
    await ann.getByRole("link", { name: "Log in" }).waitFor();
    await open(other, "/me");
    await other.getByRole("heading", { name: "Log in" }).waitFor();
});

journey("two tabs are one session, and both know when it ends", async (room) => {
    const one = await room.person();
    await register(one, someone("Ann"));
    const two = await one.context().newPage();
    await Promise.all([open(one, "/me"), open(two, "/me")]);
    for (const page of [one, two]) await page.getByText("this one").waitFor();
    await one.getByRole("button", { name: "Log out", exact: true }).click();
    await two.getByRole("link", { name: "Log in" }).waitFor();
});

journey("who leaves takes everything along and leaves nothing", async (room) => {
    const who = someone("Ann");
    const ann = await room.person();
    await register(ann, who);
    await publish(ann, "Left behind", "x");
    const address = ann.url();
    await open(ann, "/me");
    const download = ann.waitForEvent("download");
    await ann.getByRole("button", { name: "Download everything" }).click();
    assert.equal((await download).suggestedFilename(), "inkpot.json");
    await ann.getByRole("button", { name: "Leave" }).click();
    await ann.getByRole("dialog").getByLabel("Password").fill("wrong");
    await ann.getByRole("button", { name: "Delete everything" }).click();
    await ann.getByText("That is not your present password.").waitFor();
    await ann.getByRole("button", { name: "Leave" }).click();
    await ann.getByRole("dialog").getByLabel("Password").fill(PASSWORD);
    await ann.getByRole("button", { name: "Delete everything" }).click();
    await ann.getByText("Your account is gone.").waitFor();
    assert.equal((await ann.goto(address)).status(), 404);
});

journey("everybody is seen, and who comes and goes", async (room) => {
    const ann = await room.person();
    const [one, two] = [someone("Ann"), someone("Bob")];
    await register(ann, one);
    await account(two);
    await open(ann, "/people");
    await ann.getByLabel("Part of a name").fill(two.name);
    await ann.getByRole("button", { name: "Search" }).click();
    const row = ann.getByRole("listitem").filter({ hasText: two.name });
    await row.getByText("Offline").waitFor();
    const bob = await room.person({ server: last });
    await logIn(bob, two.email);
    await row.getByText("Online").waitFor();
    const { token } = await api("POST", "/user/login", { account: two.email, password: PASSWORD });
    await api("POST", "/post/pub", { title: "Of the present", content: "x", tags: [two.username] }, token);
    const there = await ann.context().newPage();
    await open(there, `/t/${two.username}`);
    await there.getByRole("article").filter({ hasText: "Of the present" }).getByRole("img", { name: "Online" }).waitFor();
    await there.close();
    await row.getByRole("link", { name: two.name }).click();
    await ready(ann);
    await ann.getByRole("heading", { name: two.name }).getByRole("img", { name: "Online" }).waitFor();
    await bob.close();
    await ann.getByRole("heading", { name: two.name }).getByRole("img", { name: "Online" }).waitFor({ state: "detached" });
    // A page of one.
    await ann.route("**/user/directory?*", (route) => {
        const url = new URL(route.request().url());
        url.searchParams.set("size", "1");
        return route.continue({ url: url.href });
    });
    await open(ann, "/people");
    const rows = ann.locator("[data-people] > li");
    await rows.first().waitFor();
    assert.equal(await rows.count(), 1);
    await ann.getByRole("button", { name: "Show more" }).click();
    await rows.nth(1).waitFor();
    assert.notEqual(await rows.nth(0).textContent(), await rows.nth(1).textContent());
});

journey("who follows an author has their posts together", async (room) => {
    const who = someone("Ann");
    const ann = await room.person();
    await register(ann, who);
    await open(ann, "/me");
    const profile = ann.locator('[data-form="profile"]');
    await profile.getByLabel("About you").fill("Writes about birds.\nAnd <b>bees</b>.");
    await profile.getByLabel("Picture").fill("a picture");
    await profile.getByRole("button", { name: "Save" }).click();
    await ann.locator("#profile-image-error", { hasText: "This is no address of a picture" }).waitFor();
    const icon = await ann.evaluate(() => document.querySelector("link[rel=icon]").href);
    await profile.getByLabel("Picture").fill(icon);
    await profile.getByRole("button", { name: "Save" }).click();
    await ann.getByText("Saved.").waitFor();
    await publish(ann, "Birds in winter", "They fly.");
    await open(ann, `/@${who.username}`);
    await ann.getByRole("link", { name: "Edit my profile" }).waitFor();

    const bob = await room.person({ server: last });
    await register(bob, someone("Bob"));
    await open(bob, "/following");
    await bob.getByText("There is nothing here yet.").waitFor();
    await open(bob, `/@${who.username}`);
    await bob.getByText("And <b>bees</b>.").waitFor();
    assert.ok(await bob.locator("img.portrait").evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
    await bob.getByRole("button", { name: "Follow", exact: true }).click();
    await bob.getByText("1 follower").waitFor();
    await open(bob, "/");
    await bob.getByRole("link", { name: "Following" }).click();
    await ready(bob);
    await bob.getByRole("link", { name: "Birds in winter" }).click();
    await bob.getByText("They fly.").waitFor();
    const li = await room.person({ locale: "zh-CN" });
    await li.goto(`/@${who.username}`);
    await li.getByText("1 位关注者").waitFor();
    await open(bob, `/@${who.username}`);
    await bob.getByRole("button", { name: "Unfollow" }).click();
    await bob.getByText("0 followers").waitFor();
    await open(bob, "/following");
    await bob.getByText("There is nothing here yet.").waitFor();
    // Who is not logged in is not asked to follow, and comes back after the login.
    await li.goto("/following");
    await li.waitForURL("**/login?next=%2Ffollowing");
    assert.equal(await li.getByRole("button", { name: "关注" }).count(), 0);
});

journey("an admin finds, makes, stops and deletes users, and deletes comments", async (room) => {
    const [boss, two] = [someone("Root"), someone("Eve")];
    const { token } = await account(boss);
    const { post_id } = await api("POST", "/post/pub", { title: "Of the house", content: "x" }, token);
    const { id } = await account(two);
    await promote(boss.email);
    const admin = await room.person();
    await logIn(admin, boss.email);
    await admin.getByRole("link", { name: "Administration" }).click();
    await ready(admin);
    await admin.getByLabel("Part of a name, e-mail address or username").fill(two.email);
    await admin.getByRole("button", { name: "Search" }).click();
    await admin.getByRole("link", { name: two.name }).click();
    await admin.getByRole("button", { name: "Deactivate" }).click();
    await admin.getByRole("dialog").getByLabel("Password").fill("wrong");
    await admin.getByRole("dialog").getByRole("button", { name: "Deactivate" }).click();
    await admin.getByText("Account or password is wrong.").waitFor();
    const sure = async (name) => {
        await admin.getByRole("button", { name }).click();
        await admin.getByRole("dialog").getByLabel("Password").fill(PASSWORD);
        await admin.getByRole("dialog").getByRole("button", { name }).click();
    };
    const eve = await room.person();
    await logIn(eve, two.email);
    await admin.reload();
    await ready(admin);
    await sure("Log them out everywhere");
    await admin.getByText("Their sessions have ended.").waitFor();
    await open(eve, "/me");
    await eve.getByRole("heading", { name: "Log in" }).waitFor();
    await sure("Deactivate");
    // Exactly: the buttons read "DeactivateDelete the user", one after the other.
    await admin.getByText("deactivated", { exact: true }).waitFor();
    await tryToLogIn(eve, two.email);
    await eve.getByText("Account or password is wrong.").waitFor();
    await sure("Delete the user");
    await admin.waitForURL("**/admin/users");
    assert.equal((await eve.goto(`/u/${id}`)).status(), 404);
    await ready(admin);
    const third = someone("Tom");
    await admin.getByLabel("E-mail", { exact: true }).fill(third.email);
    await admin.getByLabel("Name", { exact: true }).fill(third.name);
    await admin.getByRole("button", { name: "Create" }).click();
    await admin.getByRole("heading", { name: third.name }).waitFor();
    assert.match(await codeFor(third.email), /^[0-9]{6}$/);
    await api("POST", `/post/${post_id}/comments`, { content: "Rude words" }, token);
    await admin.getByRole("navigation", { name: "Administration" }).getByRole("link", { name: "Comments" }).click();
    await ready(admin);
    await admin.getByLabel("Part of a comment").fill("rude");
    await admin.getByRole("button", { name: "Search" }).click();
    await ready(admin);
    await admin.getByRole("cell", { name: "Rude words" }).waitFor();
    await admin.getByRole("button", { name: "Delete", exact: true }).click();
    await admin.getByRole("dialog").getByLabel("Password").fill(PASSWORD);
    await admin.getByRole("button", { name: "Delete the comment" }).click();
    await admin.getByText("There are no such comments.").waitFor();
    for (const [part, text] of [["Posts", "Title"], ["Jobs", "Kind"], ["Audit", "By whom"], ["Keys", "the secret of the settings"], ["Health", "Database"], ["Check", "Check now"]]) {
        await admin.getByRole("navigation", { name: "Administration" }).getByRole("link", { name: part }).click();
        await ready(admin);
        await admin.getByText(text, { exact: true }).first().waitFor();
    }
});

journey("an admin asks whether what is counted is right, and is told what is not", async (room) => {
    const [boss, two] = [someone("Root"), someone("Eve")];
    await account(boss);
    const { id } = await account(two);
    await promote(boss.email);
    const admin = await room.person();
    await logIn(admin, boss.email);
    await open(admin, "/admin/check");
    await admin.getByText("Nobody has asked for a check yet.").waitFor();
    const ask = () => admin.getByRole("button", { name: "Check now" }).click();
    await ask();
    await admin.getByRole("heading", { name: "Everything is right." }).waitFor();
    // Somebody changes the database by hand.
    sql(`INSERT INTO user_stat (user_id, kind, slot, number) VALUES (${id}, 0, 99, 3)`);
    await ask();
    await admin.getByRole("heading", { name: "1 difference" }).waitFor();
    await admin.getByRole("cell", { name: `followers of user ${id}: -3` }).waitFor();
    // Another admin is told the same, at the other server where there is one.
    const other = await room.person({ server: last, locale: "zh-CN" });
    await open(other, "/login");
    await other.locator('[name="account"]').fill(boss.email);
    await other.locator('[name="password"]').fill(PASSWORD);
    await other.locator('[data-form="login"] button').click();
    await other.waitForURL(({ pathname }) => pathname === "/");
    await open(other, "/admin/check");
    await other.getByRole("heading", { name: "1 处不一致" }).waitFor();
    await other.getByText("inkpot check --repair").waitFor();
    repair();
    await ask();
    await admin.getByRole("heading", { name: "Everything is right." }).waitFor();
});

journey("the API is read, and tried out as who is logged in", async (room) => {
    const who = someone("Ann");
    await account(who);
    const ann = await room.person();
    await open(ann, "/docs");
    await ann.getByRole("link", { name: "Log in" }).click();
    await ready(ann);
    await ann.getByLabel("E-mail, username or mobile number").fill(who.email);
    await ann.getByLabel("Password").fill(PASSWORD);
    await ann.getByRole("button", { name: "Log in" }).click();
    await ann.getByText(`What you try out here is done as ${who.name}.`).waitFor();
    await ready(ann);
    const own = ann.locator("#operations-users-getOwnUser");
    await own.locator(".opblock-summary-control").click();
    await own.getByRole("button", { name: "Try it out" }).click();
    await own.getByRole("button", { name: "Execute" }).click();
    await own.locator(".live-responses-table").getByText(who.email).first().waitFor();
});

journey("who is no admin is told how one is made", async (room) => {
    const reader = await room.person();
    await open(reader, "/admin");
    await reader.getByText("inkpot user create --admin").waitFor();
    assert.equal(await reader.getByRole("navigation", { name: "Administration" }).isVisible(), false);
});

journey("everything is read without scripts", async (room) => {
    const who = someone("Ann");
    const { token } = await account(who);
    await api("POST", "/post/pub", { title: "For all", content: "Plain *reading*.", tags: ["plain"] }, token);
    const reader = await room.person({ javaScriptEnabled: false });
    await reader.goto("/");
    await reader.getByRole("link", { name: "For all" }).first().click();
    await reader.locator(".text em", { hasText: "reading" }).waitFor();
    const login = await (await reader.request.get("/login")).text();
    assert.match(login, /<noscript><p class="notice">This works with JavaScript only/);
});
