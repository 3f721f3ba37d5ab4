//! In which language somebody is written to.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::ACCEPT_LANGUAGE;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::http::handler::Extract;

/// A language that there are texts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    #[serde(rename = "en")]
    English,
    /// In simplified characters.
    #[serde(rename = "zh")]
    Chinese,
}

impl Language {
    /// What the value of `Accept-Language` asks for (RFC 9110 §12.5.4): the one of the
    /// higher weight, then the one that is named rather than covered by `*`, then the
    /// one named first. English when it asks for neither; what cannot be read is passed
    /// over.
    pub fn of(accept_language: &str) -> Self {
        let ranges: Vec<(String, u16)> = accept_language.split(',').filter_map(range).collect();
        let rank = |language: Self| {
            let named = ranges
                .iter()
                .enumerate()
                .filter(|(_, (tag, _))| primary(tag) == language.tag())
                .map(|(place, (_, weight))| (*weight, true, std::cmp::Reverse(place)))
                .max();
            named.or_else(|| {
                let covered = ranges.iter().filter(|(tag, _)| tag == "*");
                let weight = covered.map(|(_, weight)| *weight).max()?;
                Some((weight, false, std::cmp::Reverse(0)))
            })
        };
        let chinese = rank(Self::Chinese);
        if chinese > rank(Self::English) && chinese.is_some_and(|(weight, ..)| weight > 0) {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// As in HTML's `lang` and in what is kept.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// The one of that tag; English for any other.
    pub fn named(tag: &str) -> Self {
        if tag == Self::Chinese.tag() {
            Self::Chinese
        } else {
            Self::English
        }
    }
}

fn primary(tag: &str) -> &str {
    tag.split('-').next().unwrap_or(tag)
}

/// A range in lower case and its weight in thousandths.
fn range(element: &str) -> Option<(String, u16)> {
    let (tag, weight) = match element.split_once(';') {
        None => (element, 1000),
        Some((tag, parameter)) => (tag, weight(parameter)?),
    };
    let tag = tag.trim().to_ascii_lowercase();
    let is_tag = tag.split('-').enumerate().all(|(place, part)| {
        part == "*"
            || ((1..=8).contains(&part.len())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphabetic() || (place > 0 && b.is_ascii_digit())))
    });
    is_tag.then_some((tag, weight))
}

/// `q=0.8` in thousandths (RFC 9110 §12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    let value = parameter.trim();
    let value = value
        .strip_prefix("q=")
        .or_else(|| value.strip_prefix("Q="))?;
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    if digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{digits:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

impl Extract for Language {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        // Several lines are one list (RFC 9110 §5.3).
        let lines: Vec<&str> = request
            .headers()
            .get_all(ACCEPT_LANGUAGE)
            .filter_map(|line| line.to_str().ok())
            .collect();
        ready(Ok(Self::of(&lines.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_header_chooses() {
        for (header, tag) in [
            ("", "en"),
            ("en", "en"),
            ("zh", "zh"),
            ("ZH-cn", "zh"),
            ("zh-Hant-TW", "zh"),
            ("zh-*", "zh"),
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
            (",,;q=1,zh,", "zh"),
            ("\u{4e2d}\u{6587}, zh", "zh"),
        ] {
            assert_eq!(Language::of(header).tag(), tag, "{header}");
        }
    }

    #[actix_web::test]
    async fn several_lines_are_one_list() {
        let of = |lines: &[&str]| {
            let mut request = TestRequest::default();
            for line in lines {
                request = request.append_header((ACCEPT_LANGUAGE, *line));
            }
            let request = request.to_http_request();
            async move {
                Language::extract(&request, &mut Payload::None)
                    .await
                    .unwrap()
            }
        };
        assert_eq!(of(&[]).await, Language::English);
        assert_eq!(of(&["fr", "zh"]).await, Language::Chinese);
        assert_eq!(of(&["en;q=0.3", "zh;q=0.4"]).await, Language::Chinese);
    }

    #[test]
    fn tags_are_kept_and_read_again() {
        for language in [Language::English, Language::Chinese] {
            assert_eq!(Language::named(language.tag()), language);
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("\"{}\"", language.tag()));
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
        assert_eq!(Language::named("tlh"), Language::English);
    }
}
