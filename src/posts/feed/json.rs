//! A feed as JSON Feed 1.1 (<https://www.jsonfeed.org/version/1.1/>).

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Cut, Entry, Feed, Format};
use crate::core::clock;

const VERSION: &str = "https://jsonfeed.org/version/1.1";
/// Bytes of the summary of a post that is cut: a sentence or two.
const SUMMARY_MAX: usize = 280;

/// The newest posts, as readers of feeds take them.
#[derive(Serialize, ToSchema)]
pub struct JsonFeed<'a> {
    #[schema(example = "https://jsonfeed.org/version/1.1")]
    version: &'static str,
    title: &'a str,
    #[schema(format = "uri")]
    home_page_url: String,
    /// The feed's own, with its filters.
    #[schema(format = "uri")]
    feed_url: String,
    /// Newest first, 20 at most.
    #[schema(max_items = 20)]
    items: Vec<JsonFeedItem<'a>>,
}

/// A post in a feed.
#[derive(Serialize, ToSchema)]
pub struct JsonFeedItem<'a> {
    /// The same as its URL.
    #[schema(format = "uri")]
    id: &'a str,
    #[schema(format = "uri")]
    url: &'a str,
    title: &'a str,
    /// The content up to 64 KiB; of a longer one the beginning and an ellipsis.
    content_text: &'a str,
    /// Only where the content is cut: its first words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    summary: Option<String>,
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
    #[schema(format = "uri")]
    url: &'a str,
}

/// The object.
pub fn view<'a>(feed: &'a Feed) -> JsonFeed<'a> {
    JsonFeed {
        version: VERSION,
        title: &feed.title,
        home_page_url: feed.home(),
        feed_url: feed.url(Format::Json),
        items: feed.entries.iter().map(item).collect(),
    }
}

fn item<'a>(entry: &'a Entry) -> JsonFeedItem<'a> {
    let (content_text, summary) = match &entry.text {
        Cut::Whole(text) => (*text, None),
        Cut::Beginning(text) => match Cut::of(text, SUMMARY_MAX) {
            Cut::Whole(all) => (text.as_str(), Some(all.to_owned())),
            Cut::Beginning(words) => (text.as_str(), Some(words)),
        },
    };
    JsonFeedItem {
        id: &entry.url,
        url: &entry.url,
        title: entry.title,
        content_text,
        summary,
        date_published: entry.published,
        date_modified: entry.updated,
        authors: [JsonFeedAuthor {
            name: entry.author,
            url: &entry.author_url,
        }],
        tags: &entry.tags,
    }
}

/// For the description.
pub fn example() -> Value {
    json!({
        "version": VERSION,
        "title": "Posts at blog.example.org",
        "home_page_url": "https://blog.example.org/",
        "feed_url": "https://blog.example.org/feed.json",
        "items": [{
            "id": "https://blog.example.org/post/1",
            "url": "https://blog.example.org/post/1",
            "title": "Hello, world",
            "content_text": "The *first* of many.",
            "date_published": "2026-11-21T09:31:00.5Z",
            "date_modified": "2026-11-21T09:31:00.5Z",
            "authors": [{ "name": "Ann Smith", "url": "https://blog.example.org/user/1" }],
            "tags": ["rust", "news"],
        }],
    })
}
