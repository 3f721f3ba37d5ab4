//! Inkpot: a multi-user blog back end, a JSON REST API with stateless tokens.
//!
//! The rooms, and the one direction of knowledge (`ARCHITECTURE.md` draws it):
//!
//! ```text
//! server, cli ─► state ─► routes ─► actions ─► storage ─► types ─► core
//!                            └────► http ─► error ─► core
//! ```
//!
//! - [`core`]: the ground floor; knows nothing of the product, and everybody may use it.
//! - [`error`]: the closed table of refusals; [`http`]: the toolkit of all routes.
//! - [`accounts`], [`posts`], [`presence`], [`jobs`], [`notify`], [`maintenance`],
//!   [`social`]: the rooms.
//! - [`routes`], [`openapi`], [`meta`]: the route table, its description, the service about
//!   itself.
//! - [`page`]: what people read in a browser, made of the same reads.
//! - [`state`]: the composition root; [`server`], [`cli`]: what starts it.

pub mod accounts;
pub mod cli;
pub mod core;
pub mod error;
pub mod http;
pub mod jobs;
pub mod maintenance;
pub mod meta;
pub mod notify;
pub mod openapi;
pub mod page;
pub mod posts;
pub mod presence;
pub mod routes;
pub mod server;
pub mod social;
pub mod state;
