//! Domain events: what the room tells the bus after a write, before it is answered.

use serde::{Deserialize, Serialize};

use crate::core::bus::{Bus, Event};
use crate::posts::events::PostsCounted;

/// Comments of these posts are others, or more or fewer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentsChanged {
    pub post_ids: Vec<i64>,
    pub comment_ids: Vec<i64>,
}

impl Event for CommentsChanged {
    const NAME: &'static str = "comments_changed";
    const IS_OWED: bool = true;
}

/// How many follow these users, or how many they follow, has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowsChanged {
    pub user_ids: Vec<i64>,
}

impl Event for FollowsChanged {
    const NAME: &'static str = "follows_changed";
    const IS_OWED: bool = true;
}

/// Publishes that comments have changed, and how many there are of their posts.
pub fn comments_counted(bus: &Bus, changed: &CommentsChanged) {
    let post_ids = changed.post_ids.clone();
    bus.publish(changed);
    bus.publish(&PostsCounted { post_ids });
}
