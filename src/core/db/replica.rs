//! Reading at a replica: what a task reads within a [`scope`] goes there, and what each
//! reading finds is noted. Nothing else ever does.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use diesel::result::{Error, QueryResult};

use super::connection::Conn;
use super::dialect;
use super::error::{DbError, Failure};

tokio::task_local! {
    /// The readings of the task.
    static READING: Arc<Reading>;
}

/// Has all that `work` reads, outside of housekeeping, be read as `reading` says.
pub async fn scope<F: Future>(reading: Arc<Reading>, work: F) -> F::Output {
    READING.scope(reading, work).await
}

/// How this task reads, if it reads at a replica.
pub fn current() -> Option<Arc<Reading>> {
    READING.try_with(Arc::clone).ok()
}

/// Readings at a replica that belong together.
pub struct Reading {
    /// Of which database it is to be a replica.
    installation: Arc<str>,
    /// The numbers of the heartbeat that it may be at: at least and at most.
    bounds: (i64, i64),
    /// The lowest at which it was; none above all of them.
    lowest: AtomicI64,
    is_behind: AtomicBool,
    has_failed: AtomicBool,
}

impl Reading {
    /// Of the database of that name; what is read must not be older, nor newer, than these numbers
    /// of the heartbeat.
    pub fn new(installation: Arc<str>, (least, most): (i64, i64)) -> Self {
        Self {
            installation,
            bounds: (least, most),
            lowest: AtomicI64::new(i64::MAX),
            is_behind: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }

    /// The lowest number of the heartbeat that its readings found; `None` before there was one.
    pub fn lowest(&self) -> Option<i64> {
        Some(self.lowest.load(Ordering::Acquire)).filter(|lowest| *lowest < i64::MAX)
    }

    /// Whether the replica was too far behind for one of them, or in another time altogether.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Acquire)
    }

    /// Whether one of them failed otherwise.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// One of them failed.
    pub fn failed(&self) {
        if !self.is_behind() {
            self.has_failed.store(true, Ordering::Release);
        }
    }

    /// One of them found that number. Whether it may be used.
    fn found(&self, beat: i64) -> bool {
        self.lowest.fetch_min(beat, Ordering::AcqRel);
        let (least, most) = self.bounds;
        let may_be = (least..=most).contains(&beat);
        if !may_be {
            self.is_behind.store(true, Ordering::Release);
        }
        may_be
    }

    /// The same for a query that others share: an error when it may not be used.
    #[track_caller]
    pub fn check(&self, beat: i64) -> Result<(), DbError> {
        if self.found(beat) {
            return Ok(());
        }
        let failure = Failure::unavailable("the replica is behind");
        Err(DbError::new(failure, Location::caller()))
    }

    /// Asks the very connection that is to be read from how new what it leads to is, before
    /// anything else: behind one address there may be several replicas.
    pub(super) fn measure(&self, conn: &mut Conn) -> QueryResult<()> {
        let beat = dialect::heartbeat::read(conn, &self.installation)?;
        if self.found(beat) {
            Ok(())
        } else {
            Err(Error::RollbackTransaction)
        }
    }
}
