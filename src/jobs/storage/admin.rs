//! Jobs for those who look after them: listed, tried again, deleted.

use chrono::NaiveDateTime;
use diesel::dsl::count_star;
use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect::{any_of, in_time};
use crate::core::db::schema::job;
use crate::core::page::{ListPart, Listed, find_keys};
use crate::jobs::types::{JobStatus, Queue, Retried, StoredJob};

/// Part of the jobs of one status or of all, newest first. Call it in a snapshot.
pub fn load_part(
    conn: &mut Conn,
    status: Option<JobStatus>,
    part: ListPart,
) -> QueryResult<Listed<StoredJob>> {
    let found = find_keys(part, |below, limit| {
        let newest = job::table
            .filter(job::job_id.lt(below))
            .filter(in_time(job::job_id))
            .order(job::job_id.desc())
            .limit(limit)
            .select(job::job_id);
        match status.map(JobStatus::name) {
            Some(status) => newest.filter(job::state.eq(status)).load(conn),
            None => newest.load(conn),
        }
    })?;
    let jobs = job::table
        .filter(any_of(job::job_id, &found.rows))
        .order(job::job_id.desc())
        .select(StoredJob::as_select())
        .load(conn)?;
    Ok(found.with(jobs))
}

/// The job of that id.
pub fn find(conn: &mut Conn, job_id: i64) -> QueryResult<Option<StoredJob>> {
    job::table
        .find(job_id)
        .select(StoredJob::as_select())
        .first(conn)
        .optional()
}

/// The unfinished job with that key.
pub fn find_unfinished(conn: &mut Conn, key: &str) -> QueryResult<Option<StoredJob>> {
    job::table
        .filter(job::dedup_key.eq(key))
        .select(StoredJob::as_select())
        .first(conn)
        .optional()
}

/// How many unfinished and dead jobs there are, by queue and status. Reads each of them in
/// an index.
pub fn count_unfinished(conn: &mut Conn) -> QueryResult<Vec<(Queue, JobStatus, i64)>> {
    let mut counts = Vec::new();
    for status in [JobStatus::Waiting, JobStatus::Running, JobStatus::Dead] {
        let found: Vec<(String, i64)> = job::table
            .filter(job::state.eq(status.name()))
            .filter(in_time(job::job_id))
            .group_by(job::lane)
            .select((job::lane, count_star()))
            .load(conn)?;
        for queue in Queue::ALL {
            let of_queue = found.iter().find(|(lane, _)| lane == queue.name());
            counts.push((queue, status, of_queue.map_or(0, |(_, count)| *count)));
        }
    }
    Ok(counts)
}

/// All jobs about a user that are still kept, oldest first, a thousand at a time:
/// those after `after`.
pub fn load_of_user(conn: &mut Conn, user_id: i64, after: i64) -> QueryResult<Vec<StoredJob>> {
    job::table
        .filter(job::user_id.eq(user_id))
        .filter(job::job_id.gt(after))
        .order(job::job_id)
        .limit(1000)
        .select(StoredJob::as_select())
        .load(conn)
}

/// Has a job tried again that is dead, or that waits for its next try; its tries are
/// counted anew.
pub fn retry(conn: &mut Conn, job_id: i64, now: NaiveDateTime) -> QueryResult<Retried> {
    let retryable = [JobStatus::Dead.name(), JobStatus::Waiting.name()];
    let changed = diesel::update(job::table.find(job_id).filter(job::state.eq_any(retryable)))
        .set((
            job::state.eq(JobStatus::Waiting.name()),
            job::due.eq(Some(now)),
            job::attempts.eq(0),
            job::finished.eq(None::<NaiveDateTime>),
        ))
        .execute(conn)?;
    let row = find(conn, job_id)?;
    Ok(match row {
        Some(row) if changed == 1 => Retried::Waiting(row),
        Some(_) => Retried::NotRetryable,
        None => Retried::NotFound,
    })
}

/// Has some of the dead jobs tried again, the oldest first; gives how many.
pub fn retry_dead(conn: &mut Conn, limit: i64, now: NaiveDateTime) -> QueryResult<usize> {
    let ids: Vec<i64> = job::table
        .filter(job::state.eq(JobStatus::Dead.name()))
        .order(job::job_id)
        .limit(limit)
        .select(job::job_id)
        .load(conn)?;
    diesel::update(
        job::table
            .filter(job::job_id.eq_any(ids))
            .filter(job::state.eq(JobStatus::Dead.name())),
    )
    .set((
        job::state.eq(JobStatus::Waiting.name()),
        job::due.eq(Some(now)),
        job::attempts.eq(0),
        job::finished.eq(None::<NaiveDateTime>),
    ))
    .execute(conn)
}

/// Of the `limit` oldest jobs of a status, deletes those that ended before `before`;
/// gives how many. Bounded, whatever there is: the oldest by cause are looked at, and
/// one of them that ended late holds up others for as long.
pub fn delete_some(
    conn: &mut Conn,
    status: JobStatus,
    before: NaiveDateTime,
    limit: i64,
) -> QueryResult<usize> {
    let oldest: Vec<(i64, Option<NaiveDateTime>)> = job::table
        .filter(job::state.eq(status.name()))
        .order(job::job_id)
        .limit(limit)
        .select((job::job_id, job::finished))
        .load(conn)?;
    let ids = oldest
        .into_iter()
        .filter(|(_, finished)| finished.is_some_and(|finished| finished < before))
        .map(|(id, _)| id);
    diesel::delete(
        job::table
            .filter(job::job_id.eq_any(ids.collect::<Vec<_>>()))
            .filter(job::state.eq(status.name())),
    )
    .execute(conn)
}
