//! Posts as they are written: a row in `post`, its text in `content`, its words for
//! the search, a row for each tag, and the counts of the lists that it is in. All of
//! one post change in one transaction.

use std::borrow::Cow;

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Timestamp};

use super::counts::Additions;
use super::{places, slugs};
use crate::accounts::types::DELETED;
use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch, TagRow};
use crate::core::db::schema::{content, post, user};
use crate::posts::list::List;
use crate::posts::publication::Prepared;
use crate::posts::search::{self, PostWords};
use crate::posts::stats::PostCounts;
use crate::posts::stored::{
    AuthorNames, DraftState, PostSummary, StoredPost, join_tags, split_tags,
};
use crate::posts::types::Status;

/// The columns of a [`PostSummary`], in its order, from `post` and `user` in a left join:
/// one whose order of tables no database turns round.
macro_rules! summary_columns {
    () => {
        (
            post::post_id,
            post::author_id,
            post::title,
            post::date,
            post::updated,
            $crate::posts::storage::posts::coalesce(post::created, post::date),
            post::published,
            post::place,
            post::tags,
            (post::withdrawn, post::publish_at),
            post::format,
            post::slug,
            (post::summary, post::own_summary),
            user::name.assume_not_null(),
            user::username.nullable(),
            $crate::core::db::dialect::post_stats($crate::posts::stats::PostCounts::KINDS),
        )
    };
}
pub(super) use summary_columns;

diesel::define_sql_function! {
    /// The first that is not null.
    fn coalesce(first: Nullable<Timestamp>, other: Timestamp) -> Timestamp;
}

/// Inserts the post with its slug, found by its words and its author's name, and gives its summary.
/// `None` when the author is not there (any more) or not active; nothing is kept then. `race`: as for
/// [`places::take`].
pub fn insert_post(
    conn: &mut Conn,
    job: &Prepared,
    slug: Option<String>,
    race: u32,
) -> QueryResult<Option<PostSummary>> {
    let author: Option<AuthorNames> = user::table
        .find(job.request.author_id)
        .filter(user::is_active.eq(true))
        .select((user::name, user::username))
        .first(conn)
        .optional()?;
    let Some(author) = author else {
        return Ok(None);
    };
    let mut post = summary_of(job, author, slug);
    let dated = (post.published, post.date);
    post.position = places::take_for(conn, 0, dated, race)?;
    insert_with_parts(conn, job, &mut post)?;
    let mut batch = Batch::new(conn);
    enlist(&post, &mut batch);
    batch.run(conn)?;
    Ok(Some(post))
}

/// Inserts the row of a new post at its position, its content and its words, and puts its id into it.
pub(super) fn insert_with_parts(
    conn: &mut Conn,
    job: &Prepared,
    post: &mut PostSummary,
) -> QueryResult<()> {
    let Prepared { request, words, .. } = job;
    post.post_id = insert_row(conn, post, &words.weights)?;
    diesel::insert_into(content::table)
        .values((
            content::post_id.eq(post.post_id),
            content::body.eq(&request.post.content),
        ))
        .execute(conn)?;
    let words = search::with_author(&post.author, &words.text, post.scope());
    dialect::insert_words(conn, post.position, &words)
}

/// A new post, whose id and position are not known yet.
pub(super) fn summary_of(job: &Prepared, author: AuthorNames, slug: Option<String>) -> PostSummary {
    let Prepared { request, now, .. } = job;
    let (new, now) = (&request.post, *now);
    let (author, author_username) = author;
    PostSummary {
        post_id: 0,
        author_id: request.author_id,
        title: new.title.0.clone(),
        date: new.date.unwrap_or(now),
        updated: now,
        created: now,
        published: new.status == Status::Published,
        position: 0,
        tags: join_tags(&new.tags),
        draft: DraftState {
            withdrawn: false,
            publish_at: new.publish_at,
        },
        format: new.format.name().to_owned(),
        slug,
        excerpt: job.excerpt.clone(),
        author,
        author_username,
        counts: PostCounts::default(),
    }
}

/// Inserts the row itself and gives its id, which is new in all of history.
fn insert_row(conn: &mut Conn, post: &PostSummary, weights: &[u8]) -> QueryResult<i64> {
    // Whole, here and where it is changed: no column is left out unnoticed.
    let PostSummary {
        post_id: _,
        author_id,
        title,
        date,
        updated,
        created,
        published,
        position,
        tags,
        draft: DraftState {
            withdrawn,
            publish_at,
        },
        format,
        slug,
        excerpt,
        author: _,
        author_username: _,
        // Rows of their own.
        counts: _,
    } = post;
    diesel::insert_into(post::table)
        .values((
            post::author_id.eq(author_id),
            post::title.eq(title),
            post::date.eq(date),
            post::updated.eq(updated),
            post::created.eq(created),
            post::published.eq(published),
            post::place.eq(position),
            post::tags.eq(tags),
            post::withdrawn.eq(withdrawn),
            post::publish_at.eq(publish_at),
            post::format.eq(format),
            post::weights.eq(weights),
            post::slug.eq(slug),
            post::summary.eq(&excerpt.text),
            post::own_summary.eq(excerpt.is_own),
        ))
        .execute(conn)?;
    dialect::last_insert(conn)
}

/// Writes the row itself anew; its weights where they are others.
fn update_row(conn: &mut Conn, post: &PostSummary, weights: Option<&[u8]>) -> QueryResult<()> {
    let PostSummary {
        post_id,
        author_id: _,
        title,
        date,
        updated,
        created,
        published,
        position,
        tags,
        draft: DraftState {
            withdrawn,
            publish_at,
        },
        format,
        slug,
        excerpt,
        author: _,
        author_username: _,
        // Rows of their own.
        counts: _,
    } = post;
    diesel::update(post::table.find(post_id))
        .set((
            post::title.eq(title),
            post::date.eq(date),
            post::updated.eq(updated),
            post::created.eq(created),
            post::published.eq(published),
            post::place.eq(position),
            post::tags.eq(tags),
            post::withdrawn.eq(withdrawn),
            post::publish_at.eq(publish_at),
            post::format.eq(format),
            weights.map(|weights| post::weights.eq(weights)),
            post::slug.eq(slug),
            post::summary.eq(&excerpt.text),
            post::own_summary.eq(excerpt.is_own),
        ))
        .execute(conn)
        .map(drop)
}

/// Puts a post into its lists.
fn enlist(post: &PostSummary, batch: &mut Batch) {
    let (mut tags, mut additions) = (Vec::new(), Additions::default());
    add_to_lists(post, &mut tags, &mut additions);
    batch.insert_tags(&tags);
    additions.write(batch);
}

/// The rows that put a post into its lists.
pub(super) fn add_to_lists<'p>(
    post: &'p PostSummary,
    tags: &mut Vec<TagRow<'p>>,
    additions: &mut Additions,
) {
    tags.extend(tag_rows(post));
    for list in List::of_post(post) {
        additions.add(&list, post.position, post.date, 1);
    }
}

/// A row for each tag of a post.
fn tag_rows(post: &PostSummary) -> impl Iterator<Item = TagRow<'_>> {
    post.tags().into_iter().map(|tag| TagRow {
        tag,
        published: post.published,
        place: post.position,
        post_id: post.post_id,
        author_id: post.author_id,
    })
}

/// Holds a post against change until the transaction ends; `None` when there is none, or
/// its author was deleted.
pub fn lock_post(conn: &mut Conn, post_id: i64) -> QueryResult<Option<StoredPost>> {
    if !dialect::lock_post(conn, post_id)? {
        return Ok(None);
    }
    find_post(conn, post_id)
}

/// Writes what has changed of a post that the transaction holds. `words`: those that it is
/// found by, when it is found by others than before ([`is_found_by_others`]).
pub fn update_post(
    conn: &mut Conn,
    before: &StoredPost,
    after: &StoredPost,
    words: Option<&PostWords>,
) -> QueryResult<()> {
    let (post_id, position) = (before.summary.post_id, before.summary.position);
    let weights = words.map(|words| words.weights.as_slice());
    update_row(conn, &after.summary, weights)?;
    slugs::keep_old(conn, &before.summary, &after.summary)?;
    if after.text != before.text {
        diesel::update(content::table.find(post_id))
            .set(content::body.eq(&after.text))
            .execute(conn)?;
    }
    if let Some(words) = words {
        dialect::delete_words(conn, &[position])?;
        dialect::insert_words(conn, after.summary.position, &words.text)?;
    }
    relist(&before.summary, &after.summary, &mut Batch::new(conn)).run(conn)
}

/// Whether a change of a post makes it found by other words, or by others.
pub fn is_found_by_others(before: &StoredPost, after: &StoredPost) -> bool {
    // Its position changes only with its date, or when it is published for the first time, or anew.
    after.text != before.text
        || after.summary.title != before.summary.title
        || after.summary.tags != before.summary.tags
        || after.summary.published != before.summary.published
        || after.summary.date != before.summary.date
}

/// The words of a post as they are stored. It takes tens of milliseconds for a megabyte:
/// outside of transactions, for on SQLite all who write wait for those.
pub fn words_of(post: &StoredPost) -> PostWords {
    let StoredPost { summary, text } = post;
    let PostWords { text, weights } = search::words_of(&summary.title, &summary.tags(), text);
    let scope = summary.scope();
    let text = search::with_author(&summary.author, &scope.spell(&text), scope);
    PostWords { text, weights }
}

/// Takes a post out of the lists that it was in and puts it into those that it is in.
fn relist<'s>(before: &PostSummary, after: &PostSummary, batch: &'s mut Batch) -> &'s mut Batch {
    let stays = before.published == after.published && before.position == after.position;
    if stays && before.tags == after.tags && before.date == after.date {
        return batch;
    }
    // Under its new tags there is nothing, unless a row was left behind that is no post's: it
    // must not be in the way.
    let mut tags = before.tags();
    if stays {
        tags.extend(after.tags());
    } else {
        batch.delete_tags(&after.tags(), after.published, after.position);
    }
    batch.delete_tags(&tags, before.published, before.position);
    batch.insert_tags(&tag_rows(after).collect::<Vec<_>>());
    let mut additions = Additions::default();
    for list in List::of_post(before) {
        additions.add(&list, before.position, before.date, -1);
    }
    for list in List::of_post(after) {
        additions.add(&list, after.position, after.date, 1);
    }
    additions.write(batch);
    batch
}

/// Deletes a post, which the transaction holds, with all that belongs to it.
pub fn delete_post(conn: &mut Conn, post: &PostSummary) -> QueryResult<()> {
    diesel::delete(post::table.find(post.post_id)).execute(conn)?;
    dialect::delete_words(conn, &[post.position])?;
    let mut batch = Batch::new(conn);
    batch.delete_tags(&post.tags(), post.published, post.position);
    let mut additions = Additions::default();
    for list in List::of_post(post) {
        additions.add(&list, post.position, post.date, -1);
    }
    additions.write(&mut batch);
    batch.run(conn)
}

/// Deletes some posts of an author, whose row the transaction holds; gives their ids.
pub fn delete_some_of(conn: &mut Conn, author_id: i64, limit: i64) -> QueryResult<Vec<i64>> {
    let rows = dialect::lock_posts_of(conn, author_id, limit)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
    diesel::delete(post::table.filter(post::post_id.eq_any(&ids))).execute(conn)?;
    let positions: Vec<i64> = rows.iter().map(|row| row.2).collect();
    dialect::delete_words(conn, &positions)?;
    let mut batch = Batch::new(conn);
    let mut additions = Additions::default();
    for (_, published, position, date, tags) in &rows {
        let tags: Vec<&str> = split_tags(tags).collect();
        batch.delete_tags(&tags, *published, *position);
        for list in List::that_count(*published, author_id, tags.into_iter()) {
            additions.add(&list, *position, *date, -1);
        }
    }
    additions.write(&mut batch);
    batch.run(conn)?;
    Ok(ids)
}

/// Whether there is any post of an author.
pub fn has_written(conn: &mut Conn, author_id: i64) -> QueryResult<bool> {
    let first: Option<i64> = post::table
        .filter(post::author_id.eq(author_id))
        .select(post::post_id)
        .first(conn)
        .optional()?;
    Ok(first.is_some())
}

/// A post with its text, draft or not; `None` when its author was deleted.
pub fn find_post(conn: &mut Conn, post_id: i64) -> QueryResult<Option<StoredPost>> {
    post::table
        .inner_join(content::table)
        .left_join(user::table)
        .filter(post::post_id.eq(post_id))
        .filter(user::role.ne(DELETED))
        .select((summary_columns!(), content::body))
        .first(conn)
        .optional()
}

/// The same, also of one whose author was deleted.
pub(super) fn find_any(conn: &mut Conn, post_id: i64) -> QueryResult<Option<StoredPost>> {
    post::table
        .inner_join(content::table)
        .left_join(user::table)
        .filter(post::post_id.eq(post_id))
        .select((summary_columns!(), content::body))
        .first(conn)
        .optional()
}

/// The same of several posts that are not such, in any order: those that are there.
pub fn find_posts(conn: &mut Conn, post_ids: &[i64]) -> QueryResult<Vec<StoredPost>> {
    post::table
        .inner_join(content::table)
        .left_join(user::table)
        .filter(dialect::any_of(post::post_id, post_ids))
        .filter(user::role.ne(DELETED))
        .select((summary_columns!(), content::body))
        .load(conn)
}

/// Makes what tags and the search find of a post anew. Also of one whose author was deleted:
/// until it is deleted too, all that belongs to it agrees. `prepared`: the post as it was, and
/// its words, which hold if it has not changed since.
pub fn index_again(
    conn: &mut Conn,
    post_id: i64,
    prepared: Option<&(StoredPost, PostWords)>,
) -> QueryResult<()> {
    if !dialect::lock_post(conn, post_id)? {
        return Ok(());
    }
    let Some(post) = find_any(conn, post_id)? else {
        return Ok(());
    };
    let words = match prepared {
        Some((as_it_was, words)) if *as_it_was == post => Cow::Borrowed(words),
        _ => Cow::Owned(words_of(&post)),
    };
    let summary = &post.summary;
    dialect::delete_words(conn, &[summary.position])?;
    dialect::insert_words(conn, summary.position, &words.text)?;
    diesel::update(post::table.find(post_id))
        .set(post::weights.eq(&words.weights))
        .execute(conn)?;
    let mut batch = Batch::new(conn);
    batch.delete_tags(&summary.tags(), summary.published, summary.position);
    batch.insert_tags(&tag_rows(summary).collect::<Vec<_>>());
    batch.run(conn)
}
