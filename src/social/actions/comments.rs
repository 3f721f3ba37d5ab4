//! Writing: somebody comments on a post; its author changes a comment; its author, the author of
//! the post, or an admin deletes it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::{Error as QueryError, QueryResult};
use sha2::{Digest, Sha256};

use crate::core::bus::Bus;
use crate::core::db::{Conn, DbError, dialect};
use crate::core::idempotency_key::IdempotencyKey;
use crate::core::precondition::Precondition;
use crate::core::rate_limits::LimitExceeded;
use crate::posts::actions::of_others::{self, KeyState};
use crate::posts::stats::{Stat, StatChanges};
use crate::posts::stored::{Editor, PostAccess};
use crate::posts::views::PublishedResponse;
use crate::social::events::{self, CommentsChanged};
use crate::social::storage::comments as rows;
use crate::social::types::{CommentText, NewComment, StoredComment};
use crate::social::views::RenderedComment;
use crate::social::{Social, limits};

/// A request to comment.
#[derive(Clone, Debug)]
pub struct CommentRequest {
    pub post_id: i64,
    pub author: Editor,
    pub comment: NewComment,
    /// The same request with the same key comments once.
    pub key: Option<IdempotencyKey>,
}

/// What came of it.
#[derive(Debug)]
pub enum Commented {
    /// The comment is there; the response has its id as `post_id`. For a repeated request: the
    /// response to the first, byte for byte.
    Done(PublishedResponse),
    /// The author is gone or not active any more.
    NoAuthor,
    /// There is no such post, or a draft of somebody else's.
    NoPost,
    /// What it answers is no comment of the post, or was deleted.
    NoParent,
    /// The key was used for something else.
    KeyReused,
    /// The first request with the key is still in progress.
    KeyInUse,
    RateLimited(LimitExceeded),
}

/// Comments on a post.
pub async fn comment(social: &Social, request: CommentRequest) -> Result<Commented, DbError> {
    let user_id = request.author.user_id;
    let taken = social.limits.take(&limits::COMMENTS_OF_USER, &user_id);
    if let Err(limited) = taken.await {
        return Ok(Commented::RateLimited(limited));
    }
    let now = social.clock.now();
    let has_key = request.key.is_some();
    let post_id = request.post_id;
    let request = Arc::new(request);
    let work = move |conn: &mut Conn| insert(conn, &request, now);
    let bus = Arc::clone(&social.bus);
    let settle = move |done: &(Commented, bool)| {
        if let (Commented::Done(response), true) = done {
            announce(&bus, post_id, response.post_id);
        }
    };
    match social.db.write_then(work, settle).await {
        Ok((commented, _)) => Ok(commented),
        // Of two that found the key free one was a moment earlier.
        Err(DbError::Unique(_)) if has_key => Ok(Commented::KeyInUse),
        // The author was deleted between the look and the insert.
        Err(DbError::ForeignKey(_)) => Ok(Commented::NoAuthor),
        Err(error) => Err(error),
    }
}

fn announce(bus: &Bus, post_id: i64, comment_id: i64) {
    let changed = CommentsChanged {
        post_ids: vec![post_id],
        comment_ids: vec![comment_id],
    };
    events::comments_counted(bus, &changed);
}

/// What came of it, and whether there is a new comment.
fn insert(
    conn: &mut Conn,
    request: &CommentRequest,
    now: NaiveDateTime,
) -> QueryResult<(Commented, bool)> {
    let author = request.author.user_id;
    let Some(key) = &request.key else {
        let inserted = insert_row(conn, request, now)?;
        let is_new = matches!(inserted, Commented::Done(_));
        return Ok((inserted, is_new));
    };
    let hash = request_hash(request);
    match of_others::claim_key(conn, author, key, &hash, now)? {
        KeyState::Claimed => {}
        KeyState::Completed(response) => return Ok((Commented::Done(response), false)),
        KeyState::Reused => return Ok((Commented::KeyReused, false)),
        KeyState::InProgress => return Ok((Commented::KeyInUse, false)),
    }
    let inserted = insert_row(conn, request, now)?;
    if let Commented::Done(response) = &inserted {
        of_others::complete_key(conn, author, key, response)?;
        return Ok((inserted, true));
    }
    of_others::release_key(conn, author, key)?;
    Ok((inserted, false))
}

fn insert_row(
    conn: &mut Conn,
    request: &CommentRequest,
    now: NaiveDateTime,
) -> QueryResult<Commented> {
    let CommentRequest {
        post_id,
        author,
        comment: new,
        key: _,
    } = request;
    let Some((name, username)) = rows::find_author(conn, author.user_id)? else {
        return Ok(Commented::NoAuthor);
    };
    if hold_visible(conn, *post_id, *author)?.is_none() {
        return Ok(Commented::NoPost);
    }
    if let Some(parent) = new.reply_to
        && !hold_parent(conn, *post_id, parent)?
    {
        return Ok(Commented::NoParent);
    }
    let comment_id = rows::insert(conn, (*post_id, author.user_id), new, now)?;
    let mut changes = StatChanges::default();
    changes.add(*post_id, Stat::Comments, 1);
    changes.add(*post_id, Stat::Entries, 1);
    of_others::count(conn, &changes)?;
    let comment = StoredComment {
        comment_id,
        post_id: *post_id,
        reply_to: new.reply_to,
        content: new.content.0.clone(),
        created: now,
        updated: now,
        deleted: false,
        author_id: Some(author.user_id),
        author: Some(name),
        author_username: username,
    };
    let RenderedComment { body, etag } = rendered(&comment)?;
    Ok(Commented::Done(PublishedResponse {
        post_id: comment_id,
        etag,
        body,
    }))
}

/// A post that this reader sees, which stays until the transaction ends.
fn hold_visible(conn: &mut Conn, post_id: i64, reader: Editor) -> QueryResult<Option<PostAccess>> {
    let access = of_others::hold(conn, post_id)?;
    Ok(access.filter(|access| access.is_visible_to(Some(reader))))
}

/// Has a comment stay until the transaction ends: whether it is one of the post that can be
/// answered.
fn hold_parent(conn: &mut Conn, post_id: i64, comment_id: i64) -> QueryResult<bool> {
    if !dialect::share_comment(conn, comment_id)? {
        return Ok(false);
    }
    let parent = rows::find(conn, comment_id)?;
    Ok(parent.is_some_and(|parent| parent.post_id == post_id && !parent.is_deleted()))
}

fn rendered(comment: &StoredComment) -> QueryResult<RenderedComment> {
    RenderedComment::of(comment).map_err(|error| QueryError::SerializationError(Box::new(error)))
}

/// The fingerprint of a request, the same in any spelling of its JSON and that of no post.
fn request_hash(request: &CommentRequest) -> String {
    let NewComment { content, reply_to } = &request.comment;
    let mut hash = Sha256::new();
    hash.update("comment");
    hash.update(request.post_id.to_le_bytes());
    hash.update(reply_to.unwrap_or(0).to_le_bytes());
    hash.update(&content.0);
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Which comment is edited, by whom, and in which state it must be.
#[derive(Clone, Debug)]
pub struct Edit {
    pub comment_id: i64,
    pub editor: Editor,
    /// The states that the edit is meant for, by the ETags of the comment's JSON.
    pub precondition: Precondition,
}

/// Why a comment is not edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditRefusal {
    /// There is none, it was deleted, or its post is not there for this reader.
    NotFound,
    /// It is somebody else's.
    NotYours,
    /// It is no longer in a state that the edit is meant for.
    Stale,
}

/// What came of an edit.
pub type Edited<T> = Result<T, EditRefusal>;

/// Gives a comment another text; gives it as it is then. What is there already changes nothing.
pub async fn change(
    social: &Social,
    edit: Edit,
    content: CommentText,
) -> Result<Edited<StoredComment>, DbError> {
    let now = social.clock.now();
    let work = move |conn: &mut Conn| update(conn, &edit, &content, now);
    let bus = Arc::clone(&social.bus);
    let settle = move |done: &Edited<(StoredComment, bool)>| {
        if let Ok((comment, true)) = done {
            bus.publish(&CommentsChanged {
                post_ids: vec![comment.post_id],
                comment_ids: vec![comment.comment_id],
            });
        }
    };
    let done = social.db.write_then(work, settle).await?;
    Ok(done.map(|(comment, _)| comment))
}

/// The comment as it is then, and whether it has changed.
fn update(
    conn: &mut Conn,
    edit: &Edit,
    content: &CommentText,
    now: NaiveDateTime,
) -> QueryResult<Edited<(StoredComment, bool)>> {
    let is_own =
        |_: &PostAccess, comment: &StoredComment| comment.author_id == Some(edit.editor.user_id);
    let mut comment = match hold(conn, edit, is_own)? {
        Ok(comment) => comment,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if comment.content == content.0 {
        return Ok(Ok((comment, false)));
    }
    comment.content.clone_from(&content.0);
    comment.updated = now.max(comment.updated + TimeDelta::microseconds(1));
    rows::update(conn, comment.comment_id, &content.0, comment.updated)?;
    Ok(Ok((comment, true)))
}

/// Deletes a comment; one that has replies leaves its place.
pub async fn delete(social: &Social, edit: Edit) -> Result<Edited<()>, DbError> {
    let now = social.clock.now();
    let work = move |conn: &mut Conn| remove(conn, &edit, now);
    let bus = Arc::clone(&social.bus);
    let settle = move |done: &Edited<StoredComment>| {
        if let Ok(comment) = done {
            announce(&bus, comment.post_id, comment.comment_id);
        }
    };
    let done = social.db.write_then(work, settle).await?;
    Ok(done.map(drop))
}

fn remove(conn: &mut Conn, edit: &Edit, now: NaiveDateTime) -> QueryResult<Edited<StoredComment>> {
    let Edit { editor, .. } = edit;
    let may = |post: &PostAccess, comment: &StoredComment| {
        comment.author_id == Some(editor.user_id) || editor.owns_those_of(post.author_id)
    };
    let comment = match hold(conn, edit, may)? {
        Ok(comment) => comment,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let ids = [comment.comment_id];
    let mut changes = StatChanges::default();
    changes.add(comment.post_id, Stat::Comments, -1);
    if rows::find_answered(conn, &ids)?.is_empty() {
        rows::delete(conn, &ids)?;
        changes.add(comment.post_id, Stat::Entries, -1);
    } else {
        rows::bury(conn, &ids, now)?;
    }
    of_others::count(conn, &changes)?;
    Ok(Ok(comment))
}

/// Holds the comment of an edit against change until the transaction ends, and its post, if the
/// editor sees them, `may` edit it, and it is in the state that they expect. The post first: so
/// do all who write comments.
fn hold(
    conn: &mut Conn,
    edit: &Edit,
    may: impl Fn(&PostAccess, &StoredComment) -> bool,
) -> QueryResult<Edited<StoredComment>> {
    let Some(post_id) = rows::find_post_of(conn, edit.comment_id)? else {
        return Ok(Err(EditRefusal::NotFound));
    };
    let Some(access) = hold_visible(conn, post_id, edit.editor)? else {
        return Ok(Err(EditRefusal::NotFound));
    };
    dialect::lock_comments(conn, &[edit.comment_id])?;
    let comment = rows::find(conn, edit.comment_id)?;
    let Some(comment) = comment.filter(|comment| !comment.is_deleted()) else {
        return Ok(Err(EditRefusal::NotFound));
    };
    if !may(&access, &comment) {
        return Ok(Err(EditRefusal::NotYours));
    }
    if edit.precondition.is_particular() {
        let etag = rendered(&comment)?.etag;
        if !edit.precondition.matches(&etag) {
            return Ok(Err(EditRefusal::Stale));
        }
    }
    Ok(Ok(comment))
}
