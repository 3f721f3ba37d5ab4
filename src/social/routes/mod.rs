//! Routes: comments, likes and follows over HTTP. A handler parses, calls an action, and renders what came of it.

pub mod administration;
mod asked;
pub mod bodies;
pub mod comments;
pub mod feeds;
pub mod follows;
pub mod likes;
pub mod response_cache;
pub mod views;

use crate::accounts::extract::Caller;
use crate::http::endpoint::Endpoint;
use crate::posts::stored::Editor;

pub const TAG: &str = "social";

/// The endpoints of the room.
pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![administration::endpoint()];
    endpoints.extend(comments::endpoints());
    endpoints.extend(feeds::endpoints());
    endpoints.extend(likes::endpoints());
    endpoints.extend(follows::endpoints());
    endpoints
}

fn editor(caller: Caller) -> Editor {
    Editor {
        user_id: caller.user_id,
        is_admin: caller.is_admin,
    }
}
