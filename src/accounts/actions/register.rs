//! Registration, and accounts that the operator creates.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::NaiveDateTime;

use super::administer::change;
use super::logged_in::LoggedIn;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::failure::Failure;
use crate::accounts::jobs::recover;
use crate::accounts::refresh::new_nonce;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{
    Account, Action, Actor, AdminChange, Administered, Identifier, NewAccount, NewAuditEntry,
    NewUser, User,
};
use crate::accounts::{Accounts, Directory};
use crate::core::cpu_pool::Requester;
use crate::core::db::DbError;
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// What came of a registration.
pub enum Registered {
    LoggedIn(Box<LoggedIn>),
    /// Other users have these identifiers, one at least.
    Taken(Vec<Identifier>),
}

/// Makes an account for somebody, and logs them in.
pub async fn register(
    accounts: &Accounts,
    new: NewAccount,
    remembered: bool,
    (client, address): (ClientInfo, IpAddr),
) -> Result<Registered, Failure> {
    let now = accounts.directory.clock.now();
    let wanted = identifiers_of(&new);
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
            let session = sessions::open(
                conn,
                &keys,
                user.user_id,
                remembered,
                &nonce,
                &client,
                times,
            )?;
            let entry = NewAuditEntry::by_user(Action::Registered, user.user_id);
            audit::insert(conn, entry, &client, now)?;
            Ok((user, session))
        })
        .await;
    match done {
        Ok((user, session)) => LoggedIn::new(accounts, user, session).map(Registered::LoggedIn),
        Err(error) => taken(&accounts.directory, error, (wanted, None))
            .await
            .map(Registered::Taken),
    }
}

/// What came of making an account for somebody else.
pub enum Created {
    Done(Box<User>),
    /// Other users have these identifiers, one at least.
    Taken(Vec<Identifier>),
}

/// What is asked for when somebody makes an account for somebody else.
pub struct Creation {
    pub account: NewAccount,
    pub is_admin: bool,
    /// In which language its owner is sent a code to choose a password with; `None` for one
    /// who is told the password of `account`.
    pub invited_in: Option<Language>,
}

/// Makes an account for somebody else, who may be an admin; nobody is logged in.
pub async fn create_user(
    directory: &Directory,
    requester: &Requester,
    new: Creation,
    (actor, client): (Actor, ClientInfo),
) -> Result<Created, Failure> {
    let now = directory.clock.now();
    let Creation {
        account,
        is_admin,
        invited_in,
    } = new;
    let wanted = identifiers_of(&account);
    let new = hashed(directory, requester, account, now).await?;
    let promotion = AdminChange {
        is_admin: Some(true),
        ..AdminChange::default()
    };
    let done = directory
        .write(
            move |conn| {
                let user = users::insert_user(conn, &new)?;
                let entry = NewAuditEntry::new(Action::Registered, user.user_id, actor);
                audit::insert(conn, entry, &client, now)?;
                if let Some(language) = invited_in {
                    recover::enqueue_invitation(conn, &new.email, language, now)?;
                }
                if is_admin {
                    let promoted = change(conn, user.user_id, &promotion, (actor, &client), now)?;
                    if let Administered::Done { after, .. } = promoted {
                        return Ok(*after);
                    }
                }
                Ok(user)
            },
            move |bus, _| {
                if invited_in.is_some() {
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await;
    match done {
        Ok(user) => Ok(Created::Done(Box::new(user))),
        Err(error) => taken(directory, error, (wanted, None))
            .await
            .map(Created::Taken),
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

fn identifiers_of(new: &NewAccount) -> Vec<Account> {
    Account::all_of(Some(&new.email), new.username.as_ref(), new.mobile.as_ref())
}

/// The identifiers of others for which a unique index refused a write: the one that it was
/// about, and whatever else of `wanted` is taken, so that nobody has to find out one by one.
/// Other errors are failures. `own`: the user who may have them.
pub(super) async fn taken(
    directory: &Directory,
    error: DbError,
    (wanted, own): (Vec<Account>, Option<i64>),
) -> Result<Vec<Identifier>, Failure> {
    let Some(first) = users::taken(&error) else {
        return Err(Failure::Database(error));
    };
    let read = directory
        .db
        .read(move |conn| users::taken_of(conn, &wanted, own));
    let mut all = read.await?;
    // It may be free again by now; the refusal was right all the same.
    if !all.contains(&first) {
        all.insert(0, first);
    }
    Ok(all)
}
