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
use crate::core::precondition::Precondition;
use crate::error::{Code, Error};

/// The states that a write is meant for, and those that it is not meant for.
#[derive(Clone, Debug, Default)]
pub struct IfMatch(pub Precondition);

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
        ready(Ok(Self(Precondition {
            only: listed(request, header::IF_MATCH),
            never: listed(request, header::IF_NONE_MATCH),
        })))
    }

    fn describe(operation: Operation) -> Operation {
        operation
            .parameter(
                "If-Match",
                ParameterIn::Header,
                "An ETag of what is changed: only if it is still in that state.",
                ObjectBuilder::new().schema_type(Type::String).into(),
                json!("*"),
            )
            .text_header(
                "If-None-Match",
                "ETags of what is changed: only if it is in none of these states any more.",
                "\"rB6nMz3q1cG0pXyJw9eT4A\"",
            )
            .refuses(&[Code::PreconditionFailed])
    }
}
