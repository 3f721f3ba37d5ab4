//! The JSON of pages.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::accounts::views::{PublicView, public_user_example};
use crate::http::page::Pagination;
use crate::social::views::{Comment, comment_example};

#[derive(Serialize, ToSchema)]
pub struct CommentsAnswer {
    pub comments: Vec<Comment>,
    pub pagination: Pagination,
}

/// For the description.
pub fn comments_example() -> Value {
    json!({ "comments": [comment_example()], "pagination": Pagination::example() })
}

/// Which of the posts that were asked for one likes.
#[derive(Serialize, ToSchema)]
pub struct LikesAnswer {
    /// Ids of posts.
    pub likes: Vec<i64>,
}

/// Which of the users that were asked for one follows.
#[derive(Serialize, ToSchema)]
pub struct FollowedAnswer {
    /// Ids of users.
    pub following: Vec<i64>,
}

/// A page of users, as anyone may know them.
#[derive(Serialize, ToSchema)]
pub struct FollowsAnswer {
    pub users: Vec<PublicView>,
    pub pagination: Pagination,
}

/// For the description.
pub fn follows_example() -> Value {
    json!({ "users": [public_user_example()], "pagination": Pagination::example() })
}
