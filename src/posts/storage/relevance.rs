//! Lists of what a search found, in the order of how well it fits.
//!
//! Only so many posts are weighed against each other: the newest [`RANKED`] that were found, and the
//! newest that have all words in their title. What is known of them without their contents tells
//! how well they fit, and nothing of it is the database's own, so that the order is one on both. The
//! others follow, newest first.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::lists::Part;
use super::posts::summary_columns;
use super::selection::{Selection, load_summaries};
use crate::core::db::Conn;
use crate::core::db::dialect::any_of;
use crate::core::db::schema::{post, user};
use crate::core::page::{DEPTH, ListPart, Listed};
use crate::posts::list::Cursor;
use crate::posts::search::{Candidate, Query, score};
use crate::posts::stored::{PostSummary, split_tags};

/// Posts that are weighed, of each kind. A word that every other post has costs no more than one
/// that is in so many.
pub const RANKED: usize = 500;

/// A post that was weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranked {
    score: i64,
    position: i64,
    post_id: i64,
}

impl Ranked {
    /// The higher, the further in front.
    fn rank(&self) -> (i64, i64) {
        (self.score, self.position)
    }
}

/// Posts that are read whole to be weighed, where there are no more: most of them are shown then.
const FEW: usize = 32;

/// The posts that are weighed, in their order.
struct Ranking {
    posts: Vec<Ranked>,
    /// All of them, where they are [`FEW`].
    summaries: HashMap<i64, PostSummary>,
    /// The positions of others are below this; `None` where there are none.
    others_below: Option<i64>,
}

/// Loads a part of what a search found. Call it in a snapshot.
pub fn load(
    conn: &mut Conn,
    selection: &Selection<'_>,
    query: &Query,
    part: ListPart<Cursor>,
) -> QueryResult<Part> {
    let mut ranking = rank(conn, selection, query)?;
    let found = i64::try_from(ranking.posts.len()).unwrap_or(i64::MAX);
    let (start, size, count) = match part {
        ListPart::Page(request) => {
            let count = match ranking.others_below {
                None => Some(found),
                Some(_) => selection.count(conn)?,
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
    let mut posts = load_from(conn, (selection, query), &ranking, start, limit)?;
    let has_more = posts.len() == limit;
    posts.truncate(size as usize);
    let ids: Vec<i64> = posts.iter().map(|post| post.1).collect();
    let rows = ranking.take_summaries(conn, &ids)?;
    let last = posts.last().zip(rows.last()).filter(|_| has_more);
    let next = last.map(|((score, _), post)| Cursor::Ranked {
        score: *score,
        position: post.position,
    });
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
    let newest = selection.search(conn, query, (None, 0, most))?;
    let mut ids = newest.clone();
    let is_full = newest.len() == RANKED;
    if is_full {
        ids.extend(selection.search(conn, &query.in_title(), (None, 0, most))?);
        ids.sort_unstable();
        ids.dedup();
    }
    let (mut posts, summaries) = if ids.len() <= FEW {
        weigh_few(conn, query, &ids)?
    } else {
        (weigh(conn, query, &ids)?, HashMap::new())
    };
    let newest: HashSet<i64> = newest.into_iter().collect();
    let others_below = posts
        .iter()
        .filter(|post| newest.contains(&post.post_id))
        .map(|post| post.position)
        .min()
        .filter(|_| is_full);
    posts.sort_unstable_by_key(|post| Reverse(post.rank()));
    Ok(Ranking {
        posts,
        summaries,
        others_below,
    })
}

impl Ranking {
    /// The posts with these ids, in their order; what was read already only once.
    fn take_summaries(&mut self, conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<PostSummary>> {
        let summaries: Option<Vec<PostSummary>> =
            (ids.iter().map(|id| self.summaries.remove(id))).collect();
        match summaries {
            Some(summaries) => Ok(summaries),
            None => load_summaries(conn, ids),
        }
    }
}

/// Id, position, title, tags, weights and author's name of a post.
type Row = (i64, i64, String, String, Vec<u8>, Option<String>);

fn weigh(conn: &mut Conn, query: &Query, ids: &[i64]) -> QueryResult<Vec<Ranked>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = post::table
        .left_join(user::table)
        .filter(any_of(post::post_id, ids))
        .select((
            post::post_id,
            post::place,
            post::title,
            post::tags,
            post::weights,
            user::name.nullable(),
        ))
        .load(conn)?;
    let weigh = |(post_id, position, title, tags, weights, name): &Row| {
        let name = name.as_deref().unwrap_or_default();
        weighed(query, (*post_id, *position), (title, tags, name, weights))
    };
    Ok(rows.iter().map(weigh).collect())
}

/// The same of a few, which come whole.
fn weigh_few(
    conn: &mut Conn,
    query: &Query,
    ids: &[i64],
) -> QueryResult<(Vec<Ranked>, HashMap<i64, PostSummary>)> {
    if ids.is_empty() {
        return Ok((Vec::new(), HashMap::new()));
    }
    let rows: Vec<(PostSummary, Vec<u8>)> = post::table
        .left_join(user::table)
        .filter(any_of(post::post_id, ids))
        .select((summary_columns!(), post::weights))
        .load(conn)?;
    let weigh = |(post, weights): &(PostSummary, Vec<u8>)| {
        let fields = (&*post.title, &*post.tags, &*post.author, &**weights);
        weighed(query, (post.post_id, post.position), fields)
    };
    let posts = rows.iter().map(weigh).collect();
    let summaries = (rows.into_iter()).map(|(post, _)| (post.post_id, post));
    Ok((posts, summaries.collect()))
}

/// `fields`: title, tags, the author's name and weights.
fn weighed(
    query: &Query,
    (post_id, position): (i64, i64),
    (title, tags, author, weights): (&str, &str, &str, &[u8]),
) -> Ranked {
    let tags: Vec<&str> = split_tags(tags).collect();
    let candidate = Candidate {
        title,
        tags: &tags,
        author,
        weights,
    };
    Ranked {
        score: score(query, &candidate),
        position,
        post_id,
    }
}

/// Scores and ids of posts from a start on: those that were weighed, then the others, whose score
/// is 0.
fn load_from(
    conn: &mut Conn,
    (selection, query): (&Selection<'_>, &Query),
    ranking: &Ranking,
    start: Start,
    limit: usize,
) -> QueryResult<Vec<(i64, i64)>> {
    let skip = match start {
        Start::Skip(skip) => usize::try_from(skip).unwrap_or(usize::MAX),
        Start::Behind(score, position) => {
            let is_before = |post: &Ranked| post.rank() >= (score, position);
            ranking.posts.partition_point(is_before)
        }
    };
    let mut posts: Vec<(i64, i64)> = (ranking.posts.iter().skip(skip).take(limit))
        .map(|post| (post.score, post.post_id))
        .collect();
    let Some(below) = ranking.others_below.filter(|_| posts.len() < limit) else {
        return Ok(posts);
    };
    let (below, skip) = match start {
        Start::Behind(0, position) => (below.min(position), 0),
        Start::Behind(..) => (below, 0),
        Start::Skip(_) => (below, skip.saturating_sub(ranking.posts.len())),
    };
    // Some of them were weighed, because of their titles.
    let weighed: HashSet<i64> = (ranking.posts.iter())
        .filter(|post| post.position < below)
        .map(|post| post.post_id)
        .collect();
    let most = skip + weighed.len() + limit - posts.len();
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let found = selection.search(conn, query, (Some(below), 0, most))?;
    let others = (found.into_iter())
        .filter(|post_id| !weighed.contains(post_id))
        .skip(skip)
        .map(|post_id| (0, post_id));
    posts.extend(others.take(limit - posts.len()));
    Ok(posts)
}
