//! When a reading began, and how old what it brought may be for who asks.

use std::time::Duration;

/// When a reading began.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The newest change then.
    pub(super) version: u64,
    /// By [`Clock::steady`](crate::core::clock::Clock::steady).
    pub(super) at: Duration,
    /// Whether nobody else wrote unheard.
    pub(super) is_alone: bool,
    /// How often others may have written unheard since nobody did.
    pub(super) pauses: u64,
    /// It went to a replica, which had all that there was at this moment.
    pub(super) is_of_replica: bool,
}

impl Moment {
    /// That of a reading at a replica that is known to have had everything that was committed
    /// before this moment: it is as if it had begun then.
    #[must_use]
    pub fn of_replica(self) -> Self {
        Self {
            is_of_replica: true,
            ..self
        }
    }
}

/// How old an answer may be where others write unheard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As old as any that is kept: for who has a token, and may have written elsewhere.
    Short,
    /// As old as a replica may be.
    Long,
}
