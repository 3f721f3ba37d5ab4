//! Upkeep of the database: the sweep deletes what the rooms no longer keep, and finds jobs that were lost; a check
//! compares what is kept of posts and users with what there is.

pub mod actions;
pub mod jobs;
pub mod routes;
pub mod storage;
pub mod types;
pub mod views;

use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::QueryResult;

use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::{Conn, Db};

/// What the room works with.
pub struct Maintenance {
    pub db: Db,
    pub clock: Clock,
    pub bus: Arc<Bus>,
}

impl Maintenance {
    pub fn new(db: &Db, clock: &Clock, bus: &Arc<Bus>) -> Self {
        Self {
            db: db.clone(),
            clock: clock.clone(),
            bus: Arc::clone(bus),
        }
    }
}

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
