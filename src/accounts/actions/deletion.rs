//! What a deleted user leaves, deleted in pieces: each piece is a transaction that others
//! wait for no longer than for a few hundred requests.
//!
//! The first piece belongs to the deletion itself, and for nearly everybody is all there is.
//! Of who has more, the row stays without a person in it ([`users::empty`]): posts refer to
//! it, readers of posts know by it whose are not to be seen, and here it says what is to be
//! done. It goes with the last piece. So a process may be killed between any two of them.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::Revocation;
use crate::core::db::Conn;
use crate::posts::actions::of_author;
use crate::social::actions::of_users;

/// Rows of each kind that one transaction deletes.
pub const PIECE: usize = 200;
/// Entries of the audit that lose their address in one: a column of small rows.
const ADDRESSES: usize = 1000;

/// What one piece was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Posts that were deleted.
    pub posts: usize,
    /// What they said under posts of others.
    pub said: of_users::Deleted,
    /// Whether nothing is left.
    pub is_all: bool,
}

/// Deletes some of what a user has whose row the transaction holds: posts, keys of requests
/// and sessions, all of which may be many, and what they said elsewhere; and takes the addresses
/// off the audit of them.
pub fn delete_some(conn: &mut Conn, user_id: i64, now: NaiveDateTime) -> QueryResult<Piece> {
    let limit = i64::try_from(PIECE).unwrap_or(i64::MAX);
    let posts = of_author::delete_some_of(conn, user_id, limit, now)?;
    let said = of_users::delete_some(conn, user_id, limit, now)?;
    let keys = of_author::delete_some_keys_of(conn, user_id, limit)?;
    let sessions = sessions::delete_some_of(conn, user_id, limit)?;
    let limit = i64::try_from(ADDRESSES).unwrap_or(i64::MAX);
    let addresses = audit::forget_some_addresses_of(conn, user_id, limit)?;
    let is_all = [posts, said.rows, keys, sessions]
        .iter()
        .all(|some| *some < PIECE);
    Ok(Piece {
        posts,
        said,
        is_all: is_all && addresses < ADDRESSES,
    })
}

/// Deletes some of what a deleted user left, in a transaction of its own, and at last their
/// row; `None` when there is nothing. Of posts nobody has to be told: they are not seen any more.
/// Of what was said under others, everybody ([`of_users::announce`]): it is counted.
pub fn go_on(conn: &mut Conn, user_id: i64, now: NaiveDateTime) -> QueryResult<Option<Piece>> {
    if !users::lock_deleted(conn, user_id)? {
        return Ok(None);
    }
    let piece = delete_some(conn, user_id, now)?;
    if piece.is_all {
        users::delete_user(conn, user_id)?;
    }
    Ok(Some(piece))
}

/// Deletes some of what any deleted user left; gives how many rows at least, 0 when there is
/// none. Servers learn from the database that anything may have changed, where something else was
/// said.
pub fn delete_forgotten(conn: &mut Conn, now: NaiveDateTime) -> QueryResult<usize> {
    let Some(user_id) = users::find_deleted(conn)? else {
        return Ok(0);
    };
    let Some(piece) = go_on(conn, user_id, now)? else {
        return Ok(1);
    };
    if piece.said.rows > 0 {
        sessions::announce(conn, Revocation::Anything, now)?;
    }
    // One at least: the piece may have been of other rows.
    Ok(piece.posts.max(1))
}
