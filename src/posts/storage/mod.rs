//! Storage: the rows of posts, of the lists that they are in, and of repeated requests.

pub mod access;
pub mod archive;
pub mod at_once;
pub mod check;
pub mod counts;
pub mod filling;
pub mod followed;
pub mod idempotency;
pub mod insert_many;
pub mod lists;
pub mod moving;
pub mod places;
pub mod posts;
mod relevance;
pub mod scheduled;
mod selection;
pub mod sitemap;
pub mod slugs;
pub mod stats;

use crate::core::db::DbError;
use crate::core::db::dialect::PLACE_TAKEN;

/// How often a transaction is begun anew that lost a race for a slug or a place.
pub const RACES: u32 = 10;

/// Whether a transaction failed because another one was the first with a slug or a place.
pub fn is_lost_race(error: &DbError) -> bool {
    error.unique_index(&["post_slug", PLACE_TAKEN]).is_some()
}
