//! Routes: posts, lists and feeds over HTTP.

pub mod feeds;
pub mod lists;
pub mod posts;
pub mod response_cache;

use crate::http::endpoint::Endpoint;

pub const TAG: &str = "posts";

/// The endpoints of the room.
pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = posts::endpoints();
    endpoints.extend(feeds::endpoints());
    endpoints
}
