//! Text messages to a gateway, one HTTP request each.

use std::io::Read;
use std::sync::Arc;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::types::{Failure, Timeouts, sanitized};
use crate::core::settings::messages::{SmsToken, SmsUrl};
use crate::core::telemetry::request;
use crate::core::telemetry::trace::{self, Trace};
use crate::core::tls_roots::Authorities;

/// Bytes of an answer that are read, so that the gateway can say all it has to.
const ANSWER_MAX: u64 = 64 * 1024;

/// A gateway and the way to it.
pub struct SmsGateway {
    agent: Agent,
    url: SmsUrl,
    token: Option<SmsToken>,
}

impl SmsGateway {
    /// Connects to nothing yet.
    pub fn new(
        url: &SmsUrl,
        token: Option<&SmsToken>,
        authorities: &Authorities,
        timeouts: Timeouts,
    ) -> Self {
        let tls = TlsConfig::builder().root_certs(roots(authorities)).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeouts.text))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Settings alone say where to go, not the environment.
            .proxy(None)
            // A connection that went stale meanwhile would lose a message.
            .max_idle_connections(0)
            .user_agent(concat!("inkpot/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self {
            agent,
            url: url.clone(),
            token: token.cloned(),
        }
    }

    /// Whether its token can be read on the way.
    pub fn tells_its_token(&self) -> bool {
        self.token.is_some() && self.url.is_open()
    }

    /// Sends a body of JSON under the key that a repeat is known by.
    pub async fn send(self: &Arc<Self>, body: String, key: String) -> Result<(), Failure> {
        let gateway = self.clone();
        let trace = request::context().and_then(|context| context.trace);
        tokio::task::spawn_blocking(move || gateway.post(&body, &key, trace))
            .await
            .unwrap_or_else(|e| Err(Failure::Transient(sanitized(&e.to_string(), &[]))))
    }

    fn post(&self, body: &str, key: &str, trace: Option<Trace>) -> Result<(), Failure> {
        let mut request = self
            .agent
            .post(self.url.as_str())
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", key);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.as_str()));
        }
        if let Some(trace) = trace {
            request = request.header(trace::HEADER, trace.header());
        }
        let mut answer = request
            .send(body)
            .map_err(|error| Failure::Transient(why(&error)))?;
        // The status has settled it already.
        let mut rest = answer.body_mut().as_reader().take(ANSWER_MAX);
        let _ = std::io::copy(&mut rest, &mut std::io::sink());
        judge(answer.status().as_u16())
    }
}

/// The public authorities and these.
fn roots(authorities: &Authorities) -> RootCerts {
    if authorities.0.is_empty() {
        return RootCerts::WebPki;
    }
    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    public
        .map(AsRef::as_ref)
        .chain(authorities.0.iter().map(Vec::as_slice))
        .map(|der| Certificate::from_der(der).to_owned())
        .into()
}

fn judge(status: u16) -> Result<(), Failure> {
    let text = format!("the gateway answered {status}");
    match status {
        200..=299 => Ok(()),
        300..=399 => Err(Failure::Permanent(format!(
            "{text}, a redirect, which is not followed; INKPOT_SMS_URL must be where it leads to"
        ))),
        // What the operator mends, or what passes by itself.
        401 | 403 | 404 | 408 | 425 | 429 => Err(Failure::Transient(text)),
        400..=499 => Err(Failure::Permanent(text)),
        _ => Err(Failure::Transient(text)),
    }
}

/// Of our own words and the system's: the library's may have the URL.
fn why(error: &ureq::Error) -> String {
    use ureq::Error;
    match error {
        Error::Timeout(_) => "no answer from the gateway in time".to_owned(),
        Error::HostNotFound => "the gateway's host is not found".to_owned(),
        Error::Io(e) => sanitized(&format!("no connection to the gateway: {e}"), &[]),
        Error::Rustls(e) => sanitized(&format!("no TLS with the gateway: {e}"), &[]),
        Error::Tls(e) => sanitized(&format!("no TLS with the gateway: {e}"), &[]),
        Error::Protocol(_) => "the gateway's answer is not HTTP".to_owned(),
        _ => "the gateway cannot be asked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_settles_it() {
        for status in [200, 201, 202, 204] {
            assert_eq!(judge(status), Ok(()), "{status}");
        }
        for status in [401, 403, 404, 408, 425, 429, 500, 502, 503, 504] {
            assert!(
                matches!(judge(status), Err(Failure::Transient(_))),
                "{status}"
            );
        }
        for status in [301, 302, 307, 308, 400, 402, 405, 413, 415, 422] {
            assert!(
                matches!(judge(status), Err(Failure::Permanent(_))),
                "{status}"
            );
        }
    }

    #[test]
    fn a_token_is_told_where_http_leaves_this_machine() {
        for (url, token, tells) in [
            ("http://sms.example.org/", Some("t"), true),
            ("http://10.0.0.1/", Some("t"), true),
            ("http://sms.example.org/", None, false),
            ("https://sms.example.org/", Some("t"), false),
            ("http://127.0.0.1:81/", Some("t"), false),
            ("http://localhost/", Some("t"), false),
        ] {
            let token = token.map(|token| SmsToken::parse(token).unwrap());
            let gateway = SmsGateway::new(
                &SmsUrl::parse(url).unwrap(),
                token.as_ref(),
                &Authorities::default(),
                Timeouts::default(),
            );
            assert_eq!(gateway.tells_its_token(), tells, "{url}");
        }
    }
}
