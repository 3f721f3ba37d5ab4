//! A request to publish, on its way into the database.

use std::sync::Arc;

use chrono::NaiveDateTime;

use crate::core::db::DbError;
use crate::core::gather::Gatherer;
use crate::posts::search::PostWords;
use crate::posts::stored::{Excerpt, PostSummary};
use crate::posts::types::{IdempotencyKey, NewPost};
use crate::posts::views::PublishedResponse;

/// A request to publish, or to draft.
#[derive(Clone, Debug)]
pub struct Publish {
    pub author_id: i64,
    pub post: NewPost,
    /// The same request with the same key publishes once.
    pub key: Option<IdempotencyKey>,
}

/// A request with what is made of it before its transaction.
#[derive(Debug)]
pub struct Prepared {
    pub request: Publish,
    /// What it is found and ranked by, as its scope spells it.
    pub words: PostWords,
    pub excerpt: Excerpt,
    /// What its title is as a slug.
    pub title_slug: String,
    /// The fingerprint of the request; empty without a key.
    pub request_hash: String,
    pub now: NaiveDateTime,
}

/// What came of the transaction.
#[derive(Debug)]
pub enum Inserted {
    /// Without a key: the response is rendered when the transaction is over.
    Plain(PostSummary),
    /// With a key: the response is stored with the post.
    WithKey(PostSummary, PublishedResponse),
    /// By an earlier request.
    Before(PublishedResponse),
    /// The author is gone or not active any more.
    NoAuthor,
    /// Another post has the slug that was chosen.
    SlugTaken,
    /// The key was used for another post.
    KeyReused,
    /// The first request with the key is still in progress.
    KeyInUse,
}

/// Inserts posts. Those who publish at the same time share a transaction.
pub type Publisher = Gatherer<Arc<Prepared>, Result<Inserted, DbError>>;
