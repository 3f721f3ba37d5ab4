//! The job that deletes what deleted posts left.

use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;
use serde::{Deserialize, Serialize};

use crate::core::clock::Clock;
use crate::core::db::{Conn, Db};
use crate::jobs::actions::enqueue;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, NewJob, Outcome, Queue};
use crate::social::actions::leftovers;

/// Pieces that are deleted before the job gives its place to others. So its time limit says
/// nothing of how much there is.
const PIECES: usize = 100;

/// Deletes comments and likes of posts that are gone, in pieces.
pub struct DeleteLeftovers {
    pub db: Db,
    pub clock: Clock,
}

/// `{}`: which posts, rows say.
#[derive(Serialize, Deserialize)]
pub struct Nothing {}

/// Has what posts left deleted, in the transaction that deletes them.
pub fn enqueue_deletion(conn: &mut Conn, now: NaiveDateTime) -> QueryResult<()> {
    let job = NewJob::of::<DeleteLeftovers>(&Nothing {}, now)?;
    enqueue(conn, &job, now).map(drop)
}

impl JobHandler for DeleteLeftovers {
    const KIND: JobKind = JobKind {
        name: "delete_leftovers",
        queue: Queue::Work,
        time_limit: Duration::from_secs(600),
        is_periodic: false,
    };

    type Payload = Nothing;

    async fn run(&self, _: Job, _: Nothing) -> Result<Outcome, Failure> {
        for _ in 0..PIECES {
            if self.db.write(leftovers::delete_some).await? == 0 {
                return Ok(Outcome::Done);
            }
        }
        Ok(Outcome::Reschedule(self.clock.now()))
    }
}
