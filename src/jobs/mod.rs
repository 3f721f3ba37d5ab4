//! What must not happen inside a request: rows of a table, written in the transaction
//! of their cause, so that what was committed will be done and what was rolled back
//! never. Knows how jobs are kept and run, not what they do.
//!
//! A job is done at least once. A worker takes it with a lease that it renews, works
//! outside of any transaction, and writes down what came of it; when the worker is
//! gone the lease ends and another takes the job.

pub mod back_off;
pub mod events;
pub mod lease;
pub mod routes;
pub mod store;
pub mod types;
pub mod views;
pub mod worker;

use std::sync::Arc;

use chrono::NaiveDateTime;
use tokio::sync::Notify;

use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::Db;

pub use types::{JobStatus, Kind, Queue};

/// What the room works with.
pub struct Jobs {
    pub db: Db,
    pub clock: Clock,
    pub bus: Arc<Bus>,
    /// Notified by the bus when something was committed that has jobs.
    pub notifier: JobNotifier,
}

/// A job that a worker has taken.
#[derive(Clone, Debug)]
pub struct Job {
    pub job_id: i64,
    pub kind: Kind,
    /// How often it was begun, this time counted.
    pub attempts: i32,
    /// What to do, as JSON of the kind's own.
    pub payload: String,
    pub created: NaiveDateTime,
}

/// What came of a job that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// There was nothing left to do, and why.
    NotNeeded(&'static str),
    /// Done for now; to be done again then.
    Reschedule(NaiveDateTime),
}

/// Why a job was not done. The text is for admins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The same may succeed later.
    Transient(String),
    /// It never will.
    Permanent(String),
}

/// Notifies the worker of this process that there is something to do; elsewhere it is
/// found within a second. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct JobNotifier(Arc<Notify>);

impl JobNotifier {
    /// To be called after the commit: before it there is nothing to see.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits until there may be something to do.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}
