//! The search's index against the posts, both ways.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect;
use crate::core::db::schema::{content, post, post_unindexed, user};
use crate::core::progress::Progress;
use crate::posts::storage::posts::{summary_columns, words_of};
use crate::posts::stored::StoredPost;

/// Posts that are read at once with their texts.
const AT_ONCE: i64 = 16;
/// Words of the index that are read from one word of progress to the next.
const HEARD: u64 = 10_000;

/// What is wrong with the index.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Places in the index that are no post's.
    pub orphans: Vec<i64>,
    /// Posts that are found by other words than theirs, or by none, and are not marked as
    /// such that are to be indexed.
    pub wrong: Vec<i64>,
}

/// Compares the words of every post with the index. Call it in a snapshot: of each post it
/// keeps a place and a hash, some dozen bytes. `progress` hears how many posts were read.
pub fn compare(conn: &mut Conn, progress: Progress<'_>) -> QueryResult<Found> {
    let mut indexed: HashMap<i64, u64> = HashMap::new();
    let mut tokens = 0_u64;
    dialect::read_words(conn, &mut |place, token, number| {
        let sum = indexed.entry(place).or_default();
        *sum = sum.wrapping_add(hash(token, number));
        tokens += 1;
        // Of posts none is read yet.
        if tokens.is_multiple_of(HEARD) {
            progress(0)
        } else {
            Ok(())
        }
    })?;
    let pending: HashSet<i64> = post_unindexed::table
        .select(post_unindexed::post_id)
        .load(conn)?
        .into_iter()
        .collect();
    let mut found = Found::default();
    let (mut last, mut read) = (0, 0);
    loop {
        let posts: Vec<StoredPost> = post::table
            .inner_join(content::table)
            .left_join(user::table)
            .filter(post::post_id.gt(last))
            .order(post::post_id)
            .limit(AT_ONCE)
            .select((summary_columns!(), content::body))
            .load(conn)?;
        let Some(newest) = posts.last() else {
            break;
        };
        last = newest.summary.post_id;
        for post in &posts {
            let is_right =
                indexed.remove(&post.summary.position) == Some(sum_of(&words_of(post).text));
            if !is_right && !pending.contains(&post.summary.post_id) {
                found.wrong.push(post.summary.post_id);
            }
        }
        read += i64::try_from(posts.len()).unwrap_or(0);
        progress(read)?;
    }
    found.orphans = indexed.into_keys().collect();
    found.orphans.sort_unstable();
    Ok(found)
}

/// The sum of the hashes of tokens in their order, in whichever order they are added up.
fn sum_of(words: &str) -> u64 {
    let tokens = words.split_terminator(' ').enumerate();
    tokens.fold(0, |sum, (number, token)| {
        sum.wrapping_add(hash(token, number))
    })
}

fn hash(token: &str, number: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (number, token).hash(&mut hasher);
    hasher.finish()
}

/// Deletes what is indexed at places that are no post's. No post gets such a place: they
/// are given once.
pub fn delete_orphans(conn: &mut Conn, places: &[i64]) -> QueryResult<()> {
    dialect::delete_words(conn, places)
}
