//! The identifiers of an account, parsed once. Each has the text as written and a
//! canonical form, the `key`, which alone is compared.
//!
//! The three grammars exclude each other: an e-mail address has an `@`, a mobile
//! number no letter, a username a letter and no `@`. So one text is one of them at
//! most, and one person's username can never be another's address or number.

use serde::{Deserialize, Serialize};
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;

use super::numbering;
use crate::core::mail_address::{self, MailAddress};
use crate::core::text::{is_blank, is_direction_override, is_invisible};
use crate::error::Code;
use crate::http::body::Fault;

/// Characters of a name.
pub const NAME_MAX: usize = 64;
/// Characters of a username.
pub const USERNAME_MIN: usize = 2;
pub const USERNAME_MAX: usize = 64;
/// Characters of an e-mail address (RFC 5321 §4.5.3.1.3, less the brackets).
pub const EMAIL_MAX: usize = 254;

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// Trimmed, NFKC, the case kept, quoted only where it must be.
    pub text: String,
    /// Lower-cased as well, the domain in ASCII.
    pub key: String,
}

impl Email {
    /// Takes what mail can go to ([`MailAddress`]).
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let invalid = Fault(Code::EmailInvalid, "is not an e-mail address");
        let Some(address) = MailAddress::parse(text) else {
            return Err(invalid);
        };
        let (key, text) = (
            address.key(),
            format!("{}@{}", address.local, address.domain),
        );
        // Lower case may be longer than what it is of.
        if text.chars().count() > EMAIL_MAX || MailAddress::parse(&key).is_none() {
            return Err(invalid);
        }
        Ok(Self { text, key })
    }
}

/// A username: 2 to 64 of `[A-Za-z0-9_.-]`, at least one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    pub text: String,
    /// Lower-cased.
    pub key: String,
}

impl Username {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fits = (USERNAME_MIN..=USERNAME_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
            && text.bytes().any(|b| b.is_ascii_alphabetic());
        if fits {
            Ok(Self {
                text: text.to_owned(),
                key: text.to_ascii_lowercase(),
            })
        } else {
            Err(Fault(
                Code::UsernameInvalid,
                "needs 2 to 64 characters of A-Z a-z 0-9 _ . -, at least one a letter",
            ))
        }
    }

    /// The same for one that somebody wants to have: what could be taken for a part of the
    /// site, or for who runs it, is nobody's.
    pub fn choose(text: &str) -> Result<Self, Fault> {
        let username = Self::parse(text)?;
        if username.is_reserved() {
            return Err(RESERVED);
        }
        Ok(username)
    }

    /// Whether nobody may take it. Who has it from earlier versions keeps it.
    pub fn is_reserved(&self) -> bool {
        let key = self.key.as_str();
        // `feed.atom` is taken for a part of the site as `feed` is.
        let stem = key.split_once('.').map_or(key, |(stem, _)| stem);
        RESERVED_NAMES.contains(&key) || RESERVED_NAMES.contains(&stem)
    }
}

/// The refusal of a username that is reserved.
pub const RESERVED: Fault = Fault(Code::UsernameReserved, "is reserved");

/// Names of routes, of what front ends have beside them, and of roles, as keys of usernames. A
/// test compares them with the routes.
const RESERVED_NAMES: [&str; 95] = [
    "about",
    "account",
    "admin",
    "administrator",
    "anonymous",
    "api",
    "archive",
    "around",
    "assets",
    "atom",
    "audit",
    "author",
    "blog",
    "check",
    "comment",
    "comments",
    "contact",
    "deleted",
    "directory",
    "docs",
    "drafts",
    "editor",
    "everyone",
    "export",
    "favicon",
    "feed",
    "follow",
    "followers",
    "following",
    "forgot",
    "help",
    "home",
    "index",
    "inkpot",
    "jobs",
    "jwks",
    "keys",
    "like",
    "likes",
    "livez",
    "login",
    "logout",
    "me",
    "metrics",
    "mod",
    "moderator",
    "new",
    "nobody",
    "null",
    "official",
    "online",
    "openapi",
    "operator",
    "owner",
    "page",
    "password",
    "people",
    "post",
    "postmaster",
    "posts",
    "preview",
    "privacy",
    "problems",
    "pub",
    "readyz",
    "refresh",
    "reg",
    "register",
    "reset",
    "retry",
    "robots",
    "root",
    "rss",
    "search",
    "security",
    "send",
    "sessions",
    "settings",
    "sitemap",
    "staff",
    "static",
    "status",
    "support",
    "system",
    "tag",
    "tags",
    "terms",
    "undefined",
    "user",
    "users",
    "verify",
    "webmaster",
    "well-known",
    "write",
    "www",
];

/// A mobile number in international form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mobile {
    /// E.164: `+` and 8 to 15 digits, the first not 0.
    pub key: String,
}

/// Characters of a number as it is pasted.
const MOBILE_MAX: usize = 64;

impl Mobile {
    /// Takes what people write between the digits, `00` for the `+`, and the `(0)` that says
    /// what is dialled within a country, which mostly is no part of the number.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let key = Self::key_of(text).ok_or(Fault(
            Code::MobileInvalid,
            "needs the international form: + and 8 to 15 digits",
        ))?;
        Ok(Self { key })
    }

    /// The same for one that somebody wants to have: it must be one of its country's.
    pub fn choose(text: &str) -> Result<Self, Fault> {
        let mobile = Self::parse(text)?;
        mobile.fault().map_or(Ok(mobile), Err)
    }

    /// Why nobody may take it. Who has it from earlier versions keeps it.
    pub fn fault(&self) -> Option<Fault> {
        let number = self.key.trim_start_matches('+');
        if numbering::exists(number) {
            return None;
        }
        // It is not left out here: what is meant is not sure.
        let detail = if numbering::split_country(number).1.starts_with('0') {
            "has a 0 after the country code, which is left out in the international form"
        } else {
            "is no number that its country has"
        };
        Some(Fault(Code::MobileInvalid, detail))
    }

    /// The number in E.164, whatever has the form of one.
    pub fn key_of(text: &str) -> Option<String> {
        if text.chars().count() > MOBILE_MAX {
            return None;
        }
        let text: String = text.nfkc().filter(|c| !is_between_digits(*c)).collect();
        if text.matches('(').count() != text.matches(')').count() {
            return None;
        }
        let text = text.trim_start_matches('(');
        let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00"))?;
        let plain = |digits: &str| digits.replace(['(', ')'], "");
        let digits = match digits.split_once("(0)") {
            Some((country, rest)) => without_zero(&plain(country), &plain(rest)),
            None => plain(digits),
        };
        let fits = (8..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        fits.then(|| format!("+{digits}"))
    }
}

/// A number that was written with `(0)` between what may be a country code and the rest. The 0 is left out
/// there, but where the number has it and is none without, as in Italy.
fn without_zero(country: &str, rest: &str) -> String {
    let (with, without) = (format!("{country}0{rest}"), format!("{country}{rest}"));
    let is_behind_country = numbering::split_country(&without).0 == country;
    let is_part = !is_behind_country || numbering::exists(&with) && !numbering::exists(&without);
    if is_part { with } else { without }
}

/// What is written between digits, and what comes along when a number is copied.
fn is_between_digits(c: char) -> bool {
    matches!(c, '.' | '/' | '\u{2212}')
        || is_invisible(c)
        || get_general_category(c) == GeneralCategory::DashPunctuation
}

/// The keys under which earlier versions kept what has this one now.
pub fn former_keys(account: &Account) -> Vec<String> {
    match account {
        Account::Email(key) => mail_address::former_keys(key),
        // The 0 of `(0)` was a digit of the number, and then it never was. What is another's number now is
        // not meant.
        Account::Mobile(key) => {
            let (country, rest) = numbering::split_country(key.trim_start_matches('+'));
            let without = rest
                .strip_prefix('0')
                .map(|rest| format!("{country}{rest}"));
            [Some(format!("{country}0{rest}")), without]
                .into_iter()
                .flatten()
                .filter(|number| !numbering::exists(number))
                .map(|number| format!("+{number}"))
                .collect()
        }
        Account::Username(_) => Vec::new(),
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
        if is_blank(text) {
            return Err(Fault(
                Code::NameEmpty,
                "needs at least one visible character",
            ));
        }
        if text.chars().any(is_direction_override) {
            return Err(Fault(
                Code::ControlCharacter,
                "holds a character that turns the direction of text (U+202D or U+202E)",
            ));
        }
        match text.chars().count() {
            ..=NAME_MAX => Ok(Self(text.to_owned())),
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
        if let Some(key) = Mobile::key_of(text) {
            return Self::Mobile(key);
        }
        Self::Username(Username::parse(text.trim()).map_or(String::new(), |name| name.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 300,000 were tried.
    const TEXTS: u32 = 20_000;

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
            "dan\u{3164}@example.org",
            "ann@example.123",
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
            "+31\u{a0}6\u{a0}1234\u{2011}5678",
            "\u{202d}+31 6 12345678\u{202c}",
            "+31 6/12 34\u{2013}56−78",
            "＋３１６１２３４５６７８",
            "+31 (0)6 12345678",
            "(+31)(0) 6 12345678\r\n",
        ] {
            let key = Mobile::choose(text).ok().map(|mobile| mobile.key);
            assert_eq!(key.as_deref(), Some("+31612345678"), "{text}");
        }
        for text in [
            "",
            "+",
            "0612345678",
            "+0612345678",
            "+1234567",
            "+1234567890123456",
            "+31a612345678",
            "+31 06 12345678",
            "+44 020 7946 0018",
            "+31 6(0)12345678(0",
            "+31 6 123456789",
            "+999 6 12345678",
            "+1 (0)2 55501234",
        ] {
            assert!(Mobile::choose(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zero_after_the_country_code_is_kept_where_it_belongs() {
        for (text, key) in [
            ("+39 06 698 1234", "+39066981234"),
            ("+225 07 12 34 56 78", "+2250712345678"),
            ("+44 (0)20 7946 0018", "+442079460018"),
            ("+49 (0) 30 123456", "+4930123456"),
            ("+39 (0)6 698 1234", "+39066981234"),
            ("+1 (0)212 555 0123", "+12125550123"),
        ] {
            let parsed = Mobile::choose(text).ok().map(|mobile| mobile.key);
            assert_eq!(parsed.as_deref(), Some(key), "{text}");
        }
        // Whoever registered with it as it was taken then still logs in.
        let named = Account::of("+44 020 7946 0018");
        assert_eq!(named, Account::Mobile("+4402079460018".into()));
        let named = Account::of("+44 (0)20 7946 0018");
        assert_eq!(former_keys(&named), ["+4402079460018"]);
        // Or as it was taken before the plans of countries were known.
        let rome = Account::of("+39 (0)6 698 1234");
        assert_eq!(rome, Account::Mobile("+39066981234".into()));
        assert_eq!(former_keys(&rome), ["+390066981234", "+3966981234"]);
        let nobodys = Account::of("+31 6 1234 56");
        assert_eq!(nobodys, Account::Mobile("+316123456".into()));
        // A telephone in Bergamo is not a mobile one that has its digits but the 0.
        let former = |text: &str| former_keys(&Account::of(text));
        assert_eq!(former("+39 035 1234567"), ["+3900351234567"]);
        assert!(former("+39 351 234567").is_empty());
    }

    /// Of whatever pieces a text is: it is judged, its own number is judged alike, and who registers
    /// with it logs in with it.
    #[test]
    fn any_text_is_a_number_or_none() {
        const PIECES: [&str; 24] = [
            "+", "00", "(0)", "(", ")", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "31",
            "44", "39", "1212", " ", "\u{2011}", "\u{202d}", "٣", "x",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let (mut numbers, mut forms) = (0, 0);
        for _ in 0..TEXTS {
            let mut text = String::new();
            // Mostly what may be one.
            if random(4) > 0 {
                text.push_str(["+31", "+44 (0)", "0039", "+1"][random(4)]);
            }
            for _ in 0..random(14) {
                let some = if random(3) == 0 { PIECES.len() } else { 15 };
                let from = if some == 15 { 5 } else { 0 };
                text.push_str(PIECES[from + random(some - from)]);
            }
            let Some(key) = Mobile::key_of(&text) else {
                assert!(Mobile::choose(&text).is_err(), "{text}");
                continue;
            };
            forms += 1;
            assert_eq!(Mobile::key_of(&key).as_ref(), Some(&key), "{text}");
            assert_eq!(Account::of(&text), Account::Mobile(key.clone()), "{text}");
            let chosen = Mobile::choose(&text).ok().map(|mobile| mobile.key);
            assert_eq!(chosen, Mobile::choose(&key).ok().map(|mobile| mobile.key));
            assert!(chosen.is_none_or(|chosen| chosen == key), "{text}");
            numbers += u32::from(Mobile::choose(&text).is_ok());
        }
        assert!(
            forms > TEXTS / 5 && numbers > TEXTS / 100,
            "{forms} {numbers}"
        );
        for long in ["+", "(", "1", "+31", "(0)", "\u{fdfa}"] {
            assert!(Mobile::choose(&long.repeat(20_000)).is_err());
        }
    }

    #[test]
    fn names_that_nobody_sees_are_empty() {
        for text in [
            "",
            " ",
            "\u{200b}",
            "\u{3164}",
            "\u{2800}\u{ad}",
            "\u{200e}\u{fe0f}",
        ] {
            let fault = Name::parse(text).err().map(|fault| fault.0);
            assert_eq!(fault, Some(Code::NameEmpty), "{text:?}");
        }
        let turned = Name::parse("Ann\u{202e}nimda").err().map(|fault| fault.0);
        assert_eq!(turned, Some(Code::ControlCharacter));
        assert!(Name::parse("שרה\u{200f} כהן").is_ok());
    }

    #[test]
    fn a_username_needs_a_letter_and_nothing_but_its_alphabet() {
        for text in ["ann-5", "al", "a.b", "x_", "4.2-a", &"a".repeat(64)] {
            assert!(Username::parse(text).is_ok(), "{text}");
        }
        for text in ["Feed.Atom", "robots.txt", "me"] {
            assert!(Username::choose(text).is_err(), "{text}");
        }
        for text in [
            "a",
            "12345",
            "1.2",
            "ann smith",
            "änna1",
            "a@b.org",
            &"a".repeat(65),
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
