//! Admission: while all memory is taken, a response is kept from the second time on that it is asked for. So what
//! is asked for once, by who reads everything there is, neither costs the work of keeping it nor takes the place
//! of what is asked for again.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU16, Ordering};

use foldhash::quality::RandomState;

/// Bytes of the cache for each key that is remembered: about a quarter as many as there are entries. Where all keys
/// are asked for alike, nothing is gained by keeping one for another, and a quarter of those come in that would with as
/// many; what is asked for as often as the rest of the entries gets in after a few times.
const BYTES_A_KEY: u64 = 8192;
/// Keys that are remembered at least, and at most: 2 MB.
const KEYS: (u64, u64) = (256, 1 << 20);

/// The keys that were asked for last, by a mark in a place that the hash of the key says. Of two keys with
/// one place the later is remembered.
pub(super) struct Admission {
    marks: Box<[AtomicU16]>,
    hasher: RandomState,
}

impl Admission {
    /// For a cache of so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let keys = (bytes / BYTES_A_KEY).clamp(KEYS.0, KEYS.1);
        Self {
            marks: (0..keys).map(|_| AtomicU16::new(0)).collect(),
            hasher: RandomState::default(),
        }
    }

    /// Whether the key was asked for a short while ago. From now on it was.
    pub(super) fn was_asked_for<K: Hash>(&self, key: &K) -> bool {
        let hash = self.hasher.hash_one(key);
        let place = usize::try_from(hash % self.marks.len() as u64).unwrap_or(0);
        // Of other bits than the place; 0 is nobody's.
        let mark = u16::try_from(hash >> 48).unwrap_or(0) | 1;
        self.marks[place].swap(mark, Ordering::Relaxed) == mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_soon_is_known() {
        let admission = Admission::new(40 << 20);
        assert!(!admission.was_asked_for(&"a"));
        assert!(admission.was_asked_for(&"a"));
        // Who comes once is taken for somebody else by chance alone: one of 32,768.
        let known = (0..100_000_u32).filter(|key| admission.was_asked_for(key));
        assert!(known.count() < 50);
        // And has made room for whom nobody remembers any more.
        let left = (0..5120_u32).filter(|key| admission.was_asked_for(key));
        assert!(left.count() < 50);
    }

    /// Each cache has a seed of its own, and by some of those a hash that is only fast takes many for others.
    #[test]
    fn strangers_are_taken_for_others_by_chance_alone_whatever_the_seed() {
        for _ in 0..100 {
            let admission = Admission::new(40 << 20);
            let known = (0..10_000_u32).filter(|key| admission.was_asked_for(key));
            assert!(known.count() < 10);
        }
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        assert_eq!(Admission::new(0).marks.len(), 256);
        assert_eq!(Admission::new(64 << 20).marks.len(), 8 * 1024);
        assert_eq!(Admission::new(u64::MAX).marks.len(), 1 << 20);
    }
}
