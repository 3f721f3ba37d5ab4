//! The setting that names a Redis, for what processes share in the moment. What is
//! wrong with it is said without it: there is a password in it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::{Client, TlsCertificates};
use url::{Host, SyntaxViolation, Url};

use crate::core::settings::messages::strict;
use crate::core::tls_roots::Authorities;

/// Where a Redis is, and who may certify it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    url: Url,
    /// Beside the public ones.
    authorities: Authorities,
}

/// Without the password.
impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl RedisUrl {
    /// Reads `redis[s]://[user:password@]host[:port][/number of a database]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a Redis URL looks like redis://user:password@redis.example.org:6379/0, or \
             rediss://… for TLS, user and password percent-encoded"
                .to_owned()
        };
        let url = strict(text, &[SyntaxViolation::EmbeddedCredentials]).ok_or_else(wrong)?;
        let host = url.host_str().filter(|host| !host.is_empty());
        Host::parse(host.ok_or_else(wrong)?).map_err(|_| wrong())?;
        let database = url.path().trim_start_matches('/');
        let is_well_formed = matches!(url.scheme(), "redis" | "rediss")
            && (database.is_empty() || database.parse::<u16>().is_ok())
            && url.query().is_none()
            // The library would take `#insecure` for leave to trust anybody.
            && url.fragment().is_none()
            && url.port() != Some(0)
            // A user alone, or an empty password, is a slip; a password alone is that
            // of the user `default`.
            && text.contains('@') == url.password().is_some_and(|password| !password.is_empty());
        if !is_well_formed {
            return Err(wrong());
        }
        let parsed = Self {
            url,
            authorities: Authorities::default(),
        };
        parsed.client().map_err(|_| wrong())?;
        Ok(parsed)
    }

    /// Trusts these authorities as well.
    pub fn trusting(self, authorities: Authorities) -> Self {
        Self {
            authorities,
            ..self
        }
    }

    /// What opens connections; it opens none itself. The error is one line.
    pub fn client(&self) -> Result<Client, String> {
        let is_tls = self.url.scheme() == "rediss";
        let client = if is_tls && !self.authorities.0.is_empty() {
            // The library takes either its own list of authorities or ours.
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(with_public(&self.authorities)),
            };
            Client::build_with_tls(self.url.as_str(), certificates)
        } else {
            Client::open(self.url.as_str())
        };
        client.map_err(|error| format!("{}: {error}", self.redacted()))
    }

    /// The URL for people: without the password.
    pub fn redacted(&self) -> String {
        let mut url = self.url.clone();
        if url.password().is_some() {
            // Fails for URLs that cannot have one; this one has.
            let _ = url.set_password(Some("***"));
        }
        url.to_string()
    }
}

/// These and the public authorities, in the form of PEM.
fn with_public(authorities: &Authorities) -> Vec<u8> {
    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let own = authorities.0.iter().map(Vec::as_slice);
    public
        .map(AsRef::as_ref)
        .chain(own)
        .flat_map(|der| {
            let body = STANDARD.encode(der);
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n").into_bytes()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_every_form_are_read() {
        for (text, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1"),
            ("redis://[::1]:7000/2", "redis://[::1]:7000/2"),
            ("redis://redis/", "redis://redis/"),
            ("redis://:p%40ss@redis:6379/0", "redis://:***@redis:6379/0"),
            (
                "rediss://ann:hunter22@r.example.org",
                "rediss://ann:***@r.example.org",
            ),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!(url.redacted(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert!(!format!("{:?}", url.client().unwrap()).contains("hunter22"));
        }
    }

    #[test]
    fn slips_are_refused_and_not_repeated() {
        for text in [
            "redis",
            "redis:",
            "redis:hunter22",
            "redis://",
            "redis:///1",
            "http://hunter22",
            "unix:///run/hunter22.sock",
            "redis://ann:hunter22@",
            "redis://ann@redis",
            "redis://ann:@redis",
            "redis://:@redis",
            "redis://redis:0",
            "redis://redis:hunter22",
            "redis://redis:65536",
            "redis://redis/hunter22",
            "redis://redis/-1",
            "redis://redis/1/2",
            "redis://0.0.0.0",
            "redis://hunter22 hunter22",
            "redis://redis?protocol=hunter22",
            "rediss://redis#insecure",
            "redis://redis ",
        ] {
            let why = RedisUrl::parse(text).unwrap_err();
            assert!(!why.contains("hunter22") && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn further_authorities_stand_beside_the_public_ones() {
        let one = webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].to_vec();
        let pem = with_public(&Authorities(vec![one.clone()]));
        let all: Vec<Vec<u8>> = ureq::tls::parse_pem(&pem)
            .map(|item| match item.unwrap() {
                ureq::tls::PemItem::Certificate(found) => found.der().to_vec(),
                _ => panic!("a certificate"),
            })
            .collect();
        let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.len();
        assert_eq!(all.len(), public + 1);
        assert_eq!(all.last(), Some(&one));
        let url = RedisUrl::parse("rediss://localhost").unwrap();
        url.trusting(Authorities(vec![one])).client().unwrap();
    }
}
