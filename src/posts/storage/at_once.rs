//! Parts of lists whose posts are counted, each by one statement where it can be, and so without a snapshot: on a database behind a
//! network, beginning and ending one costs as much as reading. What cannot be read so is for [`lists`](super::lists).

use diesel::prelude::*;

use super::counts::{self, MONTHS, Start, StartByCounts, UPKEEP};
use super::lists::part_of;
use super::places::DATED;
use super::posts::summary_columns;
use super::selection::{Loaded, in_windows};
use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::dialect::{CountedList, CountedPosts};
use crate::core::db::schema::{post, user};
use crate::core::page::ListPart;
use crate::posts::list::{Cursor, Filter, Found, List, Sort};
use crate::posts::stored::PostSummary;

/// Whether [`load`] can read this.
pub fn can_load(filter: &Filter, part: ListPart<Cursor>) -> bool {
    let is_of_now = match part {
        ListPart::Page(_) => true,
        ListPart::Below { position, .. } => match position {
            None => true,
            Some(Cursor::Position(position)) => position >= DATED,
            Some(_) => false,
        },
    };
    let is_published = |list: &List| !matches!(list, List::Drafts(_));
    is_of_now && !filter.is_impossible() && filter.counted().as_ref().is_some_and(is_published)
}

/// Reads a part of a list, outside of a snapshot. `None` where it takes one: while an author is being deleted or counts are not
/// complete, past the end, and when the list changed between two statements.
pub fn load(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
) -> QueryResult<Option<Found<PostSummary>>> {
    let Some(start) = find_start(conn, filter, part)? else {
        return Ok(None);
    };
    load_from(conn, filter, part, start)
}

/// Where a part begins: of a page further down the counts say it, by statements of their own. `None` where a part cannot be read so.
pub fn find_start(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
) -> QueryResult<Option<StartByCounts>> {
    let Some(list) = filter.counted() else {
        return Ok(None);
    };
    match part {
        ListPart::Page(request) => {
            let is_ascending = filter.sort == Sort::Oldest;
            counts::find_start_by_counts(conn, &list, request.offset(), is_ascending)
        }
        ListPart::Below { position, .. } => {
            let start = Start {
                after: position,
                skip: 0,
            };
            Ok(Some(start.into()))
        }
    }
}

/// Reads a part that begins there, by one statement; `None` as [`load`].
pub fn load_from(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
    by_counts: StartByCounts,
) -> QueryResult<Option<Found<PostSummary>>> {
    let Some(list) = filter.counted() else {
        return Ok(None);
    };
    let is_ascending = filter.sort == Sort::Oldest;
    let StartByCounts {
        start,
        blocks,
        before,
    } = by_counts;
    let is_page = matches!(part, ListPart::Page(_));
    let size = match part {
        ListPart::Page(request) => request.size,
        ListPart::Below { size, .. } => size,
    };
    let key = list.key();
    let whole = CountedList {
        posts: match &list {
            List::All => CountedPosts::All,
            List::Author(author) => CountedPosts::Author(*author),
            List::Tag(tag) => CountedPosts::Tag(tag),
            List::Drafts(_) => return Ok(None),
        },
        counts: is_page.then_some((&key, MONTHS, UPKEEP)),
        before: &blocks,
        but_role: DELETED,
        is_ascending,
    };
    let after = match start.after {
        Some(Cursor::Position(position)) => Some(position),
        _ => None,
    };
    // One more than shown tells whether there is more.
    let limit = i64::from(size) + 1;
    let mut counted = None;
    let posts = in_windows(after, limit, is_ascending, |range| {
        let bounds = (start.skip, limit);
        let (mut posts, now) = whole.load(conn, range, bounds, summary_columns!())?;
        posts.sort_unstable_by_key(|post: &PostSummary| post.position);
        if !is_ascending {
            posts.reverse();
        }
        counted = now;
        Ok(posts)
    })?;
    let count = match counted {
        // Whoever's posts there may be, there are none.
        None if start == Start::default() || !is_page => 0,
        Some(now) if now.but_users == 0 && !is_page => 0,
        Some(now) if now.but_users == 0 && now.is_filled && now.before == before => now.posts,
        _ => return Ok(None),
    };
    let loaded = Loaded {
        posts,
        stopped: None,
    };
    let listed = part_of(loaded, is_page.then_some(count), filter, size as usize);
    Ok(Some(Found {
        listed,
        words: None,
        beginning: None,
    }))
}
