//! Job handlers: what does the jobs of one kind, and the registry of those that a worker
//! knows.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::types::{Failure, Job, JobKind, NewJob, Outcome};

/// Does the jobs of one kind. A room has one file for each, in its folder `jobs`, and the
/// composition root registers it ([`Registry`]).
///
/// A job is done at least once, outside of any transaction: what a handler does must bear
/// being done again.
pub trait JobHandler: Send + Sync + 'static {
    const KIND: JobKind;

    /// What to do, kept as JSON in the table; without secrets. Rows outlive a release, so
    /// new fields have a default.
    type Payload: Serialize + DeserializeOwned + Send;

    /// Does a job.
    fn run(
        &self,
        job: Job,
        payload: Self::Payload,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}

impl NewJob {
    /// A job for a handler, due now. The error is one of serialization.
    pub fn of<H: JobHandler>(payload: &H::Payload, now: NaiveDateTime) -> QueryResult<Self> {
        let payload = serde_json::to_string(payload)
            .map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
        Ok(Self {
            kind: H::KIND,
            payload,
            due: now,
            dedup_key: None,
            user_id: None,
        })
    }

    /// The one job of a periodic kind, due now. Its payload is `{}`.
    pub fn periodic(kind: JobKind, now: NaiveDateTime) -> Self {
        Self {
            kind,
            payload: "{}".to_owned(),
            due: now,
            dedup_key: Some(kind.name.to_owned()),
            user_id: None,
        }
    }
}

/// A job under way.
pub type JobFuture = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + Send>>;

/// Does a job of some kind.
pub type Run = Arc<dyn Fn(Job) -> JobFuture + Send + Sync>;

/// The kinds of jobs that a worker knows, by their names. A job of another kind stays for
/// a worker that knows it, so programs of two versions may run side by side.
#[derive(Clone, Default)]
pub struct Registry(HashMap<&'static str, (JobKind, Run)>);

impl Registry {
    /// Has the handler do the jobs of its kind.
    pub fn with<H: JobHandler>(self, handler: H) -> Self {
        let handler = Arc::new(handler);
        self.with_run(H::KIND, move |job| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let payload = serde_json::from_str(&job.payload)
                    .map_err(|_| Failure::Permanent("its payload cannot be read".to_owned()))?;
                handler.run(job, payload).await
            })
        })
    }

    /// Has a function do the jobs of a kind, whatever their payload.
    pub fn with_run(
        mut self,
        kind: JobKind,
        run: impl Fn(Job) -> JobFuture + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(kind.name, (kind, Arc::new(run)));
        self
    }

    /// The kind of that name, and what does its jobs.
    pub fn get(&self, name: &str) -> Option<(JobKind, Run)> {
        self.0.get(name).map(|(kind, run)| (*kind, Arc::clone(run)))
    }

    /// All kinds, in the order of their names.
    pub fn kinds(&self) -> Vec<JobKind> {
        let mut kinds: Vec<JobKind> = self.0.values().map(|(kind, _)| *kind).collect();
        kinds.sort_unstable_by_key(|kind| kind.name);
        kinds
    }
}
