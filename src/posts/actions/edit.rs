//! Changing and deleting: the author of a post, or an admin, edits it.

use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::{Error as QueryError, QueryResult};

use crate::core::db::{Conn, DbError};
use crate::core::precondition::Precondition;
use crate::posts::storage::posts as rows;
use crate::posts::stored::{Editor, PostSummary, StoredPost};
use crate::posts::types::{PostChange, Status};
use crate::posts::views::{self, Post};
use crate::posts::{Posts, events};

/// Which post is edited, by whom, and in which state it must be.
#[derive(Clone, Debug)]
pub struct Edit {
    pub post_id: i64,
    pub editor: Editor,
    /// The states that the edit is meant for, by the ETags of the post's JSON.
    pub precondition: Precondition,
}

/// Why a post is not edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditRefusal {
    /// There is none, or a draft of somebody else's.
    NotFound,
    /// It is somebody else's.
    NotYours,
    /// It is no longer in a state that the edit is meant for.
    Stale,
}

/// What came of an edit.
pub type Edited<T> = Result<T, EditRefusal>;

/// A post before and after a change.
struct Changed {
    before: PostSummary,
    after: StoredPost,
}

/// Changes a post; gives it as it is then. `updated` grows with every change, so that no
/// two states of a post are alike.
pub async fn change(
    posts: &Posts,
    edit: Edit,
    change: PostChange,
) -> Result<Edited<StoredPost>, DbError> {
    let now = posts.clock.now();
    let bus = Arc::clone(&posts.bus);
    let work = move |conn: &mut Conn| update(conn, &edit, &change, now);
    let settle = move |done: &Result<Edited<Changed>, DbError>| match done {
        Ok(Ok(Changed { before, after })) => {
            events::post_changed(&bus, &[before, &after.summary]);
        }
        Ok(Err(_)) => {}
        Err(error) => events::write_failed(&bus, error),
    };
    let changed = posts.db.write_then(work, settle).await?;
    Ok(changed.map(|changed| changed.after))
}

/// Deletes a post.
pub async fn delete(posts: &Posts, edit: Edit) -> Result<Edited<()>, DbError> {
    let bus = Arc::clone(&posts.bus);
    let work = move |conn: &mut Conn| {
        let post = match lock_for(conn, &edit)? {
            Ok(post) => post.summary,
            Err(refusal) => return Ok(Err(refusal)),
        };
        rows::delete_post(conn, &post)?;
        Ok(Ok(post))
    };
    let settle = move |done: &Result<Edited<PostSummary>, DbError>| match done {
        Ok(Ok(post)) => events::post_changed(&bus, &[post]),
        Ok(Err(_)) => {}
        Err(error) => events::write_failed(&bus, error),
    };
    let deleted = posts.db.write_then(work, settle).await?;
    Ok(deleted.map(drop))
}

fn update(
    conn: &mut Conn,
    edit: &Edit,
    change: &PostChange,
    now: NaiveDateTime,
) -> QueryResult<Edited<Changed>> {
    let mut after = match lock_for(conn, edit)? {
        Ok(post) => post,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let before = after.summary.clone();
    if change.is_empty() {
        return Ok(Ok(Changed { before, after }));
    }
    apply(change, &mut after, now);
    if after.summary.published && !before.published {
        after.summary.position = rows::take_position(conn, &after.summary)?;
    }
    rows::update_post(conn, &before, &after, change.content.is_some())?;
    Ok(Ok(Changed { before, after }))
}

/// Makes of a post what it is after a change, but for its position.
fn apply(change: &PostChange, post: &mut StoredPost, now: NaiveDateTime) {
    let PostChange {
        title,
        content,
        status,
        tags,
    } = change;
    let StoredPost { summary, text } = post;
    if let Some(title) = title {
        summary.title.clone_from(&title.0);
    }
    if let Some(content) = content {
        text.clone_from(content);
    }
    if let Some(tags) = tags {
        summary.set_tags(tags);
    }
    summary.updated = now.max(summary.updated + TimeDelta::microseconds(1));
    if let Some(status) = status {
        let published = *status == Status::Published;
        if published != summary.published {
            summary.published = published;
            summary.date = summary.updated;
        }
    }
}

/// Holds the post of an edit against change until the transaction ends, if the editor may
/// edit it (a draft of somebody else's is not there) and it is in the state that they
/// expect.
fn lock_for(conn: &mut Conn, edit: &Edit) -> QueryResult<Edited<StoredPost>> {
    let Some(post) = rows::lock_post(conn, edit.post_id)? else {
        return Ok(Err(EditRefusal::NotFound));
    };
    if !edit.editor.owns(&post.summary) {
        return Ok(Err(if post.summary.published {
            EditRefusal::NotYours
        } else {
            EditRefusal::NotFound
        }));
    }
    if !matches(&edit.precondition, &post)? {
        return Ok(Err(EditRefusal::Stale));
    }
    Ok(Ok(post))
}

/// Whether the post is in a state that the edit is meant for.
fn matches(precondition: &Precondition, post: &StoredPost) -> QueryResult<bool> {
    if !precondition.is_particular() {
        return Ok(true);
    }
    let etag = views::etag(&Post::from(post.clone()))
        .map_err(|error| QueryError::SerializationError(Box::new(error)))?;
    Ok(precondition.matches(&etag))
}
