//! Storage: the rows of comments and likes, and of what deleted posts leave.

pub mod comments;
pub mod leftovers;
pub mod likes;
