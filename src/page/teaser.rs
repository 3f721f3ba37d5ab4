//! The beginning of a post in lists and descriptions: its text without markup.

use crate::posts::html;
use crate::posts::stored::StoredPost;

/// Characters of a text that the database gives for it.
pub const CHARACTERS: i64 = 1200;
/// Characters of a teaser at most.
const MOST: usize = 200;

/// Elements within a line: their tags separate no words.
const IN_LINE: [&str; 22] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "em", "i", "ins", "kbd", "mark",
    "q", "s", "small", "span", "strong", "sub", "u", "var",
];

/// The beginning of a post, cut between words.
pub fn of(post: &StoredPost) -> String {
    let html = html::render(post.summary.post_id, post.summary.format(), &post.text);
    cut(&without_markup(&html))
}

/// The text of HTML that the sanitizer wrote, words separated by single spaces.
fn without_markup(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        decode(before, &mut text);
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        // The marks of footnotes are no part of what is said.
        if let (true, Some((_, after))) = (tag == "sup", after.split_once("</sup>")) {
            rest = after;
            continue;
        }
        let name = tag.trim_start_matches('/');
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next();
        if !name.is_some_and(|name| IN_LINE.contains(&name)) {
            text.push(' ');
        }
        rest = after;
    }
    decode(rest, &mut text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Adds what the serializer escaped as it was.
fn decode(html: &str, text: &mut String) {
    const ENTITIES: [(&str, &str); 6] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ];
    let mut rest = html;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = ENTITIES.iter().find(|(name, _)| rest.starts_with(name));
        let (name, meant) = entity.unwrap_or(&("&", "&"));
        text.push_str(meant);
        rest = &rest[name.len()..];
    }
    text.push_str(rest);
}

/// A text or its beginning, with an ellipsis where it is cut.
fn cut(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(MOST) else {
        return text.to_owned();
    };
    let beginning = &text[..end];
    // A word that is as long as the half of it is cut, and scripts without spaces are.
    let words = beginning.rfind(' ').filter(|at| *at > end / 2);
    format!("{}…", beginning[..words.unwrap_or(end)].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_taken_off() {
        for (html, text) in [
            (
                "<p>One <em>t</em>wo</p>\n<ul>\n<li>three</li><li>four</li></ul>",
                "One two three four",
            ),
            (
                "a&lt;b&gt; &amp;lt; &quot;c&quot;&nbsp;d &x",
                "a<b> &lt; \"c\" d &x",
            ),
            ("<p><img src=\"/x.png\" alt=\"a\"></p>", ""),
            ("One<sup><a href=\"#x\">1</a></sup>, two", "One, two"),
            ("", ""),
        ] {
            assert_eq!(without_markup(html), text, "{html}");
        }
    }

    #[test]
    fn a_text_is_cut_between_words_where_there_are_some() {
        assert_eq!(cut("short"), "short");
        let words = "word ".repeat(60);
        assert_eq!(cut(&words), format!("{}…", "word ".repeat(40).trim_end()));
        let long = "字".repeat(300);
        assert_eq!(cut(&long), format!("{}…", "字".repeat(200)));
    }
}
