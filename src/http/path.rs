//! Ids in paths.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

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

impl FromRequest for Id {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = req.match_info().get("id").and_then(parse_id);
        ready(id.map(Id).ok_or_else(|| Error::new(Code::PathInvalid)))
    }
}
