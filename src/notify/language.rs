//! In which language somebody is written to.

use std::cmp::Reverse;
use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{
    ACCEPT_LANGUAGE, AcceptLanguage, LanguageTag, Preference, Quality, from_comma_delimited,
};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::http::handler::Extract;

/// The texts of one language, as they are in `templates/`.
pub struct Templates {
    pub email_changed: &'static str,
    pub password_changed: &'static str,
    pub reset_password: &'static str,
    pub session_ended: &'static str,
    pub verify_email: &'static str,
    pub verify_mobile: &'static str,
    /// A point of time to the minute, as `chrono` formats it.
    pub time_format: &'static str,
}

macro_rules! templates {
    ($tag:literal, $time_format:literal) => {
        Templates {
            email_changed: include_str!(concat!("templates/", $tag, "/email_changed.txt")),
            password_changed: include_str!(concat!("templates/", $tag, "/password_changed.txt")),
            reset_password: include_str!(concat!("templates/", $tag, "/reset_password.txt")),
            session_ended: include_str!(concat!("templates/", $tag, "/session_ended.txt")),
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

// To add a language: a line here, and a folder with its templates.
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

    /// The one of that tag; the first for any other.
    pub fn named(tag: &str) -> Self {
        (Self::ALL.iter().copied())
            .find(|language| language.tag() == tag)
            .unwrap_or(Self::ALL[0])
    }
}

impl Extract for Language {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        // Several lines are one list (RFC 9110 §5.3). One that is not ASCII is passed over;
        // the typed header would give up all of them.
        let lines = request.headers().get_all(ACCEPT_LANGUAGE);
        let readable = lines.filter(|line| line.to_str().is_ok());
        let ranges = from_comma_delimited(readable).unwrap_or_default();
        ready(Ok(Self::of(&AcceptLanguage(ranges))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;
    use futures_util::FutureExt;

    use super::*;

    /// The language for a request with these lines.
    fn of(lines: &[&str]) -> Language {
        let mut request = TestRequest::default();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            request = request.append_header((ACCEPT_LANGUAGE, line));
        }
        let request = request.to_http_request();
        let mut payload = Payload::None;
        let extracted = Language::extract(&request, &mut payload);
        extracted.now_or_never().unwrap().unwrap()
    }

    #[test]
    fn the_header_chooses() {
        for (header, tag) in [
            ("", "en"),
            ("en", "en"),
            ("zh", "zh"),
            ("ZH-cn", "zh"),
            ("zh-Hant-TW", "zh"),
            ("zhx", "en"),
            ("fr", "en"),
            ("fr, zh;q=0.1", "zh"),
            ("*", "en"),
            ("*, zh", "zh"),
            ("fr, *;q=0.5", "en"),
            ("en;q=0, *", "zh"),
            ("en;q=0", "en"),
            ("zh;q=0", "en"),
            ("zh;q=0, en;q=0", "en"),
            ("zh;q=0, *", "en"),
            ("zh;q=0.000, fr", "en"),
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
            ("en-US,en;q=0.9,zh-CN;q=0.8", "en"),
            ("en;q=0.8,zh;q=0.801", "zh"),
            ("en;q=0.8 , zh ; q=0.9", "zh"),
            ("zh,en", "zh"),
            ("en,zh", "en"),
            ("en;q=0.5, zh;Q=0.7", "zh"),
            ("zh;q=1.000", "zh"),
            // Unreadable: passed over.
            ("zh;q=1.001", "en"),
            ("zh;q=0.1234", "en"),
            ("zh;q=", "en"),
            ("zh;q=high", "en"),
            ("zh;level=1", "en"),
            ("zh_CN", "en"),
            ("zh-toolongsubtag", "en"),
            // A range of RFC 4647 §2.2, which the header does not take.
            ("zh-*", "en"),
            (",,;q=1,zh,", "zh"),
        ] {
            assert_eq!(of(&[header]).tag(), tag, "{header}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&["fr", "zh"]), Language::Chinese);
        assert_eq!(of(&["en;q=0.3", "zh;q=0.4"]), Language::Chinese);
        // One that cannot be read is passed over, and hides no other.
        assert_eq!(of(&["\u{4e2d}\u{6587}", "zh"]), Language::Chinese);
    }

    /// However many there are.
    #[test]
    fn every_language_can_be_asked_for() {
        for &language in Language::ALL {
            let mut refused = String::new();
            for other in Language::ALL.iter().filter(|other| **other != language) {
                refused.push_str(other.tag());
                refused.push_str(";q=0, ");
            }
            for asked in [
                format!("{refused}{}", language.tag()),
                format!("{refused}*"),
            ] {
                assert_eq!(of(&[&asked]), language, "{asked}");
            }
            let least: String = format!("{}, *;q=0.5", language.tag());
            assert_eq!(of(&[&least]), language);
        }
        assert_eq!(of(&["*"]), Language::ALL[0]);
    }

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
}
