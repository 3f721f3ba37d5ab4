//! `If-Match`: change only what the client has seen.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::endpoint::Operation;
use super::handler::Extract;
use crate::core::compression;
use crate::error::{Code, Error};

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

impl Extract for IfMatch {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let mut lines = request.headers().get_all(header::IF_MATCH).peekable();
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

    fn describe(operation: Operation) -> Operation {
        operation
            .parameter(
                "If-Match",
                ParameterIn::Header,
                "An ETag of the post: only if it is still in that state.",
                ObjectBuilder::new().schema_type(Type::String).into(),
                json!("*"),
            )
            .refuses(&[Code::PreconditionFailed])
    }
}
