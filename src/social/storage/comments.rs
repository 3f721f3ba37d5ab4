//! The rows of comments. Every query goes along an index.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::dialect;
use crate::core::db::schema::{comment, user};
use crate::core::page::{DEPTH, ListPart, Listed, find_keys};
use crate::social::types::{CommentFilter, NewComment, StoredComment};

/// The columns of a [`StoredComment`], in its order.
macro_rules! columns {
    () => {
        (
            comment::comment_id,
            comment::post_id,
            comment::reply_to,
            comment::content,
            comment::created,
            comment::updated,
            comment::deleted,
            user::user_id.nullable(),
            user::name.nullable(),
            user::username.nullable(),
        )
    };
}

/// Comments with their authors, but for those who were deleted.
macro_rules! with_authors {
    () => {
        comment::table.left_join(
            user::table.on(user::user_id
                .nullable()
                .eq(comment::author_id)
                .and(user::role.ne(DELETED))),
        )
    };
}

/// Name and username of who may write; `None` when they are gone or not active.
pub fn find_author(conn: &mut Conn, user_id: i64) -> QueryResult<Option<(String, Option<String>)>> {
    user::table
        .find(user_id)
        .filter(user::is_active.eq(true))
        .select((user::name, user::username))
        .first(conn)
        .optional()
}

/// Inserts a comment and gives its id.
pub fn insert(
    conn: &mut Conn,
    (post_id, author_id): (i64, i64),
    new: &NewComment,
    now: NaiveDateTime,
) -> QueryResult<i64> {
    let NewComment { content, reply_to } = new;
    diesel::insert_into(comment::table)
        .values((
            comment::post_id.eq(post_id),
            comment::author_id.eq(Some(author_id)),
            comment::reply_to.eq(reply_to),
            comment::content.eq(&content.0),
            comment::created.eq(now),
            comment::updated.eq(now),
            comment::deleted.eq(false),
        ))
        .execute(conn)?;
    dialect::last_insert(conn)
}

/// A comment, deleted or not.
pub fn find(conn: &mut Conn, comment_id: i64) -> QueryResult<Option<StoredComment>> {
    with_authors!()
        .filter(comment::comment_id.eq(comment_id))
        .select(columns!())
        .first(conn)
        .optional()
}

/// The post of a comment, which never changes.
pub fn find_post_of(conn: &mut Conn, comment_id: i64) -> QueryResult<Option<i64>> {
    comment::table
        .find(comment_id)
        .select(comment::post_id)
        .first(conn)
        .optional()
}

/// A part of the list of a post's comments, the oldest first, `count` being how many there are.
/// Call it in a snapshot. Of a page the rows before it are passed over in the index, which holds
/// no texts, up to [`DEPTH`].
pub fn load_part(
    conn: &mut Conn,
    post_id: i64,
    count: i64,
    part: ListPart,
) -> QueryResult<Listed<StoredComment>> {
    let (after, skip, size, count) = match part {
        ListPart::Page(request) => (0, request.offset(), request.size, Some(count)),
        ListPart::Below { position, size } => (position.unwrap_or(0), 0, size, None),
    };
    let rows = || comment::table.filter(comment::post_id.eq(post_id));
    let mut ids: Vec<i64> = if skip > DEPTH || count.is_some_and(|count| skip >= count) {
        Vec::new()
    } else {
        rows()
            .filter(comment::comment_id.gt(after))
            .filter(dialect::in_time(comment::comment_id))
            .order((comment::post_id, comment::comment_id))
            .offset(skip)
            // One more than shown tells whether there is more.
            .limit(i64::from(size) + 1)
            .select(comment::comment_id)
            .load(conn)?
    };
    let has_more = ids.len() > size as usize;
    ids.truncate(size as usize);
    let next = ids.last().copied().filter(|_| has_more);
    let rows = load(conn, &ids)?;
    Ok(Listed { rows, count, next })
}

/// The newest comments of a post, or what comes after a cursor, with the places of deleted ones. Call
/// it in a snapshot.
pub fn load_newest(
    conn: &mut Conn,
    post_id: i64,
    before: Option<i64>,
    size: u32,
) -> QueryResult<Listed<StoredComment>> {
    let mut ids: Vec<i64> = comment::table
        .filter(comment::post_id.eq(post_id))
        .filter(comment::comment_id.lt(before.unwrap_or(i64::MAX)))
        .order((comment::post_id.desc(), comment::comment_id.desc()))
        // One more than shown tells whether there is more.
        .limit(i64::from(size) + 1)
        .select(comment::comment_id)
        .load(conn)?;
    let has_more = ids.len() > size as usize;
    ids.truncate(size as usize);
    let next = ids.last().copied().filter(|_| has_more);
    let mut rows = load(conn, &ids)?;
    rows.reverse();
    Ok(Listed {
        rows,
        count: None,
        next,
    })
}

/// These comments, the oldest first.
fn load(conn: &mut Conn, comment_ids: &[i64]) -> QueryResult<Vec<StoredComment>> {
    if comment_ids.is_empty() {
        return Ok(Vec::new());
    }
    with_authors!()
        .filter(dialect::any_of(comment::comment_id, comment_ids))
        .order(comment::comment_id)
        .select(columns!())
        .load(conn)
}

/// Comments that are looked through for words at once. No index knows their texts, and they may
/// be millions: the cursor leads to those behind.
const LOOKED_THROUGH: usize = 20_000;
/// Those that a statement looks through: of a thousand and more MariaDB makes a table first.
const AT_ONCE: usize = 500;

/// Part of the comments of all posts, the newest first, without what is left of deleted ones. With
/// words, pages are no way into it, and a part may be short and have a next one. Call it in a snapshot.
pub fn load_of_all(
    conn: &mut Conn,
    filter: &CommentFilter,
    part: ListPart,
) -> QueryResult<Listed<StoredComment>> {
    let CommentFilter { author, words } = filter;
    let found = match words {
        None => find_keys(part, |below, limit| newest(conn, *author, below, limit))?,
        Some(words) => find_with_words(conn, *author, words, part)?,
    };
    let mut rows = load(conn, &found.rows)?;
    rows.reverse();
    Ok(found.with(rows))
}

/// Ids of comments below one, the newest first.
fn newest(conn: &mut Conn, author: Option<i64>, below: i64, limit: i64) -> QueryResult<Vec<i64>> {
    let rows = comment::table
        .filter(comment::comment_id.lt(below))
        .filter(dialect::in_time(comment::comment_id))
        .limit(limit)
        .select(comment::comment_id);
    match author {
        // What is left of deleted ones has no author, so the index alone tells which these are.
        Some(author) => rows
            .filter(comment::author_id.eq(author))
            .order((comment::author_id.desc(), comment::comment_id.desc()))
            .load(conn),
        None => rows
            .filter(comment::deleted.eq(false))
            .order(comment::comment_id.desc())
            .load(conn),
    }
}

/// The comments of a part that have these words.
fn find_with_words(
    conn: &mut Conn,
    author: Option<i64>,
    words: &str,
    part: ListPart,
) -> QueryResult<Listed<i64>> {
    let (below, size) = match part {
        ListPart::Page(request) => (i64::MAX, request.size as usize),
        ListPart::Below { position, size } => (position.unwrap_or(i64::MAX), size as usize),
    };
    let most = i64::try_from(LOOKED_THROUGH).unwrap_or(i64::MAX);
    let looked_at = newest(conn, author, below, most)?;
    let pattern = dialect::containing(words);
    let mut rows: Vec<i64> = Vec::new();
    for some in looked_at.chunks(AT_ONCE) {
        let has_words = dialect::lower(comment::content).like(&pattern).escape('!');
        let found: Vec<i64> = comment::table
            .filter(dialect::any_of(comment::comment_id, some))
            .filter(has_words)
            .order(comment::comment_id.desc())
            .select(comment::comment_id)
            .load(conn)?;
        rows.extend(found);
        if rows.len() > size {
            break;
        }
    }
    let next = if rows.len() > size {
        rows.truncate(size);
        rows.last()
    } else {
        looked_at
            .last()
            .filter(|_| looked_at.len() == LOOKED_THROUGH)
    };
    let next = next.copied();
    Ok(Listed {
        rows,
        count: None,
        next,
    })
}

/// How many comments of a post, and what is left of deleted ones, come before one of them; `None`
/// when it is none of them.
pub fn count_before(conn: &mut Conn, post_id: i64, comment_id: i64) -> QueryResult<Option<i64>> {
    if find_post_of(conn, comment_id)? != Some(post_id) {
        return Ok(None);
    }
    comment::table
        .filter(comment::post_id.eq(post_id))
        .filter(comment::comment_id.lt(comment_id))
        .filter(dialect::in_time(comment::comment_id))
        .count()
        .get_result(conn)
        .map(Some)
}

/// Which of these comments have replies. Of those that the transaction holds none gets one
/// before it ends.
pub fn find_answered(conn: &mut Conn, comment_ids: &[i64]) -> QueryResult<Vec<i64>> {
    dialect::answered_of(conn, comment_ids)
}

/// Gives a comment another text.
pub fn update(
    conn: &mut Conn,
    comment_id: i64,
    content: &str,
    updated: NaiveDateTime,
) -> QueryResult<()> {
    diesel::update(comment::table.find(comment_id))
        .set((comment::content.eq(content), comment::updated.eq(updated)))
        .execute(conn)
        .map(drop)
}

/// Leaves of these comments their places alone: no text and no author.
pub fn bury(conn: &mut Conn, comment_ids: &[i64], now: NaiveDateTime) -> QueryResult<()> {
    if comment_ids.is_empty() {
        return Ok(());
    }
    diesel::update(comment::table.filter(dialect::any_of(comment::comment_id, comment_ids)))
        .set((
            comment::content.eq(""),
            comment::author_id.eq(None::<i64>),
            comment::deleted.eq(true),
            comment::updated.eq(now),
        ))
        .execute(conn)
        .map(drop)
}

/// Deletes these comments.
pub fn delete(conn: &mut Conn, comment_ids: &[i64]) -> QueryResult<()> {
    if comment_ids.is_empty() {
        return Ok(());
    }
    diesel::delete(comment::table.filter(dialect::any_of(comment::comment_id, comment_ids)))
        .execute(conn)
        .map(drop)
}

/// Some comments of an author after one, with the posts that they are of; those of them that
/// are deleted have no author.
pub fn load_ids_of(conn: &mut Conn, author_id: i64, limit: i64) -> QueryResult<Vec<(i64, i64)>> {
    comment::table
        .filter(comment::author_id.eq(author_id))
        .order((comment::author_id, comment::comment_id))
        .limit(limit)
        .select((comment::comment_id, comment::post_id))
        .load(conn)
}

/// Some comments of an author after one, the oldest first.
pub fn load_of(
    conn: &mut Conn,
    author_id: i64,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<StoredComment>> {
    let ids: Vec<i64> = comment::table
        .filter(comment::author_id.eq(author_id))
        .filter(comment::comment_id.gt(after))
        .order((comment::author_id, comment::comment_id))
        .limit(limit)
        .select(comment::comment_id)
        .load(conn)?;
    load(conn, &ids)
}

/// Id, post, and whether it is deleted, of some comments after one, for checks.
pub fn load_some(conn: &mut Conn, after: i64, limit: i64) -> QueryResult<Vec<(i64, i64, bool)>> {
    comment::table
        .filter(comment::comment_id.gt(after))
        .order(comment::comment_id)
        .limit(limit)
        .select((comment::comment_id, comment::post_id, comment::deleted))
        .load(conn)
}
