//! Inkpot: a multi-user blog back end, a JSON REST API with stateless tokens.
//!
//! A request's way, and the one direction of knowledge:
//!
//! ```text
//! http (edge, body, endpoint) ─► accounts, posts, service ─► db ─► MySQL | SQLite
//! ```
//!
//! - [`config`]: every setting; the only reader of the environment; [`redis_url`]: one of them.
//! - [`redis_health`]: whether Redis can be reached, by the word of all who use it.
//! - [`server`], [`app`], [`routes`], [`secret`], [`telemetry`]: from settings to a running server.
//! - [`http`]: what all routes share; knows nothing of the product.
//! - [`accounts`], [`posts`]: what the product does; each has its types, its storage and its routes.
//! - [`notify`]: how a message leaves the house; knows neither accounts nor the database.
//! - [`service`], [`openapi`]: the service about itself.
//! - [`db`]: the only way to a connection; knows nothing of HTTP.
//! - [`jobs`]: the durable queue of what must not happen inside a request.
//! - [`maintenance`]: deletes what the rooms no longer keep.
//! - [`bus`]: what happens in one process and matters in all.
//! - [`presence`]: who is online, live.
//! - [`company`]: whether other processes serve the same embedded database.
//! - [`cache`]: finished answers, kept until what they were made of changes.
//! - [`limits`]: how often one may try.
//! - [`error`], [`clock`]: the closed table of refusals; the only source of now.

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
pub mod posts;
pub mod presence;
pub mod routes;
pub mod server;
pub mod state;
