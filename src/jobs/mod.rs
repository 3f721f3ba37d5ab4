//! The durable job queue, a transactional outbox: what must not happen inside a request is
//! a row of a table, written in the transaction of its cause. So what was committed will be
//! done, and what was rolled back never. The room knows how jobs are kept and run, not what
//! they do: rooms have handlers ([`handler::JobHandler`]), in their folders `jobs`.
//!
//! A job is done at least once. A worker claims it with a lease that a heartbeat renews,
//! works outside of any transaction, and writes down what came of it; when the worker is
//! gone the lease ends and another takes the job. One that fails is tried again after a
//! back-off ([`back_off`]), and at last is dead: a dead letter, which admins may retry.
//!
//! [`types`], [`handler`], [`notifier`], [`back_off`] and [`lease`] say what a job is,
//! [`views`] how it is shown, [`metrics`] what is measured; `storage` keeps jobs; [`actions`] enqueue, list, retry and
//! purge them; [`worker`] runs them; [`routes`] speak HTTP.

pub mod actions;
pub mod back_off;
pub mod events;
pub mod handler;
pub mod lease;
pub mod metrics;
pub mod notifier;
pub mod routes;
pub mod storage;
pub mod types;
pub mod views;
pub mod worker;

use std::sync::Arc;

use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::Db;

pub use metrics::JobMetrics;
pub use notifier::JobNotifier;
pub use types::{Failure, Job, JobKind, JobStatus, Outcome, Queue};

/// What the room works with.
pub struct Jobs {
    pub db: Db,
    pub clock: Clock,
    pub bus: Arc<Bus>,
    /// Notified by the bus when something was committed that has jobs.
    pub notifier: JobNotifier,
    pub metrics: Arc<JobMetrics>,
}
