//! Posts as they are stored: a row in `post`, its text in `content`.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::types::NewPost;
use crate::db::schema::{content, post, user};
use crate::db::{Conn, dialect};
use crate::http::page::PageRequest;

/// A post without its text.
#[derive(Clone, Debug, Queryable)]
pub struct PostHead {
    pub post_id: i64,
    pub author_id: i64,
    pub title: String,
    pub date: NaiveDateTime,
    pub updated: NaiveDateTime,
    /// The author's name.
    pub author: String,
}

/// The columns of a [`PostHead`], in its order.
macro_rules! head_columns {
    () => {
        (
            post::post_id,
            post::author_id,
            post::title,
            post::date,
            post::updated,
            user::name,
        )
    };
}

/// Inserts the post and its text and gives the row back. `None` when the author
/// is not there (any more) or not active; nothing is kept then.
pub fn insert_post(
    conn: &mut Conn,
    author_id: i64,
    new: &NewPost,
    now: NaiveDateTime,
) -> QueryResult<Option<PostHead>> {
    let author: Option<String> = user::table
        .find(author_id)
        .filter(user::is_active.eq(true))
        .select(user::name)
        .first(conn)
        .optional()?;
    let Some(author) = author else {
        return Ok(None);
    };
    diesel::insert_into(post::table)
        .values((
            post::author_id.eq(author_id),
            post::title.eq(&new.title.0),
            post::date.eq(now),
            post::updated.eq(now),
        ))
        .execute(conn)?;
    let post_id = dialect::last_insert(conn)?;
    diesel::insert_into(content::table)
        .values((content::post_id.eq(post_id), content::body.eq(&new.content)))
        .execute(conn)?;
    Ok(Some(PostHead {
        post_id,
        author_id,
        title: new.title.0.clone(),
        date: now,
        updated: now,
        author,
    }))
}

/// A post with its text.
pub fn find_post(conn: &mut Conn, post_id: i64) -> QueryResult<Option<(PostHead, String)>> {
    post::table
        .inner_join(user::table)
        .inner_join(content::table)
        .filter(post::post_id.eq(post_id))
        .select((head_columns!(), content::body))
        .first(conn)
        .optional()
}

/// A page of posts, newest first, and how many there are in all.
pub fn load_page(conn: &mut Conn, request: PageRequest) -> QueryResult<(Vec<PostHead>, i64)> {
    let count: i64 = post::table.count().get_result(conn)?;
    if request.offset() >= count {
        return Ok((Vec::new(), count));
    }
    // The ids first, from the index alone; only the rows of the page are read.
    let ids: Vec<i64> = post::table
        .order((post::date.desc(), post::post_id.desc()))
        .offset(request.offset())
        .limit(i64::from(request.size))
        .select(post::post_id)
        .load(conn)?;
    let heads = post::table
        .inner_join(user::table)
        .filter(post::post_id.eq_any(ids))
        .order((post::date.desc(), post::post_id.desc()))
        .select(head_columns!())
        .load(conn)?;
    Ok((heads, count))
}
