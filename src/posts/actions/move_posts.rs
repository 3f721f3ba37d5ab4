//! Moving posts to the places that their dates make, some at a time, beside all else; and what that leaves
//! behind.

use chrono::NaiveDateTime;

use crate::core::bus::Bus;
use crate::core::db::{Conn, Db, DbError};
use crate::posts::events::AnythingChanged;
use crate::posts::storage::moving::{self, Next};
use crate::posts::storage::{RACES, is_lost_race};

/// Posts that are moved from one line of progress to the next.
const BETWEEN: usize = 1_000;

/// What a pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub posts: usize,
    /// Whether somebody else is moving posts, and will move the others.
    pub is_others_turn: bool,
}

/// How many posts are to be moved, on a thread that may block.
pub fn count_unmoved(db: &Db) -> Result<i64, DbError> {
    db.read_blocking(&moving::count)
}

/// Moves all posts that are to be, each transaction a whole step: it may be broken off at any time, and
/// several processes may do it side by side, of whom one does it at a time. On a thread that may block. `hear` is called after
/// each step with the number of posts so far.
pub fn move_all(
    db: &Db,
    now: NaiveDateTime,
    hear: &mut dyn FnMut(usize),
) -> Result<Moved, DbError> {
    let mut moved = Moved {
        posts: 0,
        is_others_turn: false,
    };
    loop {
        let mut next = db.read_blocking(&moving::load_next)?;
        if !next.is_any {
            break;
        }
        next.prepare();
        match move_some(db, &next)? {
            Some(posts) => moved.posts += posts,
            None => {
                moved.is_others_turn = true;
                return Ok(moved);
            }
        }
        hear(moved.posts);
    }
    if moved.posts > 0 || !db.read_blocking(&moving::is_ended)? {
        db.write_blocking(&|conn| moving::end(conn, now))?;
    }
    Ok(moved)
}

fn move_some(db: &Db, next: &Next) -> Result<Option<usize>, DbError> {
    let mut race = 0;
    loop {
        match db.write_blocking(&|conn: &mut Conn| moving::move_some(conn, next, race)) {
            Err(error) if race < RACES && is_lost_race(&error) => race += 1,
            done => return done,
        }
    }
}

/// [`move_all`] in a server: says after each step that anything may have changed, so that no response is kept
/// that says where posts stood. `progress` hears how many were moved, now and then.
pub fn move_and_announce(
    db: &Db,
    bus: &Bus,
    now: NaiveDateTime,
    progress: &dyn Fn(usize),
) -> Result<Moved, DbError> {
    let mut told = 0;
    let moved = move_all(db, now, &mut |posts| {
        bus.publish(&AnythingChanged {});
        if posts >= told + BETWEEN {
            told = posts;
            progress(posts);
        }
    });
    // A step whose end is not known may have been made.
    if matches!(moved, Err(DbError::UnknownOutcome(_))) {
        bus.publish(&AnythingChanged {});
    }
    moved
}

/// Deletes the counts of a program of before, a day after all posts are moved, in pieces; gives whether there
/// were any. On a thread that may block.
pub fn delete_old_counts(db: &Db, now: NaiveDateTime) -> Result<bool, DbError> {
    if !db.read_blocking(&|conn| moving::are_counts_left(conn, now))? {
        return Ok(false);
    }
    let mut last = String::new();
    while let Some(next) = db.write_blocking(&|conn| moving::delete_counts(conn, &last))? {
        last = next;
    }
    Ok(true)
}
