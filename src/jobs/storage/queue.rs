//! The queue: jobs are inserted, claimed under a lease, renewed and settled.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::core::db::schema::job;
use crate::core::db::{Conn, dialect};
use crate::core::telemetry::request::{self, Context};
use crate::core::telemetry::trace::Trace;
use crate::jobs::lease::{LEASE, lease_of};
use crate::jobs::types::{ClaimedJob, Disposition, JobStatus, NewJob, Queue, Settled};

/// Characters of an error that are kept.
const ERROR_MAX: usize = 500;

/// Writes a job, in the transaction of its cause; gives its id, and `None` when one of
/// this key is there already.
pub fn insert(conn: &mut Conn, new: &NewJob, now: NaiveDateTime) -> QueryResult<Option<i64>> {
    // Whole: no field is left out unnoticed.
    let NewJob {
        kind,
        payload,
        due,
        dedup_key,
        user_id,
    } = new;
    // What is done because of a request has its id in the log, and goes on with its trace.
    let cause = request::context();
    let request_id = cause.as_ref().map(|cause| &*cause.request_id);
    let traceparent = cause.as_ref().and_then(|cause| cause.trace);
    let inserted = diesel::insert_into(job::table)
        .values((
            job::kind.eq(kind.name),
            job::lane.eq(kind.queue.name()),
            job::state.eq(JobStatus::Waiting.name()),
            job::due.eq(Some(due)),
            job::attempts.eq(0),
            job::payload.eq(payload),
            job::dedup_key.eq(dedup_key),
            job::user_id.eq(user_id),
            job::created.eq(now),
            job::request_id.eq(request_id),
            job::traceparent.eq(traceparent.map(|trace| trace.header())),
        ))
        .execute(conn);
    match inserted {
        Ok(_) => dialect::last_insert(conn).map(Some),
        // The refusal ends the statement, not the transaction.
        Err(error) if dedup_key.is_some() && is_duplicate(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Has the unfinished job with the same key be due when this one is, or writes it. One that a worker
/// has is taken from it: it is begun again then.
pub fn plan(conn: &mut Conn, new: &NewJob, now: NaiveDateTime) -> QueryResult<()> {
    let planned = diesel::update(job::table.filter(job::dedup_key.eq(&new.dedup_key)))
        .set((
            job::state.eq(JobStatus::Waiting.name()),
            job::due.eq(Some(new.due)),
            job::lease.eq(None::<String>),
            job::attempts.eq(0),
            job::payload.eq(&new.payload),
        ))
        .execute(conn)?;
    if planned == 0 {
        insert(conn, new, now)?;
    }
    Ok(())
}

/// Deletes the unfinished jobs with these keys, also those that a worker has.
pub fn cancel(conn: &mut Conn, keys: &[String]) -> QueryResult<()> {
    diesel::delete(job::table.filter(job::dedup_key.eq_any(keys)))
        .execute(conn)
        .map(drop)
}

fn is_duplicate(error: &diesel::result::Error) -> bool {
    dialect::unique_index(&error.to_string(), &["job_dedup_key"]).is_some()
}

/// Writes down what became of jobs and claims new ones, up to so many of each queue, the
/// longest due first. One transaction; only rows that are still under this lease
/// change.
pub fn settle_and_claim(
    conn: &mut Conn,
    lease: &str,
    settled: &[Settled],
    free: &[(Queue, usize)],
    now: NaiveDateTime,
) -> QueryResult<Vec<ClaimedJob>> {
    settle(conn, lease, settled, now)?;
    let mut claimed = Vec::new();
    let mut ids: BTreeMap<Duration, Vec<i64>> = BTreeMap::new();
    for (queue, free) in free.iter().filter(|(_, free)| *free > 0) {
        let limit = i64::try_from(*free).unwrap_or(i64::MAX);
        let rows = dialect::claim_due_jobs(conn, queue.name(), now, limit)?;
        for row in rows.into_iter().map(ClaimedJob::from) {
            let lease = lease_of(*queue, row.attempts + 1);
            ids.entry(lease).or_default().push(row.job_id);
            claimed.push(row);
        }
    }
    for (time, ids) in ids {
        diesel::update(job::table.filter(job::job_id.eq_any(ids)))
            .set((
                job::state.eq(JobStatus::Running.name()),
                job::due.eq(Some(now + time)),
                job::lease.eq(Some(lease)),
                job::attempts.eq(job::attempts + 1),
            ))
            .execute(conn)?;
    }
    Ok(claimed)
}

impl From<dialect::JobRow> for ClaimedJob {
    fn from(row: dialect::JobRow) -> Self {
        let (job_id, kind, state, attempts, payload, created, request_id, traceparent) = row;
        let cause = request_id.map(|request_id| Context {
            request_id: request_id.into(),
            trace: traceparent.and_then(|header| Trace::parse(header.as_bytes())),
        });
        Self {
            job_id,
            kind,
            state,
            attempts,
            payload,
            created,
            cause,
        }
    }
}

fn settle(
    conn: &mut Conn,
    lease: &str,
    settled: &[Settled],
    now: NaiveDateTime,
) -> QueryResult<()> {
    // Nearly all end in the same way: one statement for each way.
    let mut over: HashMap<Option<&str>, Vec<i64>> = HashMap::new();
    for Settled {
        job_id,
        disposition,
    } in settled
    {
        let row = || {
            let mine = job::table.find(*job_id).filter(job::lease.eq(lease));
            diesel::update(mine)
        };
        let no_lease = None::<String>;
        match disposition {
            Disposition::Done(note) => over.entry(*note).or_default().push(*job_id),
            Disposition::Reschedule(due) => {
                row()
                    .set((
                        job::state.eq(JobStatus::Waiting.name()),
                        job::due.eq(Some(*due)),
                        job::lease.eq(no_lease),
                        job::attempts.eq(0),
                        job::last_error.eq(None::<String>),
                    ))
                    .execute(conn)?;
            }
            Disposition::Retry(due, error) => {
                row()
                    .set((
                        job::state.eq(JobStatus::Waiting.name()),
                        job::due.eq(Some(*due)),
                        job::lease.eq(no_lease),
                        job::last_error.eq(Some(shortened(error))),
                    ))
                    .execute(conn)?;
            }
            Disposition::Dead(error) => {
                row()
                    .set((
                        job::state.eq(JobStatus::Dead.name()),
                        job::due.eq(None::<NaiveDateTime>),
                        job::lease.eq(no_lease),
                        job::dedup_key.eq(None::<String>),
                        job::last_error.eq(Some(shortened(error))),
                        job::finished.eq(Some(now)),
                    ))
                    .execute(conn)?;
            }
            Disposition::Released => {
                row()
                    .set((
                        job::state.eq(JobStatus::Waiting.name()),
                        job::due.eq(Some(now)),
                        job::lease.eq(no_lease),
                    ))
                    .execute(conn)?;
            }
        }
    }
    for (note, ids) in over {
        diesel::update(
            job::table
                .filter(job::job_id.eq_any(ids))
                .filter(job::lease.eq(lease)),
        )
        .set((
            job::state.eq(JobStatus::Done.name()),
            job::due.eq(None::<NaiveDateTime>),
            job::lease.eq(None::<String>),
            job::dedup_key.eq(None::<String>),
            // Whom it was sent to is nobody's business any more.
            job::payload.eq(""),
            job::last_error.eq(note),
            job::finished.eq(Some(now)),
        ))
        .execute(conn)?;
    }
    Ok(())
}

fn shortened(error: &str) -> String {
    error
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(ERROR_MAX)
        .collect()
}

/// Renews the lease of jobs; gives how many are still under it.
pub fn renew(conn: &mut Conn, lease: &str, ids: &[i64], now: NaiveDateTime) -> QueryResult<usize> {
    diesel::update(
        job::table
            .filter(job::job_id.eq_any(ids))
            .filter(job::lease.eq(lease)),
    )
    .set(job::due.eq(Some(now + LEASE)))
    .execute(conn)
}

/// When the next job of these queues is due; `None` when there is none.
pub fn next_due(conn: &mut Conn, queues: &[Queue]) -> QueryResult<Option<NaiveDateTime>> {
    let mut next = None;
    for queue in queues {
        // As the first of an order, MariaDB finds it at once the first time, and in each
        // later execution of the same statement behind all that is done (`due` NULL).
        let due: Option<NaiveDateTime> = job::table
            .filter(job::lane.eq(queue.name()))
            .select(diesel::dsl::min(job::due))
            .first(conn)?;
        if let Some(due) = due {
            next = Some(next.map_or(due, |next: NaiveDateTime| next.min(due)));
        }
    }
    Ok(next)
}
