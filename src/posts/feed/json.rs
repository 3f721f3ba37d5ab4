//! A feed as JSON Feed 1.1 (<https://www.jsonfeed.org/version/1.1/>).

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Entry, Feed, Format};
use crate::core::clock;

const VERSION: &str = "https://jsonfeed.org/version/1.1";

/// The newest posts, or the newest comments of a post, as readers of feeds take them.
#[derive(Serialize, ToSchema)]
pub struct JsonFeed<'a> {
    #[schema(example = "https://jsonfeed.org/version/1.1")]
    version: &'static str,
    title: &'a str,
    /// What the blog is about, where that is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    description: Option<&'a str>,
    /// Where people read it, unless they do so nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, format = "uri")]
    home_page_url: Option<&'a str>,
    /// The feed's own, with its filters.
    #[schema(format = "uri")]
    feed_url: String,
    /// The feed of what is older, where there is some.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, format = "uri")]
    next_url: Option<String>,
    /// Newest first, 20 at most.
    #[schema(max_items = 20)]
    items: Vec<JsonFeedItem<'a>>,
}

/// A post or a comment in a feed.
#[derive(Serialize, ToSchema)]
pub struct JsonFeedItem<'a> {
    /// A URN that stays when the URL changes.
    #[schema(format = "uri")]
    id: &'a str,
    /// Where people read it, unless they do so nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, format = "uri")]
    url: Option<&'a str>,
    title: &'a str,
    /// The content as sanitized HTML; of one of more than 64 KiB the beginning, with a link to the
    /// rest.
    content_html: &'a str,
    /// The summary of a post.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    summary: Option<&'a str>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    date_published: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    date_modified: NaiveDateTime,
    /// One.
    authors: [JsonFeedAuthor<'a>; 1],
    tags: &'a [&'a str],
}

#[derive(Serialize, ToSchema)]
pub struct JsonFeedAuthor<'a> {
    name: &'a str,
}

/// The object.
pub fn view<'a>(feed: &'a Feed) -> JsonFeed<'a> {
    JsonFeed {
        version: VERSION,
        title: &feed.title,
        description: feed.subtitle,
        home_page_url: feed.home.as_deref(),
        feed_url: feed.url(Format::Json),
        next_url: feed.next(Format::Json),
        items: feed.entries.iter().map(item).collect(),
    }
}

fn item<'a>(entry: &'a Entry) -> JsonFeedItem<'a> {
    JsonFeedItem {
        id: &entry.id,
        url: entry.url.as_deref(),
        title: &entry.title,
        content_html: &entry.content,
        summary: entry.summary,
        date_published: entry.published,
        date_modified: entry.updated,
        authors: [JsonFeedAuthor { name: entry.author }],
        tags: &entry.tags,
    }
}

/// A feed of posts, for the description.
pub fn example() -> Value {
    json!({
        "version": VERSION,
        "title": "Notes from Delft",
        "home_page_url": "https://blog.example.org/",
        "feed_url": "https://blog.example.org/feed.json",
        "next_url": "https://blog.example.org/feed.json?before=1",
        "items": [{
            "id": "urn:uuid:6eb5d325-d5c1-80c3-9cc9-5ee0e1288806",
            "url": "https://blog.example.org/p/hello-world",
            "title": "Hello, world",
            "content_html": "<p>The <em>first</em> of many.</p>\n",
            "summary": "The first of many.",
            "date_published": "2026-11-21T09:31:00.500000Z",
            "date_modified": "2026-11-21T09:31:00.500000Z",
            "authors": [{ "name": "Ann Smith" }],
            "tags": ["rust", "news"],
        }],
    })
}

/// A feed of comments, for the description.
pub fn example_of_comments() -> Value {
    json!({
        "version": VERSION,
        "title": "Notes from Delft: Hello, world",
        "home_page_url": "https://blog.example.org/p/hello-world",
        "feed_url": "https://blog.example.org/post/1/comments.json",
        "items": [{
            "id": "urn:uuid:2b0c6a0e-6d0f-8b52-a4f5-9d43a6a1c0de",
            "url": "https://blog.example.org/p/hello-world#comment-7",
            "title": "Re: Hello, world",
            "content_html": "<p>Well <em>said</em>.</p>\n",
            "date_published": "2026-11-21T09:40:00.500000Z",
            "date_modified": "2026-11-21T09:40:00.500000Z",
            "authors": [{ "name": "Bob" }],
            "tags": [],
        }],
    })
}
