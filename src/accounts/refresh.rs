//! Refresh tokens: opaque to clients, made so that a used one is still recognised.
//!
//! A token is the session's id, a generation and HMAC-SHA256 over both and the
//! session's random nonce, under a key made from the service's secret. So the
//! successor of a token can be told again until it was used itself, and a token
//! of any earlier generation is known to be genuine, which makes its reuse a theft
//! and not noise, without keeping a row for every token that ever was. Neither the
//! database alone (it has no key) nor the secret alone (it has no nonce) can make
//! one. The database keeps the SHA-256 of the present one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Session id, generation, HMAC.
const LENGTH: usize = 8 + 4 + 32;

/// Makes and recognises refresh tokens.
pub struct RefreshKeys {
    /// The first makes, all recognise.
    keys: Vec<Vec<u8>>,
}

/// A token taken apart, not yet known to be genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub session_id: i64,
    pub generation: i32,
    mac: [u8; 32],
}

impl RefreshKeys {
    /// From the secrets that sign tokens, each with a label of its own.
    pub fn new(secrets: &[Vec<u8>]) -> Result<Self, String> {
        let keys = secrets
            .iter()
            .map(|secret| {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|e| e.to_string())?;
                mac.update(b"inkpot refresh token key");
                Ok(mac.finalize().into_bytes().to_vec())
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { keys })
    }

    /// The token of a session's generation.
    pub fn make(&self, session_id: i64, generation: i32, nonce: &str) -> String {
        let mut token = Vec::with_capacity(LENGTH);
        token.extend_from_slice(&session_id.to_be_bytes());
        token.extend_from_slice(&generation.to_be_bytes());
        let mac = self.keys.first().and_then(|key| mac_of(key, &token, nonce));
        if let Some(mac) = mac {
            token.extend_from_slice(&mac.finalize().into_bytes());
        }
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The same in all the spellings that the keys of the list give: which of them
    /// was sent is the one whose hash is kept.
    pub fn make_hashed(
        &self,
        session_id: i64,
        generation: i32,
        nonce: &str,
        hash: &str,
    ) -> Option<String> {
        (0..self.keys.len())
            .map(|n| {
                let one = Self {
                    keys: vec![self.keys[n].clone()],
                };
                one.make(session_id, generation, nonce)
            })
            .find(|token| hash_of(token) == hash)
    }

    /// Whether the token was made here for the session with this nonce.
    pub fn is_genuine(&self, token: &RefreshToken, nonce: &str) -> bool {
        let mut head = Vec::with_capacity(12);
        head.extend_from_slice(&token.session_id.to_be_bytes());
        head.extend_from_slice(&token.generation.to_be_bytes());
        self.keys.iter().any(|key| {
            mac_of(key, &head, nonce).is_some_and(|mac| mac.verify_slice(&token.mac).is_ok())
        })
    }
}

fn mac_of(key: &[u8], head: &[u8], nonce: &str) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of any length, so this cannot fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(head);
    mac.update(nonce.as_bytes());
    Some(mac)
}

impl RefreshToken {
    /// `None` for a text that no token can be.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, rest) = bytes.split_first_chunk::<8>()?;
        let (generation, mac) = rest.split_first_chunk::<4>()?;
        Some(Self {
            session_id: i64::from_be_bytes(*id),
            generation: i32::from_be_bytes(*generation),
            mac: mac.try_into().ok()?,
        })
    }
}

/// What the database keeps of a token: SHA-256, base64url.
pub fn hash_of(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()))
}

/// 256 random bits, base64url.
pub fn new_nonce() -> Result<String, String> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|e| format!("no random bits: {e}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> RefreshKeys {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|s| s.as_bytes().to_vec()).collect();
        RefreshKeys::new(&secrets).unwrap()
    }

    #[test]
    fn a_token_is_recognised_by_its_own_session_only() {
        let keys = keys(&["one"]);
        let token = keys.make(7, 3, "nonce");
        let parsed = RefreshToken::parse(&token).unwrap();
        assert_eq!((parsed.session_id, parsed.generation), (7, 3));
        assert!(keys.is_genuine(&parsed, "nonce"));
        assert!(!keys.is_genuine(&parsed, "other"));
        for (session_id, generation) in [(8, 3), (7, 4)] {
            let edited = RefreshToken {
                session_id,
                generation,
                ..parsed.clone()
            };
            assert!(!keys.is_genuine(&edited, "nonce"));
        }
        let mut edited = parsed.clone();
        edited.mac[31] ^= 1;
        assert!(!keys.is_genuine(&edited, "nonce"));
    }

    #[test]
    fn earlier_secrets_recognise_and_the_first_makes() {
        let old = keys(&["one"]);
        let both = keys(&["two", "one"]);
        let token = old.make(7, 3, "nonce");
        assert!(both.is_genuine(&RefreshToken::parse(&token).unwrap(), "nonce"));
        assert_ne!(both.make(7, 3, "nonce"), token);
        assert_eq!(
            both.make_hashed(7, 3, "nonce", &hash_of(&token)),
            Some(token)
        );
        assert_eq!(both.make_hashed(7, 4, "nonce", "x"), None);
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let token = keys(&["one"]).make(7, 3, "nonce");
        for text in [
            "",
            "x",
            "....",
            &token[1..],
            &format!("{token}AA"),
            &format!("{token}="),
            " ",
        ] {
            assert_eq!(RefreshToken::parse(text), None, "{text}");
        }
    }
}
