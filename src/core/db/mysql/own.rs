//! The connections that this process has to a server, by the server's numbers of them. Who
//! compares them with what the server tells of its connections
//! ([`alone`](crate::core::db::alone)) knows whether anybody else is there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of connections that were closed, how many are remembered: the server may tell of them for a
/// moment longer.
const CLOSED: usize = 64;

/// The connections of this process, shared by all that opens and closes them.
#[derive(Debug, Default)]
pub struct OwnConnections {
    now: Mutex<Snapshot>,
}

/// What connections there were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By the place of each among all that were opened: a server that began anew gives numbers again.
    pub open: HashMap<u64, u32>,
    /// Those that took leave of the server with nothing under way, the latest of them.
    pub closed: VecDeque<u32>,
    /// How many are being opened.
    pub opening: usize,
    /// How many were opened in all.
    pub opened: u64,
    /// How many were given up while the server may have gone on with what they had asked for.
    pub given_up: u64,
}

/// An attempt to open a connection, counted until it is dropped.
pub struct Attempt {
    own: Arc<OwnConnections>,
}

impl OwnConnections {
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    pub(super) fn attempt(self: &Arc<Self>) -> Attempt {
        self.lock().opening += 1;
        Attempt {
            own: Arc::clone(self),
        }
    }

    /// The connection of that place is closed; `is_broken`: nobody waits any more for the end of what
    /// it was asked.
    pub(super) fn closed(&self, place: u64, is_broken: bool) {
        let mut now = self.lock();
        let Some(id) = now.open.remove(&place) else {
            return;
        };
        if is_broken {
            now.given_up += 1;
            return;
        }
        if now.closed.len() == CLOSED {
            now.closed.pop_front();
        }
        now.closed.push_back(id);
    }

    /// Forgets those that were closed: a server that began anew gives their numbers to others.
    pub fn forget_closed(&self) {
        self.lock().closed.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// It has succeeded: the connection has that number. Returns its place.
    pub(super) fn opened(self, id: u32) -> u64 {
        let mut now = self.own.lock();
        now.opened += 1;
        let place = now.opened;
        now.open.insert(place, id);
        place
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.own.lock().opening -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_from_their_attempt_to_their_end() {
        let own = Arc::new(OwnConnections::default());
        let attempt = own.attempt();
        drop(own.attempt());
        assert_eq!(own.snapshot().opening, 1);
        let first = attempt.opened(7);
        // The server began anew.
        let second = own.attempt().opened(7);
        let now = own.snapshot();
        assert_eq!((now.opening, now.opened, now.open.len()), (0, 2, 2));
        own.closed(first, true);
        // It is closed once.
        own.closed(first, true);
        assert_eq!(own.snapshot().open.into_values().collect::<Vec<_>>(), [7]);
        own.closed(second, false);
        let now = own.snapshot();
        assert!(now.open.is_empty() && now.closed == [7]);
        own.forget_closed();
        assert!(own.snapshot().closed.is_empty());
        assert_eq!((now.opened, now.given_up), (2, 1));
    }

    #[test]
    fn few_of_the_closed_are_remembered() {
        let own = Arc::new(OwnConnections::default());
        for id in 0..100 {
            let place = own.attempt().opened(id);
            own.closed(place, false);
        }
        assert_eq!(own.snapshot().closed, (36..100).collect::<Vec<_>>());
    }
}
