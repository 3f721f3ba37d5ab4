//! The JSON of a page of posts.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::http::page::Pagination;
use crate::posts::views::{PostItem, item_example};

#[derive(Serialize, ToSchema)]
pub struct PostsAnswer {
    pub posts: Vec<PostItem>,
    pub pagination: Pagination,
}

/// For the description.
pub fn page_example() -> Value {
    json!({ "posts": [item_example()], "pagination": Pagination::example() })
}
