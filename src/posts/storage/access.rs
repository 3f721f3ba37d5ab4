//! Who may see a post, without the post.

use diesel::prelude::*;

use super::posts::summary_columns;
use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::dialect;
use crate::core::db::schema::{post, user};
use crate::posts::stored::{PostAccess, PostSummary};

/// Whose a post is, and who sees it; `None` when there is none, or its author was deleted.
pub fn find(conn: &mut Conn, post_id: i64) -> QueryResult<Option<PostAccess>> {
    post::table
        .inner_join(user::table)
        .filter(post::post_id.eq(post_id))
        .filter(user::role.ne(DELETED))
        .select((post::post_id, post::author_id, post::published))
        .first(conn)
        .optional()
}

/// A published post without its text.
pub fn find_summary(conn: &mut Conn, post_id: i64) -> QueryResult<Option<PostSummary>> {
    post::table
        .left_join(user::table)
        .filter(post::post_id.eq(post_id))
        .filter(post::published.eq(true))
        .filter(user::role.ne(DELETED))
        .select(summary_columns!())
        .first(conn)
        .optional()
}

/// Which of these posts everybody sees.
pub fn find_published(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    post::table
        .inner_join(user::table)
        .filter(dialect::any_of(post::post_id, post_ids))
        .filter(post::published.eq(true))
        .filter(user::role.ne(DELETED))
        .select(post::post_id)
        .load(conn)
}

/// Which of these posts there are, whoever sees them.
pub fn find_existing(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<i64>> {
    post::table
        .filter(dialect::any_of(post::post_id, post_ids))
        .select(post::post_id)
        .load(conn)
}
