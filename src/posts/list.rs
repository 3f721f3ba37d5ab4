//! Lists of posts, newest first: which posts (the filter), and which part of them (the
//! page or what follows a cursor).

use super::search::{Query, Scope};
use super::stored::PostSummary;
use super::types::Tag;

/// Which posts.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub author: Option<i64>,
    pub tag: Option<Tag>,
    pub words: Option<Query>,
    /// Drafts of this user, not published posts.
    pub drafts_of: Option<i64>,
}

/// What is shown of the posts of a list beside what an item has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
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
        self.content || self.html
    }
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
    /// Whether it takes every published post.
    pub fn is_open(&self) -> bool {
        self.counted() == Some(List::All)
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

    /// Whether no post can fit: drafts of somebody else, words that are none.
    pub fn is_impossible(&self) -> bool {
        let others_draft =
            self.drafts_of.is_some() && self.author.is_some() && self.drafts_of != self.author;
        others_draft || self.words.as_ref().is_some_and(Query::is_empty)
    }

    /// The list that is just this, where its posts are counted.
    pub fn counted(&self) -> Option<List> {
        match (self.only_author(), &self.tag, &self.words) {
            (_, _, Some(_)) | (Some(_), Some(_), None) => None,
            (None, None, None) => Some(List::All),
            (Some(author), None, None) if self.published() => Some(List::Author(author)),
            (Some(author), None, None) => Some(List::Drafts(author)),
            (None, Some(tag), None) => Some(List::Tag(tag.0.clone())),
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
