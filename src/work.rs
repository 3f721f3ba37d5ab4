//! What each kind of job does: the one place that knows both the queue and the product.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::QueryResult;

use crate::accounts::letters::Letters;
use crate::accounts::storage::{codes, sessions};
use crate::core::clock::Clock;
use crate::core::db::{Conn, Db, DbError};
use crate::core::telemetry::chain::Chain;
use crate::jobs::store::{self, NewJob};
use crate::jobs::worker::{Doing, Worker};
use crate::jobs::{Failure, Job, Kind, Outcome, State};
use crate::posts::idempotency;

/// Between two sweeps.
const SWEEP_PAUSE: TimeDelta = TimeDelta::hours(1);
/// Rows that one transaction of a sweep deletes of each table.
const SWEPT_AT_ONCE: i64 = 1000;
/// How long jobs that are done can be looked at, and those that were given up.
const DONE_KEPT: TimeDelta = TimeDelta::days(7);
const DEAD_KEPT: TimeDelta = TimeDelta::days(90);
/// How long events of sessions are kept; every process reads them within seconds.
const EVENTS_KEPT: TimeDelta = TimeDelta::days(1);
/// Threads of a worker: what computes for long in one job leaves another to the rest.
const THREADS: usize = 2;

/// A worker that does all kinds of jobs.
pub fn worker(letters: Letters) -> Worker {
    let (db, clock, waker) = (
        letters.db.clone(),
        letters.clock.clone(),
        letters.waker.clone(),
    );
    let letters = Arc::new(letters);
    let perform = Arc::new(move |job: Job| -> Doing {
        let letters = Arc::clone(&letters);
        Box::pin(async move {
            match job.kind {
                Kind::Recover => letters.recover(&job).await,
                Kind::MailCode | Kind::SmsCode => letters.send_code(&job).await,
                Kind::MailNotice => letters.send_notice(&job).await,
                Kind::Sweep => sweep(&letters.db, &letters.clock).await,
            }
        })
    });
    Worker::new(db, clock, waker, perform)
}

/// Makes sure that there is the job that repeats itself; there is one, however many
/// processes start.
pub fn plan(db: &Db, clock: &Clock) -> Result<(), DbError> {
    let now = clock.now();
    let sweep = NewJob {
        kind: Kind::Sweep,
        payload: "{}".to_owned(),
        due: now,
        dedup_key: Some(Kind::Sweep.name().to_owned()),
        user_id: None,
    };
    db.write_blocking(&|conn| store::enqueue(conn, &sweep, now))
        .map(drop)
}

/// Starts a worker on threads of its own, so that nothing it does slows requests. It
/// ends some time after `stop`.
pub fn start(
    worker: Worker,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<JoinHandle<()>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("jobs")
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the worker: {e}"))?;
    std::thread::Builder::new()
        .name("jobs".to_owned())
        .spawn(move || {
            runtime.block_on(worker.run(stop));
            // What blocks in a job that was given up must not hold up the end.
            runtime.shutdown_background();
        })
        .map_err(|e| format!("cannot start the worker: {e}"))
}

/// Deletes what is over: finished jobs, spent codes, ended sessions and what tells of
/// their ends, keys of repeated requests. Then again in an hour.
async fn sweep(db: &Db, clock: &Clock) -> Result<Outcome, Failure> {
    type Delete = fn(&mut Conn, NaiveDateTime, i64) -> QueryResult<usize>;
    let now = clock.now();
    let rows: [(&str, NaiveDateTime, Delete); 6] = [
        ("job", now - DONE_KEPT, |conn, before, limit| {
            store::purge_some(conn, State::Done, before, limit)
        }),
        ("job", now - DEAD_KEPT, |conn, before, limit| {
            store::purge_some(conn, State::Dead, before, limit)
        }),
        ("code", now, codes::delete_expired),
        ("session", now, sessions::delete_expired),
        ("session_event", now - EVENTS_KEPT, sessions::delete_events),
        ("idempotency", now, idempotency::delete_expired),
    ];
    for (table, before, delete) in rows {
        let mut deleted = 0;
        loop {
            let some = db
                .write(move |conn| delete(conn, before, SWEPT_AT_ONCE))
                .await
                .map_err(|error| Failure::Passing(format!("{table}: {}", Chain(&error))))?;
            if some == 0 {
                break;
            }
            deleted += some;
        }
        if deleted > 0 {
            tracing::info!(table, deleted, "swept what is over");
        }
    }
    Ok(Outcome::Again(clock.now() + SWEEP_PAUSE))
}
