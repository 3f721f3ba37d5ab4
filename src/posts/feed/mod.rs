//! Feeds (syndication): the newest posts of a list, in words and URLs that do not depend on
//! the format ([`atom`], [`json`]).

pub mod atom;
pub mod json;

use std::borrow::Cow;

use chrono::NaiveDateTime;

use crate::posts::list::Filter;
use crate::posts::stored::StoredPost;

use crate::core::settings::public_url::PublicUrl;

/// Posts of a feed.
pub const SIZE: u32 = 20;
/// Bytes of a post's content in a feed. Longer ones are cut: twenty posts of a mebibyte
/// are nothing that a reader fetches every hour.
pub const CONTENT_MAX: usize = 64 * 1024;
/// So many characters of a content tell whether it is longer than that: one more.
pub const CHARACTERS: i64 = 64 * 1024 + 1;
/// Stands where a text is cut.
const ELLIPSIS: &str = "…";

/// How a feed is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Atom 1.0 (RFC 4287).
    Atom,
    /// JSON Feed 1.1.
    Json,
}

impl Format {
    /// Where the feed is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Atom => "/feed.atom",
            Self::Json => "/feed.json",
        }
    }

    /// What a link to it says that it is.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Atom => "application/atom+xml",
            Self::Json => "application/feed+json",
        }
    }

    /// The value of `Content-Type`; JSON has no charset to name.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Atom => "application/atom+xml; charset=utf-8",
            Self::Json => self.media_type(),
        }
    }
}

/// A feed, ready to be written.
pub struct Feed<'a> {
    pub title: String,
    public: &'a PublicUrl,
    filters: String,
    /// Newest first.
    pub entries: Vec<Entry<'a>>,
}

/// A post in a feed.
pub struct Entry<'a> {
    /// Where the post is; its name for ever, too.
    pub url: String,
    pub title: &'a str,
    pub author: &'a str,
    /// Where the author is.
    pub author_url: String,
    pub published: NaiveDateTime,
    pub updated: NaiveDateTime,
    pub tags: Vec<&'a str>,
    pub text: Cut<'a>,
}

/// A text or its beginning.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    Whole(&'a str),
    /// Ends with an ellipsis.
    Beginning(String),
}

impl<'a> Cut<'a> {
    /// The text itself up to `most` bytes; otherwise what of it fits, to the boundary of
    /// a character.
    pub fn of(text: &'a str, most: usize) -> Self {
        if text.len() <= most {
            return Self::Whole(text);
        }
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
        let beginning = &text[..end.unwrap_or(0)];
        Self::Beginning([beginning, ELLIPSIS].concat())
    }
}

impl<'a> Feed<'a> {
    /// Of the posts that `filter` takes: each with its text, or as much of it as tells
    /// that it is too long ([`CHARACTERS`]).
    pub fn new(public: &'a PublicUrl, filter: &Filter, posts: &'a [StoredPost]) -> Self {
        let mut title = format!("Posts at {}", public.authority());
        if let Some(id) = filter.author {
            // Nobody's name is asked for: it stands with the posts, or there are none.
            let name = (posts.first()).map_or_else(
                || Cow::Owned(format!("user {id}")),
                |post| Cow::Borrowed(post.summary.author.as_str()),
            );
            title.push_str(" by ");
            title.push_str(&name);
        }
        for (n, tag) in filter.tags.iter().enumerate() {
            title.push_str(if n == 0 { " tagged " } else { ", " });
            title.push_str(&tag.0);
        }
        Self {
            title,
            public,
            filters: filters(filter),
            entries: posts.iter().map(|post| Entry::new(public, post)).collect(),
        }
    }

    /// Its own URL in this format, with its filters in one order and spelling.
    pub fn url(&self, format: Format) -> String {
        self.public.join(format.path()) + &self.filters
    }

    /// Where everything is.
    pub fn home(&self) -> String {
        self.public.join("/")
    }

    /// When an entry changed last; `None` without entries.
    pub fn updated(&self) -> Option<NaiveDateTime> {
        self.entries.iter().map(|entry| entry.updated).max()
    }

    /// The bytes of the feed in this format.
    pub fn write(&self, format: Format) -> serde_json::Result<Vec<u8>> {
        match format {
            Format::Atom => Ok(atom::write(self).into_bytes()),
            Format::Json => serde_json::to_vec(&json::view(self)),
        }
    }
}

impl<'a> Entry<'a> {
    fn new(public: &PublicUrl, StoredPost { summary, text }: &'a StoredPost) -> Self {
        Self {
            url: public.join(&format!("/post/{}", summary.post_id)),
            title: &summary.title,
            author: &summary.author,
            author_url: public.join(&format!("/user/{}", summary.author_id)),
            published: summary.date,
            updated: summary.updated,
            tags: summary.tags(),
            text: Cut::of(text, CONTENT_MAX),
        }
    }
}

/// The query string of a feed with this filter; empty without one.
fn filters(filter: &Filter) -> String {
    let author = filter.author.map(|id| ("author", id.to_string()));
    let tags = filter.tags.iter().map(|tag| ("tag", tag.0.clone()));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(author.into_iter().chain(tags))
        .finish();
    if query.is_empty() {
        query
    } else {
        format!("?{query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posts::types::Tag;

    #[test]
    fn a_text_is_cut_between_characters_only() {
        assert_eq!(Cut::of("four", 4), Cut::Whole("four"));
        assert_eq!(Cut::of("fours", 4), Cut::Beginning("four…".to_owned()));
        // Three bytes each.
        assert_eq!(Cut::of("漢字", 6), Cut::Whole("漢字"));
        assert_eq!(Cut::of("漢字", 5), Cut::Beginning("漢…".to_owned()));
        assert_eq!(Cut::of("漢字", 2), Cut::Beginning("…".to_owned()));
    }

    #[test]
    fn a_feed_has_one_url_for_its_filters() {
        let public = PublicUrl::parse("https://example.org/blog").unwrap();
        let url = |author, tag: Option<&str>| {
            let filter = Filter {
                author,
                tags: tag
                    .and_then(|tag| Tag::parse(tag).ok())
                    .into_iter()
                    .collect(),
                ..Filter::default()
            };
            Feed::new(&public, &filter, &[]).url(Format::Atom)
        };
        let base = "https://example.org/blog/feed.atom";
        assert_eq!(url(None, None), base);
        assert_eq!(url(Some(7), None), format!("{base}?author=7"));
        assert_eq!(
            url(Some(7), Some(" C++ & Ä ")),
            format!("{base}?author=7&tag=c%2B%2B+%26+%C3%A4")
        );
    }
}
