//! Who is online: everybody with at least one open socket, in any process.
//!
//! `roster` is who is online and since when, with what each process knows of the
//! others; `hub` holds it for this process, gathers changes and tells all sockets;
//! `socket` is one of them, `line` its frames; `routes` speaks HTTP and lets sockets in.

pub mod hub;
mod line;
pub mod roster;
pub mod routes;
mod socket;

pub use hub::Hub;
