//! Progress of work that reads everything there is, and its end before that.

use diesel::result::{Error, QueryResult};

/// Hears how many rows were read so far. An error ends the work: [`stopped`].
pub type Progress<'a> = &'a dyn Fn(i64) -> QueryResult<()>;

/// What ends work that nobody waits for any more.
pub fn stopped() -> Error {
    Error::RollbackTransaction
}

/// What work came to; `None` where it was [`stopped`], which is no error of the database.
pub fn unless_stopped<T>(done: QueryResult<T>) -> QueryResult<Option<T>> {
    match done {
        Err(Error::RollbackTransaction) => Ok(None),
        done => done.map(Some),
    }
}
