//! What the room of accounts asks about what a user said, in a transaction of its own.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::accounts::types::FollowCounts;
use crate::core::bus::Bus;
use crate::core::db::{Conn, dialect};
use crate::posts::actions::of_others;
use crate::posts::stats::{Stat, StatChanges};
use crate::social::events::{self, CommentsChanged, FollowsChanged};
use crate::social::storage::{comments, follows, likes};
use crate::social::types::{FollowList, StoredComment, StoredFollow, StoredLike};

/// Some of what a user left, which was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many rows of that kind of which there were most.
    pub rows: usize,
    changed: CommentsChanged,
    /// Who followed them or was followed.
    follows: FollowsChanged,
}

/// Deletes some of what a user whose row the transaction holds said, likes and follows, and of who
/// follows them, at most `limit` of each: comments that have replies leave their places without a
/// name. Whoever calls publishes it afterwards ([`announce`]), or that anything may have changed.
pub fn delete_some(
    conn: &mut Conn,
    user_id: i64,
    limit: i64,
    now: NaiveDateTime,
) -> QueryResult<Deleted> {
    let mut deleted = delete_some_comments(conn, user_id, limit, now)?;
    let (follows, user_ids) = follows::delete_some_of(conn, user_id, limit)?;
    deleted.rows = deleted.rows.max(follows);
    deleted.follows = FollowsChanged { user_ids };
    let liked = likes::load_of(conn, user_id, 0, limit)?;
    let post_ids: Vec<i64> = liked.iter().map(|like| like.post_id).collect();
    if post_ids.is_empty() {
        return Ok(deleted);
    }
    let counted = of_others::hold_all(conn, &post_ids)?;
    let mut changes = StatChanges::default();
    for post_id in likes::delete_of(conn, user_id, &post_ids)? {
        if counted.contains(&post_id) {
            changes.add(post_id, Stat::Likes, -1);
        }
    }
    of_others::count(conn, &changes)?;
    deleted.rows = deleted.rows.max(post_ids.len());
    deleted.changed.post_ids.extend(post_ids);
    Ok(deleted)
}

fn delete_some_comments(
    conn: &mut Conn,
    user_id: i64,
    limit: i64,
    now: NaiveDateTime,
) -> QueryResult<Deleted> {
    let found = comments::load_ids_of(conn, user_id, limit)?;
    if found.is_empty() {
        return Ok(Deleted::default());
    }
    let mut post_ids: Vec<i64> = found.iter().map(|(_, post_id)| *post_id).collect();
    post_ids.sort_unstable();
    post_ids.dedup();
    // Of a post that is gone nothing is counted any more.
    let counted = of_others::hold_all(conn, &post_ids)?;
    let ids: Vec<i64> = found.iter().map(|(comment_id, _)| *comment_id).collect();
    let held = dialect::lock_comments(conn, &ids)?;
    let answered = comments::find_answered(conn, &held)?;
    let (buried, deleted): (Vec<i64>, Vec<i64>) = held.iter().partition(|id| answered.contains(id));
    comments::bury(conn, &buried, now)?;
    comments::delete(conn, &deleted)?;
    let mut changes = StatChanges::default();
    for (comment_id, post_id) in &found {
        if !counted.contains(post_id) || !held.contains(comment_id) {
            continue;
        }
        changes.add(*post_id, Stat::Comments, -1);
        if deleted.contains(comment_id) {
            changes.add(*post_id, Stat::Entries, -1);
        }
    }
    of_others::count(conn, &changes)?;
    Ok(Deleted {
        rows: found.len(),
        changed: CommentsChanged {
            post_ids,
            comment_ids: ids,
        },
        follows: FollowsChanged::default(),
    })
}

/// Publishes what was deleted, after the commit.
pub fn announce(bus: &Bus, deleted: &Deleted) {
    if deleted.rows > 0 {
        events::comments_counted(bus, &deleted.changed);
        if !deleted.follows.user_ids.is_empty() {
            bus.publish(&deleted.follows);
        }
    }
}

/// Rows that an export loads at once.
const AT_ONCE: i64 = 100;

/// Some comments of a user after one, the oldest first; none are the end.
pub fn load_comments_after(
    conn: &mut Conn,
    user_id: i64,
    after: i64,
) -> QueryResult<Vec<StoredComment>> {
    comments::load_of(conn, user_id, after, AT_ONCE)
}

/// Some likes of a user of posts after one, in the order of the posts; none are the end.
pub fn load_likes_after(conn: &mut Conn, user_id: i64, after: i64) -> QueryResult<Vec<StoredLike>> {
    likes::load_of(conn, user_id, after, AT_ONCE)
}

/// Some whom a user follows after one; none are the end.
pub fn load_following_after(
    conn: &mut Conn,
    user_id: i64,
    after: i64,
) -> QueryResult<Vec<StoredFollow>> {
    follows::load_following(conn, user_id, after, AT_ONCE)
}

/// How many follow a user, and how many they follow.
pub fn count_follows(conn: &mut Conn, user_id: i64) -> QueryResult<FollowCounts> {
    let counts = count_follows_of_each(conn, &[user_id])?;
    Ok(counts.first().copied().unwrap_or_default())
}

/// The same of each of these users, in their order.
pub fn count_follows_of_each(conn: &mut Conn, user_ids: &[i64]) -> QueryResult<Vec<FollowCounts>> {
    let counts = follows::count_each(conn, user_ids)?;
    let count = |user_id: i64, list: FollowList| {
        let number = counts.get(&(user_id, list.kind()));
        number.copied().unwrap_or(0)
    };
    Ok((user_ids.iter())
        .map(|id| FollowCounts {
            followers: count(*id, FollowList::Followers),
            following: count(*id, FollowList::Following),
        })
        .collect())
}
