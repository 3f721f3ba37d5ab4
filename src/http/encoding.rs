//! Compression and revalidation of finished bodies.
//!
//! Compressed forms of one resource are different representations, so their
//! strong ETags differ (RFC 9110 §8.8.3.3): `"x"` becomes `"x-br"`.

use std::io::Write;

use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// Smaller bodies fit into a packet or two anyway.
const MIN_SIZE: usize = 1024;

/// A content coding that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// In the order of preference where the client has none.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The coding that `Accept-Encoding` (RFC 9110 §12.5.3) weighs highest; `None`
    /// for the body as it is. Without the header nothing is compressed.
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let accepted: Vec<(&str, f32)> = headers
            .get_all(header::ACCEPT_ENCODING)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(weighed)
            .collect();
        let weight = |name: &str| {
            let exact = accepted.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            exact
                .or_else(|| accepted.iter().find(|(n, _)| *n == "*"))
                .map_or(0.0, |(_, q)| *q)
        };
        let mut best = None;
        let mut best_weight = 0.0;
        for coding in Self::ALL {
            if weight(coding.name()) > best_weight {
                best_weight = weight(coding.name());
                best = Some(coding);
            }
        }
        // A client that weighs the plain form higher gets the plain form.
        let plain = accepted
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case("identity"))
            .map_or(0.0, |(_, q)| *q);
        best.filter(|_| best_weight >= plain)
    }

    /// Compresses at the level that suits answers made on the fly.
    pub fn compress(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Brotli => {
                let mut out = Vec::with_capacity(body.len() / 3);
                let params = brotli::enc::BrotliEncoderParams {
                    quality: 4,
                    lgwin: 20,
                    size_hint: body.len(),
                    ..Default::default()
                };
                brotli::BrotliCompress(&mut &body[..], &mut out, &params)?;
                Ok(out)
            }
            Self::Zstd => zstd::bulk::compress(body, 3),
            Self::Gzip => {
                let out = Vec::with_capacity(body.len() / 3);
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(5));
                encoder.write_all(body)?;
                encoder.finish()
            }
        }
    }
}

/// One element of `Accept-Encoding` with its weight.
fn weighed(element: &str) -> Option<(&str, f32)> {
    let mut parts = element.split(';');
    let name = parts.next()?.trim();
    let q = parts
        .find_map(|p| {
            p.trim()
                .strip_prefix("q=")
                .or_else(|| p.trim().strip_prefix("Q="))
        })
        .map_or(Some(1.0), |q| q.trim().parse().ok())?;
    (!name.is_empty()).then_some((name, q))
}

/// Whether a body with these headers gains from compression.
pub fn is_compressible(headers: &HeaderMap, size: usize) -> bool {
    size >= MIN_SIZE && is_text(headers) && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Whether the kind of body is ever compressed, which is what `Vary` tells.
pub fn is_text(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| {
            kind.starts_with("application/json")
                || kind.starts_with("application/yaml")
                || kind.starts_with("application/problem+json")
        })
}

/// The ETag of the form in `coding` of the body whose plain form has `etag`.
pub fn etag_in(etag: &str, coding: Coding) -> String {
    format!("{}-{}\"", etag.trim_end_matches('"'), coding.name())
}

/// Whether `If-None-Match` names the resource's present state in any coding (weak
/// comparison, RFC 9110 §13.1.2). `etag` is that of the plain form.
pub fn none_match_fails(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else {
        return false;
    };
    headers
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|given| given == "*" || names(given.strip_prefix("W/").unwrap_or(given), etag))
}

/// Whether a strong ETag names the state whose plain form has `etag`, in any coding.
pub fn names(given: &str, etag: &str) -> bool {
    let plain = etag.trim_matches('"');
    let Some(opaque) = given.strip_prefix('"').and_then(|g| g.strip_suffix('"')) else {
        return false;
    };
    opaque == plain
        || Coding::ALL.iter().any(|coding| {
            opaque
                .strip_suffix(coding.name())
                .and_then(|o| o.strip_suffix('-'))
                == Some(plain)
        })
}
