//! What the data path tells of itself: connections and those who wait for them, by the names
//! of OpenTelemetry, and errors by their class.

use std::fmt;

use super::Db;
use super::bulkhead::Bulkhead;
use super::dialect::ErrorClass;
use super::error::Failure;
use crate::core::metrics::{Counter, Families, Histogram, number};

/// What is counted of units of work.
#[derive(Default)]
pub(super) struct Counters {
    errors: [Counter; CLASSES.len()],
    /// Units of work that ran again after a conflict.
    pub(super) conflict_retries: Counter,
    /// Units of work that ran again on another connection.
    pub(super) reconnections: Counter,
}

/// The classes of errors, in the order of [`ErrorClass`].
const CLASSES: [(ErrorClass, &str); 9] = [
    (ErrorClass::Unique, "unique"),
    (ErrorClass::ForeignKey, "foreign_key"),
    (ErrorClass::Conflict, "conflict"),
    (ErrorClass::LockTimeout, "lock_timeout"),
    (ErrorClass::TimeLimit, "time_limit"),
    (ErrorClass::Lost, "lost"),
    (ErrorClass::Refused, "refused"),
    (ErrorClass::UnknownOutcome, "unknown_outcome"),
    (ErrorClass::Fault, "fault"),
];

impl Counters {
    /// A unit of work, or one try of it, failed.
    pub(super) fn failed(&self, failure: &Failure) {
        if let Some(counter) = self.errors.get(failure.class() as usize) {
            counter.increment();
        }
    }
}

/// What is measured of a bulkhead.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) waited: Histogram,
    pub(super) used: Histogram,
    pub(super) shed: Counter,
    pub(super) timed_out: Counter,
}

impl Bulkhead {
    /// What its metrics call it.
    fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Searches => "searches",
            Self::Writes => "writes",
            Self::Housekeeping => "housekeeping",
        }
    }
}

const POOL: &str = "db_client_connection_pool_name";
const STATE: &str = "db_client_connection_state";

impl Db {
    /// Tells of connections, waits and errors.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        self.describe_connections(families)?;
        self.describe_waits(families)?;
        let counters = &self.inner.counters;
        families.flag(
            "inkpot_database_up",
            "Whether the database is thought to be reachable.",
            !self.inner.pools.is_away(),
        )?;
        families.counter(
            "inkpot_database_units",
            "Units of work that were asked for.",
            self.units(),
        )?;
        families.counters(
            "inkpot_database_errors",
            "Units of work, or tries of them, that failed, by the class of the error.",
            (CLASSES.iter().zip(&counters.errors))
                .map(|((_, name), counter)| ([("class", *name)], counter.value())),
        )?;
        families.counters(
            "inkpot_database_retries",
            "Units of work that ran again.",
            [
                ([("reason", "conflict")], counters.conflict_retries.value()),
                ([("reason", "lost")], counters.reconnections.value()),
            ],
        )
    }

    /// How many connections are used, and how many idle, of all bulkheads.
    pub fn connections(&self) -> (u32, u32) {
        let all = Bulkhead::ALL.map(|one| self.inner.pools.standing(one));
        all.iter().fold((0, 0), |(used, idle), one| {
            (used + one.used, idle + one.idle)
        })
    }

    fn describe_connections(&self, families: &mut Families<'_>) -> fmt::Result {
        let all = Bulkhead::ALL.map(|one| (one.name(), self.inner.pools.standing(one)));
        families.gauges(
            "db_client_connection_count",
            "Connections to the database.",
            all.iter().flat_map(|(name, standing)| {
                [("used", standing.used), ("idle", standing.idle)]
                    .map(|(state, count)| ([(POOL, *name), (STATE, state)], count.into()))
            }),
        )?;
        families.gauges(
            "db_client_connection_max",
            "Connections that there may be.",
            all.iter()
                .map(|(name, standing)| ([(POOL, *name)], standing.max.into())),
        )?;
        families.gauges(
            "db_client_connection_pending_requests",
            "Units of work that wait for a connection.",
            all.iter()
                .map(|(name, standing)| ([(POOL, *name)], number(standing.waiting))),
        )
    }

    fn describe_waits(&self, families: &mut Families<'_>) -> fmt::Result {
        let all = Bulkhead::ALL.map(|one| (one.name(), self.inner.pools.usage(one)));
        families.counters(
            "db_client_connection_timeouts",
            "Units of work that found no connection free in time.",
            all.iter()
                .map(|(name, usage)| ([(POOL, *name)], usage.timed_out.value())),
        )?;
        families.counters(
            "inkpot_database_shed",
            "Units of work that were refused because too many waited.",
            all.iter()
                .map(|(name, usage)| ([(POOL, *name)], usage.shed.value())),
        )?;
        families.histograms(
            "db_client_connection_wait_time_seconds",
            "How long units of work waited for their turn.",
            all.iter()
                .map(|(name, usage)| ([(POOL, *name)], &usage.waited)),
        )?;
        families.histograms(
            "db_client_connection_use_time_seconds",
            "How long units of work had a connection, or waited for a new one to be made.",
            all.iter()
                .map(|(name, usage)| ([(POOL, *name)], &usage.used)),
        )
    }
}

/// The connections of a bulkhead at a moment.
pub(super) struct Standing {
    pub(super) used: u32,
    pub(super) idle: u32,
    pub(super) max: u32,
    pub(super) waiting: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_counted_in_its_place() {
        for (n, (class, _)) in CLASSES.into_iter().enumerate() {
            let counters = Counters::default();
            counters.failed(&Failure::new(class, "some"));
            let counted: Vec<u64> = counters.errors.iter().map(Counter::value).collect();
            assert_eq!(counted.iter().position(|count| *count == 1), Some(n));
            assert_eq!(counted.iter().sum::<u64>(), 1);
        }
    }
}
