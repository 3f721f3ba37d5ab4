//! The posts that a filter takes, in its order: how they are found, and counted where no count of
//! them is kept.

use std::collections::HashMap;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use super::counts::{self, Start};
use super::followed::FollowedPosts;
use super::lists::load_deleted_authors;
use super::places::DATED;
use super::posts::summary_columns;
use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::dialect::{Dated, Phrase, SearchQuery, Tagged, Way, any_of, in_time};
use crate::core::db::schema::{post, user};
use crate::core::page::DEPTH;
use crate::posts::list::{Cursor, Dates, Filter, List, Sort};
use crate::posts::search::Query;
use crate::posts::stored::PostSummary;

/// Posts between dates that are gone through for those with a tag, rather than all with the tag for
/// those between the dates.
const FEW: i64 = 5000;

/// A filter, and how its posts are found.
pub struct Selection<'a> {
    filter: &'a Filter,
    /// Authors whose posts are in no list.
    deleted: &'a [i64],
    /// Where it matters, that with the fewest posts first.
    tags: Vec<&'a str>,
    /// Published posts with the first tag, where there are several or dates.
    with_first_tag: i64,
    way: Way,
    /// Posts that are gone through at most for those that have all that is asked for.
    depth: i64,
}

/// Posts of a list from a start on.
pub struct Loaded {
    pub posts: Vec<PostSummary>,
    /// Where the search for them ended, if that was before the end of the list and there are fewer than were asked for.
    pub stopped: Option<Cursor>,
}

/// Posts that are gone through at first for those with all tags: most of them mostly have the others.
const STEPS: [i64; 3] = [1 << 10, 1 << 13, 1 << 16];

/// Ids that no post has: below, and above in the form of a cursor.
const IDS: (i64, i64) = (1, 999_999_999_999_999_999);

impl<'a> Selection<'a> {
    pub fn of(conn: &mut Conn, filter: &'a Filter, deleted: &'a [i64]) -> QueryResult<Self> {
        Self::within(conn, filter, deleted, DEPTH)
    }

    /// The same with another bound of what is gone through.
    pub fn within(
        conn: &mut Conn,
        filter: &'a Filter,
        deleted: &'a [i64],
        depth: i64,
    ) -> QueryResult<Self> {
        let mut selection = Self {
            filter,
            deleted,
            tags: filter.tags.iter().map(|tag| tag.0.as_str()).collect(),
            with_first_tag: 0,
            way: Way::Date,
            depth,
        };
        let is_by_date = filter.is_by_date();
        let is_of_some = is_by_date || filter.followed_by.is_some();
        if filter.words.is_some() || selection.tags.len() < if is_of_some { 1 } else { 2 } {
            return Ok(selection);
        }
        let lists: Vec<List> = (filter.tags.iter())
            .map(|tag| List::Tag(tag.0.clone()))
            .collect();
        let posts = counts::count_each(conn, &lists)?;
        let mut tags: Vec<(i64, &str)> = posts.into_iter().zip(selection.tags).collect();
        tags.sort_unstable();
        selection.with_first_tag = tags.first().map_or(0, |(posts, _)| *posts);
        selection.tags = tags.into_iter().map(|(_, tag)| tag).collect();
        if is_by_date
            && selection.with_first_tag <= depth
            && selection.between().count(conn, FEW)?.is_none()
        {
            selection.way = Way::Tag;
        }
        Ok(selection)
    }

    fn is_ascending(&self) -> bool {
        match self.filter.sort {
            Sort::Newest | Sort::Relevance => false,
            Sort::Oldest => true,
        }
    }

    fn tagged<'t>(&'t self, tags: &'t [&'t str]) -> Tagged<'t> {
        Tagged {
            published: self.filter.published(),
            author: self.filter.only_author(),
            but_authors: self.deleted,
            follower: self.filter.followed_by,
            tags,
            is_ascending: self.is_ascending(),
        }
    }

    fn dated<'t>(&'t self, tags: &'t [&'t str]) -> Dated<'t> {
        Dated {
            author: self.filter.author,
            but_authors: self.deleted,
            follower: self.filter.followed_by,
            tags,
            between: bounds(self.filter.dates),
            is_ascending: self.is_ascending(),
            way: self.way,
        }
    }

    /// What is gone through along the index of dates.
    fn between(&self) -> Dated<'_> {
        Dated {
            follower: None,
            ..self.dated(&[])
        }
    }

    /// The posts of those whom the reader follows, where that is all that is asked for.
    fn followed(&self) -> Option<FollowedPosts<'_>> {
        let is_all = self.filter.words.is_none() && !self.filter.is_by_date();
        let follower = self
            .filter
            .followed_by
            .filter(|_| is_all && self.tags.is_empty())?;
        Some(FollowedPosts {
            follower,
            but: self.deleted,
            is_ascending: self.is_ascending(),
        })
    }

    /// The posts that a query finds, each with its weights, of those behind a position, after so many, and at most
    /// so many; newest first. By one statement.
    pub fn search(
        &self,
        conn: &mut Conn,
        query: &Query,
        part: (Option<i64>, i64, i64),
    ) -> QueryResult<Vec<(PostSummary, Vec<u8>)>> {
        let terms = SearchTerms::of(query, self.filter);
        let columns = (summary_columns!(), post::weights);
        self.search_query(&terms).load(conn, part, false, columns)
    }

    /// The ids and positions alone.
    pub fn search_places(
        &self,
        conn: &mut Conn,
        query: &Query,
        part: (Option<i64>, i64, i64),
    ) -> QueryResult<Vec<(i64, i64)>> {
        let terms = SearchTerms::of(query, self.filter);
        let columns = (post::post_id, post::place);
        self.search_query(&terms).load(conn, part, false, columns)
    }

    /// Those of these posts that are published still, at the same position, in their order, each with its weights: what was found by
    /// another statement, outside of a snapshot, may have been withdrawn, moved or deleted since.
    pub fn load_found(
        &self,
        conn: &mut Conn,
        found: &[(i64, i64)],
    ) -> QueryResult<Vec<(PostSummary, Vec<u8>)>> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = found.iter().map(|(post_id, _)| *post_id).collect();
        let places: HashMap<i64, i64> = found.iter().copied().collect();
        let mut found: Vec<(PostSummary, Vec<u8>)> = post::table
            .left_join(user::table)
            .filter(any_of(post::post_id, &ids))
            .filter(post::published.eq(self.filter.published()))
            .filter(user::role.ne(DELETED))
            .select((summary_columns!(), post::weights))
            .load(conn)?;
        found.retain(|(post, _)| places.get(&post.post_id) == Some(&post.position));
        sort_by_ids(&mut found, &ids, |(post, _)| post.post_id);
        Ok(found)
    }

    fn search_query<'t>(&'t self, terms: &'t SearchTerms) -> SearchQuery<'t> {
        let dates = self.filter.dates;
        SearchQuery {
            fts5: &terms.fts5,
            mysql: &terms.mysql,
            pieces: &terms.pieces,
            published: self.filter.published(),
            author: self.filter.only_author(),
            but_role: DELETED,
            follower: self.filter.followed_by,
            tags: &self.tags,
            between: (!dates.are_all()).then(|| bounds(dates)),
            is_ascending: self.is_ascending(),
        }
    }

    /// How many posts there are, of a filter whose posts are not counted: the matches themselves
    /// are, along their index. `None` when they are more than [`DEPTH`], or so many that it takes
    /// too long to tell.
    pub fn count(&self, conn: &mut Conn) -> QueryResult<Option<i64>> {
        if let Some(query) = &self.filter.words {
            let terms = SearchTerms::of(query, self.filter);
            let deleted = load_deleted_authors(conn)?;
            return self.search_query(&terms).count(conn, &deleted, DEPTH);
        }
        if let Some(followed) = self.followed() {
            return followed.count(conn);
        }
        // What is gone through for them is no more than is counted either.
        let is_all_gone_through = self.filter.followed_by.is_none();
        let are_few = match (self.filter.is_by_date(), self.tags.as_slice()) {
            (_, []) | (false, [_]) if is_all_gone_through => true,
            (true, _) if self.way == Way::Date => self.between().count(conn, self.depth)?.is_some(),
            (true, _) => true,
            (false, [first, ..]) if self.filter.only_author().is_some() => {
                self.tagged(&[first]).count(conn, self.depth)?.is_some()
            }
            (false, _) => self.with_first_tag <= self.depth,
        };
        if !are_few {
            return Ok(None);
        }
        if self.filter.is_by_date() {
            self.dated(&self.tags).count(conn, self.depth)
        } else {
            self.tagged(&self.tags).count(conn, self.depth)
        }
    }

    /// Whether there may be more posts to go through than [`depth`](Self::depth).
    fn is_bounded(&self) -> bool {
        let is_of_followed = self.filter.followed_by.is_some();
        let has_many = self.with_first_tag > self.depth;
        if self.filter.is_by_date() {
            let is_of_some = is_of_followed || !self.tags.is_empty();
            return self.way == Way::Date && is_of_some && (is_of_followed || has_many);
        }
        has_many && (is_of_followed || self.tags.len() > 1)
    }

    /// What is gone through for those with all tags.
    fn with_first(&self) -> Tagged<'_> {
        Tagged {
            follower: None,
            ..self.tagged(self.tags.get(..1).unwrap_or_default())
        }
    }

    /// The dates of the posts with the tags, in any order: of all, or of the newest so many with the first of them,
    /// with the date at which those end.
    pub fn load_dates(
        &self,
        conn: &mut Conn,
    ) -> QueryResult<(Vec<NaiveDateTime>, Option<NaiveDateTime>)> {
        let end = self
            .with_first()
            .find_nth(conn, (0, i64::MAX), self.depth)?;
        let from = end.map_or(0, |end| end + 1);
        let dates = self.tagged(&self.tags).load_dates(conn, from)?;
        let Some(end) = end else {
            return Ok((dates, None));
        };
        let last = post::table
            .filter(post::published.eq(true))
            .filter(post::place.eq(end))
            .select(post::date)
            .first(conn)?;
        Ok((dates, Some(last)))
    }

    /// Ids of posts with all tags, behind a position; and where the search ended, if it went no further.
    fn load_tagged(
        &self,
        conn: &mut Conn,
        after: Option<i64>,
        (skip, limit): (i64, i64),
    ) -> QueryResult<(Vec<i64>, Option<Cursor>)> {
        let (tagged, is_ascending) = (self.tagged(&self.tags), self.is_ascending());
        let load = |conn: &mut Conn, range| tagged.load_ids(conn, range, (skip, limit));
        if !self.is_bounded() {
            let ids = in_windows(after, limit, is_ascending, |range| load(conn, range))?;
            return Ok((ids, None));
        }
        let passed = self.with_first();
        let first = match after {
            Some(after) => Some(after),
            None => (passed.find_nth(conn, (0, i64::MAX), 0)?)
                .map(|place| if is_ascending { place - 1 } else { place + 1 }),
        };
        let Some(first) = first else {
            return Ok((Vec::new(), None));
        };
        let is_enough = |ids: &[i64]| i64::try_from(ids.len()).is_ok_and(|found| found >= limit);
        let all = window(first, i64::MAX, is_ascending);
        let steps = STEPS.into_iter().filter(|rows| *rows < self.depth);
        for rows in steps.chain([self.depth]) {
            let Some(end) = passed.find_nth(conn, all, rows)? else {
                return Ok((load(conn, all)?, None));
            };
            let (range, stopped) = if is_ascending {
                ((first + 1, end), end - 1)
            } else {
                ((end + 1, first), end + 1)
            };
            let ids = load(conn, range)?;
            if is_enough(&ids) {
                return Ok((ids, None));
            }
            if rows == self.depth {
                return Ok((ids, Some(Cursor::Position(stopped))));
            }
        }
        Ok((Vec::new(), None))
    }

    /// The same in the order of dates.
    fn load_dated(
        &self,
        conn: &mut Conn,
        after: Option<(NaiveDateTime, i64)>,
        (skip, limit): (i64, i64),
    ) -> QueryResult<(Vec<i64>, Option<Cursor>)> {
        let mut dated = self.dated(&self.tags);
        let mut stopped = None;
        if self.is_bounded() {
            let from = after.map(|(date, _)| date);
            if let Some(date) = self.between().find_nth(conn, from, self.depth)? {
                // With all that are of this very time.
                let (since, until) = dated.between;
                let post_id = if dated.is_ascending {
                    dated.between = (since, until.min(date + TimeDelta::microseconds(1)));
                    IDS.1
                } else {
                    dated.between = (since.max(date), until);
                    IDS.0
                };
                stopped = Some(Cursor::Dated { date, post_id });
            }
        }
        let ids = dated.load_ids(conn, after, (skip, limit))?;
        let is_enough = i64::try_from(ids.len()).is_ok_and(|found| found >= limit);
        Ok((ids, stopped.filter(|_| !is_enough)))
    }

    /// Some posts from a start on. `are_many`: whether it is known that they took too long to
    /// count.
    pub fn load(
        &self,
        conn: &mut Conn,
        start: Start,
        limit: i64,
        are_many: bool,
    ) -> QueryResult<Loaded> {
        let after = match start.after {
            Some(Cursor::Position(position)) => Some(position),
            _ => None,
        };
        let all = |posts| Loaded {
            posts,
            stopped: None,
        };
        let (ids, stopped) = if let Some(query) = &self.filter.words {
            let terms = SearchTerms::of(query, self.filter);
            let part = (after, start.skip, limit);
            let query = self.search_query(&terms);
            let posts = query.load(conn, part, are_many, summary_columns!())?;
            return Ok(all(posts));
        } else if self.filter.is_by_date() {
            let after = match start.after {
                Some(Cursor::Dated { date, post_id }) => Some((date, post_id)),
                _ => None,
            };
            self.load_dated(conn, after, (start.skip, limit))?
        } else if !self.tags.is_empty() {
            self.load_tagged(conn, after, (start.skip, limit))?
        } else if let Some(followed) = self.followed() {
            let positions = followed.load_positions(conn, after, (start.skip, limit))?;
            return load_at(conn, &positions).map(all);
        } else {
            return self.load_between(conn, after, start.skip, limit).map(all);
        };
        let posts = load_summaries(conn, &ids)?;
        Ok(Loaded { posts, stopped })
    }

    /// Published posts or drafts, of all or of an author: their positions first, which the index
    /// alone tells.
    fn load_between(
        &self,
        conn: &mut Conn,
        after: Option<i64>,
        skip: i64,
        limit: i64,
    ) -> QueryResult<Vec<PostSummary>> {
        let (filter, is_ascending) = (self.filter, self.is_ascending());
        let positions = in_windows(after, limit, is_ascending, |(from, below)| {
            let mut positions = post::table
                .filter(post::published.eq(filter.published()))
                .filter(post::place.ge(from))
                .filter(post::place.lt(below))
                .filter(in_time(post::post_id))
                .into_boxed();
            if let Some(author) = filter.only_author() {
                positions = positions.filter(post::author_id.eq(author));
            }
            if !self.deleted.is_empty() {
                positions = positions.filter(post::author_id.ne_all(self.deleted));
            }
            positions = if is_ascending {
                positions.order(post::place.asc())
            } else {
                positions.order(post::place.desc())
            };
            positions
                .offset(skip)
                .limit(limit)
                .select(post::place)
                .load::<i64>(conn)
        })?;
        let (Some(least), Some(greatest)) = (positions.iter().min(), positions.iter().max()) else {
            return Ok(Vec::new());
        };
        let mut shown = post::table
            .left_join(user::table)
            .filter(post::published.eq(filter.published()))
            .filter(post::place.between(least, greatest))
            .into_boxed();
        if let Some(author) = filter.only_author() {
            shown = shown.filter(post::author_id.eq(author));
        }
        if !self.deleted.is_empty() {
            shown = shown.filter(post::author_id.ne_all(self.deleted));
        }
        shown = if is_ascending {
            shown.order(post::place.asc())
        } else {
            shown.order(post::place.desc())
        };
        shown.select(summary_columns!()).load(conn)
    }
}

/// The published posts at these positions, in their order.
fn load_at(conn: &mut Conn, positions: &[i64]) -> QueryResult<Vec<PostSummary>> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let mut shown: Vec<PostSummary> = post::table
        .left_join(user::table)
        .filter(post::published.eq(true))
        .filter(any_of(post::place, positions))
        .select(summary_columns!())
        .load(conn)?;
    let order: HashMap<i64, usize> = positions.iter().copied().zip(0..).collect();
    shown.sort_unstable_by_key(|post| order.get(&post.position).copied());
    Ok(shown)
}

/// Times that both databases take, and that no post lies outside of.
fn bounds(dates: Dates) -> (NaiveDateTime, NaiveDateTime) {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    let least = day(1000, 1, 1).and_time(chrono::NaiveTime::MIN);
    let greatest = day(9999, 12, 31).and_time(chrono::NaiveTime::MIN);
    let within = |time: NaiveDateTime| time.clamp(least, greatest);
    (
        dates.since.map_or(least, within),
        dates.until.map_or(greatest, within),
    )
}

/// The query in both languages.
struct SearchTerms {
    fts5: String,
    mysql: String,
    pieces: Vec<Phrase>,
}

impl SearchTerms {
    fn of(query: &Query, filter: &Filter) -> Self {
        let scope = filter.scope();
        let pieces = query.pieces(scope);
        Self {
            fts5: query.to_fts5(scope),
            mysql: query.to_mysql(scope),
            pieces: pieces
                .map(|(tokens, prefix)| Phrase { tokens, prefix })
                .collect(),
        }
    }
}

/// Places that are looked through at once, when one knows where to begin: some more than an hour, a day, three weeks and
/// a year. The first has room for what the smallest block of counts has.
const WINDOWS: [i64; 5] = [1 << 32, 1 << 37, 1 << 41, 1 << 45, i64::MAX];
/// The same among places of before, which are numbers of rows.
const WINDOWS_OF_BEFORE: [i64; 5] = [1 << 10, 1 << 13, 1 << 16, 1 << 20, i64::MAX];

/// The widths of windows behind a position.
pub fn windows(after: i64) -> [i64; 5] {
    if after < DATED {
        WINDOWS_OF_BEFORE
    } else {
        WINDOWS
    }
}

/// Rows of a list behind a position, at most `limit`. `rows` reads those from one position up to
/// before another.
///
/// With an open end the optimizer of MariaDB would follow the index from the very end, or
/// read and sort half of a large table, rather than begin in its middle; between two positions
/// that are near each other there is no question. So it is looked through in windows, wider
/// ones where a list is sparse.
pub(super) fn in_windows<T>(
    after: Option<i64>,
    limit: i64,
    is_ascending: bool,
    mut rows: impl FnMut((i64, i64)) -> QueryResult<Vec<T>>,
) -> QueryResult<Vec<T>> {
    let Some(after) = after else {
        // From its end on, where the index begins, there is nothing to look for.
        return rows((0, i64::MAX));
    };
    let mut found = Vec::new();
    for width in windows(after) {
        let (from, below) = window(after, width, is_ascending);
        found = rows((from, below))?;
        let is_all = if is_ascending {
            below == i64::MAX
        } else {
            from == 0
        };
        if is_all || i64::try_from(found.len()).is_ok_and(|some| some >= limit) {
            break;
        }
    }
    Ok(found)
}

/// The positions of a window behind one.
fn window(after: i64, width: i64, is_ascending: bool) -> (i64, i64) {
    if is_ascending {
        let from = after.saturating_add(1);
        (from, from.saturating_add(width))
    } else {
        (after.saturating_sub(width).max(0), after)
    }
}

/// The posts with these ids, in their order.
fn load_summaries(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<PostSummary>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut summaries: Vec<PostSummary> = post::table
        .left_join(user::table)
        .filter(any_of(post::post_id, ids))
        .select(summary_columns!())
        .load(conn)?;
    sort_by_ids(&mut summaries, ids, |post| post.post_id);
    Ok(summaries)
}

/// Puts rows into the order of these ids.
fn sort_by_ids<T>(rows: &mut [T], ids: &[i64], id: impl Fn(&T) -> i64) {
    let places: HashMap<i64, usize> = ids.iter().copied().zip(0..).collect();
    rows.sort_unstable_by_key(|row| places.get(&id(row)).copied());
}
