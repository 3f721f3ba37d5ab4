//! Limits as the rooms declare them.

use std::time::Duration;

/// How often one address may do something: a token bucket for each address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    name: &'static str,
    bucket_id: i64,
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
            burst,
            every,
        }
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

/// A limit as a type, for extractors.
pub trait DeclaredLimit: 'static {
    const LIMIT: Limit;
}

/// How often one subject, such as an account, may be tried from all addresses together.
///
/// An attacker can keep a subject's bucket empty from many addresses. So an address that
/// was refused is let through once, some time after its first refusal.
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
