//! How a message leaves the house: mail by SMTP, text messages by HTTP, and files
//! where either is not set up. It knows nothing of who asks and when to try again.

mod gateway;
mod language;
mod letter;
mod outbox;

mod smtp;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use self::gateway::Gateway;
pub use self::language::Language;
use self::letter::Letter;
use self::outbox::Outbox;
use self::smtp::Smtp;
use crate::core::settings::Settings;
use crate::core::settings::messages::MailFrom;
use crate::core::settings::public_url::PublicUrl;

/// What is said to somebody. Times in UTC.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    VerifyEmail { code: String },
    VerifyMobile { code: String },
    ResetPassword { code: String },
    PasswordChanged { at: NaiveDateTime },
    EmailChanged { at: NaiveDateTime },
    SessionEnded { at: NaiveDateTime },
}

impl Message {
    fn code(&self) -> Option<&str> {
        match self {
            Self::VerifyEmail { code }
            | Self::VerifyMobile { code }
            | Self::ResetPassword { code } => Some(code),
            _ => None,
        }
    }

    fn at(&self) -> Option<NaiveDateTime> {
        match self {
            Self::PasswordChanged { at }
            | Self::EmailChanged { at }
            | Self::SessionEnded { at } => Some(*at),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "VerifyEmail",
            Self::VerifyMobile { .. } => "VerifyMobile",
            Self::ResetPassword { .. } => "ResetPassword",
            Self::PasswordChanged { .. } => "PasswordChanged",
            Self::EmailChanged { .. } => "EmailChanged",
            Self::SessionEnded { .. } => "SessionEnded",
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
    fn key(&self) -> String {
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
fn told(text: &str, hidden: &[&str]) -> String {
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
pub struct Limits {
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

impl Default for Limits {
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

/// Sends messages. One for the process.
pub struct Notifier {
    mail: MailWay,
    text: TextWay,
    outbox: Arc<Outbox>,
    from: MailFrom,
    public_url: PublicUrl,
}

enum MailWay {
    Smtp(Arc<Smtp>),
    Files,
}

enum TextWay {
    Gateway(Arc<Gateway>),
    Files,
}

impl Notifier {
    /// Connects to nothing yet. The error is one line.
    pub fn new(settings: &Settings, public_url: PublicUrl) -> Result<Self, String> {
        Self::with_limits(settings, public_url, Limits::default())
    }

    /// [`new`](Self::new) with other limits of time.
    pub fn with_limits(
        settings: &Settings,
        public_url: PublicUrl,
        limits: Limits,
    ) -> Result<Self, String> {
        let authorities = &settings.authorities().cloned().unwrap_or_default();
        let mail = match settings.smtp_url() {
            Some(url) => MailWay::Smtp(Smtp::new(url, &public_url, authorities, limits)?),
            None => MailWay::Files,
        };
        let text = match settings.sms_url() {
            Some(url) => TextWay::Gateway(Arc::new(Gateway::new(
                url,
                settings.sms_token(),
                authorities,
                limits,
            ))),
            None => TextWay::Files,
        };
        Ok(Self {
            mail,
            text,
            outbox: Arc::new(Outbox::new(&settings.data_dir)),
            from: settings.mail_from(),
            public_url,
        })
    }

    /// Sends a mail.
    pub async fn mail(
        &self,
        to: &str,
        message: &Message,
        language: Language,
        origin: &Origin,
    ) -> Result<(), Failure> {
        let letter = Letter::new(message, language, &self.public_url);
        let mail = letter.into_mail(&self.from, to, origin)?;
        match &self.mail {
            MailWay::Smtp(smtp) => {
                let hidden = [to, message.code().unwrap_or_default()];
                smtp.send(mail.envelope(), &mail.formatted(), &hidden).await
            }
            MailWay::Files => self.file(origin, "eml", mail.formatted()).await,
        }
    }

    /// Sends a text message to a number in the form of E.164, as `+31612345678`.
    pub async fn sms(
        &self,
        to: &str,
        message: &Message,
        language: Language,
        origin: &Origin,
    ) -> Result<(), Failure> {
        let text = letter::text_message(message, language);
        let body = serde_json::json!({ "to": to, "text": text }).to_string();
        match &self.text {
            TextWay::Gateway(gateway) => gateway.send(body, origin.key()).await,
            TextWay::Files => self.file(origin, "sms.json", body.into_bytes()).await,
        }
    }

    async fn file(&self, origin: &Origin, kind: &str, content: Vec<u8>) -> Result<(), Failure> {
        let created = origin.created.format("%Y%m%dT%H%M%S");
        let name = format!("{created}-{}.{kind}", origin.job_id);
        let outbox = self.outbox.clone();
        let put = tokio::task::spawn_blocking(move || outbox.put(&name, &content)).await;
        let path = put
            .map_err(|e| Failure::Transient(told(&e.to_string(), &[])))?
            .map_err(Failure::Transient)?;
        tracing::info!(path = %path.display(), "wrote a message to a file");
        Ok(())
    }

    /// What the operator should know at the start, a line each: which channel is
    /// written to files and where, and whether a token goes unencrypted.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let path = self.outbox.directory().display();
        if let MailWay::Files = self.mail {
            lines.push(format!(
                "mail goes to files in {path}: INKPOT_SMTP_URL is not set"
            ));
        }
        match &self.text {
            TextWay::Files => lines.push(format!(
                "text messages go to files in {path}: INKPOT_SMS_URL is not set"
            )),
            TextWay::Gateway(gateway) if gateway.tells_its_token() => lines.push(
                "INKPOT_SMS_TOKEN goes unencrypted through the network: INKPOT_SMS_URL is not https"
                    .to_owned(),
            ),
            TextWay::Gateway(_) => {}
        }
        lines
    }
}
