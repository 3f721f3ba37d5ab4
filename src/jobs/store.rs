//! Jobs as they are stored.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::kind::{Kind, Lane, State};
use super::policy::LEASE;
use super::{Failure, Job};
use crate::core::db::schema::job;
use crate::core::db::{Conn, dialect};
use crate::http::page::PageRequest;

/// Characters of an error that are kept.
const ERROR_MAX: usize = 500;

/// A job to be.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub kind: Kind,
    /// What to do, as JSON of the kind's own; up to 64 KiB, without secrets.
    pub payload: String,
    /// Not before then.
    pub due: NaiveDateTime,
    /// While an unfinished job has this key there is no second one with it; up to 64
    /// characters.
    pub dedup_key: Option<String>,
    /// Whom it is about.
    pub user_id: Option<i64>,
}

/// Writes a job, in the transaction of its cause; gives its id, and `None` when one of
/// this key is there already.
pub fn enqueue(conn: &mut Conn, new: &NewJob, now: NaiveDateTime) -> QueryResult<Option<i64>> {
    // Whole: no field is left out unnoticed.
    let NewJob {
        kind,
        payload,
        due,
        dedup_key,
        user_id,
    } = new;
    let inserted = diesel::insert_into(job::table)
        .values((
            job::kind.eq(kind.name()),
            job::lane.eq(kind.lane().name()),
            job::state.eq(State::Waiting.name()),
            job::due.eq(Some(due)),
            job::attempts.eq(0),
            job::payload.eq(payload),
            job::dedup_key.eq(dedup_key),
            job::user_id.eq(user_id),
            job::created.eq(now),
        ))
        .execute(conn);
    match inserted {
        Ok(_) => dialect::last_insert(conn).map(Some),
        // The refusal ends the statement, not the transaction.
        Err(error) if dedup_key.is_some() && is_duplicate(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_duplicate(error: &diesel::result::Error) -> bool {
    dialect::unique_index(&error.to_string(), &["job_dedup_key"]).is_some()
}

/// What became of a job that a worker had.
#[derive(Clone, Debug)]
pub struct Settled {
    pub job_id: i64,
    pub verdict: Verdict,
}

/// How it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Over; with a note when there was nothing to do.
    Done(Option<&'static str>),
    /// Ended well, and begins anew then.
    Again(NaiveDateTime),
    /// Tried again then.
    Later(NaiveDateTime, String),
    /// Given up.
    Dead(String),
    /// Not begun, or broken off: anybody's at once.
    Released,
}

/// Writes down what became of jobs and takes new ones, up to so many of each lane, the
/// longest due first. One transaction; only rows that are still under this lease
/// change.
pub fn exchange(
    conn: &mut Conn,
    lease: &str,
    settled: &[Settled],
    places: &[(Lane, usize)],
    now: NaiveDateTime,
) -> QueryResult<Vec<Taken>> {
    settle(conn, lease, settled, now)?;
    let mut taken = Vec::new();
    for (lane, places) in places.iter().filter(|(_, places)| *places > 0) {
        let limit = i64::try_from(*places).unwrap_or(i64::MAX);
        let rows = dialect::claim_due_jobs(conn, lane.name(), now, limit)?;
        taken.extend(rows.into_iter().map(Taken::from));
    }
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = taken.iter().map(|row| row.job_id).collect();
    diesel::update(job::table.filter(job::job_id.eq_any(ids)))
        .set((
            job::state.eq(State::Running.name()),
            job::due.eq(Some(now + LEASE)),
            job::lease.eq(Some(lease)),
            job::attempts.eq(job::attempts + 1),
        ))
        .execute(conn)?;
    Ok(taken)
}

/// A row as it was when it was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub job_id: i64,
    pub kind: String,
    pub state: String,
    pub attempts: i32,
    pub payload: String,
    pub created: NaiveDateTime,
}

impl From<dialect::JobRow> for Taken {
    fn from(row: dialect::JobRow) -> Self {
        let (job_id, kind, state, attempts, payload, created) = row;
        Self {
            job_id,
            kind,
            state,
            attempts,
            payload,
            created,
        }
    }
}

impl Taken {
    /// The job, if this program knows its kind.
    pub fn job(self) -> Result<Job, Failure> {
        let kind = Kind::named(&self.kind).ok_or_else(|| {
            Failure::Passing(format!("this program knows no jobs of kind {}", self.kind))
        })?;
        Ok(Job {
            job_id: self.job_id,
            kind,
            attempts: self.attempts + 1,
            payload: self.payload,
            created: self.created,
        })
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
    for Settled { job_id, verdict } in settled {
        let row = || {
            let mine = job::table.find(*job_id).filter(job::lease.eq(lease));
            diesel::update(mine)
        };
        let no_lease = None::<String>;
        match verdict {
            Verdict::Done(note) => over.entry(*note).or_default().push(*job_id),
            Verdict::Again(due) => {
                row()
                    .set((
                        job::state.eq(State::Waiting.name()),
                        job::due.eq(Some(*due)),
                        job::lease.eq(no_lease),
                        job::attempts.eq(0),
                        job::last_error.eq(None::<String>),
                    ))
                    .execute(conn)?;
            }
            Verdict::Later(due, error) => {
                row()
                    .set((
                        job::state.eq(State::Waiting.name()),
                        job::due.eq(Some(*due)),
                        job::lease.eq(no_lease),
                        job::last_error.eq(Some(shortened(error))),
                    ))
                    .execute(conn)?;
            }
            Verdict::Dead(error) => {
                row()
                    .set((
                        job::state.eq(State::Dead.name()),
                        job::due.eq(None::<NaiveDateTime>),
                        job::lease.eq(no_lease),
                        job::dedup_key.eq(None::<String>),
                        job::last_error.eq(Some(shortened(error))),
                        job::finished.eq(Some(now)),
                    ))
                    .execute(conn)?;
            }
            Verdict::Released => {
                row()
                    .set((
                        job::state.eq(State::Waiting.name()),
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
            job::state.eq(State::Done.name()),
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

/// When the next job of these lanes is due; `None` when there is none.
pub fn next_due(conn: &mut Conn, lanes: &[Lane]) -> QueryResult<Option<NaiveDateTime>> {
    let mut next = None;
    for lane in lanes {
        // As the first of an order, MariaDB finds it at once the first time, and in each
        // later execution of the same statement behind all that is done (`due` NULL).
        let due: Option<NaiveDateTime> = job::table
            .filter(job::lane.eq(lane.name()))
            .select(diesel::dsl::min(job::due))
            .first(conn)?;
        if let Some(due) = due {
            next = Some(next.map_or(due, |next: NaiveDateTime| next.min(due)));
        }
    }
    Ok(next)
}

/// A row as admins, the operator and its user see it: without what it is to do.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = job)]
pub struct Record {
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

/// A page, newest first, of one state or of all, and how many there are.
pub fn load_page(
    conn: &mut Conn,
    state: Option<State>,
    request: PageRequest,
) -> QueryResult<(Vec<Record>, i64)> {
    let page = job::table
        .select(Record::as_select())
        .order(job::job_id.desc())
        .offset(request.offset())
        .limit(i64::from(request.size));
    match state.map(State::name) {
        Some(state) => {
            let of_state = job::state.eq(state);
            let count = job::table.filter(of_state).count().get_result(conn)?;
            Ok((page.filter(of_state).load(conn)?, count))
        }
        None => Ok((page.load(conn)?, job::table.count().get_result(conn)?)),
    }
}

/// All jobs about a user that are still kept, oldest first, a thousand at a time:
/// those after `after`.
pub fn load_of_user(conn: &mut Conn, user_id: i64, after: i64) -> QueryResult<Vec<Record>> {
    job::table
        .filter(job::user_id.eq(user_id))
        .filter(job::job_id.gt(after))
        .order(job::job_id)
        .limit(1000)
        .select(Record::as_select())
        .load(conn)
}

/// What came of asking for another try.
#[derive(Debug)]
pub enum Retried {
    /// It is due now.
    Waiting(Record),
    /// It is running or done.
    NotRetryable,
    NotFound,
}

/// Has a job tried again that is dead, or that waits for its next try; its tries are
/// counted anew.
pub fn retry(conn: &mut Conn, job_id: i64, now: NaiveDateTime) -> QueryResult<Retried> {
    let retryable = [State::Dead.name(), State::Waiting.name()];
    let changed = diesel::update(job::table.find(job_id).filter(job::state.eq_any(retryable)))
        .set((
            job::state.eq(State::Waiting.name()),
            job::due.eq(Some(now)),
            job::attempts.eq(0),
            job::finished.eq(None::<NaiveDateTime>),
        ))
        .execute(conn)?;
    let row = job::table
        .find(job_id)
        .select(Record::as_select())
        .first(conn)
        .optional()?;
    Ok(match row {
        Some(row) if changed == 1 => Retried::Waiting(row),
        Some(_) => Retried::NotRetryable,
        None => Retried::NotFound,
    })
}

/// Has some of the dead jobs tried again, the oldest first; gives how many.
pub fn retry_dead(conn: &mut Conn, limit: i64, now: NaiveDateTime) -> QueryResult<usize> {
    let ids: Vec<i64> = job::table
        .filter(job::state.eq(State::Dead.name()))
        .order(job::job_id)
        .limit(limit)
        .select(job::job_id)
        .load(conn)?;
    diesel::update(
        job::table
            .filter(job::job_id.eq_any(ids))
            .filter(job::state.eq(State::Dead.name())),
    )
    .set((
        job::state.eq(State::Waiting.name()),
        job::due.eq(Some(now)),
        job::attempts.eq(0),
        job::finished.eq(None::<NaiveDateTime>),
    ))
    .execute(conn)
}

/// Of the `limit` oldest jobs of a state, deletes those that ended before `before`;
/// gives how many. Bounded, whatever there is: the oldest by cause are looked at, and
/// one of them that ended late holds up others for as long.
pub fn purge_some(
    conn: &mut Conn,
    state: State,
    before: NaiveDateTime,
    limit: i64,
) -> QueryResult<usize> {
    let oldest: Vec<(i64, Option<NaiveDateTime>)> = job::table
        .filter(job::state.eq(state.name()))
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
            .filter(job::state.eq(state.name())),
    )
    .execute(conn)
}
