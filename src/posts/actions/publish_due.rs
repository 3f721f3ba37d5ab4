//! Publishing a scheduled post when its time has come.
//!
//! The row of the post decides, under its lock: whoever comes second finds it published. So it is
//! published once, by however many processes, killed at any point.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::result::QueryResult;

use super::prepare;
use crate::core::db::{Conn, DbError};
use crate::core::telemetry::chain::Chain;
use crate::posts::search::PostWords;
use crate::posts::storage::slugs::{self, Assigned};
use crate::posts::storage::{self, places, posts as rows, scheduled};
use crate::posts::stored::{DraftState, PostSummary, StoredPost};
use crate::posts::{Posts, events};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Published,
    /// It is scheduled for a time to come.
    NotYet(NaiveDateTime),
    /// Its author may not publish. It is a draft again, and stays one.
    AuthorInactive,
    /// It is gone, published already, or not scheduled any more.
    Over,
}

/// How often the words of a post are made again because it was changed meanwhile. Then they are made
/// while it is held.
const TRIES: usize = 3;

/// What came of a transaction.
enum Step {
    /// Before and after.
    Changed(Box<(PostSummary, PostSummary)>, Due),
    /// It was published by somebody who may have been killed before they said so.
    WasPublished(Box<PostSummary>),
    Nothing(Due),
    /// The post is not the one that was read before.
    Overtaken,
}

/// Posts before another one that are looked for at once.
const BEFORE: i64 = 32;

/// Publishes a scheduled post whose time has come. Its `date` is that time, also when it comes late.
/// Those whose time came before are published first, by whomever: lists are in the order of dates.
pub async fn publish_due(posts: &Posts, post_id: i64) -> Result<Due, DbError> {
    let mut passed = HashSet::new();
    loop {
        let now = posts.clock.now();
        let load = move |conn: &mut Conn| scheduled::load_due(conn, post_id, now, BEFORE);
        let due = posts.db.read(load).await?;
        let before = due.iter().take_while(|due| **due != post_id);
        let mut is_any = false;
        for other in before.copied() {
            if !passed.insert(other) {
                continue;
            }
            is_any = true;
            // One that cannot be published holds up none of the others; its own job tells.
            if let Err(error) = publish_one(posts, other).await {
                tracing::debug!(post_id = other, error = %Chain(&error), "a post that is due is passed over");
            }
        }
        if !is_any {
            return publish_one(posts, post_id).await;
        }
    }
}

async fn publish_one(posts: &Posts, post_id: i64) -> Result<Due, DbError> {
    let (mut tries, mut race) = (0, 0);
    loop {
        let found = posts.db.read(move |conn| rows::find_post(conn, post_id));
        let prepared = match found.await? {
            Some(post) if tries < TRIES => Some(make_words(post).await?),
            Some(_) => None,
            None => return Ok(Due::Over),
        };
        let (now, bus) = (posts.clock.now(), Arc::clone(&posts.bus));
        let is_last = tries == TRIES;
        let work =
            move |conn: &mut Conn| step(conn, post_id, prepared.as_ref(), is_last, (now, race));
        let settle = move |done: &Step| match done {
            Step::Changed(states, _) => events::post_changed(&bus, &[&states.0, &states.1]),
            Step::WasPublished(post) => events::post_changed(&bus, &[post]),
            Step::Nothing(_) | Step::Overtaken => {}
        };
        match posts.db.write_then(work, settle).await {
            Ok(Step::Changed(_, due) | Step::Nothing(due)) => return Ok(due),
            Ok(Step::WasPublished(_)) => return Ok(Due::Over),
            Ok(Step::Overtaken) => tries += 1,
            Err(error) if race < storage::RACES && storage::is_lost_race(&error) => race += 1,
            Err(error) => return Err(error),
        }
    }
}

/// A post as it is, and the words that it is found by once it is published.
async fn make_words(post: StoredPost) -> Result<(StoredPost, PostWords), DbError> {
    let size = post.text.len();
    let work = move || {
        let words = rows::words_of(&published(&post));
        (post, words)
    };
    prepare(size, work).await
}

/// What a post is once it is published, but for its times and its position.
fn published(post: &StoredPost) -> StoredPost {
    let mut after = post.clone();
    after.summary.published = true;
    after.summary.draft = DraftState::default();
    after
}

fn step(
    conn: &mut Conn,
    post_id: i64,
    prepared: Option<&(StoredPost, PostWords)>,
    is_last: bool,
    (now, race): (NaiveDateTime, u32),
) -> QueryResult<Step> {
    let Some(before) = rows::lock_post(conn, post_id)? else {
        return Ok(Step::Nothing(Due::Over));
    };
    if before.summary.published {
        if before.summary.draft.publish_at.is_some() {
            scheduled::forget(conn, post_id)?;
        }
        return Ok(Step::WasPublished(before.summary.into()));
    }
    let Some(publish_at) = before.summary.scheduled_for() else {
        return Ok(Step::Nothing(Due::Over));
    };
    if now < publish_at {
        return Ok(Step::Nothing(Due::NotYet(publish_at)));
    }
    let updated = now.max(before.summary.updated + TimeDelta::microseconds(1));
    if !scheduled::is_author_active(conn, before.summary.author_id)? {
        let mut after = before.clone();
        after.summary.draft.publish_at = None;
        after.summary.updated = updated;
        rows::update_post(conn, &before, &after, None)?;
        let states = Box::new((before.summary, after.summary));
        return Ok(Step::Changed(states, Due::AuthorInactive));
    }
    let mut after = published(&before);
    let words = match prepared {
        Some((as_it_was, words)) if as_it_was.is_as_written(&before) => words.clone(),
        _ if is_last => rows::words_of(&after),
        _ => return Ok(Step::Overtaken),
    };
    let summary = &mut after.summary;
    if let Assigned::Slug(slug) = slugs::assign_to(conn, &before.summary, summary, race)? {
        summary.slug = Some(slug);
    }
    (summary.date, summary.updated) = (publish_at, updated);
    let dated = (summary.published, summary.date);
    summary.position = places::take_for(conn, summary.position, dated, race)?;
    rows::update_post(conn, &before, &after, Some(&words))?;
    let states = Box::new((before.summary, after.summary));
    Ok(Step::Changed(states, Due::Published))
}
