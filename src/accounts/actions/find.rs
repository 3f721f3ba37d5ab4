//! Finding users and their sessions.

use std::collections::HashMap;

use diesel::result::QueryResult;

use crate::accounts::Directory;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{
    Account, AccountDetails, FollowCounts, PublicUser, Session, User, Username,
};
use crate::core::db::{Bulkhead, Conn, Db, DbError};
use crate::core::page::{ListPart, Listed};
use crate::posts;
use crate::social::actions::of_users;

/// The user with this id, if active.
pub async fn find_active_user(
    directory: &Directory,
    user_id: i64,
) -> Result<Option<User>, DbError> {
    directory
        .db
        .read(move |conn| users::find_active(conn, user_id))
        .await
}

/// The user with this id, active or not.
pub async fn find_user(directory: &Directory, user_id: i64) -> Result<Option<User>, DbError> {
    directory
        .db
        .read(move |conn| users::find_user(conn, user_id))
        .await
}

/// What the administration knows of a user.
pub async fn find_account(
    directory: &Directory,
    user_id: i64,
) -> Result<Option<AccountDetails>, DbError> {
    let now = directory.clock.now();
    // However many tries were refused since the last login: not where others wait for it.
    directory
        .db
        .reading_by(Bulkhead::Searches)
        .snapshot(move |conn| {
            let Some(user) = users::find_user(conn, user_id)? else {
                return Ok(None);
            };
            Ok(Some(AccountDetails {
                user,
                last_login: audit::find_last_login(conn, user_id)?,
                sessions: sessions::load_live(conn, user_id, Some(LISTED), now)?,
            }))
        })
        .await
}

/// The user whom an identifier names, active or not.
pub async fn find_user_by_account(
    directory: &Directory,
    account: Account,
) -> Result<Option<User>, DbError> {
    directory
        .db
        .read(move |conn| users::find_by_account(conn, &account))
        .await
}

/// What anyone may know of a user, active or not: their posts stay readable.
pub async fn find_public_user(
    directory: &Directory,
    user_id: i64,
) -> Result<Option<PublicUser>, DbError> {
    directory
        .db
        .read(move |conn| {
            let user = users::find_user(conn, user_id)?;
            user.map(|user| read_public(conn, user)).transpose()
        })
        .await
}

/// The same by username.
pub async fn find_public_user_by_name(
    directory: &Directory,
    username: Username,
) -> Result<Option<PublicUser>, DbError> {
    let account = Account::Username(username.key);
    directory
        .db
        .read(move |conn| {
            let user = users::find_by_account(conn, &account)?;
            user.map(|user| read_public(conn, user)).transpose()
        })
        .await
}

fn read_public(conn: &mut Conn, user: User) -> QueryResult<PublicUser> {
    let posts = posts::actions::of_author::count_published_by(conn, user.user_id)?;
    let follows = of_users::count_follows(conn, user.user_id)?;
    Ok(public_view(user, posts, follows))
}

/// What anyone may know of a user with so many posts.
fn public_view(user: User, posts: i64, follows: FollowCounts) -> PublicUser {
    PublicUser {
        user_id: user.user_id,
        name: user.name,
        username: user.username,
        bio: user.bio,
        image: user.image,
        created: user.created,
        posts,
        follows,
    }
}

/// What anyone may know of these users.
pub(super) fn public_views(conn: &mut Conn, users: Vec<User>) -> QueryResult<Vec<PublicUser>> {
    let user_ids: Vec<i64> = users.iter().map(|user| user.user_id).collect();
    let posts = posts::actions::of_author::count_published_by_each(conn, &user_ids)?;
    let follows = of_users::count_follows_of_each(conn, &user_ids)?;
    let counted = users.into_iter().zip(posts).zip(follows);
    Ok(counted
        .map(|((user, posts), follows)| public_view(user, posts, follows))
        .collect())
}

/// Part of what anyone may know of all active users, the newest first; with `words` only those
/// whose name or username has them in it.
pub async fn list_public_users(
    directory: &Directory,
    words: Option<String>,
    part: ListPart,
) -> Result<Listed<PublicUser>, DbError> {
    // By cursor it reads no more than it shows. Otherwise it counts, or reads all names: not
    // where others wait for it.
    let is_short = words.is_none() && matches!(part, ListPart::Below { .. });
    let db = if is_short {
        directory.db.clone()
    } else {
        directory.db.reading_by(Bulkhead::Searches)
    };
    db.snapshot(move |conn| {
        let mut listed = users::load_public_part(conn, words.as_deref(), part)?;
        let found = std::mem::take(&mut listed.rows);
        Ok(listed.with(public_views(conn, found)?))
    })
    .await
}

/// The names of these users, by id.
pub async fn load_names(db: &Db, user_ids: Vec<i64>) -> Result<HashMap<i64, String>, DbError> {
    db.read(move |conn| users::names_of(conn, &user_ids)).await
}

/// Part of the users, the newest first; with `words` only those whose name, e-mail address or
/// username has them in it.
pub async fn list_users(
    directory: &Directory,
    words: Option<String>,
    part: ListPart,
) -> Result<Listed<User>, DbError> {
    let db = if words.is_some() {
        // It may read all names: not where others wait for it.
        directory.db.reading_by(Bulkhead::Searches)
    } else {
        directory.db.clone()
    };
    db.snapshot(move |conn| users::load_part(conn, words.as_deref(), part))
        .await
}

/// Live sessions of a user that are listed: the last used.
const LISTED: i64 = 100;

/// The live sessions of a user, the last used first, a hundred at most.
pub async fn list_sessions(directory: &Directory, user_id: i64) -> Result<Vec<Session>, DbError> {
    let now = directory.clock.now();
    directory
        .db
        .read(move |conn| sessions::load_live(conn, user_id, Some(LISTED), now))
        .await
}
