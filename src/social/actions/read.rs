//! Reading: a comment, a part of the list of a post's comments.

use crate::core::db::{Bulkhead, DbError};
use crate::core::page::{ListPart, Listed};
use crate::posts::actions::of_others;
use crate::posts::stats::Stat;
use crate::posts::stored::{PostAccess, PostSummary};
use crate::social::Social;
use crate::social::storage::comments;
use crate::social::types::{CommentFilter, StoredComment};

/// A comment, with who sees the post that it is of; `None` when either is not there.
pub async fn find(
    social: &Social,
    comment_id: i64,
) -> Result<Option<(PostAccess, StoredComment)>, DbError> {
    let find = move |conn: &mut _| {
        let Some(comment) = comments::find(conn, comment_id)? else {
            return Ok(None);
        };
        let access = of_others::find(conn, comment.post_id)?;
        Ok(access.map(|access| (access, comment)))
    };
    social.db.snapshot(find).await
}

/// The newest comments of a published post, or what comes after a cursor, with the post; `None` when
/// there is no such post. Places of deleted ones are among them.
pub async fn newest(
    social: &Social,
    post_id: i64,
    before: Option<i64>,
    size: u32,
) -> Result<Option<(PostSummary, Listed<StoredComment>)>, DbError> {
    let load = move |conn: &mut _| {
        let Some(post) = of_others::find_published(conn, post_id)? else {
            return Ok(None);
        };
        let listed = comments::load_newest(conn, post_id, before, size)?;
        Ok(Some((post, listed)))
    };
    social.db.snapshot(load).await
}

/// A part of the list of a post's comments, with who sees the post; `None` when there is no such
/// post.
pub async fn list(
    social: &Social,
    post_id: i64,
    part: ListPart,
) -> Result<Option<(PostAccess, Listed<StoredComment>)>, DbError> {
    let load = move |conn: &mut _| {
        let Some(access) = of_others::find(conn, post_id)? else {
            return Ok(None);
        };
        let count = of_others::counted(conn, post_id, Stat::Entries)?;
        let listed = comments::load_part(conn, post_id, count, part)?;
        Ok(Some((access, listed)))
    };
    social.db.snapshot(load).await
}

/// A part of the comments of all posts, drafts too, the newest first: for admins.
pub async fn list_all(
    social: &Social,
    filter: CommentFilter,
    part: ListPart,
) -> Result<Listed<StoredComment>, DbError> {
    let db = if filter.words.is_some() {
        // As other searches: they keep nobody from a connection.
        social.db.reading_by(Bulkhead::Searches)
    } else {
        social.db.clone()
    };
    db.snapshot(move |conn: &mut _| comments::load_of_all(conn, &filter, part))
        .await
}

/// The place of a comment among those of a post, from 0; `None` when it is none of them.
pub async fn place(social: &Social, post_id: i64, comment_id: i64) -> Result<Option<i64>, DbError> {
    let count = move |conn: &mut _| comments::count_before(conn, post_id, comment_id);
    social.db.snapshot(count).await
}
