//! The error type of the actions.

use std::fmt;

use crate::core::cpu_pool::PoolError;
use crate::core::db::DbError;

/// A failure below the action: nothing was decided about what was asked for.
#[derive(Debug)]
pub enum Failure {
    Database(DbError),
    /// The threads for costly work have too much to do.
    Pool(PoolError),
    /// A fault of the machine or of ours, such as no random bits.
    Fault(String),
}

impl Failure {
    pub fn fault(cause: impl fmt::Display) -> Self {
        Self::Fault(cause.to_string())
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}
