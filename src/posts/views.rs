//! The JSON of a post: in a response, in an export, and as it is kept with the key of a
//! repeated request. The ETag of a post is that of its JSON, so actions use it as well.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::html;
use super::list::Include;
use super::search::{Query, Snippet};
use super::stored::{PostSummary, StoredPost};
use super::types::{Format, Status};
use crate::core::clock;
use crate::core::compression::etag_of;
use crate::core::json;

/// A post in a list: everything but its content.
#[derive(Serialize, ToSchema)]
pub struct PostItem {
    #[schema(minimum = 1)]
    post_id: i64,
    /// Its name in links, `/post/{slug}`; null for a draft that was never published, unless its author
    /// has chosen one.
    #[schema(required = true)]
    slug: Option<String>,
    post_title: String,
    /// In a line what it is about: by its author, or the beginning of the text without its markup.
    summary: String,
    /// With `include=content`: as its author sent it, character for character.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    post_content: Option<String>,
    /// With `include=html`: the content as sanitized HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    post_html: Option<String>,
    /// With `include=snippet`: the passage that has the words that were searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Snippet)]
    snippet: Option<Snippet>,
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
    /// When it is published by itself; only of a scheduled post, which its author and admins see.
    #[serde(
        serialize_with = "clock::serialize_option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(required = false, value_type = chrono::DateTime<chrono::Utc>)]
    publish_at: Option<NaiveDateTime>,
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
    /// How many like it.
    #[schema(minimum = 0)]
    likes: i64,
    /// How many comments it has, without those that were deleted.
    #[schema(minimum = 0)]
    comments: i64,
}

/// A post.
#[derive(Serialize, ToSchema)]
pub struct Post {
    #[schema(minimum = 1)]
    post_id: i64,
    /// Its name in links, `/post/{slug}`; null for a draft that was never published, unless its author
    /// has chosen one.
    #[schema(required = true)]
    slug: Option<String>,
    post_title: String,
    /// In a line what it is about: by its author, or the beginning of the text without its markup.
    summary: String,
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
    /// When it is published by itself; only of a scheduled post, which its author and admins see.
    #[serde(
        serialize_with = "clock::serialize_option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(required = false, value_type = chrono::DateTime<chrono::Utc>)]
    publish_at: Option<NaiveDateTime>,
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
    // These two are last: the ETag is made of what is before them.
    /// How many like it.
    #[schema(minimum = 0)]
    likes: i64,
    /// How many comments it has, without those that were deleted.
    #[schema(minimum = 0)]
    comments: i64,
}

fn status(post: &PostSummary) -> Status {
    match (post.published, post.scheduled_for()) {
        (true, _) => Status::Published,
        (false, Some(_)) => Status::Scheduled,
        (false, None) => Status::Draft,
    }
}

fn tags(post: &PostSummary) -> Vec<String> {
    post.tags().into_iter().map(str::to_owned).collect()
}

impl From<PostSummary> for PostItem {
    fn from(post: PostSummary) -> Self {
        let publish_at = post.scheduled_for();
        Self {
            status: status(&post),
            tags: tags(&post),
            format: post.format(),
            post_content: None,
            post_html: None,
            snippet: None,
            post_id: post.post_id,
            slug: post.slug,
            post_title: post.title,
            summary: post.excerpt.text.unwrap_or_default(),
            author: post.author,
            author_id: post.author_id,
            author_username: post.author_username,
            date: post.published.then_some(post.date),
            publish_at,
            updated: post.updated,
            created: post.created,
            likes: post.counts.likes,
            comments: post.counts.comments,
        }
    }
}

impl From<StoredPost> for Post {
    fn from(StoredPost { summary, text }: StoredPost) -> Self {
        let publish_at = summary.scheduled_for();
        Self {
            status: status(&summary),
            tags: tags(&summary),
            format: summary.format(),
            post_html: None,
            post_id: summary.post_id,
            slug: summary.slug,
            post_title: summary.title,
            summary: summary.excerpt.text.unwrap_or_default(),
            post_content: text,
            author: summary.author,
            author_id: summary.author_id,
            author_username: summary.author_username,
            date: summary.published.then_some(summary.date),
            publish_at,
            updated: summary.updated,
            created: summary.created,
            likes: summary.counts.likes,
            comments: summary.counts.comments,
        }
    }
}

impl PostItem {
    /// An item with what was asked for beside it.
    pub fn including(
        StoredPost { summary, text }: StoredPost,
        include: Include,
        words: Option<&Query>,
    ) -> Self {
        let html = |text: &str| html::render(summary.post_id, summary.format(), text);
        let post_html = include.html.then(|| html(&text));
        let snippet = (words.filter(|_| include.snippet))
            .map(|words| Snippet::of(words, &html::text_of(summary.format(), &text)));
        Self {
            post_html,
            snippet,
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
        let RenderedPost { body: rest, etag } = RenderedPost::of(&Post::from(post))?;
        // A `PublishedAnswer`: what the post is rendered as is not made twice.
        let ids = format!("{{\"post_id\":{post_id},\"user_id\":{user_id},");
        let rest = rest.get(1..).unwrap_or_default();
        let body = [ids.as_bytes(), rest].concat();
        Ok(Self {
            post_id,
            etag,
            body,
        })
    }
}

/// A post at its own path, as it is sent.
pub struct RenderedPost {
    pub body: Vec<u8>,
    pub etag: String,
}

impl RenderedPost {
    /// The ETag names what people write, by a hash, and behind it what is counted of the post; so it
    /// names the bytes, and who edits the post can tell the two apart ([`without_counts`]).
    pub fn of(post: &Post) -> serde_json::Result<Self> {
        let body = json::to_vec(&PostAnswer { post })?;
        let Post {
            likes, comments, ..
        } = post;
        let counts = format!(",\"likes\":{likes},\"comments\":{comments}}}}}");
        let written = body.strip_suffix(counts.as_bytes()).unwrap_or(&body);
        let hash = etag_of(written);
        let etag = if (*likes, *comments) == (0, 0) {
            hash
        } else {
            format!("{}.{likes}.{comments}\"", hash.trim_end_matches('"'))
        };
        Ok(Self { body, etag })
    }
}

/// The ETag of a post at its own path.
pub fn etag(post: &Post) -> serde_json::Result<String> {
    RenderedPost::of(post).map(|rendered| rendered.etag)
}

/// An ETag of a post, in any form, without what is counted: a like does not make stale what
/// somebody edits.
pub fn without_counts(etag: &str) -> String {
    let Some((written, rest)) = etag.split_once('.') else {
        return etag.to_owned();
    };
    // The name of a coding may stand behind them.
    let end = rest.find(['-', '"']).unwrap_or(rest.len());
    format!("{written}{}", &rest[end..])
}

/// For the description.
pub fn item_example() -> Value {
    json!({
        "post_id": 1, "slug": "hello-world", "post_title": "Hello, world",
        "summary": "The first of many.", "format": "markdown", "author": "Ann Smith", "author_id": 1,
        "author_username": "ann-smith", "date": "2026-11-21T09:31:00.5Z",
        "updated": "2026-11-21T09:31:00.5Z", "created": "2026-11-21T09:30:00.5Z",
        "status": "published", "tags": ["rust", "news"], "likes": 3, "comments": 2,
    })
}

/// For the description.
pub fn post_example() -> Value {
    let mut post = item_example();
    post["post_content"] = "The *first* of many.".into();
    post
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posts::stats::PostCounts;
    use crate::posts::stored::{DraftState, Excerpt};

    fn post(counts: PostCounts) -> Post {
        Post::from(stored(counts))
    }

    fn stored(counts: PostCounts) -> StoredPost {
        let time = chrono::DateTime::UNIX_EPOCH.naive_utc();
        StoredPost {
            summary: PostSummary {
                post_id: 1,
                author_id: 1,
                title: "Title".to_owned(),
                date: time,
                updated: time,
                created: time,
                published: true,
                position: 1,
                tags: String::new(),
                draft: DraftState::default(),
                slug: Some("x".to_owned()),
                excerpt: Excerpt::default(),
                format: "text".to_owned(),
                author: "Ann".to_owned(),
                author_username: None,
                counts,
            },
            text: "Text".to_owned(),
        }
    }

    #[test]
    fn the_answer_to_a_publication_has_the_post_as_it_is_read() {
        for counts in [(0, 0), (3, 5)] {
            let [one, other] = [(); 2].map(|()| {
                stored(PostCounts {
                    likes: counts.0,
                    comments: counts.1,
                })
            });
            let published = PublishedResponse::render(one).unwrap();
            let post = Post::from(other);
            let answer = PublishedAnswer {
                post_id: 1,
                user_id: 1,
                post: &post,
            };
            assert_eq!(published.body, serde_json::to_vec(&answer).unwrap());
            assert_eq!(published.etag, etag(&post).unwrap());
        }
    }

    #[test]
    fn an_etag_is_of_what_is_written_and_of_what_is_counted() {
        let etag = |likes, comments| etag(&post(PostCounts { likes, comments })).unwrap();
        let plain = etag(0, 0);
        let bare = plain.trim_end_matches('"');
        assert_eq!(etag(3, 0), format!("{bare}.3.0\""));
        assert_eq!(etag(12, 5), format!("{bare}.12.5\""));
        for form in ["", ".1.0", ".12.345"] {
            assert_eq!(without_counts(&format!("{bare}{form}\"")), plain);
            let coded = format!("{bare}-zstd\"");
            assert_eq!(without_counts(&format!("{bare}{form}-zstd\"")), coded);
            let weak = format!("W/{plain}");
            assert_eq!(without_counts(&format!("W/{bare}{form}\"")), weak);
        }
        for other in ["*", "\"x\"", "", "."] {
            let expected = other.trim_end_matches('.');
            assert_eq!(without_counts(other), expected);
        }
    }
}
