//! Upkeep of the database: the sweep deletes what the rooms no longer keep.

pub mod jobs;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::QueryResult;

use crate::core::db::Conn;

/// Rows of a table that nobody needs any more after some time. Each room lists its own;
/// the composition root gives them to the [`Sweep`](jobs::sweep::Sweep).
#[derive(Clone, Copy, Debug)]
pub struct ExpiredRows {
    /// For the log.
    pub table: &'static str,
    /// How long they are kept when they are over.
    pub kept: TimeDelta,
    /// Deletes rows that were over at a time, so many at most; gives how many.
    pub delete: fn(&mut Conn, NaiveDateTime, i64) -> QueryResult<usize>,
}
