//! Rate limits of the room: how often one may comment.

use std::time::Duration;

use crate::core::rate_limits::{DeclaredLimit, Limit, SubjectLimit};

/// Comments from one address, which many people may share.
pub const COMMENTS: Limit = Limit::new("comments", 20, 60, Duration::from_secs(1));

/// Comments of one user, from all addresses together.
pub const COMMENTS_OF_USER: SubjectLimit = SubjectLimit::new(
    ("comments of user", "refusal of a comment"),
    (20, Duration::from_secs(4)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// Likes and follows of one user, given or taken back, from all addresses together: each has answers made
/// anew for everybody who reads what it is shown with.
pub const LIKES_AND_FOLLOWS_OF_USER: SubjectLimit = SubjectLimit::new(
    ("likes and follows of user", "refusal of a like or follow"),
    (300, Duration::from_secs(2)),
    (Duration::from_secs(30), Duration::from_secs(120)),
);

/// [`COMMENTS`] as a type.
pub enum Comments {}

impl DeclaredLimit for Comments {
    const LIMIT: Limit = COMMENTS;
}
