// Who is online, live: one socket for a document, for as long as it is open.

import { at, dropToken, freshToken } from "./api.js";

const FIRST = 1000; // milliseconds before a lost connection is tried again; longer each time
const MOST = 30_000;
const TOKEN_ENDED = 4401;
const NOT_AGAIN = [1008];

const online = new Map();
const watchers = new Set();
let total = 0;
let isKnown = false;
let pause = FIRST;
let begun = false;

/** Calls `show` with who is online (a map by id), how many there are, and whether that is known, now and at each change. */
export function watch(show) {
    watchers.add(show);
    show(online, total, isKnown);
    if (!begun) {
        begun = true;
        connect();
    }
}

function tell() {
    for (const show of watchers) show(online, total, isKnown);
}

async function connect() {
    let token = null;
    try {
        token = await freshToken();
    } catch {
        return again();
    }
    if (!token) return;
    const address = new URL(at("/user/online"), location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, ["inkpot.v1", `bearer.${token}`]);
    socket.onmessage = ({ data }) => {
        const told = JSON.parse(data);
        if (told.type === "snapshot") online.clear();
        for (const person of told.online) online.set(person.user_id, person);
        for (const id of told.offline ?? []) online.delete(id);
        total = told.total;
        isKnown = true;
        pause = FIRST;
        tell();
    };
    socket.onclose = ({ code }) => {
        isKnown = false;
        tell();
        if (code === TOKEN_ENDED) dropToken();
        if (!NOT_AGAIN.includes(code)) again();
    };
    const stop = () => {
        socket.onclose = null;
        // One that is not open yet is given up with the document: closed before, it would be told as an error.
        if (socket.readyState === WebSocket.OPEN) socket.close();
    };
    addEventListener("pagehide", stop, { once: true });
}

// Not all at once, when a server comes back.
function again() {
    const wait = pause * (0.5 + Math.random());
    pause = Math.min(pause * 2, MOST);
    setTimeout(connect, wait);
}

// A document that comes out of the browser's store has no socket any more.
addEventListener("pageshow", ({ persisted }) => persisted && begun && connect());
