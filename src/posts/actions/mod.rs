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

use chrono::NaiveDateTime;
use diesel::result::QueryResult;

use super::storage::idempotency;
use crate::core::db::Conn;

/// Deletes some idempotency keys that have expired; gives how many.
pub fn delete_expired_keys(conn: &mut Conn, now: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    idempotency::delete_expired(conn, now, limit)
}
