//! Comments, as their authors write them and as they are stored; likes and follows.

use chrono::NaiveDateTime;
use diesel::Queryable;

use crate::core::db::dialect::FollowRows;
use crate::core::text::is_blank;
use crate::error::Code;
use crate::http::body::Fault;

/// Characters of a comment.
pub const COMMENT_MAX: usize = 10_000;

/// The text of a comment: 1 to 10,000 characters, kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentText(pub String);

impl CommentText {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if is_blank(text) {
            return Err(Fault(
                Code::ContentEmpty,
                "needs at least one visible character",
            ));
        }
        if text.chars().count() > COMMENT_MAX {
            return Err(Fault(Code::CommentTooLong, "has at most 10,000 characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A comment that somebody writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewComment {
    pub content: CommentText,
    /// The comment that it answers.
    pub reply_to: Option<i64>,
}

/// Which comments of all posts an admin looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommentFilter {
    pub author: Option<i64>,
    /// A part of the text, in any case.
    pub words: Option<String>,
}

/// A comment as it is stored, with its author's names; of one that was deleted and had replies
/// only that it was there.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct StoredComment {
    pub comment_id: i64,
    pub post_id: i64,
    pub reply_to: Option<i64>,
    pub(in crate::social) content: String,
    pub created: NaiveDateTime,
    pub updated: NaiveDateTime,
    pub(in crate::social) deleted: bool,
    /// Nobody when they were deleted.
    pub author_id: Option<i64>,
    pub author: Option<String>,
    pub author_username: Option<String>,
}

impl StoredComment {
    /// Whether it is no more than a place in the list. So is one whose author was deleted, until
    /// the job that deletes what they left comes to it.
    pub fn is_deleted(&self) -> bool {
        self.deleted || self.author.is_none()
    }

    /// What its author wrote; nothing when it was deleted.
    pub fn content(&self) -> &str {
        if self.is_deleted() { "" } else { &self.content }
    }
}

/// That somebody likes a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct StoredLike {
    pub post_id: i64,
    pub created: NaiveDateTime,
}

/// That somebody follows somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct StoredFollow {
    /// Who is followed.
    pub user_id: i64,
    pub created: NaiveDateTime,
    /// In the order of time.
    pub follow_id: i64,
}

/// Which of the lists of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowList {
    /// Those who follow them.
    Followers,
    /// Those whom they follow.
    Following,
}

impl FollowList {
    /// As its count is stored, for ever.
    pub const fn kind(self) -> i32 {
        match self {
            Self::Followers => 0,
            Self::Following => 1,
        }
    }

    /// The rows of a user's.
    pub fn rows_of(self, user_id: i64) -> FollowRows {
        match self {
            Self::Followers => FollowRows::Followers(user_id),
            Self::Following => FollowRows::Following(user_id),
        }
    }

    /// In paths, and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Followers => "followers",
            Self::Following => "following",
        }
    }
}
