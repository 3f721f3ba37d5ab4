//! Standstill: what entries are made of answers nobody.
//!
//! A database that is away says so at once. One that stands still says nothing, and each request would wait
//! for it before it has the old entry that there is. So one has waited for all: while nothing is made anew,
//! one a second looks again, for a moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Between two who look.
const LOOK: Duration = Duration::from_secs(1);
/// How long who looks waits.
const MOMENT: Duration = Duration::from_millis(250);

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

    /// How long the caller, who has an old entry, may wait for a new one: `patience`, where nothing stands still.
    pub fn may_wait(&self, now: Duration, patience: Duration) -> Option<Duration> {
        let next = self.next.load(Ordering::Acquire);
        if next == 0 {
            return Some(patience);
        }
        let looks = millis(now) + 1 >= next
            && (self.next)
                .compare_exchange(next, next_look(now), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        looks.then_some(MOMENT.min(patience))
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
        let patience = at(2000);
        let may_wait = |now| standstill.may_wait(at(now), patience);
        assert_eq!((may_wait(0), may_wait(0)), (Some(patience), Some(patience)));
        standstill.began(at(0));
        assert_eq!(may_wait(999), None);
        assert_eq!(may_wait(1000), Some(MOMENT));
        assert_eq!(may_wait(1001), None);
        assert_eq!(may_wait(2500), Some(MOMENT));
        standstill.ended();
        assert_eq!(
            (may_wait(2501), may_wait(2501)),
            (Some(patience), Some(patience))
        );
    }
}
