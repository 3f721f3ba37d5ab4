//! What a replica is good for at present: said in the log once when it goes and once when it
//! is back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::core::clock::Clock;

/// How long it is left alone after it failed; twice as long each time.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// So many answers that are late, one after the other, are a failure.
const LATE: u32 = 3;
/// How long after the start it may be behind without being said to be.
const START: Duration = Duration::from_secs(5);

/// What a replica is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not been asked yet, or has not had its first heartbeat.
    Unknown,
    /// It is read from.
    Used,
    /// It is behind by more than it may be.
    Behind,
    /// It cannot be reached, or fails.
    Away,
}

/// That of a replica.
#[derive(Debug)]
pub(super) struct Health {
    /// For the log.
    name: String,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    begun: Duration,
    /// Until when it is left alone.
    rests_until: Duration,
    rest: Duration,
    late: u32,
}

impl Health {
    pub(super) fn new(name: String, clock: &Clock) -> Self {
        let begun = clock.steady();
        Self {
            name,
            clock: clock.clone(),
            state: Mutex::new(State {
                standing: Standing::Unknown,
                begun,
                rests_until: begun,
                rest: Duration::ZERO,
                late: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self) -> Standing {
        self.lock().standing
    }

    /// It was asked, and is new enough.
    pub(super) fn is_new(&self) {
        let mut state = self.lock();
        if state.standing == Standing::Used || self.clock.steady() < state.rests_until {
            return;
        }
        state.standing = Standing::Used;
        drop(state);
        tracing::info!("the replica at {} is read from", self.name);
    }

    /// It was asked, and is not.
    pub(super) fn is_behind(&self) {
        let mut state = self.lock();
        let is_starting = state.standing == Standing::Unknown
            && self.clock.steady().saturating_sub(state.begun) < START;
        if is_starting {
            return;
        }
        let was = std::mem::replace(&mut state.standing, Standing::Behind);
        drop(state);
        if matches!(was, Standing::Used | Standing::Unknown) {
            tracing::warn!(
                "the replica at {} is behind by more than INKPOT_READ_STALENESS: all is read at \
                 the primary",
                self.name
            );
        }
    }

    /// It cannot be asked.
    pub(super) fn is_away(&self, why: &str) {
        let was = std::mem::replace(&mut self.lock().standing, Standing::Away);
        if matches!(was, Standing::Used | Standing::Unknown) {
            tracing::warn!(
                error = why,
                "the replica at {} is away: all is read at the primary",
                self.name
            );
        }
    }

    /// What was read there was an answer.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        (state.rest, state.late) = (Duration::ZERO, 0);
    }

    /// A reading failed: it is left alone for a while.
    pub(super) fn failed(&self, why: &str) {
        let mut state = self.lock();
        state.rest = (state.rest * 2).clamp(REST, LONGEST_REST);
        state.rests_until = self.clock.steady() + state.rest;
        state.late = 0;
        drop(state);
        self.is_away(why);
    }

    /// A reading took too long.
    pub(super) fn slow(&self) {
        let late = {
            let mut state = self.lock();
            state.late += 1;
            state.late
        };
        if late >= LATE {
            self.failed("it is slow");
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn health() -> (Clock, Health) {
        let clock = Clock::by_hand(DateTime::UNIX_EPOCH);
        let health = Health::new("mysql://replica/inkpot".to_owned(), &clock);
        (clock, health)
    }

    #[test]
    fn it_is_used_when_it_is_new_and_not_when_it_is_behind_or_away() {
        let (clock, health) = health();
        assert_eq!(health.standing(), Standing::Unknown);
        health.is_behind();
        assert_eq!(health.standing(), Standing::Unknown, "it has just begun");
        health.is_new();
        assert_eq!(health.standing(), Standing::Used);
        health.is_behind();
        assert_eq!(health.standing(), Standing::Behind);
        health.is_away("gone");
        assert_eq!(health.standing(), Standing::Away);
        health.is_new();
        assert_eq!(health.standing(), Standing::Used);
        let (_, never) = self::health();
        clock.advance(TimeDelta::seconds(5));
        never.clock.advance(TimeDelta::seconds(5));
        never.is_behind();
        assert_eq!(never.standing(), Standing::Behind);
    }

    #[test]
    fn who_fails_again_rests_longer_and_an_answer_ends_that() {
        let (clock, health) = health();
        let rests = |seconds: i64| {
            clock.advance(TimeDelta::milliseconds(seconds * 1000 - 1));
            health.is_new();
            let still = health.standing() == Standing::Away;
            clock.advance(TimeDelta::milliseconds(1));
            health.is_new();
            still && health.standing() == Standing::Used
        };
        health.is_new();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            health.failed("broken");
            assert!(rests(seconds), "{seconds}");
        }
        health.answered();
        health.failed("broken");
        assert!(rests(1));
    }

    #[test]
    fn three_that_are_late_in_a_row_are_a_failure() {
        let (_, health) = health();
        health.is_new();
        health.slow();
        health.slow();
        health.answered();
        health.slow();
        health.slow();
        assert_eq!(health.standing(), Standing::Used);
        health.slow();
        assert_eq!(health.standing(), Standing::Away);
    }
}
