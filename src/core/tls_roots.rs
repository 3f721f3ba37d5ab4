//! Who may certify the servers that this one connects to by TLS: the public authorities,
//! and those of `INKPOT_CA_FILE`.

use std::fmt;
use std::path::Path;

use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};

/// Further authorities that servers may be certified by: certificates in DER.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities(pub Vec<Vec<u8>>);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificate(s)", self.0.len())
    }
}

impl Authorities {
    /// Reads a PEM file.
    pub fn load(path: &Path) -> Result<Self, String> {
        let said = |why: &dyn fmt::Display| format!("{}: {why}", path.display());
        let pem = std::fs::read(path).map_err(|e| said(&e))?;
        let mut all = Vec::new();
        for item in ureq::tls::parse_pem(&pem) {
            if let ureq::tls::PemItem::Certificate(found) =
                item.map_err(|_| said(&"is not in the form of PEM"))?
            {
                all.push(found.der().to_vec());
            }
        }
        if all.is_empty() {
            return Err(said(&"there is no certificate in it"));
        }
        let authorities = Self(all);
        // Mail's TLS looks into them; the gateway's would leave out what it cannot read.
        authorities
            .tls("localhost".to_owned(), false)
            .map_err(|_| said(&"a certificate in it cannot be read"))?;
        Ok(authorities)
    }

    /// TLS for mail to a host, trusting these and the public authorities. The error is
    /// one line.
    pub fn tls(&self, host: String, is_whoever: bool) -> Result<TlsParameters, String> {
        let mut tls = TlsParameters::builder(host)
            .certificate_store(CertificateStore::WebpkiRoots)
            .dangerous_accept_invalid_certs(is_whoever);
        for certificate in &self.0 {
            let certificate =
                Certificate::from_der(certificate.clone()).map_err(|e| e.to_string())?;
            tls = tls.add_root_certificate(certificate);
        }
        tls.build().map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_certificates_in_pem() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let why = Authorities::load(&path).unwrap_err();
        assert!(why.contains("ca.pem: No such file"), "{why}");
        for (content, says) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
                "cannot be read",
            ),
            ("-----BEGIN CERTIFICATE-----\n???\n", "PEM"),
        ] {
            std::fs::write(&path, content).unwrap();
            let why = Authorities::load(&path).expect_err(content);
            assert!(
                why.contains(says) && !why.contains('\n'),
                "{content}: {why}"
            );
        }
    }
}
