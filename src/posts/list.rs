//! Lists of posts: which posts and in which order (the filter), and which part of them (the
//! page or what follows a cursor).

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDateTime};

use super::search::{Query, Scope};
use super::stored::PostSummary;
use super::types::Tag;
use crate::core::page::Listed;
use crate::http::path::parse_id;

/// Which posts, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub author: Option<i64>,
    /// Posts that have all of these, each once; at most [`TAGS_MAX`](super::types::TAGS_MAX).
    pub tags: Vec<Tag>,
    pub words: Option<Query>,
    /// Drafts of this user, not published posts.
    pub drafts_of: Option<i64>,
    /// Only by those whom this user follows.
    pub followed_by: Option<i64>,
    pub dates: Dates,
    pub sort: Sort,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Newest,
    Oldest,
    /// What fits the words best first.
    Relevance,
}

impl Sort {
    /// All, in the order of the description.
    pub const ALL: [Self; 3] = [Self::Newest, Self::Oldest, Self::Relevance];

    /// As in a query string.
    pub fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Relevance => "relevance",
        }
    }
}

/// In which order tags are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagSort {
    /// Those with the most posts first, then by name.
    #[default]
    Posts,
    /// By code points.
    Name,
}

impl TagSort {
    /// All, in the order of the description.
    pub const ALL: [Self; 2] = [Self::Posts, Self::Name];

    /// As in a query string.
    pub fn name(self) -> &'static str {
        match self {
            Self::Posts => "posts",
            Self::Name => "name",
        }
    }
}

/// Which times of publication, to the microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    /// This one and those after it.
    pub since: Option<NaiveDateTime>,
    /// Those before this one.
    pub until: Option<NaiveDateTime>,
}

impl Dates {
    /// Whether they are all times.
    pub fn are_all(self) -> bool {
        self == Self::default()
    }
}

/// Where a part of a list ends: its last post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In the order of positions.
    Position(i64),
    /// In the order of dates, and of ids where they are one.
    Dated { date: NaiveDateTime, post_id: i64 },
    /// In the order of scores, and of positions where they are one.
    Ranked { score: i64, position: i64 },
}

impl Cursor {
    /// What a text of it looks like (a regular expression).
    pub const PATTERN: &'static str =
        "^([1-9][0-9]{0,17}|(-|r)?(0|[1-9][0-9]{0,17})\\.[1-9][0-9]{0,17})?$";

    /// Reads what [`Display`](fmt::Display) writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((micros, post_id)) = text.split_once('.') else {
            return parse_id(text).map(Self::Position);
        };
        let is_number = |text: &str| text == "0" || parse_id(text).is_some();
        if let Some(score) = micros.strip_prefix('r') {
            return Some(Self::Ranked {
                score: score.parse().ok().filter(|_| is_number(score))?,
                position: parse_id(post_id)?,
            });
        }
        let is_number = is_number(micros.strip_prefix('-').unwrap_or(micros));
        let micros = micros.parse().ok().filter(|_| is_number)?;
        let date = DateTime::from_timestamp_micros(micros)?.naive_utc();
        // Of years that every database takes. No post lies outside of them.
        (1000..=9999).contains(&date.year()).then_some(())?;
        Some(Self::Dated {
            date,
            post_id: parse_id(post_id)?,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => write!(f, "{position}"),
            Self::Dated { date, post_id } => {
                write!(f, "{}.{post_id}", date.and_utc().timestamp_micros())
            }
            Self::Ranked { score, position } => write!(f, "r{score}.{position}"),
        }
    }
}

/// What is shown of the posts of a list beside what an item has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The passage that has the words that were searched for.
    pub snippet: bool,
    /// The content as it was written.
    pub content: bool,
    /// The content as HTML.
    pub html: bool,
}

impl Include {
    /// Posts of a part of a list with contents, of a megabyte each at worst.
    pub const MOST: u32 = 20;

    /// Whether it takes the contents.
    pub fn takes_contents(self) -> bool {
        self.content || self.html || self.snippet
    }
}

/// A part of a list, and what a search did for it.
#[derive(Debug)]
pub struct Found<T> {
    pub listed: Listed<T, Cursor>,
    /// The words that were searched for; with the last one as a beginning, where it found nothing as
    /// a word.
    pub words: Option<Query>,
    /// That beginning.
    pub beginning: Option<String>,
}

impl<T> Found<T> {
    /// The same with other rows in place of these.
    pub fn with<U>(self, rows: Vec<U>) -> Found<U> {
        Found {
            listed: self.listed.with(rows),
            words: self.words,
            beginning: self.beginning,
        }
    }
}

/// The posts next to one in a list.
#[derive(Debug)]
pub struct Neighbours {
    pub newer: Option<PostSummary>,
    pub older: Option<PostSummary>,
}

/// A list whose posts are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum List {
    /// All published posts.
    All,
    /// An author's published posts.
    Author(i64),
    /// An author's drafts.
    Drafts(i64),
    /// The published posts with a tag.
    Tag(String),
}

impl Filter {
    /// Whether it takes every published post, newest first.
    pub fn is_open(&self) -> bool {
        self.counted() == Some(List::All) && self.sort == Sort::Newest
    }

    /// Whether the list is in the order of dates, and not of positions.
    pub fn is_by_date(&self) -> bool {
        !self.dates.are_all() && self.words.is_none()
    }

    /// The cursor for what follows this post.
    pub fn cursor_behind(&self, post: &PostSummary) -> Cursor {
        if self.is_by_date() {
            Cursor::Dated {
                date: post.date,
                post_id: post.post_id,
            }
        } else {
            Cursor::Position(post.position)
        }
    }

    /// Whether a cursor is one of a list in this order.
    pub fn fits(&self, cursor: Cursor) -> bool {
        match cursor {
            Cursor::Ranked { .. } => self.sort == Sort::Relevance,
            Cursor::Dated { .. } => self.sort != Sort::Relevance && self.is_by_date(),
            Cursor::Position(_) => self.sort != Sort::Relevance && !self.is_by_date(),
        }
    }

    /// Whether it takes published posts, not drafts.
    pub fn published(&self) -> bool {
        self.drafts_of.is_none()
    }

    /// Whose words it looks for.
    pub fn scope(&self) -> Scope {
        (self.drafts_of).map_or(Scope::Published, Scope::DraftsOf)
    }

    /// The author of all posts that it takes.
    pub fn only_author(&self) -> Option<i64> {
        self.drafts_of.or(self.author)
    }

    /// Whether no post can fit: drafts of somebody else, words that are none, dates before each
    /// other.
    pub fn is_impossible(&self) -> bool {
        let others_draft =
            self.drafts_of.is_some() && self.author.is_some() && self.drafts_of != self.author;
        let is_never = matches!((self.dates.since, self.dates.until), (Some(since), Some(until)) if since >= until);
        others_draft || is_never || self.words.as_ref().is_some_and(Query::is_empty)
    }

    /// The list that is just this, where its posts are counted.
    pub fn counted(&self) -> Option<List> {
        if self.words.is_some() || !self.dates.are_all() || self.followed_by.is_some() {
            return None;
        }
        match (self.only_author(), self.tags.as_slice()) {
            (None, []) => Some(List::All),
            (Some(author), []) if self.published() => Some(List::Author(author)),
            (Some(author), []) => Some(List::Drafts(author)),
            (None, [tag]) => Some(List::Tag(tag.0.clone())),
            (_, [_, ..]) => None,
        }
    }
}

impl List {
    /// The lists that count a post.
    pub fn of_post(post: &PostSummary) -> Vec<Self> {
        Self::that_count(post.published, post.author_id, post.tags().into_iter())
    }

    /// The lists that count a post with these properties.
    pub fn that_count<'a>(
        published: bool,
        author_id: i64,
        tags: impl Iterator<Item = &'a str>,
    ) -> Vec<Self> {
        if !published {
            return vec![Self::Drafts(author_id)];
        }
        let mut lists = vec![Self::All, Self::Author(author_id)];
        lists.extend(tags.map(|tag| Self::Tag(tag.to_owned())));
        lists
    }

    /// Its name in the table of counts. Kept for ever: the rows are found by it.
    pub fn key(&self) -> String {
        match self {
            Self::All => "a".to_owned(),
            Self::Author(id) => format!("u{id}"),
            Self::Drafts(id) => format!("d{id}"),
            Self::Tag(tag) => format!("t{tag}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_spelling() {
        for text in [
            "1",
            "1234",
            "9223372036854775807",
            "0.7",
            "1764142200000000.12",
            "-5.1",
            "r0.1",
            "r4000000.12",
        ] {
            let cursor = Cursor::parse(text).unwrap();
            assert_eq!(cursor.to_string(), text);
        }
        for text in [
            "",
            "0",
            "01",
            "-1",
            "x",
            "1.",
            ".1",
            "1.0",
            "1.x",
            "01.1",
            "-0x.1",
            "+1.1",
            "1.1.1",
            "--1.1",
            "r.1",
            "r1",
            "r-1.1",
            "r01.1",
            "r1.0",
            "-r1.1",
            "99999999999999999999.1",
            // The years -1, 999, 10000, and the last one that a program can name.
            "-62198755200000000.1",
            "-30610224000000001.1",
            "253402300800000000.1",
            "8210266876799999999.1",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
