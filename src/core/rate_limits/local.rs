//! Buckets of this process's own, in memory.
//!
//! Everything is bounded: of each kind only the buckets that were used last are kept,
//! and one that is forgotten is a full one.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, StateStore};
use governor::{Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Exhausted, Pair, Rate, Route, Standing, WAIT, WAIT_ENDS};
use crate::core::clock::Clock;

/// Buckets of each kind that are kept, at some 350 bytes each with what the cache
/// needs for them: 125 MB at most for everything here.
pub const KEPT_BUCKETS: u64 = 50_000;
/// Refusals by an account's bucket that are kept: more, since one that is forgotten
/// makes an owner wait anew.
pub const KEPT_REFUSALS: u64 = 100_000;

/// All buckets and refusals of a process.
pub struct Local {
    pub logins: Buckets<IpAddr>,
    pub registrations: Buckets<IpAddr>,
    pub refreshes: Buckets<IpAddr>,
    pub codes: Buckets<IpAddr>,
    pub accounts: Buckets<u64>,
    /// When a pair of account and address was refused first.
    pub refusals: Cache<u64, Duration>,
    /// Accounts and pairs are kept as hashes, whose key nobody knows: eight bytes for
    /// each, whatever is sent as an account, and none of it in memory.
    hasher: RandomState,
    clock: Clock,
}

impl Local {
    /// The error is one line.
    pub fn new(clock: &Clock) -> Result<Self, String> {
        Ok(Self {
            logins: Buckets::new(&Rate::of(Route::Login), clock)?,
            registrations: Buckets::new(&Rate::of(Route::Registration), clock)?,
            refreshes: Buckets::new(&Rate::of(Route::Refresh), clock)?,
            codes: Buckets::new(&Rate::of(Route::Code), clock)?,
            accounts: Buckets::new(&Rate::ACCOUNT, clock)?,
            refusals: Cache::builder()
                .max_capacity(KEPT_REFUSALS)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(WAIT_ENDS)
                .build(),
            hasher: RandomState::new(),
            clock: clock.clone(),
        })
    }

    /// Takes a token from the address's bucket for the route, or tells how long it
    /// takes until there is one.
    pub fn take(&self, route: Route, address: IpAddr) -> Result<(), Duration> {
        let buckets = match route {
            Route::Login => &self.logins,
            Route::Registration => &self.registrations,
            Route::Refresh => &self.refreshes,
            Route::Code => &self.codes,
        };
        buckets.take(address)
    }

    /// Takes a token from the account's bucket, for a try from `address`.
    pub fn try_account(&self, account: &impl Hash, address: IpAddr) -> Standing {
        let account = self.hasher.hash_one(account);
        // Its own wait is of no use here: others would have that token before.
        if self.accounts.take(account).is_ok() {
            return Standing::Free;
        }
        let pair = self.hasher.hash_one((account, address));
        let exhausted = |retry_after| {
            Standing::Exhausted(Exhausted {
                retry_after,
                pair: Pair::Local(pair),
            })
        };
        let now = self.clock.steady();
        let age = self
            .refusals
            .get(&pair)
            .map(|since| now.saturating_sub(since))
            .filter(|age| *age <= WAIT_ENDS);
        match age {
            Some(age) if age < WAIT => exhausted(WAIT.saturating_sub(age)),
            // Of several tries at once, the one that takes the refusal away.
            Some(_) if self.refusals.remove(&pair).is_some() => Standing::Free,
            _ => {
                self.refusals.insert(pair, now);
                exhausted(WAIT)
            }
        }
    }

    /// Forgets the refusal of a pair.
    pub fn forget(&self, pair: u64) {
        self.refusals.invalidate(&pair);
    }

    /// Fills the account's bucket.
    pub fn fill(&self, account: &impl Hash) {
        self.accounts.reset(self.hasher.hash_one(account));
    }
}

/// Buckets of one kind, by `K`.
pub struct Buckets<K: Hash + Eq + Copy + Send + Sync + 'static> {
    limiter: RateLimiter<K, Bounded<K>, Steady, NoOpMiddleware<Duration>>,
    pub states: Cache<K, Arc<InMemoryState>>,
}

impl<K: Hash + Eq + Copy + Send + Sync + 'static> Buckets<K> {
    fn new(rate: &Rate, clock: &Clock) -> Result<Self, String> {
        let quota = NonZeroU32::new(rate.burst)
            .and_then(|burst| Some(Quota::with_period(rate.every)?.allow_burst(burst)))
            .ok_or("a rate of zero limits nothing")?;
        let states = Cache::builder()
            .max_capacity(KEPT_BUCKETS)
            .eviction_policy(EvictionPolicy::lru())
            // After so long a bucket is full again, which is what a new one is.
            .time_to_idle(rate.every.saturating_mul(rate.burst))
            .build();
        Ok(Self {
            limiter: RateLimiter::new(quota, Bounded(states.clone()), Steady(clock.clone())),
            states,
        })
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
