//! Responses of success: JSON, ETag and Cache-Control.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use super::page::LINK_MAX;
use crate::core::cache::entry::Parts;
use crate::core::compression::etag_of;
use crate::core::json;
use crate::error::Error;

/// `Cache-Control`: who may keep a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CacheControl {
    /// Tokens, own profile: nobody, not even the browser.
    NoStore,
    /// Public reads: anyone, asking whether it is still true at each use.
    NoCache,
    /// Public keys: anyone, for so many seconds.
    PublicFor(u32),
}

const NO_CACHE: &str = "no-cache";

impl CacheControl {
    /// The value of the header (RFC 9111 §5.2.2).
    pub fn value(self) -> Cow<'static, str> {
        match self {
            Self::NoStore => "no-store".into(),
            Self::NoCache => NO_CACHE.into(),
            Self::PublicFor(seconds) => format!("public, max-age={seconds}").into(),
        }
    }
}

/// A serialized body, and what names this version of it.
pub struct Rendered {
    pub body: Vec<u8>,
    /// Strong ETag of the uncompressed body, with its quotes.
    pub etag: String,
}

/// Serializes `value`; the ETag is the first 128 bits of the body's SHA-256.
pub fn render<T: Serialize>(value: &T) -> Result<Rendered, Error> {
    let body = json::to_vec(value).map_err(|e| Error::internal(e))?;
    let etag = etag_of(&body);
    Ok(Rendered { body, etag })
}

/// A response without an ETag.
pub fn json<T: Serialize>(
    status: StatusCode,
    cache_control: CacheControl,
    value: &T,
) -> Result<HttpResponse, Error> {
    let body = json::to_vec(value).map_err(|e| Error::internal(e))?;
    Ok(builder(status, cache_control).body(body))
}

/// A part of a list that nobody may keep, with links to the others where they are not too long.
pub fn part_of_list<T: Serialize>(value: &T, link: String) -> Result<HttpResponse, Error> {
    let mut response = json(StatusCode::OK, CacheControl::NoStore, value)?;
    if link.len() <= LINK_MAX {
        let link = HeaderValue::try_from(link).map_err(|e| Error::internal(e))?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The head of a JSON response.
pub fn builder(status: StatusCode, cache_control: CacheControl) -> HttpResponseBuilder {
    let mut response = HttpResponseBuilder::new(status);
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    response.insert_header((header::CACHE_CONTROL, cache_control.value().as_ref()));
    response
}

/// A public read as the parts of a response for the cache.
pub fn cacheable_json<T: Serialize>(value: &T, link: Option<&str>) -> Result<Parts, Error> {
    let body = json::to_vec(value).map_err(|e| Error::internal(e))?;
    cacheable(body, "application/json", link)
}

/// The same for bytes of another media type.
pub fn cacheable(
    body: Vec<u8>,
    content_type: &'static str,
    link: Option<&str>,
) -> Result<Parts, Error> {
    let etag = etag_of(&body);
    cacheable_as(Rendered { body, etag }, content_type, link)
}

/// The same for what has an ETag.
pub fn cacheable_as(
    Rendered { body, etag }: Rendered,
    content_type: &'static str,
    link: Option<&str>,
) -> Result<Parts, Error> {
    let header = |text: &str| HeaderValue::try_from(text).map_err(|e| Error::internal(e));
    Ok(Parts {
        etag: header(&etag)?,
        body,
        content_type,
        cache_control: NO_CACHE,
        link: link.map(header).transpose()?,
    })
}

/// A read that can be revalidated: 200 with an ETag. The middleware makes 304 of it.
pub fn read<T: Serialize>(value: &T) -> Result<HttpResponse, Error> {
    read_with(CacheControl::NoCache, value)
}

/// The same for what not everybody may read.
pub fn read_with<T: Serialize>(
    cache_control: CacheControl,
    value: &T,
) -> Result<HttpResponse, Error> {
    let rendered = render(value)?;
    Ok(builder(StatusCode::OK, cache_control)
        .insert_header((header::ETAG, rendered.etag))
        .body(rendered.body))
}
