//! What happens in this room: a socket joins, it is served until it ends, and names are
//! looked up when they may have changed.

pub mod join;
pub mod refresh_names;
pub mod serve;
