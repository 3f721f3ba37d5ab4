//! Jobs as they are stored: [`queue`] for those who write and do them, [`admin`] for
//! those who look after them.

pub mod admin;
pub mod queue;
