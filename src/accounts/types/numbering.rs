//! Which numbers there are: libphonenumber decides.
//!
//! `numbering_plans.txt` has its data, which `tests/numbering-plans` takes anew. The ports of it to Rust bring
//! crates by the dozen (docs/security.md has the figures); all that is asked here is whether a number is one of its country's, and for that
//! the data are enough.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use regex_lite::Regex;

/// Digits of a country code, at most.
const CODE_MAX: usize = 3;

/// By country code.
static PLANS: LazyLock<HashMap<&str, Plan>> = LazyLock::new(|| {
    let mut plans: HashMap<&str, Plan> = HashMap::new();
    for line in include_str!("numbering_plans.txt").lines() {
        let mut parts = line.splitn(3, ' ');
        let (Some(code), Some(lengths), Some(digits)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if code != "#" {
            (plans.entry(code).or_default().lines).push((lengths, digits));
        }
    }
    plans
});

/// The numbers behind a country code.
#[derive(Default)]
struct Plan {
    /// How many digits, by commas, and which.
    lines: Vec<(&'static str, &'static str)>,
    /// The same, once somebody asks.
    numbers: OnceLock<Vec<Numbers>>,
}

struct Numbers {
    lengths: Vec<usize>,
    digits: Regex,
}

impl Plan {
    fn has(&self, number: &str) -> bool {
        let numbers = self.numbers.get_or_init(|| {
            let compile = |(lengths, digits): &(&str, &str)| {
                let lengths = lengths.split(',').filter_map(|n| n.parse().ok());
                // A test sees that all are compiled.
                let digits = Regex::new(&format!("^(?:{digits})$")).ok()?;
                Some(Numbers {
                    lengths: lengths.collect(),
                    digits,
                })
            };
            self.lines.iter().filter_map(compile).collect()
        });
        let mut fitting = numbers.iter().filter(|n| n.lengths.contains(&number.len()));
        fitting.any(|numbers| numbers.digits.is_match(number))
    }
}

/// Country code and the rest of a number, which is digits alone. A code that no country has is taken to have
/// three digits.
pub fn split_country(number: &str) -> (&str, &str) {
    let codes = (1..=CODE_MAX).filter_map(|length| number.split_at_checked(length));
    let mut known = codes.filter(|(code, _)| PLANS.contains_key(code));
    known
        .next()
        .or_else(|| number.split_at_checked(CODE_MAX))
        .unwrap_or((number, ""))
}

/// Whether somebody may have this number: digits alone, with the country code.
pub fn exists(number: &str) -> bool {
    let (code, rest) = split_country(number);
    PLANS.get(code).is_some_and(|plan| plan.has(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_compiled() {
        let text = include_str!("numbering_plans.txt");
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        let read: usize = PLANS.values().map(|plan| plan.lines.len()).sum();
        assert_eq!(read, lines);
        assert!(PLANS.len() > 200 && lines > 900, "{} {lines}", PLANS.len());
        for (code, plan) in PLANS.iter() {
            assert!(!plan.has("0"), "{code}");
            let numbers = plan.numbers.get().unwrap();
            assert_eq!(numbers.len(), plan.lines.len(), "{code}");
            assert!(numbers.iter().all(|numbers| !numbers.lengths.is_empty()));
        }
    }

    /// No country code begins with another one.
    #[test]
    fn a_number_has_one_country() {
        for (number, expected) in [
            ("31612345678", ("31", "612345678")),
            ("12125550123", ("1", "2125550123")),
            ("77011234567", ("7", "7011234567")),
            ("2250712345678", ("225", "0712345678")),
            ("80012345678", ("800", "12345678")),
            ("99912345678", ("999", "12345678")),
            ("21", ("21", "")),
        ] {
            assert_eq!(split_country(number), expected);
        }
        for code in PLANS.keys() {
            let others = PLANS.keys().filter(|other| *other != code);
            assert_eq!(others.filter(|other| other.starts_with(code)).count(), 0);
        }
    }

    /// As libphonenumber 9.0.43 says.
    #[test]
    fn numbers_are_judged_by_the_plan_of_their_country() {
        for number in [
            "31612345678",   // a mobile number of the Netherlands
            "442079460018",  // London, in the range for fiction
            "447911123456",  // a mobile number of the United Kingdom
            "12125550123",   // New York, in the range for fiction
            "18682911234",   // Trinidad and Tobago
            "4915112345678", // a mobile number of Germany
            "493012345678",  // Berlin
            "390669812345",  // Rome
            "393123456789",  // a mobile number of Italy
            "8613800138000", // a mobile number of China
            "2250712345678", // a mobile number of Côte d'Ivoire
            "77011234567",   // Kazakhstan
            "79161234567",   // Russia
            "919876543210",  // India
            "5511961234567", // São Paulo
            "80012345678",   // toll-free anywhere
            "883510012345",  // a global network
        ] {
            assert!(exists(number), "{number}");
        }
        for number in [
            "31912345678901",
            "316123456",
            "31012345678",
            "4402079460018",
            "11115550123",
            "12121550123",
            "1255501234",
            "390",
            "99912345678",
            "21012345678",
            "00000000000",
            "",
            "١٢٣٤٥٦٧٨",
        ] {
            assert!(!exists(number), "{number}");
        }
    }
}
