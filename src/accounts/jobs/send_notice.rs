//! The job that tells an owner by mail what happened to their account.

use std::sync::Arc;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use super::delivery::{mail_kind, origin_of, outcome_of};
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, Outcome};
use crate::notify::{Language, Message, Notifier};

/// Sends a notice by mail.
pub struct MailNotice {
    pub notifier: Arc<Notifier>,
}

/// What an owner is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    PasswordChanged,
    EmailChanged,
    MobileChanged,
    AccountDeleted,
    /// A used refresh token came back.
    SessionEnded,
}

/// Who is told what.
#[derive(Serialize, Deserialize)]
pub struct NoticeToSend {
    pub notice: Notice,
    /// The address at the time.
    pub to: String,
    pub at: NaiveDateTime,
    pub language: Language,
}

impl JobHandler for MailNotice {
    const KIND: JobKind = mail_kind("mail_notice");

    type Payload = NoticeToSend;

    async fn run(&self, job: Job, what: NoticeToSend) -> Result<Outcome, Failure> {
        let at = what.at;
        let message = match what.notice {
            Notice::PasswordChanged => Message::PasswordChanged { at },
            Notice::EmailChanged => Message::EmailChanged { at },
            Notice::MobileChanged => Message::MobileChanged { at },
            Notice::AccountDeleted => Message::AccountDeleted { at },
            Notice::SessionEnded => Message::SessionEnded { at },
        };
        let (language, origin) = (what.language, origin_of(&job));
        let sent = self.notifier.mail(&what.to, &message, language, &origin);
        outcome_of(sent.await)
    }
}
