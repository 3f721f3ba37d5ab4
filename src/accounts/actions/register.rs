//! Registration, and accounts that the operator creates.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::NaiveDateTime;

use super::administer::change;
use super::logged_in::LoggedIn;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::failure::Failure;
use crate::accounts::refresh::new_nonce;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{
    Action, Actor, AdminChange, Administered, Identifier, NewAccount, NewAuditEntry, NewUser, User,
};
use crate::accounts::{Accounts, Directory};
use crate::core::cpu_pool::Requester;
use crate::core::db::DbError;

/// What came of a registration.
pub enum Registered {
    LoggedIn(Box<LoggedIn>),
    /// Another user has this identifier.
    Taken(Identifier),
}

/// Makes an account for somebody, and logs them in.
pub async fn register(
    accounts: &Accounts,
    new: NewAccount,
    (client, address): (ClientInfo, IpAddr),
) -> Result<Registered, Failure> {
    let now = accounts.directory.clock.now();
    let requester = Requester::about(address, &new.email.key);
    let new = hashed(&accounts.directory, &requester, new, now).await?;
    let nonce = new_nonce().map_err(|why| Failure::fault(why))?;
    let (keys, times) = (
        Arc::clone(&accounts.refresh_keys),
        (now, accounts.lifetimes),
    );
    let done = accounts
        .directory
        .db
        .write(move |conn| {
            let user = users::insert_user(conn, &new)?;
            let session = sessions::open(conn, &keys, user.user_id, false, &nonce, &client, times)?;
            let entry = NewAuditEntry::by_user(Action::Registered, user.user_id);
            audit::insert(conn, entry, &client, now)?;
            Ok((user, session))
        })
        .await;
    match done {
        Ok((user, session)) => LoggedIn::new(accounts, user, session).map(Registered::LoggedIn),
        Err(error) => taken(error).map(Registered::Taken),
    }
}

/// What came of making an account for somebody else.
pub enum Created {
    Done(Box<User>),
    /// Another user has this identifier.
    Taken(Identifier),
}

/// Makes an account for somebody else, who may be an admin; nobody is logged in.
pub async fn create_user(
    directory: &Directory,
    new: NewAccount,
    is_admin: bool,
    (actor, client): (Actor, ClientInfo),
) -> Result<Created, Failure> {
    let now = directory.clock.now();
    let new = hashed(directory, &Requester::operator(), new, now).await?;
    let promotion = AdminChange {
        is_admin: Some(true),
        ..AdminChange::default()
    };
    let done = directory
        .db
        .write(move |conn| {
            let user = users::insert_user(conn, &new)?;
            let entry = NewAuditEntry::new(Action::Registered, user.user_id, actor);
            audit::insert(conn, entry, &client, now)?;
            if is_admin {
                let promoted = change(conn, user.user_id, &promotion, (actor, &client), now)?;
                if let Administered::Done { after, .. } = promoted {
                    return Ok(*after);
                }
            }
            Ok(user)
        })
        .await;
    match done {
        Ok(user) => Ok(Created::Done(Box::new(user))),
        Err(error) => taken(error).map(Created::Taken),
    }
}

/// The row of a new account; its password is hashed.
async fn hashed(
    directory: &Directory,
    requester: &Requester,
    new: NewAccount,
    now: NaiveDateTime,
) -> Result<NewUser, Failure> {
    Ok(NewUser {
        email: new.email,
        name: new.name,
        username: new.username,
        mobile: new.mobile,
        password_hash: directory.hasher.hash(requester, new.password).await?,
        now,
    })
}

/// The identifier whose unique index refused a write; other errors are failures.
pub(super) fn taken(error: DbError) -> Result<Identifier, Failure> {
    users::taken(&error).ok_or(Failure::Database(error))
}
