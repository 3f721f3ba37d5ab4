//! The circuit breaker: while the database is away, a request is refused at once instead
//! of waiting for a connection that does not come.
//!
//! It opens when attempts to connect have failed for [`BLIP`] and none has succeeded in
//! between, or when a connection does not answer a ping. While it is
//! open one unit of work in [`PROBE`] tries all the same, as does all housekeeping; it
//! closes with the first connection that is made or answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deadline::now;

/// How often work is let through while the breaker is open.
const PROBE: Duration = Duration::from_millis(250);

/// Connections that are cut while they are made say nothing of the next one.
const BLIP: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Breaker {
    is_open: AtomicBool,
    /// The first attempt to connect that failed since one succeeded.
    failing_since: Mutex<Option<Instant>>,
    /// When the last probe was let through.
    probed: Mutex<Option<Instant>>,
    /// Counts losses of connections: what was opened, or answered, before the last of them
    /// is asked before it is used again.
    generation: AtomicU64,
    /// Others say whether the database is away.
    is_silent: bool,
}

impl Breaker {
    /// One that says nothing in the log.
    pub(super) fn silent() -> Self {
        Self {
            is_silent: true,
            ..Self::default()
        }
    }

    /// Whether the database is thought to be away.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether this unit of work may try: any while the breaker is closed, one in
    /// [`PROBE`] while it is open.
    pub(super) fn admits(&self) -> bool {
        if !self.is_open() {
            return true;
        }
        let mut probed = lock(&self.probed);
        let now = now();
        if probed.is_some_and(|at| now.saturating_duration_since(at) < PROBE) {
            return false;
        }
        *probed = Some(now);
        true
    }

    /// An attempt to connect failed.
    pub(super) fn failed(&self, why: &str) {
        let now = now();
        let since = *lock(&self.failing_since).get_or_insert(now);
        if now.saturating_duration_since(since) >= BLIP {
            self.open(why);
        }
    }

    /// The database cannot be reached. Said once in the log.
    pub(super) fn open(&self, why: &str) {
        if !self.is_open.swap(true, Ordering::AcqRel) {
            *lock(&self.probed) = Some(now());
            if !self.is_silent {
                tracing::warn!(target: "inkpot::core::db", error = why, "the database is away");
            }
        }
    }

    /// A connection was made, or answered. Said once in the log.
    pub(super) fn close(&self) {
        *lock(&self.failing_since) = None;
        if self.is_open() && self.is_open.swap(false, Ordering::AcqRel) && !self.is_silent {
            tracing::info!(target: "inkpot::core::db", "the database is back");
        }
    }

    /// Which loss of a connection was the last one.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A connection was lost, and others may be too.
    pub(super) fn suspect_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

fn lock(time: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    time.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_breaker_admits_a_probe_now_and_then_and_closes_with_the_first_success() {
        let breaker = Breaker::default();
        assert!(breaker.admits() && breaker.admits());
        let earlier = || *lock(&breaker.failing_since) = now().checked_sub(BLIP);
        breaker.failed("refused");
        earlier();
        breaker.close();
        breaker.failed("refused");
        assert!(!breaker.is_open());
        earlier();
        breaker.failed("refused");
        assert!(breaker.is_open() && !breaker.admits());
        *breaker.probed.lock().unwrap() = now().checked_sub(PROBE);
        assert!(breaker.admits() && !breaker.admits());
        breaker.close();
        assert!(breaker.admits() && breaker.admits());
    }
}
