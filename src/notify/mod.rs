//! Notifications: how a message leaves the house, by mail (SMTP), as a text message (HTTP
//! gateway), or into files where either is not set up. The room knows nothing of who asks
//! and when to try again.
//!
//! [`types`] and [`Language`] say what is sent; `render` makes mails and texts of it;
//! `smtp`, `gateway` and `files` are the transports; `extract` reads the language of a
//! request.

mod extract;
mod files;
mod gateway;
mod language;
mod render;
mod smtp;
pub mod types;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use self::files::FileTransport;
use self::gateway::SmsGateway;
pub use self::language::Language;
use self::render::RenderedMail;
use self::smtp::Smtp;
use self::types::sanitized;
pub use self::types::{Failure, Message, Origin, Timeouts};
use crate::core::metrics::{Families, Histogram, Labelled};
use crate::core::settings::Settings;
use crate::core::settings::messages::MailFrom;
use crate::core::settings::public_url::PublicUrl;

/// Sends messages. One for the process.
pub struct Notifier {
    mail: MailTransport,
    sms: SmsTransport,
    files: Arc<FileTransport>,
    from: MailFrom,
    public_url: PublicUrl,
    deliveries: Arc<Deliveries>,
}

/// How long messages took to be taken, by channel, transport and result.
#[derive(Default)]
pub struct Deliveries(Labelled<3, Histogram>);

impl Deliveries {
    /// Tells of messages that were sent, or were not taken.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        families.histograms(
            "inkpot_message_duration_seconds",
            "How long it took to hand a message over; one that failed may be tried again.",
            self.0.all(["channel", "transport", "result"]),
        )
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how long another server really takes"
    )]
    async fn measure(
        &self,
        channel: &'static str,
        transport: &'static str,
        sending: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let sent = sending.await;
        let result = match &sent {
            Ok(()) => "sent",
            Err(Failure::Transient(_)) => "failed",
            Err(Failure::Permanent(_)) => "refused",
        };
        (self.0.of([channel, transport, result])).observe(begun.elapsed());
        sent
    }
}

enum MailTransport {
    Smtp(Arc<Smtp>),
    Files,
}

enum SmsTransport {
    Gateway(Arc<SmsGateway>),
    Files,
}

impl Notifier {
    /// Connects to nothing yet. The error is one line.
    pub fn new(settings: &Settings, public_url: PublicUrl) -> Result<Self, String> {
        Self::with_timeouts(settings, public_url, Timeouts::default())
    }

    /// [`new`](Self::new) with other timeouts.
    pub fn with_timeouts(
        settings: &Settings,
        public_url: PublicUrl,
        timeouts: Timeouts,
    ) -> Result<Self, String> {
        let authorities = &settings.authorities().cloned().unwrap_or_default();
        let mail = match settings.smtp_url() {
            Some(url) => MailTransport::Smtp(Smtp::new(url, &public_url, authorities, timeouts)?),
            None => MailTransport::Files,
        };
        let sms = match settings.sms_url() {
            Some(url) => SmsTransport::Gateway(Arc::new(SmsGateway::new(
                url,
                settings.sms_token(),
                authorities,
                timeouts,
            ))),
            None => SmsTransport::Files,
        };
        Ok(Self {
            mail,
            sms,
            files: Arc::new(FileTransport::new(&settings.data_dir)),
            from: settings.mail_from(),
            public_url,
            deliveries: Arc::default(),
        })
    }

    /// Has what it sends measured with the rest of the process.
    #[must_use]
    pub fn measured_by(self, deliveries: Arc<Deliveries>) -> Self {
        Self { deliveries, ..self }
    }

    /// Sends a mail.
    pub async fn mail(
        &self,
        to: &str,
        message: &Message,
        language: Language,
        origin: &Origin,
    ) -> Result<(), Failure> {
        let rendered = RenderedMail::new(message, language, &self.public_url);
        let mail = rendered.into_mail(&self.from, to, origin)?;
        match &self.mail {
            MailTransport::Smtp(smtp) => {
                let hidden = [to, message.code().unwrap_or_default()];
                let formatted = mail.formatted();
                let sending = smtp.send(mail.envelope(), &formatted, &hidden);
                self.deliveries.measure("mail", "smtp", sending).await
            }
            MailTransport::Files => {
                let writing = self.file(origin, "eml", mail.formatted());
                self.deliveries.measure("mail", "file", writing).await
            }
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
        let text = render::text_message(message, language);
        let body = serde_json::json!({ "to": to, "text": text }).to_string();
        match &self.sms {
            SmsTransport::Gateway(gateway) => {
                let sending = gateway.send(body, origin.key());
                self.deliveries.measure("sms", "gateway", sending).await
            }
            SmsTransport::Files => {
                let writing = self.file(origin, "sms.json", body.into_bytes());
                self.deliveries.measure("sms", "file", writing).await
            }
        }
    }

    async fn file(&self, origin: &Origin, kind: &str, content: Vec<u8>) -> Result<(), Failure> {
        let created = origin.created.format("%Y%m%dT%H%M%S");
        let name = format!("{created}-{}.{kind}", origin.job_id);
        let files = self.files.clone();
        let put = tokio::task::spawn_blocking(move || files.put(&name, &content)).await;
        let path = put
            .map_err(|e| Failure::Transient(sanitized(&e.to_string(), &[])))?
            .map_err(Failure::Transient)?;
        tracing::info!(path = %path.display(), "wrote a message to a file");
        Ok(())
    }

    /// What the operator should know at the start, a line each: which channel is
    /// written to files and where, and whether a token goes unencrypted.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let path = self.files.directory().display();
        if let MailTransport::Files = self.mail {
            lines.push(format!(
                "mail goes to files in {path}: INKPOT_SMTP_URL is not set"
            ));
        }
        match &self.sms {
            SmsTransport::Files => lines.push(format!(
                "text messages go to files in {path}: INKPOT_SMS_URL is not set"
            )),
            SmsTransport::Gateway(gateway) if gateway.tells_its_token() => lines.push(
                "INKPOT_SMS_TOKEN goes unencrypted through the network: INKPOT_SMS_URL is not https"
                    .to_owned(),
            ),
            SmsTransport::Gateway(_) => {}
        }
        lines
    }
}
