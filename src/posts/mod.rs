//! Posts: `types` is what clients send, `search` what a text is found by, `store`
//! how a post is written, `counts` and `lists` how many are found and paged through,
//! `idempotency` how a repeated request is known, `answers` what is kept finished; `views` is what clients get, and the
//! `routes` are how all of it is spoken over HTTP.

pub mod answers;
pub mod check;
pub mod counts;
pub mod idempotency;
pub mod list_routes;
pub mod lists;
pub mod routes;
pub mod search;
pub mod store;
pub mod types;
pub mod views;
