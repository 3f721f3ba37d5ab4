//! The JSON of a comment, a like and a follow: in a response, in an export, and as it is kept with the key of a repeated
//! request. Its ETag is that of its JSON, so actions use it as well.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::types::{StoredComment, StoredFollow, StoredLike};
use crate::core::clock;
use crate::core::compression::etag_of;
use crate::core::json;
use crate::posts::html;
use crate::posts::types::Format;

/// A comment. Of one that was deleted and has replies there is its place in the list: it has neither
/// a content nor an author.
#[derive(Serialize, ToSchema)]
pub struct Comment {
    #[schema(minimum = 1)]
    comment_id: i64,
    #[schema(minimum = 1)]
    post_id: i64,
    /// As its author sent it, character for character; Markdown. Empty when it was deleted.
    content: String,
    /// The content as sanitized HTML.
    content_html: String,
    /// The author's name; null when the comment was deleted.
    #[schema(required = true)]
    author: Option<String>,
    #[schema(required = true, minimum = 1)]
    author_id: Option<i64>,
    /// Null if they have none.
    #[schema(required = true)]
    author_username: Option<String>,
    /// The comment that it answers, of the same post.
    #[schema(required = true, minimum = 1)]
    reply_to: Option<i64>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
    /// Whether it was deleted.
    deleted: bool,
}

impl From<&StoredComment> for Comment {
    fn from(comment: &StoredComment) -> Self {
        let deleted = comment.is_deleted();
        let content = comment.content().to_owned();
        // What is of nobody says nothing of them.
        let shown = |text: &Option<String>| text.clone().filter(|_| !deleted);
        Self {
            comment_id: comment.comment_id,
            post_id: comment.post_id,
            content_html: html_of(comment),
            content,
            author: shown(&comment.author),
            author_id: comment.author_id.filter(|_| !deleted),
            author_username: shown(&comment.author_username),
            reply_to: comment.reply_to,
            created: comment.created,
            updated: comment.updated,
            deleted,
        }
    }
}

/// The content as sanitized HTML.
pub fn html_of(comment: &StoredComment) -> String {
    let place = format!("comment-{}", comment.comment_id);
    html::render_at(&place, Format::Markdown, comment.content())
}

#[derive(Serialize, ToSchema)]
pub struct CommentAnswer {
    pub comment: Comment,
}

/// A comment at its own path, as it is sent.
pub struct RenderedComment {
    pub body: Vec<u8>,
    pub etag: String,
}

impl RenderedComment {
    pub fn of(comment: &StoredComment) -> serde_json::Result<Self> {
        let body = json::to_vec(&CommentAnswer {
            comment: comment.into(),
        })?;
        let etag = etag_of(&body);
        Ok(Self { body, etag })
    }
}

/// For the description.
pub fn comment_example() -> Value {
    json!({
        "comment_id": 7, "post_id": 1, "content": "Well *said*.",
        "content_html": "<p>Well <em>said</em>.</p>\n", "author": "Bob", "author_id": 2,
        "author_username": "bob", "reply_to": null, "created": "2026-11-21T09:40:00.5Z",
        "updated": "2026-11-21T09:40:00.5Z", "deleted": false,
    })
}

/// That one likes a post.
#[derive(Serialize, ToSchema)]
pub struct Like {
    #[schema(minimum = 1)]
    post_id: i64,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
}

impl From<StoredLike> for Like {
    fn from(StoredLike { post_id, created }: StoredLike) -> Self {
        Self { post_id, created }
    }
}

/// For the description.
pub fn like_example() -> Value {
    json!({ "post_id": 1, "created": "2026-11-21T09:41:00.5Z" })
}

/// That one follows somebody.
#[derive(Serialize, ToSchema)]
pub struct Follow {
    /// Whom.
    #[schema(minimum = 1)]
    user_id: i64,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
}

impl From<StoredFollow> for Follow {
    fn from(follow: StoredFollow) -> Self {
        let StoredFollow {
            user_id,
            created,
            follow_id: _, // nothing can be asked by it
        } = follow;
        Self { user_id, created }
    }
}

/// For the description.
pub fn follow_example() -> Value {
    json!({ "user_id": 2, "created": "2026-11-21T09:42:00.5Z" })
}
