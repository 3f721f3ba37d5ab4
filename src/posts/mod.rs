//! The posts room: publishing, reading, listing, searching and feeds.
//!
//! - `types`, `search`, `feed`, `views`: what a post is, what finds it, what a feed of posts
//!   says, and how both look as JSON.
//! - [`storage`]: the rows.
//! - [`actions`]: one function a unit of work.
//! - [`routes`]: HTTP.

pub mod actions;
pub mod events;
pub mod feed;
pub mod routes;
pub mod search;
pub mod storage;
pub mod types;
pub mod views;

use std::sync::Arc;

use self::routes::response_cache::Answers;
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
