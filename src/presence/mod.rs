//! Who is online: everybody with at least one open socket, in any process.
//!
//! - [`membership`]: who is online and since when, by the word of each process.
//! - [`hub`]: the sockets of this process, and what they are sent; `frames`: as JSON.
//! - [`messages`]: what processes tell each other.
//! - `connection`: a WebSocket connection; [`keep_alive`]: whether its client is there.
//! - [`actions`]: a socket joins and is served, names are looked up; [`routes`]: HTTP.

pub mod actions;
mod connection;
mod frames;
pub mod hub;
pub mod keep_alive;
pub mod membership;
pub mod messages;
pub mod routes;

pub use hub::Hub;
