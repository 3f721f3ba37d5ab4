//! What is measured of jobs: those of the whole installation, as the database has them, and
//! those that this process did.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDateTime;

use super::types::{Disposition, JobStatus, Queue, Settled};
use crate::core::clock::Clock;
use crate::core::metrics::{Families, Histogram, Labelled};

/// Unfinished and dead jobs of the installation. Those that are done are not counted: that
/// would be to read a week of them.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// By queue and status.
    pub counts: Vec<(Queue, JobStatus, i64)>,
    /// When the first job of each queue is due; of a running one, when its lease ends.
    pub due: Vec<(Queue, Option<NaiveDateTime>)>,
}

/// What is measured of jobs.
#[derive(Default)]
pub struct JobMetrics {
    backlog: Mutex<Option<(Duration, Backlog)>>,
    /// How long jobs took, by kind and by what came of them.
    runs: Labelled<2, Histogram>,
}

/// How long what was read of the database is told without reading it anew.
const FRESH: Duration = Duration::from_secs(10);

impl JobMetrics {
    /// Whether the backlog is to be read anew.
    pub fn is_stale(&self, clock: &Clock) -> bool {
        let backlog = (self.backlog.lock()).unwrap_or_else(PoisonError::into_inner);
        let read = backlog.as_ref().map(|(read, _)| *read);
        read.is_none_or(|read| clock.steady().saturating_sub(read) >= FRESH)
    }

    /// The backlog as it was just read; without one nothing is told of it.
    pub fn set_backlog(&self, clock: &Clock, backlog: Option<Backlog>) {
        let read = backlog.map(|backlog| (clock.steady(), backlog));
        *(self.backlog.lock()).unwrap_or_else(PoisonError::into_inner) = read;
    }

    /// A worker of this process did a job.
    pub fn ended(&self, kind: &'static str, settled: &Settled, took: Duration) {
        let result = match settled.disposition {
            Disposition::Done(None) => "done",
            Disposition::Done(Some(_)) => "not_needed",
            Disposition::Reschedule(_) => "rescheduled",
            Disposition::Retry(..) => "failed",
            Disposition::Dead(_) => "dead",
            Disposition::Released => "released",
        };
        self.runs.of([kind, result]).observe(took);
    }

    /// Tells of jobs.
    pub fn describe(&self, clock: &Clock, families: &mut Families<'_>) -> fmt::Result {
        let backlog = (self.backlog.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let backlog = backlog.map(|(_, backlog)| backlog);
        #[allow(clippy::cast_precision_loss)] // exact up to 2^53
        let counts =
            (backlog.iter().flat_map(|backlog| &backlog.counts)).map(|(queue, status, count)| {
                let labels = [("queue", queue.name()), ("state", status.name())];
                (labels, *count as f64)
            });
        families.gauges(
            "inkpot_jobs",
            "Jobs of the whole installation that are not done. Every process tells the same.",
            counts,
        )?;
        let now = clock.now();
        let ages = (backlog.iter().flat_map(|backlog| &backlog.due)).map(|(queue, due)| {
            let age = due.and_then(|due| (now - due).to_std().ok());
            (
                [("queue", queue.name())],
                age.unwrap_or_default().as_secs_f64(),
            )
        });
        families.gauges(
            "inkpot_jobs_oldest_due_seconds",
            "How long the oldest job has been due that nobody has done.",
            ages,
        )?;
        families.histograms(
            "inkpot_job_duration_seconds",
            "How long jobs took here, by what came of them; those that failed are tried again.",
            self.runs.all(["kind", "result"]),
        )
    }
}
