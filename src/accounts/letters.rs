//! What is sent to the owners of accounts: codes and notices, as jobs. What a job
//! keeps has no code in it, and is blanked when the job is done.

use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codes::{CodeKeys, Issued, LIFETIME, Purpose};
use super::refresh::new_nonce;
use super::storage::{codes, users};
use super::types::{Account, Mobile, User};
use crate::core::clock::Clock;
use crate::core::db::{Conn, Db, DbError};
use crate::core::telemetry::chain::Chain;
use crate::jobs::store::{NewJob, enqueue};
use crate::jobs::{Failure, Job, Kind, Outcome, Waker};
use crate::notify::Language;
use crate::notify::{self, Message, Notifier, Origin};

/// By which way a code is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Email,
    Mobile,
}

/// What an owner is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    PasswordChanged,
    EmailChanged,
    /// A used refresh token came back.
    SessionEnded,
}

/// The payload of [`Kind::Recover`].
#[derive(Serialize, Deserialize)]
struct Recovery {
    account: Account,
    language: Language,
}

/// The payload of [`Kind::MailCode`] and [`Kind::SmsCode`].
#[derive(Serialize, Deserialize)]
struct CodeLetter {
    code_id: i64,
    language: Language,
}

/// The payload of [`Kind::MailNotice`].
#[derive(Serialize, Deserialize)]
struct NoticeLetter {
    notice: Notice,
    /// The address at the time.
    to: String,
    at: NaiveDateTime,
    language: Language,
}

fn job_of(kind: Kind, payload: &impl Serialize, now: NaiveDateTime) -> QueryResult<NewJob> {
    let payload = serde_json::to_string(payload)
        .map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    Ok(NewJob {
        kind,
        payload,
        due: now,
        dedup_key: None,
        user_id: None,
    })
}

/// Has a code sent to whoever the account is, if anybody: the same work for all.
pub fn enqueue_recovery(
    conn: &mut Conn,
    account: &Account,
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let recovery = Recovery {
        account: account.clone(),
        language,
    };
    enqueue(conn, &job_of(Kind::Recover, &recovery, now)?, now).map(drop)
}

/// Issues a code and has it sent, in one transaction.
pub fn order_code(
    conn: &mut Conn,
    keys: &CodeKeys,
    (user, purpose, channel): (&User, Purpose, Channel),
    language: Language,
    nonce: &str,
    now: NaiveDateTime,
) -> QueryResult<Issued> {
    let target = match channel {
        Channel::Email => user.email.clone(),
        Channel::Mobile => number_of(user),
    };
    let whose = (user.user_id, purpose, target.as_str());
    let issued = codes::issue(conn, keys, whose, nonce, now)?;
    if let Issued::New(code_id) = issued {
        let kind = match channel {
            Channel::Email => Kind::MailCode,
            Channel::Mobile => Kind::SmsCode,
        };
        let letter = CodeLetter { code_id, language };
        let job = NewJob {
            user_id: Some(user.user_id),
            ..job_of(kind, &letter, now)?
        };
        enqueue(conn, &job, now)?;
    }
    Ok(issued)
}

/// The number as gateways take it, E.164; empty when there is none.
fn number_of(user: &User) -> String {
    let mobile = user.mobile.as_deref().map(Mobile::parse);
    mobile
        .and_then(Result::ok)
        .map_or(String::new(), |mobile| mobile.key)
}

/// Has an owner told by mail to the address `to` what happens in this transaction.
pub fn enqueue_notice(
    conn: &mut Conn,
    notice: Notice,
    (user_id, to): (i64, &str),
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let letter = NoticeLetter {
        notice,
        to: to.to_owned(),
        at: now,
        language,
    };
    let job = NewJob {
        user_id: Some(user_id),
        ..job_of(Kind::MailNotice, &letter, now)?
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
/// and a former address is told.
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

/// Does the jobs of this module.
pub struct Letters {
    pub db: Db,
    pub clock: Clock,
    pub code_keys: Arc<CodeKeys>,
    pub notifier: Notifier,
    pub waker: Waker,
}

impl Letters {
    /// Makes a code for whoever asked to recover an account.
    pub async fn recover(&self, job: &Job) -> Result<Outcome, Failure> {
        let Recovery { account, language } = read(job)?;
        let now = self.clock.now();
        if job.created + LIFETIME <= now {
            return Ok(Outcome::NotNeeded("whoever asked waits no more"));
        }
        let nonce = new_nonce().map_err(Failure::Passing)?;
        let keys = Arc::clone(&self.code_keys);
        let issued = self
            .db
            .write(move |conn| {
                let found = users::find_by_account(conn, &account)?;
                let Some(user) = found.filter(|user| user.is_active) else {
                    return Ok(None);
                };
                let channel = match account {
                    Account::Mobile(_) => Channel::Mobile,
                    Account::Email(_) | Account::Username(_) => Channel::Email,
                };
                let what = (&user, Purpose::ResetPassword, channel);
                order_code(conn, &keys, what, language, &nonce, now).map(Some)
            })
            .await
            .map_err(|error| unwritten(&error))?;
        self.waker.wake();
        Ok(match issued {
            // The code of just now was for something else.
            Some(Issued::TooSoon {
                wait,
                has_one: false,
            }) => Outcome::Again(now + wait),
            _ => Outcome::Done,
        })
    }

    /// Sends a code, if it is still good for something.
    pub async fn send_code(&self, job: &Job) -> Result<Outcome, Failure> {
        let CodeLetter { code_id, language } = read(job)?;
        let (keys, now) = (Arc::clone(&self.code_keys), self.clock.now());
        let found = self
            .db
            .read(move |conn| codes::find_sendable(conn, &keys, code_id, now))
            .await
            .map_err(|error| unwritten(&error))?;
        let Some(sendable) = found else {
            return Ok(Outcome::NotNeeded(
                "the code was replaced, used or withdrawn, or has expired",
            ));
        };
        let (to, code) = (sendable.target, sendable.code);
        let message = match sendable.purpose {
            Purpose::VerifyEmail => Message::VerifyEmail { code },
            Purpose::VerifyMobile => Message::VerifyMobile { code },
            Purpose::ResetPassword => Message::ResetPassword { code },
        };
        let origin = origin_of(job);
        let sent = match job.kind {
            Kind::SmsCode => self.notifier.sms(&to, &message, language, &origin).await,
            _ => self.notifier.mail(&to, &message, language, &origin).await,
        };
        sent.map(|()| Outcome::Done).map_err(unsent)
    }

    /// Tells an owner what happened.
    pub async fn send_notice(&self, job: &Job) -> Result<Outcome, Failure> {
        let NoticeLetter {
            notice,
            to,
            at,
            language,
        } = read(job)?;
        let message = match notice {
            Notice::PasswordChanged => Message::PasswordChanged { at },
            Notice::EmailChanged => Message::EmailChanged { at },
            Notice::SessionEnded => Message::SessionEnded { at },
        };
        let origin = origin_of(job);
        let sent = self.notifier.mail(&to, &message, language, &origin).await;
        sent.map(|()| Outcome::Done).map_err(unsent)
    }
}

fn read<T: DeserializeOwned>(job: &Job) -> Result<T, Failure> {
    serde_json::from_str(&job.payload)
        .map_err(|_| Failure::Permanent("its payload cannot be read".to_owned()))
}

fn origin_of(job: &Job) -> Origin {
    Origin {
        job_id: job.job_id,
        created: job.created,
    }
}

fn unsent(failure: notify::Failure) -> Failure {
    match failure {
        notify::Failure::Passing(why) => Failure::Passing(why),
        notify::Failure::Permanent(why) => Failure::Permanent(why),
    }
}

fn unwritten(error: &DbError) -> Failure {
    Failure::Passing(Chain(error).to_string())
}
