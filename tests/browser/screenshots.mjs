// Pictures of the page for the README: a site with some posts, as people see it.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { account, api, journey, logIn, open, promote } from "./kit.mjs";

const PLACE = process.env.PICTURES;
const DESK = { viewport: { width: 1120, height: 760 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 760 }, colorScheme: "dark", isMobile: true, deviceScaleFactor: 1.5 };

/** Keeps what is seen as a small picture. */
async function picture(page, name) {
    const session = await page.context().newCDPSession(page);
    const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: 75 });
    mkdirSync(PLACE, { recursive: true });
    writeFileSync(join(PLACE, `${name}.webp`), Buffer.from(data, "base64"));
}

const POSTS = [
    ["ann", "On keeping a notebook", "I have kept notebooks for twenty years, and read few of them again. That is *not* the point of them.", ["writing"]],
    ["li", "春天的茶", "清明前的龙井最好。水要八十度左右，不能用刚烧开的水。茶叶在杯中慢慢舒展，像一个下午慢慢展开。", ["茶", "生活"]],
    ["sam", "A bicycle repaired", "The chain had slipped between the cassette and the spokes, and nobody in the village had the right tool.", ["bicycles"]],
    [
        "ann",
        "Bread, again",
        "Flour, water, salt. The rest is **time**, which nobody sells.\n\n## What one needs\n\n1. A bowl.\n2. A scale, for those who like to know.\n3. Patience[^1].\n\n> Bread is a slow conversation with something that is alive.\n\nThe dough rests overnight in a cool place. In the morning it has doubled, and smells of apples.\n\n[^1]: Which may be learned from the dough.",
        ["bread", "slow things"],
    ],
    ["ann", "The lamp over the table", "It was made by my grandfather out of a ship's lantern, and has hung over every table that I have eaten at. The glass is blown, a little green, with two bubbles in it.", ["slow things"]],
];

journey("pictures are taken", async (room) => {
    const people = {
        ann: { name: "Ann Smith", email: "ann@example.org", username: "ann-smith" },
        li: { name: "李明", email: "li@example.org", username: "li-ming" },
        sam: { name: "Sam van der Berg", email: "sam@example.org", username: "sam-berg" },
    };
    const tokens = {};
    for (const [key, who] of Object.entries(people)) tokens[key] = (await account(who)).token;
    let bread;
    for (const [author, title, content, tags] of POSTS) {
        const { post_id } = await api("POST", "/post/pub", { title, content, tags }, tokens[author]);
        if (title.startsWith("Bread")) bread = post_id;
    }
    promote(people.ann.email);
    const comments = `/post/${bread}/comments`;
    const { comment } = await api("POST", comments, { content: "Mine never smells of apples. *What* do you feed it?" }, tokens.sam);
    await api("POST", comments, { content: "Rye, and patience.", reply_to: comment.comment_id }, tokens.ann);
    await api("POST", comments, { content: "面包像茶一样，要等。" }, tokens.li);
    for (const who of ["sam", "li"]) await api("PUT", `/post/${bread}/like`, undefined, tokens[who]);

    const reader = await room.person(DESK);
    await open(reader, "/");
    await picture(reader, "home");
    const phone = await room.person(PHONE);
    await open(phone, `/p/${bread}`);
    await picture(phone, "post-phone-dark");

    await phone.locator("#comments").scrollIntoViewIfNeeded();
    await phone.locator("#comments").evaluate((node) => node.scrollIntoView());
    await picture(phone, "comments-phone-dark");

    const sam = await room.person();
    await logIn(sam, people.sam.email);
    const ann = await room.person(DESK);
    await logIn(ann, people.ann.email);
    await open(ann, "/write");
    await ann.getByLabel("Title").fill("Rain on the canal");
    await ann.getByLabel("Text", { exact: true }).fill("It began **before six**, so softly that nobody noticed.\n\n> The water was the first to know.\n\n- the boats\n- the bicycles\n- the man with the dog\n");
    await ann.getByLabel("Tags").fill("slow things, rain");
    await ann.getByText("Kept in this browser.").waitFor();
    await ann.getByLabel("Title").focus();
    await ann.evaluate(() => globalThis.scrollTo(0, 0));
    await picture(ann, "write");
    await open(ann, "/people");
    await ann.getByText("2 people are online.").waitFor();
    await picture(ann, "people");

    const admin = await room.person({ ...DESK, colorScheme: "dark" });
    await logIn(admin, people.ann.email);
    await open(admin, "/admin/users");
    await picture(admin, "admin-dark");
    await open(ann, "/docs");
    await ann.locator("#operations-posts-publish .opblock-summary-control").click();
    await ann.locator("#operations-posts-publish .opblock-body").waitFor();
    await ann.locator("#operations-posts-publish").evaluate((node) => node.scrollIntoView());
    await picture(ann, "docs");
});
