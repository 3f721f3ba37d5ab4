//! Keys that sign tokens, as they are stored, and their life: made, renewed, retired,
//! forgotten. All processes share them by the table, which each reads again and
//! again ([`catch_up`]).

use chrono::{Duration, NaiveDateTime};
use diesel::prelude::*;

use crate::accounts::signing::{self, Pair, PublicPart};
use crate::accounts::tokens::{LEEWAY, Tokens};
use crate::core::db::schema::signing_key;
use crate::core::db::{Conn, Db, DbError, dialect};
use crate::core::settings::{JwtAlg, MAX_TOKEN_TTL};

/// How long before it signs a key is told: every process reads the table twice in
/// that time, and what verifiers keep of the public keys has ended.
const LEAD: Duration = Duration::seconds(2);

/// A key's row.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = signing_key)]
pub struct StoredKey {
    pub kid: String,
    pub alg: String,
    /// The secret part, encrypted under the installation's secret.
    pub sealed: String,
    pub public_key: Option<String>,
    pub created: NaiveDateTime,
    /// Signs from then on.
    pub activates: NaiveDateTime,
    /// Signs no longer from then on.
    pub retires: Option<NaiveDateTime>,
}

/// A key that has no row yet.
struct Draft {
    kid: String,
    alg: JwtAlg,
    sealed: String,
    public_key: Option<String>,
}

impl Draft {
    fn new(tokens: &Tokens) -> Result<Self, String> {
        let alg = tokens.alg();
        let (secret, Pair { public, .. }) = signing::generate(alg)?;
        let kid = ulid::Ulid::generate().to_string();
        Ok(Self {
            sealed: tokens.vault().seal(&kid, alg, &secret)?,
            public_key: public.as_ref().map(PublicPart::text),
            kid,
            alg,
        })
    }

    fn insert(&self, conn: &mut Conn, now: NaiveDateTime) -> QueryResult<()> {
        diesel::insert_into(signing_key::table)
            .values((
                signing_key::kid.eq(&self.kid),
                signing_key::alg.eq(self.alg.name()),
                signing_key::sealed.eq(&self.sealed),
                signing_key::public_key.eq(self.public_key.as_ref()),
                signing_key::created.eq(now),
                signing_key::activates.eq(now + LEAD),
            ))
            .execute(conn)
            .map(drop)
    }
}

/// Every key in the order of their making.
fn all(conn: &mut Conn) -> QueryResult<Vec<StoredKey>> {
    signing_key::table
        .select(StoredKey::as_select())
        .order((signing_key::created, signing_key::kid))
        .load(conn)
}

/// Takes over what other processes have changed: one query, which costs next to
/// nothing when there is no news. Where the algorithm has no key, one is made.
pub async fn catch_up(db: &Db, tokens: &Tokens) -> Result<(), DbError> {
    take_over(tokens, &db.read(all).await?);
    if tokens.lacks_signer() {
        let make = first(tokens).map_err(DbError::Fault)?;
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
        let rows = db.write_blocking(&first(tokens)?).map_err(failed)?;
        tokens.reload(&rows)?;
    }
    std::thread::sleep(tokens.ready_in());
    Ok(())
}

/// Reads the table into `tokens`. The error is one line.
pub fn load(db: &Db, tokens: &Tokens) -> Result<(), String> {
    tokens.reload(&db.read_blocking(&all).map_err(failed)?)
}

fn failed(error: DbError) -> String {
    match error {
        DbError::Unavailable(why) | DbError::Fault(why) | DbError::Unique(why) => {
            format!("the signing keys: {why}")
        }
        DbError::ForeignKey => "the signing keys: a row is missing".to_owned(),
    }
}

/// The unit of work that makes a key unless there is one that goes on signing. Of
/// processes that do it at once, one makes it and the others find it.
fn first(
    tokens: &Tokens,
) -> Result<impl Fn(&mut Conn) -> QueryResult<Vec<StoredKey>> + Send + 'static, String> {
    let draft = Draft::new(tokens)?;
    let clock = tokens.clock().clone();
    Ok(move |conn: &mut Conn| {
        dialect::lock_signing_keys(conn)?;
        let rows = all(conn)?;
        let is_there = |row: &StoredKey| row.alg == draft.alg.name() && row.retires.is_none();
        if rows.iter().any(is_there) {
            return Ok(rows);
        }
        draft.insert(conn, clock.now())?;
        all(conn)
    })
}

/// What `rotate` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The new key.
    pub kid: String,
    /// Signs from then on.
    pub activates: NaiveDateTime,
    /// How many old keys were forgotten.
    pub deleted: usize,
}

/// Makes a new key of the algorithm, which takes over from the former ones when all
/// processes know it. Deletes keys whose tokens are gone, and encrypts what is left
/// under the first secret, so that the others may leave the list.
pub fn rotate(db: &Db, tokens: &Tokens) -> Result<Rotated, String> {
    let draft = Draft::new(tokens)?;
    let rows = db.read_blocking(&all).map_err(failed)?;
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
        let deleted = diesel::delete(signing_key::table.filter(signing_key::retires.lt(gone)))
            .execute(conn)?;
        for (kid, old, new) in sealed_again.iter().flatten() {
            let row = signing_key::table.find(kid);
            diesel::update(row.filter(signing_key::sealed.eq(old)))
                .set(signing_key::sealed.eq(new))
                .execute(conn)?;
        }
        let former = signing_key::table
            .filter(signing_key::alg.eq(draft.alg.name()))
            .filter(signing_key::retires.is_null());
        diesel::update(former)
            .set(signing_key::retires.eq(now + LEAD))
            .execute(conn)?;
        draft.insert(conn, now)?;
        Ok(Rotated {
            kid: draft.kid.clone(),
            activates: now + LEAD,
            deleted,
        })
    })
    .map_err(failed)
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

/// How `retire` ended.
enum Retired {
    Done,
    NotFound,
    Already,
    /// Nothing would be left to sign with.
    Only,
}

/// Signs no longer with a key; what it has signed is taken until it ends.
pub fn retire(db: &Db, tokens: &Tokens, kid: &str) -> Result<(), String> {
    load(db, tokens)?;
    let is_secret =
        |key: &crate::accounts::tokens::KeyInfo| key.kid == kid && key.created.is_none();
    if tokens.list().iter().any(is_secret) {
        return Err(format!(
            "{kid} is a secret of INKPOT_JWT_SECRET: take it from the list instead"
        ));
    }
    let clock = tokens.clock();
    let done = db
        .write_blocking(&|conn: &mut Conn| {
            dialect::lock_signing_keys(conn)?;
            let now = clock.now();
            let rows = all(conn)?;
            let Some(row) = rows.iter().find(|row| row.kid == kid) else {
                return Ok(Retired::NotFound);
            };
            if row.retires.is_some() {
                return Ok(Retired::Already);
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
                return Ok(Retired::Only);
            }
            diesel::update(signing_key::table.find(kid))
                .set(signing_key::retires.eq(now))
                .execute(conn)?;
            Ok(Retired::Done)
        })
        .map_err(failed)?;
    match done {
        Retired::Done => Ok(()),
        Retired::NotFound => Err(format!("there is no signing key {kid}")),
        Retired::Already => Err(format!("the signing key {kid} is retired already")),
        Retired::Only => Err(format!(
            "{kid} is the only key to sign with: `inkpot keys rotate` makes another and retires it"
        )),
    }
}
