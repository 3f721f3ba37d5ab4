//! `inkpot check`: do the counts and the search agree with the posts?

use std::io::Write;

use crate::core::db::{Db, DbError};
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;
use crate::posts::{check, counts};
use crate::server;

/// Differences that are told one by one.
const TOLD: usize = 20;

/// Checks and says what it found; with `repair` mends it. An error, one line, also
/// when there are differences that stay.
pub fn run(repair: bool, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let db = server::open_database(settings)?;
    let mut say = |line: String| writeln!(out, "{line}").map_err(|e| e.to_string());
    let missing = db
        .snapshot_blocking(&|conn| {
            check::missing_counts(conn, &|read| {
                tracing::info!(posts = read, "reading posts");
            })
        })
        .map_err(|e| failed(&e))?;
    for ((list, level, block), by) in missing.iter().take(TOLD) {
        say(format!("list {list} level {level} block {block}: {by:+}"))?;
    }
    if missing.len() > TOLD {
        say(format!("and {} more", missing.len() - TOLD))?;
    }
    let unindexed = db
        .read_blocking(&check::count_unindexed)
        .map_err(|e| failed(&e))?;
    if unindexed > 0 {
        say(format!("{unindexed} posts are not indexed yet"))?;
    }
    if !repair {
        return if missing.is_empty() {
            say("the counts are right".to_owned())
        } else {
            Err(format!(
                "{} counts are wrong; `inkpot check --repair` mends them",
                missing.len()
            ))
        };
    }
    mend(&db, &missing)?;
    say(format!(
        "{} counts were mended, all posts indexed",
        missing.len()
    ))
}

fn mend(db: &Db, missing: &[(counts::Block, i64)]) -> Result<(), String> {
    db.write_blocking(&|conn| check::add_missing(conn, missing))
        .and_then(|()| db.write_blocking(&check::unindex_all))
        .and_then(|_| {
            check::index_pending(db, &|done| {
                if done % 1024 == 0 {
                    tracing::info!(posts = done, "indexing posts");
                }
            })
        })
        .map(drop)
        .map_err(|e| failed(&e))
}

/// What went wrong, as a line.
pub fn failed(error: &DbError) -> String {
    Chain(error).to_string()
}
