//! The rows of likes: at most one of a user and a post. Every query goes along an index.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect;
use crate::core::db::schema::post_like;
use crate::social::types::StoredLike;

/// Inserts a like; whether there was none.
pub fn insert(
    conn: &mut Conn,
    post_id: i64,
    user_id: i64,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let row = (
        post_like::post_id.eq(post_id),
        post_like::user_id.eq(user_id),
        post_like::created.eq(now),
    );
    let inserted = match conn {
        Conn::Sqlite(c) => diesel::insert_or_ignore_into(post_like::table)
            .values(row)
            .execute(c)?,
        Conn::Mysql(c) => diesel::insert_or_ignore_into(post_like::table)
            .values(row)
            .execute(c)?,
    };
    Ok(inserted == 1)
}

/// Takes a like back; whether there was one.
pub fn delete(conn: &mut Conn, post_id: i64, user_id: i64) -> QueryResult<bool> {
    let deleted = diesel::delete(post_like::table.find((post_id, user_id))).execute(conn)?;
    Ok(deleted == 1)
}

/// Which of these posts a user likes.
pub fn find_of(conn: &mut Conn, user_id: i64, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    post_like::table
        .filter(post_like::user_id.eq(user_id))
        .filter(dialect::any_of(post_like::post_id, post_ids))
        .order(post_like::post_id)
        .select(post_like::post_id)
        .load(conn)
}

/// Some likes of a user of posts after one, in the order of the posts.
pub fn load_of(
    conn: &mut Conn,
    user_id: i64,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<StoredLike>> {
    post_like::table
        .filter(post_like::user_id.eq(user_id))
        .filter(post_like::post_id.gt(after))
        .order((post_like::user_id, post_like::post_id))
        .limit(limit)
        .select((post_like::post_id, post_like::created))
        .load(conn)
}

/// Takes back a user's likes of these posts; gives of which there was one.
pub fn delete_of(conn: &mut Conn, user_id: i64, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    let mut deleted = Vec::new();
    for post_id in post_ids {
        if delete(conn, *post_id, user_id)? {
            deleted.push(*post_id);
        }
    }
    Ok(deleted)
}

/// Deletes some likes of a post; gives how many.
pub fn delete_some_of_post(conn: &mut Conn, post_id: i64, limit: i64) -> QueryResult<usize> {
    let users: Vec<i64> = post_like::table
        .filter(post_like::post_id.eq(post_id))
        .order((post_like::post_id, post_like::user_id))
        .limit(limit)
        .select(post_like::user_id)
        .load(conn)?;
    if users.is_empty() {
        return Ok(0);
    }
    diesel::delete(
        post_like::table
            .filter(post_like::post_id.eq(post_id))
            .filter(dialect::any_of(post_like::user_id, &users)),
    )
    .execute(conn)
}

/// Post and user of some likes after one, for checks; a few, or none are the end.
pub fn load_some(
    conn: &mut Conn,
    (post_id, user_id): (i64, i64),
    limit: i64,
) -> QueryResult<Vec<(i64, i64)>> {
    let columns = (post_like::post_id, post_like::user_id);
    // With both in one query the database would read all likes of the post.
    let of_post: Vec<(i64, i64)> = post_like::table
        .filter(post_like::post_id.eq(post_id))
        .filter(post_like::user_id.gt(user_id))
        .order((post_like::post_id, post_like::user_id))
        .limit(limit)
        .select(columns)
        .load(conn)?;
    if !of_post.is_empty() {
        return Ok(of_post);
    }
    post_like::table
        .filter(post_like::post_id.gt(post_id))
        .order((post_like::post_id, post_like::user_id))
        .limit(limit)
        .select(columns)
        .load(conn)
}
