//! Posts: `types` is what clients send, `search` what a text is found by, `store`
//! how a post is written, `counts` and `lists` how many are found and paged through,
//! `feed` what a feed says and `feed_atom` and `feed_json` how it is written,
//! `idempotency` how a repeated request is known, `answers` what is kept finished;
//! `views` is what clients get, and the `routes` are how all of it is spoken over HTTP.

pub mod actions;
pub mod answers;
pub mod check;
pub mod counts;
pub mod events;
pub mod feed;
pub mod feed_atom;
pub mod feed_json;
pub mod feed_routes;
pub mod idempotency;
pub mod list_routes;
pub mod lists;
pub mod routes;
pub mod search;
pub mod store;
pub mod types;
pub mod views;

use std::sync::Arc;

use self::answers::Answers;
use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::Db;
use crate::core::settings::public_url::PublicUrl;

/// What the room works with.
pub struct Posts {
    pub db: Db,
    pub clock: Clock,
    pub bus: Arc<Bus>,
    /// Finished answers.
    pub answers: Arc<Answers>,
    /// The base of absolute links.
    pub public_url: PublicUrl,
}
