//! New passwords: of one's own account, and set by the operator.

use std::net::IpAddr;

use super::confirm::{Confirmation, confirm};
use super::find::find_active_user;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::notifications;
use crate::accounts::password::{Fault, Password};
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{Account, Action, Actor, NewAuditEntry, User};
use crate::accounts::{Accounts, Directory};
use crate::core::cpu_pool::Requester;
use crate::core::db::dialect;
use crate::core::rate_limits::LimitExceeded;
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// What came of changing one's password.
pub enum PasswordChanged {
    Done,
    /// The user is gone, or not active any more.
    NotFound,
    /// The current password is another one, perhaps since a moment ago.
    WrongPassword,
    /// The new password breaks a rule.
    Unfit(Fault),
    RateLimited(LimitExceeded),
}

/// Changes a user's password, which they know, and ends every session of theirs but
/// `session_id`.
pub async fn change_password(
    accounts: &Accounts,
    (user_id, session_id): (i64, i64),
    (current, new): (Password, String),
    (client, address): (ClientInfo, IpAddr),
    language: Language,
) -> Result<PasswordChanged, Failure> {
    let directory = &accounts.directory;
    let Some(user) = find_active_user(directory, user_id).await? else {
        return Ok(PasswordChanged::NotFound);
    };
    match confirm(accounts, &user, current, (&client, address)).await? {
        Confirmation::Right => {}
        Confirmation::Wrong => return Ok(PasswordChanged::WrongPassword),
        Confirmation::RateLimited(limited) => return Ok(PasswordChanged::RateLimited(limited)),
    }
    let requester = Requester::about(address, Account::of(&user.email).key());
    let new = match choose(directory, &requester, &user, new).await? {
        Ok(new) => new,
        Err(fault) => return Ok(PasswordChanged::Unfit(fault)),
    };
    let password_hash = directory.hasher.hash(&requester, new).await?;
    let (now, limits) = (directory.clock.now(), directory.messages);
    let is_done = directory
        .write(
            move |conn| {
                // Of two who change it at once one was not told the password as it is.
                if !users::hold(conn, user_id, &user.password_hash)? {
                    return Ok(false);
                }
                users::set_password_hash(conn, user_id, &password_hash, now)?;
                let entry = NewAuditEntry::by_user(Action::PasswordChanged, user_id);
                audit::insert(conn, entry, &client, now)?;
                notifications::password_changed(conn, &limits, &user, language, now)?;
                sessions::end_all(conn, user_id, Some(session_id), now)?;
                Ok(true)
            },
            move |bus, is_done| {
                if *is_done {
                    bus.publish(&SessionEnded::all_of(user_id));
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await?;
    Ok(if is_done {
        PasswordChanged::Done
    } else {
        PasswordChanged::WrongPassword
    })
}

/// Judges a new password by the user's own data, on the threads for costly work.
pub(super) async fn choose(
    directory: &Directory,
    requester: &Requester,
    user: &User,
    new: String,
) -> Result<Result<Password, Fault>, Failure> {
    let (email, name) = (user.email.clone(), user.name.clone());
    let username = user.username.clone().unwrap_or_default();
    let chosen = directory
        .hasher
        .run(requester, move || {
            Password::choose(&new, &[&email, &name, &username])
        })
        .await?;
    Ok(chosen)
}

/// What came of setting somebody's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordSet {
    Done,
    NotFound,
}

/// Gives a user, active or not, a new password and ends every session of theirs.
pub async fn set_password(
    directory: &Directory,
    user_id: i64,
    new: Password,
    (actor, client): (Actor, ClientInfo),
    language: Language,
) -> Result<PasswordSet, Failure> {
    let operator = Requester::operator();
    let password_hash = directory.hasher.hash(&operator, new).await?;
    let (now, limits) = (directory.clock.now(), directory.messages);
    let done = directory
        .write(
            move |conn| {
                // Nobody logs in with the old one, or changes it, in between.
                dialect::lock_user(conn, user_id)?;
                let Some(user) = users::find_user(conn, user_id)? else {
                    return Ok(PasswordSet::NotFound);
                };
                users::set_password_hash(conn, user_id, &password_hash, now)?;
                let entry = NewAuditEntry::new(Action::PasswordChanged, user_id, actor);
                audit::insert(conn, entry, &client, now)?;
                notifications::password_changed(conn, &limits, &user, language, now)?;
                sessions::end_all(conn, user_id, None, now)?;
                Ok(PasswordSet::Done)
            },
            move |bus, done| {
                if *done == PasswordSet::Done {
                    bus.publish(&SessionEnded::all_of(user_id));
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await?;
    Ok(done)
}
