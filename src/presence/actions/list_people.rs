//! Everybody, with who of them is online.

use chrono::NaiveDateTime;

use crate::accounts::types::PublicUser;
use crate::accounts::{Directory, actions};
use crate::core::db::DbError;
use crate::core::page::{ListPart, Listed};
use crate::presence::hub::Hub;

/// Somebody in the directory.
#[derive(Clone, Debug)]
pub struct Person {
    pub user: PublicUser,
    /// Since when they are online; `None` when they are not.
    pub since: Option<NaiveDateTime>,
}

/// Part of the directory.
#[derive(Debug)]
pub struct People {
    pub listed: Listed<Person>,
    /// Whether other processes should be heard and are not.
    pub is_partial: bool,
}

/// Part of all active users, the newest first; with `words` only those whose name or username
/// has them in it.
pub async fn list_people(
    hub: &Hub,
    directory: &Directory,
    words: Option<String>,
    part: ListPart,
) -> Result<People, DbError> {
    let mut listed = actions::list_public_users(directory, words, part).await?;
    let users = std::mem::take(&mut listed.rows);
    let user_ids: Vec<i64> = users.iter().map(|user| user.user_id).collect();
    // After the database was read: what is said of who is online is of now.
    let (since, is_partial) = hub.online_since(&user_ids);
    let people = users.into_iter().zip(since);
    let people = people.map(|(user, since)| Person { user, since });
    let listed = listed.with(people.collect());
    Ok(People { listed, is_partial })
}
