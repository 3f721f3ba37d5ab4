//! Filling: posts that have no slug or no summary get them, some at a time, beside all else.

use std::cell::Cell;

use crate::core::bus::Bus;
use crate::core::db::{Db, DbError};
use crate::posts::events::AnythingChanged;
use crate::posts::storage::slugs::LastNumbers;
use crate::posts::storage::{self, filling};

/// Posts that are filled from one line of progress to the next, and before responses are made anew.
const BETWEEN: usize = 1_000;

/// What a pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    pub filled: usize,
    /// The last post that it saw, or where it began.
    pub last: i64,
}

/// How many posts are to be filled, on a thread that may block.
pub fn count_unfilled(db: &Db) -> Result<i64, DbError> {
    db.read_blocking(&filling::count)
}

/// Fills posts after an id, each transaction a whole step: it may be broken off at any time, and
/// several processes may do it side by side. On a thread that may block. `progress` hears how many were
/// filled, now and then.
pub fn fill_after(db: &Db, after: i64, progress: &dyn Fn(usize)) -> Result<Pass, DbError> {
    fill_from(db, after, progress, &Cell::new(false))
}

/// [`fill_after`]; `has_written` becomes true before the first write.
fn fill_from(
    db: &Db,
    after: i64,
    progress: &dyn Fn(usize),
    has_written: &Cell<bool>,
) -> Result<Pass, DbError> {
    let mut pass = Pass {
        filled: 0,
        last: after,
    };
    let (mut told, numbers) = (0, LastNumbers::default());
    loop {
        let last = pass.last;
        let found = db.read_blocking(&|conn| filling::load_some(conn, last))?;
        if !found.ids.is_empty() {
            has_written.set(true);
            pass.filled += fill(db, &found.ids, &numbers)?;
        }
        let Some(next) = found.next else {
            return Ok(pass);
        };
        pass.last = next;
        if pass.filled >= told + BETWEEN {
            told = pass.filled;
            progress(pass.filled);
        }
    }
}

fn fill(db: &Db, ids: &[i64], last: &LastNumbers) -> Result<usize, DbError> {
    let fillings = db.read_blocking(&|conn| filling::load_fillings(conn, ids))?;
    let mut race = 0;
    loop {
        match db.write_blocking(&|conn| filling::fill(conn, &fillings, (race, last))) {
            Err(error) if race < storage::RACES && storage::is_lost_race(&error) => race += 1,
            done => return done,
        }
    }
}

/// [`fill_after`] in a server: says now and then, and at the end, that anything may have changed, so
/// that no response is kept from before.
pub fn fill_and_announce(
    db: &Db,
    bus: &Bus,
    after: i64,
    progress: &dyn Fn(usize),
) -> Result<Pass, DbError> {
    let hear = |filled: usize| {
        progress(filled);
        bus.publish(&AnythingChanged {});
    };
    let has_written = Cell::new(false);
    let done = fill_from(db, after, &hear, &has_written);
    // After a failure too: some may have been filled. Not where nothing was tried: what is kept is all
    // that there is while the database is away.
    let may_have_changed = match &done {
        Ok(pass) => pass.filled > 0,
        Err(_) => has_written.get(),
    };
    if may_have_changed {
        bus.publish(&AnythingChanged {});
    }
    done
}
