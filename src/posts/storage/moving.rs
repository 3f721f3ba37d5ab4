//! Moving posts from places of before, which were ids, to those that their dates make
//! ([`places`]), some in a transaction, the highest first: those that are moved stand above all
//! others, in their order, so that lists are right between any two transactions.
//!
//! What a program of before writes beside this one is found in the same way. It has counted months, not
//! days; a post is counted of its day when it is moved.

use std::collections::{BTreeMap, HashMap};

use chrono::{NaiveDateTime, TimeDelta};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::counts::{Additions, OF_BEFORE};
use super::places::{self, DATED, PART};
use super::posts::{find_any, words_of};
use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch, MovedRow, TagRow};
use crate::core::db::schema::{count_upkeep, post, post_count};
use crate::posts::list::List;
use crate::posts::stored::{StoredPost, split_tags};

/// The name of the row of `count_upkeep` that who moves holds: of two who move at once the second would
/// overtake the first.
const PLACES: &str = "places";
/// Posts of a transaction on MySQL.
const AT_ONCE: i64 = 200;
/// The same on SQLite, where their words are made anew and all others that write wait; and bytes of their texts
/// after which there are enough.
const WITH_WORDS: i64 = 50;
const BYTES: usize = 1 << 20;

/// Posts that are moved next, with what takes time.
#[derive(Default)]
pub struct Next {
    /// Whether there are any.
    pub is_any: bool,
    published: bool,
    limit: i64,
    /// As they are, with their words, where these are needed.
    words: HashMap<i64, (StoredPost, String)>,
}

/// Looks for posts that are to be moved: published ones first, then drafts.
pub fn load_next(conn: &mut Conn) -> QueryResult<Next> {
    let mut next = Next::default();
    for published in [true, false] {
        let with_words = matches!(conn, Conn::Sqlite(_));
        let limit = if with_words { WITH_WORDS } else { 1 };
        let ids: Vec<i64> = post::table
            .filter(post::published.eq(published))
            .filter(post::place.lt(DATED))
            .order(post::place.desc())
            .limit(limit)
            .select(post::post_id)
            .load(conn)?;
        if ids.is_empty() {
            continue;
        }
        (next.is_any, next.published) = (true, published);
        next.limit = if with_words { 0 } else { AT_ONCE };
        let mut bytes = 0;
        for id in ids {
            if !with_words || bytes > BYTES {
                break;
            }
            next.limit += 1;
            if let Some(post) = find_any(conn, id)? {
                bytes += post.text.len();
                next.words.insert(id, (post, String::new()));
            }
        }
        break;
    }
    Ok(next)
}

impl Next {
    /// Makes the words: outside of transactions, for it takes its time.
    pub fn prepare(&mut self) {
        for (post, words) in self.words.values_mut() {
            *words = words_of(post).text;
        }
    }
}

/// How many posts are to be moved.
pub fn count(conn: &mut Conn) -> QueryResult<i64> {
    let mut number = 0;
    for published in [true, false] {
        let posts: i64 = post::table
            .filter(post::published.eq(published))
            .filter(post::place.lt(DATED))
            .count()
            .get_result(conn)?;
        number += posts;
    }
    Ok(number)
}

/// Moves some posts; gives how many, `None` when somebody else is moving some. `race`: as for
/// [`places::take_above`].
pub fn move_some(conn: &mut Conn, next: &Next, race: u32) -> QueryResult<Option<usize>> {
    if !dialect::claim_upkeep(conn, PLACES)? {
        return Ok(None);
    }
    let mut rows = dialect::lock_posts_below(conn, (next.published, DATED), next.limit)?;
    // From the lowest on, in which order those of one date get their places.
    rows.reverse();
    let Some(lowest) = rows.first() else {
        return Ok(Some(0));
    };
    let below = count_same(conn, &rows, lowest.place)?;
    let bases = rows.iter().map(|row| {
        let base = places::of_date(row.date);
        // There is room for those of the same date that are moved later.
        let room = base.div_euclid(PART) * PART + PART - 1 - base;
        base + below.get(&row.date).copied().unwrap_or(0).min(room)
    });
    let taken = places::take_above(conn, &bases.collect::<Vec<_>>(), race)?;
    let moves: Vec<(&MovedRow, i64)> = rows.iter().zip(taken).collect();
    move_words(conn, &moves, next)?;
    move_rows(conn, &moves)?;
    let number = rows.len();
    diesel::update(count_upkeep::table.find(PLACES))
        .set(count_upkeep::version.eq(count_upkeep::version + 1))
        .execute(conn)?;
    Ok(Some(number))
}

/// How many posts with the same date as one of these stand lower than all of these.
fn count_same(
    conn: &mut Conn,
    rows: &[MovedRow],
    lowest: i64,
) -> QueryResult<HashMap<NaiveDateTime, i64>> {
    let Some(first) = rows.first() else {
        return Ok(HashMap::new());
    };
    let mut dates: Vec<NaiveDateTime> = rows.iter().map(|row| row.date).collect();
    dates.sort_unstable();
    dates.dedup();
    let same: Vec<(NaiveDateTime, i64)> = post::table
        .filter(post::published.eq(first.published))
        .filter(post::date.eq_any(dates))
        .filter(post::place.lt(lowest))
        .group_by(post::date)
        .select((post::date, diesel::dsl::count_star()))
        .load(conn)?;
    Ok(same.into_iter().collect())
}

fn move_words(conn: &mut Conn, moves: &[(&MovedRow, i64)], next: &Next) -> QueryResult<()> {
    let from: Vec<i64> = moves.iter().map(|(row, _)| row.place).collect();
    if let Conn::Mysql(_) = conn {
        let pairs: Vec<(i64, i64)> = from
            .iter()
            .copied()
            .zip(moves.iter().map(|m| m.1))
            .collect();
        return dialect::move_words(conn, &pairs);
    }
    dialect::delete_words(conn, &from)?;
    for (row, place) in moves {
        let Some(post) = find_any(conn, row.post_id)? else {
            continue;
        };
        match next.words.get(&row.post_id) {
            Some((as_it_was, words)) if as_it_was.is_as_written(&post) => {
                dialect::insert_words(conn, *place, words)?;
            }
            _ => dialect::insert_words(conn, *place, &words_of(&post).text)?,
        }
    }
    Ok(())
}

/// Rows of posts and of their tags, and counts.
fn move_rows(conn: &mut Conn, moves: &[(&MovedRow, i64)]) -> QueryResult<()> {
    let mut batch = Batch::new(conn);
    let (mut cases, mut ids) = (Vec::new(), Vec::new());
    let (mut tags, mut left) = (Vec::new(), BTreeMap::<&str, Vec<i64>>::new());
    let mut additions = Additions::default();
    let mut published = false;
    for (row, place) in moves {
        published = row.published;
        cases.push(format!("WHEN {} THEN {place}", row.post_id));
        ids.push(row.post_id.to_string());
        for tag in split_tags(&row.tags) {
            left.entry(tag).or_default().push(row.place);
            tags.push(TagRow {
                tag,
                published: row.published,
                place: *place,
                post_id: row.post_id,
                author_id: row.author_id,
            });
        }
        for list in List::that_count(row.published, row.author_id, split_tags(&row.tags)) {
            additions.add(&list, row.place, row.date, -1);
            additions.add(&list, *place, row.date, 1);
        }
    }
    conn.batch_execute(&format!(
        "UPDATE post SET place = CASE post_id {} END WHERE post_id IN ({})",
        cases.join(" "),
        ids.join(", ")
    ))?;
    for (tag, places) in left {
        batch.delete_places(tag, published, &places);
    }
    batch.insert_tags(&tags);
    additions.write(&mut batch);
    batch.run(conn)
}

/// Whether it is known that all posts are moved.
pub fn is_ended(conn: &mut Conn) -> QueryResult<bool> {
    count_upkeep::table
        .find(PLACES)
        .select(count_upkeep::filled)
        .first(conn)
}

/// Remembers that all posts are moved, since this time.
pub fn end(conn: &mut Conn, now: NaiveDateTime) -> QueryResult<()> {
    diesel::update(count_upkeep::table.find(PLACES))
        .set((
            count_upkeep::filled.eq(true),
            count_upkeep::ended.eq(Some(now)),
        ))
        .execute(conn)
        .map(drop)
}

/// How long after all posts are moved a program of before may run beside this one: its counts stay as long.
const KEPT: TimeDelta = TimeDelta::days(1);
/// Rows of its counts that are looked at at once.
const ROWS: i64 = 1_000;

/// Whether the counts of a program of before are to be deleted.
pub fn are_counts_left(conn: &mut Conn, now: NaiveDateTime) -> QueryResult<bool> {
    let ended: Option<NaiveDateTime> = count_upkeep::table
        .find(PLACES)
        .filter(count_upkeep::filled.eq(true))
        .select(count_upkeep::ended)
        .first(conn)
        .optional()?
        .flatten();
    Ok(ended.is_some_and(|ended| ended + KEPT < now))
}

/// Deletes some of them, those of lists behind this one; gives the last of these, `None` when none is left.
pub fn delete_counts(conn: &mut Conn, after: &str) -> QueryResult<Option<String>> {
    let lists: Vec<String> = post_count::table
        .filter(post_count::list.gt(after))
        .order((post_count::list, post_count::level))
        .limit(ROWS)
        .select(post_count::list)
        .load(conn)?;
    let (Some(first), Some(last)) = (lists.first(), lists.last()) else {
        diesel::update(count_upkeep::table.find(PLACES))
            .set(count_upkeep::ended.eq(None::<NaiveDateTime>))
            .execute(conn)?;
        return Ok(None);
    };
    diesel::delete(
        post_count::table
            .filter(post_count::list.between(first, last))
            .filter(post_count::level.eq_any(OF_BEFORE)),
    )
    .execute(conn)?;
    Ok(Some(last.clone()))
}
