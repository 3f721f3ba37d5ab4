//! How lists of posts are read. Every query goes along an index, and only the posts that
//! are shown are read.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::counts::{self, Start};
use super::followed;
use super::places::{self, DATED};
use super::posts::summary_columns;
use super::relevance;
use super::selection::{Loaded, Selection, windows};
use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::schema::{content, post, user};
use crate::core::page::{DEPTH, ListPart, Listed, PageRequest};
use crate::posts::list::{Cursor, Filter, Found, List, Neighbours, Sort};
use crate::posts::search::Query;
use crate::posts::stored::{PostSummary, StoredPost};

/// Authors who were deleted and whose posts are being deleted: no list has those. Mostly none.
pub(super) fn load_deleted_authors(conn: &mut Conn) -> QueryResult<Vec<i64>> {
    user::table
        .filter(user::role.eq(DELETED))
        .select(user::user_id)
        .load(conn)
}

/// The user who has this username, by its key.
pub fn find_author(conn: &mut Conn, username_key: &str) -> QueryResult<Option<i64>> {
    user::table
        .filter(user::username_key.eq(username_key))
        .select(user::user_id)
        .first(conn)
        .optional()
}

/// Whether a list can have no posts, whatever is stored.
pub(super) fn is_empty(filter: &Filter, deleted: &[i64]) -> bool {
    let is_deleted = |author| deleted.contains(&author);
    filter.is_impossible() || filter.only_author().is_some_and(is_deleted)
}

/// A part of a list of posts.
pub type Part<T = PostSummary> = Listed<T, Cursor>;

/// Reads a part of a list. Call it in a snapshot, as its queries belong together; but what words find comes whole by one
/// statement, and where they find more than is weighed, the rest may be of later moments.
///
/// Where no post has the last word of a search, it counts as the beginning of one.
pub fn load(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
) -> QueryResult<Found<PostSummary>> {
    load_within(conn, filter, part, DEPTH)
}

/// The same, where at most so many posts are gone through for those with all tags, or by those whom one follows: a part
/// of the list may have fewer than were asked for, and more behind it.
pub fn load_within(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
    depth: i64,
) -> QueryResult<Found<PostSummary>> {
    let part = present(conn, filter, part)?;
    let deleted = if filter.words.is_some() {
        // A search leaves their posts out itself.
        Vec::new()
    } else {
        load_deleted_authors(conn)?
    };
    let narrowed;
    let filter = if let (Some(follower), Some(author)) = (filter.followed_by, filter.author) {
        if !followed::has(conn, follower, author)? {
            return Ok(nothing(filter, part));
        }
        narrowed = Filter {
            followed_by: None,
            ..filter.clone()
        };
        &narrowed
    } else {
        filter
    };
    let listed = load_part(conn, filter, &deleted, (part, depth))?;
    let found = |listed, filter: &Filter, beginning| Found {
        listed,
        words: filter.words.clone(),
        beginning,
    };
    let beginning = filter.words.as_ref().and_then(Query::with_beginning);
    let Some((words, beginning)) = beginning.filter(|_| listed.rows.is_empty()) else {
        return Ok(found(listed, filter, None));
    };
    if listed.count != Some(0) && has_any(conn, filter, &deleted)? {
        return Ok(found(listed, filter, None));
    }
    let widened = Filter {
        words: Some(words),
        ..filter.clone()
    };
    let wider = load_part(conn, &widened, &deleted, (part, depth))?;
    if wider.rows.is_empty() && !has_any(conn, &widened, &deleted)? {
        return Ok(found(listed, filter, None));
    }
    Ok(found(wider, &widened, Some(beginning)))
}

/// A part of a list that follows a cursor from before places were made of dates: from where that post stands now.
fn present(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
) -> QueryResult<ListPart<Cursor>> {
    let ListPart::Below {
        position: Some(cursor),
        size,
    } = part
    else {
        return Ok(part);
    };
    let cursor = match cursor {
        Cursor::Position(position) if position < DATED => {
            Cursor::Position(places::present(conn, filter, position)?)
        }
        Cursor::Ranked { score, position } if position < DATED => Cursor::Ranked {
            score,
            position: places::present(conn, filter, position)?,
        },
        cursor => cursor,
    };
    Ok(ListPart::Below {
        position: Some(cursor),
        size,
    })
}

fn nothing(filter: &Filter, part: ListPart<Cursor>) -> Found<PostSummary> {
    let count = matches!(part, ListPart::Page(_)).then_some(0);
    let listed = Listed {
        rows: Vec::new(),
        count,
        next: None,
    };
    Found {
        listed,
        words: filter.words.clone(),
        beginning: None,
    }
}

/// Whether a list has any post.
fn has_any(conn: &mut Conn, filter: &Filter, deleted: &[i64]) -> QueryResult<bool> {
    let start = Start {
        after: None,
        skip: 0,
    };
    let loaded = load_some(conn, filter, deleted, start, (1, DEPTH))?;
    Ok(!loaded.posts.is_empty())
}

fn load_part(
    conn: &mut Conn,
    filter: &Filter,
    deleted: &[i64],
    (part, depth): (ListPart<Cursor>, i64),
) -> QueryResult<Part> {
    if let (Some(query), Sort::Relevance) = (&filter.words, filter.sort)
        && !is_empty(filter, deleted)
    {
        let selection = Selection::of(conn, filter, deleted)?;
        return relevance::load(conn, &selection, query, part);
    }
    match part {
        ListPart::Page(request) => load_page(conn, filter, deleted, (request, depth)),
        ListPart::Below { position, size } => {
            let limit = i64::from(size);
            let start = Start {
                after: position,
                skip: 0,
            };
            // One more than shown tells whether there is more.
            let loaded = load_some(conn, filter, deleted, start, (limit + 1, depth))?;
            Ok(part_of(loaded, None, filter, size as usize))
        }
    }
}

/// Posts of a list from a start on, at most `limit`.
fn load_some(
    conn: &mut Conn,
    filter: &Filter,
    deleted: &[i64],
    start: Start,
    (limit, depth): (i64, i64),
) -> QueryResult<Loaded> {
    if is_empty(filter, deleted) {
        return Ok(Loaded {
            posts: Vec::new(),
            stopped: None,
        });
    }
    Selection::within(conn, filter, deleted, depth)?.load(conn, start, limit, false)
}

/// The neighbours of a published post in a list, which it need not be in; `None` when there is no
/// such post. Call it in a snapshot.
pub fn find_neighbours(
    conn: &mut Conn,
    post_id: i64,
    filter: &Filter,
) -> QueryResult<Option<Neighbours>> {
    let deleted = load_deleted_authors(conn)?;
    let post: Option<(i64, i64)> = post::table
        .find(post_id)
        .filter(post::published.eq(true))
        .select((post::place, post::author_id))
        .first(conn)
        .optional()?;
    let Some((position, _)) = post.filter(|(_, author)| !deleted.contains(author)) else {
        return Ok(None);
    };
    let start = Start {
        after: Some(Cursor::Position(position)),
        skip: 0,
    };
    let mut next = |sort: Sort| -> QueryResult<Option<PostSummary>> {
        let filter = Filter {
            sort,
            ..filter.clone()
        };
        let loaded = load_some(conn, &filter, &deleted, start, (1, DEPTH))?;
        Ok(loaded.posts.into_iter().next())
    };
    Ok(Some(Neighbours {
        newer: next(Sort::Oldest)?,
        older: next(Sort::Newest)?,
    }))
}

diesel::define_sql_function! {
    /// Characters of a text: `length` of them from number `first`, which counts from 1.
    fn substr(text: Text, first: BigInt, length: BigInt) -> Text;
}

/// A part of a list, each post with the first `characters` of its text: what is longer does not
/// leave the database. Call it in a snapshot.
pub fn load_with_beginnings(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
    characters: i64,
) -> QueryResult<Part<StoredPost>> {
    let mut listed = load(conn, filter, part)?.listed;
    let summaries = std::mem::take(&mut listed.rows);
    let ids: Vec<i64> = summaries.iter().map(|post| post.post_id).collect();
    let texts = content::table
        .filter(content::post_id.eq_any(&ids))
        .select((content::post_id, substr(content::body, 1, characters)))
        .load(conn)?;
    Ok(listed.with(with_texts(summaries, texts)))
}

/// A part of a list with the texts of its posts. Call it in a snapshot.
pub fn load_with_texts(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart<Cursor>,
) -> QueryResult<Found<StoredPost>> {
    let mut found = load(conn, filter, part)?;
    let summaries = std::mem::take(&mut found.listed.rows);
    let ids: Vec<i64> = summaries.iter().map(|post| post.post_id).collect();
    let texts = content::table
        .filter(content::post_id.eq_any(&ids))
        .select((content::post_id, content::body))
        .load(conn)?;
    Ok(found.with(with_texts(summaries, texts)))
}

/// Posts with their texts, which may be in any order.
fn with_texts(summaries: Vec<PostSummary>, texts: Vec<(i64, String)>) -> Vec<StoredPost> {
    let mut texts: HashMap<i64, String> = texts.into_iter().collect();
    // Every post has a text: both are written in one transaction.
    summaries
        .into_iter()
        .filter_map(|summary| {
            let text = texts.remove(&summary.post_id)?;
            Some(StoredPost { summary, text })
        })
        .collect()
}

/// Posts that are loaded with their texts, each of which may be a megabyte.
const AT_ONCE: i64 = 16;

/// Posts of an author with their texts, drafts or published ones, oldest first, a few
/// at a time: those after the position `after`. None when the author was deleted.
pub fn load_after(
    conn: &mut Conn,
    author_id: i64,
    published: bool,
    after: i64,
) -> QueryResult<Vec<StoredPost>> {
    let mut positions: Vec<i64> = Vec::new();
    for window in windows(after) {
        positions = post::table
            .filter(post::author_id.eq(author_id))
            .filter(post::published.eq(published))
            .filter(post::place.gt(after))
            .filter(post::place.le(after.saturating_add(window)))
            .order(post::place)
            .limit(AT_ONCE)
            .select(post::place)
            .load(conn)?;
        if i64::try_from(positions.len()).is_ok_and(|some| some == AT_ONCE) {
            break;
        }
    }
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else {
        return Ok(Vec::new());
    };
    post::table
        .inner_join(content::table)
        .left_join(user::table)
        .filter(post::author_id.eq(author_id))
        .filter(post::published.eq(published))
        .filter(post::place.between(first, last))
        .filter(user::role.ne(DELETED))
        .order(post::place)
        .select((summary_columns!(), content::body))
        .load(conn)
}

fn load_page(
    conn: &mut Conn,
    filter: &Filter,
    deleted: &[i64],
    (request, depth): (PageRequest, i64),
) -> QueryResult<Part> {
    let size = request.size as usize;
    let nothing = || Loaded {
        posts: Vec::new(),
        stopped: None,
    };
    if is_empty(filter, deleted) {
        return Ok(part_of(nothing(), Some(0), filter, size));
    }
    let selection = Selection::within(conn, filter, deleted, depth)?;
    // How many posts of an author have a tag is not kept.
    let is_counted = |list: &List| deleted.is_empty() || !matches!(list, List::Tag(_));
    let Some(list) = filter.counted().filter(is_counted) else {
        return load_uncounted_page(conn, filter, &selection, request);
    };
    let is_ascending = filter.sort == Sort::Oldest;
    let (count, start) = counts::find_start(conn, &list, deleted, request.offset(), is_ascending)?;
    // One more than shown tells whether there is more.
    let limit = i64::from(request.size) + 1;
    let loaded = match start {
        Some(start) => selection.load(conn, start, limit, false)?,
        None => nothing(),
    };
    Ok(part_of(loaded, Some(count), filter, size))
}

/// A part of so many posts, if there are one more, or more were not looked at.
pub(super) fn part_of(loaded: Loaded, count: Option<i64>, filter: &Filter, size: usize) -> Part {
    let Loaded { mut posts, stopped } = loaded;
    let has_more = posts.len() > size;
    posts.truncate(size);
    let last = posts.last().filter(|_| has_more);
    let next = last.map(|last| filter.cursor_behind(last)).or(stopped);
    Listed {
        rows: posts,
        count,
        next,
    }
}

/// A page of a list whose posts are not counted.
fn load_uncounted_page(
    conn: &mut Conn,
    filter: &Filter,
    selection: &Selection<'_>,
    request: PageRequest,
) -> QueryResult<Part> {
    let (offset, limit) = (request.offset(), i64::from(request.size) + 1);
    let size = request.size as usize;
    let start = Start {
        after: None,
        skip: offset,
    };
    let load = |conn: &mut Conn, are_many| selection.load(conn, start, limit, are_many);
    if offset == 0 {
        let loaded = load(conn, false)?;
        let found = loaded.posts.len();
        let count = if found <= size && loaded.stopped.is_none() {
            // All that there are.
            i64::try_from(found).ok()
        } else {
            at_least(selection.count(conn)?, found)
        };
        return Ok(part_of(loaded, count, filter, size));
    }
    let count = selection.count(conn)?;
    // What is passed over costs as much as what is counted.
    let loaded = if offset < count.unwrap_or(DEPTH) {
        load(conn, count.is_none())?
    } else {
        Loaded {
            posts: Vec::new(),
            stopped: None,
        }
    };
    let seen = match loaded.posts.len() {
        0 => 0,
        found => usize::try_from(offset).unwrap_or(0) + found,
    };
    Ok(part_of(loaded, at_least(count, seen), filter, size))
}

/// A count that may be of another moment than the posts that were seen, which are that many.
fn at_least(count: Option<i64>, seen: usize) -> Option<i64> {
    count.map(|count| count.max(i64::try_from(seen).unwrap_or(0)))
}
