//! What other rooms ask of posts, in a transaction of theirs.

use diesel::result::QueryResult;

use super::storage::counts::{self, List};
use super::storage::posts as store;
pub use super::storage::posts::PostHead;
use crate::core::db::Conn;

/// Deletes all posts of an author, whose row the transaction holds.
pub fn delete_all_of(conn: &mut Conn, author_id: i64) -> QueryResult<()> {
    store::delete_posts_of(conn, author_id)
}

/// How many posts an author has published.
pub fn count_published_by(conn: &mut Conn, author_id: i64) -> QueryResult<i64> {
    counts::count(conn, &List::Author(author_id))
}

/// From where [`load_some_of`] goes on; the default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthorCursor {
    published: bool,
    after: i64,
}

/// Some posts of an author.
pub struct SomePosts {
    /// With their texts. No posts are the end.
    pub posts: Vec<(PostHead, String)>,
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
        let posts = store::load_after(conn, author_id, from.published, from.after)?;
        if let Some((last, _)) = posts.last() {
            from.after = last.place;
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
