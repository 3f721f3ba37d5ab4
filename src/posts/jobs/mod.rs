//! Jobs of the room, one file each: a handler and the payload of its kind.

pub mod index_author;
pub mod index_posts;
pub mod publish_post;

use std::sync::Arc;

use self::index_author::IndexAuthor;
use self::index_posts::IndexPosts;
use self::publish_post::PublishPost;
use super::Posts;
use crate::jobs::handler::Registry;

/// Registers the handlers of the room.
pub fn register(registry: Registry, posts: &Arc<Posts>) -> Registry {
    registry
        .with(IndexAuthor {
            posts: Arc::clone(posts),
        })
        .with(IndexPosts {
            posts: Arc::clone(posts),
        })
        .with(PublishPost {
            posts: Arc::clone(posts),
        })
}
