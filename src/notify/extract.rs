//! The language of a request, for handlers.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT_LANGUAGE, AcceptLanguage, HeaderMap, from_comma_delimited};

use super::language::Language;
use crate::error::Error;
use crate::http::endpoint::Operation;
use crate::http::handler::Extract;

impl Language {
    /// The one that the headers of a request ask for.
    pub fn of_headers(headers: &HeaderMap) -> Self {
        // Several lines are one list (RFC 9110 §5.3). One that is not ASCII is passed over;
        // the typed header would give up all of them.
        let lines = headers.get_all(ACCEPT_LANGUAGE);
        let readable = lines.filter(|line| line.to_str().is_ok());
        let ranges = from_comma_delimited(readable).unwrap_or_default();
        Self::of(&AcceptLanguage(ranges))
    }
}

impl Extract for Language {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(Ok(Self::of_headers(request.headers())))
    }

    fn describe(operation: Operation) -> Operation {
        operation.text_header(
            "Accept-Language",
            "The language of what is sent by mail or SMS: English or Chinese (RFC 9110 §12.5.4).",
            "zh-CN, en;q=0.5",
        )
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
            // A language of a film: there will be no mails in it.
            ("tlh", "en"),
            ("tlh, zh;q=0.1", "zh"),
            ("*", "en"),
            ("*, zh", "zh"),
            ("tlh, *;q=0.5", "en"),
            ("en;q=0, *", "zh"),
            ("en;q=0", "en"),
            ("zh;q=0", "en"),
            ("zh;q=0, en;q=0", "en"),
            ("zh;q=0, *", "en"),
            ("zh;q=0.000, tlh", "en"),
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
        assert_eq!(of(&["tlh", "zh"]), Language::Chinese);
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
}
