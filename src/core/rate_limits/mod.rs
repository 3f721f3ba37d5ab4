//! How often one may try: buckets of tokens by address and by account, against those
//! who guess passwords and codes.
//!
//! A bucket holds tokens up to its burst; each try takes one, and one comes back at
//! a steady pace. With Redis all processes share their buckets (`shared`); without
//! it, and while it is away, each has its own (`local`).

mod link;
mod local;
mod shared;

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use self::local::Local;
use self::shared::Shared;
use crate::core::clock::Clock;
use crate::core::redis::health::RedisHealth;
use crate::core::redis::url::RedisUrl;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    Login,
    Registration,
    Refresh,
    /// All that take or send a code.
    Code,
}

/// A try that is refused, and may be repeated after `retry_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    pub retry_after: Duration,
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
    pair: Pair,
}

/// Where the refusal of a pair of account and address is kept.
#[derive(Debug)]
enum Pair {
    Local(u64),
    Shared(String),
}

impl From<Exhausted> for RateLimited {
    fn from(exhausted: Exhausted) -> Self {
        Self {
            retry_after: exhausted.retry_after,
        }
    }
}

fn rate_limited(retry_after: Duration) -> RateLimited {
    RateLimited { retry_after }
}

/// All limits of a server; `None` in it when they are off.
pub struct RateLimits(Option<Buckets>);

struct Buckets {
    local: Local,
    /// `None` without Redis.
    shared: Option<Shared>,
}

impl RateLimits {
    /// `redis` is where buckets are shared, under keys made from `secret`; it is
    /// connected to here, for a little more than a second at most. The error is one
    /// line.
    pub fn new(
        is_on: bool,
        clock: &Clock,
        redis: Option<(&RedisUrl, &Arc<RedisHealth>)>,
        secret: &[u8],
    ) -> Result<Self, String> {
        if !is_on {
            return Ok(Self(None));
        }
        Ok(Self(Some(Buckets {
            local: Local::new(clock)?,
            shared: redis
                .map(|redis| Shared::open(redis, secret, clock))
                .transpose()?,
        })))
    }

    /// Whether tries are judged by buckets in Redis at the moment.
    pub fn is_shared(&self) -> bool {
        let shared = self.0.as_ref().and_then(|buckets| buckets.shared.as_ref());
        shared.is_some_and(Shared::is_up)
    }

    /// Waits so long for each answer of Redis from now on, instead of 100 milliseconds:
    /// for tests, on machines that are busier than any service should be.
    pub fn wait_for_redis(&self, limit: Duration) {
        if let Some(shared) = self.0.as_ref().and_then(|all| all.shared.as_ref()) {
            shared.wait(limit);
        }
    }

    /// Takes a token from the address's bucket for the route.
    pub async fn check_address(&self, route: Route, address: IpAddr) -> Result<(), RateLimited> {
        if let Some(shared) = self.0.as_ref().and_then(|all| all.shared.as_ref())
            && let Some(taken) = shared.take(route, subscriber(address)).await
        {
            return taken.map_err(rate_limited);
        }
        self.check_address_here(route, address)
    }

    /// The same in this process alone.
    pub fn check_address_here(&self, route: Route, address: IpAddr) -> Result<(), RateLimited> {
        let Some(all) = &self.0 else { return Ok(()) };
        let taken = all.local.take(route, subscriber(address));
        taken.map_err(rate_limited)
    }

    /// Takes a token from the account's bucket, for a try from `address`.
    ///
    /// When the bucket is empty, and an attacker can keep it so from many addresses,
    /// an address is let through once half a minute after its first refusal: the
    /// owner gets in, and the attacker a try a half minute from each address.
    pub async fn check_account(&self, account: &impl Hash, address: IpAddr) -> Standing {
        let Some(all) = &self.0 else {
            return Standing::Free;
        };
        let address = subscriber(address);
        if let Some(shared) = &all.shared
            && let Some(standing) = shared.try_account(account, address).await
        {
            return standing;
        }
        all.local.try_account(account, address)
    }

    /// Forgets a refusal that did not happen, since the owner has a live session at
    /// the address.
    pub async fn excuse(&self, exhausted: &Exhausted) {
        let Some(all) = &self.0 else { return };
        match (&exhausted.pair, &all.shared) {
            (Pair::Local(pair), _) => all.local.forget(*pair),
            (Pair::Shared(key), Some(shared)) => shared.forget(key).await,
            // No key is of a Redis that is not there.
            (Pair::Shared(_), None) => {}
        }
    }

    /// Fills the account's bucket: whoever tried knew the secret.
    pub async fn succeeded(&self, account: &impl Hash) {
        let Some(all) = &self.0 else { return };
        all.local.fill(account);
        if let Some(shared) = &all.shared {
            shared.fill(account).await;
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

#[cfg(test)]
mod tests;
