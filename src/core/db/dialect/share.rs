//! Locks that several transactions hold at the same time, so that a row stays while they write
//! what refers to it. (SQLite has one writer, which needs none.)
//!
//! As text: MySQL's `FOR SHARE` is unknown to MariaDB, and both know the older words.

use diesel::result::QueryResult;

use super::sql::Sql;
use crate::core::db::connection::Conn;

/// Has those of these posts that are there stay until the transaction ends; gives which those
/// are, in the order of their ids.
pub fn share_posts(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    let mut sql = Sql::default();
    sql.push("SELECT post_id AS number FROM post WHERE post_id IN (");
    sql.push_numbers(post_ids);
    sql.push(") ORDER BY post_id");
    share(conn, sql)
}

/// The same for users.
pub fn share_users(conn: &mut Conn, user_ids: &[i64]) -> QueryResult<Vec<i64>> {
    let mut sql = Sql::default();
    sql.push("SELECT user_id AS number FROM user WHERE user_id IN (");
    sql.push_numbers(user_ids);
    sql.push(") ORDER BY user_id");
    share(conn, sql)
}

/// The same for a comment; false when there is none.
pub fn share_comment(conn: &mut Conn, comment_id: i64) -> QueryResult<bool> {
    let mut sql = Sql::default();
    sql.push_number(
        "SELECT comment_id AS number FROM comment WHERE comment_id = ",
        comment_id,
    );
    Ok(!share(conn, sql)?.is_empty())
}

fn share(conn: &mut Conn, mut sql: Sql) -> QueryResult<Vec<i64>> {
    if is_mysql(conn) {
        sql.push(" LOCK IN SHARE MODE");
    }
    sql.load(conn)
}

fn is_mysql(conn: &Conn) -> bool {
    matches!(conn, Conn::Mysql(_))
}
