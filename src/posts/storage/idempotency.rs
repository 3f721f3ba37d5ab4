//! The rows of `Idempotency-Key`s: a request to publish that is repeated is answered with
//! the first one's response, byte for byte. Key and response are rows of the transaction
//! that inserts the post, so either all of it is there or nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use sha2::{Digest, Sha256};

use crate::core::clock::rfc3339;
use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch};
use crate::core::db::schema::idempotency;
use crate::posts::slug::Slug;
use crate::posts::types::{Format, IdempotencyKey, NewPost, Status};
use crate::posts::views::PublishedResponse;

/// Hours that a key and its response are kept.
const HOURS: i64 = 24;
/// Responses repeat the content that came in, and are read once at most: quickly made is
/// better than small.
const ZSTD_LEVEL: i32 = 1;

/// The state of a key before its request is worked on.
#[derive(Debug)]
pub enum KeyState {
    /// The key was free: from now on its request is in progress.
    Claimed,
    /// The same request was completed with this response.
    Completed(PublishedResponse),
    /// Another request has this key.
    Reused,
    /// The first request is still in progress.
    InProgress,
}

/// The fingerprint of a request, the same in any spelling of its JSON.
pub fn request_hash(new: &NewPost) -> String {
    // A new field does not compile before it is hashed.
    let NewPost {
        title,
        content,
        status,
        publish_at,
        date,
        tags,
        format,
        slug,
        summary,
    } = new;
    let mut hash = Sha256::new();
    let tags = tags.iter().map(|tag| tag.0.as_str());
    for part in [title.0.as_str(), content.as_str()].into_iter().chain(tags) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update([u8::from(*status == Status::Published)]);
    // The default as if there were no formats: a request that a program of before has answered may
    // come again.
    if *format != Format::default() {
        hash.update(format.name());
    }
    let slug = slug.as_ref().map(Slug::as_str);
    let summary = summary.as_ref().map(|summary| summary.0.as_str());
    let (publish_at, date) = (publish_at.map(rfc3339), date.map(rfc3339));
    for (field, given) in [
        ("slug", slug),
        ("summary", summary),
        ("publish_at", publish_at.as_deref()),
        ("date", date.as_deref()),
    ] {
        if let Some(given) = given {
            hash.update(field);
            hash.update((given.len() as u64).to_le_bytes());
            hash.update(given);
        }
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

type Row = (String, i64, String, Vec<u8>, NaiveDateTime);

fn find_row(conn: &mut Conn, user_id: i64, key: &IdempotencyKey) -> QueryResult<Option<Row>> {
    idempotency::table
        .find((user_id, key.0.as_str()))
        .select((
            idempotency::request_hash,
            idempotency::post_id,
            idempotency::etag,
            idempotency::answer,
            idempotency::created,
        ))
        .first(conn)
        .optional()
}

/// What the row of a key says; `None` when it is no longer kept.
fn state_of(row: Row, request_hash: &str, now: NaiveDateTime) -> QueryResult<Option<KeyState>> {
    let (hash, post_id, etag, answer, created) = row;
    if created + TimeDelta::hours(HOURS) <= now {
        return Ok(None);
    }
    if hash != request_hash {
        return Ok(Some(KeyState::Reused));
    }
    let body = zstd::decode_all(answer.as_slice()).map_err(fault)?;
    Ok(Some(KeyState::Completed(PublishedResponse {
        post_id,
        etag,
        body,
    })))
}

/// Looks a key up without claiming it; `None` when it is free.
pub fn find(
    conn: &mut Conn,
    user_id: i64,
    key: &IdempotencyKey,
    request_hash: &str,
    now: NaiveDateTime,
) -> QueryResult<Option<KeyState>> {
    match find_row(conn, user_id, key)? {
        Some(row) => state_of(row, request_hash, now),
        None => Ok(None),
    }
}

/// Looks a key up, and claims it for this transaction when it is free.
pub fn claim(
    conn: &mut Conn,
    user_id: i64,
    key: &IdempotencyKey,
    request_hash: &str,
    now: NaiveDateTime,
) -> QueryResult<KeyState> {
    let mut found = find_row(conn, user_id, key)?;
    if found.is_none() {
        if dialect::is_idempotency_key_locked(conn, user_id, &key.0)? {
            return Ok(KeyState::InProgress);
        }
        // It may have been completed between the two looks.
        found = find_row(conn, user_id, key)?;
    }
    if let Some(row) = found {
        if let Some(state) = state_of(row, request_hash, now)? {
            return Ok(state);
        }
        diesel::delete(idempotency::table.find((user_id, key.0.as_str()))).execute(conn)?;
    }
    // Before the post: whoever comes now with the same key sees that it is taken.
    diesel::insert_into(idempotency::table)
        .values((
            idempotency::user_id.eq(user_id),
            idempotency::idempotency_key.eq(&key.0),
            idempotency::request_hash.eq(request_hash),
            idempotency::post_id.eq(0),
            idempotency::etag.eq(""),
            idempotency::answer.eq(Vec::new()),
            idempotency::created.eq(now),
        ))
        .execute(conn)?;
    Ok(KeyState::Claimed)
}

/// Stores the response with its key.
pub fn complete(
    conn: &mut Conn,
    user_id: i64,
    key: &IdempotencyKey,
    response: &PublishedResponse,
) -> QueryResult<()> {
    let packed = zstd::bulk::compress(&response.body, ZSTD_LEVEL).map_err(fault)?;
    diesel::update(idempotency::table.find((user_id, key.0.as_str())))
        .set((
            idempotency::post_id.eq(response.post_id),
            idempotency::etag.eq(&response.etag),
            idempotency::answer.eq(packed),
        ))
        .execute(conn)
        .map(drop)
}

/// A key that nobody has used, with its request's fingerprint and its response.
pub struct Completed<'k> {
    pub user_id: i64,
    pub key: &'k IdempotencyKey,
    pub request_hash: &'k str,
    pub response: &'k PublishedResponse,
    pub now: NaiveDateTime,
}

/// Stores keys with their responses in one statement. One that was used is a violation
/// of the unique index.
pub fn insert_completed(conn: &mut Conn, rows: &[Completed<'_>]) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new(conn);
    let mut values = Vec::new();
    for row in rows {
        let Completed {
            user_id,
            key,
            request_hash,
            response,
            now,
        } = row;
        let packed = zstd::bulk::compress(&response.body, ZSTD_LEVEL).map_err(fault)?;
        values.push(format!(
            "({user_id}, {}, {}, {}, {}, {}, {})",
            batch.text(&key.0),
            batch.text(request_hash),
            response.post_id,
            batch.text(&response.etag),
            Batch::bytes(&packed),
            batch.time(*now),
        ));
    }
    batch.push(format!(
        "INSERT INTO idempotency (user_id, idempotency_key, request_hash, post_id, etag, answer, \
         created) VALUES {}",
        values.join(", ")
    ));
    batch.run(conn)
}

/// Gives back a key that this transaction claimed.
pub fn release(conn: &mut Conn, user_id: i64, key: &IdempotencyKey) -> QueryResult<()> {
    diesel::delete(idempotency::table.find((user_id, key.0.as_str())))
        .execute(conn)
        .map(drop)
}

/// Deletes some keys of a user who is gone; gives how many.
pub fn delete_some_of(conn: &mut Conn, user_id: i64, limit: i64) -> QueryResult<usize> {
    let keys: Vec<String> = idempotency::table
        .filter(idempotency::user_id.eq(user_id))
        .limit(limit)
        .select(idempotency::idempotency_key)
        .load(conn)?;
    if keys.is_empty() {
        return Ok(0);
    }
    diesel::delete(
        idempotency::table
            .filter(idempotency::user_id.eq(user_id))
            .filter(idempotency::idempotency_key.eq_any(keys)),
    )
    .execute(conn)
}

/// Deletes some keys that are no longer kept; gives how many.
pub fn delete_expired(conn: &mut Conn, now: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let oldest: Vec<NaiveDateTime> = idempotency::table
        .filter(idempotency::created.le(now - TimeDelta::hours(HOURS)))
        .order(idempotency::created)
        .limit(limit)
        .select(idempotency::created)
        .load(conn)?;
    match oldest.last() {
        Some(last) => {
            diesel::delete(idempotency::table.filter(idempotency::created.le(last))).execute(conn)
        }
        None => Ok(0),
    }
}

fn fault(error: std::io::Error) -> diesel::result::Error {
    diesel::result::Error::SerializationError(Box::new(error))
}
