//! What a limit says to a try.

use std::time::Duration;

use super::limit::SubjectLimit;

/// A try that is refused, and may be repeated after `retry_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    pub retry_after: Duration,
}

/// What the bucket of a subject says to a try.
#[must_use]
#[derive(Debug)]
pub enum Decision {
    Allowed,
    /// The try is to be refused, unless the caller knows a reason to waive that.
    Limited(Refused),
}

/// A subject's bucket was empty.
#[derive(Debug)]
pub struct Refused {
    pub(super) retry_after: Duration,
    pub(super) pair: Pair,
}

/// Where the refusal of a pair of subject and address is kept.
#[derive(Debug)]
pub enum Pair {
    Local {
        limit: SubjectLimit,
        hash: u64,
    },
    /// Under this key.
    Shared(String),
}

impl From<Refused> for LimitExceeded {
    fn from(refused: Refused) -> Self {
        Self {
            retry_after: refused.retry_after,
        }
    }
}
