//! Kept counts: how many posts each list has, and where its n-th post is, without counting.
//!
//! Every post has a position, a number that grows with publication. For every list the
//! table `post_count` keeps how many of its posts have their positions in each block of
//! 256 and of 16,384 positions. The n-th post is found by adding up some dozens of large
//! blocks, then at most 64 small ones, and skipping at most 255 rows of an index; the
//! cost does not grow with the number of the page and hardly with the table.
//!
//! A change of counts is an addition, made in the transaction of its cause, so the
//! order of additions does not matter. Each block's number is spread over slots that
//! are chosen by connection (`dialect::Batch::add_counts`): publishers do not queue
//! behind one row.
//!
//! Two more numbers are kept in the same way: how many published posts of a list there are of each
//! month ([`MONTHS`]), and how many a tag has, by its name ([`TAGS`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Datelike, NaiveDateTime};
use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect::{Batch, in_time};
use crate::core::db::schema::post_count;
use crate::posts::list::{Cursor, List};

/// Bits of a position that a small block leaves out: 256 positions.
const SMALL: u32 = 8;
/// The same for a large block: 16,384 positions.
const LARGE: u32 = 14;
/// The levels as they are stored, and how many positions a block has.
const LEVELS: [(i32, u32); 2] = [(0, SMALL), (1, LARGE)];

/// The level of months: a block is a month by UTC, counted from the year 0.
pub const MONTHS: i32 = 2;
/// The level of the numbers of tags: one block, in a list whose key is [`tag_key`].
pub const TAGS: i32 = 3;

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
        let mut add = |block: Block| *self.0.entry(block).or_default() += by;
        for (level, bits) in LEVELS {
            add((key.clone(), level, position >> bits));
        }
        if let List::Tag(tag) = list {
            add((tag_key(tag), TAGS, 0));
        }
        if !matches!(list, List::Drafts(_)) {
            add((key, MONTHS, month_of(date)));
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its first post is behind this, or is the list's …
    pub after: Option<Cursor>,
    /// … and this many rows further: 255 at most where posts are counted.
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
    let mut large = load_blocks(conn, list, but, (1, 0, i64::MAX))?;
    let count = large.iter().map(|(_, posts)| posts).sum();
    if offset >= count {
        return Ok((count, None));
    }
    if offset < 1 << SMALL {
        let start = Start {
            after: None,
            skip: offset,
        };
        return Ok((count, Some(start)));
    }
    if is_ascending {
        large.reverse();
    }
    let Some((block, offset)) = descend(&large, offset) else {
        return Ok((count, None));
    };
    let first = block << (LARGE - SMALL);
    let end = first + (1 << (LARGE - SMALL));
    let mut small = load_blocks(conn, list, but, (0, first, end))?;
    if is_ascending {
        small.reverse();
    }
    let start = descend(&small, offset).map(|(block, skip)| {
        let edge = if is_ascending {
            (block << SMALL) - 1
        } else {
            (block + 1) << SMALL
        };
        Start {
            after: Some(Cursor::Position(edge)),
            skip,
        }
    });
    Ok((count, start))
}

/// Blocks of one level of a list, from one up to before another, the highest first, a row
/// for each slot; and those of the authors `but` with a minus.
fn load_blocks(
    conn: &mut Conn,
    list: &List,
    but: &[i64],
    (level, first, end): (i32, i64, i64),
) -> QueryResult<Vec<(i64, i64)>> {
    let mut load = |list: &List| -> QueryResult<Vec<(i64, i64)>> {
        post_count::table
            .filter(post_count::list.eq(list.key()))
            .filter(post_count::level.eq(level))
            .filter(post_count::block.ge(first))
            .filter(post_count::block.lt(end))
            .order((post_count::block.desc(), post_count::slot.desc()))
            .select((post_count::block, post_count::posts))
            .load(conn)
    };
    let mut blocks = load(list)?;
    for author in but {
        let theirs = load(&List::Author(*author))?;
        blocks.extend(theirs.into_iter().map(|(block, posts)| (block, -posts)));
    }
    if !but.is_empty() {
        blocks.sort_by_key(|(block, _)| std::cmp::Reverse(*block));
    }
    Ok(blocks)
}

/// How many posts the list has.
pub fn count(conn: &mut Conn, list: &List) -> QueryResult<i64> {
    let slots: Vec<i64> = post_count::table
        .filter(post_count::list.eq(list.key()))
        .filter(post_count::level.eq(1))
        .select(post_count::posts)
        .load(conn)?;
    Ok(slots.iter().sum())
}

/// How many posts each of these lists has, in their order.
pub fn count_each(conn: &mut Conn, lists: &[List]) -> QueryResult<Vec<i64>> {
    let keys: Vec<String> = lists.iter().map(List::key).collect();
    let slots: Vec<(String, i64)> = post_count::table
        .filter(post_count::list.eq_any(&keys))
        .filter(post_count::level.eq(1))
        .select((post_count::list, post_count::posts))
        .load(conn)?;
    let mut counts: HashMap<String, i64> = HashMap::new();
    for (list, posts) in slots {
        *counts.entry(list).or_default() += posts;
    }
    let count = |key| counts.get(key).copied().unwrap_or(0);
    Ok(keys.iter().map(count).collect())
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

/// The block that has post number `offset`, and the post's number in the block. `rows`:
/// blocks in the order of the list, a row for each slot; the slots of a block stand together.
fn descend(rows: &[(i64, i64)], mut offset: i64) -> Option<(i64, i64)> {
    for slots in rows.chunk_by(|(a, _), (b, _)| a == b) {
        let posts: i64 = slots.iter().map(|(_, posts)| posts).sum();
        if offset < posts {
            return Some((slots[0].0, offset));
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
        assert_eq!(descend(&rows, 0), Some((9, 0)));
        assert_eq!(descend(&rows, 1), Some((9, 1)));
        assert_eq!(descend(&rows, 2), Some((7, 0)));
        assert_eq!(descend(&rows, 6), Some((7, 4)));
        assert_eq!(descend(&rows, 7), Some((1, 0)));
        assert_eq!(descend(&rows, 8), None);
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
        additions.add(&List::All, 300, date, 1);
        additions.add(&List::Tag("x".to_owned()), 20_000, date, 1);
        additions.add(&List::All, 300, date, -1);
        let rows: Vec<_> = additions.rows().collect();
        assert_eq!(
            rows,
            [
                (&("nx".to_owned(), 3, 0), 1),
                (&("tx".to_owned(), 0, 78), 1),
                (&("tx".to_owned(), 1, 1), 1),
                (&("tx".to_owned(), 2, 1970 * 12), 1),
            ]
        );
    }
}
