//! `inkpot check`: do the counts, the tags, the search and the jobs agree with the posts and what is
//! said to them?

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
use crate::maintenance::actions::findings::{self, TOLD};
use crate::maintenance::types::Finding;
use crate::posts::actions::check::{self, Report, Subject};
use crate::server;
use crate::social::actions::check as social;

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
    let posts = check::check(&db, &read).map_err(|e| failed(&e))?;
    let said = social::check(&db, &|read| {
        tracing::info!(read, "comparing counts with comments");
    });
    let said = said.map_err(|e| failed(&e))?;
    let report = &Found { posts, said };
    let faults = if form.is_json {
        differences(report)
    } else {
        tell(report, out).map_err(|e| e.to_string())?
    };
    let mut say = |line: String| {
        // Of JSON there is one value, and it is the last thing.
        if form.is_json {
            return Ok(());
        }
        super::say(out, &line)
    };
    let unindexed = report.posts.unindexed;
    if unindexed > 0 {
        say(format!("{unindexed} posts are not indexed yet"))?;
    }
    if repair {
        mend(&db, report).map_err(|e| failed(&e))?;
        say(format!("{faults} differences were mended"))?;
    } else if faults == 0 {
        say("the counts, the tags and the search are right".to_owned())?;
    }
    if form.is_json {
        say_json(out, &value_of(report, repair))?;
    }
    if repair || faults == 0 {
        return Ok(());
    }
    Err(format!(
        "there are {faults} differences; `inkpot check --repair` mends them"
    ))
}

/// What was found.
struct Found {
    posts: Report,
    /// Of what is counted of them.
    said: social::Report,
}

/// How many differences there are, without a word.
pub(super) fn count(db: &Db) -> Result<usize, DbError> {
    let posts = check::check(db, &|_, _| {})?;
    let said = social::check(db, &|_| {})?;
    Ok(differences(&Found { posts, said }))
}

/// How much is wrong.
fn differences(report: &Found) -> usize {
    let Report {
        version: _,
        missing,
        tags,
        words,
        unplanned,
        unindexed: _,
    } = &report.posts;
    report.said.differences()
        + missing.len()
        + tags.orphans.len()
        + tags.missing.len()
        + words.wrong.len()
        + words.orphans.len()
        + unplanned.len()
}

/// All of it, for programs.
fn value_of(found: &Found, are_mended: bool) -> Value {
    let report = &found.posts;
    let social::Report {
        missing,
        strays,
        follows,
    } = &found.said;
    let follows = follows.iter().map(|((user_id, kind), by)| {
        json!({"user_id": user_id, "of": social::name_of_list(*kind), "off_by": by})
    });
    let numbers = missing.iter().map(|((post_id, kind), by)| {
        json!({"post_id": post_id, "of": social::name_of(*kind), "off_by": by})
    });
    let counts = report.missing.iter().map(
        |((list, level, block), by)| json!({"list": list, "level": level, "block": block, "off_by": by}),
    );
    let rows = report.tags.orphans.iter().map(|(tag, published, place, id, _)| {
        json!({"tag": tag, "published": published, "place": place, "post_id": id})
    });
    let unplanned: Vec<i64> = (report.unplanned.iter().map(|post| post.post_id)).collect();
    json!({
        "differences": differences(found),
        "mended": are_mended,
        "unindexed": report.unindexed,
        "counts": counts.collect::<Vec<_>>(),
        "stray_tags": rows.collect::<Vec<_>>(),
        "untagged_posts": report.tags.missing,
        "unfound_posts": report.words.wrong,
        "stray_words": report.words.orphans,
        "post_counts": numbers.collect::<Vec<_>>(),
        "stray_posts": strays,
        "user_counts": follows.collect::<Vec<_>>(),
        "unplanned_posts": unplanned,
    })
}

/// Tells what is wrong; gives how much that is.
fn tell(found: &Found, out: &mut impl Write) -> std::io::Result<usize> {
    let report = &found.posts;
    let social::Report {
        missing,
        strays,
        follows,
    } = &found.said;
    let Report {
        version: _,
        missing: counts,
        tags,
        words,
        unplanned,
        unindexed: _,
    } = report;
    let unplanned: Vec<i64> = unplanned.iter().map(|post| post.post_id).collect();
    Ok(tell_some(counts, findings::list_count, out)?
        + tell_some(&tags.orphans, findings::stray_tag, out)?
        + tell_some(&tags.missing, findings::untagged_post, out)?
        + tell_some(&words.wrong, findings::unfound_post, out)?
        + tell_some(&words.orphans, findings::stray_words, out)?
        + tell_some(missing, findings::post_count, out)?
        + tell_some(strays, findings::stray_post, out)?
        + tell_some(follows, findings::user_count, out)?
        + tell_some(&unplanned, findings::unplanned_post, out)?)
}

/// Tells the first ones, and how many more there are; gives how many there are in all.
fn tell_some<T>(
    rows: &[T],
    finding: impl Fn(&T) -> Finding,
    out: &mut impl Write,
) -> std::io::Result<usize> {
    for row in rows.iter().take(TOLD) {
        writeln!(out, "{}", finding(row).detail)?;
    }
    if rows.len() > TOLD {
        writeln!(out, "and {} more", rows.len() - TOLD)?;
    }
    Ok(rows.len())
}

/// Mends what was found, and tells servers through the database, which they follow, that
/// what they kept may be wrong.
fn mend(db: &Db, found: &Found) -> Result<(), DbError> {
    let indexed = |posts: usize| tracing::info!(posts, "indexing posts");
    let mended =
        check::repair(db, &found.posts, &indexed).and_then(|()| social::repair(db, &found.said));
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
