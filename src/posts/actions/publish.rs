//! Publishing: an author makes a post.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::NaiveDateTime;
use diesel::result::{Error as QueryError, QueryResult};

use super::prepare;
use crate::core::bus::Bus;
use crate::core::db::{Conn, DbError};
use crate::posts::search::Scope;
use crate::posts::storage::idempotency::{self, KeyState};
use crate::posts::storage::posts::insert_post;
use crate::posts::stored::{PostSummary, StoredPost};
use crate::posts::types::{IdempotencyKey, NewPost, Status};
use crate::posts::views::PublishedResponse;
use crate::posts::{Posts, events, search};

/// A request to publish, or to draft.
#[derive(Clone, Debug)]
pub struct Publish {
    pub author_id: i64,
    pub post: NewPost,
    /// The same request with the same key publishes once.
    pub key: Option<IdempotencyKey>,
}

/// What came of it.
#[derive(Debug)]
pub enum Published {
    /// The post is there. For a repeated request: the response to the first, byte for byte.
    Done(PublishedResponse),
    /// The author is gone or not active any more.
    NoAuthor,
    /// The key was used for another post.
    KeyReused,
    /// The first request with the key is still in progress.
    KeyInUse,
}

/// What came of the transaction.
enum Inserted {
    /// Without a key: the response is rendered when the transaction is over.
    Plain(PostSummary),
    /// With a key: the response is stored with the post.
    WithKey(PostSummary, PublishedResponse),
    /// By an earlier request.
    Before(PublishedResponse),
    NoAuthor,
    KeyReused,
    KeyInUse,
}

/// Publishes or drafts a post.
///
/// The response is rendered here and not by the caller: it is stored in the transaction
/// that inserts the post, so that a repeated request is answered byte for byte.
pub async fn publish(posts: &Posts, request: Publish) -> Result<Published, DbError> {
    let now = posts.clock.now();
    let request = Arc::new(request);
    let words = words_of(&request).await?;
    let hash = (request.key.as_ref()).map(|_| idempotency::request_hash(&request.post));
    let (ours, bus) = (Arc::clone(&request), Arc::clone(&posts.bus));
    let claims = request.key.is_some();
    // Whether it is the key that a unique index refuses, or something behind it.
    let claiming = Arc::new(AtomicBool::new(claims));
    let is_claiming = Arc::clone(&claiming);
    let work = move |conn: &mut Conn| {
        is_claiming.store(claims, Ordering::Relaxed);
        let hash = hash.as_deref().unwrap_or("");
        insert(conn, &ours, hash, &words, now, &is_claiming)
    };
    let settle = move |done: &Result<Inserted, DbError>| announce(&bus, done);
    Ok(match posts.db.write_then(work, settle).await {
        Ok(Inserted::Plain(summary)) => {
            let text = request.post.content.clone();
            let response = PublishedResponse::render(StoredPost { summary, text })
                .map_err(|error| DbError::fault(error))?;
            Published::Done(response)
        }
        Ok(Inserted::WithKey(_, response) | Inserted::Before(response)) => {
            Published::Done(response)
        }
        Ok(Inserted::KeyReused) => Published::KeyReused,
        Ok(Inserted::KeyInUse) => Published::KeyInUse,
        // Of two that found the key free one was a moment earlier.
        Err(DbError::Unique(_)) if claiming.load(Ordering::Relaxed) => Published::KeyInUse,
        // The author was deleted between the look and the insert.
        Ok(Inserted::NoAuthor) | Err(DbError::ForeignKey(_)) => Published::NoAuthor,
        Err(error) => return Err(error),
    })
}

fn insert(
    conn: &mut Conn,
    request: &Publish,
    request_hash: &str,
    words: &str,
    now: NaiveDateTime,
    claiming: &AtomicBool,
) -> QueryResult<Inserted> {
    let (author, post) = (request.author_id, &request.post);
    let Some(key) = &request.key else {
        let inserted = insert_post(conn, author, post, words, now)?;
        return Ok(inserted.map_or(Inserted::NoAuthor, Inserted::Plain));
    };
    match idempotency::claim(conn, author, key, request_hash, now)? {
        KeyState::Claimed => claiming.store(false, Ordering::Relaxed),
        KeyState::Completed(response) => return Ok(Inserted::Before(response)),
        KeyState::Reused => return Ok(Inserted::KeyReused),
        KeyState::InProgress => return Ok(Inserted::KeyInUse),
    }
    let Some(summary) = insert_post(conn, author, post, words, now)? else {
        idempotency::release(conn, author, key)?;
        return Ok(Inserted::NoAuthor);
    };
    let stored = StoredPost {
        summary: summary.clone(),
        text: post.content.clone(),
    };
    let response = PublishedResponse::render(stored)
        .map_err(|error| QueryError::SerializationError(Box::new(error)))?;
    idempotency::complete(conn, author, key, &response)?;
    Ok(Inserted::WithKey(summary, response))
}

fn announce(bus: &Bus, done: &Result<Inserted, DbError>) {
    match done {
        Ok(Inserted::Plain(post) | Inserted::WithKey(post, _)) => {
            events::post_changed(bus, &[post]);
        }
        Ok(_) => {}
        Err(error) => events::write_failed(bus, error),
    }
}

/// The words of a post, before its transaction: on SQLite all who write wait for that.
async fn words_of(request: &Arc<Publish>) -> Result<String, DbError> {
    let size = request.post.content.len();
    let request = Arc::clone(request);
    prepare(size, move || {
        let Publish {
            author_id, post, ..
        } = &*request;
        let scope = Scope::of(post.status == Status::Published, *author_id);
        let words = search::words_of(&post.title.0, &post.content);
        scope.spell(&words).into_owned()
    })
    .await
}
