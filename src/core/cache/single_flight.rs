//! Single-flight: concurrent misses of one key share one filling.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// Locks, so that workers seldom wait for one another.
const SHARDS: u64 = 64;

/// The fillings that are under way, by key.
///
/// The cell lets one participant fill at a time. When that participant is dropped or
/// panics the next one fills, so nobody waits for somebody who is gone.
pub struct SingleFlight<K, T> {
    shards: Vec<Mutex<Shard<K, T>>>,
    hasher: RandomState,
}

type Shard<K, T> = HashMap<K, Flight<T>>;

struct Flight<T> {
    result: Arc<OnceCell<T>>,
    /// Participants; without one the flight is over.
    participants: usize,
}

impl<K: Hash + Eq + Clone, T> SingleFlight<K, T> {
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Joins the flight of `key`; begins one when there is none, or one that has its
    /// result already.
    pub fn join(&self, key: &K) -> Participant<'_, K, T> {
        let mut shard = self.shard(key);
        let result = match shard.get_mut(key) {
            Some(flight) if !flight.result.initialized() => {
                flight.participants += 1;
                Arc::clone(&flight.result)
            }
            _ => {
                let result = Arc::new(OnceCell::new());
                let flight = Flight {
                    result: Arc::clone(&result),
                    participants: 1,
                };
                shard.insert(key.clone(), flight);
                result
            }
        };
        drop(shard);
        Participant {
            flights: self,
            key: key.clone(),
            result,
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

    /// Flights that somebody could join or leave.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        let count = |shard: &Mutex<Shard<K, T>>| shard.lock().unwrap().len();
        self.shards.iter().map(count).sum()
    }
}

/// Participation in a flight; dropping it leaves the flight.
pub struct Participant<'a, K: Hash + Eq + Clone, T> {
    flights: &'a SingleFlight<K, T>,
    key: K,
    /// What all participants wait for.
    pub result: Arc<OnceCell<T>>,
}

impl<K: Hash + Eq + Clone, T> Drop for Participant<'_, K, T> {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(&self.key);
        let Some(flight) = shard.get_mut(&self.key) else {
            return;
        };
        // Another flight may be under way under this key by now.
        if !Arc::ptr_eq(&flight.result, &self.result) {
            return;
        }
        flight.participants -= 1;
        if flight.participants == 0 || flight.result.initialized() {
            shard.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_participant_ends_a_flight_without_a_result() {
        let flights: SingleFlight<u8, u8> = SingleFlight::new();
        let (first, second) = (flights.join(&1), flights.join(&1));
        assert!(Arc::ptr_eq(&first.result, &second.result));
        drop(first);
        assert!(Arc::ptr_eq(&flights.join(&1).result, &second.result));
        drop(second);
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn nobody_joins_a_flight_that_has_its_result() {
        let flights: SingleFlight<u8, u8> = SingleFlight::new();
        let (first, second) = (flights.join(&1), flights.join(&1));
        first.result.set(7).unwrap();
        let late = flights.join(&1);
        assert!(!Arc::ptr_eq(&first.result, &late.result));
        drop((first, second));
        // Those who leave the old one leave the new one alone.
        assert!(Arc::ptr_eq(&flights.join(&1).result, &late.result));
        drop(late);
        assert_eq!(flights.count(), 0);
    }
}
