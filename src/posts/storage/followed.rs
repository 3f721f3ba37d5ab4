//! The posts of those whom somebody follows, in the order of their positions.
//!
//! Who follows has no list that is kept. Of each author the next post is looked up; the posts of a part
//! of the list are among those of the authors whose next ones come first, so no more of any other is
//! read. It costs a look into the index for each author, and for each that is shown. Who follows very
//! many mostly finds enough among the next posts of all, so these are gone through first.

use std::cmp::Reverse;

use diesel::prelude::*;

use super::counts;
use crate::core::db::Conn;
use crate::core::db::dialect::{Followed, any_of, nth_published};
use crate::core::db::schema::{follow, post};
use crate::posts::list::List;

/// Authors whose next posts are looked up at once.
const SOME: usize = 1000;
/// Of more than so many there mostly are enough posts among the next ones of all.
const FEW: usize = 100;
/// So many of these are gone through.
const GONE_THROUGH: i64 = 1 << 13;
/// Posts of a list that pages reach: what they pass over is read, and `before` leads on.
pub const FOLLOWED_DEPTH: i64 = 1000;

/// The list of one who follows.
pub struct FollowedPosts<'a> {
    pub follower: i64,
    /// Whose posts are in no list.
    pub but: &'a [i64],
    pub is_ascending: bool,
}

/// Whether a user follows an author.
pub fn has(conn: &mut Conn, follower: i64, author: i64) -> QueryResult<bool> {
    let found: Option<i64> = follow::table
        .filter(follow::follower_id.eq(follower))
        .filter(follow::followed_id.eq(author))
        .select(follow::follow_id)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

impl FollowedPosts<'_> {
    /// Some whom the user follows behind one, in the order of their ids.
    fn load_authors(&self, conn: &mut Conn, after: i64) -> QueryResult<Vec<i64>> {
        let limit = i64::try_from(SOME).unwrap_or(i64::MAX);
        follow::table
            .filter(follow::follower_id.eq(self.follower))
            .filter(follow::followed_id.gt(after))
            .order((follow::follower_id, follow::followed_id))
            .limit(limit)
            .select(follow::followed_id)
            .load(conn)
    }

    /// How many posts there are, where the user follows fewer than a thousand.
    pub fn count(&self, conn: &mut Conn) -> QueryResult<Option<i64>> {
        let authors = self.load_authors(conn, 0)?;
        if authors.len() == SOME {
            return Ok(None);
        }
        let lists: Vec<List> = (authors.into_iter())
            .filter(|author| !self.but.contains(author))
            .map(List::Author)
            .collect();
        Ok(Some(counts::count_each(conn, &lists)?.iter().sum()))
    }

    /// The positions of posts behind one, after so many, and at most so many.
    pub fn load_positions(
        &self,
        conn: &mut Conn,
        after: Option<i64>,
        (skip, limit): (i64, i64),
    ) -> QueryResult<Vec<i64>> {
        if skip > FOLLOWED_DEPTH {
            return Ok(Vec::new());
        }
        let wanted = usize::try_from(skip + limit).unwrap_or(0);
        let authors = self.load_authors(conn, 0)?;
        let mut found = Vec::new();
        if authors.len() > FEW {
            found = self.load_among_all(conn, after, wanted)?;
        }
        if found.len() < wanted {
            found = self.load_of_each(conn, authors, after, wanted)?;
        }
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(found.into_iter().skip(skip).collect())
    }

    fn list(&self) -> Followed {
        Followed {
            follower: self.follower,
            is_ascending: self.is_ascending,
        }
    }

    /// Sorts positions in the order of the list.
    fn sort(&self, positions: &mut [i64]) {
        if self.is_ascending {
            positions.sort_unstable();
        } else {
            positions.sort_unstable_by_key(|position| Reverse(*position));
        }
    }

    /// The positions behind one, which are none of before.
    fn range_behind(&self, after: Option<i64>) -> (i64, i64) {
        match after {
            Some(after) if self.is_ascending => (after.saturating_add(1), i64::MAX),
            Some(after) => (0, after),
            None => (0, i64::MAX),
        }
    }

    /// The first positions of the list among the next ones of all.
    fn load_among_all(
        &self,
        conn: &mut Conn,
        after: Option<i64>,
        wanted: usize,
    ) -> QueryResult<Vec<i64>> {
        let (from, below) = self.range_behind(after);
        let end = nth_published(conn, (from, below), GONE_THROUGH, self.is_ascending)?;
        let range = match end {
            Some(end) if self.is_ascending => (from, end),
            Some(end) => (end + 1, below),
            None => (from, below),
        };
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        (self.list()).load_among_all(conn, self.but, range, limit)
    }

    /// The first positions of the list, by the next of each author; `authors`: the first of them.
    fn load_of_each(
        &self,
        conn: &mut Conn,
        authors: Vec<i64>,
        after: Option<i64>,
        wanted: usize,
    ) -> QueryResult<Vec<i64>> {
        let (from, below) = self.range_behind(after);
        let mut next: Vec<i64> = Vec::new();
        let mut some = authors;
        while let Some(last) = some.last().copied() {
            let is_all = some.len() < SOME;
            next.extend(self.list().load_next(conn, &some, (from, below))?);
            some = if is_all {
                Vec::new()
            } else {
                self.load_authors(conn, last)?
            };
        }
        self.sort(&mut next);
        next.dedup();
        // Of deleted authors there may be some more, which are passed over below.
        next.truncate(wanted + self.but.len());
        let owners: Vec<(i64, i64)> = post::table
            .filter(post::published.eq(true))
            .filter(any_of(post::place, &next))
            .select((post::place, post::author_id))
            .load(conn)?;
        let mut owners: Vec<(i64, i64)> = owners
            .into_iter()
            .filter(|(_, author)| !self.but.contains(author))
            .collect();
        owners.sort_unstable_by_key(|(position, _)| {
            if self.is_ascending {
                *position
            } else {
                -*position
            }
        });
        let mut found: Vec<i64> = Vec::new();
        for (position, author) in owners {
            // The last that is shown, when there are enough.
            let bound = found.get(wanted.saturating_sub(1)).copied();
            let is_behind = |bound: i64| {
                if self.is_ascending {
                    position > bound
                } else {
                    position < bound
                }
            };
            if bound.is_some_and(is_behind) {
                break;
            }
            let range = if self.is_ascending {
                (position, bound.unwrap_or(below))
            } else {
                (bound.unwrap_or(from), position + 1)
            };
            found.extend(load_of(conn, author, range, (wanted, self.is_ascending))?);
            self.sort(&mut found);
            found.truncate(wanted);
        }
        Ok(found)
    }
}

/// The first positions of an author's posts, from one position up to before another.
fn load_of(
    conn: &mut Conn,
    author: i64,
    (from, below): (i64, i64),
    (limit, is_ascending): (usize, bool),
) -> QueryResult<Vec<i64>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let posts = post::table
        .filter(post::author_id.eq(author))
        .filter(post::published.eq(true))
        .filter(post::place.ge(from))
        .filter(post::place.lt(below))
        .limit(limit)
        .select(post::place);
    if is_ascending {
        posts.order(post::place.asc()).load(conn)
    } else {
        posts.order(post::place.desc()).load(conn)
    }
}
