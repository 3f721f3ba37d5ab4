//! Deleting users, with their posts and sessions.

use std::net::IpAddr;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use super::confirm::{Confirmation, confirm};
use super::deletion;
use super::find::find_active_user;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::jobs::delete_user::enqueue_deletion;
use crate::accounts::jobs::send_notice::Notice;
use crate::accounts::notifications;
use crate::accounts::password::Password;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{Action, Actor, NewAuditEntry, Revocation};
use crate::accounts::{Accounts, Directory};
use crate::core::db::{Conn, dialect};
use crate::core::rate_limits::LimitExceeded;
use crate::core::settings::MessageLimits;
use crate::jobs::events::JobWritten;
use crate::notify::Language;
use crate::posts::events::AnythingChanged;

/// What came of deleting a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    Done,
    NotFound,
    /// It would leave no active admin.
    LastAdmin,
}

/// What came of deleting oneself.
pub enum OwnDeletion {
    Done,
    /// The user is gone, or not active any more.
    NotFound,
    /// It would leave no active admin.
    LastAdmin,
    WrongPassword,
    RateLimited(LimitExceeded),
}

/// Deletes the user who asks for it, if it is their password.
pub async fn delete_own_user(
    accounts: &Accounts,
    user_id: i64,
    password: Password,
    (client, address): (ClientInfo, IpAddr),
    language: Language,
) -> Result<OwnDeletion, Failure> {
    let directory = &accounts.directory;
    let Some(user) = find_active_user(directory, user_id).await? else {
        return Ok(OwnDeletion::NotFound);
    };
    match confirm(accounts, &user, password, (&client, address)).await? {
        Confirmation::Right => {}
        Confirmation::Wrong => return Ok(OwnDeletion::WrongPassword),
        Confirmation::RateLimited(limited) => return Ok(OwnDeletion::RateLimited(limited)),
    }
    let done = delete_user(directory, user_id, (Actor::User(user_id), client), language).await?;
    Ok(match done {
        Deletion::Done => OwnDeletion::Done,
        Deletion::NotFound => OwnDeletion::NotFound,
        Deletion::LastAdmin => OwnDeletion::LastAdmin,
    })
}

/// Deletes a user and all that is theirs; they are told by mail.
///
/// When this returns the user is gone, and nobody finds a post of theirs. Of somebody who has
/// much, a job deletes the rest ([`deletion`]).
pub async fn delete_user(
    directory: &Directory,
    user_id: i64,
    (actor, client): (Actor, ClientInfo),
    language: Language,
) -> Result<Deletion, Failure> {
    let (now, limits) = (directory.clock.now(), directory.messages);
    let done = directory
        .write(
            move |conn| delete(conn, &limits, user_id, (actor, &client), language, now),
            move |bus, done| {
                if *done == Deletion::Done {
                    bus.publish(&AnythingChanged {});
                    bus.publish(&SessionEnded::all_of(user_id));
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await?;
    Ok(done)
}

fn delete(
    conn: &mut Conn,
    limits: &MessageLimits,
    user_id: i64,
    (actor, client): (Actor, &ClientInfo),
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<Deletion> {
    dialect::lock_user(conn, user_id)?;
    let Some(user) = users::find_user(conn, user_id)? else {
        return Ok(Deletion::NotFound);
    };
    if !users::may_be_taken_away(conn, &user)? {
        return Ok(Deletion::LastAdmin);
    }
    if deletion::delete_some(conn, user_id, now)?.is_all {
        users::delete_user(conn, user_id)?;
    } else {
        users::empty(conn, user_id, now)?;
        enqueue_deletion(conn, user_id, now)?;
    }
    let entry = NewAuditEntry::new(Action::Deleted, user_id, actor);
    let mut client = client.clone();
    if actor == Actor::User(user_id) {
        // As of all that is kept of them.
        client.ip.clear();
    }
    audit::insert(conn, entry, &client, now)?;
    notifications::tell(conn, limits, Notice::AccountDeleted, &user, language, now)?;
    sessions::announce(conn, Revocation::User(user_id), now)?;
    Ok(Deletion::Done)
}
