//! The error type of the actions.

use std::fmt;
use std::panic::Location;

use crate::core::cpu_pool::PoolError;
use crate::core::db::DbError;

/// A failure below the action: nothing was decided about what was asked for.
#[derive(Debug)]
pub enum Failure {
    Database(DbError),
    /// The threads for costly work have too much to do.
    Pool(PoolError),
    /// A fault of the machine or of ours, such as no random bits.
    Fault {
        why: String,
        /// Where in the code it was met.
        place: &'static Location<'static>,
    },
}

impl Failure {
    /// A fault that the caller met. As a path, in `map_err(Failure::fault)`, it would name
    /// a place in the standard library: call it in a closure.
    #[track_caller]
    pub fn fault(why: impl fmt::Display) -> Self {
        Self::Fault {
            why: why.to_string(),
            place: Location::caller(),
        }
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
