//! What is counted of a post beside it: comments and likes. The numbers are kept, changed in the
//! transaction of what they count, and spread over slots, so that a hundred who like one post at
//! once do not queue behind one row.

use std::collections::BTreeMap;

use diesel::Queryable;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::sql_types::BigInt;

use crate::core::db::dialect;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stat {
    /// Comments that are there.
    Comments,
    /// Those and what is left of deleted ones: the rows of the list of comments.
    Entries,
    Likes,
}

impl Stat {
    pub const ALL: [Self; 3] = [Self::Comments, Self::Entries, Self::Likes];

    /// As it is stored, for ever.
    pub const fn kind(self) -> i32 {
        match self {
            Self::Comments => 0,
            Self::Entries => 1,
            Self::Likes => 2,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Comments => "comments",
            Self::Entries => "entries",
            Self::Likes => "likes",
        }
    }
}

/// The numbers that are shown with a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostCounts {
    pub likes: i64,
    pub comments: i64,
}

impl PostCounts {
    /// What a query for posts asks for, in this order.
    pub const KINDS: [i32; 2] = [Stat::Likes.kind(), Stat::Comments.kind()];
}

/// From the one number in which a query has both.
impl<DB: Backend> Queryable<BigInt, DB> for PostCounts
where
    i64: FromSql<BigInt, DB>,
{
    type Row = i64;

    fn build(number: i64) -> deserialize::Result<Self> {
        let (likes, comments) = dialect::two_of(number);
        Ok(Self { likes, comments })
    }
}

/// Additions to what is counted of posts, gathered before they are written; in the order of the
/// rows, so that two transactions do not lock them crosswise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatChanges(BTreeMap<(i64, i32), i64>);

impl StatChanges {
    /// Counts `by` more of a post.
    pub fn add(&mut self, post_id: i64, stat: Stat, by: i64) {
        *self.0.entry((post_id, stat.kind())).or_default() += by;
    }

    /// The same for a kind as it is stored, whatever it is.
    pub fn add_kind(&mut self, (post_id, kind): (i64, i32), by: i64) {
        *self.0.entry((post_id, kind)).or_default() += by;
    }

    /// Those that change something: post, kind, and by how many.
    pub fn rows(&self) -> impl Iterator<Item = ((i64, i32), i64)> {
        self.0
            .iter()
            .filter(|(_, by)| **by != 0)
            .map(|(key, by)| (*key, *by))
    }
}
