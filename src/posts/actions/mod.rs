//! Actions: one function a unit of work, without HTTP.
//!
//! An action has its transaction inside, and publishes its events before it returns, on
//! the thread that committed. What can happen is an enum; why it could not happen is a
//! [`DbError`](crate::core::db::DbError). Those that take a connection are part of another
//! room's unit of work.

pub mod check;
pub mod edit;
pub mod of_author;
pub mod publish;
pub mod read;

use chrono::TimeDelta;

use super::storage::idempotency;
use crate::maintenance::ExpiredRows;

/// Idempotency keys that are no longer kept. How long that is, the deletion itself knows.
pub const EXPIRED_KEYS: ExpiredRows = ExpiredRows {
    table: "idempotency",
    kept: TimeDelta::zero(),
    delete: idempotency::delete_expired,
};
