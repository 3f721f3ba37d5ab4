//! The parts of a check: what each compares, and what it finds.

use std::cell::Cell;

use diesel::result::QueryResult;

use crate::core::db::{Conn, Db, DbError};
use crate::core::progress::{Progress, unless_stopped};
use crate::maintenance::actions::findings::{self, TOLD};
use crate::maintenance::types::{Finding, Found, Part, PartReport};
use crate::posts::actions::check as posts;
use crate::social::actions::check as social;

/// Does a part. False when `progress` ended it.
pub(super) fn examine(
    db: &Db,
    part: Part,
    found: &mut Found,
    progress: Progress<'_>,
) -> Result<bool, DbError> {
    let read = Cell::new(0);
    let hear = |rows| {
        read.set(rows);
        progress(rows)
    };
    let mut gathered = Gathered::default();
    let is_whole = gather(db, part, &mut gathered, &hear)?;
    if part == Part::Search {
        found.unindexed = db.read_blocking(&posts::count_unindexed)?;
    }
    found.parts.push(PartReport {
        part,
        read: read.get(),
        differences: i64::try_from(gathered.differences).unwrap_or(i64::MAX),
    });
    found.findings.append(&mut gathered.findings);
    Ok(is_whole)
}

/// What a part finds.
#[derive(Default)]
struct Gathered {
    differences: usize,
    findings: Vec<Finding>,
}

impl Gathered {
    /// Takes all of a kind, and the first ones by name.
    fn take<T>(&mut self, rows: &[T], finding: impl Fn(&T) -> Finding) {
        self.differences += rows.len();
        self.findings.extend(rows.iter().take(TOLD).map(finding));
    }
}

/// Compares in a snapshot; `None` when it was ended.
fn compared<T>(
    db: &Db,
    compare: impl Fn(&mut Conn) -> QueryResult<T>,
) -> Result<Option<T>, DbError> {
    db.snapshot_blocking(&|conn| unless_stopped(compare(conn)))
}

/// Compares what the part is about. False when it was ended.
fn gather(db: &Db, part: Part, to: &mut Gathered, hear: Progress<'_>) -> Result<bool, DbError> {
    let is_whole = match part {
        Part::Counts => compared(db, |conn| posts::compare_counts(conn, hear))?
            .map(|missing| to.take(&missing, findings::list_count)),
        Part::Tags => compared(db, |conn| posts::compare_tags(conn, hear))?.map(|found| {
            to.take(&found.orphans, findings::stray_tag);
            to.take(&found.missing, findings::untagged_post);
        }),
        Part::Search => compared(db, |conn| posts::compare_words(conn, hear))?.map(|found| {
            to.take(&found.wrong, findings::unfound_post);
            to.take(&found.orphans, findings::stray_words);
        }),
        Part::Schedule => {
            let posts = db.read_blocking(&posts::find_unplanned)?;
            to.take(&posts, |post| findings::unplanned_post(&post.post_id));
            Some(())
        }
        Part::Comments => compared(db, |conn| social::compare_posts(conn, hear))?.map(|found| {
            to.take(&found.missing, findings::post_count);
            to.take(&found.strays, findings::stray_post);
        }),
        Part::Follows => compared(db, |conn| social::compare_follows(conn, hear))?
            .map(|missing| to.take(&missing, findings::user_count)),
    };
    Ok(is_whole.is_some())
}
