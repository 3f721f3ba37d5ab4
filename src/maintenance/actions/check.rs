//! A check is asked for, its parts are done one after the other, and what they found is told.

use diesel::result::QueryResult;

use super::examine::examine;
use crate::core::db::{Conn, Db, DbError};
use crate::core::progress::Progress;
use crate::jobs::actions as jobs;
use crate::jobs::events::JobWritten;
use crate::jobs::types::{JobStatus, NewJob};
use crate::maintenance::Maintenance;
use crate::maintenance::storage as rows;
use crate::maintenance::types::{Check, CheckState, Found, Part, StoredCheck};

/// The key of the job: there is one check at a time.
pub const KEY: &str = "check";

/// Asks for a check. When one is under way that is the one.
pub async fn ask(maintenance: &Maintenance, job: NewJob) -> Result<Check, DbError> {
    let (now, bus) = (maintenance.clock.now(), maintenance.bus.clone());
    let db = &maintenance.db;
    // A hundred who ask at once are told so without a write.
    let is_under_way = db.read(|conn| jobs::find_unfinished(conn, KEY)).await?;
    if is_under_way.is_none() {
        let begin = move |conn: &mut Conn| {
            if let Some(job_id) = jobs::enqueue(conn, &job, now)? {
                rows::begin(conn, job_id, now)?;
            }
            Ok(())
        };
        db.write_then(begin, move |()| bus.publish(&JobWritten {}))
            .await?;
    }
    find(maintenance).await
}

/// The newest check.
pub async fn find(maintenance: &Maintenance) -> Result<Check, DbError> {
    maintenance.db.snapshot(load).await
}

fn load(conn: &mut Conn) -> QueryResult<Check> {
    let row = rows::load(conn)?;
    let job = match row.job_id {
        Some(job_id) => jobs::find(conn, job_id)?,
        None => None,
    };
    let (status, last_error) = match job {
        Some(job) => (JobStatus::named(&job.state), job.last_error),
        None => (None, None),
    };
    let state = match (row.job_id, Part::numbered(row.part), status) {
        (None, ..) => CheckState::Never,
        (Some(_), None, _) => CheckState::Done,
        (Some(_), Some(_), Some(JobStatus::Waiting)) if row.part == 0 => CheckState::Waiting,
        // Between two parts it waits for its turn.
        (Some(_), Some(_), Some(JobStatus::Waiting | JobStatus::Running)) => CheckState::Running,
        // It is dead, or was deleted.
        (Some(_), Some(_), _) => CheckState::Failed,
    };
    let last_error = last_error.filter(|_| state != CheckState::Done);
    Ok(Check {
        row,
        state,
        last_error,
    })
}

/// What is kept as JSON; what cannot be read is as good as nothing.
pub fn read_found(text: &str) -> Found {
    serde_json::from_str(text).unwrap_or_default()
}

/// What a job does next.
#[derive(Debug)]
pub enum Next {
    /// This part, after what was found so far.
    Part(Part, Found),
    /// Nothing: all parts are done.
    End,
    /// Nothing: another check was begun.
    NotMine,
}

/// What this job does next.
pub async fn find_next(db: &Db, job_id: i64) -> Result<Next, DbError> {
    let StoredCheck {
        job_id: whose,
        part,
        found,
        ..
    } = db.read(rows::load).await?;
    if whose != Some(job_id) {
        return Ok(Next::NotMine);
    }
    Ok(match Part::numbered(part) {
        Some(part) => Next::Part(part, read_found(&found)),
        None => Next::End,
    })
}

/// Does a part, on a thread that may block for long: reads what it compares, with connections of its own that
/// have all the time. `found` has what it found then. False when `progress` ended it.
pub fn do_part(
    db: &Db,
    part: Part,
    found: &mut Found,
    progress: Progress<'_>,
) -> Result<bool, DbError> {
    examine(&db.patient(), part, found, progress)
}

/// Keeps what was found with this part; gives whether it was the last one. `None` when it was of no use: another
/// check was begun, or another worker has done the part.
pub async fn keep(
    maintenance: &Maintenance,
    job_id: i64,
    part: Part,
    found: &Found,
) -> Result<Option<bool>, DbError> {
    let number = Part::ALL.iter().position(|one| *one == part);
    let number = number.and_then(|number| i32::try_from(number).ok());
    let number = number.unwrap_or_default();
    let is_last = Part::numbered(number + 1).is_none();
    let text = serde_json::to_string(found).map_err(|error| DbError::fault(error))?;
    let now = maintenance.clock.now();
    let kept = maintenance.db.write(move |conn| {
        if is_last {
            rows::finish(conn, (job_id, number), &text, now)
        } else {
            rows::keep(conn, (job_id, number), &text)
        }
    });
    Ok(kept.await?.then_some(is_last))
}
