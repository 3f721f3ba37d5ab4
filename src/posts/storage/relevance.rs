//! Lists of what a search found, in the order of how well it fits.
//!
//! Only so many posts are weighed against each other: the newest [`RANKED`] that were found, and the
//! newest that have all words in their title. What is known of them without their contents tells
//! how well they fit, and nothing of it is the database's own, so that the order is one on both. The
//! others follow, newest first.

use std::cmp::Reverse;
use std::collections::HashSet;

use diesel::prelude::*;

use super::lists::Part;
use super::selection::Selection;
use crate::core::db::Conn;
use crate::core::page::{DEPTH, ListPart, Listed};
use crate::posts::list::Cursor;
use crate::posts::search::{Candidate, Query, score};
use crate::posts::stored::PostSummary;

/// Posts that are weighed, of each kind. A word that every other post has costs no more than one
/// that is in so many.
pub const RANKED: usize = 500;

/// A post that was weighed; the score of others is 0.
struct Ranked {
    score: i64,
    post: PostSummary,
}

impl Ranked {
    /// The higher, the further in front.
    fn rank(&self) -> (i64, i64) {
        (self.score, self.post.position)
    }
}

/// The posts that are weighed, in their order.
struct Ranking {
    posts: Vec<Ranked>,
    /// The positions of others are below this; `None` where there are none.
    others_below: Option<i64>,
}

/// Loads a part of what a search found. What is weighed comes whole by one statement: no more is asked where those are all, so that it is of
/// one moment without a snapshot. Of a search that finds more, the rest and the count may be of later moments.
pub fn load(
    conn: &mut Conn,
    selection: &Selection<'_>,
    query: &Query,
    part: ListPart<Cursor>,
) -> QueryResult<Part> {
    let ranking = rank(conn, selection, query)?;
    let found = i64::try_from(ranking.posts.len()).unwrap_or(i64::MAX);
    let (start, size, mut count) = match part {
        ListPart::Page(request) => {
            let count = match ranking.others_below {
                None => Some(found),
                Some(_) => selection.count(conn)?.map(|count| count.max(found)),
            };
            // What is passed over costs as much as what is counted.
            if request.offset() >= count.unwrap_or(DEPTH) {
                let (rows, next) = (Vec::new(), None);
                return Ok(Listed { rows, count, next });
            }
            (Start::Skip(request.offset()), request.size, count)
        }
        ListPart::Below { position, size } => match position {
            Some(Cursor::Ranked { score, position }) => {
                (Start::Behind(score, position), size, None)
            }
            _ => (Start::Skip(0), size, None),
        },
    };
    // One more than shown tells whether there is more.
    let limit = size as usize + 1;
    let Loaded {
        mut posts,
        has_more,
        behind,
    } = load_from(conn, (selection, query), ranking, start, limit)?;
    posts.truncate(size as usize);
    if let (Start::Skip(offset), false) = (start, posts.is_empty()) {
        // What came after it was counted is shown all the same.
        let shown = i64::try_from(posts.len()).unwrap_or(i64::MAX) + i64::from(has_more);
        count = count.map(|count| count.max(offset + shown));
    }
    let last = posts.last().map(Ranked::rank);
    let next = (last.or(behind).filter(|_| has_more))
        .map(|(score, position)| Cursor::Ranked { score, position });
    let rows = posts.into_iter().map(|ranked| ranked.post).collect();
    Ok(Listed { rows, count, next })
}

/// Where a part begins.
#[derive(Clone, Copy)]
enum Start {
    /// After so many.
    Skip(i64),
    /// Behind a post of this score and position.
    Behind(i64, i64),
}

/// Finds the posts that are weighed, and weighs them.
fn rank(conn: &mut Conn, selection: &Selection<'_>, query: &Query) -> QueryResult<Ranking> {
    let most = i64::try_from(RANKED).unwrap_or(i64::MAX);
    let mut found = selection.search(conn, query, (None, 0, most))?;
    let is_full = found.len() == RANKED;
    let positions = found.iter().map(|(post, _)| post.position);
    let others_below = positions.min().filter(|_| is_full);
    if is_full {
        let known: HashSet<i64> = found.iter().map(|(post, _)| post.post_id).collect();
        // Most of them are among the newest.
        let mut titled = selection.search_places(conn, &query.in_title(), (None, 0, most))?;
        titled.retain(|(post_id, _)| !known.contains(post_id));
        found.extend(selection.load_found(conn, &titled)?);
    }
    let mut posts: Vec<Ranked> = (found.into_iter())
        .map(|(post, weights)| Ranked {
            score: weigh(query, &post, &weights),
            post,
        })
        .collect();
    posts.sort_unstable_by_key(|ranked| Reverse(ranked.rank()));
    Ok(Ranking {
        posts,
        others_below,
    })
}

fn weigh(query: &Query, post: &PostSummary, weights: &[u8]) -> i64 {
    let tags = post.tags();
    let candidate = Candidate {
        title: &post.title,
        tags: &tags,
        author: &post.author,
        weights,
    };
    score(query, &candidate)
}

/// What was found from a start on.
struct Loaded {
    posts: Vec<Ranked>,
    /// Whether as many were found as were asked for.
    has_more: bool,
    /// The rank of the last that was found, which may be withdrawn by now.
    behind: Option<(i64, i64)>,
}

/// At most so many posts from a start on, those that were weighed, then the others.
fn load_from(
    conn: &mut Conn,
    (selection, query): (&Selection<'_>, &Query),
    ranking: Ranking,
    start: Start,
    limit: usize,
) -> QueryResult<Loaded> {
    let Ranking {
        posts: ranked,
        others_below,
    } = ranking;
    let skip = match start {
        Start::Skip(skip) => usize::try_from(skip).unwrap_or(usize::MAX),
        Start::Behind(score, position) => {
            ranked.partition_point(|post| post.rank() >= (score, position))
        }
    };
    let shown = ranked.len().saturating_sub(skip).min(limit);
    let Some(below) = others_below.filter(|_| shown < limit) else {
        return Ok(Loaded {
            posts: ranked.into_iter().skip(skip).take(limit).collect(),
            has_more: shown == limit,
            behind: None,
        });
    };
    let (below, others_skip) = match start {
        Start::Behind(0, position) => (below.min(position), 0),
        Start::Behind(..) => (below, 0),
        Start::Skip(_) => (below, skip.saturating_sub(ranked.len())),
    };
    // Some of them were weighed, because of their titles; others may have been moved here since.
    let weighed: HashSet<i64> = ranked.iter().map(|ranked| ranked.post.post_id).collect();
    let here = (ranked.iter()).filter(|ranked| ranked.post.position < below);
    let rest = limit - shown;
    let most = i64::try_from(others_skip + here.count() + rest).unwrap_or(i64::MAX);
    let found = selection.search_places(conn, query, (Some(below), 0, most))?;
    let others: Vec<(i64, i64)> = (found.into_iter())
        .filter(|(post_id, _)| !weighed.contains(post_id))
        .skip(others_skip)
        .take(rest)
        .collect();
    let has_more = others.len() == rest;
    let behind = others.last().map(|(_, position)| (0, *position));
    let others = selection.load_found(conn, &others)?;
    let mut posts: Vec<Ranked> = ranked.into_iter().skip(skip).take(limit).collect();
    posts.extend((others.into_iter()).map(|(post, _)| Ranked { score: 0, post }));
    Ok(Loaded {
        posts,
        has_more,
        behind,
    })
}
