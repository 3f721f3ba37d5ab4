//! Access tokens: JWTs as RFC 9068 has them, and the ring of keys that sign and
//! verify them.
//!
//! The algorithm is fixed by the key, never by the header; the header may have
//! exactly the members that we write; every claim is checked for presence, type
//! and value. Verified without the database: the ring is in memory, and
//! [`keys`](super::actions::keys) brings it up to date.

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{Duration, NaiveDateTime};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Sha256;

use super::signing::{Pair, PublicPart, Vault};
use super::types::StoredKey;
use crate::core::clock::{self, Clock};
use crate::core::settings::JwtAlg;

/// Issuer and audience: this service signs for itself.
const ISSUER: &str = "inkpot";
/// RFC 9068 §2.1: cannot be taken for an ID token.
const TYPE: &str = "at+jwt";
/// Seconds by which the clocks of two processes may differ.
pub const LEEWAY: i64 = 30;
/// Ours have some 400 bytes; nothing longer is even decoded.
const MAX_LENGTH: usize = 4096;

/// Signs with the newest key and verifies with all.
pub struct Tokens {
    /// How new tokens are signed.
    alg: JwtAlg,
    clock: Clock,
    /// Seconds.
    ttl: u32,
    vault: Vault,
    /// The keys that the secrets are themselves, the one that signs last.
    given: Vec<Arc<Key>>,
    /// Replaced as a whole, never changed.
    ring: RwLock<Arc<Vec<Arc<Key>>>>,
    /// The rows that the ring was made of.
    seen: Mutex<Vec<StoredKey>>,
}

struct Key {
    kid: String,
    alg: JwtAlg,
    pair: Pair,
    /// `None` for a secret, which has no row.
    row: Option<Row>,
}

/// What the database knows of a key beside the key.
struct Row {
    created: NaiveDateTime,
    activates: NaiveDateTime,
    retires: Option<NaiveDateTime>,
}

impl Key {
    /// May sign now.
    fn signs(&self, now: NaiveDateTime) -> bool {
        self.row.as_ref().is_none_or(|row| {
            row.activates <= now && row.retires.is_none_or(|retires| retires > now)
        })
    }

    /// When the last of its tokens ends; `None` while it may sign still more.
    fn ends(&self, ttl: u32) -> Option<NaiveDateTime> {
        let retires = self.row.as_ref()?.retires?;
        Some(retires + Duration::seconds(i64::from(ttl) + LEEWAY))
    }

    /// A key verifies from the moment that it is known: the clock of the process that
    /// signs with it may be ahead of ours.
    fn verifies(&self, now: NaiveDateTime, ttl: u32) -> bool {
        self.ends(ttl).is_none_or(|ends| now < ends)
    }

    fn activates(&self) -> Option<NaiveDateTime> {
        self.row.as_ref().map(|row| row.activates)
    }
}

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// New tokens are signed with it.
    Signs,
    /// New tokens will be, from then on.
    Next(NaiveDateTime),
    /// Its tokens are taken.
    Verifies,
    /// Its tokens are taken until then.
    VerifiesUntil(NaiveDateTime),
    /// Its tokens are refused.
    Retired,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signs => f.write_str("signs"),
            Self::Next(from) => write!(f, "next, signs from {}", clock::rfc3339(*from)),
            Self::Verifies => f.write_str("verifies"),
            Self::VerifiesUntil(end) => write!(f, "verifies until {}", clock::rfc3339(*end)),
            Self::Retired => f.write_str("retired"),
        }
    }
}

/// A key of the ring, as far as anyone may know it.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    pub kid: String,
    pub alg: JwtAlg,
    pub used: Use,
    /// `None` for a secret itself.
    pub created: Option<NaiveDateTime>,
    pub public: Option<PublicPart>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} keys)", self.ring().len())
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
    /// Before when the token counts for nothing. Tokens of this server have none, but
    /// whoever holds a key may sign one (RFC 7519 §4.1.5).
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    nbf: Option<i64>,
}

/// A claim that may be absent, but not null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

impl Claims {
    fn subject(&self) -> Option<Subject> {
        Some(Subject {
            user_id: id_of(&self.sub)?,
            session_id: id_of(&self.sid)?,
        })
    }
}

/// Why a token counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadToken {
    Invalid,
    /// It was good until its time ended.
    Expired,
}

/// Whom a token speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    pub user_id: i64,
    pub session_id: i64,
}

impl Tokens {
    /// `secrets`: at least one. Each is a key of HS256, of which the first signs as
    /// long as the database has none.
    pub fn new(secrets: &[Vec<u8>], ttl: u32, clock: Clock) -> Result<Self, String> {
        if secrets.is_empty() {
            return Err("no secret to sign tokens with".to_owned());
        }
        let given = secrets
            .iter()
            .rev()
            .map(|secret| {
                Ok(Arc::new(Key {
                    kid: key_id(secret)?,
                    alg: JwtAlg::Hs256,
                    pair: Pair::new(JwtAlg::Hs256, secret)?,
                    row: None,
                }))
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Self {
            alg: JwtAlg::Hs256,
            clock,
            ttl,
            vault: Vault::new(secrets)?,
            ring: RwLock::new(Arc::new(given.clone())),
            given,
            seen: Mutex::default(),
        })
    }

    /// Signs new tokens in this way; keys of all algorithms verify.
    pub fn signing_with(self, alg: JwtAlg) -> Self {
        Self { alg, ..self }
    }

    /// How new tokens are signed.
    pub fn alg(&self) -> JwtAlg {
        self.alg
    }

    /// Seconds that a new token lives.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What encrypts the secret parts of stored keys.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Takes over the keys that the database has. Those that no secret opens are left
    /// out; the error names one of them, in one line. The same rows as before cost
    /// nothing and are no error again.
    pub fn reload(&self, rows: &[StoredKey]) -> Result<(), String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == rows {
            return Ok(());
        }
        let mut keys = self.given.clone();
        let mut unreadable = None;
        for row in rows {
            match self.key_of(row) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(why) => unreadable = Some(why),
            }
        }
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        rows.clone_into(&mut seen);
        unreadable.map_or(Ok(()), Err)
    }

    fn key_of(&self, row: &StoredKey) -> Result<Key, String> {
        let alg = JwtAlg::named(&row.alg)
            .ok_or_else(|| format!("the signing key {} has an unknown algorithm", row.kid))?;
        let opened = self.vault.open(&row.kid, alg, &row.sealed).ok_or_else(|| {
            format!(
                "no secret of INKPOT_JWT_SECRET opens the signing key {}: \
                     add the one that it was made under to the list, \
                     or delete the row from signing_key",
                row.kid
            )
        })?;
        let pair = Pair::new(alg, &opened.secret)
            .map_err(|why| format!("the signing key {} is unusable: {why}", row.kid))?;
        // The column is for people; what is told to verifiers comes from what is sealed.
        if pair.public.as_ref().map(PublicPart::text) != row.public_key {
            return Err(format!(
                "the public part of the signing key {} is that of another",
                row.kid
            ));
        }
        Ok(Key {
            kid: row.kid.clone(),
            alg,
            pair,
            row: Some(Row {
                created: row.created,
                activates: row.activates,
                retires: row.retires,
            }),
        })
    }

    fn ring(&self) -> Arc<Vec<Arc<Key>>> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest key that may sign. Where there is none, because somebody retired it
    /// who knew of another algorithm only, or because the first is some moments old:
    /// one that verifies is better than no login.
    fn signer<'a>(&self, ring: &'a [Arc<Key>], now: NaiveDateTime) -> Option<&'a Arc<Key>> {
        ring.iter()
            .filter(|key| key.alg == self.alg && key.verifies(now, self.ttl))
            .max_by_key(|key| {
                let (is_active, distance) = match key.activates() {
                    Some(from) => (from <= now, (from - now).abs()),
                    None => (true, Duration::MAX),
                };
                // The newest of those that are active, the first of those that are not. Of
                // several secrets, the first of the list is the last of the ring.
                let kid = key.row.as_ref().map(|_| &key.kid);
                (key.signs(now), is_active, Reverse(distance), kid)
            })
    }

    /// True when no key will sign that may go on doing so.
    pub fn lacks_signer(&self) -> bool {
        !self.ring().iter().any(|key| {
            key.alg == self.alg && key.row.as_ref().is_none_or(|row| row.retires.is_none())
        })
    }

    /// How long it takes until a key may sign that all processes know.
    pub fn ready_in(&self) -> std::time::Duration {
        let ring = self.ring();
        let now = self.clock.now();
        self.signer(&ring, now)
            .and_then(|key| key.activates())
            .and_then(|activates| (activates - now).to_std().ok())
            .unwrap_or_default()
    }

    /// Every key that this process knows, in the order of their making.
    pub fn list(&self) -> Vec<KeyInfo> {
        let ring = self.ring();
        let now = self.clock.now();
        let signer = self.signer(&ring, now).map(|key| key.kid.as_str());
        ring.iter()
            .map(|key| {
                let used = match (key.activates(), key.ends(self.ttl)) {
                    _ if signer == Some(key.kid.as_str()) => Use::Signs,
                    (_, Some(ends)) if ends <= now => Use::Retired,
                    (_, Some(ends)) => Use::VerifiesUntil(ends),
                    (Some(from), None) if from > now && key.alg == self.alg => Use::Next(from),
                    (_, None) => Use::Verifies,
                };
                KeyInfo {
                    kid: key.kid.clone(),
                    alg: key.alg,
                    used,
                    created: key.row.as_ref().map(|row| row.created),
                    public: key.pair.public.clone(),
                }
            })
            .collect()
    }

    /// A new token for the user's session. An error is a fault of the service, in one line.
    pub fn issue(&self, user_id: i64, session_id: i64) -> Result<String, String> {
        let ring = self.ring();
        let key = self
            .signer(&ring, self.clock.now())
            .ok_or("no key to sign with")?;
        let now = self.clock.timestamp();
        let mut header = Header::new(key.alg.algorithm());
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
            nbf: None,
        };
        jsonwebtoken::encode(&header, &claims, &key.pair.encoding).map_err(|e| e.to_string())
    }

    /// Whom a token names, and when it ends in seconds since the epoch. That it has expired
    /// is told of a token that was signed here and has no other fault; all other faults are
    /// one.
    pub fn verify(&self, token: &str) -> Result<(Subject, i64), BadToken> {
        let claims = self.verify_signature(token).ok_or(BadToken::Invalid)?;
        let now = self.clock.timestamp();
        let in_time = claims.iat <= now.saturating_add(LEEWAY)
            && claims
                .nbf
                .is_none_or(|nbf| nbf <= now.saturating_add(LEEWAY))
            && claims.exp > claims.iat;
        if !in_time || claims.jti.is_empty() {
            return Err(BadToken::Invalid);
        }
        let subject = claims.subject().ok_or(BadToken::Invalid)?;
        if claims.exp <= now.saturating_sub(LEEWAY) {
            return Err(BadToken::Expired);
        }
        Ok((subject, claims.exp))
    }

    /// Whom a token of ours names, whether it counts now or not: for what needs no right,
    /// such as ending its session.
    pub fn subject_at_any_time(&self, token: &str) -> Option<Subject> {
        self.verify_signature(token)?.subject()
    }

    /// The claims of a token that was signed here for this service.
    fn verify_signature(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let header: OwnHeader = serde_json::from_slice(&header).ok()?;
        if !header.typ.eq_ignore_ascii_case(TYPE) {
            return None;
        }
        let ring = self.ring();
        let key = ring.iter().find(|key| key.kid == header.kid)?;
        if header.alg != key.alg.name() || !key.verifies(self.clock.now(), self.ttl) {
            return None;
        }

        let mut validation = Validation::new(key.alg.algorithm());
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The times are compared with our own clock.
        validation.validate_exp = false;
        jsonwebtoken::decode::<Claims>(token, &key.pair.decoding, &validation)
            .ok()
            .map(|decoded| decoded.claims)
    }
}

/// An id in the one spelling that [`Tokens::issue`] writes.
fn id_of(claim: &str) -> Option<i64> {
    let id: i64 = claim.parse().ok()?;
    (id > 0 && id.to_string() == claim).then_some(id)
}

/// Names a key without telling it: 64 bits of an HMAC under the key.
fn key_id(secret: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|e| e.to_string())?;
    mac.update(b"inkpot key id");
    Ok(URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..8]))
}
