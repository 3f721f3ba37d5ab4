//! What a job is: its kind, its queue, its status, and what comes of it.

use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::core::db::DbError;
use crate::core::db::schema::job;
use crate::core::telemetry::chain::Chain;
use crate::core::telemetry::request::Context;

/// What jobs have in common that the same handler does. Declared beside the handler
/// ([`JobHandler`](super::handler::JobHandler)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobKind {
    /// As it is kept in the database, so a released one is never changed.
    pub name: &'static str,
    pub queue: Queue,
    /// After this time a job that has not ended is given up for this time, whatever
    /// holds it.
    pub time_limit: Duration,
    /// Whether there is always one such job, which is tried for ever.
    pub is_periodic: bool,
}

/// Jobs that may stand in each other's way. Each queue has a concurrency of its own, so
/// that what is stuck in one holds up nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    Mail,
    Sms,
    /// Work in the database.
    Work,
    /// Posts that are published at their time, which waits for no other work.
    Publish,
}

impl Queue {
    pub const ALL: [Self; 4] = [Self::Mail, Self::Sms, Self::Work, Self::Publish];

    /// As it is kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Sms => "sms",
            Self::Work => "work",
            Self::Publish => "publish",
        }
    }

    /// How many jobs of the queue one worker has under way at once: enough that some
    /// which wait for a server that hangs leave room for others.
    pub fn concurrency(self) -> usize {
        match self {
            Self::Mail | Self::Sms => 32,
            Self::Work | Self::Publish => 8,
        }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// For its time, or for a worker.
    Waiting,
    /// A worker has it; when its lease ends, any.
    Running,
    Done,
    /// Given up (a dead letter); an admin may have it tried again.
    Dead,
}

impl JobStatus {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Dead];

    /// As it is kept and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }

    /// The status of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A job to be.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub kind: JobKind,
    /// What to do, as JSON of the handler's own; up to 64 KiB, without secrets.
    pub payload: String,
    /// Not before then.
    pub due: NaiveDateTime,
    /// While an unfinished job has this key there is no second one with it; up to 64
    /// characters.
    pub dedup_key: Option<String>,
    /// Whom it is about.
    pub user_id: Option<i64>,
}

/// A job that a worker has claimed, for its handler.
#[derive(Clone, Debug)]
pub struct Job {
    pub job_id: i64,
    pub kind: JobKind,
    /// How often it was begun, this time counted.
    pub attempts: i32,
    /// What to do, as JSON of the handler's own.
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

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Transient(Chain(&error).to_string())
    }
}

/// A row as it was when it was claimed.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    pub job_id: i64,
    pub kind: String,
    pub state: String,
    pub attempts: i32,
    pub payload: String,
    pub created: NaiveDateTime,
    /// The request that caused it, if one did.
    pub cause: Option<Context>,
}

/// What became of a job that a worker had.
#[derive(Clone, Debug)]
pub struct Settled {
    pub job_id: i64,
    pub disposition: Disposition,
}

/// How it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Over; with a note when there was nothing to do.
    Done(Option<&'static str>),
    /// Ended well, and begins anew then.
    Reschedule(NaiveDateTime),
    /// Tried again then.
    Retry(NaiveDateTime, String),
    /// Given up.
    Dead(String),
    /// Not begun, or broken off: anybody's at once.
    Released,
}

/// A job as admins, the operator and its user see it: without what it is to do.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = job)]
pub struct StoredJob {
    pub job_id: i64,
    pub kind: String,
    pub state: String,
    pub attempts: i32,
    pub due: Option<NaiveDateTime>,
    pub user_id: Option<i64>,
    pub last_error: Option<String>,
    pub created: NaiveDateTime,
    pub finished: Option<NaiveDateTime>,
}

/// What came of asking for another try.
#[derive(Debug)]
pub enum Retried {
    /// It is due now.
    Waiting(StoredJob),
    /// It is running or done.
    NotRetryable,
    NotFound,
}
