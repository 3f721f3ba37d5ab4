//! Posts as they are stored, and who edits them.

use chrono::NaiveDateTime;
use diesel::Queryable;

use super::search::Scope;
use super::stats::PostCounts;
use super::types::{Format, Tag};

/// A post without its text: a summary.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct PostSummary {
    pub post_id: i64,
    pub author_id: i64,
    pub title: String,
    /// The time of publication, for a withdrawn post as well; that when it was made, for
    /// any other draft.
    pub date: NaiveDateTime,
    pub updated: NaiveDateTime,
    /// When it was made; of a post from before that was kept, its date.
    pub created: NaiveDateTime,
    pub published: bool,
    /// Its position in lists, the newest with the highest number: the column `place`.
    pub position: i64,
    /// As in the column.
    pub(in crate::posts) tags: String,
    pub draft: DraftState,
    /// As in the column.
    pub(in crate::posts) format: String,
    /// Its name in links; `None` for a draft that was never published and whose author has not
    /// chosen one, and for a post from before there were any, until it is filled.
    pub slug: Option<String>,
    pub excerpt: Excerpt,
    /// The author's name.
    pub author: String,
    pub author_username: Option<String>,
    /// How many like it and how many comments it has.
    pub counts: PostCounts,
}

/// What is known of a draft before and after it was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Queryable)]
pub struct DraftState {
    /// It was published before, and has its date and position of then.
    pub withdrawn: bool,
    /// As in the column, which means nothing in a published post: a program of before leaves it there.
    pub(in crate::posts) publish_at: Option<NaiveDateTime>,
}

/// Whose a post is, and who sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct PostAccess {
    pub post_id: i64,
    pub author_id: i64,
    pub published: bool,
}

impl PostAccess {
    /// Whether this reader, or somebody without a token, may see it.
    pub fn is_visible_to(&self, reader: Option<Editor>) -> bool {
        self.published || reader.is_some_and(|reader| reader.owns_those_of(self.author_id))
    }
}

/// What lists show of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable)]
pub struct Excerpt {
    /// `None` for a post from before there were any, until it is filled.
    pub text: Option<String>,
    /// Written by the author, not made of the text.
    pub is_own: bool,
}

/// Name and username of a post's author.
pub type AuthorNames = (String, Option<String>);

impl PostSummary {
    /// Its tags, in their order.
    pub fn tags(&self) -> Vec<&str> {
        split_tags(&self.tags).collect()
    }

    /// How its text is read; what is not known here is shown as it is written.
    pub fn format(&self) -> Format {
        Format::of_name(&self.format).unwrap_or(Format::Text)
    }

    /// When it is to be published, in UTC; `None` of what is published already, and of any other draft.
    pub fn scheduled_for(&self) -> Option<NaiveDateTime> {
        self.draft.publish_at.filter(|_| !self.published)
    }

    /// Who may find it.
    pub(super) fn scope(&self) -> Scope {
        Scope::of(self.published, self.author_id)
    }

    /// Gives it these tags, and no others.
    pub(super) fn set_tags(&mut self, tags: &[Tag]) {
        self.tags = join_tags(tags);
    }
}

/// A post with its text, or as much of it as was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct StoredPost {
    pub summary: PostSummary,
    pub text: String,
}

impl StoredPost {
    /// Whether another state of the post is the same, however many like it by now.
    pub(super) fn is_as_written(&self, other: &Self) -> bool {
        let summary = PostSummary {
            counts: other.summary.counts,
            ..self.summary.clone()
        };
        summary == other.summary && self.text == other.text
    }
}

/// Who reads or edits.
#[derive(Clone, Copy, Debug)]
pub struct Editor {
    pub user_id: i64,
    pub is_admin: bool,
}

impl Editor {
    /// Whether the post is theirs to see as a draft and to edit.
    pub fn owns(&self, post: &PostSummary) -> bool {
        self.owns_those_of(post.author_id)
    }

    /// The same for whatever this author has made.
    pub fn owns_those_of(&self, author_id: i64) -> bool {
        self.is_admin || self.user_id == author_id
    }
}

/// Tags have no control characters: one separates them.
const BETWEEN_TAGS: char = '\n';

/// The tags of the column.
pub(super) fn split_tags(joined: &str) -> impl Iterator<Item = &str> {
    joined.split(BETWEEN_TAGS).filter(|tag| !tag.is_empty())
}

/// The column for these tags.
pub(super) fn join_tags(tags: &[Tag]) -> String {
    let tags: Vec<&str> = tags.iter().map(|tag| tag.0.as_str()).collect();
    tags.join(&BETWEEN_TAGS.to_string())
}
