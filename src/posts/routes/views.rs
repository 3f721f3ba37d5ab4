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
    /// Only where no post has the last word of `q`: the posts are those with a word that begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, example = "wor")]
    pub as_beginning: Option<String>,
}

/// How many posts there are of a month.
#[derive(Serialize, ToSchema)]
pub struct Month {
    /// By UTC.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$")]
    pub month: String,
    #[schema(minimum = 1)]
    pub posts: i64,
}

#[derive(Serialize, ToSchema)]
pub struct ArchiveAnswer {
    pub months: Vec<Month>,
}

/// How many published posts have a tag.
#[derive(Serialize, ToSchema)]
pub struct TagItem {
    pub tag: String,
    #[schema(minimum = 1)]
    pub posts: i64,
}

#[derive(Serialize, ToSchema)]
pub struct TagsAnswer {
    pub tags: Vec<TagItem>,
    pub pagination: Pagination,
}

/// The neighbours of a post.
#[derive(Serialize, ToSchema)]
pub struct AroundAnswer {
    /// The next one that is newer; null if it is the newest.
    #[schema(required = true)]
    pub newer: Option<PostItem>,
    /// The next one that is older; null if it is the oldest.
    #[schema(required = true)]
    pub older: Option<PostItem>,
}

/// For the description.
pub fn page_example() -> Value {
    json!({ "posts": [item_example()], "pagination": Pagination::example() })
}
