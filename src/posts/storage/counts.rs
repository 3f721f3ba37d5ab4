//! Kept counts: how many posts each list has, and where its n-th post is, without counting.
//!
//! For every list the table `post_count` keeps how many of its posts are of each month, of each day by UTC,
//! and of each 64th of a day, as their places say, which are made of dates ([`places`]). The n-th post
//! is found by adding up months, then the days of one month, then the parts of one day, and skipping
//! rows of an index; the cost does not grow with the number of the page and hardly with the table.
//!
//! A change of counts is an addition, made in the transaction of its cause, so the
//! order of additions does not matter. Each block's number is spread over slots that
//! are chosen by connection (`dialect::Batch::add_counts`): publishers do not queue
//! behind one row.
//!
//! Two kinds of posts are not counted of days. Those whose places are of before ([`places::DATED`]) are counted of
//! their months alone, drafts of none; a list that has any is skipped through along its index. And a program of
//! before that changes a post beside this one counts its month only: where months and days do not agree, rows
//! of the index are skipped as well.
//!
//! How many posts a tag has is kept in the same way ([`TAGS`]), by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use diesel::prelude::*;

use super::places::{self, DATED, DAY, PART};
use crate::core::db::Conn;
use crate::core::db::dialect::{Batch, in_time, load_kept_counts};
use crate::core::db::schema::{count_upkeep, post, post_count, post_tag};
use crate::posts::list::{Cursor, List};

/// Rows of an index that are skipped rather than looked for by counts.
const FEW: i64 = 256;

/// The levels of a program of before, which are neither read nor written: blocks of 256 and of 16,384 places
/// that were ids.
pub const OF_BEFORE: [i32; 2] = [0, 1];
/// The level of months: a block is a month by UTC, counted from the year 0.
pub const MONTHS: i32 = 2;
/// The level of the numbers of tags: one block, in a list whose key is [`tag_key`].
pub const TAGS: i32 = 3;
/// The level of days: a block is a day by UTC, counted from the year 1.
pub const DAYS: i32 = 4;
/// The level of 64ths of days, counted as these.
pub const PARTS: i32 = 5;

/// The name of the row that says whether months and tags are counted.
pub const UPKEEP: &str = "posts";

/// The key under which the number of a tag is kept. Keys of this kind stand side by side, in the
/// order of the tags. Kept for ever: the rows are found by it.
pub fn tag_key(tag: &str) -> String {
    format!("n{tag}")
}

/// The month of a date, as a block.
pub fn month_of(date: NaiveDateTime) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

/// List, level and block.
pub type Block = (String, i32, i64);

/// Additions to counts, gathered before they are written. In the order of the rows,
/// so that two transactions that change the same lists do not lock them crosswise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions(BTreeMap<Block, i64>);

impl Additions {
    /// Counts `by` more posts with this position and date in the list.
    pub fn add(&mut self, list: &List, position: i64, date: NaiveDateTime, by: i64) {
        let key = list.key();
        let is_draft = matches!(list, List::Drafts(_));
        let mut add = |key: &str, level, block| {
            *self.0.entry((key.to_owned(), level, block)).or_default() += by;
        };
        if let List::Tag(tag) = list {
            add(&tag_key(tag), TAGS, 0);
        }
        if !is_draft {
            add(&key, MONTHS, month_of(date));
        }
        if position < DATED {
            return;
        }
        add(&key, DAYS, position.div_euclid(DAY));
        if is_draft {
            // Nobody has so many of a day.
            add(&key, MONTHS, month_of(places::date_of(position)));
        } else {
            add(&key, PARTS, position.div_euclid(PART));
        }
    }

    /// Takes another's additions away.
    pub fn subtract(&mut self, block: Block, posts: i64) {
        *self.0.entry(block).or_default() -= posts;
    }

    /// Those that change something.
    pub fn rows(&self) -> impl Iterator<Item = (&Block, i64)> {
        self.0
            .iter()
            .filter(|(_, by)| **by != 0)
            .map(|(block, by)| (block, *by))
    }

    /// Writes them.
    pub fn write(&self, batch: &mut Batch) {
        batch.add_counts(self.rows());
    }
}

/// Where a page of a list begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Its first post is behind this, or is the list's …
    pub after: Option<Cursor>,
    /// … and this many rows further.
    pub skip: i64,
}

/// How many posts the list has, and where its post number `offset` (from 0, the newest
/// first or, `is_ascending`, the oldest) is; `None` past the end. Exact in a snapshot. Posts of the authors `but` count as
/// not there: of a list of all what is kept of theirs is subtracted, other lists that are
/// counted here have none of them.
pub fn find_start(
    conn: &mut Conn,
    list: &List,
    but: &[i64],
    offset: i64,
    is_ascending: bool,
) -> QueryResult<(i64, Option<Start>)> {
    let but = if *list == List::All { but } else { &[] };
    let along_the_index = Start {
        after: None,
        skip: offset,
    };
    let is_draft = matches!(list, List::Drafts(_));
    let blocks = Blocks {
        list,
        but,
        is_ascending,
    };
    let (months, are_filled) = blocks.load_months(conn)?;
    if !is_draft && !are_filled {
        let mut count = count_rows(conn, list, i64::MAX)?;
        for author in but {
            count -= count_rows(conn, &List::Author(*author), i64::MAX)?;
        }
        return Ok((count, (offset < count).then_some(along_the_index)));
    }
    let mut count = sum(&months);
    if is_draft {
        count += count_rows(conn, list, DATED)?;
    }
    let start = blocks.find_start(conn, (&months, count), offset)?;
    Ok((count, start.map(|by_counts| by_counts.start)))
}

/// Where a page begins as counts have it outside of a snapshot.
#[derive(Clone, Debug)]
pub struct StartByCounts {
    pub start: Start,
    /// Blocks that are all in front of what the start is behind, each of a level from one up to before another: the start is right
    /// while they have [`before`](Self::before) posts together.
    pub blocks: Vec<(i32, (i64, i64))>,
    pub before: i64,
}

impl From<Start> for StartByCounts {
    /// One that is right whatever is counted.
    fn from(start: Start) -> Self {
        Self {
            start,
            blocks: Vec::new(),
            before: 0,
        }
    }
}

/// The same of a list that has no drafts, with the posts of all authors, outside of a snapshot. `None` past the end, and while not all
/// posts are counted.
pub fn find_start_by_counts(
    conn: &mut Conn,
    list: &List,
    offset: i64,
    is_ascending: bool,
) -> QueryResult<Option<StartByCounts>> {
    if offset < FEW {
        let start = Start {
            after: None,
            skip: offset,
        };
        return Ok(Some(start.into()));
    }
    let blocks = Blocks {
        list,
        but: &[],
        is_ascending,
    };
    let (months, are_filled) = blocks.load_months(conn)?;
    if !are_filled {
        return Ok(None);
    }
    let count = sum(&months);
    blocks.find_start(conn, (&months, count), offset)
}

/// The blocks of a list.
struct Blocks<'a> {
    list: &'a List,
    /// Authors whose posts do not count.
    but: &'a [i64],
    is_ascending: bool,
}

impl Blocks<'_> {
    /// Where post number `offset` is, of so many in these months and drafts of before; `None` past the end.
    fn find_start(
        &self,
        conn: &mut Conn,
        (months, count): (&[(i64, i64)], i64),
        offset: i64,
    ) -> QueryResult<Option<StartByCounts>> {
        if offset >= count {
            return Ok(None);
        }
        if offset < FEW || has_any_below(conn, self.list, DATED)? {
            let along_the_index = Start {
                after: None,
                skip: offset,
            };
            return Ok(Some(along_the_index.into()));
        }
        self.find_start_in(conn, months, offset)
    }

    /// The same, where all are in these months.
    fn find_start_in(
        &self,
        conn: &mut Conn,
        months: &[(i64, i64)],
        offset: i64,
    ) -> QueryResult<Option<StartByCounts>> {
        let Some(month) = descend(months, offset) else {
            return Ok(None);
        };
        let range = places_of_month(month.block);
        let mut start = self.start_of(range, month.offset);
        let mut before = vec![(MONTHS, self.before_block(month.block, (i64::MIN, i64::MAX)))];
        let mut whole = month;
        let days = (range.0.div_euclid(DAY), range.1.div_euclid(DAY));
        for (level, width, blocks) in [(DAYS, DAY, Some(days)), (PARTS, PART, None)] {
            let is_last = level == PARTS && matches!(self.list, List::Drafts(_));
            if whole.offset < FEW || is_last {
                break;
            }
            let parts = DAY / PART;
            let blocks = blocks.unwrap_or((whole.block * parts, (whole.block + 1) * parts));
            let rows = self.load(conn, level, blocks)?;
            // A program of before has counted the month alone.
            if sum(&rows) != whole.posts {
                break;
            }
            let Some(block) = descend(&rows, whole.offset) else {
                break;
            };
            let range = (block.block * width, (block.block + 1) * width);
            start = self.start_of(range, block.offset);
            before.push((level, self.before_block(block.block, blocks)));
            whole = block;
        }
        Ok(Some(StartByCounts {
            start,
            blocks: before,
            before: offset - start.skip,
        }))
    }

    /// The blocks in front of one, of those from one up to before another.
    fn before_block(&self, block: i64, (first, end): (i64, i64)) -> (i64, i64) {
        if self.is_ascending {
            (first, block)
        } else {
            (block + 1, end)
        }
    }

    /// The start that is so many posts behind the edge of these places.
    fn start_of(&self, (first, end): (i64, i64), skip: i64) -> Start {
        let edge = if self.is_ascending { first - 1 } else { end };
        Start {
            after: Some(Cursor::Position(edge)),
            skip,
        }
    }

    /// All months as [`load`](Self::load) gives blocks, and whether published posts are counted of them.
    fn load_months(&self, conn: &mut Conn) -> QueryResult<(Vec<(i64, i64)>, bool)> {
        let key = self.list.key();
        let (months, are_filled) = load_kept_counts(conn, (&key, MONTHS), UPKEEP)?;
        let months = self.with_others(conn, months, MONTHS, (i64::MIN, i64::MAX))?;
        Ok((months, are_filled))
    }

    /// Blocks of one level, from one up to before another, in the order of the list, a row
    /// for each slot; and those of the authors `but` with a minus.
    fn load(&self, conn: &mut Conn, level: i32, range: (i64, i64)) -> QueryResult<Vec<(i64, i64)>> {
        let blocks = load_blocks(conn, self.list, level, range)?;
        self.with_others(conn, blocks, level, range)
    }

    fn with_others(
        &self,
        conn: &mut Conn,
        mut blocks: Vec<(i64, i64)>,
        level: i32,
        range: (i64, i64),
    ) -> QueryResult<Vec<(i64, i64)>> {
        for author in self.but {
            let theirs = load_blocks(conn, &List::Author(*author), level, range)?;
            blocks.extend(theirs.into_iter().map(|(block, posts)| (block, -posts)));
        }
        blocks.sort_unstable_by_key(|(block, _)| *block);
        if !self.is_ascending {
            blocks.reverse();
        }
        Ok(blocks)
    }
}

/// Blocks of a list of one level, from one up to before another, in any order.
fn load_blocks(
    conn: &mut Conn,
    list: &List,
    level: i32,
    (first, end): (i64, i64),
) -> QueryResult<Vec<(i64, i64)>> {
    post_count::table
        .filter(post_count::list.eq(list.key()))
        .filter(post_count::level.eq(level))
        .filter(post_count::block.ge(first))
        .filter(post_count::block.lt(end))
        .select((post_count::block, post_count::posts))
        .load(conn)
}

fn sum(rows: &[(i64, i64)]) -> i64 {
    rows.iter().map(|(_, posts)| posts).sum()
}

/// The places of a month, and the first behind them.
fn places_of_month(month: i64) -> (i64, i64) {
    let first = |month: i64| {
        let year = i32::try_from(month.div_euclid(12)).unwrap_or(i32::MAX);
        let number = u32::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
        let day = NaiveDate::from_ymd_opt(year, number, 1).unwrap_or(NaiveDate::MAX);
        places::of_date(day.and_time(NaiveTime::MIN))
    };
    (first(month), first(month + 1))
}

/// Whether months and tags are counted of all posts.
pub fn are_filled(conn: &mut Conn) -> QueryResult<bool> {
    count_upkeep::table
        .find(UPKEEP)
        .select(count_upkeep::filled)
        .first(conn)
}

/// How many posts of a list have places below one, by the rows of an index.
pub fn count_rows(conn: &mut Conn, list: &List, below: i64) -> QueryResult<i64> {
    let rows = post::table
        .filter(post::place.lt(below))
        .filter(in_time(post::post_id));
    let of = |author: i64, published: bool| {
        (rows.filter(post::author_id.eq(author))).filter(post::published.eq(published))
    };
    match list {
        List::All => rows
            .filter(post::published.eq(true))
            .count()
            .get_result(conn),
        List::Author(author) => of(*author, true).count().get_result(conn),
        List::Drafts(author) => of(*author, false).count().get_result(conn),
        List::Tag(tag) => post_tag::table
            .filter(post_tag::tag.eq(tag))
            .filter(post_tag::published.eq(true))
            .filter(post_tag::place.lt(below))
            .filter(in_time(post_tag::post_id))
            .count()
            .get_result(conn),
    }
}

/// Whether a list has posts with places below one.
fn has_any_below(conn: &mut Conn, list: &List, below: i64) -> QueryResult<bool> {
    let rows = (post::table.filter(post::place.lt(below)))
        .order(post::place)
        .select(post::place);
    let of = |author: i64, published: bool| {
        (rows.filter(post::author_id.eq(author))).filter(post::published.eq(published))
    };
    let first: Option<i64> = match list {
        List::All => rows.filter(post::published.eq(true)).first(conn),
        List::Author(author) => of(*author, true).first(conn),
        List::Drafts(author) => of(*author, false).first(conn),
        List::Tag(tag) => post_tag::table
            .filter(post_tag::tag.eq(tag))
            .filter(post_tag::published.eq(true))
            .filter(post_tag::place.lt(below))
            .order(post_tag::place)
            .select(post_tag::place)
            .first(conn),
    }
    .optional()?;
    Ok(first.is_some())
}

/// How many posts the list has, which is none of drafts.
pub fn count(conn: &mut Conn, list: &List) -> QueryResult<i64> {
    Ok(count_each(conn, std::slice::from_ref(list))?.iter().sum())
}

/// How many posts each of these lists has, none of which is of drafts, in their order.
pub fn count_each(conn: &mut Conn, lists: &[List]) -> QueryResult<Vec<i64>> {
    if !are_filled(conn)? {
        return (lists.iter())
            .map(|list| count_rows(conn, list, i64::MAX))
            .collect();
    }
    let keys: Vec<String> = lists.iter().map(List::key).collect();
    let slots: Vec<(String, i64)> = post_count::table
        .filter(post_count::list.eq_any(&keys))
        .filter(post_count::level.eq(MONTHS))
        .select((post_count::list, post_count::posts))
        .load(conn)?;
    let mut counts: HashMap<String, i64> = HashMap::new();
    for (list, posts) in slots {
        *counts.entry(list).or_default() += posts;
    }
    let count = |key| counts.get(key).copied().unwrap_or(0);
    Ok(keys.iter().map(count).collect())
}

/// Whether months and days say the same of the list of all: a program that knows of neither, or of months alone,
/// has written otherwise. Of what it has done and undone nothing is seen here.
pub fn do_agree(conn: &mut Conn) -> QueryResult<bool> {
    let blocks = Blocks {
        list: &List::All,
        but: &[],
        is_ascending: false,
    };
    let all = (i64::MIN, i64::MAX);
    let months = sum(&blocks.load(conn, MONTHS, all)?);
    let days = sum(&blocks.load(conn, DAYS, all)?);
    Ok(months == days + count_rows(conn, &List::All, DATED)?)
}

/// How many published posts a list has of each month, in any order; exact when months are counted.
pub fn count_by_month(conn: &mut Conn, list: &List) -> QueryResult<Vec<(i64, i64)>> {
    let slots: Vec<(i64, i64)> = post_count::table
        .filter(post_count::list.eq(list.key()))
        .filter(post_count::level.eq(MONTHS))
        .select((post_count::block, post_count::posts))
        .load(conn)?;
    let mut months: BTreeMap<i64, i64> = BTreeMap::new();
    for (month, posts) in slots {
        *months.entry(month).or_default() += posts;
    }
    Ok(months.into_iter().collect())
}

/// How many published posts each tag has that begins so: one range of the rows.
pub fn count_by_tag(conn: &mut Conn, beginning: &str) -> QueryResult<BTreeMap<String, i64>> {
    let first = tag_key(beginning);
    let slots: Vec<(String, i64)> = post_count::table
        .filter(post_count::list.ge(&first))
        .filter(post_count::list.lt(behind(&first)))
        .filter(in_time(post_count::block))
        .order((post_count::list, post_count::level))
        .select((post_count::list, post_count::posts))
        .load(conn)?;
    let mut tags: BTreeMap<String, i64> = BTreeMap::new();
    for (key, posts) in slots {
        let tag = key.strip_prefix(tag_key("").as_str()).unwrap_or(&key);
        *tags.entry(tag.to_owned()).or_default() += posts;
    }
    Ok(tags)
}

/// How many published posts each of these tags has: some rows for each.
pub fn count_tags(conn: &mut Conn, tags: &BTreeSet<String>) -> QueryResult<BTreeMap<String, i64>> {
    let mut numbers: BTreeMap<String, i64> = tags.iter().map(|tag| (tag.clone(), 0)).collect();
    let keys: Vec<String> = tags.iter().map(|tag| tag_key(tag)).collect();
    for some in keys.chunks(100) {
        let slots: Vec<(String, i64)> = post_count::table
            .filter(post_count::list.eq_any(some))
            .filter(post_count::level.eq(TAGS))
            .select((post_count::list, post_count::posts))
            .load(conn)?;
        for (key, posts) in slots {
            let tag = key.strip_prefix(tag_key("").as_str()).unwrap_or(&key);
            *numbers.entry(tag.to_owned()).or_default() += posts;
        }
    }
    Ok(numbers)
}

/// The first text that is behind all which begin with this one, by code points. A key begins with a
/// letter, so there is one.
fn behind(beginning: &str) -> String {
    let mut characters: Vec<char> = beginning.chars().collect();
    while let Some(last) = characters.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            characters.push(next);
            break;
        }
    }
    characters.into_iter().collect()
}

/// A block, how many posts it has, and the number of one of them in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    block: i64,
    posts: i64,
    offset: i64,
}

/// The block that has post number `offset`. `rows`:
/// blocks in the order of the list, a row for each slot; the slots of a block stand together.
fn descend(rows: &[(i64, i64)], mut offset: i64) -> Option<Found> {
    for slots in rows.chunk_by(|(a, _), (b, _)| a == b) {
        let posts = sum(slots);
        if offset < posts {
            return Some(Found {
                block: slots[0].0,
                posts,
                offset,
            });
        }
        offset -= posts;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_across_slots() {
        // Slots may be negative: a post is taken off by another connection than the
        // one that put it in.
        let rows = [(9, 3), (9, -1), (7, 5), (2, -1), (2, 1), (1, 1)];
        let found = |offset| descend(&rows, offset).map(|found| (found.block, found.offset));
        assert_eq!(found(0), Some((9, 0)));
        assert_eq!(found(1), Some((9, 1)));
        assert_eq!(found(2), Some((7, 0)));
        assert_eq!(found(6), Some((7, 4)));
        assert_eq!(found(7), Some((1, 0)));
        assert_eq!(found(8), None);
        assert_eq!(descend(&rows, 3).map(|found| found.posts), Some(5));
    }

    #[test]
    fn a_month_has_the_places_of_its_days() {
        let date: NaiveDateTime = "2024-02-29T23:59:59.999999".parse().unwrap();
        let (first, end) = places_of_month(month_of(date));
        assert_eq!(end - first, 29 * DAY);
        assert_eq!(places::of_date(date), end - 1);
        assert_eq!(places_of_month(month_of(date) + 1).0, end);
    }

    #[test]
    fn what_is_behind_a_beginning_is_behind_all_that_begin_so() {
        for (beginning, expected) in [
            ("n", "o"),
            ("nrust", "nrusu"),
            ("n\u{d7ff}", "n\u{e000}"),
            ("na\u{10ffff}", "nb"),
            ("n\u{10ffff}\u{10ffff}", "o"),
        ] {
            assert_eq!(behind(beginning), expected);
        }
    }

    #[test]
    fn additions_that_cancel_are_not_written() {
        let mut additions = Additions::default();
        let date = NaiveDateTime::default();
        let place = places::of_date(date);
        additions.add(&List::All, place, date, 1);
        additions.add(&List::Tag("x".to_owned()), place + 1, date, 1);
        additions.add(&List::Tag("y".to_owned()), 7, date, 1);
        additions.add(&List::Drafts(1), place, date, 1);
        additions.add(&List::Drafts(2), 7, date, 1);
        additions.add(&List::All, place, date, -1);
        let rows: Vec<_> = additions.rows().collect();
        let (day, month) = (place / DAY, 1970 * 12);
        assert_eq!(
            rows,
            [
                (&("d1".to_owned(), MONTHS, month), 1),
                (&("d1".to_owned(), DAYS, day), 1),
                (&("nx".to_owned(), TAGS, 0), 1),
                (&("ny".to_owned(), TAGS, 0), 1),
                (&("tx".to_owned(), MONTHS, month), 1),
                (&("tx".to_owned(), DAYS, day), 1),
                (&("tx".to_owned(), PARTS, day * 64), 1),
                // Of before.
                (&("ty".to_owned(), MONTHS, month), 1),
            ]
        );
    }
}
