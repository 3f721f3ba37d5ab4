//! The name of a request in answers and logs.

use actix_web::http::header::HeaderMap;

/// Where it travels, both ways.
pub const HEADER: &str = "x-request-id";

/// `X-Request-Id` of the request when it is sane (at most 64 of `[A-Za-z0-9._-]`),
/// otherwise a new ULID.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|id| is_sane(id));
        Self(given.map_or_else(|| ulid::Ulid::generate().to_string(), str::to_owned))
    }
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
