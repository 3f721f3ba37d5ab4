//! How many posts there are of each month, and with each tag.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::counts::{self, month_of};
use super::lists::{is_empty, load_deleted_authors};
use super::selection::Selection;
use crate::core::db::Conn;
use crate::core::db::dialect::in_time;
use crate::core::db::schema::{post, post_tag};
use crate::core::page::{DEPTH, Listed, PageRequest};
use crate::posts::list::{Filter, List, TagSort};

/// The months of a list that have posts, as [`month_of`] numbers them, and how many; the newest first.
/// Call it in a snapshot.
pub fn load_months(conn: &mut Conn, filter: &Filter) -> QueryResult<Vec<(i64, i64)>> {
    load_months_within(conn, filter, DEPTH)
}

/// The same, where the months of several tags, or of an author with a tag, go back through at most so many posts with
/// the rarest: the month in which those end is left out, and what was before it.
pub fn load_months_within(
    conn: &mut Conn,
    filter: &Filter,
    depth: i64,
) -> QueryResult<Vec<(i64, i64)>> {
    let deleted = load_deleted_authors(conn)?;
    if is_empty(filter, &deleted) {
        return Ok(Vec::new());
    }
    let mut months = match load_kept(conn, filter, &deleted)? {
        Some(kept) => kept,
        None => {
            let (dates, end) = load_dates(conn, filter, (&deleted, depth))?;
            let mut months: BTreeMap<i64, i64> = BTreeMap::new();
            for date in dates {
                *months.entry(month_of(date)).or_default() += 1;
            }
            // The last month may not be whole.
            months.retain(|month, _| end.is_none_or(|end| *month > month_of(end)));
            months
        }
    };
    months.retain(|_, posts| *posts != 0);
    Ok(months.into_iter().rev().collect())
}

/// What is kept of them; `None` where nothing is.
fn load_kept(
    conn: &mut Conn,
    filter: &Filter,
    deleted: &[i64],
) -> QueryResult<Option<BTreeMap<i64, i64>>> {
    let Some(list) = filter.counted() else {
        return Ok(None);
    };
    // How many posts of an author have a tag is not kept.
    if !deleted.is_empty() && matches!(list, List::Tag(_)) || !counts::are_filled(conn)? {
        return Ok(None);
    }
    let mut months = BTreeMap::from_iter(counts::count_by_month(conn, &list)?);
    if list == List::All {
        for author in deleted {
            for (month, posts) in counts::count_by_month(conn, &List::Author(*author))? {
                *months.entry(month).or_default() -= posts;
            }
        }
    }
    Ok(Some(months))
}

/// The dates of the posts of a list, a row of an index each; and with tags the date at which they end, where there are too many.
fn load_dates(
    conn: &mut Conn,
    filter: &Filter,
    (deleted, depth): (&[i64], i64),
) -> QueryResult<(Vec<NaiveDateTime>, Option<NaiveDateTime>)> {
    if !filter.tags.is_empty() {
        return Selection::within(conn, filter, deleted, depth)?.load_dates(conn);
    }
    let mut dates = post::table
        .filter(post::published.eq(true))
        .filter(in_time(post::post_id))
        .into_boxed();
    if let Some(author) = filter.author {
        dates = dates.filter(post::author_id.eq(author));
    }
    if !deleted.is_empty() {
        dates = dates.filter(post::author_id.ne_all(deleted));
    }
    Ok((dates.select(post::date).load(conn)?, None))
}

/// How many published posts have each of these tags, or each tag there is; a tag with none may be left out of all.
/// `None` where that is not kept, or posts of deleted authors are still counted. Call it in a snapshot.
pub fn read_numbers(
    conn: &mut Conn,
    tags: Option<&BTreeSet<String>>,
) -> QueryResult<Option<BTreeMap<String, i64>>> {
    if !counts::are_filled(conn)? || !load_deleted_authors(conn)?.is_empty() {
        return Ok(None);
    }
    match tags {
        Some(tags) => counts::count_tags(conn, tags).map(Some),
        None => counts::count_by_tag(conn, "").map(Some),
    }
}

/// A page of the tags of published posts, with the number of these. `beginning`: only tags that begin
/// so. Call it in a snapshot.
pub fn load_tags(
    conn: &mut Conn,
    beginning: &str,
    sort: TagSort,
    request: PageRequest,
) -> QueryResult<Listed<(String, i64)>> {
    let mut tags: BTreeMap<String, i64> = if counts::are_filled(conn)? {
        counts::count_by_tag(conn, beginning)?
    } else {
        count_rows(conn, None, beginning)?
    };
    for author in load_deleted_authors(conn)? {
        for (tag, posts) in count_rows(conn, Some(author), beginning)? {
            *tags.entry(tag).or_default() -= posts;
        }
    }
    let mut tags: Vec<(String, i64)> = tags.into_iter().filter(|(_, posts)| *posts > 0).collect();
    if sort == TagSort::Posts {
        // Those with as many stay in the order of their names.
        tags.sort_by_key(|(_, posts)| std::cmp::Reverse(*posts));
    }
    let skip = usize::try_from(request.offset()).unwrap_or(usize::MAX);
    let count = i64::try_from(tags.len()).ok();
    let rows = tags.into_iter().skip(skip).take(request.size as usize);
    Ok(Listed {
        rows: rows.collect(),
        count,
        next: None,
    })
}

/// The tags of published posts, of an author or of all, by the rows of the tags themselves.
fn count_rows(
    conn: &mut Conn,
    author: Option<i64>,
    beginning: &str,
) -> QueryResult<BTreeMap<String, i64>> {
    let mut rows = post_tag::table
        .filter(post_tag::published.eq(true))
        .filter(in_time(post_tag::post_id))
        .group_by(post_tag::tag)
        .select((post_tag::tag, diesel::dsl::count_star()))
        .into_boxed();
    if let Some(author) = author {
        rows = rows.filter(post_tag::author_id.eq(author));
    }
    let counted: Vec<(String, i64)> = rows.load(conn)?;
    Ok(counted
        .into_iter()
        .filter(|(tag, _)| tag.starts_with(beginning))
        .collect())
}
