//! The ground floor: what knows nothing of the product and everybody may use.
//!
//! - [`settings`]: every setting; [`secret`]: the secret that is given or made.
//! - [`db`]: the only way to a connection; [`clock`]: the only source of now.
//! - [`cache`]: the response cache, with its invalidation and its single-flight.
//! - [`bus`]: events between the parts of a process and between processes.
//! - [`cpu_pool`]: threads for what takes the processor for long; [`costly`]: places on the blocking pool for
//!   long texts.
//! - [`rate_limits`]: token buckets, in memory or shared through Redis.
//! - [`redis`]: where a Redis is, and whether it is away.
//! - [`metrics`]: what is counted for Prometheus.
//! - [`compression`]: content codings; [`tls_roots`]: who may certify other servers.
//! - [`owner_only`]: who may read the files that are made.
//! - [`page`]: which page of a list is asked for.
//! - [`precondition`]: the states that a write is meant for.
//! - [`process_lock`]: whether other processes serve the same embedded database.
//! - [`progress`]: of work that reads everything there is.
//! - [`telemetry`]: the log. [`text`]: what a person sees of a text; [`mail_address`]: what
//!   mail can go to.

pub mod bus;
pub mod cache;
pub mod clock;
pub mod clock_sync;
pub mod compression;
pub mod costly;
pub mod cpu_pool;
pub mod db;
pub mod freshness;
pub mod gather;
pub mod idempotency_key;
pub mod json;
pub mod mail_address;
pub mod metrics;
pub mod owner_only;
pub mod page;
pub mod precondition;
pub mod process_lock;
pub mod progress;
pub mod rate_limits;
pub mod redis;
pub mod replica;
pub mod secret;
pub mod settings;
pub mod spare_memory;
pub mod telemetry;
pub mod text;
pub mod tls_roots;
