//! Jobs of the room, one file each.

pub mod sweep;
