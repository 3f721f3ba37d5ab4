//! Limits as the rooms declare them.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// How often one address may do something: a token bucket for each address, and for IPv6 one
/// for each wider network that whoever has the address may have as well ([`networks`]).
///
/// [`networks`]: Self::networks
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    name: &'static str,
    bucket_id: i64,
    /// Of the network that a bucket is for; 64 stands for a subscriber.
    prefix: u8,
    burst: u32,
    every: Duration,
}

impl Limit {
    /// A bucket holds `burst` tries, and another one comes back after `every`; neither is
    /// zero. `bucket_id` tells its buckets from those of all other limits; keys in Redis
    /// are made of it, so a released one is never changed nor used again.
    pub const fn new(name: &'static str, bucket_id: i64, burst: u32, every: Duration) -> Self {
        assert!(burst > 0 && !every.is_zero(), "a limit of zero");
        Self {
            name,
            bucket_id,
            prefix: 64,
            burst,
            every,
        }
    }

    /// The buckets that a try from `address` takes from, the narrowest network first. Who
    /// has a /48 of IPv6, as a site gets it (RFC 6177), has 65,536 subscribers' networks: a
    /// /56 has twice what one has, a /48 four times.
    pub fn networks(self, address: IpAddr) -> impl Iterator<Item = (Self, IpAddr)> {
        let address = address.to_canonical();
        let wider = [(56, 2), (48, 4)]
            .into_iter()
            .filter_map(move |(prefix, factor)| {
                let wide = Self {
                    prefix,
                    burst: self.burst.saturating_mul(factor),
                    every: self.every / factor,
                    ..self
                };
                address.is_ipv6().then(|| (wide, network(address, prefix)))
            });
        std::iter::once((self, network(address, 64))).chain(wider)
    }

    /// Of the network that a bucket is for.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// For people.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What keys of its buckets are made of.
    pub const fn bucket_id(&self) -> i64 {
        self.bucket_id
    }

    /// Tries in a moment.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// After which time another try is there.
    pub const fn every(&self) -> Duration {
        self.every
    }
}

/// The network of an IPv6 address, and an IPv4 address as it is.
pub fn network(address: IpAddr, prefix: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// A limit as a type, for extractors.
pub trait DeclaredLimit: 'static {
    const LIMIT: Limit;
}

/// How often one subject, such as an account, may be tried from all addresses together.
///
/// An attacker can keep a subject's bucket empty from many addresses. So an address (a /48
/// of IPv6, which is a site's) that was refused is let through once, some time after its first
/// refusal; of such passes each subject has [`PASSES`](Self::PASSES).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectLimit {
    bucket_label: &'static str,
    refusal_label: &'static str,
    burst: u32,
    every: Duration,
    wait: Duration,
    wait_ends: Duration,
}

impl SubjectLimit {
    /// Passes in a moment, and after which time another one is there: all the guesses of a
    /// day that they allow are some nine hundred, however many addresses there are.
    pub const PASSES: (u32, Duration) = (400, Duration::from_secs(180));

    /// The labels are what keys in Redis are made of: a released one is never changed,
    /// nor used for another limit. `burst` and `every` are as in [`Limit::new`]. An
    /// address is let through once between `wait` and `wait_ends` after its first
    /// refusal; later its wait begins anew.
    pub const fn new(
        (bucket_label, refusal_label): (&'static str, &'static str),
        (burst, every): (u32, Duration),
        (wait, wait_ends): (Duration, Duration),
    ) -> Self {
        assert!(burst > 0 && !every.is_zero(), "a limit of zero");
        Self {
            bucket_label,
            refusal_label,
            burst,
            every,
            wait,
            wait_ends,
        }
    }

    /// What keys of its buckets are made of.
    pub const fn bucket_label(&self) -> &'static str {
        self.bucket_label
    }

    /// What keys of its refusals are made of.
    pub const fn refusal_label(&self) -> &'static str {
        self.refusal_label
    }

    /// Tries in a moment.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// After which time another try is there.
    pub const fn every(&self) -> Duration {
        self.every
    }

    /// How long an address waits from its first refusal until it is let through.
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// Later than this after the first refusal, the wait begins anew.
    pub const fn wait_ends(&self) -> Duration {
        self.wait_ends
    }
}
