//! Storage: the rows of comments, likes and follows, and of what deleted posts leave.

pub mod comments;
pub mod follows;
pub mod leftovers;
pub mod likes;
