//! Notifications: codes and notices for the owners of accounts, enqueued as jobs in the
//! transaction of their cause.

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use super::codes::{CodeKeys, Issued, Purpose};
use super::jobs::send_code::{CodeToSend, MailCode, SmsCode};
use super::jobs::send_notice::{MailNotice, Notice, NoticeToSend};
use super::storage::codes;
use super::types::User;
use crate::core::db::Conn;
use crate::jobs::actions::enqueue;
use crate::jobs::types::NewJob;
use crate::notify::Language;

/// By which way a code is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Email,
    Mobile,
}

/// Issues a code and has it sent, in one transaction.
pub fn send_code(
    conn: &mut Conn,
    keys: &CodeKeys,
    (user, purpose, channel): (&User, Purpose, Channel),
    language: Language,
    nonce: &str,
    now: NaiveDateTime,
) -> QueryResult<Issued> {
    let target = match channel {
        Channel::Email => user.email.clone(),
        Channel::Mobile => user.number().unwrap_or_default(),
    };
    let whose = (user.user_id, purpose, target.as_str());
    let issued = codes::issue(conn, keys, whose, nonce, now)?;
    if let Issued::New(code_id) = issued {
        let what = CodeToSend { code_id, language };
        let mut job = match channel {
            Channel::Email => NewJob::of::<MailCode>(&what, now)?,
            Channel::Mobile => NewJob::of::<SmsCode>(&what, now)?,
        };
        job.user_id = Some(user.user_id);
        enqueue(conn, &job, now)?;
    }
    Ok(issued)
}

/// Has an owner told by mail to the address `to` what happens in this transaction.
pub fn enqueue_notice(
    conn: &mut Conn,
    notice: Notice,
    (user_id, to): (i64, &str),
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let what = NoticeToSend {
        notice,
        to: to.to_owned(),
        at: now,
        language,
    };
    let job = NewJob {
        user_id: Some(user_id),
        ..NewJob::of::<MailNotice>(&what, now)?
    };
    enqueue(conn, &job, now).map(drop)
}

/// What a new password brings with it, in its transaction: codes that would change it
/// once more are worth nothing, and the owner is told.
pub fn password_changed(
    conn: &mut Conn,
    user: &User,
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    codes::revoke(conn, user.user_id, &[Purpose::ResetPassword], now)?;
    let whom = (user.user_id, user.email.as_str());
    enqueue_notice(conn, Notice::PasswordChanged, whom, language, now)
}

/// The same for a changed profile: codes that went to what was left are worth nothing,
/// and the address, a former one where that has changed, is told.
pub fn profile_changed(
    conn: &mut Conn,
    (before, after): (&User, &User),
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let user_id = before.user_id;
    if before.mobile != after.mobile {
        let purposes = [Purpose::VerifyMobile, Purpose::ResetPassword];
        codes::revoke(conn, user_id, &purposes, now)?;
        let whom = (user_id, before.email.as_str());
        enqueue_notice(conn, Notice::MobileChanged, whom, language, now)?;
    }
    if before.email != after.email {
        let purposes = [Purpose::VerifyEmail, Purpose::ResetPassword];
        codes::revoke(conn, user_id, &purposes, now)?;
    }
    // The same address in another spelling is no news.
    if before.email.to_lowercase() != after.email.to_lowercase() {
        let whom = (user_id, before.email.as_str());
        enqueue_notice(conn, Notice::EmailChanged, whom, language, now)?;
    }
    Ok(())
}
