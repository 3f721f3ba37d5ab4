//! What the room of posts asks, in a transaction of its own.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::core::db::Conn;
use crate::posts::actions::of_others;
use crate::social::jobs::delete_leftovers;
use crate::social::storage::leftovers;

/// Has what hangs on these posts deleted by a job, when the transaction that deletes them has
/// committed: a post may have a hundred thousand comments. Nobody sees it any more.
pub fn leave(conn: &mut Conn, post_ids: &[i64], now: NaiveDateTime) -> QueryResult<()> {
    if post_ids.is_empty() {
        return Ok(());
    }
    let counted = of_others::find_counted(conn, post_ids)?;
    if !counted.is_empty() {
        leftovers::mark(conn, &counted)?;
        delete_leftovers::enqueue_deletion(conn, now)?;
    }
    Ok(())
}
