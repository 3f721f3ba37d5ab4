//! Messages: what is said, what tells one from another, and why it was not taken.

use std::fmt;
use std::time::Duration;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

/// What is said to somebody. Times in UTC.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    VerifyEmail {
        code: String,
    },
    VerifyMobile {
        code: String,
    },
    ResetPassword {
        code: String,
    },
    /// To choose the first password of an account that somebody else made.
    Invitation {
        code: String,
    },
    PasswordChanged {
        at: NaiveDateTime,
    },
    EmailChanged {
        at: NaiveDateTime,
    },
    MobileChanged {
        at: NaiveDateTime,
    },
    AccountDeleted {
        at: NaiveDateTime,
    },
    SessionEnded {
        at: NaiveDateTime,
    },
    /// The operator's own, to see whether mails arrive.
    Test {
        at: NaiveDateTime,
    },
}

impl Message {
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::VerifyEmail { code }
            | Self::VerifyMobile { code }
            | Self::ResetPassword { code }
            | Self::Invitation { code } => Some(code),
            _ => None,
        }
    }

    pub fn at(&self) -> Option<NaiveDateTime> {
        match self {
            Self::PasswordChanged { at }
            | Self::EmailChanged { at }
            | Self::MobileChanged { at }
            | Self::AccountDeleted { at }
            | Self::SessionEnded { at }
            | Self::Test { at } => Some(*at),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "VerifyEmail",
            Self::VerifyMobile { .. } => "VerifyMobile",
            Self::ResetPassword { .. } => "ResetPassword",
            Self::Invitation { .. } => "Invitation",
            Self::PasswordChanged { .. } => "PasswordChanged",
            Self::EmailChanged { .. } => "EmailChanged",
            Self::MobileChanged { .. } => "MobileChanged",
            Self::AccountDeleted { .. } => "AccountDeleted",
            Self::SessionEnded { .. } => "SessionEnded",
            Self::Test { .. } => "Test",
        }
    }
}

/// Without the code, which logs must not have.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which job sends it, from which Message-ID and file name follow: the same for every
/// repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub job_id: i64,
    pub created: NaiveDateTime,
}

impl Origin {
    /// What tells this message from all others of this installation.
    pub fn key(&self) -> String {
        let micros = self.created.and_utc().timestamp_micros();
        format!("inkpot-{}-{micros}", self.job_id)
    }
}

/// Why a message was not taken; the text has neither secrets nor addresses of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The same may succeed later.
    Transient(String),
    /// It never will.
    Permanent(String),
}

/// Characters of a failure that are kept.
const FAILURE_MAX: usize = 300;

/// What another server said, fit for a log: on one line, not long, and without what it
/// repeats of these.
pub fn sanitized(text: &str, hidden: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in hidden.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").chars().take(FAILURE_MAX).collect()
}

/// How long another server may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until it is connected: name, TCP, and all that goes before the first message.
    pub connect: Duration,
    /// For the answer to one command.
    pub command: Duration,
    /// For the answer to a whole mail: what has been taken and is not acknowledged is
    /// sent twice, and scanners take their time.
    pub content: Duration,
    /// For a whole text message, the name of the gateway included.
    pub text: Duration,
    /// How long a connection is kept for the next mail.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            command: Duration::from_secs(10),
            content: Duration::from_secs(30),
            text: Duration::from_secs(15),
            idle: Duration::from_secs(30),
        }
    }
}
