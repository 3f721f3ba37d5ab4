//! The lists of those who follow a user and whom they follow, in their order: of two indexes that begin
//! with the user MySQL would take the other one, and sort all rows.

use diesel::prelude::*;

use super::sql::Sql;
use crate::core::db::connection::Conn;

/// Rows of a user, by one of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowRows {
    /// Those who follow the user.
    Followers(i64),
    /// Those whom the user follows.
    Following(i64),
}

/// The ids of rows from one id up to before another, the newest first or, `is_ascending`, the oldest;
/// after so many, and at most so many.
pub fn load_follow_ids(
    conn: &mut Conn,
    rows: FollowRows,
    (from, below): (i64, i64),
    is_ascending: bool,
    (skip, limit): (i64, i64),
) -> QueryResult<Vec<i64>> {
    let is_mysql = matches!(conn, Conn::Mysql(_));
    let (index, column, user_id) = match rows {
        FollowRows::Followers(user_id) => ("follow_followers", "followed_id", user_id),
        FollowRows::Following(user_id) => ("follow_following", "follower_id", user_id),
    };
    let hint = if is_mysql {
        "FORCE INDEX"
    } else {
        "INDEXED BY"
    };
    let index = if is_mysql {
        format!("({index})")
    } else {
        index.to_owned()
    };
    let mut sql = Sql::default();
    sql.push_number(
        &format!("SELECT follow_id AS number FROM follow {hint} {index} WHERE {column} = "),
        user_id,
    );
    sql.push_in_time(" AND ", "follow_id");
    sql.push_number(" AND follow_id >= ", from);
    sql.push_number(" AND follow_id < ", below);
    sql.push(" ORDER BY follow_id");
    sql.push(if is_ascending { "" } else { " DESC" });
    sql.push_number(" LIMIT ", limit);
    sql.push_number(" OFFSET ", skip);
    sql.load(conn)
}
