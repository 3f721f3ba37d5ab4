//! Actions: one function a unit of work, without HTTP.
//!
//! An action has its transaction inside, and publishes its events before it returns, on
//! the thread that committed. What can happen is an enum; why it could not happen is a
//! [`DbError`]. Those that take a connection are part of another
//! room's unit of work.

pub mod check;
pub mod edit;
pub mod fill;
pub mod move_posts;
pub mod of_author;
pub mod of_others;
pub mod publish;
pub mod publish_due;
pub mod read;

use chrono::TimeDelta;

use super::storage::idempotency;
use crate::core::costly;
use crate::core::db::DbError;
use crate::maintenance::ExpiredRows;

/// Idempotency keys that are no longer kept. How long that is, the deletion itself knows.
pub const EXPIRED_KEYS: ExpiredRows = ExpiredRows {
    table: "idempotency",
    kept: TimeDelta::zero(),
    delete: idempotency::delete_expired,
};

/// Contents from this size on are cut into words, rendered and hashed where long texts have their places
/// ([`costly`]): a megabyte takes tens of milliseconds.
const INLINE: usize = 16 * 1024;

/// Does what is to be done with contents of `size` bytes for who reads them, where it holds nobody up.
pub async fn prepare<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DbError> {
    if size < INLINE {
        return Ok(work());
    }
    (costly::read(work).await).map_err(|refused| DbError::refused(refused))
}

/// The same for a user who writes them.
pub async fn prepare_for<T: Send + 'static>(
    user_id: i64,
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DbError> {
    if size < INLINE {
        return Ok(work());
    }
    (costly::write(user_id, work).await).map_err(|refused| DbError::refused(refused))
}
