//! The rows of who follows whom, and how many there are. Every query goes along an index.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch};
use crate::core::db::schema::{follow, user_stat};
use crate::core::page::{DEPTH, ListPart, Listed};
use crate::social::types::{FollowList, StoredFollow};

/// Additions to what is counted of users: user, kind of count, and by how many; in the order of the
/// rows, so that two transactions do not lock them crosswise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions(BTreeMap<(i64, i32), i64>);

impl Additions {
    pub fn add(&mut self, user_id: i64, kind: i32, by: i64) {
        *self.0.entry((user_id, kind)).or_default() += by;
    }

    /// Counts `by` more of one who follows another.
    pub fn add_follow(&mut self, follower_id: i64, whom: i64, by: i64) {
        self.add(whom, FollowList::Followers.kind(), by);
        self.add(follower_id, FollowList::Following.kind(), by);
    }

    /// Of whom they are, each once.
    pub fn user_ids(&self) -> Vec<i64> {
        let mut user_ids: Vec<i64> = self.0.keys().map(|(user_id, _)| *user_id).collect();
        user_ids.dedup();
        user_ids
    }

    /// Writes them.
    pub fn write(&self, conn: &mut Conn) -> QueryResult<()> {
        let mut batch = Batch::new(conn);
        let rows = self.0.iter().filter(|(_, by)| **by != 0);
        batch.add_user_stats(rows.map(|(key, by)| (*key, *by)));
        batch.run(conn)
    }
}

/// Inserts that one follows another; whether they did not.
pub fn insert(
    conn: &mut Conn,
    follower_id: i64,
    whom: i64,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let row = (
        follow::follower_id.eq(follower_id),
        follow::followed_id.eq(whom),
        follow::created.eq(now),
    );
    let inserted = match conn {
        Conn::Sqlite(c) => diesel::insert_or_ignore_into(follow::table)
            .values(row)
            .execute(c)?,
        Conn::Mysql(c) => diesel::insert_or_ignore_into(follow::table)
            .values(row)
            .execute(c)?,
    };
    Ok(inserted == 1)
}

/// Deletes that one follows another; whether they did.
pub fn delete(conn: &mut Conn, follower_id: i64, whom: i64) -> QueryResult<bool> {
    let deleted = diesel::delete(
        follow::table
            .filter(follow::follower_id.eq(follower_id))
            .filter(follow::followed_id.eq(whom)),
    )
    .execute(conn)?;
    Ok(deleted == 1)
}

/// Of each of these users how many follow them, and how many they follow.
pub fn count_each(conn: &mut Conn, user_ids: &[i64]) -> QueryResult<HashMap<(i64, i32), i64>> {
    let slots: Vec<(i64, i32, i64)> = user_stat::table
        .filter(dialect::any_of(user_stat::user_id, user_ids))
        .select((user_stat::user_id, user_stat::kind, user_stat::number))
        .load(conn)?;
    let mut counts = HashMap::new();
    for (user_id, kind, number) in slots {
        *counts.entry((user_id, kind)).or_default() += number;
    }
    Ok(counts)
}

/// How many users a list has.
pub fn count(conn: &mut Conn, user_id: i64, list: FollowList) -> QueryResult<i64> {
    let slots: Vec<i64> = user_stat::table
        .filter(user_stat::user_id.eq(user_id))
        .filter(user_stat::kind.eq(list.kind()))
        .select(user_stat::number)
        .load(conn)?;
    Ok(slots.iter().sum())
}

/// Ids of a part of a list, the newest first, `count` being how many it has. Call it in a snapshot. Of
/// a page the rows before it are passed over in the index, up to [`DEPTH`].
pub fn load_part(
    conn: &mut Conn,
    user_id: i64,
    (list, count): (FollowList, i64),
    part: ListPart,
) -> QueryResult<Listed<i64>> {
    let (below, skip, size, count) = match part {
        ListPart::Page(request) => (i64::MAX, request.offset(), request.size, Some(count)),
        ListPart::Below { position, size } => (position.unwrap_or(i64::MAX), 0, size, None),
    };
    if skip > DEPTH || count.is_some_and(|count| skip >= count) {
        return Ok(Listed {
            rows: Vec::new(),
            count,
            next: None,
        });
    }
    // One more than shown tells whether there is more.
    let limit = i64::from(size) + 1;
    let ids = dialect::load_follow_ids(
        conn,
        list.rows_of(user_id),
        (0, below),
        false,
        (skip, limit),
    )?;
    let mut found = load_rows(conn, &ids)?;
    found.reverse();
    let has_more = found.len() > size as usize;
    found.truncate(size as usize);
    let next = found.last().map(|(id, ..)| *id).filter(|_| has_more);
    let shown = found.into_iter().map(|(_, follower, followed)| match list {
        FollowList::Followers => follower,
        FollowList::Following => followed,
    });
    let rows = shown.collect();
    Ok(Listed { rows, count, next })
}

/// Rows with these ids, of those that are there, the oldest first: id, follower, followed.
fn load_rows(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<(i64, i64, i64)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows: Vec<(i64, i64, i64)> = follow::table
        .filter(dialect::any_of(follow::follow_id, ids))
        .select((follow::follow_id, follow::follower_id, follow::followed_id))
        .load(conn)?;
    rows.sort_unstable();
    Ok(rows)
}

/// Which of these users one follows, in the order of their ids.
pub fn find_followed(conn: &mut Conn, follower_id: i64, user_ids: &[i64]) -> QueryResult<Vec<i64>> {
    follow::table
        .filter(follow::follower_id.eq(follower_id))
        .filter(dialect::any_of(follow::followed_id, user_ids))
        .order(follow::followed_id)
        .select(follow::followed_id)
        .load(conn)
}

/// Some whom a user follows after one, for exports.
pub fn load_following(
    conn: &mut Conn,
    user_id: i64,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<StoredFollow>> {
    let rows = FollowList::Following.rows_of(user_id);
    let behind = (after.saturating_add(1), i64::MAX);
    let ids = dialect::load_follow_ids(conn, rows, behind, true, (0, limit))?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: Vec<StoredFollow> = follow::table
        .filter(dialect::any_of(follow::follow_id, &ids))
        .select((follow::followed_id, follow::created, follow::follow_id))
        .load(conn)?;
    found.sort_unstable_by_key(|row| row.follow_id);
    Ok(found)
}

/// Deletes some of those who follow a user or whom they follow, at most `limit` of each; gives how
/// many of that kind of which there were more, and all users of whom something else is counted now.
/// Nothing is counted of the user any more when none is left.
pub fn delete_some_of(conn: &mut Conn, user_id: i64, limit: i64) -> QueryResult<(usize, Vec<i64>)> {
    let mut ids = Vec::new();
    let mut most = 0;
    for list in [FollowList::Followers, FollowList::Following] {
        let rows = list.rows_of(user_id);
        let some = dialect::load_follow_ids(conn, rows, (0, i64::MAX), true, (0, limit))?;
        most = most.max(some.len());
        ids.extend(some);
    }
    // In one order, so that two who follow each other and leave do not lock them crosswise.
    let found = load_rows(conn, &ids)?;
    let mut additions = Additions::default();
    for (follow_id, follower_id, whom) in found {
        // Whom somebody stops to follow at this moment was counted by them.
        if diesel::delete(follow::table.find(follow_id)).execute(conn)? == 1 {
            additions.add_follow(follower_id, whom, -1);
        }
    }
    additions.write(conn)?;
    if i64::try_from(most).is_ok_and(|most| most < limit) {
        diesel::delete(user_stat::table.filter(user_stat::user_id.eq(user_id))).execute(conn)?;
    }
    Ok((most, additions.user_ids()))
}

/// Some rows after one, for checks: id, follower, followed.
pub fn load_some(conn: &mut Conn, after: i64, limit: i64) -> QueryResult<Vec<(i64, i64, i64)>> {
    follow::table
        .filter(follow::follow_id.gt(after))
        .order(follow::follow_id)
        .limit(limit)
        .select((follow::follow_id, follow::follower_id, follow::followed_id))
        .load(conn)
}

/// All that is counted of some users after one, for checks: user, kind and number, a row for each
/// slot. The last user may not be whole.
pub fn load_counts(conn: &mut Conn, after: i64, limit: i64) -> QueryResult<Vec<(i64, i32, i64)>> {
    user_stat::table
        .filter(user_stat::user_id.gt(after))
        .order((user_stat::user_id, user_stat::kind, user_stat::slot))
        .limit(limit)
        .select((user_stat::user_id, user_stat::kind, user_stat::number))
        .load(conn)
}
