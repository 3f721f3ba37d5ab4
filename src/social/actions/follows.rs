//! Following: somebody follows somebody, or does not any more; the lists of both.

use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use crate::accounts::actions::of_others;
use crate::accounts::types::PublicUser;
use crate::core::db::{Conn, DbError};
use crate::core::page::{ListPart, Listed};
use crate::core::rate_limits::LimitExceeded;
use crate::social::Social;
use crate::social::events::FollowsChanged;
use crate::social::limits;
use crate::social::storage::follows::{self as rows, Additions};
use crate::social::types::FollowList;

/// What came of it.
#[derive(Debug)]
pub enum Followed {
    /// It is so; `is_new`, whether it was not before.
    Done {
        is_new: bool,
    },
    /// Whoever asks is gone.
    NoUser,
    /// Whom they would follow is nobody.
    NotFound,
    RateLimited(LimitExceeded),
}

/// Has one follow another, or not any more, however often it is asked for.
pub async fn set(
    social: &Social,
    follower_id: i64,
    whom: i64,
    does_follow: bool,
) -> Result<Followed, DbError> {
    let limit = &limits::LIKES_AND_FOLLOWS_OF_USER;
    if let Err(limited) = social.limits.take(limit, &follower_id).await {
        return Ok(Followed::RateLimited(limited));
    }
    let now = social.clock.now();
    let work = move |conn: &mut Conn| write(conn, follower_id, whom, does_follow, now);
    let bus = Arc::clone(&social.bus);
    let settle = move |done: &Followed| {
        if matches!(done, Followed::Done { is_new: true }) {
            let user_ids = vec![follower_id, whom];
            bus.publish(&FollowsChanged { user_ids });
        }
    };
    social.db.write_then(work, settle).await
}

fn write(
    conn: &mut Conn,
    follower_id: i64,
    whom: i64,
    does_follow: bool,
    now: NaiveDateTime,
) -> QueryResult<Followed> {
    // What one person asks for at once is done one after the other: they would meet at one row, in conflicts.
    let there = of_others::hold_in_turn(conn, follower_id, whom)?;
    if !there.contains(&follower_id) {
        return Ok(Followed::NoUser);
    }
    if !there.contains(&whom) {
        return Ok(Followed::NotFound);
    }
    let is_new = if does_follow {
        rows::insert(conn, follower_id, whom, now)?
    } else {
        rows::delete(conn, follower_id, whom)?
    };
    if is_new {
        let mut additions = Additions::default();
        additions.add_follow(follower_id, whom, if does_follow { 1 } else { -1 });
        additions.write(conn)?;
    }
    Ok(Followed::Done { is_new })
}

/// A part of the list of those who follow a user, or whom they follow, the newest first; `None` when
/// there is no such user.
pub async fn list(
    social: &Social,
    user_id: i64,
    list: FollowList,
    part: ListPart,
) -> Result<Option<Listed<PublicUser>>, DbError> {
    let load = move |conn: &mut Conn| {
        if !of_others::is_somebody(conn, user_id)? {
            return Ok(None);
        }
        let count = rows::count(conn, user_id, list)?;
        let mut listed = rows::load_part(conn, user_id, (list, count), part)?;
        let user_ids = std::mem::take(&mut listed.rows);
        let users = of_others::load_public(conn, &user_ids)?;
        Ok(Some(listed.with(users)))
    };
    social.db.snapshot(load).await
}

/// Which of these users one follows.
pub async fn among(
    social: &Social,
    follower_id: i64,
    user_ids: Vec<i64>,
) -> Result<Vec<i64>, DbError> {
    if user_ids.is_empty() {
        return Ok(user_ids);
    }
    (social.db)
        .read(move |conn| rows::find_followed(conn, follower_id, &user_ids))
        .await
}
