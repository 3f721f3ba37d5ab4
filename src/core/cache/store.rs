//! Where entries are kept: within a bound of memory, of which each shard has its part. What was asked for
//! longest ago makes room.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::{fast, quality};
use lru::LruCache;

use super::entry::Entry;

/// Bytes of a shard: several threads seldom wait for one, and the largest answer fits.
const SHARD: u64 = 16 << 20;
/// Shards at most.
const SHARDS: u64 = 64;

/// Entries by key.
pub(super) struct Store<K: Hash + Eq> {
    shards: Box<[Mutex<Shard<K>>]>,
    /// What each shard may need, in bytes.
    bound: u64,
    /// Spreads keys that differ little evenly, as the fast one does not by all seeds.
    hasher: quality::RandomState,
}

struct Shard<K: Hash + Eq> {
    entries: LruCache<K, Kept, fast::RandomState>,
    weight: u64,
}

struct Kept {
    entry: Arc<Entry>,
    /// As it was counted, in bytes: forms may have been added since.
    weight: u64,
}

impl<K: Hash + Eq> Store<K> {
    /// For so many bytes.
    pub fn new(bytes: u64) -> Self {
        let shards = (bytes / SHARD).clamp(1, SHARDS);
        let shard = || {
            Mutex::new(Shard {
                entries: LruCache::unbounded_with_hasher(fast::RandomState::default()),
                weight: 0,
            })
        };
        Self {
            shards: (0..shards).map(|_| shard()).collect(),
            bound: bytes / shards,
            hasher: quality::RandomState::default(),
        }
    }

    /// The entry of `key`, which was asked for now.
    pub fn get(&self, key: &K) -> Option<Arc<Entry>> {
        let mut shard = self.shard(key);
        (shard.entries.get(key)).map(|kept| Arc::clone(&kept.entry))
    }

    /// The same without a mark that it was asked for.
    pub fn peek(&self, key: &K) -> Option<Arc<Entry>> {
        let shard = self.shard(key);
        (shard.entries.peek(key)).map(|kept| Arc::clone(&kept.entry))
    }

    /// Whether the entry could be kept, if everything else made room.
    pub fn fits(&self, entry: &Entry) -> bool {
        entry.weight() as u64 <= self.bound
    }

    /// Whether nothing needs to make room for the entry.
    pub fn has_room(&self, key: &K, entry: &Entry) -> bool {
        let shard = self.shard(key);
        shard.weight + entry.weight() as u64 <= self.bound
    }

    /// Keeps an entry that [`fits`](Self::fits), in the place of another under the key.
    pub fn insert(&self, key: K, entry: &Arc<Entry>) {
        let mut out = Vec::new();
        let mut shard = self.shard(&key);
        let kept = Kept {
            entry: Arc::clone(entry),
            weight: entry.weight() as u64,
        };
        shard.weight += kept.weight;
        if let Some((_, old)) = shard.entries.push(key, kept) {
            shard.weight -= old.weight;
            out.push(old);
        }
        shard.make_room(self.bound, &mut out);
        // Their memory is given back when others may enter.
        drop(shard);
        drop(out);
    }

    /// Weighs the entry of `key` anew, if it is this one still.
    pub fn weigh_again(&self, key: &K, entry: &Arc<Entry>) {
        let mut out = Vec::new();
        let mut shard = self.shard(key);
        let Some(kept) = shard.entries.get_mut(key) else {
            return;
        };
        if !Arc::ptr_eq(&kept.entry, entry) {
            return;
        }
        let (old, new) = (kept.weight, entry.weight() as u64);
        kept.weight = new;
        shard.weight = shard.weight - old + new;
        if new > self.bound {
            let gone = shard.entries.pop(key);
            shard.weight -= new;
            out.extend(gone);
        }
        shard.make_room(self.bound, &mut out);
        drop(shard);
        drop(out);
    }

    /// How many entries there are, and the bytes that they need.
    pub fn size(&self) -> (u64, u64) {
        let sizes = self.shards.iter().map(|shard| {
            let shard = lock(shard);
            (shard.entries.len() as u64, shard.weight)
        });
        sizes.fold((0, 0), |(entries, bytes), (more, weight)| {
            (entries + more, bytes + weight)
        })
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        // Of other bits than those by which a shard finds its entries.
        let hash = self.hasher.hash_one(key) >> 32;
        let place = usize::try_from(hash % self.shards.len() as u64).unwrap_or(0);
        lock(&self.shards[place])
    }
}

impl<K: Hash + Eq> Shard<K> {
    fn make_room(&mut self, bound: u64, out: &mut Vec<Kept>) {
        while self.weight > bound {
            let Some((_, kept)) = self.entries.pop_lru() else {
                return;
            };
            self.weight -= kept.weight;
            out.push(kept);
        }
    }
}

/// Nothing in a shard is done by halves.
fn lock<K: Hash + Eq>(shard: &Mutex<Shard<K>>) -> MutexGuard<'_, Shard<K>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
