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
use crate::core::rate_limits::{Decision, LimitExceeded, Refused};

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
    let held = match limit(accounts, &account, &client, address).await? {
        Limited::Refused(limited) => return Ok(LogIn::RateLimited(limited)),
        Limited::Judged { refused, is_owner } => Some((refused, is_owner)),
        Limited::Not => None,
    };
    let named = account.clone();
    let found = directory
        .db
        .read(move |conn| users::find_by_account(conn, &named))
        .await?;
    let is_let_in = held.as_ref().is_none_or(|(_, is_owner)| *is_owner);
    let record = found.as_ref().filter(|_| is_let_in);
    let record = record.map(|user| user.password_hash.clone());
    // One comparison for everybody, whether there is such an account or not.
    let is_right = directory
        .hasher
        .verify_alike(&requester, password.clone(), record)
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
        return Ok(match held {
            Some((refused, _)) => LogIn::RateLimited(refused.into()),
            None => LogIn::Refused,
        });
    };
    if let Some((refused, _)) = &held {
        accounts.limits.waive(refused).await;
    }
    accounts.limits.succeeded(&limits::ACCOUNT, &account).await;
    LoggedIn::new(accounts, user, session).map(LogIn::LoggedIn)
}

/// What the limits say to a login.
enum Limited {
    Not,
    Refused(LimitExceeded),
    /// The password is compared all the same, and a wrong one is refused as this says: somebody
    /// is logged in from there, perhaps the owner, whose password alone opens anything.
    Judged {
        refused: Refused,
        is_owner: bool,
    },
}

/// The refusal of an account at which too much is tried. An address with a live session
/// of the owner gets in with the right password. What others see there, work and answer, is
/// what they see of any account, existing or not.
async fn limit(
    accounts: &Accounts,
    account: &Account,
    client: &ClientInfo,
    address: IpAddr,
) -> Result<Limited, Failure> {
    let tried = accounts
        .limits
        .check_subject(&limits::ACCOUNT, account, address);
    let Decision::Limited(refused) = tried.await else {
        return Ok(Limited::Not);
    };
    let now = accounts.directory.clock.now();
    let (named, ip) = (account.clone(), client.ip.clone());
    let live = accounts
        .directory
        .db
        .read(move |conn| sessions::live_at(conn, &named, &ip, now))
        .await?;
    if !live.anybodys {
        return Ok(Limited::Refused(refused.into()));
    }
    match accounts.limits.take(&limits::AT_HOME, account).await {
        Ok(()) => Ok(Limited::Judged {
            refused,
            is_owner: live.owners,
        }),
        Err(_) => Ok(Limited::Refused(refused.into())),
    }
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
