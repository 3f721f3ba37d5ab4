//! Domain events: what the room tells the bus after a write, before it is answered.
//!
//! Subscribers are the response caches of this process and of others.

use serde::{Deserialize, Serialize};

use super::stored::PostSummary;
use crate::core::bus::{Bus, Event};

/// A post is, or is no more, what these states of it say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostChanged {
    pub states: Vec<PostState>,
}

impl Event for PostChanged {
    const NAME: &'static str = "post_changed";
    const IS_OWED: bool = true;
}

/// A state of a post, as far as responses depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostState {
    pub post_id: i64,
    pub author_id: i64,
    pub published: bool,
    pub tags: Vec<String>,
    /// A program of before knows of none.
    #[serde(default)]
    pub slug: Option<String>,
    /// Where it stands in lists; a program of before does not tell.
    #[serde(default)]
    pub position: Option<i64>,
}

/// What is counted of these posts has changed, and nothing else of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostsCounted {
    pub post_ids: Vec<i64>,
}

impl Event for PostsCounted {
    const NAME: &'static str = "posts_counted";
    const IS_OWED: bool = true;
}

/// Nothing is known to be what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnythingChanged {}

impl Event for AnythingChanged {
    const NAME: &'static str = "anything_changed";
    const IS_OWED: bool = true;
}

impl From<&PostSummary> for PostState {
    fn from(post: &PostSummary) -> Self {
        Self {
            post_id: post.post_id,
            author_id: post.author_id,
            published: post.published,
            tags: post.tags().into_iter().map(str::to_owned).collect(),
            slug: post.slug.clone(),
            position: Some(post.position),
        }
    }
}

/// Publishes that a post is, or is no more, what these states of it say.
pub fn post_changed(bus: &Bus, states: &[&PostSummary]) {
    let states = states.iter().map(|post| (*post).into()).collect();
    bus.publish(&PostChanged { states });
}
