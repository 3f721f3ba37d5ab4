//! Buckets of this process's own, in memory.
//!
//! Everything is bounded: of each limit only the buckets that were used last are kept,
//! and one that is forgotten is a full one.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, StateStore};
use governor::{Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::decision::{Decision, Pair, Refused};
use super::limit::{Limit, SubjectLimit};
use crate::core::clock::Clock;

/// Buckets of each limit that are kept, at some 350 bytes each with what the cache
/// needs for them: 18 MB a limit at most.
pub const KEPT_BUCKETS: u64 = 50_000;
/// Refusals of each limit by subject that are kept: more, since one that is forgotten
/// makes an owner wait anew. 35 MB at most.
pub const KEPT_REFUSALS: u64 = 100_000;

/// All buckets and refusals of a process.
pub struct Local {
    addresses: ByLimit<(i64, u8), Buckets<IpAddr>>,
    subjects: ByLimit<&'static str, Subjects>,
    /// Subjects and pairs are kept as hashes, whose key nobody knows: eight bytes for
    /// each, whatever is sent as a subject, and none of it in memory.
    hasher: RandomState,
    clock: Clock,
}

/// What is kept for one limit by subject.
pub struct Subjects {
    buckets: Buckets<u64>,
    /// What is left of [`SubjectLimit::PASSES`].
    passes: Buckets<u64>,
    /// When a pair of subject and address was refused first.
    pub refusals: Cache<u64, Duration>,
}

impl Local {
    pub fn new(clock: &Clock) -> Self {
        Self {
            addresses: ByLimit::default(),
            subjects: ByLimit::default(),
            hasher: RandomState::new(),
            clock: clock.clone(),
        }
    }

    /// Takes a token from the address's bucket of the limit, or tells how long it takes
    /// until there is one.
    pub fn take(&self, limit: &Limit, address: IpAddr) -> Result<(), Duration> {
        self.of_addresses(limit).take(address)
    }

    /// The buckets of a limit.
    pub fn of_addresses(&self, limit: &Limit) -> Arc<Buckets<IpAddr>> {
        self.addresses.get((limit.bucket_id(), limit.prefix()), || {
            Buckets::new(limit.burst(), limit.every(), &self.clock)
        })
    }

    /// What is kept for a limit by subject.
    pub fn of_subjects(&self, limit: &SubjectLimit) -> Arc<Subjects> {
        self.subjects.get(limit.bucket_label(), || Subjects {
            buckets: Buckets::new(limit.burst(), limit.every(), &self.clock),
            passes: {
                let (burst, every) = SubjectLimit::PASSES;
                Buckets::new(burst, every, &self.clock)
            },
            refusals: Cache::builder()
                .max_capacity(KEPT_REFUSALS)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(limit.wait_ends())
                .build(),
        })
    }

    /// Takes a token from the subject's bucket, for a try from `address`.
    pub fn try_subject(
        &self,
        limit: &SubjectLimit,
        subject: &impl Hash,
        address: IpAddr,
    ) -> Decision {
        let Subjects {
            buckets,
            passes,
            refusals,
        } = &*self.of_subjects(limit);
        let subject = self.hasher.hash_one(subject);
        // Its own wait is of no use here: others would have that token before.
        if buckets.take(subject).is_ok() {
            return Decision::Allowed;
        }
        let hash = self.hasher.hash_one((subject, address));
        let limited = |retry_after| {
            Decision::Limited(Refused {
                retry_after,
                pair: Pair::Local {
                    limit: *limit,
                    hash,
                },
            })
        };
        let now = self.clock.steady();
        let age = refusals
            .get(&hash)
            .map(|since| now.saturating_sub(since))
            .filter(|age| *age <= limit.wait_ends());
        match age {
            Some(age) if age < limit.wait() => limited(limit.wait().saturating_sub(age)),
            Some(_) => match passes.take(subject) {
                Err(wait) => limited(wait),
                // Of several tries at once, the one that takes the refusal away.
                Ok(()) if refusals.remove(&hash).is_some() => Decision::Allowed,
                Ok(()) => limited(limit.wait()),
            },
            None => {
                refusals.insert(hash, now);
                limited(limit.wait())
            }
        }
    }

    /// Takes a token from the subject's bucket, from wherever, without passes.
    pub fn take_of_subject(
        &self,
        limit: &SubjectLimit,
        subject: &impl Hash,
    ) -> Result<(), Duration> {
        let subject = self.hasher.hash_one(subject);
        self.of_subjects(limit).buckets.take(subject)
    }

    /// Forgets the refusal of a pair.
    pub fn forget(&self, limit: &SubjectLimit, pair: u64) {
        self.of_subjects(limit).refusals.invalidate(&pair);
    }

    /// Fills the subject's bucket.
    pub fn fill(&self, limit: &SubjectLimit, subject: &impl Hash) {
        let subject = self.hasher.hash_one(subject);
        self.of_subjects(limit).buckets.reset(subject);
    }
}

/// Something for each limit, made when it is first asked for. There are as many as rooms
/// declare limits.
struct ByLimit<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl<K, V> Default for ByLimit<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Hash + Eq, V> ByLimit<K, V> {
    fn get(&self, limit: K, make: impl FnOnce() -> V) -> Arc<V> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&limit) {
            return Arc::clone(known);
        }
        drop(known);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(limit).or_insert_with(|| Arc::new(make())))
    }
}

/// Buckets of one limit, by `K`.
pub struct Buckets<K: Hash + Eq + Copy + Send + Sync + 'static> {
    limiter: RateLimiter<K, Bounded<K>, Steady, NoOpMiddleware<Duration>>,
    pub states: Cache<K, Arc<InMemoryState>>,
}

impl<K: Hash + Eq + Copy + Send + Sync + 'static> Buckets<K> {
    fn new(burst: u32, every: Duration, clock: &Clock) -> Self {
        // Neither is zero, as limits are declared.
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(every)
            .unwrap_or(Quota::per_second(burst))
            .allow_burst(burst);
        let states = Cache::builder()
            .max_capacity(KEPT_BUCKETS)
            .eviction_policy(EvictionPolicy::lru())
            // After so long a bucket is full again, which is what a new one is.
            .time_to_idle(every.saturating_mul(burst.get()))
            .build();
        Self {
            limiter: RateLimiter::new(quota, Bounded(states.clone()), Steady(clock.clone())),
            states,
        }
    }

    /// Takes a token, or tells how long it takes until there is one.
    fn take(&self, key: K) -> Result<(), Duration> {
        self.limiter.check_key(&key).map_err(|not_until| {
            let now = governor::clock::Clock::now(self.limiter.clock());
            not_until.wait_time_from(now)
        })
    }

    fn reset(&self, key: K) {
        self.states.invalidate(&key);
    }
}

/// Where `governor` keeps the states of buckets.
struct Bounded<K>(Cache<K, Arc<InMemoryState>>);

impl<K: Hash + Eq + Copy + Send + Sync + 'static> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0
            .get_with(*key, Arc::default)
            .measure_and_replace(&governor::state::NotKeyed::NonKey, f)
    }
}

/// `governor`'s view of the clock.
struct Steady(Clock);

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.steady()
    }
}
