//! The sweep: deletes what is over and finds jobs that were lost, again and again.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::core::clock::Clock;
use crate::core::db::Db;
use crate::core::telemetry::chain::Chain;
use crate::jobs::handler::JobHandler;
use crate::jobs::types::{Failure, Job, JobKind, Outcome, Queue};
use crate::maintenance::{ExpiredRows, LostWork};

/// Between two sweeps.
const PAUSE: TimeDelta = TimeDelta::hours(1);
/// Rows that one transaction deletes of each table.
const AT_ONCE: i64 = 1000;

/// Deletes the rows that the rooms no longer keep, and writes jobs that are missing. Then again in an hour.
pub struct Sweep {
    pub db: Db,
    pub clock: Clock,
    pub expired: Vec<ExpiredRows>,
    pub lost: Vec<LostWork>,
}

/// `{}`: what to delete is known by the program that does it.
#[derive(Serialize, Deserialize)]
pub struct Nothing {}

impl JobHandler for Sweep {
    const KIND: JobKind = JobKind {
        name: "sweep",
        queue: Queue::Work,
        time_limit: Duration::from_secs(600),
        is_periodic: true,
    };

    type Payload = Nothing;

    async fn run(&self, _: Job, _: Nothing) -> Result<Outcome, Failure> {
        let now = self.clock.now();
        for rows in &self.expired {
            let ExpiredRows {
                table,
                kept,
                delete,
            } = *rows;
            let mut deleted = 0;
            loop {
                let some = self
                    .db
                    .write(move |conn| delete(conn, now - kept, AT_ONCE))
                    .await
                    .map_err(|error| Failure::Transient(format!("{table}: {}", Chain(&error))))?;
                if some == 0 {
                    break;
                }
                deleted += some;
            }
            if deleted > 0 {
                tracing::info!(table, deleted, "swept what is over");
            }
        }
        for LostWork { what, find } in self.lost.iter().copied() {
            let (mut found, mut some) = (0, AT_ONCE);
            while some == AT_ONCE {
                let written = self
                    .db
                    .write(move |conn| find(conn, now, AT_ONCE))
                    .await
                    .map_err(|error| Failure::Transient(format!("{what}: {}", Chain(&error))))?;
                some = i64::try_from(written).unwrap_or(AT_ONCE);
                found += written;
            }
            if found > 0 {
                tracing::warn!(what, found, "jobs were lost; they are written again");
            }
        }
        Ok(Outcome::Reschedule(self.clock.now() + PAUSE))
    }
}
