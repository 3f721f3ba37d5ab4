//! What posts look like in answers.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::store::PostHead;
use super::types::Status;
use crate::core::clock;
use crate::http::page::{PageRequest, Pagination};

/// A post in a list: everything but its content.
#[derive(Serialize, ToSchema)]
pub struct PostItem {
    #[schema(minimum = 1)]
    post_id: i64,
    post_title: String,
    /// The author's name.
    author: String,
    #[schema(minimum = 1)]
    author_id: i64,
    /// When it was published; null for a draft.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, required = true)]
    date: Option<NaiveDateTime>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
    status: Status,
    /// In lower case, each once.
    tags: Vec<String>,
}

/// A post.
#[derive(Serialize, ToSchema)]
pub struct Post {
    #[schema(minimum = 1)]
    post_id: i64,
    post_title: String,
    /// As its author sent it, character for character.
    post_content: String,
    /// The author's name.
    author: String,
    #[schema(minimum = 1)]
    author_id: i64,
    /// When it was published; null for a draft.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, required = true)]
    date: Option<NaiveDateTime>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
    status: Status,
    /// In lower case, each once.
    tags: Vec<String>,
}

fn status(head: &PostHead) -> Status {
    if head.published {
        Status::Published
    } else {
        Status::Draft
    }
}

fn tags(head: &PostHead) -> Vec<String> {
    head.tags().into_iter().map(str::to_owned).collect()
}

impl From<PostHead> for PostItem {
    fn from(head: PostHead) -> Self {
        let (status, all) = (status(&head), tags(&head));
        // Whole: no column is left out unnoticed.
        let PostHead {
            post_id,
            author_id,
            title,
            date,
            updated,
            published,
            place: _,
            tags: _,
            author,
        } = head;
        Self {
            post_id,
            post_title: title,
            author,
            author_id,
            date: published.then_some(date),
            updated,
            status,
            tags: all,
        }
    }
}

impl Post {
    /// A row and its content.
    pub fn new(head: PostHead, content: String) -> Self {
        let PostItem {
            post_id,
            post_title,
            author,
            author_id,
            date,
            updated,
            status,
            tags,
        } = head.into();
        Self {
            post_id,
            post_title,
            post_content: content,
            author,
            author_id,
            date,
            updated,
            status,
            tags,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct PostAnswer<'a> {
    pub post: &'a Post,
}

/// A post that was just made.
#[derive(Serialize, ToSchema)]
pub struct PublishedAnswer<'a> {
    #[schema(minimum = 1)]
    pub post_id: i64,
    /// The author.
    #[schema(minimum = 1)]
    pub user_id: i64,
    pub post: &'a Post,
}

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
            next: next.map(|place| place.to_string()),
        }
    }

    /// Of what comes after a cursor.
    pub fn of_cursor(size: u32, next: Option<i64>) -> Self {
        Self {
            count: None,
            pages: None,
            page: None,
            size,
            next: next.map(|place| place.to_string()),
        }
    }
}

/// For the description.
pub fn item_example() -> Value {
    json!({
        "post_id": 1, "post_title": "Hello, world", "author": "Ann Smith", "author_id": 1,
        "date": "2026-11-21T09:31:00.5Z", "updated": "2026-11-21T09:31:00.5Z",
        "status": "published", "tags": ["rust", "news"],
    })
}

/// For the description.
pub fn post_example() -> Value {
    let mut post = item_example();
    post["post_content"] = "The *first* of many.".into();
    post
}

/// For the description.
pub fn page_example() -> Value {
    let page = Pagination::new(PageRequest { page: 1, size: 20 }, 1);
    json!({ "posts": [item_example()], "pagination": PostsPagination::of_page(&page, None) })
}
