//! `/user…` and `/audit` over HTTP: `access` is authentication, `own` what users
//! do with their own account, `codes` verifying and recovering, `public` what anyone may know of a user, `admin` what admins do
//! with all; `keys` publishes the keys that verify tokens. A handler parses, calls an
//! action and renders what came of it.

mod access;
mod access_bodies;
mod admin;
mod admin_bodies;
mod code_bodies;
mod codes;
mod cookie;
mod export;
mod fields;
pub mod keys;
mod own;
mod own_bodies;
mod public;
mod respond;
mod views;

pub use views::{AdminUserAnswer, AdminView};

use crate::http::endpoint::Endpoint;

/// The endpoints of this module. Fixed paths stand before `/user/{id}`.
pub fn endpoints() -> Vec<Endpoint> {
    [
        access::endpoints(),
        codes::endpoints(),
        own::endpoints(),
        public::endpoints(),
        admin::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
