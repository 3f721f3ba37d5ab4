//! One job: it is run within its time limit, and what came of it decides how it goes on.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::core::clock::Clock;
use crate::jobs::back_off::{MAX_ATTEMPTS, delay};
use crate::jobs::handler::Run;
use crate::jobs::types::{Disposition, Failure, Job, JobKind, Outcome, Settled};

/// Runs a job, whatever it does: a panic and a job that never ends are failures of
/// that job alone.
pub async fn run(run: Run, job: Job) -> Result<Outcome, Failure> {
    let limit = job.kind.time_limit;
    let doing = AssertUnwindSafe(async move { run(job).await }).catch_unwind();
    match timeout(limit, doing).await {
        Ok(Ok(came)) => came,
        Ok(Err(_)) => Err(Failure::Transient("the job panicked".to_owned())),
        Err(_) => Err(Failure::Transient(format!(
            "the job did not end within {} seconds",
            limit.as_secs()
        ))),
    }
}

/// Decides how a job goes on, and says so in the log; `kind` is `None` when this program
/// does not know it.
pub fn settle(
    clock: &Clock,
    (job_id, attempts): (i64, i32),
    kind: Option<JobKind>,
    came: Result<Outcome, Failure>,
) -> Settled {
    let name = kind.map_or("unknown", |kind| kind.name);
    let is_last = attempts >= MAX_ATTEMPTS && !kind.is_some_and(|kind| kind.is_periodic);
    let disposition = match came {
        Ok(outcome) => {
            tracing::debug!(job_id, kind = name, attempts, ?outcome, "job done");
            match outcome {
                Outcome::Done => Disposition::Done(None),
                Outcome::NotNeeded(why) => Disposition::Done(Some(why)),
                Outcome::Reschedule(due) => Disposition::Reschedule(due),
            }
        }
        Err(Failure::Transient(error)) if !is_last => {
            let due = clock.now() + delay(attempts);
            tracing::warn!(job_id, kind = name, attempts, error, %due, "job failed; tried again");
            Disposition::Retry(due, error)
        }
        Err(Failure::Transient(error) | Failure::Permanent(error)) => {
            tracing::error!(job_id, kind = name, attempts, error, "job failed for good");
            Disposition::Dead(error)
        }
    };
    Settled {
        job_id,
        disposition,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::jobs::types::Queue;

    fn kind(seconds: u64, is_periodic: bool) -> JobKind {
        JobKind {
            name: "some",
            queue: Queue::Work,
            time_limit: Duration::from_secs(seconds),
            is_periodic,
        }
    }

    fn job(kind: JobKind) -> Job {
        Job {
            job_id: 1,
            kind,
            attempts: 1,
            payload: String::new(),
            created: chrono::NaiveDateTime::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_has_its_time() {
        for seconds in [30, 90, 600] {
            let endless: Run = Arc::new(|_| Box::pin(std::future::pending()));
            let begun = tokio::time::Instant::now();
            let came = run(endless, job(kind(seconds, false))).await;
            let why = format!("the job did not end within {seconds} seconds");
            assert_eq!(came, Err(Failure::Transient(why)));
            assert_eq!(begun.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_wherever_it_comes() {
        let at_once: Run = Arc::new(|_| panic!("at once"));
        let later: Run = Arc::new(|_| {
            Box::pin(async {
                tokio::task::yield_now().await;
                panic!("later")
            })
        });
        for panics in [at_once, later] {
            let came = run(panics, job(kind(30, false))).await;
            assert_eq!(came, Err(Failure::Transient("the job panicked".to_owned())));
        }
    }

    #[test]
    fn the_last_try_of_all_but_periodic_jobs_is_the_last() {
        let clock = Clock::by_hand(chrono::DateTime::UNIX_EPOCH);
        let failed = |is_periodic, attempts| {
            let came = Err(Failure::Transient("no".to_owned()));
            settle(&clock, (1, attempts), Some(kind(30, is_periodic)), came).disposition
        };
        assert!(matches!(
            failed(false, MAX_ATTEMPTS - 1),
            Disposition::Retry(..)
        ));
        assert!(matches!(failed(false, MAX_ATTEMPTS), Disposition::Dead(_)));
        assert!(matches!(failed(true, MAX_ATTEMPTS), Disposition::Retry(..)));
    }
}
