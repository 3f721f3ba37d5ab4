//! Writing jobs.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::core::db::{Conn, Db, DbError};
use crate::jobs::storage::queue;
use crate::jobs::types::{JobKind, NewJob};

/// Writes a job, in the transaction of its cause; gives its id, and `None` when one of
/// its key is there already. After the commit, [`JobWritten`](crate::jobs::events::JobWritten) has it found at once.
pub fn enqueue(conn: &mut Conn, new: &NewJob, now: NaiveDateTime) -> QueryResult<Option<i64>> {
    queue::insert(conn, new, now)
}

/// Has the unfinished job with the same key be due when this one is, or writes it, in the transaction
/// of its cause. One that a worker has just begun is begun again then, so it must look what it finds.
pub fn plan(conn: &mut Conn, new: &NewJob, now: NaiveDateTime) -> QueryResult<()> {
    queue::plan(conn, new, now)
}

/// Deletes the unfinished jobs with these keys, in the transaction that makes them needless.
pub fn cancel(conn: &mut Conn, keys: &[String]) -> QueryResult<()> {
    queue::cancel(conn, keys)
}

/// Makes sure that there is a job of each periodic kind; there is one, however many
/// processes start. Blocks.
pub fn enqueue_periodic(db: &Db, kinds: &[JobKind], now: NaiveDateTime) -> Result<(), DbError> {
    for kind in kinds.iter().filter(|kind| kind.is_periodic) {
        let new = NewJob::periodic(*kind, now);
        db.write_blocking(&|conn| queue::insert(conn, &new, now))?;
    }
    Ok(())
}
