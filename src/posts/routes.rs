//! `/post…` over HTTP.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::answers::{self, Key as AnswerKey};
use super::events::{AnythingChanged, PostChanged};
use super::idempotency::{self, Answer, Key, Known};
use super::list_routes;
use super::search;
use super::store::{self, Changed, Edited, PostHead};
use super::types::{NewPost, PostChange};
use super::views::{Post, PostAnswer, PublishedAnswer, post_example};
use crate::accounts::extract::{self, Caller};
use crate::core::bus::Bus;
use crate::core::cache::entry::Filled;
use crate::core::db::{Conn, DbError};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::cached_response;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::if_match::IfMatch;
use crate::http::path::Id;
use crate::http::response::{self, Keep};
use crate::posts::Posts;

pub const TAG: &str = "posts";

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/post")
            .get(list_routes::operation(), list_routes::list)
            .post(publish_operation("publishAtCollection"), publish),
        Endpoint::new("/post/pub").post(publish_operation("publish"), publish),
        Endpoint::new("/post/{id}")
            .get(
                Operation::new("getPost", TAG, "The post with its content")
                    .description("A draft is there for its author and for admins only.")
                    .may_have_token()
                    .database()
                    .answers::<PostAnswer>(StatusCode::OK, json!({ "post": post_example() }))
                    .revalidates()
                    .refuses(&[Code::PostNotFound]),
                read,
            )
            .patch(
                edit("changePost", "The post as it is now")
                    .description(
                        "For its author and for admins. Fields that are absent stay. A draft that \
                         is published goes to the top of the lists: `date` is when it was.",
                    )
                    .answers::<PostAnswer>(StatusCode::OK, json!({ "post": post_example() }))
                    .header("ETag", "Of the post as it is now.")
                    .refuses(&[Code::ContentTooLarge]),
                change,
            )
            .delete(
                edit("deletePost", "The post is gone")
                    .description("For its author and for admins.")
                    .answers_nothing(),
                delete,
            ),
    ]
}

fn publish_operation(id: &'static str) -> Operation {
    Operation::new(id, TAG, "The post, published or drafted")
        .database()
        .answers::<PublishedAnswer>(
            StatusCode::CREATED,
            json!({ "post_id": 1, "user_id": 1, "post": post_example() }),
        )
        .header("Location", "The new post.")
        .header("ETag", "That of the new post at its Location.")
        .refuses(&[Code::ContentTooLarge])
}

/// What changing and deleting have in common.
fn edit(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .database()
        .refuses(&[Code::PostNotFound, Code::NotYourPost])
}

/// What came of a request to publish.
enum Published {
    Now(PostHead),
    /// With a key: the answer is kept with the post.
    WithKey(PostHead, Answer),
    Before(Answer),
    /// The author is gone or not active any more.
    NoAuthor,
    Reused,
    UnderWay,
}

async fn publish(
    caller: Caller,
    key: Key,
    body: Body<NewPost>,
    app: Data<Posts>,
) -> Result<HttpResponse, Error> {
    let (now, author, key) = (app.clock.now(), caller.user_id, key.0);
    let new = Arc::new(body.0);
    let words = words_of(&new).await?;
    let hash = key.is_some().then(|| idempotency::hash_of(&new));
    let kept = Arc::clone(&new);
    let work = move |conn: &mut Conn| {
        let insert = |conn: &mut Conn| store::insert_post(conn, author, &kept, &words, now);
        let (Some(key), Some(hash)) = (&key, &hash) else {
            return Ok(insert(conn)?.map_or(Published::NoAuthor, Published::Now));
        };
        match idempotency::begin(conn, author, key, hash, now)? {
            Known::New => {}
            Known::Answered(answer) => return Ok(Published::Before(answer)),
            Known::Reused => return Ok(Published::Reused),
            Known::UnderWay => return Ok(Published::UnderWay),
        }
        let Some(head) = insert(conn)? else {
            idempotency::forget(conn, author, key)?;
            return Ok(Published::NoAuthor);
        };
        let answer = render(head.clone(), kept.content.clone())
            .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
        idempotency::keep(conn, author, key, &answer)?;
        Ok(Published::WithKey(head, answer))
    };
    let after = app.clone();
    let settle = move |done: &Result<Published, DbError>| match done {
        Ok(Published::Now(head) | Published::WithKey(head, _)) => {
            post_changed(&after.bus, &[head]);
        }
        Ok(_) => {}
        Err(error) => perhaps_changed(&after.bus, error),
    };
    let answer = match app.db.write_then(work, settle).await {
        Ok(Published::Now(head)) => {
            render(head, new.content.clone()).map_err(|e| Error::internal(e))?
        }
        Ok(Published::WithKey(_, answer) | Published::Before(answer)) => answer,
        Ok(Published::Reused) => return Err(Error::new(Code::IdempotencyKeyReused)),
        // Of two that found the key free one was a moment earlier.
        Ok(Published::UnderWay) | Err(DbError::Unique(_)) => {
            return Err(Error::new(Code::IdempotencyKeyInUse));
        }
        // The author was deleted between the look and the insert.
        Ok(Published::NoAuthor) | Err(DbError::ForeignKey(_)) => {
            return Err(Error::new(Code::InvalidToken));
        }
        Err(other) => return Err(other.into()),
    };
    Ok(response::builder(StatusCode::CREATED, Keep::Revalidate)
        .insert_header((header::LOCATION, format!("/post/{}", answer.post_id)))
        .insert_header((header::ETAG, answer.etag))
        .body(answer.body))
}

/// Contents from this size on are cut into words on the blocking pool: a megabyte takes
/// tens of milliseconds.
const WORDS_INLINE: usize = 16 * 1024;

/// The words of a post, before its transaction: on SQLite all who write wait for that.
async fn words_of(new: &Arc<NewPost>) -> Result<String, Error> {
    if new.content.len() < WORDS_INLINE {
        return Ok(search::words_of(&new.title.0, &new.content));
    }
    let new = Arc::clone(new);
    tokio::task::spawn_blocking(move || search::words_of(&new.title.0, &new.content))
        .await
        .map_err(|e| Error::internal(e))
}

/// The answer to the request that made the post.
fn render(head: PostHead, text: String) -> serde_json::Result<Answer> {
    let (post_id, user_id) = (head.post_id, head.author_id);
    let post = Post::new(head, text);
    let own = serde_json::to_vec(&PostAnswer { post: &post })?;
    let body = serde_json::to_vec(&PublishedAnswer {
        post_id,
        user_id,
        post: &post,
    })?;
    Ok(Answer {
        post_id,
        etag: response::etag_of(&own),
        body,
    })
}

async fn read(id: Id, req: HttpRequest, app: Data<Posts>) -> Result<HttpResponse, Error> {
    let find = || app.db.read(move |conn| store::find_post(conn, id.0));
    let fill = async || {
        let sources = answers::sources_of_post(id.0);
        let Some((head, text)) = find().await?.filter(|(head, _)| head.published) else {
            return Ok(Filled::Absent { sources });
        };
        let post = Post::new(head, text);
        let parts = response::finish(&PostAnswer { post: &post }, None)?;
        Ok(Filled::Found { parts, sources })
    };
    let key = AnswerKey::Post(id.0);
    if let Some(entry) = app.answers.find_or_fill(&key, fill).await? {
        return Ok(cached_response::answer(&app.answers, &key, &entry, req.headers()).await);
    }
    // What is not there at all asks for a token as a draft does, so that a bad one does
    // not tell the two apart.
    let caller = caller_of(&req).await?;
    let draft = match caller {
        Some(_) => find().await?,
        None => None,
    };
    match draft {
        Some((head, text)) if head.published || may_see(&head, caller) => answer(head, text),
        _ => Err(Error::new(Code::PostNotFound)),
    }
}

/// The caller, if there is a token. It is asked for only where it matters: a post that
/// everybody may read is read with any.
async fn caller_of(req: &HttpRequest) -> Result<Option<Caller>, Error> {
    match extract::identify(req).await {
        Ok(caller) => Ok(Some(caller)),
        Err(error) if error.code == Code::TokenMissing => Ok(None),
        Err(error) => Err(error),
    }
}

fn may_see(draft: &PostHead, caller: Option<Caller>) -> bool {
    caller.is_some_and(|caller| caller.is_admin || caller.user_id == draft.author_id)
}

fn answer(head: PostHead, text: String) -> Result<HttpResponse, Error> {
    let keep = if head.published {
        Keep::Revalidate
    } else {
        Keep::Never
    };
    let post = Post::new(head, text);
    response::read_and_keep(keep, &PostAnswer { post: &post })
}

async fn change(
    caller: Caller,
    id: Id,
    condition: IfMatch,
    body: Body<PostChange>,
    app: Data<Posts>,
) -> Result<HttpResponse, Error> {
    let (now, change) = (app.clock.now(), body.0);
    let editor = (caller.user_id, caller.is_admin);
    let work = move |conn: &mut Conn| {
        let fits = |head: &PostHead, text: &str| fits(&condition, head, text);
        store::change_post(conn, id.0, editor, &change, &fits, now)
    };
    let after = app.clone();
    let settle = move |done: &Result<Edited<Changed>, DbError>| match done {
        Ok(Edited::Done(Changed {
            before, after: now, ..
        })) => {
            post_changed(&after.bus, &[before, now]);
        }
        Ok(_) => {}
        Err(error) => perhaps_changed(&after.bus, error),
    };
    let changed = done(app.db.write_then(work, settle).await?)?;
    answer(changed.after, changed.text)
}

async fn delete(
    caller: Caller,
    id: Id,
    condition: IfMatch,
    app: Data<Posts>,
) -> Result<HttpResponse, Error> {
    let editor = (caller.user_id, caller.is_admin);
    let work = move |conn: &mut Conn| {
        let fits = |head: &PostHead, text: &str| fits(&condition, head, text);
        store::delete_post(conn, id.0, editor, &fits)
    };
    let after = app.clone();
    let settle = move |done: &Result<Edited<PostHead>, DbError>| match done {
        Ok(Edited::Done(head)) => post_changed(&after.bus, &[head]),
        Ok(_) => {}
        Err(error) => perhaps_changed(&after.bus, error),
    };
    done(app.db.write_then(work, settle).await?)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether the post is in the state that the client has seen.
fn fits(condition: &IfMatch, head: &PostHead, text: &str) -> bool {
    if !condition.is_particular() {
        return true;
    }
    let post = Post::new(head.clone(), text.to_owned());
    // Strings and numbers only: writing them to memory cannot fail.
    let body = serde_json::to_vec(&PostAnswer { post: &post }).unwrap_or_default();
    condition.fits(&response::etag_of(&body))
}

fn done<T>(edited: Edited<T>) -> Result<T, Error> {
    Err(Error::new(match edited {
        Edited::Done(value) => return Ok(value),
        Edited::NotFound => Code::PostNotFound,
        Edited::NotYours => Code::NotYourPost,
        Edited::Stale => Code::PreconditionFailed,
    }))
}

/// Says that a post is, or is no more, what these states of it say.
fn post_changed(bus: &Bus, states: &[&PostHead]) {
    let states = states.iter().map(|head| (*head).into()).collect();
    bus.publish(&PostChanged { states });
}

/// Says so when it is not known whether a write happened.
fn perhaps_changed(bus: &Bus, error: &DbError) {
    if answers::is_perhaps_changed(error) {
        bus.publish(&AnythingChanged {});
    }
}
