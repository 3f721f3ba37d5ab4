// Deleting: after a while in which it can be taken back.

import { call, callLast, freshToken, mustLogIn } from "./api.js";
import { notify } from "./dom.js";
import { say } from "./words.js";

const UNDO = 8000; // milliseconds to take a deletion back

/**
 * Deletes what is at a path after a while; leaving does not take it back. What shows it is `node`, `told` says it to people,
 * `done` follows.
 */
export async function deleteLater(node, path, told, done) {
    // There is no time to ask for a token when somebody goes.
    try {
        if (!(await freshToken())) return mustLogIn();
    } catch (refusal) {
        return notify(refusal.text);
    }
    node.classList.add("going");
    const send = async () => {
        stop();
        try {
            await call("DELETE", path);
            await done();
        } catch (refusal) {
            if (!("code" in refusal)) throw refusal;
            node.classList.remove("going");
            notify(refusal.text);
        }
    };
    const leave = () => callLast("DELETE", path);
    const timer = setTimeout(send, UNDO);
    const stop = () => {
        clearTimeout(timer);
        removeEventListener("pagehide", leave);
    };
    addEventListener("pagehide", leave);
    notify(told, {
        label: say("post.undo"),
        act() {
            stop();
            node.classList.remove("going");
        },
    });
}
