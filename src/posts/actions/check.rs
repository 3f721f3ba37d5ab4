//! Checking and repairing: do the kept counts, the rows of tags, the search and the jobs agree with
//! the posts?

use std::time::Duration;

use diesel::result::QueryResult;

use super::move_posts;
use crate::core::clock::Clock;
use crate::core::db::{Conn, Db, DbError};
use crate::core::progress::Progress;
use crate::posts::Posts;
use crate::posts::events::AnythingChanged;
use crate::posts::jobs::publish_post;
use crate::posts::storage::check::{self, tags, upkeep, words};
use crate::posts::storage::counts::Block;
use crate::posts::storage::scheduled::{self, ScheduledPost};

/// Rows that are mended in one transaction, and posts that are marked.
const AT_ONCE: usize = 100;
/// Counts that are added in one transaction.
const ADDED_AT_ONCE: usize = 2000;
/// How long is waited while somebody else moves posts.
const OTHERS_TURN: Duration = Duration::from_millis(100);
/// Posts that are indexed from one line of progress to the next, and before responses are
/// made anew.
const INDEXED_BETWEEN: usize = 1024;

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// That of the counts when they were compared.
    pub version: i64,
    /// What must be added to the kept counts; empty when they are right.
    pub missing: Vec<(Block, i64)>,
    /// What is wrong with the rows of tags.
    pub tags: tags::Found,
    /// What is wrong with the search's index.
    pub words: words::Found,
    /// Scheduled posts that have no job.
    pub unplanned: Vec<ScheduledPost>,
    /// Posts that are still to be indexed.
    pub unindexed: i64,
}

/// What of the posts is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Counts,
    Tags,
    Words,
}

/// Compares what is kept of the posts with the posts, on a thread that may block.
/// `progress` hears how many posts, or rows of tags, were read.
pub fn check(db: &Db, progress: &dyn Fn(Subject, i64)) -> Result<Report, DbError> {
    let hear = |subject| {
        move |read| {
            progress(subject, read);
            Ok(())
        }
    };
    let (counts, tags, words) = (
        hear(Subject::Counts),
        hear(Subject::Tags),
        hear(Subject::Words),
    );
    let (version, missing) = db.snapshot_blocking(&|conn| compare_counts_as_of(conn, &counts))?;
    Ok(Report {
        version,
        missing,
        tags: db.snapshot_blocking(&|conn| compare_tags(conn, &tags))?,
        words: db.snapshot_blocking(&|conn| compare_words(conn, &words))?,
        unplanned: db.read_blocking(&find_unplanned)?,
        unindexed: db.read_blocking(&count_unindexed)?,
    })
}

/// What must be added to the kept counts, and their version. Call it in a snapshot, as the others.
fn compare_counts_as_of(
    conn: &mut Conn,
    progress: Progress<'_>,
) -> QueryResult<(i64, Vec<(Block, i64)>)> {
    let version = upkeep::load(conn)?.version;
    Ok((version, check::missing_counts(conn, progress)?))
}

/// What must be added to the kept counts; empty when they are right. Reads posts.
pub fn compare_counts(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<Vec<(Block, i64)>> {
    check::missing_counts(conn, progress)
}

/// What is wrong with the rows of tags. Reads those.
pub fn compare_tags(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<tags::Found> {
    tags::compare(conn, progress)
}

/// What is wrong with the search's index. Reads posts, and the whole index before.
pub fn compare_words(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<words::Found> {
    words::compare(conn, progress)
}

/// Scheduled posts that have no job.
pub fn find_unplanned(conn: &mut Conn) -> QueryResult<Vec<ScheduledPost>> {
    scheduled::load_lost(conn, None, i64::MAX)
}

/// How many posts are still to be indexed.
pub fn count_unindexed(conn: &mut Conn) -> QueryResult<i64> {
    check::count_unindexed(conn)
}

/// Mends what a check found, on a thread that may block; beside others that publish, who
/// are held up for a piece of it at most. `progress` hears how many posts were indexed.
/// Responses that are kept are for the caller to invalidate.
pub fn repair(db: &Db, report: &Report, progress: &dyn Fn(usize)) -> Result<(), DbError> {
    // If somebody else has mended them meanwhile, there is nothing left to add.
    add_in_pieces(db, report.version, &report.missing, false)?;
    let now = Clock::system().now();
    while move_posts::move_all(db, now, &mut |_| {})?.is_others_turn {
        std::thread::sleep(OTHERS_TURN);
    }
    fill_counts(db)?;
    for rows in report.tags.orphans.chunks(AT_ONCE) {
        db.write_blocking(&|conn| tags::delete_orphans(conn, rows))?;
    }
    for places in report.words.orphans.chunks(AT_ONCE) {
        db.write_blocking(&|conn| words::delete_orphans(conn, places))?;
    }
    for posts in [&report.tags.missing, &report.words.wrong] {
        for ids in posts.chunks(AT_ONCE) {
            db.write_blocking(&|conn| check::unindex(conn, ids))?;
        }
    }
    for posts in report.unplanned.chunks(AT_ONCE) {
        db.write_blocking(&|conn| publish_post::plan_all(conn, posts, now))?;
    }
    index_pending(db, usize::MAX, progress).map(drop)
}

/// Adds what was missing as of a version; false when somebody else has mended the counts meanwhile.
/// `is_whole`: months and tags are counted then.
fn add_in_pieces(
    db: &Db,
    mut version: i64,
    missing: &[(Block, i64)],
    is_whole: bool,
) -> Result<bool, DbError> {
    let mut pieces: Vec<&[(Block, i64)]> = missing.chunks(ADDED_AT_ONCE).collect();
    if pieces.is_empty() && is_whole {
        pieces.push(&[]);
    }
    let number = pieces.len();
    for (n, piece) in pieces.into_iter().enumerate() {
        let is_last = is_whole && n + 1 == number;
        let add = |conn: &mut Conn| upkeep::add(conn, version, piece, is_last);
        match db.write_blocking(&add)? {
            Some(next) => version = next,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Counts posts where that is due, beside others that publish, on a thread that may
/// block; gives whether it was. Several processes may do it side by side.
pub fn fill_counts(db: &Db) -> Result<bool, DbError> {
    loop {
        if !db.snapshot_blocking(&upkeep::is_due)? {
            return Ok(false);
        }
        let (version, missing) = db.snapshot_blocking(&|conn| {
            let version = upkeep::load(conn)?.version;
            Ok((version, check::missing_of_all(conn, &|_| Ok(()))?))
        })?;
        if add_in_pieces(db, version, &missing, true)? {
            return Ok(true);
        }
    }
}

/// [`fill_counts`] in a server: says that anything may have changed.
pub fn fill_and_announce(posts: &Posts) -> Result<bool, DbError> {
    let filled = fill_counts(&posts.db);
    // After a failure too: a part may have been added.
    if !matches!(filled, Ok(false)) {
        posts.bus.publish(&AnythingChanged {});
    }
    filled
}

/// Indexes all posts that are to be, or `most` and some more, on a thread that may block; gives how
/// many. `progress` hears how many were done, now and then. Responses that are kept are for the
/// caller to invalidate.
pub fn index_pending(db: &Db, most: usize, progress: &dyn Fn(usize)) -> Result<usize, DbError> {
    let (mut done, mut told) = (0, 0);
    while done < most {
        let mut pending = db.read_blocking(&check::load_pending)?;
        pending.prepare();
        match db.write_blocking(&|conn| check::index_some(conn, &pending))? {
            0 => return Ok(done),
            some => done += some,
        }
        if done >= told + INDEXED_BETWEEN {
            told = done;
            progress(done);
        }
    }
    Ok(done)
}

/// [`index_pending`] in a server: says now and then, and at the end, that anything may have
/// changed, so that no response is kept from before a post was found.
pub fn index_and_announce(
    posts: &Posts,
    most: usize,
    progress: &dyn Fn(usize),
) -> Result<usize, DbError> {
    let hear = |done: usize| {
        progress(done);
        posts.bus.publish(&AnythingChanged {});
    };
    let done = index_pending(&posts.db, most, &hear);
    // After a failure too: some may have been indexed.
    if !matches!(done, Ok(0)) {
        posts.bus.publish(&AnythingChanged {});
    }
    done
}
