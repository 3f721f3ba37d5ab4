//! Jobs that are over.

use chrono::TimeDelta;

use crate::jobs::storage::admin;
use crate::jobs::types::JobStatus;
use crate::maintenance::ExpiredRows;

/// How long jobs that are done can be looked at, and those that were given up.
pub const EXPIRED_ROWS: [ExpiredRows; 2] = [
    ExpiredRows {
        table: "job",
        kept: TimeDelta::days(7),
        delete: |conn, before, limit| admin::delete_some(conn, JobStatus::Done, before, limit),
    },
    ExpiredRows {
        table: "job",
        kept: TimeDelta::days(90),
        delete: |conn, before, limit| admin::delete_some(conn, JobStatus::Dead, before, limit),
    },
];
