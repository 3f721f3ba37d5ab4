//! Publishing: an author makes a post.

use std::cell::Cell;
use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::result::{Error as QueryError, QueryResult};

use super::prepare_for;
use crate::core::bus::Bus;
use crate::core::db::{Conn, DatabaseUrl, Db, DbError};
use crate::core::gather::{Bounds, Gatherer};
use crate::jobs::events::JobWritten;
use crate::posts::jobs::publish_post;
use crate::posts::publication::{Inserted, Prepared, Publish, Publisher};
use crate::posts::search::{self, PostWords, Scope};
use crate::posts::storage::idempotency::{self, Completed, KeyState};
use crate::posts::storage::insert_many::{self, NotInserted};
use crate::posts::storage::posts::insert_post;
use crate::posts::storage::slugs::{self, Assigned, LastNumbers, Wanted};
use crate::posts::stored::{Excerpt, PostSummary, StoredPost};
use crate::posts::types::Status;
use crate::posts::views::PublishedResponse;
use crate::posts::{Posts, events, schedule, slug, storage, summary};

/// What came of it.
#[derive(Debug)]
pub enum Published {
    /// The post is there. For a repeated request: the response to the first, byte for byte.
    Done(PublishedResponse),
    /// The author is gone or not active any more.
    NoAuthor,
    /// Another post has the slug that was chosen.
    SlugTaken,
    /// It is scheduled for a time that is past or too far off.
    OutOfRange,
    /// Its date is one to come.
    DateToCome,
    /// The key was used for another post.
    KeyReused,
    /// The first request with the key is still in progress.
    KeyInUse,
}

/// Publishes or drafts a post.
///
/// The response is rendered here and not by the caller: with a key it is stored in the transaction
/// that inserts the post, so that a repeated request is answered byte for byte.
pub async fn publish(posts: &Posts, request: Publish) -> Result<Published, DbError> {
    let now = posts.clock.now();
    if request.post.date.is_some_and(|date| date > now) {
        return Ok(Published::DateToCome);
    }
    let size = request.post.content.len();
    let is_in_range =
        (request.post.publish_at).is_none_or(|publish_at| schedule::is_in_range(publish_at, now));
    let author_id = request.author_id;
    let prepared = prepare_for(author_id, size, move || prepare_request(request, now));
    let prepared = Arc::new(prepared.await?);
    if !is_in_range {
        return repeated(posts, prepared).await;
    }
    let inserted = (posts.publisher.ask(Arc::clone(&prepared)).await)
        .unwrap_or_else(|refused| Err(DbError::refused(refused)))?;
    Ok(match inserted {
        Inserted::Plain(summary) => {
            let text = prepared.request.post.content.clone();
            let response = PublishedResponse::render(StoredPost { summary, text })
                .map_err(|error| DbError::fault(error))?;
            Published::Done(response)
        }
        Inserted::WithKey(_, response) | Inserted::Before(response) => Published::Done(response),
        Inserted::NoAuthor => Published::NoAuthor,
        Inserted::SlugTaken => Published::SlugTaken,
        Inserted::KeyReused => Published::KeyReused,
        Inserted::KeyInUse => Published::KeyInUse,
    })
}

/// What a request gets that comes too late to schedule a post: the first response if it is a repeated
/// one.
async fn repeated(posts: &Posts, prepared: Arc<Prepared>) -> Result<Published, DbError> {
    let find = move |conn: &mut Conn| {
        let Prepared {
            request,
            request_hash,
            now,
            ..
        } = &*prepared;
        match &request.key {
            Some(key) => idempotency::find(conn, request.author_id, key, request_hash, *now),
            None => Ok(None),
        }
    };
    Ok(match posts.db.read(find).await? {
        Some(KeyState::Completed(response)) => Published::Done(response),
        Some(KeyState::Reused) => Published::KeyReused,
        _ => Published::OutOfRange,
    })
}

/// Makes what can be made before the transaction: on SQLite all who write wait for that.
pub fn prepare_request(request: Publish, now: NaiveDateTime) -> Prepared {
    let Publish {
        author_id,
        post,
        key,
    } = &request;
    let scope = Scope::of(post.status == Status::Published, *author_id);
    let tags: Vec<&str> = post.tags.iter().map(|tag| tag.0.as_str()).collect();
    let words = search::words_of(&post.title.0, &tags, &post.content);
    let words = PostWords {
        text: scope.spell(&words.text).into_owned(),
        ..words
    };
    let request_hash = (key.as_ref())
        .map(|_| idempotency::request_hash(post))
        .unwrap_or_default();
    let excerpt = match &post.summary {
        Some(own) => Excerpt {
            text: Some(own.0.clone()),
            is_own: true,
        },
        None => Excerpt {
            text: Some(summary::of_text(post.format, &post.content)),
            is_own: false,
        },
    };
    let title_slug = slug::of_title(&post.title.0);
    Prepared {
        request,
        words,
        excerpt,
        title_slug,
        request_hash,
        now,
    }
}

/// Posts that a transaction inserts at most.
const AT_ONCE: usize = 32;
/// Bytes of contents and words that it inserts at most; a post that is larger is alone.
const BYTES_AT_ONCE: usize = 256 * 1024;
/// Requests that wait for their transaction to begin.
const QUEUE: usize = 1024;

/// One that inserts posts by at most so many connections at once.
pub fn publisher(db: &Db, bus: &Arc<Bus>, connections: usize) -> Publisher {
    let runs = match db.url() {
        // There is one writer at a time.
        DatabaseUrl::Sqlite(_) => 1,
        DatabaseUrl::Mysql(_) => connections,
    };
    let bounds = Bounds {
        at_once: runs.min(2),
        runs,
        jobs: AT_ONCE,
        weight: BYTES_AT_ONCE,
        queue: QUEUE,
    };
    let weight = |job: &Arc<Prepared>| job.request.post.content.len() + job.words.text.len();
    let (db, bus, last) = (db.clone(), Arc::clone(bus), LastNumbers::default());
    Gatherer::new("publish", bounds, weight, move |jobs: Vec<_>| {
        insert_all((&db, &bus, &last), &jobs)
    })
}

/// Inserts posts and tells of it, on the thread that committed, before anybody is answered.
fn insert_all(
    (db, bus, last): (&Db, &Bus, &LastNumbers),
    jobs: &[Arc<Prepared>],
) -> Vec<Result<Inserted, DbError>> {
    if let [job] = jobs {
        return vec![insert_alone((db, bus, last), job)];
    }
    let mut race = 0;
    let inserted = loop {
        let inserted = db.write_together(
            &|conn| insert_together(conn, jobs, (race, last)),
            |inserted| announce(bus, inserted.as_deref().unwrap_or_default()),
        );
        match &inserted {
            Err(error) if race < storage::RACES && storage::is_lost_race(error) => race += 1,
            _ => break inserted,
        }
    };
    let one_by_one = || (jobs.iter().map(|job| insert_alone((db, bus, last), job))).collect();
    match inserted {
        Ok(Some(inserted)) => inserted.into_iter().map(Ok).collect(),
        Ok(None) => one_by_one(),
        // One of them cannot be done, or waits for a lock. What of, is seen when each is alone.
        Err(error) if error.may_be_one_of_several() => one_by_one(),
        Err(error) => jobs.iter().map(|_| Err(error.share())).collect(),
    }
}

fn insert_alone(
    (db, bus, last): (&Db, &Bus, &LastNumbers),
    job: &Prepared,
) -> Result<Inserted, DbError> {
    let has_key = job.request.key.is_some();
    // Whether it is the key that a unique index refuses, or something behind it.
    let claiming = Cell::new(has_key);
    let mut race = 0;
    let inserted = loop {
        let work = |conn: &mut Conn| {
            claiming.set(has_key);
            insert(conn, job, &claiming, (race, last))
        };
        let inserted = db.write_together(&work, |inserted| {
            announce(bus, std::slice::from_ref(inserted));
        });
        match &inserted {
            Err(error) if race < storage::RACES && storage::is_lost_race(error) => race += 1,
            _ => break inserted,
        }
    };
    match inserted {
        // Of two that found the key free one was a moment earlier.
        Err(DbError::Unique(_)) if claiming.get() => Ok(Inserted::KeyInUse),
        // The author was deleted between the look and the insert.
        Err(DbError::ForeignKey(_)) => Ok(Inserted::NoAuthor),
        done => done,
    }
}

/// Lost races for slugs, and the numbers that were given last.
type Numbers<'n> = (u32, &'n LastNumbers);

fn insert(
    conn: &mut Conn,
    job: &Prepared,
    claiming: &Cell<bool>,
    numbers: Numbers<'_>,
) -> QueryResult<Inserted> {
    let Prepared {
        request,
        request_hash,
        now,
        ..
    } = job;
    let Some(key) = &request.key else {
        let inserted = insert_with_slug(conn, job, numbers)?;
        return Ok(inserted.map_or_else(not_inserted, Inserted::Plain));
    };
    let author = request.author_id;
    match idempotency::claim(conn, author, key, request_hash, *now)? {
        KeyState::Claimed => claiming.set(false),
        KeyState::Completed(response) => return Ok(Inserted::Before(response)),
        KeyState::Reused => return Ok(Inserted::KeyReused),
        KeyState::InProgress => return Ok(Inserted::KeyInUse),
    }
    let summary = match insert_with_slug(conn, job, numbers)? {
        Ok(summary) => summary,
        Err(why) => {
            idempotency::release(conn, author, key)?;
            return Ok(not_inserted(why));
        }
    };
    let response = render(&summary, job)?;
    idempotency::complete(conn, author, key, &response)?;
    Ok(Inserted::WithKey(summary, response))
}

fn insert_with_slug(
    conn: &mut Conn,
    job: &Prepared,
    (race, last): Numbers<'_>,
) -> QueryResult<Result<PostSummary, NotInserted>> {
    let slug = match slugs::assign(conn, &[Wanted::by(job)], race, last)?.pop() {
        Some(Assigned::Slug(slug)) => Some(slug),
        Some(Assigned::Taken) => return Ok(Err(NotInserted::SlugTaken)),
        Some(Assigned::Nothing) | None => None,
    };
    let inserted = insert_post(conn, job, slug, race)?;
    if let Some(post) = &inserted {
        publish_post::plan_new(conn, post, job.now)?;
    }
    Ok(inserted.ok_or(NotInserted::NoAuthor))
}

fn not_inserted(why: NotInserted) -> Inserted {
    match why {
        NotInserted::NoAuthor => Inserted::NoAuthor,
        NotInserted::SlugTaken => Inserted::SlugTaken,
    }
}

/// `None`: each must be alone, and nothing is written.
fn insert_together(
    conn: &mut Conn,
    jobs: &[Arc<Prepared>],
    numbers: Numbers<'_>,
) -> QueryResult<Option<Vec<Inserted>>> {
    let Some(summaries) = insert_many::insert_posts(conn, jobs, numbers)? else {
        return Ok(None);
    };
    let mut inserted = Vec::new();
    for (job, summary) in jobs.iter().zip(summaries) {
        if let Ok(post) = &summary {
            publish_post::plan_new(conn, post, job.now)?;
        }
        inserted.push(match summary {
            Err(why) => not_inserted(why),
            Ok(summary) if job.request.key.is_none() => Inserted::Plain(summary),
            Ok(summary) => {
                let response = render(&summary, job)?;
                Inserted::WithKey(summary, response)
            }
        });
    }
    let completed: Vec<_> = (jobs.iter().zip(&inserted))
        .filter_map(|(job, inserted)| match (&job.request.key, inserted) {
            (Some(key), Inserted::WithKey(_, response)) => Some(Completed {
                user_id: job.request.author_id,
                key,
                request_hash: &job.request_hash,
                response,
                now: job.now,
            }),
            _ => None,
        })
        .collect();
    idempotency::insert_completed(conn, &completed)?;
    Ok(Some(inserted))
}

/// The response of a post with a key, which is stored with it.
fn render(summary: &PostSummary, job: &Prepared) -> QueryResult<PublishedResponse> {
    let stored = StoredPost {
        summary: summary.clone(),
        text: job.request.post.content.clone(),
    };
    PublishedResponse::render(stored)
        .map_err(|error| QueryError::SerializationError(Box::new(error)))
}

fn announce(bus: &Bus, inserted: &[Inserted]) {
    let new: Vec<&PostSummary> = inserted
        .iter()
        .filter_map(|one| match one {
            Inserted::Plain(post) | Inserted::WithKey(post, _) => Some(post),
            _ => None,
        })
        .collect();
    if !new.is_empty() {
        events::post_changed(bus, &new);
    }
    if new.iter().any(|post| post.scheduled_for().is_some()) {
        bus.publish(&JobWritten {});
    }
}
