//! Slugs: the names of posts in links, given by authors or made of titles.

use deunicode::deunicode_with_tofu;

use crate::error::Code;
use crate::http::body::Fault;

/// Characters of a slug.
pub const SLUG_MAX: usize = 100;
/// ECMA-262, for clients: at least one character is no digit.
pub const SLUG_PATTERN: &str = "^[0-9]*[a-z-][a-z0-9-]*$";

/// What stands behind `/post/` in the paths of routes, now or perhaps later: no post's slug.
const RESERVED: [&str; 11] = [
    "archive",
    "draft",
    "drafts",
    "edit",
    "feed",
    "new",
    "page",
    "preview",
    "pub",
    "scheduled",
    "search",
];

/// A slug: 1 to 100 of `a` to `z`, digits and `-`, not only digits, which would be an id, and not the
/// name of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slug(String);

impl Slug {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if !is_slug(text) {
            return Err(Fault(
                Code::SlugInvalid,
                "has 1 to 100 characters of a-z, 0-9 and -, and not digits alone",
            ));
        }
        if is_reserved(text) {
            return Err(Fault(Code::SlugReserved, "is the name of a route"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text could be a slug, that of a route included.
pub fn is_slug(text: &str) -> bool {
    (1..=SLUG_MAX).contains(&text.len())
        && (text.bytes()).all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !is_number(text)
}

/// Whether no post is given this slug, though it is written like one.
pub fn is_reserved(slug: &str) -> bool {
    RESERVED.contains(&slug)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// What a title is as a slug, its letters in Latin ones. Others may have it, and it may be a route's.
pub fn of_title(title: &str) -> String {
    let mut slug = String::new();
    for c in deunicode_with_tofu(title, "").chars() {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'A'..='Z' => slug.push(c.to_ascii_lowercase()),
            // "don't" is one word.
            '\'' | '`' => {}
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        return "post".to_owned();
    }
    if is_number(slug) {
        return cut(&format!("post-{slug}"), SLUG_MAX).to_owned();
    }
    let slug = between_words(slug);
    if is_number(slug) {
        // A number so long that nothing else is left.
        return cut(&format!("post-{slug}"), SLUG_MAX).to_owned();
    }
    slug.to_owned()
}

/// The same slug for the post that has it as number `number`: the first has it as it is.
pub fn numbered(slug: &str, number: i64) -> String {
    if number <= 1 {
        return slug.to_owned();
    }
    let number = format!("-{number}");
    format!("{}{number}", cut(slug, SLUG_MAX - number.len()))
}

/// Not more than there may be, cut between two words where these are not too long.
fn between_words(slug: &str) -> &str {
    let beginning = cut(slug, SLUG_MAX);
    if slug[beginning.len()..].is_empty() || slug[beginning.len()..].starts_with('-') {
        return beginning;
    }
    match beginning.rfind('-') {
        Some(end) if end > SLUG_MAX / 2 => cut(beginning, end),
        _ => beginning,
    }
}

/// At most so many characters, which are ASCII.
fn cut(slug: &str, most: usize) -> &str {
    slug[..slug.len().min(most)].trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_slugs() {
        for (title, slug) in [
            ("Hello, world", "hello-world"),
            ("  --Rust & C++: a   tour!--  ", "rust-c-a-tour"),
            ("Don't panic", "dont-panic"),
            ("It’s", "its"),
            ("Café Łódź Straße", "cafe-lodz-strasse"),
            // Decomposed.
            ("Cafe\u{301}", "cafe"),
            ("Ёжик в тумане", "iozhik-v-tumane"),
            ("Καλημέρα", "kalemera"),
            ("中文標題", "zhong-wen-biao-ti"),
            ("İstanbul", "istanbul"),
            ("2026", "post-2026"),
            ("2026-11", "2026-11"),
            ("!!!", "post"),
            ("\u{200b}", "post"),
            ("v1.2.3", "v1-2-3"),
        ] {
            assert_eq!(of_title(title), slug, "{title}");
        }
    }

    #[test]
    fn whatever_the_title_it_is_a_slug() {
        for c in ('\0'..='\u{2ffff}').step_by(7) {
            let slug = of_title(&String::from(c));
            assert!(is_slug(&slug), "{c:?}: {slug}");
        }
        for title in [
            "x".repeat(256),
            "9".repeat(256),
            format!("{}-a", "9".repeat(120)),
            "中".repeat(256),
            "word ".repeat(51),
            "🦀".repeat(256),
        ] {
            let slug = of_title(&title);
            assert!(is_slug(&slug), "{title}: {slug}");
            for number in [2, 10, 99_999, i64::MAX] {
                let other = numbered(&slug, number);
                assert!(is_slug(&other) && other != slug, "{title}: {other}");
                assert!(other.ends_with(&format!("-{number}")));
            }
        }
        assert_eq!(
            of_title(&"word ".repeat(51)),
            format!("{}word", "word-".repeat(19))
        );
    }

    #[test]
    fn what_a_slug_is() {
        let long = "a".repeat(SLUG_MAX);
        for slug in ["a", "-", "2026-11", "a-b", "9a", long.as_str()] {
            assert_eq!(Slug::parse(slug).ok().unwrap().as_str(), slug);
        }
        let longer = "a".repeat(SLUG_MAX + 1);
        for text in [
            "",
            "1",
            "007",
            "A",
            "é",
            "a b",
            "a_b",
            "a/b",
            longer.as_str(),
        ] {
            assert!(
                matches!(Slug::parse(text), Err(Fault(Code::SlugInvalid, _))),
                "{text}"
            );
        }
        for text in ["pub", "archive", "search"] {
            assert!(
                matches!(Slug::parse(text), Err(Fault(Code::SlugReserved, _))),
                "{text}"
            );
        }
    }
}
