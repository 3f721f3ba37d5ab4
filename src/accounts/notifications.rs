//! Notifications: codes and notices for the owners of accounts, enqueued as jobs in the
//! transaction of their cause.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use super::codes::{CodeKeys, Issued, Order, Purpose};
use super::jobs::send_code::{CodeToSend, MailCode, SmsCode};
use super::jobs::send_notice::{MailNotice, Notice, NoticeToSend};
use super::storage::{codes, message_budget};
pub use super::types::Channel;
use super::types::{Cause, Counted, User};
use crate::core::db::Conn;
use crate::core::settings::MessageLimits;
use crate::jobs::actions::enqueue;
use crate::jobs::types::NewJob;
use crate::notify::Language;

/// Issues a code and has it sent, in one transaction, if the limits of messages allow it.
pub fn send_code(
    conn: &mut Conn,
    (keys, limits): (&CodeKeys, &MessageLimits),
    (user, purpose, channel): (&User, Purpose, Channel),
    language: Language,
    order: &Order,
    now: NaiveDateTime,
) -> QueryResult<Issued> {
    let target = match channel {
        Channel::Email => user.email.clone(),
        Channel::Mobile => user.number().unwrap_or_default(),
    };
    let whose = (user.user_id, purpose, target.as_str());
    if let Some(too_soon) = codes::wait(conn, whose, now)? {
        return Ok(too_soon);
    }
    let cause = match purpose {
        Purpose::VerifyEmail | Purpose::VerifyMobile => Cause::Verification,
        Purpose::ResetPassword => Cause::Recovery,
    };
    let counted = Counted {
        user_id: user.user_id,
        target: keys.name_of_target(&target),
        cause,
        channel,
    };
    if let Some(wait) = message_budget::take(conn, limits, &counted, now)? {
        left_out(&counted);
        return Ok(Issued::TooMany(wait));
    }
    let issued = codes::issue(conn, keys, whose, order, now)?;
    if let Issued::New(code_id) = issued {
        let what = CodeToSend {
            code_id,
            language,
            is_invitation: order.is_invitation,
        };
        let mut job = match channel {
            Channel::Email => NewJob::of::<MailCode>(&what, now)?,
            Channel::Mobile => NewJob::of::<SmsCode>(&what, now)?,
        };
        job.user_id = Some(user.user_id);
        enqueue(conn, &job, now)?;
    }
    Ok(issued)
}

/// Has an owner told by mail what happens in this transaction, at the address that `user` has:
/// if it is verified, for a stranger's is none of ours to write to, and if the limits of
/// messages allow it.
pub fn tell(
    conn: &mut Conn,
    limits: &MessageLimits,
    notice: Notice,
    user: &User,
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    if !user.email_verified {
        return Ok(());
    }
    let counted = Counted {
        user_id: user.user_id,
        // As the address is verified, it is nobody else's: the account's limit is its.
        target: None,
        cause: Cause::Notice,
        channel: Channel::Email,
    };
    if message_budget::take(conn, limits, &counted, now)?.is_some() {
        left_out(&counted);
        return Ok(());
    }
    let whom = (user.user_id, user.email.as_str());
    enqueue_notice(conn, notice, whom, language, now)
}

/// Messages that this process left out. Of as many as an attacker wants a few are logged.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

fn left_out(counted: &Counted) {
    let in_all = LEFT_OUT.fetch_add(1, Ordering::Relaxed) + 1;
    if in_all.is_power_of_two() || in_all.is_multiple_of(1000) {
        tracing::warn!(
            user_id = counted.user_id,
            cause = counted.cause.name(),
            in_all,
            "a message was left out: there were too many"
        );
    }
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
    limits: &MessageLimits,
    user: &User,
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    codes::revoke(conn, user.user_id, &[Purpose::ResetPassword], now)?;
    tell(conn, limits, Notice::PasswordChanged, user, language, now)
}

/// The same for a changed profile: codes that went to what was left are worth nothing,
/// and the address, a former one where that has changed, is told.
pub fn profile_changed(
    conn: &mut Conn,
    limits: &MessageLimits,
    (before, after): (&User, &User),
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let user_id = before.user_id;
    if before.mobile != after.mobile {
        let purposes = [Purpose::VerifyMobile, Purpose::ResetPassword];
        codes::revoke(conn, user_id, &purposes, now)?;
        tell(conn, limits, Notice::MobileChanged, before, language, now)?;
    }
    if before.email != after.email {
        let purposes = [Purpose::VerifyEmail, Purpose::ResetPassword];
        codes::revoke(conn, user_id, &purposes, now)?;
    }
    // The same address in another spelling is no news.
    if before.email.to_lowercase() != after.email.to_lowercase() {
        tell(conn, limits, Notice::EmailChanged, before, language, now)?;
    }
    Ok(())
}
