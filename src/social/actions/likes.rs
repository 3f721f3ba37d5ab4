//! Liking: somebody likes a post, or does not any more.

use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::core::db::{Conn, DbError};
use crate::core::rate_limits::LimitExceeded;
use crate::posts::actions::of_others;
use crate::posts::events::PostsCounted;
use crate::posts::stats::{Stat, StatChanges};
use crate::posts::stored::Editor;
use crate::social::Social;
use crate::social::limits;
use crate::social::storage::{comments, likes as rows};

/// What came of it.
#[derive(Debug)]
pub enum Liked {
    /// It is so; `is_new`, whether it was not before.
    Done {
        is_new: bool,
    },
    /// The user is gone or not active any more.
    NoUser,
    /// There is no such post, or a draft of somebody else's.
    NoPost,
    RateLimited(LimitExceeded),
}

/// Has a user like a post, or not any more, however often it is asked for.
pub async fn set(
    social: &Social,
    post_id: i64,
    user: Editor,
    does_like: bool,
) -> Result<Liked, DbError> {
    let limit = &limits::LIKES_AND_FOLLOWS_OF_USER;
    if let Err(limited) = social.limits.take(limit, &user.user_id).await {
        return Ok(Liked::RateLimited(limited));
    }
    let now = social.clock.now();
    let work = move |conn: &mut Conn| write(conn, post_id, user, does_like, now);
    let bus = Arc::clone(&social.bus);
    let settle = move |done: &Liked| {
        if matches!(done, Liked::Done { is_new: true }) {
            let post_ids = vec![post_id];
            bus.publish(&PostsCounted { post_ids });
        }
    };
    social.db.write_then(work, settle).await
}

fn write(
    conn: &mut Conn,
    post_id: i64,
    user: Editor,
    does_like: bool,
    now: NaiveDateTime,
) -> QueryResult<Liked> {
    if comments::find_author(conn, user.user_id)?.is_none() {
        return Ok(Liked::NoUser);
    }
    let access = of_others::hold(conn, post_id)?;
    if !access.is_some_and(|access| access.is_visible_to(Some(user))) {
        return Ok(Liked::NoPost);
    }
    let is_new = if does_like {
        rows::insert(conn, post_id, user.user_id, now)?
    } else {
        rows::delete(conn, post_id, user.user_id)?
    };
    if is_new {
        let mut changes = StatChanges::default();
        changes.add(post_id, Stat::Likes, if does_like { 1 } else { -1 });
        of_others::count(conn, &changes)?;
    }
    Ok(Liked::Done { is_new })
}

/// Which of these posts a user likes.
pub async fn of_user(
    social: &Social,
    user_id: i64,
    post_ids: Vec<i64>,
) -> Result<Vec<i64>, DbError> {
    if post_ids.is_empty() {
        return Ok(post_ids);
    }
    (social.db)
        .read(move |conn| rows::find_of(conn, user_id, &post_ids))
        .await
}
