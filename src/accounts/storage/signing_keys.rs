//! Keys that sign tokens, as they are stored.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::accounts::types::{NewKey, StoredKey};
use crate::core::db::Conn;
use crate::core::db::schema::signing_key;
use crate::core::settings::JwtAlg;

/// Every key in the order of their making.
pub fn load_all(conn: &mut Conn) -> QueryResult<Vec<StoredKey>> {
    signing_key::table
        .select(StoredKey::as_select())
        .order((signing_key::created, signing_key::kid))
        .load(conn)
}

/// Inserts a key that signs from `activates` on.
pub fn insert(
    conn: &mut Conn,
    new: &NewKey,
    now: NaiveDateTime,
    activates: NaiveDateTime,
) -> QueryResult<()> {
    diesel::insert_into(signing_key::table)
        .values((
            signing_key::kid.eq(&new.kid),
            signing_key::alg.eq(new.alg.name()),
            signing_key::sealed.eq(&new.sealed),
            signing_key::public_key.eq(new.public_key.as_ref()),
            signing_key::created.eq(now),
            signing_key::activates.eq(activates),
        ))
        .execute(conn)
        .map(drop)
}

/// Deletes keys that were retired before a time; gives how many.
pub fn delete_retired(conn: &mut Conn, before: NaiveDateTime) -> QueryResult<usize> {
    diesel::delete(signing_key::table.filter(signing_key::retires.lt(before))).execute(conn)
}

/// Replaces the ciphertext of a key, unless it has changed since.
pub fn reseal(conn: &mut Conn, kid: &str, old: &str, new: &str) -> QueryResult<usize> {
    let row = signing_key::table.find(kid);
    diesel::update(row.filter(signing_key::sealed.eq(old)))
        .set(signing_key::sealed.eq(new))
        .execute(conn)
}

/// Retires every key of an algorithm that goes on signing.
pub fn retire_all(conn: &mut Conn, alg: JwtAlg, at: NaiveDateTime) -> QueryResult<usize> {
    let active = signing_key::table
        .filter(signing_key::alg.eq(alg.name()))
        .filter(signing_key::retires.is_null());
    diesel::update(active)
        .set(signing_key::retires.eq(at))
        .execute(conn)
}

/// Retires one key.
pub fn retire(conn: &mut Conn, kid: &str, at: NaiveDateTime) -> QueryResult<usize> {
    diesel::update(signing_key::table.find(kid))
        .set(signing_key::retires.eq(at))
        .execute(conn)
}
