//! Access tokens: JWTs as RFC 9068 has them, signed with HS256.
//!
//! The algorithm is fixed by the key, never by the header; the header may have
//! exactly the members that we write; every claim is checked for presence, type
//! and value. Verified without the database.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::http::path::parse_id;

/// Issuer and audience: this service signs for itself.
const ISSUER: &str = "inkpot";
/// RFC 9068 §2.1: cannot be taken for an ID token.
const TYPE: &str = "at+jwt";
/// Seconds by which the clocks of two processes may differ.
const LEEWAY: i64 = 30;
/// Ours have some 330 bytes; nothing longer is even decoded.
const MAX_LENGTH: usize = 4096;

/// Signs with the newest key and verifies with all.
pub struct Tokens {
    keys: Vec<Key>,
    clock: Clock,
    /// Seconds.
    ttl: u32,
}

struct Key {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} keys)", self.keys.len())
    }
}

/// The header that we write; any other member, such as `jwk`, `jku`, `x5u` or
/// `crit`, makes it a foreign one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnHeader {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The user's id as text.
    sub: String,
    /// The session's id as text.
    sid: String,
    /// Names this token.
    jti: String,
    iat: i64,
    exp: i64,
}

/// Whom a token speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    pub user_id: i64,
    pub session_id: i64,
}

impl Tokens {
    /// `secrets`: at least one; the first signs.
    pub fn new(secrets: &[Vec<u8>], ttl: u32, clock: Clock) -> Result<Self, String> {
        if secrets.is_empty() {
            return Err("no secret to sign tokens with".to_owned());
        }
        let keys = secrets
            .iter()
            .map(|secret| {
                Ok(Key {
                    kid: key_id(secret)?,
                    encoding: EncodingKey::from_secret(secret),
                    decoding: DecodingKey::from_secret(secret),
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { keys, clock, ttl })
    }

    /// Seconds that a new token lives.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// A new token for the user's session.
    pub fn issue(&self, user_id: i64, session_id: i64) -> Result<String, Error> {
        let key = &self.keys[0];
        let now = self.clock.timestamp();
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: user_id.to_string(),
            sid: session_id.to_string(),
            jti: ulid::Ulid::generate().to_string(),
            iat: now,
            exp: now + i64::from(self.ttl),
        };
        jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(Error::internal)
    }

    /// Whom a token names. Every fault is the same refusal.
    pub fn verify(&self, token: &str) -> Result<Subject, Error> {
        self.subject(token)
            .ok_or_else(|| Error::new(Code::InvalidToken))
    }

    fn subject(&self, token: &str) -> Option<Subject> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let header: OwnHeader = serde_json::from_slice(&header).ok()?;
        if header.alg != "HS256" || !header.typ.eq_ignore_ascii_case(TYPE) {
            return None;
        }
        let key = self.keys.iter().find(|key| key.kid == header.kid)?;

        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Checked below, by our own clock.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
            .ok()?
            .claims;
        let now = self.clock.timestamp();
        let in_time = claims.iat <= now.saturating_add(LEEWAY)
            && claims.exp > now.saturating_sub(LEEWAY)
            && claims.exp > claims.iat;
        if !in_time || claims.jti.is_empty() {
            return None;
        }
        Some(Subject {
            user_id: parse_id(&claims.sub)?,
            session_id: parse_id(&claims.sid)?,
        })
    }
}

/// Names a key without telling it: 64 bits of an HMAC under the key.
fn key_id(secret: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|e| e.to_string())?;
    mac.update(b"inkpot key id");
    Ok(URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..8]))
}
