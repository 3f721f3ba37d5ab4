//! Checking and repairing: does what is counted of posts agree with what there is, and is there
//! nothing of posts that are gone?

use std::collections::{BTreeMap, BTreeSet};

use diesel::result::QueryResult;

use super::leftovers;
use crate::core::db::{Conn, Db, DbError};
use crate::core::progress::Progress;
use crate::posts::actions::of_others;
use crate::posts::stats::{Stat, StatChanges};
use crate::social::storage::follows::{self, Additions};
use crate::social::storage::{comments, leftovers as rows, likes};
use crate::social::types::FollowList;

/// Rows that are read at once.
const SOME: i64 = 5000;
/// Posts that are looked for at once.
const LOOKED_FOR: usize = 512;

/// What a check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What must be added to the counts: post, kind of count, and by how many.
    pub missing: Vec<((i64, i32), i64)>,
    /// Posts that are not there and of which something is.
    pub strays: Vec<i64>,
    /// The same as `missing` for users.
    pub follows: Vec<((i64, i32), i64)>,
}

impl Report {
    /// How much is wrong.
    pub fn differences(&self) -> usize {
        self.missing.len() + self.strays.len() + self.follows.len()
    }
}

/// The name of a count, for people.
pub fn name_of(kind: i32) -> &'static str {
    (Stat::ALL.into_iter())
        .find(|stat| stat.kind() == kind)
        .map_or("unknown", Stat::name)
}

/// Compares what is counted with what there is, on a thread that may block. `progress` hears how
/// many rows were read.
pub fn check(db: &Db, progress: &dyn Fn(i64)) -> Result<Report, DbError> {
    let hear = |read| {
        progress(read);
        Ok(())
    };
    let report = db.snapshot_blocking(&|conn| compare_posts(conn, &hear))?;
    let follows = db.snapshot_blocking(&|conn| compare_follows(conn, &hear))?;
    Ok(Report { follows, ..report })
}

/// The name of a count of users, for people.
pub fn name_of_list(kind: i32) -> &'static str {
    let lists = [FollowList::Followers, FollowList::Following];
    (lists.into_iter())
        .find(|list| list.kind() == kind)
        .map_or("unknown", FollowList::name)
}

/// What must be added to what is counted of users. Reads follows. Call it in a snapshot.
pub fn compare_follows(
    conn: &mut Conn,
    progress: Progress<'_>,
) -> QueryResult<Vec<((i64, i32), i64)>> {
    let mut truth: BTreeMap<(i64, i32), i64> = BTreeMap::new();
    let (mut last, mut read) = (0, 0);
    loop {
        let some = follows::load_some(conn, last, SOME)?;
        let Some((newest, ..)) = some.last() else {
            break;
        };
        last = *newest;
        for (_, follower, followed) in &some {
            let rows = [
                (*followed, FollowList::Followers.kind()),
                (*follower, FollowList::Following.kind()),
            ];
            for row in rows {
                *truth.entry(row).or_default() += 1;
            }
        }
        read += i64::try_from(some.len()).unwrap_or(0);
        progress(read)?;
    }
    let mut last = 0;
    loop {
        let some = follows::load_counts(conn, last, SOME)?;
        let is_end = i64::try_from(some.len()).is_ok_and(|rows| rows < SOME);
        let Some((newest, ..)) = some.last().copied() else {
            break;
        };
        progress(read)?;
        // The last user may go on in the next rows: they are read again then.
        let whole = |user: i64| is_end || user < newest;
        for (user_id, kind, number) in some.iter().filter(|(user, ..)| whole(*user)) {
            *truth.entry((*user_id, *kind)).or_default() -= number;
        }
        if is_end {
            break;
        }
        last = newest - 1;
    }
    Ok(truth.into_iter().filter(|(_, by)| *by != 0).collect())
}

/// What is wrong with what is counted of posts; of follows nothing is said. Reads comments and likes. Call it in
/// a snapshot.
pub fn compare_posts(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<Report> {
    // What there is, less what is counted.
    let mut truth: BTreeMap<(i64, i32), i64> = BTreeMap::new();
    let mut read = 0;
    let mut last = 0;
    loop {
        let some = comments::load_some(conn, last, SOME)?;
        let Some((newest, ..)) = some.last() else {
            break;
        };
        last = *newest;
        for (_, post_id, deleted) in &some {
            *truth.entry((*post_id, Stat::Entries.kind())).or_default() += 1;
            *truth.entry((*post_id, Stat::Comments.kind())).or_default() += i64::from(!deleted);
        }
        read += i64::try_from(some.len()).unwrap_or(0);
        progress(read)?;
    }
    let mut last = (0, 0);
    loop {
        let some = likes::load_some(conn, last, SOME)?;
        let Some(newest) = some.last() else {
            break;
        };
        last = *newest;
        for (post_id, _) in &some {
            *truth.entry((*post_id, Stat::Likes.kind())).or_default() += 1;
        }
        read += i64::try_from(some.len()).unwrap_or(0);
        progress(read)?;
    }
    let mut after = (0, 0, i32::MIN);
    loop {
        let some = of_others::load_counts(conn, after, SOME)?;
        let Some((post_id, kind, slot, _)) = some.last() else {
            break;
        };
        after = (*post_id, *kind, *slot);
        progress(read)?;
        for (post_id, kind, _, number) in &some {
            *truth.entry((*post_id, *kind)).or_default() -= number;
        }
    }
    let post_ids: BTreeSet<i64> = truth.keys().map(|(post_id, _)| *post_id).collect();
    let post_ids: Vec<i64> = post_ids.into_iter().collect();
    let mut strays = Vec::new();
    for some in post_ids.chunks(LOOKED_FOR) {
        progress(read)?;
        let there: BTreeSet<i64> = of_others::find_existing(conn, some)?.into_iter().collect();
        let left = rows::find_marked(conn, some)?;
        let gone = some.iter().filter(|id| !there.contains(id));
        strays.extend(gone.filter(|id| !left.contains(id)));
        // What is left of them is about to go, with what is counted.
        for id in some.iter().filter(|id| !there.contains(id)) {
            for stat in Stat::ALL {
                truth.remove(&(*id, stat.kind()));
            }
        }
    }
    let missing = truth.into_iter().filter(|(_, by)| *by != 0).collect();
    Ok(Report {
        missing,
        strays,
        follows: Vec::new(),
    })
}

/// Mends what a check found, on a thread that may block; right beside others that write, since
/// the difference stays the same. Responses that are kept are for the caller to invalidate.
pub fn repair(db: &Db, report: &Report) -> Result<(), DbError> {
    for some in report.missing.chunks(LOOKED_FOR) {
        let mut changes = StatChanges::default();
        for (key, by) in some {
            changes.add_kind(*key, *by);
        }
        db.write_blocking(&|conn| of_others::count(conn, &changes))?;
    }
    for some in report.follows.chunks(LOOKED_FOR) {
        let mut additions = Additions::default();
        for ((user_id, kind), by) in some {
            additions.add(*user_id, *kind, *by);
        }
        db.write_blocking(&|conn| additions.write(conn))?;
    }
    for post_id in &report.strays {
        db.write_blocking(&|conn| rows::mark(conn, &[*post_id]))?;
    }
    if !report.strays.is_empty() {
        while db.write_blocking(&leftovers::delete_some)? > 0 {}
    }
    Ok(())
}
