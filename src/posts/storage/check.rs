//! Consistency of derived rows (the counts of lists, what tags and the search find) with
//! the posts, and their repair. For the rows of tags see [`tags`], for words [`words`].

pub mod tags;
pub mod upkeep;
pub mod words;

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::posts;
use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch};
use crate::core::db::schema::{post, post_count, post_unindexed};
use crate::core::progress::Progress;
use crate::posts::list::List;
use crate::posts::search::PostWords;
use crate::posts::storage::counts::{self, Additions, Block};
use crate::posts::stored::{StoredPost, split_tags};

/// Posts that are read at once, and counts.
const SOME: i64 = 5000;
/// Posts that are indexed in one transaction: others that write wait for it.
const INDEXED_AT_ONCE: i64 = 16;
/// Bytes of their texts after which there are enough.
const INDEXED_BYTES: usize = 1 << 20;

/// Id, author, whether it is published, place, tags and date of a post.
type PostRow = (i64, i64, bool, i64, String, NaiveDateTime);

/// Some posts after an id, in the order of their ids.
fn load_some(conn: &mut Conn, after: i64) -> QueryResult<Vec<PostRow>> {
    post::table
        .filter(post::post_id.gt(after))
        .order(post::post_id)
        .limit(SOME)
        .select((
            post::post_id,
            post::author_id,
            post::published,
            post::place,
            post::tags,
            post::date,
        ))
        .load(conn)
}

/// What must be added to the kept counts so that they say what the posts say; empty
/// when they do. Call it in a snapshot. `progress` hears how many posts were read. Months of published posts and
/// tags are left out until a server has counted them.
pub fn missing_counts(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<Vec<(Block, i64)>> {
    let mut missing = missing_of_all(conn, progress)?;
    if !upkeep::load(conn)?.filled {
        missing.retain(|((_, level, _), _)| [counts::DAYS, counts::PARTS].contains(level));
    }
    Ok(missing)
}

/// The same with months and tags in any case.
pub fn missing_of_all(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<Vec<(Block, i64)>> {
    let mut truth = Additions::default();
    let (mut last, mut read) = (0, 0);
    loop {
        let rows = load_some(conn, last)?;
        let Some((newest, ..)) = rows.last() else {
            break;
        };
        last = *newest;
        read += i64::try_from(rows.len()).unwrap_or(0);
        for (_, author_id, published, position, tags, date) in &rows {
            for list in List::that_count(*published, *author_id, split_tags(tags)) {
                truth.add(&list, *position, *date, 1);
            }
        }
        progress(read)?;
    }
    let kept: Vec<(String, i32, i64, i64)> = post_count::table
        .filter(post_count::level.ne_all(counts::OF_BEFORE))
        .select((
            post_count::list,
            post_count::level,
            post_count::block,
            post_count::posts,
        ))
        .load(conn)?;
    for (list, level, block, posts) in kept {
        truth.subtract((list, level, block), posts);
    }
    Ok(truth
        .rows()
        .map(|(block, by)| (block.clone(), by))
        .collect())
}

/// Adds what was missing. Right beside others that publish: the difference stays the
/// same, whatever they add in the meantime.
pub fn add_missing(conn: &mut Conn, missing: &[(Block, i64)]) -> QueryResult<()> {
    let mut batch = Batch::new(conn);
    batch.add_counts(missing.iter().map(|(block, by)| (block, *by)));
    batch.run(conn)
}

/// Marks every post as one whose words and tags are to be indexed anew.
pub fn unindex_all(conn: &mut Conn) -> QueryResult<usize> {
    diesel::delete(post_unindexed::table).execute(conn)?;
    diesel::insert_into(post_unindexed::table)
        .values(post::table.select(post::post_id))
        .into_columns(post_unindexed::post_id)
        .execute(conn)
}

/// Marks some posts so. Others may mark them at the same time.
pub fn unindex(conn: &mut Conn, ids: &[i64]) -> QueryResult<()> {
    diesel::delete(post_unindexed::table.filter(post_unindexed::post_id.eq_any(ids)))
        .execute(conn)?;
    let rows: Vec<_> = (ids.iter())
        .map(|id| post_unindexed::post_id.eq(*id))
        .collect();
    match conn {
        Conn::Sqlite(c) => diesel::insert_or_ignore_into(post_unindexed::table)
            .values(rows)
            .execute(c),
        Conn::Mysql(c) => diesel::insert_or_ignore_into(post_unindexed::table)
            .values(rows)
            .execute(c),
    }
    .map(drop)
}

/// Ids of published posts or drafts of an author whose positions are behind `after`, at most
/// `limit`, and the last position where there may be more.
pub fn load_written(
    conn: &mut Conn,
    (author_id, published): (i64, bool),
    after: i64,
    limit: i64,
) -> QueryResult<(Vec<i64>, Option<i64>)> {
    let rows: Vec<(i64, i64)> = post::table
        .filter(post::author_id.eq(author_id))
        .filter(post::published.eq(published))
        .filter(post::place.gt(after))
        .order(post::place)
        .limit(limit)
        .select((post::post_id, post::place))
        .load(conn)?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|found| found >= limit);
    let last = rows.last().map(|row| row.1).filter(|_| is_full);
    Ok((rows.into_iter().map(|row| row.0).collect(), last))
}

/// How many posts are still to be indexed.
pub fn count_unindexed(conn: &mut Conn) -> QueryResult<i64> {
    post_unindexed::table.count().get_result(conn)
}

/// Some posts that are to be indexed next.
#[derive(Default)]
pub struct Pending {
    /// How many there are, those included that were deleted meanwhile.
    number: i64,
    /// As they are, with their words once [`Pending::prepare`] has made them.
    posts: HashMap<i64, (StoredPost, PostWords)>,
}

/// Loads some posts that are to be indexed.
pub fn load_pending(conn: &mut Conn) -> QueryResult<Pending> {
    let ids: Vec<i64> = post_unindexed::table
        .order(post_unindexed::post_id)
        .limit(INDEXED_AT_ONCE)
        .select(post_unindexed::post_id)
        .load(conn)?;
    let mut pending = Pending::default();
    let mut size = 0;
    for id in ids {
        pending.number += 1;
        if let Some(post) = posts::find_post(conn, id)? {
            size += post.text.len();
            pending.posts.insert(id, (post, PostWords::default()));
        }
        if size > INDEXED_BYTES {
            break;
        }
    }
    Ok(pending)
}

impl Pending {
    /// Makes their words: outside of transactions, for it takes its time.
    pub fn prepare(&mut self) {
        for (post, words) in self.posts.values_mut() {
            *words = posts::words_of(post);
        }
    }
}

/// Indexes some posts of those that are to be; gives how many there were. Several
/// processes may do it side by side: of those that another one has at hand, it takes the
/// next.
pub fn index_some(conn: &mut Conn, pending: &Pending) -> QueryResult<usize> {
    let ids = dialect::claim_unindexed(conn, pending.number)?;
    for id in &ids {
        posts::index_again(conn, *id, pending.posts.get(id))?;
    }
    diesel::delete(post_unindexed::table.filter(post_unindexed::post_id.eq_any(&ids)))
        .execute(conn)?;
    Ok(ids.len())
}
