//! Rate limits: token buckets by address and by subject, against those who guess.
//!
//! A bucket holds tokens up to its burst; each try takes one, and one comes back at
//! a steady pace. Rooms declare what is limited and how ([`Limit`], [`SubjectLimit`]);
//! buckets are made when they are first asked for. With Redis all processes share their
//! buckets (`shared`); without it, and while it is away, each has its own (`local`).

mod connection;
mod decision;
mod limit;
mod local;
mod shared;

use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use self::decision::Pair;
pub use self::decision::{Decision, LimitExceeded, Refused};
use self::limit::network;
pub use self::limit::{DeclaredLimit, Limit, SubjectLimit};
use self::local::Local;
use self::shared::Shared;
use crate::core::clock::Clock;
use crate::core::metrics::{Counter, Families, Labelled};
use crate::core::redis::health::RedisHealth;
use crate::core::redis::url::RedisUrl;

fn exceeded(retry_after: Duration) -> LimitExceeded {
    LimitExceeded { retry_after }
}

/// All limits of a server; `None` in it when they are off.
pub struct RateLimits(Option<Buckets>);

struct Buckets {
    local: Local,
    /// `None` without Redis.
    shared: Option<Shared>,
    /// By the name of the limit, and whether it let the try through.
    tries: Labelled<2, Counter>,
}

impl Buckets {
    fn count(&self, limit: &'static str, is_allowed: bool) {
        let result = if is_allowed { "allowed" } else { "limited" };
        self.tries.of([limit, result]).increment();
    }
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
            local: Local::new(clock),
            shared: redis
                .map(|redis| Shared::open(redis, secret, clock))
                .transpose()?,
            tries: Labelled::default(),
        })))
    }

    /// Whether tries are judged by buckets in Redis at the moment.
    pub fn is_shared(&self) -> bool {
        let shared = self.0.as_ref().and_then(|buckets| buckets.shared.as_ref());
        shared.is_some_and(Shared::is_up)
    }

    /// Tells of tries by limit. What a route answered is in the metrics of requests.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        let tries = self
            .0
            .as_ref()
            .map(|all| all.tries.all(["limit", "result"]));
        families.counters(
            "inkpot_rate_limit_tries",
            "Tries that a limit let through or refused.",
            (tries.iter().flatten()).map(|(labels, count)| (*labels, count.value())),
        )?;
        families.flag(
            "inkpot_rate_limits_shared",
            "Whether tries are counted together with other processes, in Redis.",
            self.is_shared(),
        )
    }

    /// Waits so long for each answer of Redis from now on, instead of 100 milliseconds:
    /// for tests, on machines that are busier than any service should be.
    pub fn set_redis_timeout(&self, limit: Duration) {
        if let Some(shared) = self.0.as_ref().and_then(|all| all.shared.as_ref()) {
            shared.set_timeout(limit);
        }
    }

    /// Takes a token from the bucket that the limit has for the address, and from those of the
    /// wider networks that it is in ([`Limit::networks`]).
    pub async fn check_address(&self, limit: &Limit, address: IpAddr) -> Result<(), LimitExceeded> {
        let Some(all) = &self.0 else { return Ok(()) };
        for (limit, network) in limit.networks(address) {
            let shared = match &all.shared {
                Some(shared) => shared.take(&limit, network).await,
                None => None,
            };
            let taken = shared.unwrap_or_else(|| all.local.take(&limit, network));
            if let Err(wait) = taken {
                all.count(limit.name(), false);
                return Err(exceeded(wait));
            }
        }
        all.count(limit.name(), true);
        Ok(())
    }

    /// Takes a token from the subject's bucket, for a try from `address`.
    ///
    /// When the bucket is empty, and an attacker can keep it so from many addresses,
    /// an address is let through once, [`SubjectLimit::wait`] after its first refusal: the
    /// owner gets in, and the attacker has a try in that time from each address.
    pub async fn check_subject(
        &self,
        limit: &SubjectLimit,
        subject: &impl Hash,
        address: IpAddr,
    ) -> Decision {
        let Some(all) = &self.0 else {
            return Decision::Allowed;
        };
        let address = network(address, SITE);
        let shared = match &all.shared {
            Some(shared) => shared.try_subject(limit, subject, address).await,
            None => None,
        };
        let decision = shared.unwrap_or_else(|| all.local.try_subject(limit, subject, address));
        all.count(limit.bucket_label(), matches!(decision, Decision::Allowed));
        decision
    }

    /// Takes a token from the subject's bucket, from wherever the try comes, without passes.
    pub async fn take(
        &self,
        limit: &SubjectLimit,
        subject: &impl Hash,
    ) -> Result<(), LimitExceeded> {
        let Some(all) = &self.0 else { return Ok(()) };
        let shared = match &all.shared {
            Some(shared) => shared.take_of_subject(limit, subject).await,
            None => None,
        };
        let taken = shared.unwrap_or_else(|| all.local.take_of_subject(limit, subject));
        all.count(limit.bucket_label(), taken.is_ok());
        taken.map_err(exceeded)
    }

    /// Waives a refusal: it did not happen.
    pub async fn waive(&self, refused: &Refused) {
        let Some(all) = &self.0 else { return };
        match (&refused.pair, &all.shared) {
            (Pair::Local { limit, hash }, _) => all.local.forget(limit, *hash),
            (Pair::Shared(key), Some(shared)) => shared.forget(key).await,
            // No key is of a Redis that is not there.
            (Pair::Shared(_), None) => {}
        }
    }

    /// Fills the subject's bucket: whoever tried knew the secret.
    pub async fn succeeded(&self, limit: &SubjectLimit, subject: &impl Hash) {
        let Some(all) = &self.0 else { return };
        all.local.fill(limit, subject);
        if let Some(shared) = &all.shared {
            shared.fill(limit, subject).await;
        }
    }
}

/// What one subscriber has: an IPv4 address, or a /64 of IPv6 (RFC 6177), in which
/// they can call from any address.
pub fn subscriber(address: IpAddr) -> IpAddr {
    network(address, SUBSCRIBER)
}

/// The network of a subscriber, and that of a site.
const SUBSCRIBER: u8 = 64;
const SITE: u8 = 48;

#[cfg(test)]
mod tests;
