//! Deleting what deleted posts leave, in pieces: each is a transaction that others wait for no
//! longer than for a few hundred requests.

use diesel::result::QueryResult;

use crate::core::db::Conn;
use crate::posts::actions::of_others;
use crate::social::storage::{leftovers, likes};

/// Rows of each kind that one transaction deletes.
pub const PIECE: i64 = 500;

/// Deletes some of what a deleted post left, in a transaction of its own, and at last the mark
/// that something is left; gives how many rows. 0 when there is nothing that nobody else is
/// about to delete.
pub fn delete_some(conn: &mut Conn) -> QueryResult<usize> {
    let Some(post_id) = leftovers::claim(conn)? else {
        return Ok(0);
    };
    let comments = leftovers::delete_some_comments(conn, post_id, PIECE)?;
    let likes = likes::delete_some_of_post(conn, post_id, PIECE)?;
    let is_all = |some: usize| i64::try_from(some).is_ok_and(|some| some < PIECE);
    if is_all(comments) && is_all(likes) {
        of_others::forget_counts(conn, post_id)?;
        leftovers::forget(conn, post_id)?;
    }
    // The mark is one, where there was nothing else.
    Ok((comments + likes).max(1))
}
