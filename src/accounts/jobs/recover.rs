//! The job that makes a code for whoever asked to recover an account, if there is one.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::result::QueryResult;
use serde::{Deserialize, Serialize};

use crate::accounts::Accounts;
use crate::accounts::codes::{Issued, LIFETIME, Order, Purpose};
use crate::accounts::notifications::{self, Channel};
use crate::accounts::refresh::new_nonce;
use crate::accounts::storage::users;
use crate::accounts::types::{Account, Email, User};
use crate::core::db::Conn;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, NewJob, Outcome, Queue};
use crate::jobs::{JobNotifier, actions};
use crate::notify::Language;

/// Makes the code, and has another job send it.
pub struct Recover {
    pub accounts: Arc<Accounts>,
    pub job_notifier: JobNotifier,
}

/// Who asked.
#[derive(Serialize, Deserialize)]
pub struct Recovery {
    account: Account,
    language: Language,
    /// Of the reset id that whoever asked was given; empty in jobs of older versions.
    #[serde(default)]
    order_hash: String,
    /// Whether somebody else made the account; not in jobs of older versions.
    #[serde(default)]
    is_invitation: bool,
}

/// Has a code with which to choose a first password sent to the owner of a new account that
/// somebody else made in this transaction.
pub fn enqueue_invitation(
    conn: &mut Conn,
    email: &Email,
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let invitation = Recovery {
        account: Account::Email(email.key.clone()),
        language,
        order_hash: String::new(),
        is_invitation: true,
    };
    actions::enqueue(conn, &NewJob::of::<Recover>(&invitation, now)?, now).map(drop)
}

/// Has a code sent to whoever the account is, if anybody: the same work for all.
pub fn enqueue_recovery(
    conn: &mut Conn,
    account: &Account,
    order_hash: &str,
    language: Language,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let recovery = Recovery {
        account: account.clone(),
        language,
        order_hash: order_hash.to_owned(),
        is_invitation: false,
    };
    actions::enqueue(conn, &NewJob::of::<Recover>(&recovery, now)?, now).map(drop)
}

impl JobHandler for Recover {
    const KIND: JobKind = JobKind {
        name: "recover",
        queue: Queue::Work,
        time_limit: Duration::from_secs(30),
        is_periodic: false,
    };

    type Payload = Recovery;

    async fn run(&self, job: Job, recovery: Recovery) -> Result<Outcome, Failure> {
        let Recovery {
            account,
            language,
            order_hash,
            is_invitation,
        } = recovery;
        let (now, asked) = (self.accounts.directory.clock.now(), job.created);
        // Nobody waits for an invitation, and it is sent whenever that can be.
        if !is_invitation && job.created + LIFETIME <= now {
            return Ok(Outcome::NotNeeded("whoever asked waits no more"));
        }
        let order = Order {
            nonce: new_nonce().map_err(Failure::Transient)?,
            order_hash,
            is_invitation,
        };
        let keys = Arc::clone(&self.accounts.code_keys);
        let limits = self.accounts.directory.messages;
        let issued = self
            .accounts
            .directory
            .db
            .write(move |conn| {
                let found = users::find_by_account(conn, &account)?;
                let is_wanted = |user: &User| {
                    // Who has a verified address has chosen a password already.
                    user.is_active && !(is_invitation && user.email_verified)
                };
                let Some(user) = found.filter(is_wanted) else {
                    return Ok(None);
                };
                let is_asked_by_mobile = matches!(account, Account::Mobile(_));
                let channel = if user.recovers_by_mobile(is_asked_by_mobile) {
                    Channel::Mobile
                } else {
                    Channel::Email
                };
                let what = (&user, Purpose::ResetPassword, channel);
                let by = (&*keys, &limits);
                notifications::send_code(conn, by, what, language, &order, now).map(Some)
            })
            .await?;
        self.job_notifier.notify();
        Ok(match issued {
            // What was accepted is sent: a code from before it was asked for may be used up.
            Some(Issued::TooSoon { wait, created }) if created <= asked => {
                Outcome::Reschedule(now + wait)
            }
            Some(Issued::TooMany(wait)) if is_invitation => Outcome::Reschedule(now + wait),
            Some(Issued::TooMany(_)) => {
                Outcome::NotNeeded("there were too many codes for the account, or in all")
            }
            _ => Outcome::Done,
        })
    }
}
