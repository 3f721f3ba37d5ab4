//! How often one may try: buckets of tokens by address and by account, against those
//! who guess passwords and codes.
//!
//! A bucket holds tokens up to its burst; each try takes one, and one comes back at
//! a steady pace. Everything is bounded: of each kind only the buckets that were used
//! last are kept, and one that is forgotten is a full one.

use std::future::{Ready, ready};
use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, StateStore};
use governor::{Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::app::App;
use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::http::client_address;

/// Buckets of each kind that are kept, at some 350 bytes each with what the cache
/// needs for them: 125 MB at most for everything here.
const KEPT_BUCKETS: u64 = 50_000;
/// Refusals by an account's bucket that are kept: more, since one that is forgotten
/// makes an owner wait anew.
const KEPT_REFUSALS: u64 = 100_000;

/// An address that was refused because others emptied the account's bucket is let
/// through once, after this time.
const WAIT: Duration = Duration::from_secs(30);
/// Later than this its wait begins anew.
const WAIT_ENDS: Duration = Duration::from_secs(120);

/// How large a bucket is and how fast it fills.
struct Rate {
    /// Tries in a moment.
    burst: u32,
    /// After which time another one is there.
    every: Duration,
}

impl Rate {
    /// What one address may do: generous, for many may share one.
    const fn of(route: Route) -> Self {
        match route {
            Route::Login => Self {
                burst: 30,
                every: Duration::from_secs(2),
            },
            Route::Registration => Self {
                burst: 20,
                every: Duration::from_secs(30),
            },
            Route::Refresh => Self {
                burst: 120,
                every: Duration::from_millis(500),
            },
            Route::Code => Self {
                burst: 20,
                every: Duration::from_secs(15),
            },
        }
    }

    /// What may be tried at one account, from all addresses together.
    const ACCOUNT: Self = Self {
        burst: 10,
        every: Duration::from_secs(6),
    };
}

/// The routes that are limited by address, each with buckets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Login,
    Registration,
    Refresh,
    /// All that take or send a code.
    Code,
}

/// One of the routes as a type, for [`Admitted`].
pub trait Limited {
    const ROUTE: Route;
}

/// [`Route::Login`].
pub struct Login;
/// [`Route::Registration`].
pub struct Registration;
/// [`Route::Refresh`].
pub struct Refresh;
/// [`Route::Code`].
pub struct UseOfCode;

impl Limited for Login {
    const ROUTE: Route = Route::Login;
}
impl Limited for Registration {
    const ROUTE: Route = Route::Registration;
}
impl Limited for Refresh {
    const ROUTE: Route = Route::Refresh;
}
impl Limited for UseOfCode {
    const ROUTE: Route = Route::Code;
}

/// The extractor that guards a route by address: the client's, which had a token
/// left. It is synchronous and stands first, so that who tries too often is refused
/// before the body is read, let alone judged.
pub struct Admitted<L> {
    pub address: IpAddr,
    route: PhantomData<L>,
}

impl<L: Limited> FromRequest for Admitted<L> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(req, L::ROUTE).map(|address| Self {
            address,
            route: PhantomData,
        }))
    }
}

fn admit(req: &HttpRequest, route: Route) -> Result<IpAddr, Error> {
    let address = client_address::of_request(req)?.0;
    let app = req
        .app_data::<Data<App>>()
        .ok_or_else(|| Error::internal("no application data"))?;
    app.limits.check_address(route, address)?;
    Ok(address)
}

/// What the bucket of an account says to a try.
#[must_use]
#[derive(Debug)]
pub enum Standing {
    /// Go on.
    Free,
    /// The try is to be refused, unless the owner has a live session at this address.
    Exhausted(Exhausted),
}

/// An account's bucket was empty.
#[derive(Debug)]
pub struct Exhausted {
    retry_after: Duration,
    pair: u64,
}

impl From<Exhausted> for Error {
    fn from(exhausted: Exhausted) -> Self {
        rate_limited(exhausted.retry_after)
    }
}

/// The refusal of a try that may be repeated after `retry_after`.
fn rate_limited(retry_after: Duration) -> Error {
    Error {
        retry_after: Some(retry_after),
        ..Error::new(Code::RateLimited)
    }
}

/// All limits of a server; `None` in it when they are off.
pub struct Limits(Option<Kinds>);

struct Kinds {
    logins: Buckets<IpAddr>,
    registrations: Buckets<IpAddr>,
    refreshes: Buckets<IpAddr>,
    codes: Buckets<IpAddr>,
    accounts: Buckets<u64>,
    /// When a pair of account and address was refused first.
    refusals: Cache<u64, Duration>,
    /// Accounts and pairs are kept as hashes, whose key nobody knows: eight bytes for
    /// each, whatever is sent as an account, and none of it in memory.
    hasher: RandomState,
    clock: Clock,
}

impl Limits {
    /// The error is one line.
    pub fn new(is_on: bool, clock: &Clock) -> Result<Self, String> {
        if !is_on {
            return Ok(Self(None));
        }
        Ok(Self(Some(Kinds {
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
        })))
    }

    /// Takes a token from the address's bucket for the route.
    pub fn check_address(&self, route: Route, address: IpAddr) -> Result<(), Error> {
        let Some(kinds) = &self.0 else { return Ok(()) };
        let buckets = match route {
            Route::Login => &kinds.logins,
            Route::Registration => &kinds.registrations,
            Route::Refresh => &kinds.refreshes,
            Route::Code => &kinds.codes,
        };
        buckets.take(subscriber(address)).map_err(rate_limited)
    }

    /// Takes a token from the account's bucket, for a try from `address`.
    ///
    /// When the bucket is empty, and an attacker can keep it so from many addresses,
    /// an address is let through once half a minute after its first refusal: the
    /// owner gets in, and the attacker a try a half minute from each address.
    pub fn check_account(&self, account: &impl Hash, address: IpAddr) -> Standing {
        let Some(kinds) = &self.0 else {
            return Standing::Free;
        };
        let account = kinds.hasher.hash_one(account);
        // Its own wait is of no use here: others would have that token before.
        if kinds.accounts.take(account).is_ok() {
            return Standing::Free;
        }
        let pair = kinds.hasher.hash_one((account, subscriber(address)));
        let now = kinds.clock.steady();
        let age = kinds
            .refusals
            .get(&pair)
            .map(|since| now.saturating_sub(since))
            .filter(|age| *age <= WAIT_ENDS);
        match age {
            Some(age) if age < WAIT => Standing::Exhausted(Exhausted {
                retry_after: WAIT.saturating_sub(age),
                pair,
            }),
            // Of several tries at once, the one that takes the refusal away.
            Some(_) if kinds.refusals.remove(&pair).is_some() => Standing::Free,
            _ => {
                kinds.refusals.insert(pair, now);
                Standing::Exhausted(Exhausted {
                    retry_after: WAIT,
                    pair,
                })
            }
        }
    }

    /// Forgets a refusal that did not happen, since the owner has a live session at
    /// the address.
    pub fn excuse(&self, exhausted: &Exhausted) {
        if let Some(kinds) = &self.0 {
            kinds.refusals.invalidate(&exhausted.pair);
        }
    }

    /// Fills the account's bucket: whoever tried knew the secret.
    pub fn succeeded(&self, account: &impl Hash) {
        if let Some(kinds) = &self.0 {
            let account = kinds.hasher.hash_one(account);
            kinds.accounts.reset(account);
        }
    }
}

/// What one subscriber has: an IPv4 address, or a /64 of IPv6 (RFC 6177), in which
/// they can call from any address.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
        address @ IpAddr::V4(_) => address,
    }
}

/// Buckets of one kind, by `K`.
struct Buckets<K: Hash + Eq + Copy + Send + Sync + 'static> {
    limiter: RateLimiter<K, Bounded<K>, Steady, NoOpMiddleware<Duration>>,
    states: Cache<K, Arc<InMemoryState>>,
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const OWNER: &str = "ann@example.org";

    fn limits() -> (Limits, Clock) {
        let clock = Clock::by_hand(chrono::Utc::now());
        (Limits::new(true, &clock).unwrap(), clock)
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(number))
    }

    fn parsed(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How long a try has to wait; zero when it may go on.
    fn wait(limits: &Limits, from: u32) -> u64 {
        match limits.check_account(&OWNER, address(from)) {
            Standing::Free => 0,
            Standing::Exhausted(exhausted) => exhausted.retry_after.as_secs(),
        }
    }

    /// One try from each of two hundred addresses.
    fn hammer(limits: &Limits) {
        for from in 1000..1200 {
            wait(limits, from);
        }
    }

    fn seconds(number: i64) -> chrono::Duration {
        chrono::Duration::seconds(number)
    }

    #[test]
    fn each_route_has_its_burst_and_its_pace() {
        for (route, burst, pace) in [
            (Route::Login, 30, 2_000),
            (Route::Registration, 20, 30_000),
            (Route::Refresh, 120, 500),
            (Route::Code, 20, 15_000),
        ] {
            let (limits, clock) = limits();
            let check = || limits.check_address(route, address(1));
            for _ in 0..burst {
                check().unwrap();
            }
            let refused = check().unwrap_err();
            assert_eq!(refused.code, Code::RateLimited);
            assert_eq!(refused.retry_after, Some(Duration::from_millis(pace)));
            // A refused try costs nothing.
            clock.advance(chrono::Duration::milliseconds(
                i64::try_from(pace).unwrap() - 1,
            ));
            check().unwrap_err();
            clock.advance(chrono::Duration::milliseconds(1));
            check().unwrap();
            check().unwrap_err();
            limits.check_address(route, address(2)).unwrap();
        }
    }

    #[test]
    fn routes_do_not_share_their_buckets() {
        let (limits, _) = limits();
        for _ in 0..20 {
            limits.check_address(Route::Code, address(1)).unwrap();
        }
        limits.check_address(Route::Code, address(1)).unwrap_err();
        limits.check_address(Route::Login, address(1)).unwrap();
    }

    #[test]
    fn a_subscriber_is_an_ipv4_address_or_a_64_of_ipv6() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ] {
            assert_eq!(
                subscriber(parsed(one)) == subscriber(parsed(other)),
                same,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn an_account_can_be_tried_ten_times_and_then_ten_times_a_minute() {
        let (limits, clock) = limits();
        for number in 0..10 {
            assert_eq!(wait(&limits, number), 0);
        }
        assert_eq!(wait(&limits, 10), 30);
        clock.advance(seconds(6));
        assert_eq!(wait(&limits, 11), 0);
        assert_eq!(wait(&limits, 11), 30);
        assert!(matches!(
            limits.check_account(&"ben@example.org", address(11)),
            Standing::Free
        ));
    }

    #[test]
    fn an_owner_whose_account_is_hammered_waits_half_a_minute_at_most() {
        let (limits, clock) = limits();
        let hammer = || hammer(&limits);
        hammer();
        assert_eq!(wait(&limits, 1), 30);
        for left in [20, 10] {
            clock.advance(seconds(10));
            hammer();
            assert_eq!(wait(&limits, 1), left);
        }
        clock.advance(seconds(10));
        hammer();
        assert_eq!(wait(&limits, 1), 0);
        // Once; then its wait begins anew.
        assert_eq!(wait(&limits, 1), 30);
    }

    #[test]
    fn an_attacker_gets_a_try_a_half_minute_from_each_address() {
        let (limits, clock) = limits();
        let tries = || {
            (1000..1200)
                .filter(|from| wait(&limits, *from) == 0)
                .count()
        };
        assert_eq!(tries(), 10);
        assert_eq!(tries(), 0);
        // Two minutes at a request a second from each of the 200.
        let mut all = 0;
        for _ in 0..120 {
            clock.advance(seconds(1));
            all += tries();
        }
        assert!(all <= 20 + 4 * 200, "{all}");
        // An address that was never refused is not let through at once.
        assert_eq!(wait(&limits, 1), 30);
    }

    #[test]
    fn a_wait_that_is_over_for_long_begins_anew() {
        let (limits, clock) = limits();
        for (pause, expected) in [(120, 0), (121, 30)] {
            hammer(&limits);
            let from = u32::try_from(pause).unwrap();
            assert_eq!(wait(&limits, from), 30);
            clock.advance(seconds(pause));
            hammer(&limits);
            assert_eq!(wait(&limits, from), expected, "{pause}");
        }
    }

    #[test]
    fn a_success_fills_the_bucket() {
        let (limits, _) = limits();
        for _ in 0..9 {
            assert_eq!(wait(&limits, 1), 0);
        }
        limits.succeeded(&OWNER);
        for _ in 0..10 {
            assert_eq!(wait(&limits, 1), 0);
        }
        assert_eq!(wait(&limits, 1), 30);
        limits.succeeded(&"ben@example.org");
        assert_eq!(wait(&limits, 1), 30);
    }

    #[test]
    fn who_is_excused_was_not_refused() {
        let (limits, clock) = limits();
        for _ in 0..10 {
            assert_eq!(wait(&limits, 1), 0);
        }
        let Standing::Exhausted(exhausted) = limits.check_account(&OWNER, address(1)) else {
            panic!("the bucket is empty");
        };
        limits.excuse(&exhausted);
        clock.advance(seconds(5));
        assert_eq!(wait(&limits, 1), 30);
        let error: Error = exhausted.into();
        assert_eq!(error.code, Code::RateLimited);
        assert_eq!(error.retry_after, Some(WAIT));
    }

    #[test]
    fn when_they_are_off_nothing_is_limited() {
        let clock = Clock::by_hand(chrono::Utc::now());
        let limits = Limits::new(false, &clock).unwrap();
        for _ in 0..1000 {
            limits.check_address(Route::Code, address(1)).unwrap();
            assert_eq!(wait(&limits, 1), 0);
        }
        limits.succeeded(&OWNER);
    }

    #[test]
    fn a_million_addresses_take_no_more_memory_than_the_bound() {
        let (limits, _) = limits();
        let kinds = limits.0.as_ref().unwrap();
        for number in 0..1_000_000 {
            limits.check_address(Route::Login, address(number)).unwrap();
        }
        for number in 0..300_000 {
            wait(&limits, number);
        }
        kinds.logins.states.run_pending_tasks();
        kinds.refusals.run_pending_tasks();
        assert_eq!(kinds.logins.states.entry_count(), KEPT_BUCKETS);
        assert_eq!(kinds.refusals.entry_count(), KEPT_REFUSALS);
        // What was used last is what was kept.
        assert!(kinds.logins.states.contains_key(&address(999_999)));
        assert!(!kinds.logins.states.contains_key(&address(0)));
        // However many addresses one subscriber has.
        for number in 0..100_000_u128 {
            let inside = Ipv6Addr::from_bits((0x2001_0db8 << 96) | number);
            let _ = limits.check_address(Route::Registration, IpAddr::V6(inside));
        }
        kinds.registrations.states.run_pending_tasks();
        assert_eq!(kinds.registrations.states.entry_count(), 1);
    }
}
