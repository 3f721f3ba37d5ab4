//! `Idempotency-Key`: a request to publish that is repeated is answered with the
//! first one's answer, byte for byte. Key and answer are rows of the transaction that
//! inserts the post, so either all of it is there or nothing.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::types::{NewPost, Status};
use crate::core::db::schema::idempotency;
use crate::core::db::{Conn, dialect};
use crate::error::{Code, Error};
use crate::http::endpoint::Operation;
use crate::http::handler::Extract;

/// The header of the request.
pub const HEADER: &str = "idempotency-key";
/// Characters of a key.
const KEY_MAX: usize = 255;
/// Hours that a key and its answer are kept.
const HOURS: i64 = 24;
/// Answers repeat the content that came in, and are read once at most: quickly made is
/// better than small.
const ZSTD_LEVEL: i32 = 1;

/// The key of a request; `None` without the header.
#[derive(Clone, Debug)]
pub struct Key(pub Option<String>);

impl Extract for Key {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let mut lines = request.headers().get_all(HEADER);
        let key = match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(key), None) => Some(key.as_bytes())
                .filter(|key| (1..=KEY_MAX).contains(&key.len()))
                .filter(|key| key.iter().all(u8::is_ascii_graphic))
                .map(|key| Some(String::from_utf8_lossy(key).into_owned()))
                .ok_or_else(|| Error::new(Code::IdempotencyKeyInvalid)),
            (Some(_), Some(_)) => Err(Error::new(Code::IdempotencyKeyInvalid)),
        };
        ready(key.map(Self))
    }

    fn describe(operation: Operation) -> Operation {
        operation
            .parameter(
                "Idempotency-Key",
                ParameterIn::Header,
                "Makes the request safe to repeat for 24 hours: with the same key and body the \
                 answer is that of the first, and nothing is published again.",
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .max_length(Some(KEY_MAX))
                    .pattern(Some("^[!-~]+$"))
                    .into(),
                json!("0b9cb9b2-7e8e-4d7b-9a51-6c1c2b6e2f55"),
            )
            .refuses(&[
                Code::IdempotencyKeyInvalid,
                Code::IdempotencyKeyInUse,
                Code::IdempotencyKeyReused,
            ])
    }
}

/// The answer to a request to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub post_id: i64,
    /// Of the new post at its own path.
    pub etag: String,
    pub body: Vec<u8>,
}

/// What is known of a key before its request is worked on.
#[derive(Debug)]
pub enum Known {
    /// Nothing: from now on it is under way.
    New,
    /// The same request was answered so.
    Answered(Answer),
    /// Another request has this key.
    Reused,
    /// The first request is still being worked on.
    UnderWay,
}

/// What a request asks for, so that it is known again in any spelling of its JSON.
pub fn hash_of(new: &NewPost) -> String {
    // Whole: with a field left out, another post would count as the same request.
    let NewPost {
        title,
        content,
        status,
        tags,
    } = new;
    let mut hash = Sha256::new();
    let tags = tags.iter().map(|tag| tag.0.as_str());
    for part in [title.0.as_str(), content.as_str()].into_iter().chain(tags) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update([u8::from(*status == Status::Published)]);
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

type Row = (String, i64, String, Vec<u8>, NaiveDateTime);

/// Looks a key up, and takes it for this transaction when it is new.
pub fn begin(
    conn: &mut Conn,
    user_id: i64,
    key: &str,
    request_hash: &str,
    now: NaiveDateTime,
) -> QueryResult<Known> {
    let row = idempotency::table.find((user_id, key));
    let columns = (
        idempotency::request_hash,
        idempotency::post_id,
        idempotency::etag,
        idempotency::answer,
        idempotency::created,
    );
    let find = |conn: &mut Conn| -> QueryResult<Option<Row>> {
        row.select(columns).first(conn).optional()
    };
    let mut found = find(conn)?;
    if found.is_none() {
        if dialect::is_idempotency_key_locked(conn, user_id, key)? {
            return Ok(Known::UnderWay);
        }
        // It may have come to its end between the two looks.
        found = find(conn)?;
    }
    if let Some((hash, post_id, etag, answer, created)) = found {
        if created + TimeDelta::hours(HOURS) > now {
            if hash != request_hash {
                return Ok(Known::Reused);
            }
            let body = zstd::decode_all(answer.as_slice()).map_err(fault)?;
            return Ok(Known::Answered(Answer {
                post_id,
                etag,
                body,
            }));
        }
        diesel::delete(row).execute(conn)?;
    }
    // Before the post: whoever comes now with the same key sees that it is taken.
    diesel::insert_into(idempotency::table)
        .values((
            idempotency::user_id.eq(user_id),
            idempotency::idempotency_key.eq(key),
            idempotency::request_hash.eq(request_hash),
            idempotency::post_id.eq(0),
            idempotency::etag.eq(""),
            idempotency::answer.eq(Vec::new()),
            idempotency::created.eq(now),
        ))
        .execute(conn)?;
    Ok(Known::New)
}

/// Keeps the answer with its key.
pub fn keep(conn: &mut Conn, user_id: i64, key: &str, answer: &Answer) -> QueryResult<()> {
    let packed = zstd::bulk::compress(&answer.body, ZSTD_LEVEL).map_err(fault)?;
    diesel::update(idempotency::table.find((user_id, key)))
        .set((
            idempotency::post_id.eq(answer.post_id),
            idempotency::etag.eq(&answer.etag),
            idempotency::answer.eq(packed),
        ))
        .execute(conn)
        .map(drop)
}

/// Gives a key back that was taken by this transaction.
pub fn forget(conn: &mut Conn, user_id: i64, key: &str) -> QueryResult<()> {
    diesel::delete(idempotency::table.find((user_id, key)))
        .execute(conn)
        .map(drop)
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
