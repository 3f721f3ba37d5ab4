//! Lists of posts, newest first: which posts (`Filter`), which part of them
//! (`Part`), and how they are read. Every one goes along an index, and only the
//! posts that are shown are read.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::counts::{self, List, Start};
use super::posts::{PostHead, head_columns};
use crate::core::db::Conn;
use crate::core::db::dialect::SearchQuery;
use crate::core::db::schema::{content, post, post_tag, user};
use crate::http::page::PageRequest;
use crate::posts::search::Query;
use crate::posts::types::Tag;

/// Which posts.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub author: Option<i64>,
    pub tag: Option<Tag>,
    pub words: Option<Query>,
    /// Drafts of this user, not published posts.
    pub drafts_of: Option<i64>,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// By number, with the count of all.
    Page(PageRequest),
    /// What comes after a cursor; from the top without one.
    Below { place: Option<i64>, size: u32 },
}

/// A part of a list.
#[derive(Debug)]
pub struct Listed {
    pub heads: Vec<PostHead>,
    /// All posts that the filter takes; only for pages.
    pub count: Option<i64>,
    /// The cursor for what follows, where there is more.
    pub next: Option<i64>,
}

impl Filter {
    /// Whether it takes every published post.
    pub fn is_open(&self) -> bool {
        self.counted() == Some(List::All)
    }

    fn published(&self) -> bool {
        self.drafts_of.is_none()
    }

    fn author(&self) -> Option<i64> {
        self.drafts_of.or(self.author)
    }

    /// Whether no post can fit: drafts of somebody else, words that are none.
    fn is_impossible(&self) -> bool {
        let others_draft =
            self.drafts_of.is_some() && self.author.is_some() && self.drafts_of != self.author;
        others_draft || self.words.as_ref().is_some_and(Query::is_empty)
    }

    /// The list that is just this, where its posts are counted.
    fn counted(&self) -> Option<List> {
        match (self.author(), &self.tag, &self.words) {
            (_, _, Some(_)) | (Some(_), Some(_), None) => None,
            (None, None, None) => Some(List::All),
            (Some(author), None, None) if self.published() => Some(List::Author(author)),
            (Some(author), None, None) => Some(List::Drafts(author)),
            (None, Some(tag), None) => Some(List::Tag(tag.0.clone())),
        }
    }
}

/// Reads a part of a list. Call it in a snapshot: its queries belong together.
pub fn load(conn: &mut Conn, filter: &Filter, part: Part) -> QueryResult<Listed> {
    match part {
        Part::Page(request) => load_page(conn, filter, request),
        Part::Below { place, size } => {
            let below = place.unwrap_or(i64::MAX);
            let size = i64::from(size);
            // One more than shown tells whether there is more.
            let mut heads = load_some(conn, filter, Start { below, skip: 0 }, size + 1)?;
            let has_more = i64::try_from(heads.len()).is_ok_and(|found| found > size);
            if has_more {
                heads.pop();
            }
            let next = heads.last().filter(|_| has_more).map(|last| last.place);
            Ok(Listed {
                heads,
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
) -> QueryResult<Vec<(PostHead, String)>> {
    let below = i64::MAX;
    let heads = load_some(conn, filter, Start { below, skip: 0 }, i64::from(size))?;
    let ids: Vec<i64> = heads.iter().map(|head| head.post_id).collect();
    let mut texts: HashMap<i64, String> = content::table
        .filter(content::post_id.eq_any(&ids))
        .select((content::post_id, substr(content::body, 1, characters)))
        .load::<(i64, String)>(conn)?
        .into_iter()
        .collect();
    // Every post has a text: both are written in one transaction.
    Ok(heads
        .into_iter()
        .filter_map(|head| texts.remove(&head.post_id).map(|text| (head, text)))
        .collect())
}

fn load_page(conn: &mut Conn, filter: &Filter, request: PageRequest) -> QueryResult<Listed> {
    let offset = request.offset();
    let (count, start) = if filter.is_impossible() {
        (0, None)
    } else if let Some(list) = filter.counted() {
        counts::find_start(conn, &list, offset)?
    } else {
        let count = count_matches(conn, filter)?;
        let below = i64::MAX;
        let start = (offset < count).then_some(Start {
            below,
            skip: offset,
        });
        (count, start)
    };
    let size = i64::from(request.size);
    let heads = match start {
        Some(start) => load_some(conn, filter, start, size)?,
        None => Vec::new(),
    };
    let next = heads
        .last()
        .filter(|_| offset.saturating_add(size) < count)
        .map(|last| last.place);
    Ok(Listed {
        heads,
        count: Some(count),
        next,
    })
}

/// How many posts a filter takes whose posts are not counted: the matches themselves
/// are, along their index.
fn count_matches(conn: &mut Conn, filter: &Filter) -> QueryResult<i64> {
    if let Some(wanted) = filter.words.as_ref().map(Needle::of) {
        return wanted.with(filter).count(conn);
    }
    let mut query = post_tag::table
        .filter(post_tag::published.eq(filter.published()))
        .into_boxed();
    if let Some(author) = filter.author() {
        query = query.filter(post_tag::author_id.eq(author));
    }
    if let Some(tag) = &filter.tag {
        query = query.filter(post_tag::tag.eq(&tag.0));
    }
    query.count().get_result(conn)
}

/// The query in both languages.
struct Needle {
    fts5: String,
    mysql: String,
}

impl Needle {
    fn of(query: &Query) -> Self {
        Self {
            fts5: query.to_fts5(),
            mysql: query.to_mysql(),
        }
    }

    fn with<'a>(&'a self, filter: &'a Filter) -> SearchQuery<'a> {
        SearchQuery {
            fts5: &self.fts5,
            mysql: &self.mysql,
            published: filter.published(),
            author: filter.author(),
            tag: filter.tag.as_ref().map(|tag| tag.0.as_str()),
        }
    }
}

fn load_some(
    conn: &mut Conn,
    filter: &Filter,
    start: Start,
    limit: i64,
) -> QueryResult<Vec<PostHead>> {
    if filter.is_impossible() {
        return Ok(Vec::new());
    }
    if let Some(query) = &filter.words {
        let needle = Needle::of(query);
        let ids = needle
            .with(filter)
            .load_ids(conn, start.below, start.skip, limit)?;
        return load_heads(conn, &ids);
    }
    if let Some(tag) = &filter.tag {
        let ids = load_tagged(conn, filter, tag, start, limit)?;
        return load_heads(conn, &ids);
    }
    load_between(conn, filter, start, limit)
}

/// Places that are looked through at once, when one knows where to begin. The first has
/// room for the rows that are skipped and a page, where all posts are in the list.
pub(super) const WINDOWS: [i64; 5] = [1 << 10, 1 << 13, 1 << 16, 1 << 20, i64::MAX];

/// Rows of a list from `start` on. `rows` reads those from one place up to before another,
/// after so many, and at most so many.
///
/// With an open end the optimizer of MariaDB would follow the index from the very top, or
/// read and sort half of a large table, rather than begin in its middle; between two places
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

/// Published posts or drafts, of all or of an author: their places first, which the index
/// alone tells.
fn load_between(
    conn: &mut Conn,
    filter: &Filter,
    start: Start,
    limit: i64,
) -> QueryResult<Vec<PostHead>> {
    let places = in_windows(start, limit, |from, below, skip, limit| {
        let mut places = post::table
            .filter(post::published.eq(filter.published()))
            .filter(post::place.ge(from))
            .filter(post::place.lt(below))
            .into_boxed();
        if let Some(author) = filter.author() {
            places = places.filter(post::author_id.eq(author));
        }
        places
            .order(post::place.desc())
            .offset(skip)
            .limit(limit)
            .select(post::place)
            .load::<i64>(conn)
    })?;
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return Ok(Vec::new());
    };
    let mut shown = post::table
        .left_join(user::table)
        .filter(post::published.eq(filter.published()))
        .filter(post::place.between(last, first))
        .into_boxed();
    if let Some(author) = filter.author() {
        shown = shown.filter(post::author_id.eq(author));
    }
    shown
        .order(post::place.desc())
        .select(head_columns!())
        .load(conn)
}

fn load_tagged(
    conn: &mut Conn,
    filter: &Filter,
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
        if let Some(author) = filter.author() {
            query = query.filter(post_tag::author_id.eq(author));
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
fn load_heads(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<PostHead>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut heads: Vec<PostHead> = post::table
        .left_join(user::table)
        .filter(post::post_id.eq_any(ids))
        .select(head_columns!())
        .load(conn)?;
    heads.sort_unstable_by_key(|head| std::cmp::Reverse(head.place));
    Ok(heads)
}
