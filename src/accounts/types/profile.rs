//! What people show of themselves: a text and a picture.

use url::Url;

use crate::core::text::{is_blank, is_direction_override};
use crate::error::Code;
use crate::http::body::Fault;

/// Characters of a [`Bio`].
pub const BIO_MAX: usize = 1000;
/// Characters of an [`ImageUrl`].
pub const IMAGE_MAX: usize = 2048;

/// What somebody says of themselves: text without markup, trimmed, at most 1,000 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bio(pub String);

impl Bio {
    /// `None` for one in which nothing is to be seen.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        let text = text.trim();
        if is_blank(text) {
            return Ok(None);
        }
        if text.chars().any(is_direction_override) {
            return Err(Fault(
                Code::ControlCharacter,
                "holds a character that turns the direction of text (U+202D or U+202E)",
            ));
        }
        if text.chars().count() > BIO_MAX {
            return Err(Fault(Code::BioTooLong, "has at most 1,000 characters"));
        }
        Ok(Some(Self(text.to_owned())))
    }
}

/// Where a picture of somebody is: an http or https URL in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUrl(pub String);

impl ImageUrl {
    /// `None` for an empty text.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let invalid = || Fault(Code::ImageInvalid, "is not an http or https URL");
        let url = Url::parse(text).map_err(|_| invalid())?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        // Whoever loads it would log in there.
        let has_secret = !url.username().is_empty() || url.password().is_some();
        let url = String::from(url);
        if !is_web || has_secret || url.len() > IMAGE_MAX {
            return Err(invalid());
        }
        Ok(Some(Self(url)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_on_the_web() {
        for (text, url) in [
            ("https://example.org/a.png", "https://example.org/a.png"),
            (
                " HTTP://Example.ORG/a b?c=\"d\" ",
                "http://example.org/a%20b?c=%22d%22",
            ),
            ("https://example.org", "https://example.org/"),
        ] {
            let parsed = ImageUrl::parse(text).ok().flatten();
            assert_eq!(parsed.map(|image| image.0).as_deref(), Some(url), "{text}");
        }
        assert!(ImageUrl::parse(" ").is_ok_and(|image| image.is_none()));
        let long = format!("https://example.org/{}", "a".repeat(2048));
        for text in [
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "ftp://example.org/a.png",
            "//example.org/a.png",
            "example.org/a.png",
            "https://ann:secret@example.org/a.png",
            "https:///",
            &long,
        ] {
            assert!(ImageUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bio_has_a_bound_and_something_in_it() {
        let long = "é".repeat(BIO_MAX);
        assert!(Bio::parse(&long).is_ok_and(|bio| bio.is_some_and(|bio| bio.0 == long)));
        assert!(Bio::parse(&format!("{long}x")).is_err());
        assert!(Bio::parse(" \u{200b}\n").is_ok_and(|bio| bio.is_none()));
        assert!(Bio::parse("a\u{202e}b").is_err());
    }
}
