//! What happens in this room: a socket joins, it is served until it ends, names are
//! looked up when they may have changed, and everybody is listed.

pub mod join;
pub mod list_people;
pub mod refresh_names;
pub mod serve;
