//! Who is online: everybody with at least one open socket, in any process.
//!
//! `roster` is who is online and since when, with what each process knows of the
//! others by `messages`; `hub` holds it for this process, gathers changes and tells all sockets what
//! `telling` makes of them; `names` looks up who has another one; `socket` is one of the
//! sockets, `line` its frames, `pulse` whether its client is there; `routes` speaks HTTP and lets sockets in.

pub mod hub;
mod line;
pub mod messages;
pub mod names;
pub mod pulse;
pub mod roster;
pub mod routes;
mod socket;
mod telling;

pub use hub::Hub;
