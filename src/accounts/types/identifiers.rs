//! The identifiers of an account, parsed once. Each has the text as written and a
//! canonical form, the `key`, which alone is compared.
//!
//! The three grammars exclude each other: an e-mail address has an `@`, a mobile
//! number no letter, a username a letter and no `@`. So one text is one of them at
//! most, and one person's username can never be another's address or number.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::error::Code;
use crate::http::body::Fault;

/// Characters of a name.
pub const NAME_MAX: usize = 64;
/// Characters of an e-mail address (RFC 5321 §4.5.3.1.3, less the brackets).
pub const EMAIL_MAX: usize = 254;

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// Trimmed, NFKC, the case kept.
    pub text: String,
    /// Lower-cased as well.
    pub key: String,
}

impl Email {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text: String = text.trim().nfkc().collect::<String>().trim().to_owned();
        let key: String = text.to_lowercase().nfkc().collect();
        let options = email_address::Options::default()
            .without_display_text()
            .without_domain_literal()
            .with_required_tld();
        let fits = |text: &str| {
            text.chars().count() <= EMAIL_MAX
                && !text.chars().any(|c| c.is_control() || c.is_whitespace())
                && email_address::EmailAddress::parse_with_options(text, options).is_ok()
        };
        if fits(&text) && fits(&key) {
            Ok(Self { text, key })
        } else {
            Err(Fault(Code::EmailInvalid, "is not an e-mail address"))
        }
    }
}

/// A username: 5 to 20 of `[A-Za-z0-9_-]`, at least one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    pub text: String,
    /// Lower-cased.
    pub key: String,
}

impl Username {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fits = (5..=20).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            && text.bytes().any(|b| b.is_ascii_alphabetic());
        if fits {
            Ok(Self {
                text: text.to_owned(),
                key: text.to_ascii_lowercase(),
            })
        } else {
            Err(Fault(
                Code::UsernameInvalid,
                "needs 5 to 20 characters of A-Z a-z 0-9 _ -, at least one a letter",
            ))
        }
    }
}

/// A mobile number in international form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mobile {
    /// Trimmed, as written.
    pub text: String,
    /// E.164: `+` and 8 to 15 digits, the first not 0.
    pub key: String,
}

impl Mobile {
    /// Takes spaces, hyphens, dots and parentheses between the digits, and `00` for
    /// the `+`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text: String = text.trim().nfkc().collect();
        let compact: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
            .collect();
        let digits = compact
            .strip_prefix('+')
            .or_else(|| compact.strip_prefix("00"))
            .filter(|digits| {
                (8..=15).contains(&digits.len())
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && !digits.starts_with('0')
            });
        match digits {
            Some(digits) if text.chars().count() <= 32 => Ok(Self {
                key: format!("+{digits}"),
                text,
            }),
            _ => Err(Fault(
                Code::MobileInvalid,
                "needs the international form: + and 8 to 15 digits",
            )),
        }
    }
}

/// A person's name, trimmed: 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl Name {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(Fault(Code::ControlCharacter, "holds a control character"));
        }
        match text.chars().count() {
            0 => Err(Fault(
                Code::NameEmpty,
                "needs at least one visible character",
            )),
            1..=NAME_MAX => Ok(Self(text.to_owned())),
            _ => Err(Fault(Code::NameTooLong, "has at most 64 characters")),
        }
    }
}

/// What somebody who logs in says they are: any of the three identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Account {
    Email(String),
    Username(String),
    Mobile(String),
}

impl Account {
    /// The identifier's canonical form, in which no two kinds have one alike.
    pub fn key(&self) -> &str {
        match self {
            Self::Email(key) | Self::Username(key) | Self::Mobile(key) => key,
        }
    }

    /// One for each identifier that is there.
    pub fn all_of(
        email: Option<&Email>,
        username: Option<&Username>,
        mobile: Option<&Mobile>,
    ) -> Vec<Self> {
        let all = [
            email.map(|email| Self::Email(email.key.clone())),
            username.map(|username| Self::Username(username.key.clone())),
            mobile.map(|mobile| Self::Mobile(mobile.key.clone())),
        ];
        all.into_iter().flatten().collect()
    }

    /// A text that is none of the three cannot be an account, and is looked up as
    /// a username that nobody can have, so that it costs the same.
    pub fn of(text: &str) -> Self {
        if let Ok(email) = Email::parse(text) {
            return Self::Email(email.key);
        }
        if let Ok(mobile) = Mobile::parse(text) {
            return Self::Mobile(mobile.key);
        }
        Self::Username(Username::parse(text.trim()).map_or(String::new(), |name| name.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_an_address_have_one_key() {
        for text in [
            "Ann@Example.org",
            " ann@example.org ",
            "ａｎｎ＠ｅｘａｍｐｌｅ．ｏｒｇ",
        ] {
            let email = Email::parse(text).ok().map(|e| e.key);
            assert_eq!(email.as_deref(), Some("ann@example.org"), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_address_are_refused() {
        for text in [
            "",
            "@",
            "ann",
            "ann@",
            "@example.org",
            "ann@example",
            "a b@example.org",
            "ann@exam ple.org",
            "ann@@example.org",
            "Ann <ann@example.org>",
            "ann@[127.0.0.1]",
            "\"a b\"@example.org",
            "ann@example.org\u{2028}x",
        ] {
            assert!(Email::parse(text).is_err(), "{text}");
        }
        assert!(Email::parse(&format!("{}@example.org", "a".repeat(250))).is_err());
    }

    #[test]
    fn numbers_are_compared_in_e164() {
        for text in [
            "+31 6 1234 5678",
            "0031612345678",
            "+31(6)12-34.56.78",
            "＋31612345678",
        ] {
            assert_eq!(
                Mobile::parse(text).ok().map(|m| m.key).as_deref(),
                Some("+31612345678")
            );
        }
        for text in [
            "",
            "+",
            "0612345678",
            "+0612345678",
            "+1234567",
            "+1234567890123456",
            "+31a612345678",
        ] {
            assert!(Mobile::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_username_needs_a_letter_and_nothing_but_its_alphabet() {
        assert!(Username::parse("ann-5").is_ok());
        for text in [
            "anna",
            "12345",
            "ann smith",
            "änna1",
            "a@b.org",
            &"a".repeat(21),
        ] {
            assert!(Username::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_account_is_recognised_by_its_shape() {
        assert_eq!(
            Account::of(" Ann@Example.ORG"),
            Account::Email("ann@example.org".into())
        );
        assert_eq!(
            Account::of("0031612345678"),
            Account::Mobile("+31612345678".into())
        );
        assert_eq!(
            Account::of("AnnSmith"),
            Account::Username("annsmith".into())
        );
        assert_eq!(Account::of("?"), Account::Username(String::new()));
    }
}
