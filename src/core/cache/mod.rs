//! The response cache: finished responses as bytes, kept for as long as nothing that they
//! were made of changes.
//!
//! - **Invalidation** ([`invalidation`]). A write invalidates cache tags right after its
//!   `COMMIT` and before it answers ([`Cache::invalidate`]). An entry has the tags of what
//!   it was made of and the version at which its reading began. Every lookup compares the
//!   two, so what a slow reading brings too late may be kept but is never served.
//! - **Stale** ([`Cache::stale`]). Where entries expire they are kept for a while longer, for
//!   when what they are made of cannot be read. One that was invalidated is never served.
//! - **Admission** (`admission`). While there is room everything is kept; when there is none, what is asked for the
//!   second time, and packed (`packing`) until it is asked for often.
//! - **Single-flight** (`single_flight`). Concurrent misses share one filling. A waiter
//!   whose request came after an invalidation discards the shared result and reads again.
//! - **Replicas** ([`Cache::find_or_fill_by`]). What a replica says counts as a slow reading that
//!   began when the replica's state was new. So a change that it lacks and this process knows of
//!   is found as with any slow reading, and the primary is read.

mod admission;
pub mod entry;
pub mod invalidation;
pub mod moment;
mod packing;
mod single_flight;
mod standstill;
mod store;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;

use self::admission::Admission;
use self::entry::{Entry, Filled};
use self::invalidation::{CacheTag, Invalidation};
pub use self::moment::{Moment, Patience};
use self::single_flight::SingleFlight;
use self::standstill::Standstill;
use self::store::Store;
use crate::core::clock::Clock;
use crate::core::compression::Coding;
use crate::core::freshness::Freshness;
use crate::core::metrics::{Counter, Families, whole};
use crate::core::replica::{Replica, Why};

/// How long entries hold where others write, unless it is said.
const OTHERS_WRITE: Duration = Duration::from_secs(1);
/// How long a process counts as alone, or as hearing the others, after it was said: one that
/// stood still has missed what others wrote.
const ALONE: Duration = Duration::from_secs(1);
/// Flights whose result came too late for a request before it reads for itself.
const MAX_JOINED: usize = 2;

/// Finished responses by key, within a bound of memory. `E`: why a filling may fail, which
/// is told to all who waited for it.
///
/// Keys should be small: what they own on the heap is not weighed. What is to be kept must fit a
/// shard's part of the memory: all of it below 32 MiB, at least 16 MiB from there on.
pub struct Cache<K: Hash + Eq, E> {
    entries: Store<K>,
    admission: Admission,
    /// Bytes.
    bound: u64,
    /// How long entries hold where others write.
    lifetime: Duration,
    /// How long those of a replica do.
    replica_lifetime: Duration,
    /// How old an expired entry may be that is served all the same.
    stale: Duration,
    others_write: AtomicBool,
    /// When it last was so that they do not.
    alone: Freshness,
    /// How often it was so again, after others may have written.
    pauses: AtomicU64,
    invalidation: Invalidation,
    flights: SingleFlight<K, Outcome<E>>,
    standstill: Standstill,
    clock: Clock,
    counters: Counters,
}

/// What is counted of requests.
#[derive(Default)]
struct Counters {
    hits: Counter,
    misses: Counter,
    stale: Counter,
    invalidations: Counter,
}

/// What a filling ended with, for all who waited for it.
struct Outcome<E> {
    read: Moment,
    result: FillResult<E>,
}

#[derive(Clone)]
enum FillResult<E> {
    Found(Arc<Entry>),
    Absent(Arc<[CacheTag]>),
    Failed(E),
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, E: Clone> Cache<K, E> {
    /// A cache of `bytes`, what is needed beside the bodies included; with 0 nothing
    /// is kept. Where others than this process write, as is supposed without a
    /// `lifetime` of `None`, entries expire after it, counted from before they were read;
    /// otherwise they hold until they are invalidated.
    pub fn new(bytes: u64, lifetime: Option<Duration>, clock: Clock) -> Self {
        Self {
            entries: Store::new(bytes),
            admission: Admission::new(bytes),
            bound: bytes,
            lifetime: lifetime.unwrap_or(OTHERS_WRITE),
            replica_lifetime: Duration::ZERO,
            stale: Duration::ZERO,
            others_write: AtomicBool::new(lifetime.is_some()),
            alone: Freshness::default(),
            pauses: AtomicU64::new(0),
            invalidation: Invalidation::default(),
            flights: SingleFlight::new(),
            standstill: Standstill::default(),
            clock,
            counters: Counters::default(),
        }
    }

    /// Has expired entries served while what they are made of cannot be read, for as long
    /// after that reading (RFC 5861 §4, `stale-if-error`).
    #[must_use]
    pub fn stale_if_error(mut self, stale: Duration) -> Self {
        self.stale = stale;
        self
    }

    /// Has what a replica said be so old for who is patient, where others write unheard.
    #[must_use]
    pub fn replica_lifetime(mut self, lifetime: Duration) -> Self {
        self.replica_lifetime = lifetime;
        self
    }

    /// The entry of `key` that has expired and is not too old, with its age. Nothing that it
    /// was made of has changed as far as this process knows.
    pub fn stale(&self, key: &K) -> Option<(Arc<Entry>, Duration)> {
        let entry = self.entries.peek(key)?;
        let is_current = (self.invalidation).is_current(entry.read.version, entry.tags());
        let age = self.age(entry.read);
        (is_current && age < self.stale).then_some((entry, age))
    }

    /// Says whether others than this process wrote, or wrote unheard, at that time. What was
    /// read before such a change does not hold after it: of the two ways to tell what is old,
    /// the other one counts then. Once it was said that they do not, it is to be said again
    /// of a time within a second each time.
    pub fn others_write(&self, do_they: bool, at: Instant) {
        if !do_they {
            if self.do_others_write() {
                self.pauses.fetch_add(1, Ordering::AcqRel);
            }
            self.alone.renew_at(at);
        }
        self.others_write.store(do_they, Ordering::Release);
    }

    fn do_others_write(&self) -> bool {
        self.others_write.load(Ordering::Acquire) || !self.alone.is_fresh(ALONE)
    }

    /// For how long what was read may have been changed by others unheard.
    fn age(&self, read: Moment) -> Duration {
        let age = self.clock.steady().saturating_sub(read.at);
        let held = read.is_alone && read.pauses == self.pauses.load(Ordering::Acquire);
        match self.alone.age() {
            Some(alone) if held => age.min(alone),
            _ => age,
        }
    }

    /// Whether anything is kept.
    pub fn keeps(&self) -> bool {
        self.bound > 0
    }

    /// The present moment, for what is read from now on and kept elsewhere.
    pub fn begin(&self) -> Moment {
        self.moment()
    }

    /// Whether what was read since a moment, and depends on `tags`, is as good as new.
    pub fn holds(&self, read: Moment, tags: &[CacheTag]) -> bool {
        self.keeps()
            && self.invalidation.is_current(read.version, tags)
            && self.is_young(read, Patience::Short)
    }

    /// Invalidates every entry that has one of `tags`: to be called after `COMMIT` and
    /// before anybody is told, in the same closure on the blocking pool, since the
    /// future of a handler may be dropped in between. A `COMMIT` that was lost may
    /// have happened, so it counts.
    pub fn invalidate(&self, tags: &[CacheTag]) {
        self.counters.invalidations.increment();
        self.invalidation.invalidate(tags);
    }

    /// The entry of `key` when it is valid. Without one it is not a miss yet: it may be asked
    /// for by [`find_or_fill`](Self::find_or_fill) next.
    pub fn get(&self, key: &K) -> Option<Arc<Entry>> {
        self.get_by(key, || Patience::Short)
    }

    /// The same for who has so much patience, who is asked only where it matters.
    pub fn get_by(&self, key: &K, patience: impl Fn() -> Patience) -> Option<Arc<Entry>> {
        let entry = self.find(key, patience)?;
        self.counters.hits.increment();
        Some(entry)
    }

    fn find(&self, key: &K, patience: impl Fn() -> Patience) -> Option<Arc<Entry>> {
        let entry = self.entries.get(key)?;
        let patience = if entry.read.is_of_replica {
            patience()
        } else {
            Patience::Short
        };
        if !self.is_valid(&entry, patience) {
            return None;
        }
        let Some(plain) = entry.unpacked_if_often() else {
            return Some(entry);
        };
        let plain = Arc::new(plain);
        self.entries.insert(key.clone(), &plain);
        Some(plain)
    }

    /// How long who has an expired entry may wait for a new one, mostly `patience`; while what entries
    /// are made of answers nobody, one a second a moment, and the others not at all.
    pub fn may_wait(&self, patience: Duration) -> Option<Duration> {
        self.standstill.may_wait(self.clock.steady(), patience)
    }

    /// Somebody has waited for a new entry in vain.
    pub fn waited_in_vain(&self) {
        self.standstill.began(self.clock.steady());
    }

    /// Counts an entry that was served though it had expired.
    pub fn served_stale(&self) {
        self.counters.stale.increment();
    }

    /// Tells of entries and of what is asked for; the names begin with `prefix`.
    pub fn describe(&self, prefix: &str, families: &mut Families<'_>) -> fmt::Result {
        let Counters {
            hits,
            misses,
            stale,
            invalidations,
        } = &self.counters;
        let (entries, bytes) = self.entries.size();
        families.counters(
            &format!("{prefix}_requests"),
            "What was asked for: found, made anew, or served though it had expired.",
            [("hit", hits), ("miss", misses), ("stale", stale)]
                .map(|(result, count)| ([("result", result)], count.value())),
        )?;
        families.counter(
            &format!("{prefix}_invalidations"),
            "Changes that invalidated entries.",
            invalidations.value(),
        )?;
        families.flag(
            &format!("{prefix}_expires"),
            "1 while entries expire, since others may write unheard; 0 while they hold until they change.",
            self.do_others_write(),
        )?;
        families.gauge(
            &format!("{prefix}_entries"),
            "Entries that are kept, about.",
            whole(entries),
        )?;
        families.gauge(
            &format!("{prefix}_bytes"),
            "Memory that they need, about.",
            whole(bytes),
        )?;
        families.gauge(
            &format!("{prefix}_max_bytes"),
            "Memory that they may need.",
            whole(self.bound),
        )
    }

    /// The entry of `key`, by `fill` when there is no valid one; `None` when there is
    /// nothing under the key. It is never what was read before a change that was
    /// acknowledged before this call.
    ///
    /// `fill` is called at most once. Concurrent callers wait for one of them, and share
    /// its failure as well.
    pub async fn find_or_fill(
        &self,
        key: &K,
        fill: impl AsyncFn() -> Result<Filled, E>,
    ) -> Result<Option<Arc<Entry>>, E> {
        self.find_or_fill_by(key, None, fill).await
    }

    /// The same for who is patient, whose `fill` may be called once more: first with its readings
    /// at a replica, where that has all changes that this process knows of and the answer depends
    /// on. What a replica does not have the primary is asked for.
    pub async fn find_or_fill_by(
        &self,
        key: &K,
        replica: Option<&Replica>,
        fill: impl AsyncFn() -> Result<Filled, E>,
    ) -> Result<Option<Arc<Entry>>, E> {
        let patience = match replica {
            Some(_) => Patience::Long,
            None => Patience::Short,
        };
        if let Some(entry) = self.get_by(key, || patience) {
            return Ok(Some(entry));
        }
        self.counters.misses.increment();
        let arrival = self.moment();
        for _ in 0..MAX_JOINED {
            let is_own = Cell::new(false);
            let participant = self.flights.join(key);
            let filling = || {
                is_own.set(true);
                self.fill(key, replica, &fill)
            };
            let outcome = participant.result.get_or_init(filling).await;
            if is_own.get() || self.may_serve(outcome, arrival, patience) {
                return self.ended(outcome.result.clone().into_result());
            }
        }
        self.ended(self.fill(key, replica, &fill).await.result.into_result())
    }

    /// What a filling ended with; where it was no failure nothing stands still.
    fn ended<T>(&self, result: Result<T, E>) -> Result<T, E> {
        if result.is_ok() {
            self.standstill.ended();
        }
        result
    }

    /// The form of `entry` in `coding`, made at the first call; `None` when the plain
    /// form is the better one.
    pub async fn form(&self, key: &K, entry: &Arc<Entry>, coding: Coding) -> Option<Bytes> {
        let (form, is_new) = entry.make(coding).await;
        if is_new {
            self.entries.weigh_again(key, entry);
        }
        form
    }

    async fn fill(
        &self,
        key: &K,
        replica: Option<&Replica>,
        fill: &impl AsyncFn() -> Result<Filled, E>,
    ) -> Outcome<E> {
        let patience = match replica {
            Some(_) => Patience::Long,
            None => Patience::Short,
        };
        // Another flight may have landed between the first look and this.
        if let Some(entry) = self.entries.peek(key)
            && self.is_valid(&entry, patience)
        {
            return Outcome {
                read: entry.read,
                result: FillResult::Found(entry),
            };
        }
        if let Some(replica) = replica
            && let Some(outcome) = self.fill_from(key, replica, fill).await
        {
            return outcome;
        }
        let read = self.moment();
        let result = match fill().await {
            Ok(Filled::Found { parts, tags }) => {
                let entry = Arc::new(Entry::new(parts, tags, read));
                self.insert(key, &entry);
                FillResult::Found(entry)
            }
            Ok(Filled::Absent { tags }) => FillResult::Absent(tags.into()),
            Err(error) => FillResult::Failed(error),
        };
        Outcome { read, result }
    }

    /// What a replica says, if that is as good as new.
    async fn fill_from(
        &self,
        key: &K,
        replica: &Replica,
        fill: &impl AsyncFn() -> Result<Filled, E>,
    ) -> Option<Outcome<E>> {
        // What a write has made old that the replica lacks, it would bring again.
        let before = self.entries.peek(key);
        let may_have = |read: Moment| {
            (before.as_ref())
                .is_none_or(|entry| self.invalidation.is_current(read.version, entry.tags()))
        };
        let (read, filled) = replica.read(may_have, fill).await?;
        let Filled::Found { parts, tags } = filled else {
            // It may have come since: who published it knows its address.
            replica.fell_back(Why::Absent);
            return None;
        };
        let entry = Arc::new(Entry::new(parts, tags, read));
        if !self.is_valid(&entry, Patience::Long) {
            replica.fell_back(Why::Overtaken);
            return None;
        }
        replica.answered();
        self.insert(key, &entry);
        let result = FillResult::Found(entry);
        Some(Outcome { read, result })
    }

    fn insert(&self, key: &K, entry: &Arc<Entry>) {
        if !self.entries.fits(entry) || !self.is_valid(entry, Patience::Long) {
            return;
        }
        let old = self.entries.peek(key);
        // What is asked for often stays as it was kept.
        let was_plain = old.as_ref().is_some_and(|old| !old.is_packed());
        if was_plain || self.entries.has_room(key, entry) {
            self.entries.insert(key.clone(), entry);
        } else if old.is_some() || self.admission.was_asked_for(key) {
            match entry.packed() {
                Some(packed) => self.entries.insert(key.clone(), &Arc::new(packed)),
                None => self.entries.insert(key.clone(), entry),
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            version: self.invalidation.version(),
            at: self.clock.steady(),
            is_alone: !self.do_others_write(),
            pauses: self.pauses.load(Ordering::Acquire),
            is_of_replica: false,
        }
    }

    fn is_valid(&self, entry: &Entry, patience: Patience) -> bool {
        self.invalidation
            .is_current(entry.read.version, entry.tags())
            && self.is_young(entry.read, patience)
    }

    fn is_young(&self, read: Moment, patience: Patience) -> bool {
        let lifetime = if read.is_of_replica && patience == Patience::Long {
            self.replica_lifetime
        } else {
            self.lifetime
        };
        match (self.do_others_write(), read.is_alone) {
            (true, false) => self.age(read) < lifetime,
            // After a pause nobody knows what others did in it.
            (false, true) => read.pauses == self.pauses.load(Ordering::Acquire),
            // Others have come since, or gone, perhaps after a last write.
            (true, true) | (false, false) => false,
        }
    }

    /// Whether a request that came at `arrival` may have what another one read: when that
    /// reading began later, or nothing has changed meanwhile. Of a failure it is not known
    /// what it depends on; and it does not age.
    fn may_serve(&self, outcome: &Outcome<E>, arrival: Moment, patience: Patience) -> bool {
        let Outcome { read, result } = outcome;
        let tags = match result {
            FillResult::Found(entry) => entry.tags(),
            FillResult::Absent(tags) => tags,
            FillResult::Failed(_) => return read.version >= arrival.version,
        };
        let is_current =
            read.version >= arrival.version || self.invalidation.is_current(read.version, tags);
        is_current && (self.is_young(*read, patience) || read.at > arrival.at)
    }
}

impl<E> FillResult<E> {
    fn into_result(self) -> Result<Option<Arc<Entry>>, E> {
        match self {
            Self::Found(entry) => Ok(Some(entry)),
            Self::Absent(_) => Ok(None),
            Self::Failed(error) => Err(error),
        }
    }
}
