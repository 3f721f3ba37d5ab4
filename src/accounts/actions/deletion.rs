//! What a deleted user leaves, deleted in pieces: each piece is a transaction that others
//! wait for no longer than for a few hundred requests.
//!
//! The first piece belongs to the deletion itself, and for nearly everybody is all there is.
//! Of who has more, the row stays without a person in it ([`users::empty`]): posts refer to
//! it, readers of posts know by it whose are not to be seen, and here it says what is to be
//! done. It goes with the last piece. So a process may be killed between any two of them.

use diesel::result::QueryResult;

use crate::accounts::storage::{audit, sessions, users};
use crate::core::db::Conn;
use crate::posts::actions::of_author;

/// Rows of each kind that one transaction deletes.
pub const PIECE: usize = 200;
/// Entries of the audit that lose their address in one: a column of small rows.
const ADDRESSES: usize = 1000;

/// What one piece was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Posts that were deleted.
    pub posts: usize,
    /// Whether nothing is left.
    pub is_all: bool,
}

/// Deletes some of what a user has whose row the transaction holds: posts, keys of requests
/// and sessions, all of which may be many; and takes the addresses off the audit of them.
pub fn delete_some(conn: &mut Conn, user_id: i64) -> QueryResult<Piece> {
    let limit = i64::try_from(PIECE).unwrap_or(i64::MAX);
    let posts = of_author::delete_some_of(conn, user_id, limit)?;
    let keys = of_author::delete_some_keys_of(conn, user_id, limit)?;
    let sessions = sessions::delete_some_of(conn, user_id, limit)?;
    let limit = i64::try_from(ADDRESSES).unwrap_or(i64::MAX);
    let addresses = audit::forget_some_addresses_of(conn, user_id, limit)?;
    let is_all = [posts, keys, sessions].iter().all(|some| *some < PIECE);
    Ok(Piece {
        posts,
        is_all: is_all && addresses < ADDRESSES,
    })
}

/// Deletes some of what a deleted user left, in a transaction of its own, and at last their
/// row; `None` when there is nothing. Nobody has to be told: it is not seen any more.
pub fn go_on(conn: &mut Conn, user_id: i64) -> QueryResult<Option<Piece>> {
    if !users::lock_deleted(conn, user_id)? {
        return Ok(None);
    }
    let piece = delete_some(conn, user_id)?;
    if piece.is_all {
        users::delete_user(conn, user_id)?;
    }
    Ok(Some(piece))
}

/// Deletes some of what any deleted user left; gives how many rows at least, 0 when there is
/// none.
pub fn delete_forgotten(conn: &mut Conn) -> QueryResult<usize> {
    let Some(user_id) = users::find_deleted(conn)? else {
        return Ok(0);
    };
    // One at least: the piece may have been of other rows, or somebody else's.
    Ok(go_on(conn, user_id)?.map_or(1, |piece| piece.posts.max(1)))
}
