//! Verification codes, which prove an address, a number or the right to an account: six
//! digits, sent to where the account says.
//!
//! A code is not stored. Its row has a random nonce, from which a key made from the
//! service's secret derives the code, so that the job that sends it can derive it once
//! more; and the code's HMAC, which alone is compared. The database without the secret
//! tells nothing, nor the reverse.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::core::db::schema::code;

/// How long a code can be used.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// Between two codes of an account for one purpose and target.
pub const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// Tries that a code allows.
pub const TRIES: i32 = 5;
/// Codes are below this.
const CODES: u64 = 1_000_000;

/// What a code is good for, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    VerifyEmail,
    VerifyMobile,
    ResetPassword,
}

impl Purpose {
    /// As it is kept: never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "email",
            Self::VerifyMobile => "mobile",
            Self::ResetPassword => "password",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::VerifyEmail, Self::VerifyMobile, Self::ResetPassword]
            .into_iter()
            .find(|purpose| purpose.name() == name)
    }
}

/// Derives and compares codes.
pub struct CodeKeys {
    /// The first derives new codes, all compare.
    keys: Vec<Vec<u8>>,
}

impl CodeKeys {
    /// From the secrets that sign tokens, each with a label of its own.
    pub fn new(secrets: &[Vec<u8>]) -> Result<Self, String> {
        let keys = secrets
            .iter()
            .map(|secret| {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|e| e.to_string())?;
                mac.update(b"inkpot code key");
                Ok(mac.finalize().into_bytes().to_vec())
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { keys })
    }

    /// What an address or number is called where messages to it are counted: nobody without
    /// the secret knows it again.
    pub fn name_of_target(&self, target: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.keys.first()?).ok()?;
        mac.update(b"message target");
        mac.update(target.as_bytes());
        Some(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// The hash of a nonce's code, by the first key.
    pub fn hash(&self, bound: &Bound<'_>) -> Option<String> {
        let key = self.keys.first()?;
        let hash = hash_of(key, bound, &code_of(key, bound)?)?;
        Some(URL_SAFE_NO_PAD.encode(hash.finalize().into_bytes()))
    }

    /// Derives the code whose hash is kept, by the key that made it; `None` when that key
    /// is no longer among the secrets.
    pub fn derive(&self, bound: &Bound<'_>, code_hash: &str) -> Option<String> {
        self.keys.iter().find_map(|key| {
            let code = code_of(key, bound)?;
            is_hash(key, bound, &code, code_hash).then_some(code)
        })
    }

    /// Whether it is the code whose hash is kept; takes as long for any code.
    pub fn matches(&self, bound: &Bound<'_>, code: &str, code_hash: &str) -> bool {
        self.keys.iter().fold(false, |matches, key| {
            is_hash(key, bound, code, code_hash) | matches
        })
    }
}

/// What a code is bound to: it is worth nothing elsewhere.
pub struct Bound<'a> {
    pub user_id: i64,
    pub purpose: &'a str,
    pub target: &'a str,
    pub nonce: &'a str,
}

impl Bound<'_> {
    fn mac(&self, key: &[u8], label: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of any length, so this cannot fail.
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(label);
        mac.update(&self.user_id.to_be_bytes());
        for part in [self.purpose, self.target, self.nonce] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }
}

fn code_of(key: &[u8], bound: &Bound<'_>) -> Option<String> {
    let mac = bound.mac(key, b"code")?.finalize().into_bytes();
    let (number, _) = mac.split_first_chunk::<8>()?;
    // 2^64 is so much more than a million that every code is as likely.
    Some(format!("{:06}", u64::from_be_bytes(*number) % CODES))
}

fn hash_of(key: &[u8], bound: &Bound<'_>, code: &str) -> Option<Hmac<Sha256>> {
    let mut mac = bound.mac(key, b"hash")?;
    mac.update(code.as_bytes());
    Some(mac)
}

fn is_hash(key: &[u8], bound: &Bound<'_>, code: &str, code_hash: &str) -> bool {
    let kept = URL_SAFE_NO_PAD.decode(code_hash).unwrap_or_default();
    // In constant time.
    hash_of(key, bound, code).is_some_and(|mac| mac.verify_slice(&kept).is_ok())
}

/// A code's row.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = code)]
pub struct CodeRow {
    pub code_id: i64,
    pub user_id: i64,
    pub purpose: String,
    /// Address or number, as it is shown.
    pub target: String,
    pub nonce: String,
    pub code_hash: String,
    pub tries: i32,
    pub created: NaiveDateTime,
    pub expires: NaiveDateTime,
    pub used: Option<NaiveDateTime>,
}

impl CodeRow {
    pub fn bound(&self) -> Bound<'_> {
        Bound {
            user_id: self.user_id,
            purpose: &self.purpose,
            target: &self.target,
            nonce: &self.nonce,
        }
    }
}

/// What a code is made from, and whose it is.
#[derive(Clone, Debug)]
pub struct Order {
    /// 256 random bits.
    pub nonce: String,
    /// The hash of what only whoever ordered it knows; empty where a token says who that is.
    pub order_hash: String,
    /// Whether it chooses the first password of an account that somebody else made, which
    /// its mail says.
    pub is_invitation: bool,
}

/// The hash by which a reset id is known again.
pub fn order_hash(reset_id: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(reset_id.as_bytes()))
}

/// What became of the code that was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeState {
    Used,
    Expired,
    /// There is none, or it is still to be used.
    Other,
}

/// What came of issuing a code.
#[derive(Debug, PartialEq, Eq)]
pub enum Issued {
    /// The code with this id is to be sent.
    New(i64),
    /// The account had one less than a minute ago; it can have another after this time.
    TooSoon {
        wait: TimeDelta,
        /// When the last one was issued.
        created: NaiveDateTime,
    },
    /// Too many messages went to the target, for the account or in all; another can after
    /// this time.
    TooMany(TimeDelta),
}

/// A code that can still be used, for the job that sends it.
#[derive(Debug)]
pub struct Sendable {
    pub purpose: Purpose,
    pub target: String,
    pub code: String,
}
