//! The settings of both channels, as they are written. What is wrong with one is said
//! without it: there are passwords in them.

use std::fmt;
use std::net::IpAddr;

use lettre::Address;
use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use url::{Host, SyntaxViolation, Url};

use crate::core::mail_address::MailAddress;

/// When mail is encrypted on its way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte.
    Wrapped,
    /// By STARTTLS, and not sent without.
    Required,
    /// By STARTTLS where the server offers it, whoever the server is: who could take
    /// its place could as well say that it offers none (RFC 7435).
    Opportunistic,
    /// Never.
    None,
}

/// The server that takes mails.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    pub tls: Tls,
    pub host: Host,
    pub port: u16,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

/// Without credentials.
impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.credentials.is_some() {
            "***@"
        } else {
            ""
        };
        write!(f, "{known}{}:{} {:?}", self.host, self.port, self.tls)
    }
}

impl SmtpUrl {
    /// Reads `smtp[s]://[user:password@]host[:port][?tls=required|opportunistic|none]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "an SMTP URL looks like smtps://user:password@mail.example.org or \
             smtp://mail.example.org:587?tls=required, user and password percent-encoded"
                .to_owned()
        };
        let url = strict(text, &[SyntaxViolation::EmbeddedCredentials]).ok_or_else(wrong)?;
        let default_port = match url.scheme() {
            "smtps" => 465,
            "smtp" => 587,
            _ => return Err(wrong()),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(wrong());
        }
        // As it stands in URLs of unknown schemes, it has not been read yet.
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = Host::parse(host.ok_or_else(wrong)?).map_err(|_| wrong())?;
        let is_loopback = is_loopback(&host);
        let tls = match (url.scheme(), url.query()) {
            ("smtps", None) => Tls::Wrapped,
            ("smtps", Some(_)) => {
                return Err("smtps:// is TLS from the first byte and takes no ?tls=".to_owned());
            }
            (_, None) if is_loopback => Tls::Opportunistic,
            (_, None | Some("tls=required")) => Tls::Required,
            (_, Some("tls=opportunistic")) => Tls::Opportunistic,
            (_, Some("tls=none")) => Tls::None,
            _ => return Err("after ? comes tls=required, tls=opportunistic or tls=none".to_owned()),
        };
        let decode = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
        let credentials = match (url.username(), url.password().unwrap_or_default()) {
            ("", "") => None,
            (user, password) => {
                let user = decode(user).map_err(|_| wrong())?;
                let password = decode(password).map_err(|_| wrong())?;
                // Neither can be sent by PLAIN (RFC 4616), and controls are slips.
                let is_odd = |s: &str| s.is_empty() || s.chars().any(char::is_control);
                if is_odd(&user) || is_odd(&password) {
                    return Err(wrong());
                }
                Some((user, password))
            }
        };
        if credentials.is_some() && tls == Tls::None && !is_loopback {
            return Err(
                "with tls=none everybody on the way would read the password; leave out \
                 tls=none, or user and password"
                    .to_owned(),
            );
        }
        let port = url.port().unwrap_or(default_port);
        if port == 0 {
            return Err(wrong());
        }
        Ok(Self {
            tls,
            host,
            port,
            credentials,
        })
    }

    /// For the resolver and for the certificate: without brackets.
    pub fn host_name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).to_canonical().is_loopback(),
    }
}

/// A URL that nothing had to be repaired in, but for what is allowed.
pub fn strict(text: &str, allowed: &[SyntaxViolation]) -> Option<Url> {
    let slips = std::cell::Cell::new(false);
    let see = |violation| slips.set(slips.get() || !allowed.contains(&violation));
    let url = Url::options()
        .syntax_violation_callback(Some(&see))
        .parse(text)
        .ok()?;
    (!slips.get()).then_some(url)
}

/// The sender's address, its domain in ASCII; it may be one of this machine alone.
fn sender(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    if domain.is_ascii() {
        return Address::new(local, domain).ok();
    }
    let domain = Host::parse(domain).ok()?.to_string();
    Address::new(local, domain).ok()
}

/// An address that mail can go to, its domain in ASCII.
pub fn address(text: &str) -> Option<Address> {
    let MailAddress {
        local,
        ascii_domain,
        ..
    } = MailAddress::parse(text)?;
    // Judged already, by the same rules as at registration: the library's own refuse some of
    // what people have.
    Some(Address::new_dangerous(local, ascii_domain))
}

/// Who mails are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom(Mailbox);

impl MailFrom {
    /// Reads `Inkpot <blog@example.org>` or a bare address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "a sender looks like Inkpot <blog@example.org>".to_owned();
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(wrong());
        }
        let (name, bare) = match text.strip_suffix('>') {
            Some(text) => text.rsplit_once('<').ok_or_else(wrong)?,
            None => ("", text),
        };
        let bare = sender(bare).ok_or_else(wrong)?;
        // Not every server takes others (RFC 6531), and every mail would be stuck.
        if !bare.user().is_ascii() {
            return Err("the sender's address must be ASCII before the @".to_owned());
        }
        let name = name.trim();
        let unquoted = name.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
        let name = unquoted.unwrap_or(name);
        if name.contains(['"', '<', '>']) {
            return Err(wrong());
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self(Mailbox::new(name, bare)))
    }

    /// As the header has it.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0
    }

    /// What follows the @.
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// For mails that are files.
impl Default for MailFrom {
    fn default() -> Self {
        let address = Address::new_dangerous("inkpot", "localhost");
        Self(Mailbox::new(Some("Inkpot".to_owned()), address))
    }
}

/// The gateway that takes text messages.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsUrl(Url);

/// Its host alone: gateways have keys in their queries.
impl fmt::Debug for SmsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.authority())
    }
}

impl SmsUrl {
    /// Reads an `http` or `https` URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "the URL of an SMS gateway looks like https://sms.example.org/send, without user, \
             password and fragment"
                .to_owned()
        };
        let url = strict(text, &[]).ok_or_else(wrong)?;
        // Credentials, empty ones too, are a violation.
        let is_plain = url.fragment().is_none();
        if !is_plain || !matches!(url.scheme(), "http" | "https") || url.port() == Some(0) {
            return Err(wrong());
        }
        Ok(Self(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether what is sent can be read on the way.
    pub fn is_open(&self) -> bool {
        let host = self.0.host().map(|host| host.to_owned());
        self.0.scheme() == "http" && !host.is_some_and(|host| is_loopback(&host))
    }
}

/// What the gateway knows its customer by.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsToken(String);

impl fmt::Debug for SmsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }
}

impl SmsToken {
    /// Takes what can stand in a header.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("a token is of visible ASCII characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
