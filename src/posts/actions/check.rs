//! Checking and repairing: do the kept counts and the search agree with the posts?

use crate::core::db::{Db, DbError};
use crate::posts::storage::check;
use crate::posts::storage::counts::Block;

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// What must be added to the kept counts; empty when they are right.
    pub missing: Vec<(Block, i64)>,
    /// Posts that are still to be indexed.
    pub unindexed: i64,
}

/// Compares the kept counts with the posts, on a thread that may block. `progress` hears
/// how many posts were read.
pub fn check(db: &Db, progress: &dyn Fn(i64)) -> Result<Report, DbError> {
    Ok(Report {
        missing: db.snapshot_blocking(&|conn| check::missing_counts(conn, progress))?,
        unindexed: db.read_blocking(&check::count_unindexed)?,
    })
}

/// Adds what the counts lack and indexes all posts anew, on a thread that may block.
/// `progress` hears how many posts were indexed.
pub fn repair(db: &Db, report: &Report, progress: &dyn Fn(usize)) -> Result<(), DbError> {
    db.write_blocking(&|conn| check::add_missing(conn, &report.missing))?;
    db.write_blocking(&check::unindex_all)?;
    index_pending(db, progress).map(drop)
}

/// Indexes all posts that are to be, on a thread that may block; gives how many. `progress`
/// hears how many were done.
pub fn index_pending(db: &Db, progress: &dyn Fn(usize)) -> Result<usize, DbError> {
    let mut done = 0;
    loop {
        match db.write_blocking(&check::index_some)? {
            0 => return Ok(done),
            some => done += some,
        }
        progress(done);
    }
}
