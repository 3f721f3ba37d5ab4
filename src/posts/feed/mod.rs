//! Feeds (syndication): the newest posts of a list, or the newest comments of a post, in words and
//! URLs that do not depend on the format ([`atom`], [`json`]); the [`sitemap`].

pub mod atom;
mod ids;
pub mod json;
pub mod sitemap;

use std::borrow::Cow;

use chrono::NaiveDateTime;

use crate::core::page::Listed;
use crate::core::settings::Settings;
use crate::core::settings::post_url::PostUrl;
use crate::core::settings::public_url::PublicUrl;
use crate::posts::html;
use crate::posts::list::{Cursor, Filter};
use crate::posts::stored::{PostSummary, StoredPost};
use ids::Ids;

/// Entries of a feed.
pub const SIZE: u32 = 20;
/// Bytes of a post's content in a feed, as it was written. Longer ones are cut: twenty posts of a
/// mebibyte are nothing that a reader fetches every hour.
pub const CONTENT_MAX: usize = 64 * 1024;
/// So many characters of a content tell whether it is longer than that: one more.
pub const CHARACTERS: i64 = 64 * 1024 + 1;
/// Stands where a text is cut.
const ELLIPSIS: &str = "…";
/// The path of the feeds of posts, without what says the format.
const POSTS: &str = "/feed";

/// What feeds say of the blog, and where they lead.
pub struct Blog {
    title: String,
    subtitle: Option<String>,
    /// The base of links to this server.
    public_url: PublicUrl,
    /// Where people read posts, if anywhere.
    post_url: Option<PostUrl>,
    ids: Ids,
}

impl Blog {
    /// By the settings of a server with this public URL. `installation` names the database.
    pub fn new(settings: &Settings, public_url: PublicUrl, installation: &str) -> Self {
        Self {
            title: settings.blog.title.clone(),
            subtitle: settings.blog.subtitle().map(str::to_owned),
            post_url: settings.post_url(&public_url),
            ids: Ids::new(installation),
            public_url,
        }
    }

    /// Where people read a post, if anywhere.
    fn url_of(&self, post: &PostSummary) -> Option<String> {
        let url = self.post_url.as_ref()?;
        Some(url.of(post.post_id, post.slug.as_deref()))
    }
}

/// How a feed is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Atom 1.0 (RFC 4287).
    Atom,
    /// JSON Feed 1.1.
    Json,
}

impl Format {
    /// Where the feed of posts is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Atom => "/feed.atom",
            Self::Json => "/feed.json",
        }
    }

    /// Where the feed of a post's comments is.
    pub fn path_of_comments(self, post_id: i64) -> String {
        comments_path(post_id) + self.ending()
    }

    /// What the path of a feed ends with.
    fn ending(self) -> &'static str {
        match self {
            Self::Atom => ".atom",
            Self::Json => ".json",
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

fn comments_path(post_id: i64) -> String {
    format!("/post/{post_id}/comments")
}

/// A feed, ready to be written.
pub struct Feed<'a> {
    /// Its name for ever, whatever host, scheme and path it has.
    pub id: String,
    pub title: String,
    pub subtitle: Option<&'a str>,
    /// Where people read what is in it, if anywhere.
    pub home: Option<String>,
    public: &'a PublicUrl,
    /// Its path, without what says the format.
    path: Cow<'static, str>,
    /// Filters as parameters of its URL.
    filters: Vec<(&'static str, String)>,
    /// The cursor that it follows; `None` for what is newest.
    before: Option<String>,
    /// The cursor for what is older, where there is some.
    next: Option<String>,
    /// Newest first.
    pub entries: Vec<Entry<'a>>,
}

/// A post or a comment in a feed.
pub struct Entry<'a> {
    /// Its name for ever, whatever host, scheme, path and slug it has.
    pub id: String,
    /// Where people read it, if anywhere.
    pub url: Option<String>,
    pub title: Cow<'a, str>,
    pub author: &'a str,
    pub published: NaiveDateTime,
    pub updated: NaiveDateTime,
    pub tags: Vec<&'a str>,
    /// Sanitized HTML.
    pub content: String,
    /// In a few words without markup.
    pub summary: Option<&'a str>,
    /// Of a post, the feed of its comments; of a comment, the id and URL of what it answers.
    pub thread: Thread,
}

/// How an entry belongs to others (RFC 4685).
pub enum Thread {
    Replies(String),
    ReplyTo { id: String, url: Option<String> },
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

/// A comment as a feed shows it.
pub struct CommentEntry<'a> {
    pub comment_id: i64,
    /// The comment that it answers.
    pub reply_to: Option<i64>,
    pub author: &'a str,
    pub created: NaiveDateTime,
    pub updated: NaiveDateTime,
    /// Sanitized HTML.
    pub html: String,
}

impl<'a> Feed<'a> {
    /// Of the posts that `filter` takes, from the cursor `before` on: each with its text, or as
    /// much of it as tells that it is too long ([`CHARACTERS`]).
    pub fn of_posts(
        blog: &'a Blog,
        filter: &Filter,
        before: Option<Cursor>,
        listed: &'a Listed<StoredPost, Cursor>,
    ) -> Self {
        let filters = filters(filter);
        Self {
            id: blog.ids.of_feed(&query_of(&filters)),
            title: title_of(blog, filter, &listed.rows),
            subtitle: blog.subtitle.as_deref(),
            home: (blog.post_url.as_ref()).map(|url| url.home().to_owned()),
            public: &blog.public_url,
            path: Cow::Borrowed(POSTS),
            filters,
            before: before.as_ref().map(ToString::to_string),
            next: listed.next.as_ref().map(ToString::to_string),
            entries: (listed.rows.iter().map(|post| Entry::of_post(blog, post))).collect(),
        }
    }

    /// Of the comments of a post, from the cursor `before` on, up to the cursor `next`.
    pub fn of_comments(
        blog: &'a Blog,
        post: &'a PostSummary,
        (before, next): (Option<i64>, Option<i64>),
        comments: Vec<CommentEntry<'a>>,
    ) -> Self {
        let entry = |comment| Entry::of_comment(blog, post, comment);
        Self {
            id: blog.ids.of_comments(post.post_id),
            title: format!("{}: {}", blog.title, post.title),
            subtitle: None,
            home: blog.url_of(post),
            public: &blog.public_url,
            path: Cow::Owned(comments_path(post.post_id)),
            filters: Vec::new(),
            before: before.map(|id| id.to_string()),
            next: next.map(|id| id.to_string()),
            entries: comments.into_iter().map(entry).collect(),
        }
    }

    /// Its own URL in this format, with its filters in one order and spelling.
    pub fn url(&self, format: Format) -> String {
        self.url_before(format, self.before.as_deref())
    }

    /// The URL of its newest entries.
    pub fn first(&self, format: Format) -> String {
        self.url_before(format, None)
    }

    /// Whether it has the newest entries.
    pub fn is_first(&self) -> bool {
        self.before.is_none()
    }

    /// The URL of older entries, where there are some (RFC 5005 §3).
    pub fn next(&self, format: Format) -> Option<String> {
        let next = self.next.as_deref()?;
        Some(self.url_before(format, Some(next)))
    }

    fn url_before(&self, format: Format, before: Option<&str>) -> String {
        let mut parameters = self.filters.clone();
        parameters.extend(before.map(|before| ("before", before.to_owned())));
        let path = format!("{}{}", self.path, format.ending());
        self.public.join(&path) + &query_of(&parameters)
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
    fn of_post(blog: &Blog, StoredPost { summary, text }: &'a StoredPost) -> Self {
        let url = blog.url_of(summary);
        let render = |text: &str| html::render(summary.post_id, summary.format(), text);
        let content = match Cut::of(text, CONTENT_MAX) {
            Cut::Whole(text) => render(text),
            Cut::Beginning(text) => render(&text) + &more(url.as_deref()),
        };
        let replies = Format::Atom.path_of_comments(summary.post_id);
        Self {
            id: blog.ids.of_post(summary.post_id),
            url,
            title: Cow::Borrowed(&summary.title),
            author: &summary.author,
            published: summary.date,
            updated: summary.updated,
            tags: summary.tags(),
            content,
            summary: (summary.excerpt.text.as_deref()).filter(|text| !text.is_empty()),
            thread: Thread::Replies(blog.public_url.join(&replies)),
        }
    }

    fn of_comment(blog: &Blog, post: &PostSummary, comment: CommentEntry<'a>) -> Self {
        let page = blog.url_of(post);
        // Where the page of this server shows it; elsewhere the browser stays at the top.
        let at = |id: i64| page.as_ref().map(|page| format!("{page}#comment-{id}"));
        let thread = match comment.reply_to {
            Some(parent) => Thread::ReplyTo {
                id: blog.ids.of_comment(parent),
                url: at(parent),
            },
            None => Thread::ReplyTo {
                id: blog.ids.of_post(post.post_id),
                url: page.clone(),
            },
        };
        Self {
            id: blog.ids.of_comment(comment.comment_id),
            url: at(comment.comment_id),
            title: Cow::Owned(format!("Re: {}", post.title)),
            author: comment.author,
            published: comment.created,
            updated: comment.updated,
            tags: Vec::new(),
            content: comment.html,
            summary: None,
            thread,
        }
    }
}

/// What stands behind a content that was cut: the way to the rest.
fn more(url: Option<&str>) -> String {
    let Some(url) = url else { return String::new() };
    let url = url.replace('&', "&amp;").replace('"', "&quot;");
    format!("<p><a href=\"{url}\">{ELLIPSIS}</a></p>\n")
}

/// The title of the blog, with what is chosen of its posts.
fn title_of(blog: &Blog, filter: &Filter, posts: &[StoredPost]) -> String {
    let mut title = blog.title.clone();
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
    title
}

/// The filter as parameters of a feed, in one order and spelling.
fn filters(filter: &Filter) -> Vec<(&'static str, String)> {
    let author = filter.author.map(|id| ("author", id.to_string()));
    let tags = filter.tags.iter().map(|tag| ("tag", tag.0.clone()));
    author.into_iter().chain(tags).collect()
}

/// Parameters as a query string with its question mark; empty without one.
fn query_of(parameters: &[(&'static str, String)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
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
        let blog = Blog {
            title: "Blog".to_owned(),
            subtitle: None,
            public_url: PublicUrl::parse("https://example.org/blog").unwrap(),
            post_url: None,
            ids: Ids::new("one"),
        };
        let url = |author, tag: Option<&str>| {
            let filter = Filter {
                author,
                tags: tag
                    .and_then(|tag| Tag::parse(tag).ok())
                    .into_iter()
                    .collect(),
                ..Filter::default()
            };
            let listed = Listed {
                rows: Vec::new(),
                count: None,
                next: None,
            };
            Feed::of_posts(&blog, &filter, None, &listed).url(Format::Atom)
        };
        let base = "https://example.org/blog/feed.atom";
        assert_eq!(url(None, None), base);
        assert_eq!(url(Some(7), None), format!("{base}?author=7"));
        assert_eq!(
            url(Some(7), Some(" C++ & Ä ")),
            format!("{base}?author=7&tag=c%2B%2B+%26+%C3%A4")
        );
    }

    #[test]
    fn what_is_cut_leads_to_the_rest() {
        assert_eq!(
            more(Some("https://example.org/?a=1&b=\"")),
            "<p><a href=\"https://example.org/?a=1&amp;b=&quot;\">…</a></p>\n"
        );
        assert_eq!(more(None), "");
    }
}
