//! Rate limits of the room: how often one may try what guesses passwords and codes.
//!
//! What one address may do is generous, for many people may share one.

use std::time::Duration;

use crate::core::rate_limits::{DeclaredLimit, Limit, SubjectLimit};

pub const LOGIN: Limit = Limit::new("login", 0, 30, Duration::from_secs(2));
pub const REGISTRATION: Limit = Limit::new("registration", 1, 20, Duration::from_secs(30));
pub const REFRESH: Limit = Limit::new("refresh", 2, 120, Duration::from_millis(500));
/// All routes that take or send a code.
pub const USE_OF_CODE: Limit = Limit::new("use of code", 3, 20, Duration::from_secs(15));

/// What may be tried at one account, from all addresses together. An address that was
/// refused because others emptied the account's bucket is let through once, half a minute
/// later.
pub const ACCOUNT: SubjectLimit = SubjectLimit::new(
    ("account", "refusal"),
    (10, Duration::from_secs(6)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// What may be tried at an account whose bucket is empty from addresses where somebody is
/// logged in, its owner perhaps.
pub const AT_HOME: SubjectLimit = SubjectLimit::new(
    ("at home", "refusal at home"),
    (10, Duration::from_secs(60)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// What may be tried at one account with codes to recover it that whoever tries did not order
/// (by no reset id, or another's), from all addresses together. What was ordered allows five
/// tries of its own.
pub const CODE_OF_OTHERS: SubjectLimit = SubjectLimit::new(
    ("code of others", "refusal of a code of others"),
    (60, Duration::from_secs(900)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// The same for one address, at all accounts.
pub const CODES_OF_OTHERS: Limit = Limit::new("codes of others", 4, 12, Duration::from_secs(300));

/// What a user may ask for of addresses, numbers and usernames, whose refusal tells that
/// somebody has them.
pub const NEW_IDENTIFIER: SubjectLimit = SubjectLimit::new(
    ("new identifier", "refusal of a new identifier"),
    (10, Duration::from_secs(6)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// Changes of a profile by its user. What others are shown has everybody's answers made anew, and a name has
/// all posts of the user indexed anew.
pub const PROFILE: SubjectLimit = SubjectLimit::new(
    ("profile", "refusal of a profile"),
    (30, Duration::from_secs(20)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// What a user may search for among all people, which reads the names of all.
pub const SEARCH_FOR_PEOPLE: SubjectLimit = SubjectLimit::new(
    ("search for people", "refusal of a search for people"),
    (30, Duration::from_secs(1)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// [`LOGIN`] as a type.
pub enum Login {}
/// [`REGISTRATION`] as a type.
pub enum Registration {}
/// [`REFRESH`] as a type.
pub enum Refresh {}
/// [`USE_OF_CODE`] as a type.
pub enum UseOfCode {}

impl DeclaredLimit for Login {
    const LIMIT: Limit = LOGIN;
}
impl DeclaredLimit for Registration {
    const LIMIT: Limit = REGISTRATION;
}
impl DeclaredLimit for Refresh {
    const LIMIT: Limit = REFRESH;
}
impl DeclaredLimit for UseOfCode {
    const LIMIT: Limit = USE_OF_CODE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_its_burst_and_its_pace() {
        // The ids are those of buckets in Redis, which outlive an upgrade.
        for (limit, bucket_id, burst, pace) in [
            (LOGIN, 0, 30, 2_000),
            (REGISTRATION, 1, 20, 30_000),
            (REFRESH, 2, 120, 500),
            (USE_OF_CODE, 3, 20, 15_000),
            (CODES_OF_OTHERS, 4, 12, 300_000),
        ] {
            let found = (limit.bucket_id(), limit.burst(), limit.every());
            let expected = (bucket_id, burst, Duration::from_millis(pace));
            assert_eq!(found, expected, "{}", limit.name());
        }
    }
}
