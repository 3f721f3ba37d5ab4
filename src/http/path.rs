//! Ids in paths.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;

use super::endpoint::Operation;
use super::handler::Extract;
use crate::error::{Code, Error};

/// The `{id}` of a route: a whole number from 1 to `i64::MAX` in its one spelling,
/// so that every resource has one URL.
#[derive(Clone, Copy, Debug)]
pub struct Id(pub i64);

/// Reads an id; `None` for any other spelling.
pub fn parse_id(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

impl Extract for Id {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let id = request.match_info().get("id").and_then(parse_id);
        ready(id.map(Self).ok_or_else(|| Error::new(Code::PathInvalid)))
    }

    fn describe(operation: Operation) -> Operation {
        operation.id_in_path(1)
    }
}
