//! Posts: `types` is what clients send, `store` how it is kept, `search` how it is
//! found, `routes` how it is spoken over HTTP.

pub mod routes;
pub mod search;
pub mod store;
pub mod types;
