//! The algorithms of JWTs, for `jsonwebtoken`: HS256, ES256 and `EdDSA` (RFC 7518 §3.2
//! and §3.4, RFC 8037 §3.1). Its own set, feature `rust_crypto`, has RSA too, with all
//! that RSA needs, and no key here is one of RSA.

use ed25519_dalek::pkcs8::DecodePrivateKey;
use hmac::{Hmac, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use sha2::Sha256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |alg, key| signer(*alg, key),
    verifier_factory: |alg, key| verifier(*alg, key),
    // For JWKs, which `signing` writes itself.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has `jsonwebtoken` use these. Whoever makes a key calls it first.
pub fn install() {
    // The only error is that it was done before.
    let _ = PROVIDER.install_default();
}

fn signer(alg: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let bytes = key.as_bytes();
    match (alg, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(bytes)?)),
        (Algorithm::ES256, AlgorithmFamily::Ec) => Ok(Box::new(Es256(
            p256::ecdsa::SigningKey::from_pkcs8_der(bytes)
                .map_err(|_| ErrorKind::InvalidEcdsaKey)?,
        ))),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Ok(Box::new(EdDsa(
            ed25519_dalek::SigningKey::from_pkcs8_der(bytes)
                .map_err(|_| ErrorKind::InvalidEddsaKey)?,
        ))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn verifier(alg: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let bytes = key.try_get_as_bytes()?;
    match (alg, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(bytes)?)),
        (Algorithm::ES256, AlgorithmFamily::Ec) => Ok(Box::new(Es256(
            p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes)
                .map_err(|_| ErrorKind::InvalidEcdsaKey)?,
        ))),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Ok(Box::new(EdDsa(
            ed25519_dalek::VerifyingKey::try_from(bytes).map_err(|_| ErrorKind::InvalidEddsaKey)?,
        ))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// The key's state of HMAC; a message continues a copy of it.
struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(key: &[u8]) -> Result<Self> {
        let mac = Hmac::new_from_slice(key).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        Ok(Self(mac))
    }

    fn of(&self, message: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(message)
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> signature::Result<Vec<u8>> {
        Ok(self.of(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> signature::Result<()> {
        // In constant time.
        self.of(message)
            .verify_slice(signature)
            .map_err(signature::Error::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

/// A key of P-256: a private one signs, a public one verifies.
struct Es256<Key>(Key);

impl Signer<Vec<u8>> for Es256<p256::ecdsa::SigningKey> {
    fn try_sign(&self, message: &[u8]) -> signature::Result<Vec<u8>> {
        let signature: p256::ecdsa::Signature = self.0.try_sign(message)?;
        Ok(signature.to_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Es256<p256::ecdsa::VerifyingKey> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> signature::Result<()> {
        let signature = p256::ecdsa::Signature::from_slice(signature)?;
        self.0.verify(message, &signature)
    }
}

impl JwtSigner for Es256<p256::ecdsa::SigningKey> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

impl JwtVerifier for Es256<p256::ecdsa::VerifyingKey> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

/// A key of Ed25519: a private one signs, a public one verifies.
struct EdDsa<Key>(Key);

impl Signer<Vec<u8>> for EdDsa<ed25519_dalek::SigningKey> {
    fn try_sign(&self, message: &[u8]) -> signature::Result<Vec<u8>> {
        Ok(self.0.try_sign(message)?.to_vec())
    }
}

impl Verifier<Vec<u8>> for EdDsa<ed25519_dalek::VerifyingKey> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> signature::Result<()> {
        let signature = ed25519_dalek::Signature::from_slice(signature)?;
        self.0.verify(message, &signature)
    }
}

impl JwtSigner for EdDsa<ed25519_dalek::SigningKey> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

impl JwtVerifier for EdDsa<ed25519_dalek::VerifyingKey> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::crypto::{sign, verify};

    use super::*;
    use crate::accounts::signing::Pair;
    use crate::core::settings::JwtAlg;

    fn bytes(base64: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(base64).unwrap()
    }

    /// RFC 7515, appendix A.1.
    #[test]
    fn hs256_makes_the_signature_of_the_rfc() {
        let key = bytes(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75\
             aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        );
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
                       .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly\
                       9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let expected = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let pair = Pair::new(JwtAlg::Hs256, &key).unwrap();
        let alg = Algorithm::HS256;
        let made = sign(message.as_bytes(), &pair.encoding, alg).unwrap();
        assert_eq!(made, expected);
        assert!(verify(expected, message.as_bytes(), &pair.decoding, alg).unwrap());
    }

    /// RFC 7515, appendix A.3. Signatures of ECDSA differ, so the RFC's is verified.
    #[test]
    fn es256_takes_the_signature_of_the_rfc_and_its_own() {
        let secret = bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
        let message = "eyJhbGciOiJFUzI1NiJ9\
                       .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly\
                       9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let expected = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8IS\
                        lSApmWQxfKTUJqPP3-Kg6NU1Q";
        let pair = Pair::new(JwtAlg::Es256, &secret).unwrap();
        let alg = Algorithm::ES256;
        assert!(verify(expected, message.as_bytes(), &pair.decoding, alg).unwrap());
        let made = sign(message.as_bytes(), &pair.encoding, alg).unwrap();
        assert!(verify(&made, message.as_bytes(), &pair.decoding, alg).unwrap());
        assert!(!verify(&made, b"another", &pair.decoding, alg).unwrap());
    }

    /// RFC 8037, appendix A.4.
    #[test]
    fn eddsa_makes_the_signature_of_the_rfc() {
        let seed = bytes("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt\
                        9g7sVvpAr_MuM0KAg";
        let pair = Pair::new(JwtAlg::EdDsa, &seed).unwrap();
        let alg = Algorithm::EdDSA;
        let made = sign(message.as_bytes(), &pair.encoding, alg).unwrap();
        assert_eq!(made, expected);
        assert!(verify(expected, message.as_bytes(), &pair.decoding, alg).unwrap());
    }

    #[test]
    fn a_key_of_another_algorithm_is_refused() {
        let pairs = [JwtAlg::Hs256, JwtAlg::Es256, JwtAlg::EdDsa]
            .map(|alg| (alg.algorithm(), Pair::new(alg, &[7; 32]).unwrap()));
        for (alg, _) in &pairs {
            for (own, pair) in &pairs {
                assert_eq!(sign(b"m", &pair.encoding, *alg).is_ok(), alg == own);
                let made = sign(b"m", &pair.encoding, *own).unwrap();
                let taken = verify(&made, b"m", &pair.decoding, *alg);
                assert_eq!(taken.is_ok_and(|ok| ok), alg == own);
            }
        }
        let (_, hmac) = &pairs[0];
        assert!(sign(b"m", &hmac.encoding, Algorithm::HS512).is_err());
    }
}
