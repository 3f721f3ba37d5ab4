//! Posts: `types` is what clients send, `store` how it is kept, `routes` how it is
//! spoken over HTTP.

pub mod routes;
pub mod store;
pub mod types;
