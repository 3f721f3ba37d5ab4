//! `inkpot check`: do the counts and the search agree with the posts?

use std::io::Write;

use crate::core::db::DbError;
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;
use crate::posts::actions::check;
use crate::server;

/// Differences that are told one by one.
const TOLD: usize = 20;

/// Checks and says what it found; with `repair` mends it. An error, one line, also
/// when there are differences that stay.
pub fn run(repair: bool, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let db = server::open_database(settings)?;
    let mut say = |line: String| writeln!(out, "{line}").map_err(|e| e.to_string());
    let read = |posts| tracing::info!(posts, "reading posts");
    let report = check::check(&db, &read).map_err(|e| failed(&e))?;
    let missing = &report.missing;
    for ((list, level, block), by) in missing.iter().take(TOLD) {
        say(format!("list {list} level {level} block {block}: {by:+}"))?;
    }
    if missing.len() > TOLD {
        say(format!("and {} more", missing.len() - TOLD))?;
    }
    if report.unindexed > 0 {
        say(format!("{} posts are not indexed yet", report.unindexed))?;
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
    let indexed = |posts: usize| {
        if posts.is_multiple_of(1024) {
            tracing::info!(posts, "indexing posts");
        }
    };
    check::repair(&db, &report, &indexed).map_err(|e| failed(&e))?;
    say(format!(
        "{} counts were mended, all posts indexed",
        missing.len()
    ))
}

/// What went wrong, as a line.
pub fn failed(error: &DbError) -> String {
    Chain(error).to_string()
}
