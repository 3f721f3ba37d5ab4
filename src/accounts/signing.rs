//! Signing keys, what they are made of: the secret part, what signs and verifies by it, the
//! public part, and the encryption under which the secret part is stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::pkcs8::EncodePrivateKey;
use hkdf::Hkdf;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use sha2::Sha256;

use crate::accounts::jwt_algorithms;
use crate::core::settings::JwtAlg;

/// Bytes of a secret part: an HMAC key, a seed of Ed25519, a scalar of P-256.
const SECRET: usize = 32;
/// Bytes of a nonce of XChaCha20-Poly1305: enough for random ones never to meet.
const NONCE: usize = 24;
/// Separates the key that encrypts from everything else that a secret is used for.
const LABEL: &[u8] = b"inkpot: encryption of signing keys, version 1";

impl JwtAlg {
    /// As the library has it.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// The public part of an asymmetric key: coordinates in base64url, as a JWK has them
/// (RFC 7518 §6.2.1, RFC 8037 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicPart {
    pub kty: &'static str,
    pub crv: &'static str,
    pub x: String,
    /// Ed25519 has one coordinate only.
    pub y: Option<String>,
}

impl PublicPart {
    /// As the database keeps it.
    pub fn text(&self) -> String {
        match &self.y {
            Some(y) => format!("{}.{y}", self.x),
            None => self.x.clone(),
        }
    }
}

/// What signs, what verifies, and what may be told.
pub struct Pair {
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    /// `None` for HS256, where who verifies can sign.
    pub public: Option<PublicPart>,
}

impl Pair {
    /// The pair that a secret part makes. With HS256 it may have any length.
    pub fn new(alg: JwtAlg, secret: &[u8]) -> Result<Self, String> {
        jwt_algorithms::install();
        match alg {
            JwtAlg::Hs256 => Ok(Self {
                encoding: EncodingKey::from_secret(secret),
                decoding: DecodingKey::from_secret(secret),
                public: None,
            }),
            JwtAlg::EdDsa => {
                let seed: &[u8; SECRET] = secret.try_into().map_err(|_| "not a key of Ed25519")?;
                let key = ed25519_dalek::SigningKey::from_bytes(seed);
                let der = key.to_pkcs8_der().map_err(|e| e.to_string())?;
                let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
                Ok(Self {
                    encoding: EncodingKey::from_ed_der(der.as_bytes()),
                    decoding: DecodingKey::from_ed_components(&x).map_err(|e| e.to_string())?,
                    public: Some(PublicPart {
                        kty: "OKP",
                        crv: "Ed25519",
                        x,
                        y: None,
                    }),
                })
            }
            JwtAlg::Es256 => {
                let key = p256::SecretKey::from_slice(secret).map_err(|_| "not a key of P-256")?;
                let der = key.to_pkcs8_der().map_err(|e| e.to_string())?;
                let point = p256::EncodedPoint::from(key.public_key());
                let (Some(x), Some(y)) = (point.x(), point.y()) else {
                    return Err("not a key of P-256".to_owned());
                };
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                Ok(Self {
                    encoding: EncodingKey::from_ec_der(der.as_bytes()),
                    decoding: DecodingKey::from_ec_components(&x, &y).map_err(|e| e.to_string())?,
                    public: Some(PublicPart {
                        kty: "EC",
                        crv: "P-256",
                        x,
                        y: Some(y),
                    }),
                })
            }
        }
    }
}

/// A new secret part, and the pair that it makes.
pub fn generate(alg: JwtAlg) -> Result<([u8; SECRET], Pair), String> {
    let mut secret = [0; SECRET];
    let mut made = Err("no random bits".to_owned());
    // One number in 2³² is no scalar of P-256; four in a row are no accident.
    for _ in 0..4 {
        getrandom::fill(&mut secret).map_err(|e| format!("no random bits: {e}"))?;
        made = Pair::new(alg, &secret);
        if made.is_ok() {
            break;
        }
    }
    Ok((secret, made?))
}

/// Encrypts secret parts under the first secret of the installation, and decrypts
/// them under any.
pub struct Vault {
    ciphers: Vec<XChaCha20Poly1305>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} secrets)", self.ciphers.len())
    }
}

/// A secret part that was decrypted.
pub struct Opened {
    pub secret: Vec<u8>,
    /// Under the first secret, the one that will stay the longest.
    pub by_first: bool,
}

impl Vault {
    pub fn new(secrets: &[Vec<u8>]) -> Result<Self, String> {
        let ciphers = secrets
            .iter()
            .map(|secret| {
                let mut key = [0; 32];
                Hkdf::<Sha256>::new(None, secret)
                    .expand(LABEL, &mut key)
                    .map_err(|e| e.to_string())?;
                Ok(XChaCha20Poly1305::new(&key.into()))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { ciphers })
    }

    /// Nonce and ciphertext in base64url. It opens for this key and algorithm only.
    pub fn seal(&self, kid: &str, alg: JwtAlg, secret: &[u8]) -> Result<String, String> {
        let cipher = self.ciphers.first().ok_or("no secret to encrypt with")?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| format!("no random bits: {e}"))?;
        let aad = belongs_to(kid, alg);
        let payload = Payload {
            msg: secret,
            aad: aad.as_bytes(),
        };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| "encryption failed")?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// `None` when no secret opens it.
    pub fn open(&self, kid: &str, alg: JwtAlg, sealed: &str) -> Option<Opened> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let aad = belongs_to(kid, alg);
        self.ciphers.iter().enumerate().find_map(|(n, cipher)| {
            let payload = Payload {
                msg: sealed,
                aad: aad.as_bytes(),
            };
            let secret = cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
            let by_first = n == 0;
            Some(Opened { secret, by_first })
        })
    }
}

/// Bound to the ciphertext, so that a row's secret part is worth nothing in another.
fn belongs_to(kid: &str, alg: JwtAlg) -> String {
    format!("{}\n{kid}", alg.name())
}
