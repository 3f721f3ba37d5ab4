//! What of HTML is shown: the elements and attributes of text, and no others.

use std::borrow::Cow;
use std::collections::HashSet;

use ammonia::Builder;

/// Where a link may lead; one without a scheme leads to the reader's own site.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// Characters of the name of a language.
const LANGUAGE_MAX: usize = 32;

/// HTML with what is on ammonia's list of elements and attributes, and ids, which begin with
/// `place`. Neither scripts, handlers, styles, frames nor forms are on it. `None` if it cannot be read.
pub fn sanitize(place: &str, html: &str) -> Option<String> {
    let prefix = format!("{place}-");
    let mut builder = Builder::default();
    builder
        .url_schemes(HashSet::from(SCHEMES))
        .link_rel(Some("nofollow ugc noopener"))
        .add_generic_attributes(["id"])
        .id_prefix(Some(&prefix))
        .add_tag_attributes("code", ["class"]);
    // Nobody sees it, and its address is not asked for its scheme.
    for element in ["blockquote", "del", "ins", "q"] {
        builder.rm_tag_attributes(element, ["cite"]);
    }
    let own = prefix.clone();
    builder.attribute_filter(
        move |element, attribute, value| match (element, attribute) {
            ("code", "class") => is_language(value).then_some(Cow::Borrowed(value)),
            ("a", "href") => Some(match value.strip_prefix('#') {
                Some(id) if !id.is_empty() => Cow::Owned(format!("#{own}{id}")),
                _ => Cow::Borrowed(value),
            }),
            _ => Some(Cow::Borrowed(value)),
        },
    );
    // In pieces, as a reader gives it: of a whole text the parser looks at all that is left for every
    // `&`.
    let clean = builder.clean_from_reader(html.as_bytes()).ok()?;
    Some(clean.to_string())
}

/// Elements that begin or end a line.
const LINES: [&str; 15] = [
    "p",
    "div",
    "li",
    "br",
    "hr",
    "tr",
    "td",
    "th",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
];

/// What is read of HTML: its text, each element that is not inside of a line on lines of its own.
pub fn text_of(html: &str) -> String {
    let mut spaced = String::with_capacity(html.len() + html.len() / 16);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        spaced.push_str(before);
        let name = tag[1..].strip_prefix('/').unwrap_or(&tag[1..]);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric());
        let name = &name[..end.unwrap_or(name.len())];
        if LINES.iter().any(|line| line.eq_ignore_ascii_case(name)) {
            spaced.push('\n');
        }
        spaced.push('<');
        rest = &tag[1..];
    }
    spaced.push_str(rest);
    let text = Builder::empty().clean(&spaced).to_string();
    let mut plain = text;
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&nbsp;", "\u{a0}"),
        // The last: what it makes is no entity.
        ("&amp;", "&"),
    ] {
        if plain.contains(entity) {
            plain = plain.replace(entity, character);
        }
    }
    plain
}

/// The class by which highlighters know the language of code.
fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|name| {
        (1..=LANGUAGE_MAX).contains(&name.len())
            && (name.bytes()).all(|b| b.is_ascii_alphanumeric() || b"+-#._".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_html_has_no_markup() {
        for (html, text) in [
            (
                "<p>One <b>two</b>,</p><p>three</p>",
                "\nOne two,\n\nthree\n",
            ),
            ("a &lt;b&gt; &amp;amp; c<BR>d", "a <b> &amp; c\nd"),
            (
                "x<script>alert(1)</script><style>p{}</style><!-- y -->z",
                "xz",
            ),
            ("<td>1</td><td title='2'>3", "\n1\n\n3"),
            ("1 < 2", "1 < 2"),
        ] {
            assert_eq!(text_of(html), text, "{html}");
        }
    }
}
