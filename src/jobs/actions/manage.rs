//! What admins and the operator do with jobs, by HTTP and by the command line alike.

use std::time::Duration;

use chrono::TimeDelta;
use diesel::result::QueryResult;

use crate::core::db::{Conn, Db, DbError};
use crate::core::page::{ListPart, Listed};
use crate::jobs::Jobs;
use crate::jobs::events::JobWritten;
use crate::jobs::metrics::Backlog;
use crate::jobs::storage::{admin, queue};
use crate::jobs::types::{JobStatus, Queue, Retried, StoredJob};

/// Rows that one transaction changes.
const AT_ONCE: i64 = 1000;

/// How long reading the backlog may take: whoever asks for metrics does not wait for long.
const MEASURE: Duration = Duration::from_secs(1);

/// Part of the jobs of one status or of all, newest first.
pub async fn list(
    jobs: &Jobs,
    status: Option<JobStatus>,
    part: ListPart,
) -> Result<Listed<StoredJob>, DbError> {
    jobs.db
        .snapshot(move |conn| admin::load_part(conn, status, part))
        .await
}

/// The job of that id, as long as it is kept.
pub fn find(conn: &mut Conn, job_id: i64) -> QueryResult<Option<StoredJob>> {
    admin::find(conn, job_id)
}

/// The unfinished job with that key.
pub fn find_unfinished(conn: &mut Conn, key: &str) -> QueryResult<Option<StoredJob>> {
    admin::find_unfinished(conn, key)
}

/// All jobs about a user that are still kept, oldest first, a thousand at a time: those
/// after the id `after`.
pub async fn load_of_user(db: &Db, user_id: i64, after: i64) -> Result<Vec<StoredJob>, DbError> {
    db.read(move |conn| admin::load_of_user(conn, user_id, after))
        .await
}

/// Reads the backlog for the metrics, now and then: however often they are asked for, the
/// database is asked once in ten seconds. While it cannot be, nothing is told of jobs.
pub async fn measure(jobs: &Jobs, db: &Db) {
    if !jobs.metrics.is_stale(&jobs.clock) {
        return;
    }
    let reading = db.read(|conn| {
        let counts = admin::count_unfinished(conn)?;
        let mut due = Vec::new();
        for queue in Queue::ALL {
            due.push((queue, queue::next_due(conn, &[queue])?));
        }
        Ok(Backlog { counts, due })
    });
    let read = tokio::time::timeout(MEASURE, reading).await;
    let backlog = read.ok().and_then(Result::ok);
    jobs.metrics.set_backlog(&jobs.clock, backlog);
}

/// Has a job tried again that is dead, or that waits for its next try; its tries are
/// counted anew.
pub async fn retry(jobs: &Jobs, job_id: i64) -> Result<Retried, DbError> {
    let now = jobs.clock.now();
    let retried = jobs
        .db
        .write(move |conn| admin::retry(conn, job_id, now))
        .await?;
    if matches!(retried, Retried::Waiting(_)) {
        jobs.bus.publish(&JobWritten {});
    }
    Ok(retried)
}

/// Has all dead jobs tried again; gives how many.
pub async fn retry_dead(jobs: &Jobs) -> Result<usize, DbError> {
    let now = jobs.clock.now();
    let mut retried = 0;
    loop {
        let some = jobs
            .db
            .write(move |conn| admin::retry_dead(conn, AT_ONCE, now))
            .await?;
        if some == 0 {
            return Ok(retried);
        }
        jobs.bus.publish(&JobWritten {});
        retried += some;
    }
}

/// Deletes the jobs of a status that ended longer ago than `age`; gives how many.
pub async fn purge(jobs: &Jobs, status: JobStatus, age: TimeDelta) -> Result<usize, DbError> {
    // Nothing is older than time itself.
    let Some(before) = jobs.clock.now().checked_sub_signed(age) else {
        return Ok(0);
    };
    let mut deleted = 0;
    loop {
        let some = jobs
            .db
            .write(move |conn| admin::delete_some(conn, status, before, AT_ONCE))
            .await?;
        if some == 0 {
            return Ok(deleted);
        }
        deleted += some;
        tracing::info!(deleted, "deleting jobs");
    }
}
