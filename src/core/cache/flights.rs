//! Who waits for what: one filling for all that want the same at the same time.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// Locks, so that workers seldom wait for one another.
const SHARDS: u64 = 64;

/// The fillings that are on their way, by key.
///
/// The cell lets one participant fill at a time. When that one is dropped or panics
/// the next one fills, so nobody waits for somebody who is gone.
pub struct Flights<K, T> {
    shards: Vec<Mutex<Shard<K, T>>>,
    hasher: RandomState,
}

type Shard<K, T> = HashMap<K, Flight<T>>;

struct Flight<T> {
    outcome: Arc<OnceCell<T>>,
    /// Seats that are taken; without one the flight is over.
    aboard: usize,
}

impl<K: Hash + Eq + Clone, T> Flights<K, T> {
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// A seat in the flight for `key`; in a new one when there is none, or one that
    /// has its outcome already.
    pub fn board(&self, key: &K) -> Seat<'_, K, T> {
        let mut shard = self.shard(key);
        let outcome = match shard.get_mut(key) {
            Some(flight) if !flight.outcome.initialized() => {
                flight.aboard += 1;
                Arc::clone(&flight.outcome)
            }
            _ => {
                let outcome = Arc::new(OnceCell::new());
                let flight = Flight {
                    outcome: Arc::clone(&outcome),
                    aboard: 1,
                };
                shard.insert(key.clone(), flight);
                outcome
            }
        };
        drop(shard);
        Seat {
            flights: self,
            key: key.clone(),
            outcome,
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, T>> {
        let hash = self.hasher.hash_one(key);
        // Less than SHARDS, which is a number of locks that exist.
        let index = usize::try_from(hash % SHARDS).unwrap_or(0);
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Flights that somebody could board or leave.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        let count = |shard: &Mutex<Shard<K, T>>| shard.lock().unwrap().len();
        self.shards.iter().map(count).sum()
    }
}

/// A place in a flight, given back when it is dropped.
pub struct Seat<'a, K: Hash + Eq + Clone, T> {
    flights: &'a Flights<K, T>,
    key: K,
    /// What all aboard wait for.
    pub outcome: Arc<OnceCell<T>>,
}

impl<K: Hash + Eq + Clone, T> Drop for Seat<'_, K, T> {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(&self.key);
        let Some(flight) = shard.get_mut(&self.key) else {
            return;
        };
        // Another one may fly under this key by now.
        if !Arc::ptr_eq(&flight.outcome, &self.outcome) {
            return;
        }
        flight.aboard -= 1;
        if flight.aboard == 0 || flight.outcome.initialized() {
            shard.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_ends_a_flight_without_an_outcome() {
        let flights: Flights<u8, u8> = Flights::new();
        let (first, second) = (flights.board(&1), flights.board(&1));
        assert!(Arc::ptr_eq(&first.outcome, &second.outcome));
        drop(first);
        assert!(Arc::ptr_eq(&flights.board(&1).outcome, &second.outcome));
        drop(second);
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn nobody_boards_a_flight_that_has_its_outcome() {
        let flights: Flights<u8, u8> = Flights::new();
        let (first, second) = (flights.board(&1), flights.board(&1));
        first.outcome.set(7).unwrap();
        let late = flights.board(&1);
        assert!(!Arc::ptr_eq(&first.outcome, &late.outcome));
        drop((first, second));
        // Those who leave the old one leave the new one alone.
        assert!(Arc::ptr_eq(&flights.board(&1).outcome, &late.outcome));
        drop(late);
        assert_eq!(flights.count(), 0);
    }
}
