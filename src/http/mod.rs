//! What all routes share: reading bodies, the route table and its description,
//! and the edge that every answer leaves through. Knows nothing of the product.

pub mod body;
pub mod cached_response;
pub mod client_address;
pub mod cors;
pub mod drain;
pub mod endpoint;
pub mod expectation;
pub mod first_line;
pub mod handler;
mod header_name;
pub mod idempotency_key;
pub mod if_match;
mod json;
mod long_bodies;
pub mod metrics;
pub mod middleware;
pub mod page;
pub mod path;
pub mod rate_limit;
mod refused;
pub mod request_id;
pub mod response;
pub mod response_cache;
mod sliced_body;
pub mod transport;
mod unreadable;
