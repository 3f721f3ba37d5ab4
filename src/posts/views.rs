//! The JSON of a post: in a response, in an export, and as it is kept with the key of a
//! repeated request. The ETag of a post is that of its JSON, so actions use it as well.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::html;
use super::list::Include;
use super::stored::{PostSummary, StoredPost};
use super::types::{Format, Status};
use crate::core::clock;
use crate::core::compression::etag_of;

/// A post in a list: everything but its content.
#[derive(Serialize, ToSchema)]
pub struct PostItem {
    #[schema(minimum = 1)]
    post_id: i64,
    post_title: String,
    /// With `include=content`: as its author sent it, character for character.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    post_content: Option<String>,
    /// With `include=html`: the content as sanitized HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    post_html: Option<String>,
    format: Format,
    /// The author's name.
    author: String,
    #[schema(minimum = 1)]
    author_id: i64,
    /// Null if they have none.
    #[schema(required = true)]
    author_username: Option<String>,
    /// When it was published; null for a draft.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, required = true)]
    date: Option<NaiveDateTime>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
    /// When it was made, as a draft perhaps.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
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
    /// With `include=html`: the content as sanitized HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    post_html: Option<String>,
    format: Format,
    /// The author's name.
    author: String,
    #[schema(minimum = 1)]
    author_id: i64,
    /// Null if they have none.
    #[schema(required = true)]
    author_username: Option<String>,
    /// When it was published; null for a draft.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, required = true)]
    date: Option<NaiveDateTime>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
    /// When it was made, as a draft perhaps.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    status: Status,
    /// In lower case, each once.
    tags: Vec<String>,
}

fn status(post: &PostSummary) -> Status {
    if post.published {
        Status::Published
    } else {
        Status::Draft
    }
}

fn tags(post: &PostSummary) -> Vec<String> {
    post.tags().into_iter().map(str::to_owned).collect()
}

impl From<PostSummary> for PostItem {
    fn from(post: PostSummary) -> Self {
        Self {
            status: status(&post),
            tags: tags(&post),
            format: post.format(),
            post_content: None,
            post_html: None,
            post_id: post.post_id,
            post_title: post.title,
            author: post.author,
            author_id: post.author_id,
            author_username: post.author_username,
            date: post.published.then_some(post.date),
            updated: post.updated,
            created: post.created,
        }
    }
}

impl From<StoredPost> for Post {
    fn from(StoredPost { summary, text }: StoredPost) -> Self {
        Self {
            status: status(&summary),
            tags: tags(&summary),
            format: summary.format(),
            post_html: None,
            post_id: summary.post_id,
            post_title: summary.title,
            post_content: text,
            author: summary.author,
            author_id: summary.author_id,
            author_username: summary.author_username,
            date: summary.published.then_some(summary.date),
            updated: summary.updated,
            created: summary.created,
        }
    }
}

impl PostItem {
    /// An item with what was asked for beside it.
    pub fn including(StoredPost { summary, text }: StoredPost, include: Include) -> Self {
        let html = |text: &str| html::render(summary.post_id, summary.format(), text);
        let post_html = include.html.then(|| html(&text));
        Self {
            post_html,
            post_content: include.content.then_some(text),
            ..Self::from(summary)
        }
    }
}

impl Post {
    /// The same with its content as HTML, which takes tens of milliseconds for a megabyte.
    pub fn with_html(self) -> Self {
        let html = html::render(self.post_id, self.format, &self.post_content);
        Self {
            post_html: Some(html),
            ..self
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

/// The response to a request to publish, as it is sent, and kept with an Idempotency-Key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedResponse {
    pub post_id: i64,
    /// Of the new post at its own path.
    pub etag: String,
    pub body: Vec<u8>,
}

impl PublishedResponse {
    /// That for a post which was just made.
    pub fn render(post: StoredPost) -> serde_json::Result<Self> {
        let (post_id, user_id) = (post.summary.post_id, post.summary.author_id);
        let post = Post::from(post);
        let body = serde_json::to_vec(&PublishedAnswer {
            post_id,
            user_id,
            post: &post,
        })?;
        Ok(Self {
            post_id,
            etag: etag(&post)?,
            body,
        })
    }
}

/// The ETag of a post at its own path.
pub fn etag(post: &Post) -> serde_json::Result<String> {
    serde_json::to_vec(&PostAnswer { post }).map(|body| etag_of(&body))
}

/// For the description.
pub fn item_example() -> Value {
    json!({
        "post_id": 1, "post_title": "Hello, world", "format": "markdown", "author": "Ann Smith", "author_id": 1,
        "author_username": "ann-smith", "date": "2026-11-21T09:31:00.5Z",
        "updated": "2026-11-21T09:31:00.5Z", "created": "2026-11-21T09:30:00.5Z",
        "status": "published", "tags": ["rust", "news"],
    })
}

/// For the description.
pub fn post_example() -> Value {
    let mut post = item_example();
    post["post_content"] = "The *first* of many.".into();
    post
}
