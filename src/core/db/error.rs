//! Why a unit of work failed, with the error behind it and the place in the code that
//! asked for the unit.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use super::dialect::{self, ErrorClass};
use crate::core::gather::Refused;

/// Where in the code something happened.
pub type Place = &'static Location<'static>;

/// Why a unit of work did not happen. `Display` says what it means, `source` gives the
/// error of the database, [`DbError::place`] who asked for the unit of work.
#[derive(Debug)]
pub enum DbError {
    /// A unique index refused the write.
    Unique(Cause),
    /// The write refers to a row that is not there.
    ForeignKey(Cause),
    /// The database cannot be reached, is stopping, takes too long, or has no connection
    /// free. Nothing was written.
    Unavailable(Cause),
    /// The answer to `COMMIT` was lost: the write may have happened.
    UnknownOutcome(Cause),
    /// A fault: a bug of ours, or an error nobody foresaw.
    Fault(Cause),
}

/// What is behind a [`DbError`].
#[derive(Debug)]
pub struct Cause {
    source: Box<dyn Error + Send + Sync>,
    place: Place,
    class: ErrorClass,
}

impl DbError {
    /// A fault that is not an error of the database.
    #[track_caller]
    pub fn fault(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Failure::new(ErrorClass::Fault, why), Location::caller())
    }

    /// What waited to be done together with others and was not begun.
    #[track_caller]
    pub fn refused(refused: Refused) -> Self {
        let class = match refused {
            Refused::Busy => ErrorClass::Refused,
            Refused::Panicked => ErrorClass::Fault,
        };
        Self::new(Failure::new(class, refused), Location::caller())
    }

    pub(super) fn new(failure: Failure, place: Place) -> Self {
        let source = failure.source;
        let class = failure.class;
        let cause = Cause {
            source,
            place,
            class,
        };
        match class {
            ErrorClass::Unique => Self::Unique(cause),
            ErrorClass::ForeignKey => Self::ForeignKey(cause),
            ErrorClass::Conflict
            | ErrorClass::LockTimeout
            | ErrorClass::TimeLimit
            | ErrorClass::Lost
            | ErrorClass::Refused => Self::Unavailable(cause),
            ErrorClass::UnknownOutcome => Self::UnknownOutcome(cause),
            ErrorClass::Fault => Self::Fault(cause),
        }
    }

    /// The same for another who waited for the same unit of work.
    #[must_use]
    pub fn share(&self) -> Self {
        let Cause {
            source,
            place,
            class,
        } = self.cause();
        let cause = Cause {
            source: source.to_string().into(),
            place,
            class: *class,
        };
        match self {
            Self::Unique(_) => Self::Unique(cause),
            Self::ForeignKey(_) => Self::ForeignKey(cause),
            Self::Unavailable(_) => Self::Unavailable(cause),
            Self::UnknownOutcome(_) => Self::UnknownOutcome(cause),
            Self::Fault(_) => Self::Fault(cause),
        }
    }

    /// Whether a part of a unit of work may be to blame, and the rest possible without it.
    pub fn may_be_one_of_several(&self) -> bool {
        match self.cause().class {
            ErrorClass::Unique
            | ErrorClass::ForeignKey
            | ErrorClass::Conflict
            | ErrorClass::LockTimeout
            | ErrorClass::Fault => true,
            ErrorClass::TimeLimit
            | ErrorClass::Lost
            | ErrorClass::Refused
            | ErrorClass::UnknownOutcome => false,
        }
    }

    fn cause(&self) -> &Cause {
        match self {
            Self::Unique(cause)
            | Self::ForeignKey(cause)
            | Self::Unavailable(cause)
            | Self::UnknownOutcome(cause)
            | Self::Fault(cause) => cause,
        }
    }

    /// The call that asked for the unit of work.
    pub fn place(&self) -> Place {
        self.cause().place
    }

    /// Which of these unique indexes refused the write; `None` for any other error.
    pub fn unique_index<'a>(&self, candidates: &[&'a str]) -> Option<&'a str> {
        let Self::Unique(cause) = self else {
            return None;
        };
        dialect::unique_index(&cause.source.to_string(), candidates)
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unique(_) => "a unique index refused a write",
            Self::ForeignKey(_) => "a write refers to a row that is not there",
            Self::Unavailable(_) => "the database is unavailable",
            Self::UnknownOutcome(_) => "the answer to a commit was lost",
            Self::Fault(_) => "a unit of work failed",
        })
    }
}

impl Error for DbError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause().source)
    }
}

/// What went wrong inside of a unit of work, before it is known who asked for it.
#[derive(Debug)]
pub(super) struct Failure {
    class: ErrorClass,
    source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub(super) fn class(&self) -> ErrorClass {
        self.class
    }

    pub(super) fn new(class: ErrorClass, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self { class, source }
    }

    pub(super) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Lost, source)
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::new(dialect::error_class(&error), error)
    }
}

/// A write of which nobody knows that it happened.
#[derive(Debug)]
pub(super) struct Unwritten<T> {
    pub(super) failure: Failure,
    /// What was written if it did happen: its `COMMIT` was sent, and the answer was lost.
    pub(super) possible: Option<T>,
}

impl<T> From<Failure> for Unwritten<T> {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            possible: None,
        }
    }
}

impl<T> From<diesel::result::Error> for Unwritten<T> {
    fn from(error: diesel::result::Error) -> Self {
        Failure::from(error).into()
    }
}
