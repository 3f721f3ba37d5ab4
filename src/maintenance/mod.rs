//! Upkeep of the database: the sweep deletes what the rooms no longer keep, and finds jobs that were lost.

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

/// Work that rows say is to be done and whose jobs are gone: a table of jobs was emptied by hand, or
/// comes from another day than the rest. Listed and given as [`ExpiredRows`] are.
#[derive(Clone, Copy, Debug)]
pub struct LostWork {
    /// For the log.
    pub what: &'static str,
    /// Writes jobs that are missing, so many at most; gives how many.
    pub find: fn(&mut Conn, NaiveDateTime, i64) -> QueryResult<usize>,
}
