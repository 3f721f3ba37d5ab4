//! What other rooms ask of an author's posts, in a transaction of theirs.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::core::db::Conn;
use crate::posts::jobs::publish_post;
use crate::posts::list::List;
use crate::posts::storage::{counts, idempotency, lists, posts};
use crate::posts::stored::StoredPost;
use crate::social::actions::of_posts;

/// Deletes some posts of an author, whose row the transaction holds, at most `limit`; gives
/// how many. What hangs on them a job deletes. Whoever calls sees that the author is marked as deleted, or publishes afterwards
/// that anything may have changed.
pub fn delete_some_of(
    conn: &mut Conn,
    author_id: i64,
    limit: i64,
    now: NaiveDateTime,
) -> QueryResult<usize> {
    let post_ids = posts::delete_some_of(conn, author_id, limit)?;
    if !post_ids.is_empty() {
        publish_post::cancel(conn, &post_ids)?;
    }
    of_posts::leave(conn, &post_ids, now)?;
    Ok(post_ids.len())
}

/// The same for the keys of their requests to publish.
pub fn delete_some_keys_of(conn: &mut Conn, author_id: i64, limit: i64) -> QueryResult<usize> {
    idempotency::delete_some_of(conn, author_id, limit)
}

/// How many posts an author has published.
pub fn count_published_by(conn: &mut Conn, author_id: i64) -> QueryResult<i64> {
    counts::count(conn, &List::Author(author_id))
}

/// How many posts each of these authors has published, in their order.
pub fn count_published_by_each(conn: &mut Conn, author_ids: &[i64]) -> QueryResult<Vec<i64>> {
    let lists: Vec<List> = author_ids.iter().copied().map(List::Author).collect();
    counts::count_each(conn, &lists)
}

/// From where [`load_some_of`] goes on; the default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthorCursor {
    published: bool,
    /// A position.
    after: i64,
}

/// Some posts of an author.
pub struct SomePosts {
    /// No posts are the end.
    pub posts: Vec<StoredPost>,
    /// From where to go on.
    pub next: Option<AuthorCursor>,
}

/// Loads some posts of an author, drafts first, each kind oldest first.
pub fn load_some_of(
    conn: &mut Conn,
    author_id: i64,
    mut from: AuthorCursor,
) -> QueryResult<SomePosts> {
    loop {
        let posts = lists::load_after(conn, author_id, from.published, from.after)?;
        if let Some(last) = posts.last() {
            from.after = last.summary.position;
            let next = Some(from);
            return Ok(SomePosts { posts, next });
        }
        if from.published {
            return Ok(SomePosts { posts, next: None });
        }
        from = AuthorCursor {
            published: true,
            after: 0,
        };
    }
}
