//! The keys that sign tokens: made, rotated, retired, deleted. All processes share them
//! by a table, which each reads again and again ([`catch_up`]).

use std::fmt;

use chrono::Duration;
use diesel::prelude::*;

use crate::accounts::signing::{self, Pair, PublicPart};
use crate::accounts::storage::signing_keys;
use crate::accounts::tokens::{KeyInfo, LEEWAY, Tokens};
use crate::accounts::types::{NewKey, StoredKey};
use crate::core::db::{Conn, Db, DbError, dialect};
use crate::core::settings::{JwtAlg, MAX_TOKEN_TTL};
use crate::core::telemetry::chain::Chain;

/// How long before it signs a key is told at least: every process reads the table twice in
/// that time. Enough for a first key, of which no verifier has kept anything.
pub const SHORTEST_LEAD: Duration = Duration::seconds(2);

/// A new key of the algorithm that tokens are signed with.
fn generate(tokens: &Tokens) -> Result<NewKey, String> {
    let alg = tokens.alg();
    let (secret, Pair { public, .. }) = signing::generate(alg)?;
    let kid = ulid::Ulid::generate().to_string();
    Ok(NewKey {
        sealed: tokens.vault().seal(&kid, alg, &secret)?,
        public_key: public.as_ref().map(PublicPart::text),
        kid,
        alg,
    })
}

/// Takes over what other processes have changed: one query, which costs next to
/// nothing when there is no news. Where the algorithm has no key, one is made.
pub async fn catch_up(db: &Db, tokens: &Tokens) -> Result<(), DbError> {
    take_over(tokens, &db.read(signing_keys::load_all).await?);
    if tokens.lacks_signer() {
        let make = first(tokens).map_err(|why| DbError::fault(why))?;
        take_over(tokens, &db.write(make).await?);
    }
    Ok(())
}

/// A key that cannot be used keeps nobody from using the others.
fn take_over(tokens: &Tokens, rows: &[StoredKey]) {
    if let Err(why) = tokens.reload(rows) {
        tracing::error!("{why}");
    }
}

/// [`catch_up`] for a start, which a key that cannot be used prevents. Blocks until
/// there is a key to sign with that all other processes know.
pub fn start(db: &Db, tokens: &Tokens) -> Result<(), String> {
    load(db, tokens)?;
    if tokens.lacks_signer() {
        let rows = db
            .write_blocking(&first(tokens)?)
            .map_err(|error| failed(&error))?;
        tokens.reload(&rows)?;
    }
    std::thread::sleep(tokens.ready_in());
    Ok(())
}

/// Reads the table into `tokens`. The error is one line.
fn load(db: &Db, tokens: &Tokens) -> Result<(), String> {
    tokens.reload(
        &db.read_blocking(&signing_keys::load_all)
            .map_err(|error| failed(&error))?,
    )
}

fn failed(error: &DbError) -> String {
    format!("the signing keys: {}", Chain(error))
}

/// The unit of work that makes a key unless there is one that goes on signing. Of
/// processes that do it at once, one makes it and the others find it.
fn first(
    tokens: &Tokens,
) -> Result<impl Fn(&mut Conn) -> QueryResult<Vec<StoredKey>> + Send + 'static, String> {
    let new = generate(tokens)?;
    let clock = tokens.clock().clone();
    Ok(move |conn: &mut Conn| {
        dialect::lock_signing_keys(conn)?;
        let rows = signing_keys::load_all(conn)?;
        let is_there = |row: &StoredKey| row.alg == new.alg.name() && row.retires.is_none();
        if rows.iter().any(is_there) {
            return Ok(rows);
        }
        let now = clock.now();
        signing_keys::insert(conn, &new, now, now + SHORTEST_LEAD)?;
        signing_keys::load_all(conn)
    })
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The new key.
    pub kid: String,
    /// Signs from then on.
    pub activates: chrono::NaiveDateTime,
    /// How many old keys were forgotten.
    pub deleted: usize,
}

/// Makes a new key of the algorithm, which takes over from the former ones after `lead`: when
/// all processes know it, and verifiers who keep the public keys. Deletes keys whose tokens are gone, and encrypts what is left
/// under the first secret, so that the others may leave the list.
pub fn rotate(db: &Db, tokens: &Tokens, lead: Duration) -> Result<Rotated, String> {
    let lead = lead.max(SHORTEST_LEAD);
    let new = generate(tokens)?;
    let rows = db
        .read_blocking(&signing_keys::load_all)
        .map_err(|error| failed(&error))?;
    tokens.reload(&rows)?;
    let sealed_again = rows
        .iter()
        .map(|row| seal_again(tokens, row))
        .collect::<Result<Vec<_>, String>>()?;
    let clock = tokens.clock();
    db.write_blocking(&|conn: &mut Conn| {
        dialect::lock_signing_keys(conn)?;
        // After the lock: what was waited for does not shorten the lead.
        let now = clock.now();
        // Whatever this process' own setting is, the servers' is no longer.
        let gone = now - Duration::seconds(i64::from(MAX_TOKEN_TTL) + LEEWAY);
        let deleted = signing_keys::delete_retired(conn, gone)?;
        for (kid, old, new) in sealed_again.iter().flatten() {
            signing_keys::reseal(conn, kid, old, new)?;
        }
        signing_keys::retire_all(conn, new.alg, now + lead)?;
        signing_keys::insert(conn, &new, now, now + lead)?;
        Ok(Rotated {
            kid: new.kid.clone(),
            activates: now + lead,
            deleted,
        })
    })
    .map_err(|error| failed(&error))
}

/// Kid, old and new ciphertext of a row that is not under the first secret.
fn seal_again(
    tokens: &Tokens,
    row: &StoredKey,
) -> Result<Option<(String, String, String)>, String> {
    let Some(alg) = JwtAlg::named(&row.alg) else {
        return Ok(None);
    };
    match tokens.vault().open(&row.kid, alg, &row.sealed) {
        Some(opened) if !opened.by_first => {
            let new = tokens.vault().seal(&row.kid, alg, &opened.secret)?;
            Ok(Some((row.kid.clone(), row.sealed.clone(), new)))
        }
        _ => Ok(None),
    }
}

/// Every key that there is, in the order of their making. The error is one line.
pub fn list(db: &Db, tokens: &Tokens) -> Result<Vec<KeyInfo>, String> {
    load(db, tokens)?;
    Ok(tokens.list())
}

/// Why a key was not retired.
#[derive(Debug, PartialEq, Eq)]
pub enum NotRetired {
    NotFound(String),
    /// It has been retired before.
    Already(String),
    /// Nothing would be left to sign with.
    Only(String),
    /// It is no stored key, but a secret of the settings.
    Secret(String),
    Failed(String),
}

impl fmt::Display for NotRetired {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(kid) => write!(f, "there is no signing key {kid}"),
            Self::Already(kid) => write!(f, "the signing key {kid} is retired already"),
            Self::Only(kid) => write!(
                f,
                "{kid} is the only key to sign with: `inkpot keys rotate` makes another and retires it"
            ),
            Self::Secret(kid) => write!(
                f,
                "{kid} is a secret of INKPOT_JWT_SECRET: take it from the list instead"
            ),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Signs no longer with a key; what it has signed is taken until it ends.
pub fn retire(db: &Db, tokens: &Tokens, kid: &str) -> Result<(), NotRetired> {
    let keys = list(db, tokens).map_err(NotRetired::Failed)?;
    let is_secret = |key: &KeyInfo| key.kid == kid && key.created.is_none();
    if keys.iter().any(is_secret) {
        return Err(NotRetired::Secret(kid.to_owned()));
    }
    let clock = tokens.clock();
    db.write_blocking(&|conn: &mut Conn| {
        dialect::lock_signing_keys(conn)?;
        let now = clock.now();
        let rows = signing_keys::load_all(conn)?;
        let Some(row) = rows.iter().find(|row| row.kid == kid) else {
            return Ok(Err(NotRetired::NotFound(kid.to_owned())));
        };
        if row.retires.is_some() {
            return Ok(Err(NotRetired::Already(kid.to_owned())));
        }
        // Without stored keys of HS256 the secret signs.
        let is_needed = row.alg == tokens.alg().name() && tokens.alg() != JwtAlg::Hs256;
        let stays = |other: &StoredKey| {
            other.alg == row.alg
                && other.kid != kid
                && other.activates <= now
                && other.retires.is_none()
        };
        if is_needed && !rows.iter().any(stays) {
            return Ok(Err(NotRetired::Only(kid.to_owned())));
        }
        signing_keys::retire(conn, kid, now)?;
        Ok(Ok(()))
    })
    .map_err(|error| NotRetired::Failed(failed(&error)))?
}
