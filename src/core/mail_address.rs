//! Addresses that mail can go to: the grammar of RFC 5321 and RFC 6531, with the domain judged
//! by IDNA. The same for who registers and for who sends.

use std::fmt::Write;

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;

use super::text::{is_invisible, is_mark};

/// Bytes of an address (RFC 5321 §4.5.3.1.3, less the brackets), its domain in ASCII.
const MAX: usize = 254;
/// Bytes of what stands before the `@` (§4.5.3.1.1).
const LOCAL_MAX: usize = 64;

/// An address, in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress {
    /// What stands before the `@`, in NFKC, the case kept; quoted only where it must be.
    pub local: String,
    /// The domain as it was written, in NFKC.
    pub domain: String,
    /// The domain as servers know it: in ASCII and lower case (RFC 5890, A-labels).
    pub ascii_domain: String,
}

impl MailAddress {
    /// `None` for what no mail can go to; white space around it is no part of it.
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.trim().nfkc().collect();
        let (local, domain) = text.trim().rsplit_once('@')?;
        let local = local_part(local)?;
        let ascii_domain = ascii_domain(domain)?;
        let fits = local.len() <= LOCAL_MAX && local.len() + 1 + ascii_domain.len() <= MAX;
        fits.then(|| Self {
            local,
            domain: domain.to_owned(),
            ascii_domain,
        })
    }

    /// What alone is compared: all addresses of one mailbox have one. Servers may tell upper from
    /// lower case; none that people use does.
    pub fn key(&self) -> String {
        let local: String = self.local.to_lowercase().nfkc().collect();
        format!("{local}@{}", self.ascii_domain)
    }
}

/// The keys that earlier versions made of addresses that have this key: with the domain in
/// Unicode, and quoted where it need not be.
pub fn former_keys(key: &str) -> Vec<String> {
    let Some((local, domain)) = key.rsplit_once('@') else {
        return Vec::new();
    };
    let (unicode, _) = idna::domain_to_unicode(domain);
    let mut keys = Vec::new();
    for local in [local.to_owned(), format!("\"{local}\"")] {
        for domain in [domain, &unicode] {
            let former = format!("{local}@{domain}");
            if former != key && !keys.contains(&former) {
                keys.push(former);
            }
        }
    }
    keys
}

/// What stands before the `@` in its normal form.
fn local_part(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        return is_dot_atom(text).then(|| text.to_owned());
    };
    let mut content = String::new();
    let mut rest = quoted.strip_suffix('"')?.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return None,
            '\\' => content.push(rest.next()?),
            c => content.push(c),
        }
    }
    if is_dot_atom(&content) {
        return Some(content);
    }
    if content.is_empty() || !content.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let mut canonical = String::from("\"");
    for c in content.chars() {
        let escape = if matches!(c, '"' | '\\') { "\\" } else { "" };
        let _ = write!(canonical, "{escape}{c}");
    }
    canonical.push('"');
    Some(canonical)
}

/// Words of `atext` with single dots between them (RFC 5322 §3.2.3, RFC 6531 §3.3).
fn is_dot_atom(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && !atom.starts_with(is_mark) && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    }
    let is_nothing = matches!(
        get_general_category(c),
        GeneralCategory::Unassigned | GeneralCategory::PrivateUse | GeneralCategory::Surrogate
    );
    !is_nothing && !is_invisible(c)
}

/// The domain in ASCII: a name with a dot in it whose last part is no number.
fn ascii_domain(text: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(text).ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    let is_name = !top.is_empty() && !top.bytes().all(|b| b.is_ascii_digit());
    is_name.then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<String> {
        MailAddress::parse(text).map(|address| address.key())
    }

    #[test]
    fn all_spellings_of_a_mailbox_have_one_key() {
        for (text, expected) in [
            ("bob@bücher.example", "bob@xn--bcher-kva.example"),
            ("bob@BÜCHER.example", "bob@xn--bcher-kva.example"),
            ("bob@bu\u{308}cher.example", "bob@xn--bcher-kva.example"),
            ("Bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example"),
            ("bob@XN--BCHER-KVA.example", "bob@xn--bcher-kva.example"),
            ("bob@bücher。example", "bob@xn--bcher-kva.example"),
            ("\"cat\"@x.example", "cat@x.example"),
            ("\"c\\at\"@x.example", "cat@x.example"),
            ("\"a.b\"@x.example", "a.b@x.example"),
            (" cat@x.example\r\n", "cat@x.example"),
            ("\"a,b\"@x.example", "\"a,b\"@x.example"),
            ("\"a\\,b\"@x.example", "\"a,b\"@x.example"),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn addresses_of_all_scripts_are_taken() {
        for text in [
            "संपर्क@डाटामेल.भारत",
            "ติดต่อ@ตัวอย่าง.ไทย",
            "தொடர்பு@எடுத்துக்காட்டு.இந்தியா",
            "İsmail@example.org",
            "δοκιμή@παράδειγμα.δοκιμή",
            "用户@例子.广告",
            "o'neil+tag/x@example.co.uk",
            "ann@a-b.example",
            "ann@1and1.com",
        ] {
            assert!(key(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_no_mail_can_reach_is_refused() {
        for text in [
            "ann@exa!mple.org",
            "ann@exa/mple.org",
            "ann@exa_mple.org",
            "ann@example.123",
            "ann@192.0.2.1",
            "ann@example",
            "ann@example.org.",
            "ann@.example.org",
            "ann@-example.org",
            "ann@xn--a.example",
            "dan\u{3164}@x.example",
            "dan\u{200B}@x.example",
            "dan\u{200D}@x.example",
            "dan\u{FE0F}@x.example",
            "dan\u{2800}@x.example",
            "\u{301}dan@x.example",
            "a..b@x.example",
            ".a@x.example",
            "a,b@x.example",
            "\"a b\"@x.example",
            "\"\"@x.example",
            "\"a\"b\"@x.example",
            "\"a@x.example",
            "\"ü,\"@x.example",
        ] {
            assert_eq!(key(text), None, "{text}");
        }
        assert_eq!(key(&format!("{}@x.example", "a".repeat(65))), None);
        assert!(key(&format!("{}@x.example", "a".repeat(64))).is_some());
    }

    #[test]
    fn a_key_is_its_own_key() {
        for text in [
            "İsmail@Bücher.example",
            "\"a,B\"@x.example",
            "Ann@Example.ORG",
        ] {
            let one = key(text).unwrap();
            assert_eq!(key(&one), Some(one.clone()), "{text}");
        }
    }

    #[test]
    fn the_keys_of_earlier_versions_are_found() {
        assert_eq!(former_keys("cat@x.example"), ["\"cat\"@x.example"]);
        let former = former_keys("bob@xn--bcher-kva.example");
        assert!(
            former.contains(&"bob@bücher.example".to_owned()),
            "{former:?}"
        );
    }
}
