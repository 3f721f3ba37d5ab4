//! Requests that the parser cannot read: the answer, and the line of the log.

use super::first_line::{FirstLine, URL_MAX};
use super::request_id::{self, RequestId};
use crate::core::clock::Clock;
use crate::core::telemetry::counted::Counted;
use crate::error::{Code, Error};

/// How many there were. Strangers send such things as often as they like, so they have no
/// line each, as requests have, unless level debug is asked for.
static UNREADABLE: Counted = Counted::new(|requests| {
    tracing::info!(
        target: "inkpot::request",
        requests,
        "could not read what was sent as requests; level debug has a line for each"
    );
});

/// The whole answer to a request that the parser answered with a bare `status`; `line`:
/// how it began. `base`: the path under which the world reaches this server.
pub fn problem(status: u16, line: &FirstLine, base: &str) -> Vec<u8> {
    let error = match status {
        400 if line.is_tls => Error::with_detail(
            Code::MalformedRequest,
            "This port takes plain HTTP, and what came is TLS.",
        ),
        status => Error::new(match status {
            400 | 431 if line.length > URL_MAX => Code::UriTooLong,
            408 => Code::RequestTimeout,
            431 => Code::HeadersTooLarge,
            500.. => Code::Internal,
            _ => Code::MalformedRequest,
        }),
    };
    let id = RequestId::new().0;
    let body = error.body(&id, base);
    let status = error.code.status();
    tracing::debug!(
        target: "inkpot::request",
        method = "-",
        route = "-",
        status = status.as_u16(),
        request_id = %id,
        is_tls = line.is_tls,
        "request that could not be read"
    );
    UNREADABLE.count();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\
         content-type: application/problem+json\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n{}: {id}\r\ndate: {}\r\n\r\n",
        body.len(),
        request_id::HEADER,
        Clock::system().now().format("%a, %d %b %Y %H:%M:%S GMT"),
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}
