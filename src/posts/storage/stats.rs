//! The rows of what is counted of posts ([`Stat`]).

use diesel::prelude::*;

use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch};
use crate::core::db::schema::post_stat;
use crate::posts::stats::{Stat, StatChanges};

/// Writes additions.
pub fn add(conn: &mut Conn, changes: &StatChanges) -> QueryResult<()> {
    let mut batch = Batch::new(conn);
    batch.add_post_stats(changes.rows());
    batch.run(conn)
}

/// How many there are of a post.
pub fn count(conn: &mut Conn, post_id: i64, stat: Stat) -> QueryResult<i64> {
    let slots: Vec<i64> = post_stat::table
        .filter(post_stat::post_id.eq(post_id))
        .filter(post_stat::kind.eq(stat.kind()))
        .select(post_stat::number)
        .load(conn)?;
    Ok(slots.iter().sum())
}

/// Of which of these posts something is counted.
pub fn find_counted(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    post_stat::table
        .filter(dialect::any_of(post_stat::post_id, post_ids))
        .select(post_stat::post_id)
        .distinct()
        .load(conn)
}

/// Forgets what is counted of a post that is gone.
pub fn delete_of(conn: &mut Conn, post_id: i64) -> QueryResult<usize> {
    diesel::delete(post_stat::table.filter(post_stat::post_id.eq(post_id))).execute(conn)
}

/// Post, kind, slot and number of some rows after one, in the order of their key.
pub fn load_some(
    conn: &mut Conn,
    (post_id, kind, slot): (i64, i32, i32),
    limit: i64,
) -> QueryResult<Vec<(i64, i32, i32, i64)>> {
    let after = post_stat::post_id.gt(post_id).or(post_stat::post_id
        .eq(post_id)
        .and(post_stat::kind.gt(kind))
        .or(post_stat::post_id
            .eq(post_id)
            .and(post_stat::kind.eq(kind))
            .and(post_stat::slot.gt(slot))));
    post_stat::table
        .filter(post_stat::post_id.ge(post_id))
        .filter(after)
        .order((post_stat::post_id, post_stat::kind, post_stat::slot))
        .limit(limit)
        .select((
            post_stat::post_id,
            post_stat::kind,
            post_stat::slot,
            post_stat::number,
        ))
        .load(conn)
}
