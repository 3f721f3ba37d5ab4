//! Posts as they are written: a row in `post`, its text in `content`, its words for
//! the search, a row for each tag, and the counts of the lists that it is in. All of
//! one post change in one transaction.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use super::counts::{Additions, List};
use super::lists::WINDOWS;
use super::search;
use super::types::{NewPost, PostChange, Status, Tag};
use crate::core::db::Conn;
use crate::core::db::dialect::{self, Batch};
use crate::core::db::schema::{content, post, user};

/// A post without its text.
#[derive(Clone, Debug, Queryable)]
pub struct PostHead {
    pub post_id: i64,
    pub author_id: i64,
    pub title: String,
    /// The time of publication; that of the last change of its status, for a draft.
    pub date: NaiveDateTime,
    pub updated: NaiveDateTime,
    pub published: bool,
    /// Where it stands in lists, the newest with the highest number.
    pub place: i64,
    pub(super) tags: String,
    /// The author's name.
    pub author: String,
}

impl PostHead {
    /// Its tags, in their order.
    pub fn tags(&self) -> Vec<&str> {
        split_tags(&self.tags).collect()
    }

    /// What lists it is in.
    fn lists(&self) -> Vec<List> {
        lists(self.published, self.author_id, split_tags(&self.tags))
    }
}

/// The columns of a [`PostHead`], in its order, from `post` and `user` in a left join:
/// one whose order of tables no database turns round.
macro_rules! head_columns {
    () => {
        (
            post::post_id,
            post::author_id,
            post::title,
            post::date,
            post::updated,
            post::published,
            post::place,
            post::tags,
            user::name.assume_not_null(),
        )
    };
}
pub(super) use head_columns;

/// Tags have no control characters: one separates them.
const BETWEEN_TAGS: char = '\n';

/// The tags of the column.
pub(super) fn split_tags(joined: &str) -> impl Iterator<Item = &str> {
    joined.split(BETWEEN_TAGS).filter(|tag| !tag.is_empty())
}

fn join_tags(tags: &[Tag]) -> String {
    let tags: Vec<&str> = tags.iter().map(|tag| tag.0.as_str()).collect();
    tags.join(&BETWEEN_TAGS.to_string())
}

/// The lists that count a post.
pub(super) fn lists<'a>(
    published: bool,
    author_id: i64,
    tags: impl Iterator<Item = &'a str>,
) -> Vec<List> {
    if !published {
        return vec![List::Drafts(author_id)];
    }
    let mut lists = vec![List::All, List::Author(author_id)];
    lists.extend(tags.map(|tag| List::Tag(tag.to_owned())));
    lists
}

/// Inserts the post, which is found by `words`, and gives it back without its text. `None` when the author is not
/// there (any more) or not active; nothing is kept then.
pub fn insert_post(
    conn: &mut Conn,
    author_id: i64,
    new: &NewPost,
    words: &str,
    now: NaiveDateTime,
) -> QueryResult<Option<PostHead>> {
    let author: Option<String> = user::table
        .find(author_id)
        .filter(user::is_active.eq(true))
        .select(user::name)
        .first(conn)
        .optional()?;
    let Some(author) = author else {
        return Ok(None);
    };
    let NewPost {
        title,
        content: text,
        status,
        tags,
    } = new;
    let mut head = PostHead {
        post_id: 0,
        author_id,
        title: title.0.clone(),
        date: now,
        updated: now,
        published: *status == Status::Published,
        place: 0,
        tags: join_tags(tags),
        author,
    };
    head.post_id = insert_row(conn, &head)?;
    head.place = head.post_id;
    diesel::insert_into(content::table)
        .values((content::post_id.eq(head.post_id), content::body.eq(text)))
        .execute(conn)?;
    dialect::insert_words(conn, head.place, words)?;
    let mut batch = Batch::new(conn);
    let id = head.post_id;
    batch.push(&format!(
        "UPDATE post SET place = {id} WHERE post_id = {id}"
    ));
    enlist(&head, &mut batch);
    batch.run(conn)?;
    Ok(Some(head))
}

/// Inserts the row itself and gives its id, which is new in all of history.
fn insert_row(conn: &mut Conn, head: &PostHead) -> QueryResult<i64> {
    // Whole, here and where it is changed: no column is left out unnoticed.
    let PostHead {
        post_id: _,
        author_id,
        title,
        date,
        updated,
        published,
        place,
        tags,
        author: _,
    } = head;
    diesel::insert_into(post::table)
        .values((
            post::author_id.eq(author_id),
            post::title.eq(title),
            post::date.eq(date),
            post::updated.eq(updated),
            post::published.eq(published),
            post::place.eq(place),
            post::tags.eq(tags),
        ))
        .execute(conn)?;
    dialect::last_insert(conn)
}

/// Writes the row itself anew.
fn update_row(conn: &mut Conn, head: &PostHead) -> QueryResult<()> {
    let PostHead {
        post_id,
        author_id: _,
        title,
        date,
        updated,
        published,
        place,
        tags,
        author: _,
    } = head;
    diesel::update(post::table.find(post_id))
        .set((
            post::title.eq(title),
            post::date.eq(date),
            post::updated.eq(updated),
            post::published.eq(published),
            post::place.eq(place),
            post::tags.eq(tags),
        ))
        .execute(conn)
        .map(drop)
}

/// Puts a post into its lists.
fn enlist(head: &PostHead, batch: &mut Batch) {
    let tags: Vec<&str> = head.tags();
    batch.insert_tags(
        &tags,
        head.published,
        head.place,
        head.post_id,
        head.author_id,
    );
    let mut additions = Additions::default();
    for list in head.lists() {
        additions.add(&list, head.place, 1);
    }
    additions.write(batch);
}

/// What came of changing or deleting a post.
#[derive(Debug)]
pub enum Edited<T> {
    Done(T),
    NotFound,
    /// It is somebody else's.
    NotYours,
    /// It is no longer what the client takes it for.
    Stale,
}

impl<T> Edited<T> {
    /// The refusal as one of another type; `Err` has what was done.
    fn refusal<U>(self) -> Result<Edited<U>, T> {
        match self {
            Self::Done(value) => Err(value),
            Self::NotFound => Ok(Edited::NotFound),
            Self::NotYours => Ok(Edited::NotYours),
            Self::Stale => Ok(Edited::Stale),
        }
    }
}

/// Who edits: the user and whether they are an admin.
pub type Editor = (i64, bool);

/// Holds a post against change until the transaction ends, if the editor may change
/// it (a draft of somebody else's is not there) and it `fits` what they expect.
fn hold(
    conn: &mut Conn,
    post_id: i64,
    (user_id, is_admin): Editor,
    fits: &dyn Fn(&PostHead, &str) -> bool,
) -> QueryResult<Edited<(PostHead, String)>> {
    if !dialect::lock_post(conn, post_id)? {
        return Ok(Edited::NotFound);
    }
    let Some((head, text)) = find_post(conn, post_id)? else {
        return Ok(Edited::NotFound);
    };
    if head.author_id != user_id && !is_admin {
        return Ok(if head.published {
            Edited::NotYours
        } else {
            Edited::NotFound
        });
    }
    if !fits(&head, &text) {
        return Ok(Edited::Stale);
    }
    Ok(Edited::Done((head, text)))
}

/// A post before and after a change.
#[derive(Debug)]
pub struct Changed {
    pub before: PostHead,
    pub after: PostHead,
    pub text: String,
}

/// Changes a post. `updated` grows with every change, so that no two states of a post
/// are alike.
pub fn change_post(
    conn: &mut Conn,
    post_id: i64,
    editor: Editor,
    change: &PostChange,
    fits: &dyn Fn(&PostHead, &str) -> bool,
    now: NaiveDateTime,
) -> QueryResult<Edited<Changed>> {
    let (before, mut text) = match hold(conn, post_id, editor, fits)?.refusal() {
        Ok(refusal) => return Ok(refusal),
        Err(held) => held,
    };
    let mut after = before.clone();
    if change.is_empty() {
        return Ok(Edited::Done(Changed {
            before,
            after,
            text,
        }));
    }
    let PostChange {
        title,
        content: new_text,
        status,
        tags,
    } = change;
    if let Some(title) = title {
        after.title.clone_from(&title.0);
    }
    if let Some(tags) = tags {
        after.tags = join_tags(tags);
    }
    after.updated = now.max(before.updated + TimeDelta::microseconds(1));
    if let Some(status) = *status {
        after.published = status == Status::Published;
        if after.published != before.published {
            after.date = after.updated;
        }
        if after.published && !before.published {
            after.place = fresh_place(conn, &after)?;
        }
    }
    update_row(conn, &after)?;
    if let Some(new) = new_text {
        diesel::update(content::table.find(post_id))
            .set(content::body.eq(new))
            .execute(conn)?;
        text.clone_from(new);
    }
    if new_text.is_some() || after.title != before.title || after.place != before.place {
        dialect::delete_words(conn, &[before.place])?;
        let words = search::words_of(&after.title, &text);
        dialect::insert_words(conn, after.place, &words)?;
    }
    relist(&before, &after, &mut Batch::new(conn)).run(conn)?;
    Ok(Edited::Done(Changed {
        before,
        after,
        text,
    }))
}

/// Takes a post out of the lists that it was in and puts it into those that it is in.
fn relist<'s>(before: &PostHead, after: &PostHead, batch: &'s mut Batch) -> &'s mut Batch {
    let stays = before.published == after.published && before.place == after.place;
    if stays && before.tags == after.tags {
        return batch;
    }
    batch.delete_tags(&before.tags(), before.published, before.place);
    let (id, author) = (after.post_id, after.author_id);
    batch.insert_tags(&after.tags(), after.published, after.place, id, author);
    let mut additions = Additions::default();
    for list in before.lists() {
        additions.add(&list, before.place, -1);
    }
    for list in after.lists() {
        additions.add(&list, after.place, 1);
    }
    additions.write(batch);
    batch
}

/// A new place, higher than every other: the id of a row that is taken back at once.
fn fresh_place(conn: &mut Conn, head: &PostHead) -> QueryResult<i64> {
    let place = insert_row(conn, head)?;
    diesel::delete(post::table.find(place)).execute(conn)?;
    Ok(place)
}

/// Deletes a post with all that belongs to it, and gives what it was.
pub fn delete_post(
    conn: &mut Conn,
    post_id: i64,
    editor: Editor,
    fits: &dyn Fn(&PostHead, &str) -> bool,
) -> QueryResult<Edited<PostHead>> {
    let (head, _) = match hold(conn, post_id, editor, fits)?.refusal() {
        Ok(refusal) => return Ok(refusal),
        Err(held) => held,
    };
    diesel::delete(post::table.find(post_id)).execute(conn)?;
    dialect::delete_words(conn, &[head.place])?;
    let mut batch = Batch::new(conn);
    batch.delete_tags(&head.tags(), head.published, head.place);
    let mut additions = Additions::default();
    for list in head.lists() {
        additions.add(&list, head.place, -1);
    }
    additions.write(&mut batch);
    batch.run(conn)?;
    Ok(Edited::Done(head))
}

/// Posts that are deleted in one go with their author.
const SOME: i64 = 500;

/// Deletes all posts of an author, whose row the transaction holds.
pub fn delete_posts_of(conn: &mut Conn, author_id: i64) -> QueryResult<()> {
    loop {
        let rows = dialect::lock_posts_of(conn, author_id, SOME)?;
        if rows.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
        diesel::delete(post::table.filter(post::post_id.eq_any(&ids))).execute(conn)?;
        let places: Vec<i64> = rows.iter().map(|row| row.2).collect();
        dialect::delete_words(conn, &places)?;
        let mut batch = Batch::new(conn);
        let mut additions = Additions::default();
        for (_, published, place, tags) in &rows {
            let tags: Vec<&str> = split_tags(tags).collect();
            batch.delete_tags(&tags, *published, *place);
            for list in lists(*published, author_id, tags.into_iter()) {
                additions.add(&list, *place, -1);
            }
        }
        additions.write(&mut batch);
        batch.run(conn)?;
    }
}

/// A post with its text, draft or not.
pub fn find_post(conn: &mut Conn, post_id: i64) -> QueryResult<Option<(PostHead, String)>> {
    post::table
        .inner_join(content::table)
        .left_join(user::table)
        .filter(post::post_id.eq(post_id))
        .select((head_columns!(), content::body))
        .first(conn)
        .optional()
}

/// Posts that are loaded with their texts, each of which may be a megabyte.
const AT_ONCE: i64 = 16;

/// Posts of an author with their texts, drafts or published ones, oldest first, a few
/// at a time: those after the place `after`.
pub fn load_after(
    conn: &mut Conn,
    author_id: i64,
    published: bool,
    after: i64,
) -> QueryResult<Vec<(PostHead, String)>> {
    let mut places: Vec<i64> = Vec::new();
    for window in WINDOWS {
        places = post::table
            .filter(post::author_id.eq(author_id))
            .filter(post::published.eq(published))
            .filter(post::place.gt(after))
            .filter(post::place.le(after.saturating_add(window)))
            .order(post::place)
            .limit(AT_ONCE)
            .select(post::place)
            .load(conn)?;
        if i64::try_from(places.len()).is_ok_and(|some| some == AT_ONCE) {
            break;
        }
    }
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return Ok(Vec::new());
    };
    post::table
        .inner_join(content::table)
        .left_join(user::table)
        .filter(post::author_id.eq(author_id))
        .filter(post::published.eq(published))
        .filter(post::place.between(first, last))
        .order(post::place)
        .select((head_columns!(), content::body))
        .load(conn)
}

/// Makes what tags and the search find of a post anew.
pub fn index_again(conn: &mut Conn, post_id: i64) -> QueryResult<()> {
    if !dialect::lock_post(conn, post_id)? {
        return Ok(());
    }
    let Some((head, text)) = find_post(conn, post_id)? else {
        return Ok(());
    };
    dialect::delete_words(conn, &[head.place])?;
    dialect::insert_words(conn, head.place, &search::words_of(&head.title, &text))?;
    let (tags, author) = (head.tags(), head.author_id);
    let mut batch = Batch::new(conn);
    batch.delete_tags(&tags, head.published, head.place);
    batch.insert_tags(&tags, head.published, head.place, post_id, author);
    batch.run(conn)
}
