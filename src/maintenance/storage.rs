//! The one row of the check.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::schema::consistency_check;
use crate::maintenance::types::StoredCheck;

/// The one row.
const ROW: i32 = 1;

/// Loads it.
pub fn load(conn: &mut Conn) -> QueryResult<StoredCheck> {
    consistency_check::table
        .find(ROW)
        .select(StoredCheck::as_select())
        .first(conn)
}

/// A new check begins, which this job does. What the last one found stays until this one ends.
pub fn begin(conn: &mut Conn, job_id: i64, now: NaiveDateTime) -> QueryResult<()> {
    diesel::update(consistency_check::table.find(ROW))
        .set((
            consistency_check::job_id.eq(Some(job_id)),
            consistency_check::asked.eq(Some(now)),
            consistency_check::part.eq(0),
            consistency_check::found.eq(""),
        ))
        .execute(conn)
        .map(drop)
}

/// Keeps what was found up to the part of that number, and goes on with the next one. False, and nothing is kept,
/// when the row is another job's by now or that part was done already.
pub fn keep(conn: &mut Conn, (job_id, part): (i64, i32), found: &str) -> QueryResult<bool> {
    let kept = diesel::update(mine(job_id, part))
        .set((
            consistency_check::part.eq(part + 1),
            consistency_check::found.eq(found),
        ))
        .execute(conn)?;
    Ok(kept == 1)
}

/// The same with the last part: what was found is the newest report.
pub fn finish(
    conn: &mut Conn,
    (job_id, part): (i64, i32),
    found: &str,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let finished = diesel::update(mine(job_id, part))
        .set((
            consistency_check::part.eq(part + 1),
            consistency_check::found.eq(""),
            consistency_check::report.eq(Some(found)),
            consistency_check::report_asked.eq(consistency_check::asked),
            consistency_check::report_finished.eq(Some(now)),
        ))
        .execute(conn)?;
    Ok(finished == 1)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn mine(job_id: i64, part: i32) -> _ {
    consistency_check::table
        .filter(consistency_check::job_id.eq(job_id))
        .filter(consistency_check::part.eq(part))
}
