//! Standstill: what entries are made of answers nobody.
//!
//! A database that is away says so at once. One that stands still says nothing, and each request would wait
//! for it before it has the old entry that there is. So one has waited for all: while nothing is made anew,
//! one a second looks again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Between two who look.
const LOOK: Duration = Duration::from_secs(1);

/// Whether all stands still.
#[derive(Debug, Default)]
pub struct Standstill {
    /// Milliseconds, by the clock of the cache and plus one, from which on one may look again; 0 where
    /// nothing stands still.
    next: AtomicU64,
}

impl Standstill {
    /// Somebody has waited in vain until `now`.
    pub fn began(&self, now: Duration) {
        self.next.store(next_look(now), Ordering::Release);
    }

    /// Something was made anew.
    pub fn ended(&self) {
        // Mostly it is so, and nobody's cache line is taken away.
        if self.next.load(Ordering::Relaxed) != 0 {
            self.next.store(0, Ordering::Release);
        }
    }

    /// Whether the caller may wait for a new entry though there is an old one.
    pub fn may_look(&self, now: Duration) -> bool {
        let next = self.next.load(Ordering::Acquire);
        let is_time = millis(now) + 1 >= next;
        next == 0
            || is_time
                && (self.next)
                    .compare_exchange(next, next_look(now), Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
    }
}

fn next_look(now: Duration) -> u64 {
    millis(now.saturating_add(LOOK)) + 1
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_looks_while_all_stands_still() {
        let standstill = Standstill::default();
        let at = Duration::from_millis;
        assert!(standstill.may_look(at(0)) && standstill.may_look(at(0)));
        standstill.began(at(0));
        assert!(!standstill.may_look(at(999)));
        assert!(standstill.may_look(at(1000)));
        assert!(!standstill.may_look(at(1001)));
        assert!(standstill.may_look(at(2500)));
        standstill.ended();
        assert!(standstill.may_look(at(2501)) && standstill.may_look(at(2501)));
    }
}
