//! Posts as they are stored: a row in `post`, its text in `content`.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::types::{NewPost, PostChange};
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

/// What came of changing or deleting a post.
#[derive(Debug)]
pub enum Edited<T> {
    Done(T),
    NotFound,
    /// It is somebody else's.
    NotYours,
}

/// Whether `user_id` may edit the post: its author may, and admins.
fn may_edit(
    conn: &mut Conn,
    post_id: i64,
    (user_id, is_admin): (i64, bool),
) -> QueryResult<Edited<()>> {
    let author: Option<i64> = post::table
        .find(post_id)
        .select(post::author_id)
        .first(conn)
        .optional()?;
    Ok(match author {
        None => Edited::NotFound,
        Some(author) if author == user_id || is_admin => Edited::Done(()),
        Some(_) => Edited::NotYours,
    })
}

/// Changes a post and gives it back.
pub fn change_post(
    conn: &mut Conn,
    post_id: i64,
    who: (i64, bool),
    change: &PostChange,
    now: NaiveDateTime,
) -> QueryResult<Edited<(PostHead, String)>> {
    match may_edit(conn, post_id, who)? {
        Edited::Done(()) => {}
        Edited::NotFound => return Ok(Edited::NotFound),
        Edited::NotYours => return Ok(Edited::NotYours),
    }
    if let Some(title) = &change.title {
        diesel::update(post::table.find(post_id))
            .set(post::title.eq(&title.0))
            .execute(conn)?;
    }
    if let Some(text) = &change.content {
        diesel::update(content::table.find(post_id))
            .set(content::body.eq(text))
            .execute(conn)?;
    }
    diesel::update(post::table.find(post_id))
        .set(post::updated.eq(now))
        .execute(conn)?;
    Ok(find_post(conn, post_id)?.map_or(Edited::NotFound, Edited::Done))
}

/// Deletes a post and its text.
pub fn delete_post(conn: &mut Conn, post_id: i64, who: (i64, bool)) -> QueryResult<Edited<()>> {
    let edited = may_edit(conn, post_id, who)?;
    if let Edited::Done(()) = edited {
        diesel::delete(post::table.find(post_id)).execute(conn)?;
    }
    Ok(edited)
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

/// Posts of an author with their texts, oldest first, a few at a time: those after
/// `after`.
pub fn load_after(
    conn: &mut Conn,
    author_id: i64,
    after: i64,
) -> QueryResult<Vec<(PostHead, String)>> {
    post::table
        .inner_join(user::table)
        .inner_join(content::table)
        .filter(post::author_id.eq(author_id))
        .filter(post::post_id.gt(after))
        .order(post::post_id)
        .limit(16)
        .select((head_columns!(), content::body))
        .load(conn)
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
