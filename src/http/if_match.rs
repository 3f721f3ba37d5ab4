//! `If-Match`: change only what the client has seen.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};

use crate::core::compression;
use crate::error::Error;

/// The states that a write is meant for (RFC 9110 §13.1.1); any, without the header.
#[derive(Clone, Debug, Default)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Whether the header is there and names states.
    pub fn is_particular(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|etags| !etags.iter().any(|etag| etag == "*"))
    }

    /// Whether the write may go on when the plain form of the present state has
    /// `etag`. Strong comparison: a weak ETag fits nothing.
    pub fn fits(&self, etag: &str) -> bool {
        !self.is_particular()
            || self
                .0
                .iter()
                .flatten()
                .any(|given| compression::names(given, etag))
    }
}

impl FromRequest for IfMatch {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut lines = req.headers().get_all(header::IF_MATCH).peekable();
        let etags = lines.peek().is_some().then(|| {
            lines
                // What cannot be read names no state of ours.
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .map(|etag| etag.trim().to_owned())
                .collect()
        });
        ready(Ok(Self(etags)))
    }
}
