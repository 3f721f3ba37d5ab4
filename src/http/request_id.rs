//! The name of a request in answers and logs.

use actix_web::http::header::HeaderMap;

/// Where it travels, both ways.
pub const HEADER: &str = "x-request-id";

/// `X-Request-Id` of the request when it is sane (at most 64 of `[A-Za-z0-9._-]`),
/// otherwise a new ULID.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    /// A new ULID.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(ulid::Ulid::generate().to_string())
    }

    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|id| is_sane(id));
        given.map_or_else(Self::new, |id| Self(id.to_owned()))
    }
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
