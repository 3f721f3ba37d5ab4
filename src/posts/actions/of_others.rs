//! What other rooms ask of posts that they hang something on, in a transaction of theirs.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::core::db::{Conn, dialect};
use crate::posts::stats::{Stat, StatChanges};
use crate::posts::storage::{access, idempotency, stats};
use crate::posts::stored::{PostAccess, PostSummary};
use crate::posts::types::IdempotencyKey;
use crate::posts::views::PublishedResponse;

pub use crate::posts::storage::idempotency::KeyState;

/// Whose a post is, and who sees it.
pub fn find(conn: &mut Conn, post_id: i64) -> QueryResult<Option<PostAccess>> {
    access::find(conn, post_id)
}

/// The same, and the post stays until the transaction ends: it is neither deleted nor changed. Several
/// transactions may hold it so.
pub fn hold(conn: &mut Conn, post_id: i64) -> QueryResult<Option<PostAccess>> {
    if dialect::share_posts(conn, &[post_id])?.is_empty() {
        return Ok(None);
    }
    access::find(conn, post_id)
}

/// Has those of these posts that are there stay; gives which those are.
pub fn hold_all(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    dialect::share_posts(conn, post_ids)
}

/// Which of these posts there are, drafts too.
pub fn find_existing(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    access::find_existing(conn, post_ids)
}

/// A published post without its text.
pub fn find_published(conn: &mut Conn, post_id: i64) -> QueryResult<Option<PostSummary>> {
    access::find_summary(conn, post_id)
}

/// Adds to what is counted of posts that the transaction holds.
pub fn count(conn: &mut Conn, changes: &StatChanges) -> QueryResult<()> {
    stats::add(conn, changes)
}

/// How many there are of a post.
pub fn counted(conn: &mut Conn, post_id: i64, stat: Stat) -> QueryResult<i64> {
    stats::count(conn, post_id, stat)
}

/// Of which of these posts something is counted; others have nothing hanging on them.
pub fn find_counted(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    stats::find_counted(conn, post_ids)
}

/// Forgets what is counted of a post that is gone.
pub fn forget_counts(conn: &mut Conn, post_id: i64) -> QueryResult<usize> {
    stats::delete_of(conn, post_id)
}

/// Some rows of what is counted, for checks: post, kind, slot and number after such a key.
pub fn load_counts(
    conn: &mut Conn,
    after: (i64, i32, i32),
    limit: i64,
) -> QueryResult<Vec<(i64, i32, i32, i64)>> {
    stats::load_some(conn, after, limit)
}

/// Claims a key for what somebody makes, as for a post ([`idempotency::claim`]).
pub fn claim_key(
    conn: &mut Conn,
    user_id: i64,
    key: &IdempotencyKey,
    request_hash: &str,
    now: NaiveDateTime,
) -> QueryResult<KeyState> {
    idempotency::claim(conn, user_id, key, request_hash, now)
}

/// Keeps the response with a key. Its `post_id` is the id of what was made.
pub fn complete_key(
    conn: &mut Conn,
    user_id: i64,
    key: &IdempotencyKey,
    response: &PublishedResponse,
) -> QueryResult<()> {
    idempotency::complete(conn, user_id, key, response)
}

/// Gives back a key that this transaction claimed.
pub fn release_key(conn: &mut Conn, user_id: i64, key: &IdempotencyKey) -> QueryResult<()> {
    idempotency::release(conn, user_id, key)
}
