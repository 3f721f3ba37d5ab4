//! `inkpot check`: do the counts, the tags and the search agree with the posts?

use std::cell::Cell;
use std::io::Write;

use serde_json::{Value, json};

use super::args::Form;
use super::say_json;
use crate::accounts::actions::announce_anything;
use crate::core::clock::Clock;
use crate::core::db::{Db, DbError};
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;
use crate::posts::actions::check::{self, Report, Subject};
use crate::server;

/// Differences of a kind that are told one by one.
const TOLD: usize = 20;
/// Posts or rows that are read from one line of progress to the next.
const READ_BETWEEN: i64 = 10_000;

/// Checks and says what it found; with `repair` mends it. An error, one line, also
/// when there are differences that stay.
pub fn run(
    repair: bool,
    form: Form,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), String> {
    let db = server::open_database(settings)?.patient();
    let told = Cell::new((Subject::Counts, 0));
    let read = |subject, read: i64| {
        let (last, before) = told.get();
        if read < before + READ_BETWEEN && last == subject {
            return;
        }
        told.set((subject, read));
        match subject {
            Subject::Counts => tracing::info!(read, "comparing counts with posts"),
            Subject::Tags => tracing::info!(read, "comparing tags with posts"),
            Subject::Words => tracing::info!(read, "comparing the search with posts"),
        }
    };
    let report = check::check(&db, &read).map_err(|e| failed(&e))?;
    let faults = if form.is_json {
        differences(&report)
    } else {
        tell(&report, out).map_err(|e| e.to_string())?
    };
    let mut say = |line: String| {
        // Of JSON there is one value, and it is the last thing.
        if form.is_json {
            return Ok(());
        }
        super::say(out, &line)
    };
    if report.unindexed > 0 {
        say(format!("{} posts are not indexed yet", report.unindexed))?;
    }
    if repair {
        mend(&db, &report).map_err(|e| failed(&e))?;
        say(format!("{faults} differences were mended"))?;
    } else if faults == 0 {
        say("the counts, the tags and the search are right".to_owned())?;
    }
    if form.is_json {
        say_json(out, &value_of(&report, repair))?;
    }
    if repair || faults == 0 {
        return Ok(());
    }
    Err(format!(
        "there are {faults} differences; `inkpot check --repair` mends them"
    ))
}

/// How much is wrong.
fn differences(report: &Report) -> usize {
    let Report {
        version: _,
        missing,
        tags,
        words,
        unindexed: _,
    } = report;
    missing.len()
        + tags.orphans.len()
        + tags.missing.len()
        + words.wrong.len()
        + words.orphans.len()
}

/// All of it, for programs.
fn value_of(report: &Report, are_mended: bool) -> Value {
    let counts = report.missing.iter().map(
        |((list, level, block), by)| json!({"list": list, "level": level, "block": block, "off_by": by}),
    );
    let rows = report.tags.orphans.iter().map(|(tag, published, place, id, _)| {
        json!({"tag": tag, "published": published, "place": place, "post_id": id})
    });
    json!({
        "differences": differences(report),
        "mended": are_mended,
        "unindexed": report.unindexed,
        "counts": counts.collect::<Vec<_>>(),
        "stray_tags": rows.collect::<Vec<_>>(),
        "untagged_posts": report.tags.missing,
        "unfound_posts": report.words.wrong,
        "stray_words": report.words.orphans,
    })
}

/// Tells what is wrong; gives how much that is.
fn tell(report: &Report, out: &mut impl Write) -> std::io::Result<usize> {
    let Report {
        version: _,
        missing,
        tags,
        words,
        unindexed: _,
    } = report;
    let counts = missing.iter().map(|((list, level, block), by)| {
        format!("list {list} level {level} block {block}: {by:+}")
    });
    let rows = tags.orphans.iter().map(|(tag, published, place, id, _)| {
        let kind = if *published { "published" } else { "drafts" };
        format!("tag {tag} ({kind}) place {place}: post {id} is not there")
    });
    let untagged =
        (tags.missing.iter()).map(|id| format!("post {id} is not under all of its tags"));
    let unfound = (words.wrong.iter()).map(|id| format!("post {id} is not found by its words"));
    let places =
        (words.orphans.iter()).map(|place| format!("words at place {place} are no post's"));
    Ok(tell_some(counts, out)?
        + tell_some(rows, out)?
        + tell_some(untagged, out)?
        + tell_some(unfound, out)?
        + tell_some(places, out)?)
}

/// Tells the first lines, and how many more there are; gives how many there are in all.
fn tell_some(
    lines: impl ExactSizeIterator<Item = String>,
    out: &mut impl Write,
) -> std::io::Result<usize> {
    let number = lines.len();
    for line in lines.take(TOLD) {
        writeln!(out, "{line}")?;
    }
    if number > TOLD {
        writeln!(out, "and {} more", number - TOLD)?;
    }
    Ok(number)
}

/// Mends what was found, and tells servers through the database, which they follow, that
/// what they kept may be wrong.
fn mend(db: &Db, report: &Report) -> Result<(), DbError> {
    let indexed = |posts: usize| tracing::info!(posts, "indexing posts");
    let mended = check::repair(db, report, &indexed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| DbError::fault(error))?;
    // After a failure too: some of it may have been mended.
    runtime.block_on(announce_anything(db, &Clock::system()))?;
    mended
}

/// What went wrong, as a line.
pub fn failed(error: &DbError) -> String {
    Chain(error).to_string()
}
