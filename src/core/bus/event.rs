//! What goes over the bus, and what the bus says of itself.

use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something that has happened. It reaches every subscriber in every process. Its fields
/// are members of one JSON object together with `from`, `said` and `event`, which
/// are not theirs.
pub trait Event: Serialize + DeserializeOwned + 'static {
    /// Its name on the wire. Programs of two versions may run side by side, so it stays.
    const NAME: &'static str;
    /// Whether a lost one is owed: other processes must learn through the database that
    /// they missed something ([`take_missed`](super::Bus::take_missed)). A loss of any
    /// other event is harmless, since what it tells is found in the database anyway.
    const IS_OWED: bool;
}

/// What a process says to other members, and not to itself. A lost one is not owed. Its
/// fields obey the rule of [`Event`].
pub trait Message: Serialize + DeserializeOwned + 'static {
    /// Its name on the wire, which stays.
    const NAME: &'static str;
}

/// What the bus reports about the other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// Other processes are heard from now on. What they said before is lost, and so is
    /// what this one said.
    Connected,
    /// Other processes are heard no more.
    Disconnected,
    /// A heartbeat is due: several times a second, while connected and a member.
    Heartbeat,
    /// A member's heartbeats stopped without its leaving. It may have been killed between
    /// a commit and its event.
    Missed(&'a str),
    /// A member left.
    Left(&'a str),
    /// Whether other processes wrote to the same database and were not heard, at that time.
    /// Reported whenever it may have changed.
    Isolated(bool, Instant),
}
