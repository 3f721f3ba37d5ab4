//! Codes that prove an address, a number or the right to an account: six digits, sent
//! to where the account says.
//!
//! A code is not stored. Its row has a random nonce, from which the code follows with a
//! key made from the service's secret, so that the job that sends it can tell it once
//! more; and the code's HMAC, which alone is compared. The database without the secret
//! tells nothing, nor the reverse. A row stays until it has expired, used or not, and
//! there is one for each user and purpose: a new code replaces the old.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::core::db::schema::{code, user};
use crate::core::db::{Conn, dialect};

/// How long a code can be used.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// Between two codes of an account, whatever they are for.
pub const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// Tries that a code allows.
const TRIES: i32 = 5;
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

    fn named(name: &str) -> Option<Self> {
        [Self::VerifyEmail, Self::VerifyMobile, Self::ResetPassword]
            .into_iter()
            .find(|purpose| purpose.name() == name)
    }
}

/// Makes and compares codes.
pub struct CodeKeys {
    /// The first makes, all compare.
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

    /// The hash of a nonce's code, as the first key makes it.
    fn make(&self, bound: &Bound<'_>) -> Option<String> {
        let key = self.keys.first()?;
        let hash = hash_of(key, bound, &code_of(key, bound)?)?;
        Some(URL_SAFE_NO_PAD.encode(hash.finalize().into_bytes()))
    }

    /// The code whose hash is kept, by the key that made it; `None` when that key is
    /// no longer among the secrets.
    fn tell(&self, bound: &Bound<'_>, code_hash: &str) -> Option<String> {
        self.keys.iter().find_map(|key| {
            let code = code_of(key, bound)?;
            is_hash(key, bound, &code, code_hash).then_some(code)
        })
    }

    /// Whether it is the code whose hash is kept; takes as long for any code.
    fn is_right(&self, bound: &Bound<'_>, code: &str, code_hash: &str) -> bool {
        self.keys.iter().fold(false, |is_right, key| {
            is_hash(key, bound, code, code_hash) | is_right
        })
    }
}

/// What a code is bound to: it is worth nothing elsewhere.
struct Bound<'a> {
    user_id: i64,
    purpose: &'a str,
    target: &'a str,
    nonce: &'a str,
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

/// A row.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = code)]
pub struct CodeRow {
    pub code_id: i64,
    pub user_id: i64,
    pub purpose: String,
    /// Address or number, as it is shown.
    pub target: String,
    nonce: String,
    code_hash: String,
    pub tries: i32,
    pub created: NaiveDateTime,
    pub expires: NaiveDateTime,
    pub used: Option<NaiveDateTime>,
}

impl CodeRow {
    fn bound(&self) -> Bound<'_> {
        Bound {
            user_id: self.user_id,
            purpose: &self.purpose,
            target: &self.target,
            nonce: &self.nonce,
        }
    }
}

/// What came of ordering a code.
#[derive(Debug, PartialEq, Eq)]
pub enum Ordered {
    /// The code with this id is to be sent.
    Made(i64),
    /// The account had one less than a minute ago; it can have another after this time.
    TooSoon {
        wait: TimeDelta,
        /// Whether that one was for the same purpose, and is as good.
        has_one: bool,
    },
}

/// Makes a code for `target`, in place of an older one for the same purpose. `nonce`:
/// 256 random bits.
pub fn order(
    conn: &mut Conn,
    keys: &CodeKeys,
    (user_id, purpose, target): (i64, Purpose, &str),
    nonce: &str,
    now: NaiveDateTime,
) -> QueryResult<Ordered> {
    // Of a hundred at once one finds no code from just now.
    dialect::lock_user(conn, user_id)?;
    let newest: Option<(NaiveDateTime, String)> = code::table
        .filter(code::user_id.eq(user_id))
        .order(code::created.desc())
        .select((code::created, code::purpose))
        .first(conn)
        .optional()?;
    if let Some((created, newest)) = newest
        && created + PAUSE > now
    {
        return Ok(Ordered::TooSoon {
            wait: created + PAUSE - now,
            has_one: newest == purpose.name(),
        });
    }
    let bound = Bound {
        user_id,
        purpose: purpose.name(),
        target,
        nonce,
    };
    // HMAC takes any key, so there is one; and no code has the empty hash.
    let code_hash = keys.make(&bound).unwrap_or_default();
    diesel::delete(
        code::table
            .filter(code::user_id.eq(user_id))
            .filter(code::purpose.eq(purpose.name())),
    )
    .execute(conn)?;
    diesel::insert_into(code::table)
        .values((
            code::user_id.eq(user_id),
            code::purpose.eq(purpose.name()),
            code::target.eq(target),
            code::nonce.eq(nonce),
            code::code_hash.eq(code_hash),
            code::tries.eq(0),
            code::created.eq(now),
            code::expires.eq(now + LIFETIME),
        ))
        .execute(conn)?;
    dialect::last_insert(conn).map(Ordered::Made)
}

/// A code that can still be used, for the job that sends it.
#[derive(Debug)]
pub struct Sendable {
    pub purpose: Purpose,
    pub target: String,
    pub code: String,
}

/// The code with this id; `None` when it was replaced, used, withdrawn or is too old,
/// so that nobody gets what is worth nothing.
pub fn find_sendable(
    conn: &mut Conn,
    keys: &CodeKeys,
    code_id: i64,
    now: NaiveDateTime,
) -> QueryResult<Option<Sendable>> {
    let row: Option<CodeRow> = code::table
        .inner_join(user::table)
        .filter(code::code_id.eq(code_id))
        .filter(code::used.is_null())
        .filter(code::expires.gt(now))
        .filter(user::is_active.eq(true))
        .select(CodeRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row.and_then(|row| {
        Some(Sendable {
            purpose: Purpose::named(&row.purpose)?,
            code: keys.tell(&row.bound(), &row.code_hash)?,
            target: row.target,
        })
    }))
}

/// Counts a try and then compares; gives the id of the code if it was right. It is the
/// same work for a user who has no code, or is none (`user_id` 0). Commit it whatever
/// comes out.
pub fn try_code(
    conn: &mut Conn,
    keys: &CodeKeys,
    (user_id, purpose): (i64, Purpose),
    text: &str,
    now: NaiveDateTime,
) -> QueryResult<Option<CodeRow>> {
    let own = || {
        code::table
            .filter(code::user_id.eq(user_id))
            .filter(code::purpose.eq(purpose.name()))
    };
    // The row is held from here on: those who try at once come one after the other.
    let counted = diesel::update(
        own()
            .filter(code::used.is_null())
            .filter(code::tries.lt(TRIES))
            .filter(code::expires.gt(now)),
    )
    .set(code::tries.eq(code::tries + 1))
    .execute(conn)?;
    let found = own().select(CodeRow::as_select()).first(conn).optional()?;
    let row = found.unwrap_or_else(|| CodeRow {
        code_id: 0,
        user_id,
        purpose: purpose.name().to_owned(),
        target: String::new(),
        nonce: String::new(),
        code_hash: URL_SAFE_NO_PAD.encode([0_u8; 32]),
        tries: 0,
        created: now,
        expires: now,
        used: None,
    });
    let is_right = keys.is_right(&row.bound(), text, &row.code_hash);
    Ok((is_right && counted == 1).then_some(row))
}

/// Uses a code up; false when another was faster.
pub fn use_up(conn: &mut Conn, code_id: i64, now: NaiveDateTime) -> QueryResult<bool> {
    let used = diesel::update(code::table.find(code_id).filter(code::used.is_null()))
        .set(code::used.eq(Some(now)))
        .execute(conn)?;
    Ok(used == 1)
}

/// Makes codes of a user worthless: what they were bound to has changed.
pub fn withdraw(
    conn: &mut Conn,
    user_id: i64,
    purposes: &[Purpose],
    now: NaiveDateTime,
) -> QueryResult<()> {
    let names = purposes.iter().map(|purpose| purpose.name());
    diesel::update(
        code::table
            .filter(code::user_id.eq(user_id))
            .filter(code::purpose.eq_any(names.collect::<Vec<_>>()))
            .filter(code::used.is_null()),
    )
    .set(code::used.eq(Some(now)))
    .execute(conn)
    .map(drop)
}

/// The codes of a user, of which the export tells.
pub fn load_of_user(conn: &mut Conn, user_id: i64) -> QueryResult<Vec<CodeRow>> {
    code::table
        .filter(code::user_id.eq(user_id))
        .order(code::code_id)
        .select(CodeRow::as_select())
        .load(conn)
}

/// Deletes some codes that have expired; gives how many.
pub fn delete_expired(conn: &mut Conn, now: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = code::table
        .filter(code::expires.le(now))
        .limit(limit)
        .select(code::code_id)
        .load(conn)?;
    diesel::delete(code::table.filter(code::code_id.eq_any(ids))).execute(conn)
}
