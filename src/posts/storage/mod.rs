//! Storage: the rows of posts, of the lists that they are in, and of repeated requests.

pub mod access;
pub mod archive;
pub mod check;
pub mod counts;
pub mod filling;
pub mod followed;
pub mod idempotency;
pub mod insert_many;
pub mod lists;
pub mod posts;
mod relevance;
pub mod scheduled;
mod selection;
pub mod sitemap;
pub mod slugs;
pub mod stats;
