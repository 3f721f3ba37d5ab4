// An author: who reads follows them, or no more.

import { at, call, mustLogIn, user } from "./api.js";
import { element, find, notify } from "./dom.js";
import { fill, say } from "./words.js";

export async function start() {
    const button = find("[data-follow]");
    const whom = button.dataset.follow;
    const known = user();
    if (!known) return;
    if (String(known.user_id) === whom) {
        button.replaceWith(element("a", { class: "button quiet", href: at("/me") }, say("follow.own")));
        return;
    }
    let follows = false;
    const show = () => (button.textContent = say(follows ? "follow.end" : "follow.begin"));
    const attempt = async (run) => {
        button.disabled = true;
        try {
            await run();
            show();
        } catch (refusal) {
            if (refusal.status === 401) return mustLogIn();
            notify(refusal.text);
        } finally {
            button.disabled = false;
        }
    };
    button.addEventListener("click", () =>
        attempt(async () => {
            await call(follows ? "DELETE" : "PUT", `/user/${whom}/follow`);
            follows = !follows;
            const { followers } = (await call("GET", `/user/${whom}`)).answer.user;
            find("[data-followers]").textContent = followers === 1 ? say("list.followers.one") : fill("list.followers.many", { n: followers });
        }),
    );
    await attempt(async () => {
        const { answer } = await call("GET", `/user/me/following?user=${whom}`);
        follows = answer.following.length > 0;
    });
}
