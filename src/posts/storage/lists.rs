//! How lists of posts are read. Every query goes along an index, and only the posts that
//! are shown are read.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::counts::{self, Start};
use super::posts::summary_columns;
use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::dialect::{Phrase, SearchQuery, Tagged, any_of};
use crate::core::db::schema::{content, post, post_tag, user};
use crate::core::page::{DEPTH, ListPart, Listed, PageRequest};
use crate::posts::list::{Filter, List};
use crate::posts::search::Query;
use crate::posts::stored::{PostSummary, StoredPost};
use crate::posts::types::Tag;

/// Authors who were deleted and whose posts are being deleted: no list has those. Mostly none.
fn load_deleted_authors(conn: &mut Conn) -> QueryResult<Vec<i64>> {
    user::table
        .filter(user::role.eq(DELETED))
        .select(user::user_id)
        .load(conn)
}

/// Whether a list can have no posts, whatever is stored.
fn is_empty(filter: &Filter, deleted: &[i64]) -> bool {
    let is_deleted = |author| deleted.contains(&author);
    filter.is_impossible() || filter.only_author().is_some_and(is_deleted)
}

/// Reads a part of a list. Call it in a snapshot: its queries belong together.
pub fn load(conn: &mut Conn, filter: &Filter, part: ListPart) -> QueryResult<Listed<PostSummary>> {
    let deleted = load_deleted_authors(conn)?;
    match part {
        ListPart::Page(request) => load_page(conn, filter, &deleted, request),
        ListPart::Below { position, size } => {
            let below = position.unwrap_or(i64::MAX);
            let size = i64::from(size);
            // One more than shown tells whether there is more.
            let start = Start { below, skip: 0 };
            let mut summaries = load_some(conn, filter, &deleted, (start, size + 1), false)?;
            let has_more = i64::try_from(summaries.len()).is_ok_and(|found| found > size);
            if has_more {
                summaries.pop();
            }
            let next = summaries
                .last()
                .filter(|_| has_more)
                .map(|last| last.position);
            Ok(Listed {
                rows: summaries,
                count: None,
                next,
            })
        }
    }
}

diesel::define_sql_function! {
    /// Characters of a text: `length` of them from number `first`, which counts from 1.
    fn substr(text: Text, first: BigInt, length: BigInt) -> Text;
}

/// The newest posts of a list, at most `size`, each with the first `characters` of its
/// text: what is longer does not leave the database. Call it in a snapshot.
pub fn load_beginnings(
    conn: &mut Conn,
    filter: &Filter,
    size: u32,
    characters: i64,
) -> QueryResult<Vec<StoredPost>> {
    let deleted = load_deleted_authors(conn)?;
    let start = Start {
        below: i64::MAX,
        skip: 0,
    };
    let summaries = load_some(conn, filter, &deleted, (start, i64::from(size)), false)?;
    let ids: Vec<i64> = summaries.iter().map(|post| post.post_id).collect();
    let texts = content::table
        .filter(content::post_id.eq_any(&ids))
        .select((content::post_id, substr(content::body, 1, characters)))
        .load(conn)?;
    Ok(with_texts(summaries, texts))
}

/// A part of a list with the texts of its posts. Call it in a snapshot.
pub fn load_with_texts(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart,
) -> QueryResult<Listed<StoredPost>> {
    let mut listed = load(conn, filter, part)?;
    let summaries = std::mem::take(&mut listed.rows);
    let ids: Vec<i64> = summaries.iter().map(|post| post.post_id).collect();
    let texts = content::table
        .filter(content::post_id.eq_any(&ids))
        .select((content::post_id, content::body))
        .load(conn)?;
    Ok(listed.with(with_texts(summaries, texts)))
}

/// A part of a list, each post with the first `characters` of its text. Call it in a snapshot.
pub fn load_part_with_beginnings(
    conn: &mut Conn,
    filter: &Filter,
    part: ListPart,
    characters: i64,
) -> QueryResult<Listed<StoredPost>> {
    let mut listed = load(conn, filter, part)?;
    let summaries = std::mem::take(&mut listed.rows);
    let ids: Vec<i64> = summaries.iter().map(|post| post.post_id).collect();
    let texts = content::table
        .filter(content::post_id.eq_any(&ids))
        .select((content::post_id, substr(content::body, 1, characters)))
        .load(conn)?;
    Ok(listed.with(with_texts(summaries, texts)))
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
    for window in WINDOWS {
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
    request: PageRequest,
) -> QueryResult<Listed<PostSummary>> {
    let offset = request.offset();
    // How many posts of an author have a tag is not kept.
    let is_counted = |list: &List| deleted.is_empty() || !matches!(list, List::Tag(_));
    let (count, start) = if is_empty(filter, deleted) {
        (Some(0), None)
    } else if let Some(list) = filter.counted().filter(is_counted) {
        let (count, start) = counts::find_start(conn, &list, deleted, offset)?;
        (Some(count), start)
    } else {
        return load_uncounted_page(conn, filter, deleted, request);
    };
    let size = i64::from(request.size);
    // One more than shown tells whether there is more.
    let summaries = match start {
        Some(start) => load_some(conn, filter, deleted, (start, size + 1), false)?,
        None => Vec::new(),
    };
    Ok(page_of(summaries, count, request))
}

/// A page of so many posts, if there are one more.
fn page_of(
    mut summaries: Vec<PostSummary>,
    count: Option<i64>,
    request: PageRequest,
) -> Listed<PostSummary> {
    let has_more = summaries.len() > request.size as usize;
    summaries.truncate(request.size as usize);
    let next = (summaries.last().filter(|_| has_more)).map(|last| last.position);
    Listed {
        rows: summaries,
        count,
        next,
    }
}

/// A page of a list whose posts are not counted.
fn load_uncounted_page(
    conn: &mut Conn,
    filter: &Filter,
    deleted: &[i64],
    request: PageRequest,
) -> QueryResult<Listed<PostSummary>> {
    let (offset, size) = (request.offset(), i64::from(request.size));
    let start = Start {
        below: i64::MAX,
        skip: offset,
    };
    let load =
        |conn: &mut Conn, are_many| load_some(conn, filter, deleted, (start, size + 1), are_many);
    if offset == 0 {
        let summaries = load(conn, false)?;
        let found = i64::try_from(summaries.len()).unwrap_or(i64::MAX);
        let count = if found <= size {
            // All that there are.
            Some(found)
        } else {
            count_matches(conn, filter, deleted)?
        };
        return Ok(page_of(summaries, count, request));
    }
    let count = count_matches(conn, filter, deleted)?;
    // What is passed over costs as much as what is counted.
    let summaries = if offset < count.unwrap_or(DEPTH) {
        load(conn, count.is_none())?
    } else {
        Vec::new()
    };
    Ok(page_of(summaries, count, request))
}

/// How many posts a filter takes whose posts are not counted: the matches themselves
/// are, along their index. `None` when they are more than [`DEPTH`], or so many that it takes
/// too long to tell.
fn count_matches(conn: &mut Conn, filter: &Filter, deleted: &[i64]) -> QueryResult<Option<i64>> {
    if let Some(query) = &filter.words {
        return SearchTerms::of(query, filter)
            .with(filter, deleted)
            .count(conn, DEPTH);
    }
    Tagged {
        published: filter.published(),
        author: filter.only_author(),
        but_authors: deleted,
        tag: filter.tag.as_ref().map(|tag| tag.0.as_str()),
    }
    .count(conn, DEPTH)
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

    fn with<'a>(&'a self, filter: &'a Filter, deleted: &'a [i64]) -> SearchQuery<'a> {
        SearchQuery {
            fts5: &self.fts5,
            mysql: &self.mysql,
            pieces: &self.pieces,
            published: filter.published(),
            author: filter.only_author(),
            but_authors: deleted,
            tag: filter.tag.as_ref().map(|tag| tag.0.as_str()),
        }
    }
}

fn load_some(
    conn: &mut Conn,
    filter: &Filter,
    deleted: &[i64],
    (start, limit): (Start, i64),
    are_many: bool,
) -> QueryResult<Vec<PostSummary>> {
    if is_empty(filter, deleted) {
        return Ok(Vec::new());
    }
    if let Some(query) = &filter.words {
        let terms = SearchTerms::of(query, filter);
        let ids = terms.with(filter, deleted).load_ids(
            conn,
            (start.below, start.skip, limit),
            are_many,
        )?;
        return load_summaries(conn, &ids);
    }
    if let Some(tag) = &filter.tag {
        let ids = load_tagged(conn, (filter, deleted), tag, start, limit)?;
        return load_summaries(conn, &ids);
    }
    load_between(conn, filter, deleted, start, limit)
}

/// Places that are looked through at once, when one knows where to begin. The first has
/// room for the rows that are skipped and a page, where all posts are in the list.
const WINDOWS: [i64; 5] = [1 << 10, 1 << 13, 1 << 16, 1 << 20, i64::MAX];

/// Rows of a list from `start` on. `rows` reads those from one position up to before another,
/// after so many, and at most so many.
///
/// With an open end the optimizer of MariaDB would follow the index from the very top, or
/// read and sort half of a large table, rather than begin in its middle; between two positions
/// that are near each other there is no question. So it is looked through in windows, wider
/// ones where a list is sparse.
fn in_windows<T>(
    start: Start,
    limit: i64,
    mut rows: impl FnMut(i64, i64, i64, i64) -> QueryResult<Vec<T>>,
) -> QueryResult<Vec<T>> {
    let mut found = Vec::new();
    for window in WINDOWS {
        // From the top on, where the index begins, there is nothing to look for.
        let from = if start.below == i64::MAX {
            0
        } else {
            start.below.saturating_sub(window).max(0)
        };
        found = rows(from, start.below, start.skip, limit)?;
        if from == 0 || i64::try_from(found.len()).is_ok_and(|some| some >= limit) {
            break;
        }
    }
    Ok(found)
}

/// Published posts or drafts, of all or of an author: their positions first, which the index
/// alone tells.
fn load_between(
    conn: &mut Conn,
    filter: &Filter,
    deleted: &[i64],
    start: Start,
    limit: i64,
) -> QueryResult<Vec<PostSummary>> {
    let positions = in_windows(start, limit, |from, below, skip, limit| {
        let mut positions = post::table
            .filter(post::published.eq(filter.published()))
            .filter(post::place.ge(from))
            .filter(post::place.lt(below))
            .into_boxed();
        if let Some(author) = filter.only_author() {
            positions = positions.filter(post::author_id.eq(author));
        }
        if !deleted.is_empty() {
            positions = positions.filter(post::author_id.ne_all(deleted));
        }
        positions
            .order(post::place.desc())
            .offset(skip)
            .limit(limit)
            .select(post::place)
            .load::<i64>(conn)
    })?;
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else {
        return Ok(Vec::new());
    };
    let mut shown = post::table
        .left_join(user::table)
        .filter(post::published.eq(filter.published()))
        .filter(post::place.between(last, first))
        .into_boxed();
    if let Some(author) = filter.only_author() {
        shown = shown.filter(post::author_id.eq(author));
    }
    if !deleted.is_empty() {
        shown = shown.filter(post::author_id.ne_all(deleted));
    }
    shown
        .order(post::place.desc())
        .select(summary_columns!())
        .load(conn)
}

fn load_tagged(
    conn: &mut Conn,
    (filter, deleted): (&Filter, &[i64]),
    tag: &Tag,
    start: Start,
    limit: i64,
) -> QueryResult<Vec<i64>> {
    in_windows(start, limit, |from, below, skip, limit| {
        let mut query = post_tag::table
            .filter(post_tag::tag.eq(&tag.0))
            .filter(post_tag::published.eq(filter.published()))
            .filter(post_tag::place.ge(from))
            .filter(post_tag::place.lt(below))
            .into_boxed();
        if let Some(author) = filter.only_author() {
            query = query.filter(post_tag::author_id.eq(author));
        }
        if !deleted.is_empty() {
            query = query.filter(post_tag::author_id.ne_all(deleted));
        }
        query
            .order(post_tag::place.desc())
            .offset(skip)
            .limit(limit)
            .select(post_tag::post_id)
            .load(conn)
    })
}

/// The posts with these ids, newest first.
fn load_summaries(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<PostSummary>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut summaries: Vec<PostSummary> = post::table
        .left_join(user::table)
        .filter(any_of(post::post_id, ids))
        .select(summary_columns!())
        .load(conn)?;
    summaries.sort_unstable_by_key(|post| std::cmp::Reverse(post.position));
    Ok(summaries)
}
