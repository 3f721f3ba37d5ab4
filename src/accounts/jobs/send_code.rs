//! The jobs that send a code, by mail or by SMS.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::delivery::{mail_kind, origin_of, outcome_of};
use crate::accounts::Accounts;
use crate::accounts::codes::{Purpose, Sendable};
use crate::accounts::storage::codes;
use crate::core::db::DbError;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, Outcome, Queue};
use crate::notify::{Language, Message, Notifier};

/// Sends a code by mail.
pub struct MailCode {
    pub accounts: Arc<Accounts>,
    pub notifier: Arc<Notifier>,
}

/// Sends a code by SMS.
pub struct SmsCode {
    pub accounts: Arc<Accounts>,
    pub notifier: Arc<Notifier>,
}

/// Which code, and not the code itself.
#[derive(Serialize, Deserialize)]
pub struct CodeToSend {
    pub code_id: i64,
    pub language: Language,
    /// Not in jobs of older versions.
    #[serde(default)]
    pub is_invitation: bool,
}

const NOT_NEEDED: Outcome =
    Outcome::NotNeeded("the code was replaced, used or withdrawn, or has expired");

impl JobHandler for MailCode {
    const KIND: JobKind = mail_kind("mail_code");

    type Payload = CodeToSend;

    async fn run(&self, job: Job, what: CodeToSend) -> Result<Outcome, Failure> {
        let Some((to, message)) = find(&self.accounts, &what).await? else {
            return Ok(NOT_NEEDED);
        };
        let (language, origin) = (what.language, origin_of(&job));
        outcome_of(self.notifier.mail(&to, &message, language, &origin).await)
    }
}

impl JobHandler for SmsCode {
    const KIND: JobKind = JobKind {
        name: "sms_code",
        queue: Queue::Sms,
        time_limit: Duration::from_secs(30),
        is_periodic: false,
    };

    type Payload = CodeToSend;

    async fn run(&self, job: Job, what: CodeToSend) -> Result<Outcome, Failure> {
        let Some((to, message)) = find(&self.accounts, &what).await? else {
            return Ok(NOT_NEEDED);
        };
        let (language, origin) = (what.language, origin_of(&job));
        outcome_of(self.notifier.sms(&to, &message, language, &origin).await)
    }
}

/// To whom the code goes and what is said, if it is still good for something.
async fn find(
    accounts: &Accounts,
    what: &CodeToSend,
) -> Result<Option<(String, Message)>, DbError> {
    let (code_id, is_invitation) = (what.code_id, what.is_invitation);
    let (keys, now) = (
        Arc::clone(&accounts.code_keys),
        accounts.directory.clock.now(),
    );
    let found = accounts
        .directory
        .db
        .read(move |conn| codes::find_sendable(conn, &keys, code_id, now))
        .await?;
    Ok(found.map(|sendable| {
        let Sendable {
            purpose,
            target,
            code,
        } = sendable;
        let message = match purpose {
            Purpose::VerifyEmail => Message::VerifyEmail { code },
            Purpose::VerifyMobile => Message::VerifyMobile { code },
            Purpose::ResetPassword if is_invitation => Message::Invitation { code },
            Purpose::ResetPassword => Message::ResetPassword { code },
        };
        (target, message)
    }))
}
