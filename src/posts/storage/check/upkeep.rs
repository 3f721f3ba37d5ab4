//! Whether months and tags are counted, and who may add what the counts lack.

use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::schema::count_upkeep;
use crate::posts::storage::check::add_missing;
use crate::posts::storage::counts::{self, Block};

/// What is known of the counts.
#[derive(Clone, Copy, Debug, Queryable)]
pub struct Upkeep {
    /// Grows when anybody adds what was missing.
    pub version: i64,
    /// Whether months and tags are counted.
    pub filled: bool,
}

/// Loads it.
pub fn load(conn: &mut Conn) -> QueryResult<Upkeep> {
    count_upkeep::table
        .find(counts::UPKEEP)
        .select((count_upkeep::version, count_upkeep::filled))
        .first(conn)
}

/// Whether posts are to be counted: months and tags never were, or a program of before, which knows neither of days
/// nor, perhaps, of months, has changed posts since. Of what that program has done and undone nothing is seen here.
pub fn is_due(conn: &mut Conn) -> QueryResult<bool> {
    Ok(!load(conn)?.filled || !counts::do_agree(conn)?)
}

/// Adds a part of what was missing as of a version, and gives the version then; `None`, and nothing
/// is added, when somebody else has added what was missing meanwhile. `is_last`: the counts are whole
/// then.
pub fn add(
    conn: &mut Conn,
    version: i64,
    missing: &[(Block, i64)],
    is_last: bool,
) -> QueryResult<Option<i64>> {
    let row = count_upkeep::table
        .find(counts::UPKEEP)
        .filter(count_upkeep::version.eq(version));
    let next = version + 1;
    let updated = if is_last {
        diesel::update(row)
            .set((
                count_upkeep::version.eq(next),
                count_upkeep::filled.eq(true),
            ))
            .execute(conn)?
    } else {
        diesel::update(row)
            .set(count_upkeep::version.eq(next))
            .execute(conn)?
    };
    if updated == 0 {
        return Ok(None);
    }
    add_missing(conn, missing)?;
    Ok(Some(next))
}
