//! Mail to one server, on connections that are kept for a while.
//!
//! The library's own pool is not used: its commands have no limit of time, and a
//! connection whose mail was given up in the middle goes back into it, where the next
//! mail would take the late answers for its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::time::timeout;
use url::{Host, Url};

use super::types::{Failure, Timeouts, sanitized};
use crate::core::settings::messages::{SmtpUrl, Tls};
use crate::core::settings::public_url::PublicUrl;
use crate::core::tls_roots::Authorities;

/// Connections that are kept.
const KEPT: usize = 2;

/// A server, and the connections to it that nobody uses.
pub struct Smtp {
    server: SmtpUrl,
    tls: Option<TlsParameters>,
    hello: ClientId,
    timeouts: Timeouts,
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// Where in the conversation a mail failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What comes before the recipient: it is the same for all mails, so the operator
    /// or the server's keeper mends it.
    Session,
    Recipient,
    /// The server may have the whole mail, whatever we have heard.
    Content,
}

/// Why a mail failed.
struct DeliveryError {
    stage: Stage,
    /// The code of the answer, if there was one.
    code: Option<u16>,
    text: String,
}

impl Smtp {
    /// Connects to nothing yet. The error is one line.
    pub fn new(
        server: &SmtpUrl,
        public_url: &PublicUrl,
        authorities: &Authorities,
        timeouts: Timeouts,
    ) -> Result<Arc<Self>, String> {
        let is_whoever = server.tls == Tls::Opportunistic;
        let tls = match server.tls {
            Tls::None => None,
            _ => Some(authorities.tls(server.host_name(), is_whoever)?),
        };
        Ok(Arc::new(Self {
            server: server.clone(),
            tls,
            hello: hello(public_url),
            timeouts,
            kept: Mutex::new(Vec::new()),
        }))
    }

    /// Sends a mail, and says why not without what is `hidden`.
    pub async fn send(
        self: &Arc<Self>,
        envelope: &Envelope,
        mail: &[u8],
        hidden: &[&str],
    ) -> Result<(), Failure> {
        self.deliver(envelope, mail)
            .await
            .map_err(|error| self.failure(&error, hidden))
    }

    async fn deliver(
        self: &Arc<Self>,
        envelope: &Envelope,
        mail: &[u8],
    ) -> Result<(), DeliveryError> {
        if let Some(mut connection) = self.kept_connection().await {
            match self.exchange(&mut connection, envelope, mail).await {
                Ok(()) => {
                    self.keep(connection);
                    return Ok(());
                }
                // It was closed after all, and the server has nothing yet.
                Err(error) if error.is_lost() && error.stage != Stage::Content => {}
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.connect().await?;
        self.exchange(&mut connection, envelope, mail).await?;
        self.keep(connection);
        Ok(())
    }

    /// One that was kept and still answers. A server that gives up an idle connection
    /// may say so in the answer, with a code of success (221).
    async fn kept_connection(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut kept = self.lock().pop()?;
            if kept.since.elapsed() > self.timeouts.idle {
                continue;
            }
            let asked = timeout(self.timeouts.command, kept.connection.command(Noop)).await;
            if matches!(asked, Ok(Ok(answer)) if answer.has_code(250)) {
                return Some(kept.connection);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how long the server really hears nothing"
    )]
    fn keep(self: &Arc<Self>, connection: AsyncSmtpConnection) {
        let mut kept = self.lock();
        if kept.len() < KEPT {
            kept.push(Kept {
                connection,
                since: Instant::now(),
            });
            let (smtp, timeouts) = (Arc::downgrade(self), self.timeouts);
            tokio::spawn(close_idle_later(smtp, timeouts));
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, DeliveryError> {
        let limit = self.timeouts.connect;
        let said = |text: String| DeliveryError {
            stage: Stage::Session,
            code: None,
            text,
        };
        let connected = timeout(limit, async {
            let wrapped = self.tls.clone().filter(|_| self.server.tls == Tls::Wrapped);
            let server = (self.server.host_name(), self.server.port);
            let mut connection = AsyncSmtpConnection::connect_tokio1(
                server,
                Some(limit),
                &self.hello,
                wrapped,
                None,
            )
            .await?;
            if let Some(tls) = self.tls.clone().filter(|_| self.server.tls != Tls::Wrapped)
                && (self.server.tls == Tls::Required || connection.can_starttls())
            {
                connection.starttls(tls, &self.hello).await?;
            }
            Ok(connection)
        });
        let mut connection = connected
            .await
            .map_err(|_| said(format!("no connection within {limit:?}")))?
            .map_err(|e| DeliveryError::of(Stage::Session, &e))?;
        if let Some((user, password)) = &self.server.credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let login = connection.auth(&mechanisms, &credentials);
            self.answer(Stage::Session, self.timeouts.command, login)
                .await?;
        }
        Ok(connection)
    }

    async fn exchange(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope,
        mail: &[u8],
    ) -> Result<(), DeliveryError> {
        let limit = self.timeouts.command;
        let mut parameters = Vec::new();
        if envelope.to().iter().any(|to| !to.user().is_ascii()) {
            if !connection
                .server_info()
                .supports_feature(Extension::SmtpUtfEight)
            {
                return Err(DeliveryError {
                    stage: Stage::Recipient,
                    code: Some(553),
                    text: "the server takes no addresses beyond ASCII".to_owned(),
                });
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = Mail::new(envelope.from().cloned(), parameters);
        self.answer(Stage::Session, limit, connection.command(from))
            .await?;
        for to in envelope.to() {
            let to = Rcpt::new(to.clone(), Vec::new());
            self.answer(Stage::Recipient, limit, connection.command(to))
                .await?;
        }
        self.answer(Stage::Recipient, limit, connection.command(Data))
            .await?;
        self.answer(
            Stage::Content,
            self.timeouts.content,
            connection.message(mail),
        )
        .await
    }

    async fn answer<T>(
        &self,
        stage: Stage,
        limit: Duration,
        command: impl Future<Output = Result<T, Error>>,
    ) -> Result<(), DeliveryError> {
        match timeout(limit, command).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(DeliveryError::of(stage, &error)),
            Err(_) => Err(DeliveryError {
                stage,
                code: None,
                text: format!("no answer within {limit:?}"),
            }),
        }
    }

    fn failure(&self, error: &DeliveryError, hidden: &[&str]) -> Failure {
        // Servers repeat what they do not understand.
        let mut all: Vec<String> = hidden.iter().map(|&s| s.to_owned()).collect();
        if let Some((user, password)) = &self.server.credentials {
            all.push(STANDARD.encode(format!("\0{user}\0{password}")));
            all.push(STANDARD.encode(user));
            all.push(STANDARD.encode(password));
            all.push(password.clone());
            all.push(user.clone());
        }
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let text = sanitized(&error.text, &all);
        if error.is_final() {
            Failure::Permanent(text)
        } else {
            Failure::Transient(text)
        }
    }
}

impl DeliveryError {
    fn of(stage: Stage, error: &Error) -> Self {
        Self {
            stage,
            code: error.status().map(u16::from),
            text: error.to_string(),
        }
    }

    /// Whether the connection failed, rather than the server refused.
    fn is_lost(&self) -> bool {
        // 421: the server closes the connection (RFC 5321 §3.8).
        self.code.is_none_or(|code| code == 421)
    }

    /// Whether trying again is useless: a 5xx to the recipient or the content. Codes
    /// that speak of the login or of TLS (RFC 4954, RFC 3207), or of the order of
    /// commands, are about the session wherever they come.
    fn is_final(&self) -> bool {
        self.stage != Stage::Session
            && self.code.is_some_and(|code| {
                code >= 500 && !matches!(code, 503 | 523 | 530 | 534 | 535 | 538)
            })
    }
}

/// Ends what has been kept for too long, politely.
async fn close_idle_later(smtp: Weak<Smtp>, timeouts: Timeouts) {
    tokio::time::sleep(timeouts.idle).await;
    let Some(smtp) = smtp.upgrade() else {
        return;
    };
    let old: Vec<Kept> = {
        let mut kept = smtp.lock();
        kept.extract_if(.., |kept| kept.since.elapsed() >= timeouts.idle)
            .collect()
    };
    for mut kept in old {
        let _ = timeout(timeouts.command, kept.connection.command(Quit)).await;
    }
}

/// The name that the server is greeted with: that of the public URL.
fn hello(public_url: &PublicUrl) -> ClientId {
    let url = Url::parse(&public_url.join("/")).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => ClientId::Domain(name.to_owned()),
        Some(Host::Ipv4(address)) => ClientId::Ipv4(address),
        Some(Host::Ipv6(address)) => ClientId::Ipv6(address),
        None => ClientId::Domain("localhost".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_final_depends_on_where_it_is_said() {
        for (stage, code, is_final) in [
            (Stage::Session, Some(550), false),
            (Stage::Session, Some(535), false),
            (Stage::Session, Some(554), false),
            (Stage::Session, None, false),
            (Stage::Recipient, Some(550), true),
            (Stage::Recipient, Some(553), true),
            (Stage::Recipient, Some(501), true),
            (Stage::Recipient, Some(521), true),
            (Stage::Recipient, Some(450), false),
            (Stage::Recipient, Some(421), false),
            (Stage::Recipient, Some(503), false),
            (Stage::Recipient, Some(530), false),
            (Stage::Recipient, None, false),
            (Stage::Content, Some(554), true),
            (Stage::Content, Some(552), true),
            (Stage::Content, Some(451), false),
            (Stage::Content, None, false),
        ] {
            let error = DeliveryError {
                stage,
                code,
                text: String::new(),
            };
            assert_eq!(error.is_final(), is_final, "{stage:?} {code:?}");
        }
    }

    #[test]
    fn a_failure_repeats_no_secret() {
        let server = SmtpUrl::parse("smtps://postman:hunter22@mail.example.org").unwrap();
        let url = PublicUrl::parse("https://blog.example.org").unwrap();
        let smtp = Smtp::new(&server, &url, &Authorities::default(), Timeouts::default()).unwrap();
        let plain = STANDARD.encode("\0postman\0hunter22");
        let text = format!(
            "550 <ann@example.net>\r\n\u{1b}[2J code 481516 {plain} hunter22 {} {}",
            STANDARD.encode("hunter22"),
            "long ".repeat(100)
        );
        let error = DeliveryError {
            stage: Stage::Recipient,
            code: Some(550),
            text,
        };
        let Failure::Permanent(text) = smtp.failure(&error, &["ann@example.net", "481516"]) else {
            panic!("550");
        };
        assert!(
            text.starts_with("550 <***> [2J code *** *** *** *** long"),
            "{text}"
        );
        assert_eq!(text.chars().count(), 300);
    }

    #[test]
    fn the_server_is_greeted_with_the_name_of_the_site() {
        for (url, name) in [
            ("https://blog.example.org/a", "blog.example.org"),
            ("http://127.0.0.1:8080", "[127.0.0.1]"),
            ("http://[::1]:8080", "[IPv6:::1]"),
        ] {
            assert_eq!(hello(&PublicUrl::parse(url).unwrap()).to_string(), name);
        }
    }
}
