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
