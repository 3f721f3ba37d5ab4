//! Passwords that attackers begin with.
//!
//! `common_passwords.txt`: of the 20,000 most common passwords that Royce Williams gathered
//! (<https://gist.github.com/roycewilliams/226886fd01572964e1431ac8afc999ce>), as Django 5.2
//! has them in `django/contrib/auth/common-passwords.txt.gz`, those of six characters and
//! more that are not all digits; lower-cased, NFKC, one a line, sorted.

use std::collections::HashSet;
use std::sync::LazyLock;

static LISTED: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// Digits and signs at the end of a password that make it no better, at most.
const ENDING: usize = 5;

/// Whether a password in its normal form is listed, whatever its case and with a usual
/// ending: a few digits or signs.
pub fn is_listed(password: &str) -> bool {
    let mut rest = password.to_lowercase();
    for _ in 0..=ENDING {
        if LISTED.contains(rest.as_str()) {
            return true;
        }
        match rest.pop() {
            Some(last) if !last.is_alphabetic() => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_its_form() {
        assert_eq!(LISTED.len(), 16_923);
        for entry in &*LISTED {
            assert!(entry.chars().count() >= 6 && *entry == entry.to_lowercase());
        }
    }

    #[test]
    fn case_and_usual_endings_make_nothing_of_it() {
        for entry in &*LISTED {
            for text in [
                (*entry).to_owned(),
                entry.to_uppercase(),
                format!("{entry}!"),
                format!("{entry}1"),
                format!("{entry}123"),
                format!("{entry}2024!"),
            ] {
                assert!(is_listed(&text), "{text}");
            }
        }
        for text in ["Password123!", "woaini1314", "Woaini1314!", "QWERTYUIOP"] {
            assert!(is_listed(text), "{text}");
        }
        for text in [
            "",
            "correct horse battery staple",
            "password is my horse",
            "qwertyuiop-and-more-9",
            "我喜欢在雨中散步",
        ] {
            assert!(!is_listed(text), "{text}");
        }
    }
}
