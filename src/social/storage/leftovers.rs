//! What deleted posts leave, and which posts those are.

use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect;
use crate::core::db::schema::{comment, post_leftover};

/// Marks posts that are gone and of which there are rows left.
pub fn mark(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<()> {
    dialect::insert_leftovers(conn, post_ids)
}

/// A post of which something is left; no other transaction gets it until this one ends.
pub fn claim(conn: &mut Conn) -> QueryResult<Option<i64>> {
    dialect::claim_leftover(conn)
}

/// Deletes some comments of a post; gives how many.
pub fn delete_some_comments(conn: &mut Conn, post_id: i64, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = comment::table
        .filter(comment::post_id.eq(post_id))
        .order((comment::post_id, comment::comment_id))
        .limit(limit)
        .select(comment::comment_id)
        .load(conn)?;
    if ids.is_empty() {
        return Ok(0);
    }
    diesel::delete(comment::table.filter(dialect::any_of(comment::comment_id, &ids))).execute(conn)
}

/// Says that nothing is left.
pub fn forget(conn: &mut Conn, post_id: i64) -> QueryResult<()> {
    diesel::delete(post_leftover::table.find(post_id))
        .execute(conn)
        .map(drop)
}

/// Which of these posts something is left of, as it is marked.
pub fn find_marked(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    post_leftover::table
        .filter(dialect::any_of(post_leftover::post_id, post_ids))
        .select(post_leftover::post_id)
        .load(conn)
}
