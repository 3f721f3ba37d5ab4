//! Routes: posts, lists and feeds over HTTP. A handler parses, calls an action, and renders
//! what came of it.

pub mod archive;
pub mod around;
pub mod bodies;
pub mod feeds;
pub mod filters;
pub mod include;
pub mod lists;
pub mod post_ref;
pub mod posts;
pub mod preview;
pub mod response_cache;
pub mod sitemap;
pub mod views;

use crate::http::endpoint::Endpoint;

pub const TAG: &str = "posts";

/// The endpoints of the room.
pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = archive::endpoints();
    // Before the pattern that would match it.
    endpoints.push(preview::endpoint());
    endpoints.extend(posts::endpoints());
    endpoints.push(around::endpoint());
    endpoints.extend(feeds::endpoints());
    endpoints
}
