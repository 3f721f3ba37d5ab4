//! Jobs of the room, one file each: a handler and the payload of its kind.

pub mod check;
pub mod sweep;
