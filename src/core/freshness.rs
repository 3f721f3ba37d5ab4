//! Freshness: whether something that is repeated in short intervals was done a moment ago.
//!
//! A flag that a timer sets tells nothing in a process that stood still (a stopped container,
//! a laptop that slept, a machine that swapped): when the process goes on, requests run
//! before the timer does. Who trusts the flag compares the time at each use instead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When something was last done.
#[derive(Debug)]
pub struct Freshness {
    begun: Instant,
    /// Microseconds from `begun`, plus one; 0 before the first time.
    last: AtomicU64,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            begun: now(),
            last: AtomicU64::new(0),
        }
    }
}

impl Freshness {
    /// It was done now.
    pub fn renew(&self) {
        self.renew_at(now());
    }

    /// It was done at that time.
    pub fn renew_at(&self, time: Instant) {
        self.last.store(self.micros_at(time) + 1, Ordering::Release);
    }

    /// Whether it was done within `limit`, or never yet: who never began promises nothing.
    pub fn is_fresh(&self, limit: Duration) -> bool {
        let last = self.last.load(Ordering::Acquire);
        last == 0 || u128::from(self.micros_at(now()).saturating_sub(last)) <= limit.as_micros()
    }

    /// How long ago it was done; `None` before the first time.
    pub fn age(&self) -> Option<Duration> {
        let last = self.last.load(Ordering::Acquire).checked_sub(1)?;
        let since = self.micros_at(now()).saturating_sub(last);
        Some(Duration::from_micros(since))
    }

    fn micros_at(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.begun);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX - 1)
    }
}

/// The real time, which no test moves.
#[expect(
    clippy::disallowed_methods,
    reason = "for how long the process really stood still"
)]
pub fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_done_is_fresh_and_what_was_long_ago_is_not() {
        let mut freshness = Freshness::default();
        assert!(freshness.is_fresh(Duration::ZERO) && freshness.age().is_none());
        freshness.renew();
        let hour = Duration::from_secs(3600);
        assert!(freshness.is_fresh(hour) && freshness.age().is_some_and(|age| age < hour));
        freshness.begun = freshness.begun.checked_sub(2 * hour).unwrap();
        assert!(!freshness.is_fresh(hour) && freshness.age().is_some_and(|age| age > hour));
        freshness.renew();
        assert!(freshness.is_fresh(hour));
    }
}
