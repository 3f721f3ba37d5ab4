//! What the log says of requests that were refused, or that met a fault.

use crate::core::telemetry::counted::Counted;
use crate::error::{Cause, Code};

/// A request that was refused, as an example of all that were.
struct Refused {
    request_id: String,
    cause: Cause,
}

/// Requests that needed the database, and could not have it.
static UNAVAILABLE: Counted<Refused> = Counted::with_example(|requests, first| {
    log_refused(
        requests,
        first.as_ref(),
        "requests were refused since the database was unavailable; level debug has a line for each",
    );
});

/// Requests that asked whether the service is ready, and were told that it is not.
static NOT_READY: Counted<Refused> = Counted::with_example(|requests, first| {
    log_refused(
        requests,
        first.as_ref(),
        "whoever asked was told that the service is not ready; level debug has a line for each",
    );
});

/// With the first of them.
fn log_refused(requests: u64, first: Option<&Refused>, message: &str) {
    let place = first.and_then(|first| first.cause.place);
    tracing::warn!(
        requests,
        request_id = first.map(|first| first.request_id.as_str()),
        cause = first.map(|first| first.cause.text.as_str()),
        place = place.map(tracing::field::display),
        "{message}"
    );
}

/// A fault has a line. What all requests meet while the database is away has one a
/// minute, for all of them: the database's own line says that it went, and each request
/// has its line as well.
pub fn log(request_id: &str, code: Code, cause: Cause) {
    let counted = match code {
        Code::Unavailable => &UNAVAILABLE,
        Code::NotReady => &NOT_READY,
        _ => {
            let place = cause.place.map(tracing::field::display);
            tracing::error!(
                request_id,
                cause = cause.text,
                place,
                "a request met a fault"
            );
            return;
        }
    };
    let place = cause.place.map(tracing::field::display);
    tracing::debug!(
        request_id,
        cause = cause.text,
        place,
        "a request was refused"
    );
    counted.count_with(|| Refused {
        request_id: request_id.to_owned(),
        cause,
    });
}
