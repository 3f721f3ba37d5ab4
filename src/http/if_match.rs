//! Preconditions of writes, `If-Match` and `If-None-Match`: change only what the client
//! has seen.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::endpoint::Operation;
use super::handler::Extract;
use crate::core::compression;
use crate::error::{Code, Error};

/// The states that a write is meant for (`If-Match`, RFC 9110 §13.1.1), and those that it
/// is not meant for (`If-None-Match`, §13.1.2); any, without the headers.
#[derive(Clone, Debug, Default)]
pub struct IfMatch {
    only: Option<Vec<String>>,
    never: Option<Vec<String>>,
}

impl IfMatch {
    /// Whether the present state must be known to tell if the write may go on.
    pub fn is_particular(&self) -> bool {
        let any = |etags: &Vec<String>| etags.iter().any(|etag| etag == "*");
        self.never.is_some() || self.only.as_ref().is_some_and(|etags| !any(etags))
    }

    /// Whether the write may go on when the plain form of the present state has `etag`.
    ///
    /// A weak form of it is taken as well: a proxy that compresses an answer makes its
    /// ETag weak, and ours names the bytes of the whole representation in either form.
    pub fn fits(&self, etag: &str) -> bool {
        let names = |given: &String| {
            let strong = given.strip_prefix("W/").unwrap_or(given);
            given == "*" || compression::names(strong, etag)
        };
        let is_one_of = |etags: &Vec<String>| etags.iter().any(names);
        self.only.as_ref().is_none_or(is_one_of) && !self.never.as_ref().is_some_and(is_one_of)
    }
}

/// The ETags in the lines of a header; `None` without the header.
fn listed(request: &HttpRequest, name: HeaderName) -> Option<Vec<String>> {
    let mut lines = request.headers().get_all(name).peekable();
    lines.peek().is_some().then(|| {
        lines
            // What cannot be read names no state of ours.
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|etag| etag.trim().to_owned())
            .collect()
    })
}

impl Extract for IfMatch {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(Ok(Self {
            only: listed(request, header::IF_MATCH),
            never: listed(request, header::IF_NONE_MATCH),
        }))
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
