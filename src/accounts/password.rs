//! Passwords: the rules for new ones, and their hashes.
//!
//! Rules after NIST SP 800-63B §5.1.1.2 and OWASP ASVS 2.1: length, not a known
//! one, not the person's own data, no composition rules. Kept by bcrypt as the
//! standard `$2b$…` string. bcrypt reads 72 bytes only; a longer password goes in
//! as base64(HMAC-SHA384(password)), and its hash says so with a prefix, so that
//! neither kind can be taken for the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha384;
use unicode_normalization::UnicodeNormalization;
use zxcvbn::matching::patterns::MatchPattern;

use super::common_passwords;
use crate::error::Code;
pub use crate::http::body::Fault;

/// Characters after NFKC.
const MIN_CHARACTERS: usize = 8;
/// Bytes after NFKC.
const MAX_BYTES: usize = 1024;
/// What bcrypt reads of a password.
const BCRYPT_BYTES: usize = 72;
/// Marks the hash of a password that was longer than bcrypt reads.
const LONG_PREFIX: &str = "hmac-sha384:";
/// Separates this use of HMAC from any other; not a secret.
const LONG_KEY: &[u8] = b"inkpot long password v1";
/// From here on (0 alike in nothing, 1 the same) two texts are too close.
const TOO_SIMILAR: f64 = 0.7;
/// Decimal logarithm of how many tries the first passwords are, twenty thousand: a
/// known word with one more character counts for ten thousand and a few.
const GUESSED_FIRST: f64 = 4.3;
/// Characters that are estimated, since the time of it grows out of hand. A password
/// whose beginning is not common is not common.
const ESTIMATED: usize = 32;
/// Shorter parts of the person's data turn up in good passwords by chance.
const MIN_PART: usize = 4;

/// A password in its normal form (NFKC), so that it is the same from every
/// keyboard. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// What somebody who logs in says; judged by nothing but the hash.
    pub fn attempt(text: &str) -> Self {
        Self(text.nfkc().collect())
    }

    /// A new password; `own` is what is known of the person: e-mail, name,
    /// username.
    pub fn choose(text: &str, own: &[&str]) -> Result<Self, Fault> {
        let password = Self::attempt(text);
        let text = password.0.as_str();
        if text.chars().count() < MIN_CHARACTERS {
            return Err(Fault(Code::PasswordTooShort, "needs at least 8 characters"));
        }
        if text.len() > MAX_BYTES {
            return Err(Fault(Code::PasswordTooLong, "is too long"));
        }
        if text.chars().all(char::is_numeric) {
            return Err(Fault(Code::PasswordAllDigits, "may not be all digits"));
        }
        if is_similar(text, own) {
            return Err(Fault(
                Code::PasswordSimilar,
                "is too close to your e-mail address, name or username",
            ));
        }
        if common_passwords::is_listed(text) || is_common(text) {
            return Err(Fault(Code::PasswordCommon, "is one of those guessed first"));
        }
        Ok(password)
    }

    /// Hashes with `cost`. Takes a quarter of a second at 12: on the hasher's
    /// threads only.
    pub fn hash(&self, cost: u32) -> Result<String, bcrypt::BcryptError> {
        let (prefix, input) = match self.long_form() {
            Some(digest) => (LONG_PREFIX, digest),
            None => ("", self.0.clone()),
        };
        let hash = bcrypt::hash_with_result(input, cost)?;
        Ok(prefix.to_owned() + &hash.format_for_version(bcrypt::Version::TwoB))
    }

    /// Whether this is the password of `password_hash`. The same work whatever comes out,
    /// for the same cost; false for a text that is no hash.
    pub fn verify(&self, password_hash: &str) -> bool {
        let long = self.long_form();
        match (password_hash.strip_prefix(LONG_PREFIX), long) {
            (Some(hash), Some(digest)) => bcrypt::verify(digest, hash).unwrap_or(false),
            (None, None) => bcrypt::verify(&self.0, password_hash).unwrap_or(false),
            // A long password against the hash of a short one, or the reverse: the
            // work is done, the answer is no.
            (hash, _) => {
                let _ = bcrypt::verify("", hash.unwrap_or(password_hash));
                false
            }
        }
    }

    fn long_form(&self) -> Option<String> {
        if self.0.len() <= BCRYPT_BYTES {
            return None;
        }
        // HMAC takes keys of any length, so this cannot fail.
        let mut mac = Hmac::<Sha384>::new_from_slice(LONG_KEY).ok()?;
        mac.update(self.0.as_bytes());
        Some(STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Whether `password_hash` was made with another cost than `cost`.
pub fn needs_rehash(password_hash: &str, cost: u32) -> bool {
    cost_of(password_hash).is_some_and(|own| own != cost)
}

/// The cost that a hash was made with; `None` for a text that is no hash.
pub fn cost_of(password_hash: &str) -> Option<u32> {
    let hash = password_hash
        .strip_prefix(LONG_PREFIX)
        .unwrap_or(password_hash);
    let parts: bcrypt::HashParts = hash.parse().ok()?;
    Some(parts.get_cost())
}

/// The work of one hash with `cost`, and nothing else.
pub fn work_for_nothing(cost: u32) {
    std::hint::black_box(bcrypt::hash_with_salt("", cost, [0; 16]).is_ok());
}

/// In the estimator's lists of known passwords as a whole, whatever its case or
/// spelling, or guessed within the first tries.
fn is_common(text: &str) -> bool {
    // Capitals are where everybody puts them.
    let start: String = text.to_lowercase().chars().take(ESTIMATED).collect();
    let estimate = zxcvbn::zxcvbn(&start, &[]);
    let is_listed = match estimate.sequence() {
        [only] => matches!(only.pattern, MatchPattern::Dictionary(_)),
        _ => false,
    };
    is_listed || estimate.guesses_log10() < GUESSED_FIRST
}

/// Whether `text` is close to any of `own`, or to a part of one, digits and signs
/// before and behind left aside.
fn is_similar(text: &str, own: &[&str]) -> bool {
    let password = text.to_lowercase();
    let core: &str = password.trim_matches(|c: char| !c.is_alphabetic());
    let plain: String = password.chars().filter(|c| c.is_alphanumeric()).collect();
    own.iter().flat_map(|datum| parts(datum)).any(|part| {
        let close = |a: &str| strsim::normalized_damerau_levenshtein(a, &part) >= TOO_SIMILAR;
        let holds_mostly =
            plain.contains(&part) && part.chars().count() * 2 >= plain.chars().count();
        close(&password) || close(core) || close(&plain) || holds_mostly
    })
}

/// A datum as a whole, its words, and its words run together.
fn parts(datum: &str) -> Vec<String> {
    let datum: String = datum.nfkc().collect::<String>().to_lowercase();
    let words: Vec<&str> = datum
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut parts: Vec<String> = vec![datum.clone(), words.concat()];
    // Of an address, the part before the @ is what people reuse.
    if let Some((local, _)) = datum.rsplit_once('@') {
        parts.push(local.chars().filter(|c| c.is_alphanumeric()).collect());
    }
    parts.extend(words.iter().map(|word| (*word).to_owned()));
    parts.retain(|part| part.chars().count() >= MIN_PART);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, own: &[&str]) -> Option<&'static str> {
        Password::choose(text, own)
            .err()
            .map(|fault| fault.0.name())
    }

    #[test]
    fn length_is_counted_in_characters_of_the_normal_form() {
        assert_eq!(refusal("Xy3$k9!", &[]), Some("password_too_short"));
        assert_eq!(refusal("Xy3$k9!q", &[]), None);
        for short in ["гусли", "гусли7?", "我喜欢雨中散"] {
            assert_eq!(refusal(short, &[]), Some("password_too_short"), "{short}");
        }
        assert_eq!(refusal("гусли7?в", &[]), None);
        // Two that are one in the normal form.
        assert_eq!(refusal("Xy3$k9e\u{301}", &[]), Some("password_too_short"));
        assert_eq!(refusal("Ｘｙ３＄ｋ９！", &[]), Some("password_too_short"));
        assert_eq!(refusal(&"kq7-".repeat(256), &[]), None);
        assert_eq!(
            refusal(&format!("{}x", "kq7-".repeat(256)), &[]),
            Some("password_too_long")
        );
    }

    #[test]
    fn digits_alone_are_refused_in_every_script() {
        for text in ["8273645172", "٨٢٧٣٦٤٥١٧٢", "８２７３６４５１７２"] {
            assert_eq!(refusal(text, &[]), Some("password_all_digits"), "{text}");
        }
    }

    #[test]
    fn known_passwords_are_refused_in_their_disguises() {
        for text in [
            "password",
            "Password1",
            "P@ssw0rd",
            "qwertyuiop",
            "iloveyou",
            "aaaaaaaa",
            "abcdefgh",
            "drowssap",
            "trustno1",
            "sunshine",
            "letmein1",
            "password123",
            "qwerty123",
            "welcome1",
            "abc12345",
            "1q2w3e4r",
            "P@ssword1",
            "Passw0rd!",
            "Password123!",
            "woaini1314",
        ] {
            assert_eq!(refusal(text, &[]), Some("password_common"), "{text}");
        }
    }

    #[test]
    fn good_passwords_of_any_shape_are_taken() {
        for text in [
            "correct horse battery staple",
            "vierkante wielen",
            "s3cret-Passw0rd!",
            "пирожок с капустой",
            "我喜欢在雨中散步",
            "mypassw0rd-is-long",
            "Tr0ub4dor&3",
            "🐙🐙🐙 in the sea",
        ] {
            assert_eq!(
                refusal(text, &["ann@example.org", "Ann Smith"]),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn the_persons_own_data_are_refused() {
        let own = ["ann.smith@example.org", "Ann Smith", "smithy-77"];
        for text in [
            "annsmith1",
            "Ann Smith",
            "ann.smith@example.org",
            "ANN.SMITH1999",
            "smithy-77",
            "smithy_777",
            "annsmiht2024",
            "example.org",
        ] {
            assert_eq!(refusal(text, &own), Some("password_similar"), "{text}");
        }
        assert_eq!(refusal("the smith next door has a hammer", &own), None);
    }

    #[test]
    fn nothing_is_cut_off() {
        let long = "kq7-".repeat(25);
        let longer = format!("{long}x");
        let hash = Password::attempt(&long).hash(4).unwrap_or_default();
        assert!(hash.starts_with("hmac-sha384:$2b$04$"), "{hash}");
        assert!(hash.len() <= 128);
        assert!(Password::attempt(&long).verify(&hash));
        assert!(!Password::attempt(&longer).verify(&hash));
        assert!(!Password::attempt(&long[..72]).verify(&hash));
    }

    #[test]
    fn the_two_ways_are_never_confused() {
        let long = Password::attempt(&"kq7-".repeat(25));
        let digest = Password(long.long_form().unwrap_or_default());
        let hash = long.hash(4).unwrap_or_default();
        // The digest itself, given as a password, opens nothing.
        assert!(!digest.verify(&hash));
        assert!(digest.verify(hash.trim_start_matches(LONG_PREFIX)));
        assert!(!long.verify(hash.trim_start_matches(LONG_PREFIX)));
    }

    #[test]
    fn hashes_made_elsewhere_verify() {
        // From the test vectors of the Openwall reference implementation.
        let foreign = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert!(Password::attempt("U*U").verify(foreign));
        assert!(!Password::attempt("U*V").verify(foreign));
        for version in ["$2b$", "$2y$"] {
            assert!(Password::attempt("U*U").verify(&foreign.replace("$2a$", version)));
        }
        assert!(needs_rehash(foreign, 12));
        assert!(!needs_rehash(foreign, 5));
        assert!(!Password::attempt("U*U").verify("no hash"));
    }

    #[test]
    fn one_password_is_the_same_from_every_keyboard() {
        let composed = Password::attempt("h\u{e9}lices bleues");
        let hash = composed.hash(4).unwrap_or_default();
        assert!(Password::attempt("he\u{301}lices bleues").verify(&hash));
    }
}
