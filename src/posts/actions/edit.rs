//! Changing and deleting: the author of a post, or an admin, edits it.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::{Error as QueryError, QueryResult};

use crate::core::db::{Conn, DbError};
use crate::core::precondition::Precondition;
use crate::jobs::events::JobWritten;
use crate::posts::jobs::publish_post;
use crate::posts::schedule::{self, DateFault, ScheduleFault};
use crate::posts::search::PostWords;
use crate::posts::storage::slugs::{self, Assigned};
use crate::posts::storage::{self, places, posts as rows};
use crate::posts::stored::{Editor, Excerpt, PostSummary, StoredPost};
use crate::posts::types::{Change, PostChange, Status, Summary};
use crate::posts::views::{self, Post};
use crate::posts::{Posts, events, summary};
use crate::social::actions::of_posts;

/// Which post is edited, by whom, and in which state it must be.
#[derive(Clone, Debug)]
pub struct Edit {
    pub post_id: i64,
    pub editor: Editor,
    /// The states that the edit is meant for, by the ETags of the post's JSON; what is counted
    /// of a post is no part of its state.
    pub precondition: Precondition,
}

impl Edit {
    /// The same, in the words of what is compared.
    fn of_what_is_written(self) -> Arc<Self> {
        let precondition = self.precondition.renamed(views::without_counts);
        Arc::new(Self {
            precondition,
            ..self
        })
    }
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
    /// Another post has the slug that it is to have.
    SlugTaken,
    /// It cannot be scheduled so.
    Schedule(ScheduleFault),
    /// It cannot have that date.
    Date(DateFault),
}

/// What came of an edit.
pub type Edited<T> = Result<T, EditRefusal>;

/// How often an edit is prepared again because the post was changed meanwhile. Then it is
/// prepared while the post is held: who changes a post again and again keeps nobody from it.
const TRIES: usize = 3;

/// A post, and what an edit of it needs that takes time.
#[derive(Clone)]
struct Prepared {
    /// As it is before the edit.
    post: StoredPost,
    /// After the change, but for what is known in the transaction only.
    after: Option<StoredPost>,
    /// Where the precondition asks for it.
    etag: Option<String>,
    /// Those that it is found by after the change, if others than before.
    words: Option<PostWords>,
}

/// What a transaction gets of [`Prepared`].
enum Preparation {
    /// Made before it; `None` when there was no post that this editor may edit.
    Before(Option<Box<Prepared>>),
    /// Nothing: it is made while the post is held.
    Within,
}

/// What came of a transaction.
enum Outcome<T> {
    Done(T),
    Refused(EditRefusal),
    /// The post is not the one that it was prepared for.
    Overtaken,
}

/// A post after a change.
struct Changed {
    /// `None` if nothing was changed.
    before: Option<PostSummary>,
    after: StoredPost,
}

/// Changes a post; gives it as it is then. `updated` grows with every change, so that no
/// two states of a post are alike. Values that are there already change nothing.
pub async fn change(
    posts: &Posts,
    edit: Edit,
    change: PostChange,
) -> Result<Edited<StoredPost>, DbError> {
    let now = posts.clock.now();
    let (edit, change) = (edit.of_what_is_written(), Arc::new(change));
    let (mut tries, mut race) = (0, 0);
    loop {
        let prepared = prepare(posts, &edit, Some(&change), tries).await?;
        let (edit, change, bus) = (edit.clone(), change.clone(), Arc::clone(&posts.bus));
        let work = move |conn: &mut Conn| update(conn, &edit, &change, &prepared, (now, race));
        let settle = move |done: &Outcome<Changed>| {
            if let Outcome::Done(Changed { before, after }) = done
                && let Some(before) = before
            {
                events::post_changed(&bus, &[before, &after.summary]);
                if before.scheduled_for() != after.summary.scheduled_for() {
                    bus.publish(&JobWritten {});
                }
            }
        };
        match posts.db.write_then(work, settle).await {
            Ok(Outcome::Done(changed)) => return Ok(Ok(changed.after)),
            Ok(Outcome::Refused(refusal)) => return Ok(Err(refusal)),
            Ok(Outcome::Overtaken) => tries += 1,
            Err(error) if race < storage::RACES && storage::is_lost_race(&error) => race += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Deletes a post. What hangs on it, which may be much, a job deletes.
pub async fn delete(posts: &Posts, edit: Edit) -> Result<Edited<()>, DbError> {
    let now = posts.clock.now();
    let edit = edit.of_what_is_written();
    let mut tries = 0;
    loop {
        let prepared = prepare(posts, &edit, None, tries).await?;
        let (edit, bus) = (edit.clone(), Arc::clone(&posts.bus));
        let work = move |conn: &mut Conn| remove(conn, &edit, &prepared, now);
        let settle = move |done: &Outcome<PostSummary>| {
            if let Outcome::Done(post) = done {
                events::post_changed(&bus, &[post]);
                bus.publish(&JobWritten {});
            }
        };
        match posts.db.write_then(work, settle).await? {
            Outcome::Done(_) => return Ok(Ok(())),
            Outcome::Refused(refusal) => return Ok(Err(refusal)),
            Outcome::Overtaken => tries += 1,
        }
    }
}

fn update(
    conn: &mut Conn,
    edit: &Edit,
    change: &PostChange,
    prepared: &Preparation,
    (now, race): (NaiveDateTime, u32),
) -> QueryResult<Outcome<Changed>> {
    let prepared = match hold(conn, edit, Some(change), prepared)? {
        Outcome::Done(prepared) => prepared,
        Outcome::Refused(refusal) => return Ok(Outcome::Refused(refusal)),
        Outcome::Overtaken => return Ok(Outcome::Overtaken),
    };
    let before = &prepared.post;
    if let Some(fault) = schedule::fault_of(change, &before.summary, now) {
        return Ok(Outcome::Refused(EditRefusal::Schedule(fault)));
    }
    let is_published = (prepared.after.as_ref()).is_some_and(|after| after.summary.published);
    if let Some(fault) = schedule::date_fault_of(change, is_published, now) {
        return Ok(Outcome::Refused(EditRefusal::Date(fault)));
    }
    let Some(mut after) = prepared.after.clone().filter(|after| after != before) else {
        let (before, after) = (None, before.clone());
        return Ok(Outcome::Done(Changed { before, after }));
    };
    let summary = &mut after.summary;
    match slugs::assign_to(conn, &before.summary, summary, race)? {
        Assigned::Nothing => {}
        Assigned::Slug(slug) => summary.slug = Some(slug),
        Assigned::Taken => return Ok(Outcome::Refused(EditRefusal::SlugTaken)),
    }
    summary.updated = now.max(summary.updated + TimeDelta::microseconds(1));
    if summary.published != before.summary.published {
        let is_kept = before.summary.draft.withdrawn && !change.as_new;
        summary.draft.withdrawn = !summary.published;
        if summary.published && !is_kept && change.date.is_none() {
            summary.date = summary.updated;
        }
    }
    if summary.date != before.summary.date {
        let dated = (summary.published, summary.date);
        summary.position = places::take_for(conn, summary.position, dated, race)?;
    }
    rows::update_post(conn, before, &after, prepared.words.as_ref())?;
    publish_post::follow(conn, &before.summary, &after.summary, now)?;
    let before = Some(before.summary.clone());
    Ok(Outcome::Done(Changed { before, after }))
}

fn remove(
    conn: &mut Conn,
    edit: &Edit,
    prepared: &Preparation,
    now: NaiveDateTime,
) -> QueryResult<Outcome<PostSummary>> {
    let post = match hold(conn, edit, None, prepared)? {
        Outcome::Done(prepared) => prepared.into_owned().post.summary,
        Outcome::Refused(refusal) => return Ok(Outcome::Refused(refusal)),
        Outcome::Overtaken => return Ok(Outcome::Overtaken),
    };
    rows::delete_post(conn, &post)?;
    if post.scheduled_for().is_some() {
        publish_post::cancel(conn, &[post.post_id])?;
    }
    of_posts::leave(conn, &[post.post_id], now)?;
    Ok(Outcome::Done(post))
}

/// What a post is after a change, but for its times and its position.
fn changed(post: &StoredPost, change: &PostChange) -> StoredPost {
    let PostChange {
        title,
        content,
        // Below, together.
        status: _,
        publish_at: _,
        date,
        tags,
        format,
        slug,
        summary: own,
        as_new: _,
    } = change;
    let mut summary = post.summary.clone();
    summary.date = date.unwrap_or(summary.date);
    if let Some(title) = title {
        summary.title.clone_from(&title.0);
    }
    if let Some(tags) = tags {
        summary.set_tags(tags);
    }
    if let Some(format) = format {
        format.name().clone_into(&mut summary.format);
    }
    if let Some(status) = schedule::status_of(change) {
        summary.draft.publish_at = schedule::publish_at_of(change, &summary);
        summary.published = status == Status::Published;
    } else if change.publish_at == Change::Clear && !summary.published {
        summary.draft.publish_at = None;
    }
    if let Some(slug) = slug {
        summary.slug = Some(slug.as_str().to_owned());
    }
    let text = content.as_ref().unwrap_or(&post.text).clone();
    let mut after = StoredPost { summary, text };
    after.summary.excerpt = excerpt(post, &after, own);
    after
}

/// What lists show of a post after a change. One that is given as it is there is not given.
fn excerpt(before: &StoredPost, after: &StoredPost, own: &Change<Summary>) -> Excerpt {
    let there = &before.summary.excerpt;
    match own {
        Change::Set(own) if there.text.as_ref() != Some(&own.0) => Excerpt {
            text: Some(own.0.clone()),
            is_own: true,
        },
        Change::Keep | Change::Set(_) if there.is_own => there.clone(),
        Change::Clear if there.is_own => Excerpt {
            text: Some(made_summary(after)),
            is_own: false,
        },
        // Made of the text as it is then; of a post that has none yet with whatever changes.
        _ => {
            let is_other = before.text != after.text
                || before.summary.format != after.summary.format
                || there.text.is_none() && before.summary != after.summary;
            if !is_other {
                return there.clone();
            }
            Excerpt {
                text: Some(made_summary(after)),
                is_own: false,
            }
        }
    }
}

fn made_summary(post: &StoredPost) -> String {
    summary::of_text(post.summary.format(), &post.text)
}

/// Makes what takes time before the transaction, `tries` times; after that it is left to
/// the transaction. `change`: none where the post is deleted.
async fn prepare(
    posts: &Posts,
    edit: &Arc<Edit>,
    change: Option<&Arc<PostChange>>,
    tries: usize,
) -> Result<Preparation, DbError> {
    // To delete a post, whatever it is, nothing is needed.
    if tries == TRIES || change.is_none() && !edit.precondition.is_particular() {
        return Ok(Preparation::Within);
    }
    let post_id = edit.post_id;
    let find = move |conn: &mut Conn| rows::find_post(conn, post_id);
    let post = posts.db.read(find).await?;
    let Some(post) = post.filter(|post| edit.editor.owns(&post.summary)) else {
        return Ok(Preparation::Before(None));
    };
    let content = change.and_then(|change| change.content.as_ref());
    let size = post.text.len() + content.map_or(0, String::len);
    let (editor_id, edit, change) = (edit.editor.user_id, Arc::clone(edit), change.cloned());
    let work = move || Prepared::make(post, &edit, change.as_deref());
    let prepared = super::prepare_for(editor_id, size, work)
        .await?
        .map_err(|error| DbError::fault(error))?;
    Ok(Preparation::Before(Some(Box::new(prepared))))
}

impl Prepared {
    fn make(
        post: StoredPost,
        edit: &Edit,
        change: Option<&PostChange>,
    ) -> serde_json::Result<Self> {
        let etag = if edit.precondition.is_particular() {
            let etag = views::etag(&Post::from(post.clone()))?;
            Some(views::without_counts(&etag))
        } else {
            None
        };
        let after = change.map(|change| changed(&post, change));
        let words = (after.as_ref())
            .filter(|after| rows::is_found_by_others(&post, after))
            .map(rows::words_of);
        Ok(Self {
            post,
            after,
            etag,
            words,
        })
    }

    /// Whether it was made for this post, however many like it by now.
    fn is_of(&self, post: &StoredPost) -> bool {
        self.post.is_as_written(post)
    }

    /// The same with what is counted of the post now.
    fn with_counts_of<'p>(&'p self, post: &StoredPost) -> Cow<'p, Self> {
        let counts = post.summary.counts;
        if self.post.summary.counts == counts {
            return Cow::Borrowed(self);
        }
        let mut own = self.clone();
        own.post.summary.counts = counts;
        Cow::Owned(own)
    }
}

/// Holds the post of an edit against change until the transaction ends, if the editor may
/// edit it (a draft of somebody else's is not there) and it is in the state that they
/// expect.
fn hold<'p>(
    conn: &mut Conn,
    edit: &Edit,
    change: Option<&PostChange>,
    prepared: &'p Preparation,
) -> QueryResult<Outcome<Cow<'p, Prepared>>> {
    let Some(post) = rows::lock_post(conn, edit.post_id)? else {
        return Ok(Outcome::Refused(EditRefusal::NotFound));
    };
    if !edit.editor.owns(&post.summary) {
        return Ok(Outcome::Refused(if post.summary.published {
            EditRefusal::NotYours
        } else {
            EditRefusal::NotFound
        }));
    }
    let prepared = match prepared {
        Preparation::Before(Some(prepared)) if prepared.is_of(&post) => {
            prepared.with_counts_of(&post)
        }
        Preparation::Before(_) => return Ok(Outcome::Overtaken),
        Preparation::Within => Cow::Owned(
            Prepared::make(post, edit, change)
                .map_err(|error| QueryError::SerializationError(Box::new(error)))?,
        ),
    };
    let is_expected = |etag: &String| edit.precondition.matches(etag);
    Ok(if prepared.etag.as_ref().is_none_or(is_expected) {
        Outcome::Done(prepared)
    } else {
        Outcome::Refused(EditRefusal::Stale)
    })
}
