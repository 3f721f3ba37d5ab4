//! In which language somebody is written to.

use std::cmp::Reverse;

use actix_web::http::header::{AcceptLanguage, LanguageTag, Preference, Quality};
use serde::{Deserialize, Serialize};

/// The texts of one language, as they are in `templates/`.
pub struct Templates {
    pub account_deleted: &'static str,
    pub email_changed: &'static str,
    pub invitation: &'static str,
    pub mobile_changed: &'static str,
    pub password_changed: &'static str,
    pub reset_password: &'static str,
    pub session_ended: &'static str,
    pub test: &'static str,
    pub verify_email: &'static str,
    pub verify_mobile: &'static str,
    /// A point of time to the minute, as `chrono` formats it.
    pub time_format: &'static str,
}

macro_rules! templates {
    ($tag:literal, $time_format:literal) => {
        Templates {
            account_deleted: include_str!(concat!("templates/", $tag, "/account_deleted.txt")),
            mobile_changed: include_str!(concat!("templates/", $tag, "/mobile_changed.txt")),
            email_changed: include_str!(concat!("templates/", $tag, "/email_changed.txt")),
            invitation: include_str!(concat!("templates/", $tag, "/invitation.txt")),
            password_changed: include_str!(concat!("templates/", $tag, "/password_changed.txt")),
            reset_password: include_str!(concat!("templates/", $tag, "/reset_password.txt")),
            session_ended: include_str!(concat!("templates/", $tag, "/session_ended.txt")),
            test: include_str!(concat!("templates/", $tag, "/test.txt")),
            verify_email: include_str!(concat!("templates/", $tag, "/verify_email.txt")),
            verify_mobile: include_str!(concat!("templates/", $tag, "/verify_mobile.txt")),
            time_format: $time_format,
        }
    };
}

macro_rules! languages {
    ($($variant:ident $tag:literal $time_format:literal;)*) => {
        /// A language that there are texts in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Language { $(#[serde(rename = $tag)] $variant,)* }

        impl Language {
            /// All of them; the first is for whoever asks for none of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in English.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// Its primary subtag (RFC 5646 §2.2.1): in HTML's `lang`, in what is kept,
            /// and the folder of its templates.
            pub fn tag(self) -> &'static str {
                match self { $(Self::$variant => $tag,)* }
            }

            pub fn templates(self) -> &'static Templates {
                match self { $(Self::$variant => const { &templates!($tag, $time_format) },)* }
            }
        }
    };
}

// To add a language: a line here, and a folder with its templates. A test names what does not
// fit a text message.
languages! {
    English "en" "%Y-%m-%d at %H:%M UTC";
    // In simplified characters.
    Chinese "zh" "%Y-%m-%d %H:%M（UTC）";
}

impl Language {
    /// What `Accept-Language` asks for (RFC 9110 §12.5.4): the language of the highest
    /// weight; of several, one that is named goes before one that only `*` covers, then
    /// the one named first, then the first of [`ALL`](Self::ALL). That is also for
    /// whoever asks for no language that there is, or refuses each. What cannot be
    /// read is passed over.
    pub fn of(accepted: &AcceptLanguage) -> Self {
        let wanted = Self::ALL.iter().filter_map(|&language| {
            let rank = language.rank(accepted)?;
            (rank.0 > Quality::ZERO).then_some((rank, language))
        });
        // Of equals `max_by_key` gives the last one, which is the first after `rev`.
        let best = wanted.rev().max_by_key(|(rank, _)| *rank);
        best.map_or(Self::ALL[0], |(_, language)| language)
    }

    /// How much the language is asked for: by which weight, whether by name, and after
    /// how many other ranges. `None` when no range matches it.
    fn rank(self, accepted: &AcceptLanguage) -> Option<(Quality, bool, Reverse<usize>)> {
        let ranges = || accepted.iter().enumerate();
        // Lookup by the primary subtag (RFC 4647 §3.4): there are no texts for regions.
        let is_named = |range: &Preference<_>| {
            let tag = range.item().map(LanguageTag::primary_language);
            tag.is_some_and(|tag| tag.eq_ignore_ascii_case(self.tag()))
        };
        let named = ranges()
            .filter(|(_, range)| is_named(&range.item))
            .map(|(place, range)| (range.quality, true, Reverse(place)))
            .max();
        named.or_else(|| {
            let covering = ranges().filter(|(_, range)| range.item.is_any());
            let weight = covering.map(|(_, range)| range.quality).max()?;
            Some((weight, false, Reverse(0)))
        })
    }

    /// All of them for people, as in "English or Chinese".
    pub fn names() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|language| language.name()).collect();
        match names.split_last() {
            Some((last, first)) if !first.is_empty() => {
                format!("{} or {last}", first.join(", "))
            }
            _ => names.concat(),
        }
    }

    /// The one of that tag; the first for any other.
    pub fn named(tag: &str) -> Self {
        (Self::ALL.iter().copied())
            .find(|language| language.tag() == tag)
            .unwrap_or(Self::ALL[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_kept_and_read_again() {
        for &language in Language::ALL {
            assert_eq!(Language::named(language.tag()), language);
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("\"{}\"", language.tag()));
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
        assert_eq!(Language::named("tlh"), Language::English);
    }

    #[test]
    fn the_guide_names_them() {
        let guide = include_str!("../../docs/api.md");
        let says = format!(
            "in the language of `Accept-Language` ({})",
            Language::names()
        );
        assert!(guide.contains(&says), "docs/api.md does not say {says:?}");
    }
}
