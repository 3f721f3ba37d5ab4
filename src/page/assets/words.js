// What is said to people, in the language of the document.

const { default: texts } = await import(`./words-${document.documentElement.lang}.js`);

/** The string of that name. */
export function say(name) {
    return texts[name] ?? name;
}

/** The same with values in place of {names}. */
export function fill(name, values) {
    return say(name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

/** A number of things, in the singular where the language has one. */
export function count(name, n) {
    return fill(`${name}.${n === 1 ? "one" : "many"}`, { n });
}

/** What a code of a refusal means here; undefined where nothing is written for it. */
export function meaning(code) {
    return texts[`code.${code}`];
}

/** A moment for people, by their own clock. */
export function moment(time) {
    const format = new Intl.DateTimeFormat(document.documentElement.lang, {
        dateStyle: "medium",
        timeStyle: "short",
    });
    return format.format(new Date(time));
}

/** How long ago a moment was, in days. */
export function age(time) {
    const days = Math.floor((Date.now() - new Date(time)) / 86_400_000);
    return new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" }).format(-days, "day");
}

/** The program and the system that a User-Agent names, as far as they are known. */
export function device(agent) {
    const first = (pairs) => pairs.find(([pattern]) => pattern.test(agent))?.[1];
    const browser = first([[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]]);
    const system = first([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]]);
    if (!browser) return agent || say("me.unknown_device");
    return system ? `${browser}, ${system}` : browser;
}
