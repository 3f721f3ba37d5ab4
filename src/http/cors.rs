//! Cross-origin rules (the Fetch standard's CORS protocol).
//!
//! With an allow-list, origins on it may do everything and others get no header.
//! Without one, pages of any origin may read, without credentials.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

const EXPOSED: &str = "ETag, Link, Location, Retry-After, X-Request-Id";
const ACCEPTED: &str =
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, JWT, X-Request-Id";
/// Seconds that a browser may remember the answer to a preflight.
const MAX_AGE: &str = "3600";

/// Adds the headers that `origin` has a right to. The methods of a preflight are
/// those of the `Allow` header that is there already.
pub fn apply(
    origins: &[String],
    origin: Option<&HeaderValue>,
    is_preflight: bool,
    headers: &mut HeaderMap,
) {
    let methods = if origins.is_empty() {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        Some(HeaderValue::from_static("GET, HEAD"))
    } else {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = origin.filter(|o| origins.iter().any(|known| *o == known.as_str()))
        else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.get(header::ALLOW).cloned()
    };
    let mut insert = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if is_preflight {
        insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ACCEPTED);
        insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if let Some(methods) = methods {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
    }
}

/// Whether a request says that it comes from a page of this server or of an origin on
/// the list. Browsers say so with every `POST` and every WebSocket.
pub fn is_from_page(headers: &HeaderMap, origins: &[String]) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let host = text(header::HOST).filter(|host| !host.is_empty());
    let is_own = origin
        .split_once("://")
        .is_some_and(|(_, authority)| Some(authority) == host);
    is_own || origins.iter().any(|listed| listed == origin)
}
