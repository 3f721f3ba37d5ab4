//! What happens to posts, and to what is shown of them.

use serde::{Deserialize, Serialize};

use crate::core::bus::Event;

/// A post is, or is no more, what these states of it say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostChanged {
    pub states: Vec<PostState>,
}

impl Event for PostChanged {
    const NAME: &'static str = "post_changed";
    const IS_OWED: bool = true;
}

/// A state of a post, as far as answers depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostState {
    pub post_id: i64,
    pub author_id: i64,
    pub published: bool,
    pub tags: Vec<String>,
}

/// Nothing is known to be what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnythingChanged {}

impl Event for AnythingChanged {
    const NAME: &'static str = "anything_changed";
    const IS_OWED: bool = true;
}
