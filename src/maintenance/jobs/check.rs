//! The job that compares what is kept of posts and users with what there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::core::cpu_pool;
use crate::core::db::{Db, DbError};
use crate::core::progress::stopped;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, NewJob, Outcome, Queue};
use crate::maintenance::Maintenance;
use crate::maintenance::actions::check::{self, KEY, Next};
use crate::maintenance::types::{Found, Part};

/// How often a part is begun: who asked is told then, and may ask again.
const TRIES: i32 = 10;

/// Compares, one part before it gives its place to others. What the parts found is kept from one to the next, so
/// a check whose worker is killed goes on with the part that it was at.
pub struct ConsistencyCheck {
    pub maintenance: Arc<Maintenance>,
}

/// Everything.
#[derive(Serialize, Deserialize)]
pub struct Everything {}

/// The job of a check that is asked for now.
pub fn new_check(now: NaiveDateTime) -> QueryResult<NewJob> {
    Ok(NewJob {
        dedup_key: Some(KEY.to_owned()),
        ..NewJob::of::<ConsistencyCheck>(&Everything {}, now)?
    })
}

impl JobHandler for ConsistencyCheck {
    const KIND: JobKind = JobKind {
        name: "check",
        queue: Queue::Work,
        // Of a part: the longest reads the texts of all posts.
        time_limit: Duration::from_secs(3600),
        is_periodic: false,
    };

    type Payload = Everything;

    async fn run(&self, job: Job, Everything {}: Everything) -> Result<Outcome, Failure> {
        let Maintenance { db, clock, .. } = &*self.maintenance;
        if job.attempts > TRIES {
            return Err(Failure::Permanent(format!(
                "a part of it did not come to its end in {TRIES} tries"
            )));
        }
        let (part, found) = match check::find_next(db, job.job_id).await? {
            Next::Part(part, found) => (part, found),
            Next::End => return Ok(Outcome::Done),
            Next::NotMine => return Ok(Outcome::NotNeeded("another check was begun")),
        };
        let found = on_thread(db, part, found).await?;
        Ok(
            match check::keep(&self.maintenance, job.job_id, part, &found).await? {
                Some(true) => Outcome::Done,
                Some(false) => Outcome::Reschedule(clock.now()),
                None => Outcome::NotNeeded("another worker has it"),
            },
        )
    }
}

/// Ends the reading when nobody waits for it any more: the job took too long, or the process stops.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does a part on a thread of its own, which gives way to all that serves requests.
async fn on_thread(db: &Db, part: Part, mut found: Found) -> Result<Found, Failure> {
    let is_over = Arc::new(AtomicBool::new(false));
    let _stop = Stop(Arc::clone(&is_over));
    let (done, waiting) = oneshot::channel();
    let db = db.clone();
    let work = move || {
        cpu_pool::give_way();
        let hear = |_| {
            if is_over.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            Ok(())
        };
        let came = check::do_part(&db, part, &mut found, &hear);
        // Nobody waits any more when it was ended.
        let _ = done.send(came.map(|is_whole| is_whole.then_some(found)));
    };
    std::thread::Builder::new()
        .name("check".to_owned())
        .spawn(work)
        .map_err(|error| Failure::Transient(format!("cannot start a thread: {error}")))?;
    let came = waiting.await.map_err(|error| DbError::fault(error))?;
    came?.ok_or_else(|| Failure::Transient("the check was ended".to_owned()))
}
