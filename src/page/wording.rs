//! What the page says to people: every string once a language, in `wording/`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::http::header::HeaderMap;
use chrono::{Datelike, NaiveDateTime};

use crate::notify::Language;

/// The files, by the tag of their language. To add one: a line here, beside the one of
/// [`Language`].
const FILES: [(&str, &str); 2] = [
    ("en", include_str!("wording/en.json")),
    ("zh", include_str!("wording/zh.json")),
];

static ALL: LazyLock<Vec<Wording>> = LazyLock::new(|| {
    let read = |language: &Language| {
        let file = FILES.iter().find(|(tag, _)| *tag == language.tag());
        let texts = file.and_then(|(_, text)| serde_json::from_str(text).ok());
        Wording {
            language: *language,
            texts: texts.unwrap_or_default(),
        }
    };
    Language::ALL.iter().map(read).collect()
});

/// All that the page says in one language.
pub struct Wording {
    pub language: Language,
    texts: BTreeMap<String, String>,
}

impl Wording {
    /// In that language.
    pub fn of(language: Language) -> &'static Self {
        let found = ALL.iter().find(|wording| wording.language == language);
        // Every language is among them.
        found.unwrap_or(&ALL[0])
    }

    /// In the language that a request asks for.
    pub fn asked_for(headers: &HeaderMap) -> &'static Self {
        Self::of(Language::of_headers(headers))
    }

    /// Its value of HTML's `lang`.
    pub fn tag(&self) -> &'static str {
        self.language.tag()
    }

    /// The string of that name. A test finds those that are not there; what is left of one is its
    /// name.
    pub fn say<'a>(&'a self, name: &'a str) -> &'a str {
        self.texts.get(name).map_or(name, String::as_str)
    }

    /// The same with values in place of `{names}`.
    pub fn fill(&self, name: &str, values: &[(&str, &str)]) -> String {
        let mut rest = self.say(name);
        let mut filled = String::with_capacity(rest.len() + 32);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = values.iter().find(|(known, _)| *known == name);
            filled.push_str(before);
            filled.push_str(value.map_or("", |(_, value)| value));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// A number of things, in the singular where the language has one: `name.one` or `name.many`.
    pub fn count(&self, name: &str, number: i64) -> String {
        let form = if number == 1 { "one" } else { "many" };
        self.fill(&format!("{name}.{form}"), &[("n", &number.to_string())])
    }

    /// A day for people, by UTC.
    pub fn day(&self, time: NaiveDateTime) -> String {
        let month = self.month(time.month().into());
        self.fill(
            "date.day",
            &[
                ("day", &time.day().to_string()),
                ("month", month),
                ("year", &time.year().to_string()),
            ],
        )
    }

    /// The name of a month, from 1.
    pub fn month(&self, number: i64) -> &str {
        let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
        self.say("date.months")
            .split('|')
            .nth(at)
            .unwrap_or_default()
    }

    /// The whole file, as scripts take it.
    pub fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `{names}` of a string.
    fn names(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = (text.split('{').skip(1))
            .map(|after| after.split_once('}').unwrap().0)
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_language_says_the_same() {
        assert_eq!(FILES.len(), Language::ALL.len());
        let first = Wording::of(Language::ALL[0]);
        for &language in Language::ALL {
            let wording = Wording::of(language);
            assert_eq!(wording.language, language);
            let of = |wording: &Wording| wording.texts.keys().cloned().collect::<Vec<_>>();
            assert_eq!(of(wording), of(first), "{}", language.tag());
            for (name, text) in &wording.texts {
                assert_eq!(names(text), names(first.say(name)), "{name}");
                assert!(!text.trim().is_empty(), "{name}");
            }
            assert_eq!(wording.say("date.months").split('|').count(), 12);
        }
    }

    /// In the sources of the page, in Rust and in modules.
    #[test]
    fn what_is_said_is_written_and_what_is_written_is_said() {
        let wording = Wording::of(Language::ALL[0]);
        let mut sources = String::new();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page");
        let mut folders = vec![std::path::PathBuf::from(root)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path
                    .extension()
                    .is_some_and(|kind| kind == "rs" || kind == "js")
                {
                    sources.push_str(&std::fs::read_to_string(path).unwrap());
                }
            }
        }
        for call in ["say(\"", "fill(\"", "fill(\n            \""] {
            for (at, _) in sources.match_indices(call) {
                let name = sources[at + call.len()..].split('"').next().unwrap();
                assert!(wording.texts.contains_key(name), "{name} is not written");
            }
        }
        for name in wording.texts.keys() {
            // What is said by number, and by the code of a refusal.
            let known = name.trim_end_matches(".one").trim_end_matches(".many");
            let is_said = [name.as_str(), known]
                .iter()
                .any(|name| sources.contains(&format!("\"{name}\"")))
                || name.starts_with("code.");
            assert!(is_said, "{name} is not said");
        }
    }

    /// What no request of the page's modules is refused with.
    const UNMET: [&str; 30] = [
        "date_invalid",
        "date_out_of_range",
        "date_unexpected",
        "malformed_request",
        "malformed_json",
        "path_invalid",
        "query_invalid",
        "idempotency_key_invalid",
        "idempotency_key_reused",
        "token_conflict",
        "method_not_allowed",
        "uri_too_long",
        "unsupported_media_type",
        "headers_too_large",
        // Told by its fields.
        "validation_failed",
        "field_unknown",
        "field_mistyped",
        "field_duplicate",
        "field_conflict",
        "field_not_clearable",
        "role_invalid",
        "channel_invalid",
        "format_invalid",
        "status_invalid",
        "publish_at_unexpected",
        "slug_taken",
        "slug_invalid",
        "slug_reserved",
        "summary_empty",
        "summary_too_long",
    ];

    #[test]
    fn every_refusal_that_people_meet_is_said_in_their_language() {
        let wording = Wording::of(Language::ALL[0]);
        let is_said = |name: &str| wording.texts.contains_key(&format!("code.{name}"));
        for row in crate::error::TABLE {
            let name = row.name;
            assert!(is_said(name) != UNMET.contains(&name), "{name}");
        }
        // And what is said is a refusal, or what the modules call so.
        for name in (wording.texts.keys()).filter_map(|name| name.strip_prefix("code.")) {
            let is_code = crate::error::TABLE.iter().any(|row| row.name == name);
            assert!(
                is_code || ["network", "other", "wait"].contains(&name),
                "{name}"
            );
        }
    }

    #[test]
    fn values_and_numbers_take_their_places() {
        let english = Wording::of(Language::English);
        assert_eq!(english.count("list.posts", 1), "1 post");
        assert_eq!(english.count("list.posts", 7), "7 posts");
        assert_eq!(
            english.fill("list.page", &[("n", "2"), ("of", "9")]),
            "Page 2 of 9"
        );
        let time = chrono::NaiveDate::from_ymd_opt(2026, 11, 6)
            .and_then(|day| day.and_hms_opt(23, 59, 0))
            .unwrap();
        assert_eq!(english.day(time), "6 November 2026");
        assert_eq!(Wording::of(Language::Chinese).day(time), "2026年11月6日");
    }
}
