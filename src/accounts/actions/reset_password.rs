//! Recovering an account whose password is lost.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use super::change_password::choose;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::codes::{CodeRow, Purpose, order_hash};
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::jobs::recover;
use crate::accounts::limits;
use crate::accounts::notifications;
use crate::accounts::password::Fault;
use crate::accounts::refresh::new_nonce;
use crate::accounts::storage::{audit, codes, sessions, users};
use crate::accounts::types::{Account, Action, NewAuditEntry, User};
use crate::accounts::{Accounts, Directory};
use crate::core::cpu_pool::Requester;
use crate::core::db::{Conn, dialect};
use crate::core::rate_limits::{Decision, LimitExceeded};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// Has a code sent to whoever the account is, if anybody, and gives the id that goes back with
/// it. Looks nobody up: a job does, so that there is nothing to see or to time here.
pub async fn request_reset(
    directory: &Directory,
    account: Account,
    language: Language,
) -> Result<String, Failure> {
    let now = directory.clock.now();
    let reset_id = new_nonce().map_err(|why| Failure::fault(why))?;
    let order_hash = order_hash(&reset_id);
    directory
        .write(
            move |conn| recover::enqueue_recovery(conn, &account, &order_hash, language, now),
            |bus, ()| bus.publish(&JobWritten {}),
        )
        .await?;
    Ok(reset_id)
}

/// What came of a reset.
pub enum PasswordReset {
    Done,
    /// No such account, no such code, or one that is no longer good: which, nobody is told.
    WrongCode,
    /// The new password breaks a rule.
    Unfit(Fault),
    RateLimited(LimitExceeded),
}

/// A code to recover an account, as somebody gives it.
pub struct GivenCode {
    pub account: Account,
    pub code: String,
    /// What the request for it was answered with.
    pub reset_id: Option<String>,
}

/// Gives the account a new password for a code, and ends all its sessions.
pub async fn reset_password(
    accounts: &Accounts,
    given: GivenCode,
    new: String,
    (client, address): (ClientInfo, IpAddr),
    language: Language,
) -> Result<PasswordReset, Failure> {
    let account = given.account.clone();
    let order_hash = find_order(accounts, &given).await?;
    // Who ordered a code has the tries of that; others are held by their address and the account.
    if order_hash.is_none()
        && let Some(limited) = limit(accounts, &account, address).await
    {
        return Ok(PasswordReset::RateLimited(limited));
    }
    let tried = try_code(accounts, given, order_hash, client.clone());
    let Some((user, code)) = tried.await? else {
        return Ok(PasswordReset::WrongCode);
    };
    let requester = Requester::about(address, account.key());
    let new = match choose(&accounts.directory, &requester, &user, new).await? {
        Ok(new) => new,
        Err(fault) => return Ok(PasswordReset::Unfit(fault)),
    };
    let password_hash = accounts.directory.hasher.hash(&requester, new).await?;
    let (user_id, now) = (user.user_id, accounts.directory.clock.now());
    let limits = accounts.directory.messages;
    let is_done = accounts
        .directory
        .write(
            move |conn| {
                dialect::lock_user(conn, user_id)?;
                // What the account recovers by may be something else since the code was sent.
                let found = users::find_active(conn, user_id)?;
                let proved = found
                    .as_ref()
                    .and_then(|user| user.recovered_by(&code.target));
                let (Some(before), Some(proved)) = (found, proved) else {
                    let entry = NewAuditEntry::anonymous(Action::CodeRefused, Some(user_id));
                    audit::insert(conn, entry, &client, now)?;
                    return Ok(false);
                };
                // Of those who had the right code at once, one.
                if !codes::consume(conn, code.code_id, now)? {
                    return Ok(false);
                }
                users::set_password_hash(conn, user_id, &password_hash, now)?;
                let after = users::keep_what_is_proved(conn, &before, proved, now)?;
                trace(conn, (&before, &after), &client, now)?;
                notifications::password_changed(conn, &limits, &after, language, now)?;
                sessions::end_all(conn, user_id, None, now)?;
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
    if !is_done {
        return Ok(PasswordReset::WrongCode);
    }
    accounts.limits.succeeded(&limits::ACCOUNT, &account).await;
    Ok(PasswordReset::Done)
}

/// Leaves rows in the audit: of the reset, and of what it did to address and number, whose
/// codes are over with it.
fn trace(
    conn: &mut Conn,
    (before, after): (&User, &User),
    client: &ClientInfo,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let user_id = Some(before.user_id);
    let mut write = |action, detail| {
        let entry = NewAuditEntry {
            detail,
            ..NewAuditEntry::anonymous(action, user_id)
        };
        audit::insert(conn, entry, client, now)
    };
    write(Action::PasswordReset, "")?;
    let mut over = Vec::new();
    if before.email_verified != after.email_verified {
        write(Action::EmailVerified, "")?;
        over.push(Purpose::VerifyEmail);
    }
    if before.mobile != after.mobile {
        write(Action::ProfileChanged, "mobile")?;
        over.push(Purpose::VerifyMobile);
    }
    codes::revoke(conn, before.user_id, &over, now)
}

/// The hash of the reset id, if it is that of a code of the account which can still be used.
async fn find_order(accounts: &Accounts, given: &GivenCode) -> Result<Option<String>, Failure> {
    let Some(reset_id) = &given.reset_id else {
        return Ok(None);
    };
    let (account, order_hash) = (given.account.clone(), order_hash(reset_id));
    let now = accounts.directory.clock.now();
    let found = accounts
        .directory
        .db
        .read(move |conn| {
            let found_id = users::find_by_account(conn, &account)?.map(|user| user.user_id);
            let whose = (found_id, Purpose::ResetPassword);
            let is_ordered = codes::is_ordered(conn, whose, &order_hash, now)?;
            Ok(is_ordered.then(|| order_hash.clone()))
        })
        .await?;
    Ok(found)
}

/// The refusal of somebody who tries codes that they did not order.
async fn limit(accounts: &Accounts, account: &Account, address: IpAddr) -> Option<LimitExceeded> {
    let limits = &accounts.limits;
    if let Err(limited) = limits
        .check_address(&limits::CODES_OF_OTHERS, address)
        .await
    {
        return Some(limited);
    }
    let tried = limits.check_subject(&limits::ACCOUNT, account, address);
    if let Decision::Limited(refused) = tried.await {
        return Some(refused.into());
    }
    limits.take(&limits::CODE_OF_OTHERS, account).await.err()
}

/// Whose the code is, and its row, if it is right. The same work for every refusal, and
/// the same row of the audit.
async fn try_code(
    accounts: &Accounts,
    given: GivenCode,
    order_hash: Option<String>,
    client: ClientInfo,
) -> Result<Option<(User, CodeRow)>, Failure> {
    let now = accounts.directory.clock.now();
    let keys = Arc::clone(&accounts.code_keys);
    let GivenCode { account, code, .. } = given;
    let found = accounts
        .directory
        .db
        .write(move |conn| {
            let found = users::find_by_account(conn, &account)?;
            let found_id = found.as_ref().map(|user| user.user_id);
            let whose = (found_id, Purpose::ResetPassword);
            let tried = match &order_hash {
                Some(order) => codes::try_code(conn, &keys, whose, order, &code, now)?,
                None => codes::try_any_code(conn, &keys, whose, &code, now)?,
            };
            let owner = found.filter(|user| user.is_active);
            if let (Some(user), Some(row)) = (owner, tried) {
                return Ok(Some((user, row)));
            }
            let entry = NewAuditEntry::anonymous(Action::CodeRefused, found_id);
            audit::insert(conn, entry, &client, now)?;
            Ok(None)
        })
        .await?;
    Ok(found)
}
