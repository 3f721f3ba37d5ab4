//! Successes as JSON.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::core::cache::entry::Parts;
use crate::error::Error;

/// Who may keep an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Tokens, own profile: nobody, not even the browser.
    Never,
    /// Public reads: anyone, asking whether it is still true at each use.
    Revalidate,
    /// Public keys: anyone, for a second.
    Briefly,
}

/// A serialized body, and what names this version of it.
pub struct Rendered {
    pub body: Vec<u8>,
    /// Strong ETag of the uncompressed body, with its quotes.
    pub etag: String,
}

/// Serializes `value`; the ETag is the first 128 bits of the body's SHA-256.
pub fn render<T: Serialize>(value: &T) -> Result<Rendered, Error> {
    let body = serde_json::to_vec(value).map_err(|e| Error::internal(e))?;
    let etag = etag_of(&body);
    Ok(Rendered { body, etag })
}

/// The strong ETag of a body.
pub fn etag_of(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// An answer without an ETag.
pub fn json<T: Serialize>(
    status: StatusCode,
    keep: Keep,
    value: &T,
) -> Result<HttpResponse, Error> {
    let body = serde_json::to_vec(value).map_err(|e| Error::internal(e))?;
    Ok(builder(status, keep).body(body))
}

/// The head of a JSON answer.
pub fn builder(status: StatusCode, keep: Keep) -> HttpResponseBuilder {
    let mut response = HttpResponseBuilder::new(status);
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    response.insert_header((
        header::CACHE_CONTROL,
        match keep {
            Keep::Never => "no-store",
            Keep::Revalidate => "no-cache",
            Keep::Briefly => "public, max-age=1",
        },
    ));
    response
}

/// A public read as parts of a finished answer that is kept.
pub fn finish<T: Serialize>(value: &T, link: Option<&str>) -> Result<Parts, Error> {
    let body = serde_json::to_vec(value).map_err(|e| Error::internal(e))?;
    finish_bytes(body, "application/json", link)
}

/// The same for bytes of another kind.
pub fn finish_bytes(body: Vec<u8>, kind: &str, link: Option<&str>) -> Result<Parts, Error> {
    let header = |text: &str| HeaderValue::try_from(text).map_err(|e| Error::internal(e));
    Ok(Parts {
        etag: header(&etag_of(&body))?,
        body,
        content_type: header(kind)?,
        cache_control: HeaderValue::from_static("no-cache"),
        link: link.map(header).transpose()?,
    })
}

/// A read that can be revalidated: 200 with an ETag. The edge makes 304 of it.
pub fn read<T: Serialize>(value: &T) -> Result<HttpResponse, Error> {
    read_and_keep(Keep::Revalidate, value)
}

/// The same for what not everybody may read.
pub fn read_and_keep<T: Serialize>(keep: Keep, value: &T) -> Result<HttpResponse, Error> {
    let rendered = render(value)?;
    Ok(builder(StatusCode::OK, keep)
        .insert_header((header::ETAG, rendered.etag))
        .body(rendered.body))
}
