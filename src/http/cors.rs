//! Cross-origin rules (the Fetch standard's CORS protocol).
//!
//! With an allow-list, pages of its origins may do everything. Other pages may read
//! without credentials where there is no list, and get no header where there is one.
//! They may never change anything: browsers send some requests without asking first, so
//! one that comes from a foreign page is refused before it is read.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::core::settings::Settings;

const EXPOSED: &str = "ETag, Link, Location, Retry-After, X-Request-Id";
const ACCEPTED: &str =
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, JWT, X-Request-Id";
/// Seconds that a browser may remember the answer to a preflight.
const MAX_AGE: &str = "3600";

/// What a request says of the page that it comes from.
pub struct Asking {
    /// `None` when no page sent it.
    pub origin: Option<HeaderValue>,
    /// The method that a preflight asks leave for.
    pub preflight: Option<HeaderValue>,
}

impl Asking {
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        Self {
            origin: headers.get(header::ORIGIN).cloned(),
            preflight: asked.filter(|_| *method == Method::OPTIONS).cloned(),
        }
    }
}

/// Adds the headers that a page has a right to. The methods of a preflight are those of
/// the `Allow` header that is there already.
pub fn apply(settings: &Settings, method: &Method, asking: &Asking, headers: &mut HeaderMap) {
    let origins = &settings.cors_origins;
    let methods = if origins.is_empty() {
        let asked = asking.preflight.as_ref().map(HeaderValue::as_bytes);
        let reads = match asked {
            Some(asked) => matches!(asked, b"GET" | b"HEAD"),
            None => is_safe(method),
        };
        if !reads {
            return;
        }
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        Some(HeaderValue::from_static("GET, HEAD"))
    } else {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let is_listed =
            |origin: &&HeaderValue| origins.iter().any(|known| **origin == known.as_str());
        let Some(origin) = asking.origin.as_ref().filter(is_listed) else {
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
    if asking.preflight.is_some() {
        insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ACCEPTED);
        insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if let Some(methods) = methods {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
    }
}

/// Whether a method changes nothing (RFC 9110 §9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The foreign page that a request to change something comes from, if it does.
pub fn foreign_page(method: &Method, headers: &HeaderMap, settings: &Settings) -> Option<String> {
    if is_safe(method) || !headers.contains_key(header::ORIGIN) || is_from_page(headers, settings) {
        return None;
    }
    let origin = headers.get(header::ORIGIN)?;
    Some(String::from_utf8_lossy(origin.as_bytes()).into_owned())
}

/// Whether a request says that it comes from a page of this server or of an origin on
/// the list. Browsers say so with every `POST` and every WebSocket.
///
/// This server's own origin is that of `INKPOT_PUBLIC_URL`; where that is not set, it is
/// the host that was asked, by either scheme: a proxy may speak TLS for it.
pub fn is_from_page(headers: &HeaderMap, settings: &Settings) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let is_own = match &settings.public_url {
        Some(url) => url.origin() == origin,
        None => {
            let host = text(header::HOST).filter(|host| !host.is_empty());
            let is_host = |(scheme, authority): (&str, &str)| {
                matches!(scheme, "http" | "https") && Some(authority) == host
            };
            origin.split_once("://").is_some_and(is_host)
        }
    };
    is_own || settings.cors_origins.iter().any(|listed| listed == origin)
}
