//! Recovering an account whose password is lost.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use super::change_password::choose;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::codes::{CodeRow, Purpose};
use crate::accounts::events::SessionEnded;
use crate::accounts::failure::Failure;
use crate::accounts::jobs::recover;
use crate::accounts::limits;
use crate::accounts::notifications;
use crate::accounts::password::Fault;
use crate::accounts::storage::{audit, codes, sessions, users};
use crate::accounts::types::{Account, Action, NewAuditEntry, User};
use crate::accounts::{Accounts, Directory};
use crate::core::cpu_pool::Requester;
use crate::core::db::{Conn, dialect};
use crate::core::rate_limits::{Decision, LimitExceeded};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// Has a code sent to whoever the account is, if anybody. Looks nobody up: a job does, so
/// that there is nothing to see or to time here.
pub async fn request_reset(
    directory: &Directory,
    account: Account,
    language: Language,
) -> Result<(), Failure> {
    let now = directory.clock.now();
    directory
        .write(
            move |conn| recover::enqueue_recovery(conn, &account, language, now),
            |bus, ()| bus.publish(&JobWritten {}),
        )
        .await?;
    Ok(())
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

/// Gives the account a new password for a code, and ends all its sessions.
pub async fn reset_password(
    accounts: &Accounts,
    (account, code): (Account, String),
    new: String,
    (client, address): (ClientInfo, IpAddr),
    language: Language,
) -> Result<PasswordReset, Failure> {
    let tried = accounts
        .limits
        .check_subject(&limits::ACCOUNT, &account, address);
    if let Decision::Limited(refused) = tried.await {
        return Ok(PasswordReset::RateLimited(refused.into()));
    }
    let Some((user, code)) = try_code(accounts, account.clone(), code, client.clone()).await?
    else {
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

/// Whose the code is, and its row, if it is right. The same work for every refusal, and
/// the same row of the audit.
async fn try_code(
    accounts: &Accounts,
    account: Account,
    code: String,
    client: ClientInfo,
) -> Result<Option<(User, CodeRow)>, Failure> {
    let now = accounts.directory.clock.now();
    let keys = Arc::clone(&accounts.code_keys);
    let found = accounts
        .directory
        .db
        .write(move |conn| {
            let found = users::find_by_account(conn, &account)?;
            let found_id = found.as_ref().map(|user| user.user_id);
            let whose = (found_id, Purpose::ResetPassword);
            let tried = codes::try_code(conn, &keys, whose, &code, now)?;
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
