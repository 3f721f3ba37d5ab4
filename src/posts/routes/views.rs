//! The JSON of a page of posts.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::http::page::{PageRequest, Pagination};
use crate::posts::views::{PostItem, item_example};

#[derive(Serialize, ToSchema)]
pub struct PostsAnswer {
    pub posts: Vec<PostItem>,
    pub pagination: PostsPagination,
}

/// Where in the whole list this part is. By page it has all members, by cursor
/// only `size` and `next`.
#[derive(Serialize, ToSchema)]
pub struct PostsPagination {
    /// All posts of the list, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = i64, minimum = 0, example = 42)]
    count: Option<i64>,
    /// All pages of this size; 0 when there are no posts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = i64, minimum = 0, example = 3)]
    pages: Option<i64>,
    /// The page of this answer, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = i64, minimum = 1, example = 1)]
    page: Option<i64>,
    /// Posts a page as used.
    #[schema(minimum = 1, maximum = 100, example = 20)]
    size: u32,
    /// The cursor for what follows: send it as `before`. Null at the end.
    #[schema(required = true, example = "1234")]
    next: Option<String>,
}

impl PostsPagination {
    /// Of a page.
    pub fn of_page(page: &Pagination, next: Option<i64>) -> Self {
        Self {
            count: Some(page.count),
            pages: Some(page.pages),
            page: Some(page.page),
            size: page.size,
            next: next.map(|position| position.to_string()),
        }
    }

    /// Of what comes after a cursor.
    pub fn of_cursor(size: u32, next: Option<i64>) -> Self {
        Self {
            count: None,
            pages: None,
            page: None,
            size,
            next: next.map(|position| position.to_string()),
        }
    }
}

/// For the description.
pub fn page_example() -> Value {
    let page = Pagination::new(PageRequest { page: 1, size: 20 }, 1);
    json!({ "posts": [item_example()], "pagination": PostsPagination::of_page(&page, None) })
}
