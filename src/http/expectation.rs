//! `Expect: 100-continue` (RFC 9110 §10.1.1): a client is asked for its body when somebody
//! wants it, and not before. So one that is refused by its head need not send it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The interim answer with which the HTTP layer asks for the body of a request that
/// expects it (RFC 9110 §10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Holds `100 Continue` back until the body is wanted: the layer would send it before
/// anything is known of the request, and a client that is to be refused would send all of
/// its body first.
#[derive(Clone, Debug, Default)]
pub struct Expectation(Arc<Expected>);

#[derive(Debug, Default)]
struct Expected {
    /// The next that the layer writes is [`CONTINUE`].
    is_asked: AtomicBool,
    is_wanted: AtomicBool,
}

impl Expectation {
    /// A request expects to be asked for its body; to be called just before the layer does.
    pub fn begin(&self) {
        self.0.is_wanted.store(false, Ordering::Release);
        self.0.is_asked.store(true, Ordering::Release);
    }

    /// The body is read from now on.
    pub fn wants_body(&self) {
        self.0.is_wanted.store(true, Ordering::Release);
    }

    /// Whether the body of a request that expected to be asked for it is unwanted so far.
    pub fn is_unmet(&self) -> bool {
        self.0.is_asked.load(Ordering::Acquire) && !self.0.is_wanted.load(Ordering::Acquire)
    }
}
