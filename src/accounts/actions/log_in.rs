//! Logging in.

use std::net::IpAddr;
use std::sync::Arc;

use super::logged_in::LoggedIn;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::failure::Failure;
use crate::accounts::password::{Password, needs_rehash};
use crate::accounts::refresh::new_nonce;
use crate::accounts::storage::{audit, sessions, users};
use crate::accounts::types::{Account, Action, NewAuditEntry, OpenSession, User};
use crate::accounts::{Accounts, Directory, limits};
use crate::core::cpu_pool::Requester;
use crate::core::rate_limits::{Decision, LimitExceeded};

/// What came of a login.
pub enum LogIn {
    LoggedIn(Box<LoggedIn>),
    /// Unknown account, wrong password or deactivated user: which, nobody is told.
    Refused,
    RateLimited(LimitExceeded),
}

/// Opens a session for whoever knows the account's password. The work is the same for an
/// account that does not exist, and every refusal leaves a row in the audit.
pub async fn log_in(
    accounts: &Accounts,
    (account, password): (Account, Password),
    remembered: bool,
    (client, address): (ClientInfo, IpAddr),
) -> Result<LogIn, Failure> {
    let directory = &accounts.directory;
    let requester = Requester::about(address, account.key());
    if let Some(limited) = limit(accounts, &account, &client, address).await? {
        return Ok(LogIn::RateLimited(limited));
    }
    let named = account.clone();
    let found = directory
        .db
        .read(move |conn| users::find_by_account(conn, &named))
        .await?;
    // One comparison for everybody, whether there is such an account or not.
    let password_hash = match &found {
        Some(user) => user.password_hash.clone(),
        None => accounts.decoy_hash.to_string(),
    };
    let is_right = directory
        .hasher
        .verify(&requester, password.clone(), password_hash)
        .await?;
    let found_id = found.as_ref().map(|user| user.user_id);
    let opened = match found.filter(|user| is_right && user.is_active) {
        Some(mut user) => {
            if needs_rehash(&user.password_hash, directory.hasher.cost()) {
                user.password_hash = rehash(directory, &requester, &user, password).await?;
            }
            open(accounts, user, remembered, client.clone()).await?
        }
        None => None,
    };
    let Some((user, session)) = opened else {
        let now = directory.clock.now();
        let entry = NewAuditEntry::anonymous(Action::LoginRefused, found_id);
        directory
            .db
            .write(move |conn| audit::insert(conn, entry, &client, now))
            .await?;
        return Ok(LogIn::Refused);
    };
    accounts.limits.succeeded(&limits::ACCOUNT, &account).await;
    LoggedIn::new(accounts, user, session).map(LogIn::LoggedIn)
}

/// The refusal of an account at which too much is tried. An address with a live session
/// of the owner is never refused.
async fn limit(
    accounts: &Accounts,
    account: &Account,
    client: &ClientInfo,
    address: IpAddr,
) -> Result<Option<LimitExceeded>, Failure> {
    let tried = accounts
        .limits
        .check_subject(&limits::ACCOUNT, account, address);
    let Decision::Limited(refused) = tried.await else {
        return Ok(None);
    };
    let now = accounts.directory.clock.now();
    let (named, ip) = (account.clone(), client.ip.clone());
    // Asked for accounts that do not exist as well: the refusal tells nothing.
    let is_owner_here = accounts
        .directory
        .db
        .read(move |conn| sessions::is_live_at(conn, &named, &ip, now))
        .await?;
    if !is_owner_here {
        return Ok(Some(refused.into()));
    }
    accounts.limits.waive(&refused).await;
    Ok(None)
}

/// Opens a session for a user whose password was right; `None` when the password
/// or the user's being active has changed meanwhile.
async fn open(
    accounts: &Accounts,
    user: User,
    remembered: bool,
    client: ClientInfo,
) -> Result<Option<(User, OpenSession)>, Failure> {
    let now = accounts.directory.clock.now();
    let nonce = new_nonce().map_err(|why| Failure::fault(why))?;
    let (keys, times) = (
        Arc::clone(&accounts.refresh_keys),
        (now, accounts.lifetimes),
    );
    let opened = accounts
        .directory
        .db
        .write(move |conn| {
            let user_id = user.user_id;
            if !users::hold(conn, user_id, &user.password_hash)? {
                return Ok(None);
            }
            let session = sessions::open(conn, &keys, user_id, remembered, &nonce, &client, times)?;
            let entry = NewAuditEntry::by_user(Action::LoggedIn, user_id);
            audit::insert(conn, entry, &client, now)?;
            Ok(Some((user.clone(), session)))
        })
        .await?;
    Ok(opened)
}

/// Brings a password hash to the present cost, now that the password is at hand; gives
/// the new one.
async fn rehash(
    directory: &Directory,
    requester: &Requester,
    user: &User,
    password: Password,
) -> Result<String, Failure> {
    let (user_id, old) = (user.user_id, user.password_hash.clone());
    let new = directory.hasher.hash(requester, password).await?;
    let written = new.clone();
    directory
        .db
        .write(move |conn| users::replace_password_hash(conn, user_id, &old, &written))
        .await?;
    Ok(new)
}
