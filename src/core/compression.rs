//! Compression and revalidation of finished bodies.
//!
//! Compressed forms of one resource are different representations, so their
//! strong ETags differ (RFC 9110 §8.8.3.3): `"x"` becomes `"x-br"`.

use std::io::Write;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Bodies from this size on are compressed on the blocking pool: at some 50 MB/s
/// more would hold up the other requests of the worker.
pub const COMPRESS_INLINE: usize = 32 * 1024;

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
        Self::negotiate_among(headers, &Self::ALL)
    }

    /// The same where there are forms in these codings alone.
    pub fn negotiate_among(headers: &HeaderMap, there: &[Self]) -> Option<Self> {
        let elements = headers
            .get_all(header::ACCEPT_ENCODING)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(weighed);
        // Of a name that is given twice, the first counts.
        let mut named = [None; Self::ALL.len()];
        let (mut any, mut plain) = (None, None);
        for (name, q) in elements {
            let known = Self::ALL
                .iter()
                .zip(&mut named)
                .find(|(coding, _)| name.eq_ignore_ascii_case(coding.name()));
            if let Some((_, weight)) = known {
                weight.get_or_insert(q);
            } else if name == "*" {
                any.get_or_insert(q);
            } else if name.eq_ignore_ascii_case("identity") {
                plain.get_or_insert(q);
            }
        }
        let mut best = None;
        let mut best_weight = 0.0;
        for (coding, weight) in Self::ALL.into_iter().zip(named) {
            let weight = weight.or(any).unwrap_or(0.0);
            if weight > best_weight && there.contains(&coding) {
                best_weight = weight;
                best = Some(coding);
            }
        }
        // A client that weighs the plain form higher gets the plain form.
        best.filter(|_| best_weight >= plain.unwrap_or(0.0))
    }

    /// Compresses at the level that suits answers made on the fly.
    pub fn compress(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Brotli => brotli(body, 4),
            Self::Zstd => zstd::bulk::compress(body, 3),
            Self::Gzip => gzip(body, 5),
        }
    }

    /// Compresses at the level that suits forms made once and sent often: of a megabyte
    /// of posts brotli takes 8 % more off in half as much time again.
    pub fn compress_once(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Brotli => brotli(body, 5),
            Self::Zstd => zstd::bulk::compress(body, 7),
            Self::Gzip => gzip(body, 6),
        }
    }
}

fn brotli(body: &[u8], quality: i32) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() / 3);
    let params = brotli::enc::BrotliEncoderParams {
        quality,
        lgwin: 20,
        size_hint: body.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &body[..], &mut out, &params)?;
    Ok(out)
}

fn gzip(body: &[u8], level: u32) -> std::io::Result<Vec<u8>> {
    let out = Vec::with_capacity(body.len() / 3);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(level));
    encoder.write_all(body)?;
    encoder.finish()
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
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.to_str().is_ok_and(|kind| gains(kind, size)))
        && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Whether a plain body of this `Content-Type` and size gains from compression.
pub fn gains(kind: &str, size: usize) -> bool {
    size >= MIN_SIZE && is_text_kind(kind)
}

/// Whether the kind of body is ever compressed, which is what `Vary` tells.
pub fn is_text(headers: &HeaderMap) -> bool {
    (headers.get(header::CONTENT_TYPE))
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(is_text_kind)
}

/// Whether a body of this `Content-Type` is ever compressed.
pub fn is_text_kind(kind: &str) -> bool {
    const KINDS: [&str; 6] = [
        "text/html",
        "application/json",
        "application/yaml",
        "application/problem+json",
        "application/atom+xml",
        "application/feed+json",
    ];
    KINDS.iter().any(|text| kind.starts_with(text))
}

/// The strong ETag of a body: the first 128 bits of its SHA-256, with quotes.
pub fn etag_of(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// The ETag of the form in `coding` of the body whose plain form has `etag`.
pub fn etag_in(etag: &str, coding: Coding) -> String {
    format!("{}-{}\"", etag.trim_end_matches('"'), coding.name())
}

/// The same as a header; that of the plain form where it is no text.
pub fn etag_value_in(etag: &HeaderValue, coding: Coding) -> HeaderValue {
    let suffixed = etag.to_str().ok().map(|etag| etag_in(etag, coding));
    suffixed
        .and_then(|etag| HeaderValue::try_from(etag).ok())
        .unwrap_or_else(|| etag.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(values: &[&'static str]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        Coding::negotiate(&headers)
    }

    #[test]
    fn without_a_wish_of_the_client_ours_counts() {
        assert_eq!(negotiated(&[]), None);
        assert_eq!(negotiated(&[""]), None);
        assert_eq!(negotiated(&["compress, deflate"]), None);
        assert_eq!(negotiated(&["gzip"]), Some(Coding::Gzip));
        assert_eq!(
            negotiated(&["gzip, deflate, br, zstd"]),
            Some(Coding::Brotli)
        );
        assert_eq!(negotiated(&["gzip", "ZSTD"]), Some(Coding::Zstd));
        assert_eq!(negotiated(&["*"]), Some(Coding::Brotli));
    }

    #[test]
    fn the_highest_weight_wins() {
        assert_eq!(
            negotiated(&["br;q=0.5, zstd;q=0.8, gzip ; Q=0.9"]),
            Some(Coding::Gzip)
        );
        assert_eq!(
            negotiated(&["br;q=0, zstd;q=0.5, *;q=0.4"]),
            Some(Coding::Zstd)
        );
        assert_eq!(
            negotiated(&["br;q=0.1, *;q=0.4, gzip;q=0.3"]),
            Some(Coding::Zstd)
        );
        assert_eq!(negotiated(&["br;q=0, *;q=0"]), None);
        assert_eq!(negotiated(&["gzip;q=0.5, identity"]), None);
        assert_eq!(negotiated(&["*;q=0.5, Identity;q=0.6"]), None);
        assert_eq!(
            negotiated(&["gzip;q=0.5, identity;q=0.5"]),
            Some(Coding::Gzip)
        );
    }

    #[test]
    fn of_names_given_twice_the_first_counts_and_nonsense_does_not() {
        assert_eq!(
            negotiated(&["gzip;q=0, br;q=0.2", "gzip"]),
            Some(Coding::Brotli)
        );
        assert_eq!(negotiated(&["*;q=0, *"]), None);
        assert_eq!(
            negotiated(&["identity;q=0.1, gzip;q=0.5, identity"]),
            Some(Coding::Gzip)
        );
        assert_eq!(negotiated(&["br;q=much, ;q=1, gzip"]), Some(Coding::Gzip));
        assert_eq!(negotiated(&["br;q=nan, gzip;q=0.1"]), Some(Coding::Gzip));
    }

    #[test]
    fn feeds_are_text_and_pictures_are_not() {
        assert!(is_text_kind("application/atom+xml; charset=utf-8"));
        assert!(is_text_kind("application/feed+json"));
        assert!(is_text_kind("text/html; charset=utf-8"));
        assert!(!is_text_kind("image/png"));
        let kind = "application/json";
        assert!(gains(kind, MIN_SIZE) && !gains(kind, MIN_SIZE - 1));
    }
}
