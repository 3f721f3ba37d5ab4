//! What jobs that send messages have in common.

use std::time::Duration;

use crate::jobs::types::{Failure, Job, JobKind, Outcome, Queue};
use crate::notify::{self, Origin};

/// A kind of jobs that send a mail each.
pub const fn mail_kind(name: &'static str) -> JobKind {
    JobKind {
        name,
        queue: Queue::Mail,
        // Each step of a mail has a limit of its own; together they are within this.
        time_limit: Duration::from_secs(90),
        is_periodic: false,
    }
}

/// What tells the job's message from all others.
pub fn origin_of(job: &Job) -> Origin {
    Origin {
        job_id: job.job_id,
        created: job.created,
    }
}

/// What came of the job, by what came of its message.
pub fn outcome_of(sent: Result<(), notify::Failure>) -> Result<Outcome, Failure> {
    match sent {
        Ok(()) => Ok(Outcome::Done),
        Err(notify::Failure::Transient(why)) => Err(Failure::Transient(why)),
        Err(notify::Failure::Permanent(why)) => Err(Failure::Permanent(why)),
    }
}
