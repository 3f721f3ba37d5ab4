//! `/post…` over HTTP: publish, read, change and delete a post.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::NaiveDateTime;
use serde_json::json;
use utoipa::openapi::path::ParameterIn;

use super::TAG;
use super::bodies;
use super::include::{include_of, include_schema};
use super::lists;
use super::post_ref::PostRef;
use super::response_cache::{self, CacheKey, ResponseCache};
use crate::accounts::extract::{self, Caller};
use crate::core::cache::entry::Filled;
use crate::error::{Code, Error, FieldError};
use crate::http::body::Body;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::idempotency_key::OptionalKey;
use crate::http::if_match::IfMatch;
use crate::http::path::Id;
use crate::http::response::{self, CacheControl, Rendered};
use crate::posts::Posts;
use crate::posts::actions::edit::{self, Edit, EditRefusal};
use crate::posts::actions::prepare;
use crate::posts::actions::publish::{self, Published};
use crate::posts::actions::read::{self, BySlug};
use crate::posts::list::Include;
use crate::posts::publication::Publish;
use crate::posts::schedule::{DateFault, ScheduleFault};
use crate::posts::stored::{Editor, PostSummary, StoredPost};
use crate::posts::types::{NewPost, PostChange};
use crate::posts::views::{
    Post, PostAnswer, PublishedAnswer, PublishedResponse, RenderedPost, post_example,
};

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/post")
            .get(lists::operation(), lists::list)
            .post(publish_operation("publishAtCollection"), publish),
        Endpoint::new("/post/pub").post(publish_operation("publish"), publish),
        Endpoint::new("/post/{id}")
            .get(
                Operation::new("getPost", TAG, "Read a post", "The post with its content")
                    .description(
                        "By its id or its slug; a slug that it had before answers 301 to the present one. \
                         A draft is there for its author and for admins only. The `ETag` with `include` is \
                         not the one that `If-Match` takes; of the one without, `If-Match` compares what \
                         people write: a like or a comment that came meanwhile is in nobody's way.",
                    )
                    .may_have_moved("Where the post is, by its present slug.")
                    .parameter(
                        "include",
                        ParameterIn::Query,
                        "`html`: with the content as sanitized HTML, `post_html`.",
                        include_schema("html"),
                        json!("html"),
                    )
                    .may_have_token()
                    .database()
                    .answers::<PostAnswer>(StatusCode::OK, json!({ "post": post_example() }))
                    .revalidates()
                    .refuses(&[Code::PostNotFound, Code::QueryInvalid]),
                read,
            )
            .patch(
                edit_operation("changePost", "Change a post", "The post as it is now")
                    .description(
                        "For its author and for admins. Fields that are absent stay. A draft that \
                         is published goes to the top of the lists: `date` is when it was. A post that \
                         was published before comes back to its place with its date, or to the top \
                         with `as_new`. A scheduled post is published by itself at its `publish_at`, which is its `date`; by then \
                         it can be changed, published at once, or be a draft again. The slug stays when the title changes. What changes nothing leaves `updated` and the ETag as they are.",
                    )
                    .answers::<PostAnswer>(StatusCode::OK, json!({ "post": post_example() }))
                    .header("ETag", "Of the post as it is now.")
                    .refuses(&[Code::ContentTooLarge, Code::SlugTaken, Code::AdminsOnly]),
                change,
            )
            .delete(
                edit_operation("deletePost", "Delete a post", "The post is gone")
                    .description("For its author and for admins.")
                    .answers_nothing(),
                delete,
            ),
    ]
}

fn publish_operation(id: &'static str) -> Operation {
    Operation::new(
        id,
        TAG,
        "Publish a post, or draft one",
        "The post, published or drafted",
    )
    .description(
        "`/post` and `/post/pub` are the same. With an `Idempotency-Key` a repeat within 24 hours \
             gets the first answer, byte for byte, and publishes nothing. With a `publish_at` it is a draft until then, \
             and published by itself within a second of that time, once; if its author is deactivated by then, it stays \
             a draft.",
    )
    .database()
    .answers::<PublishedAnswer>(
        StatusCode::CREATED,
        json!({ "post_id": 1, "user_id": 1, "post": post_example() }),
    )
    .header("Location", "The new post.")
    .header("ETag", "That of the new post at its Location.")
    .refuses(&[Code::ContentTooLarge, Code::SlugTaken, Code::AdminsOnly])
}

/// What changing and deleting have in common.
fn edit_operation(id: &'static str, summary: &'static str, outcome: &'static str) -> Operation {
    Operation::new(id, TAG, summary, outcome)
        .database()
        .refuses(&[Code::PostNotFound, Code::NotYourPost])
}

async fn publish(
    caller: Caller,
    OptionalKey(key): OptionalKey,
    body: Body<NewPost>,
    posts: Data<Posts>,
) -> Result<HttpResponse, Error> {
    may_give_date(&caller, body.0.date)?;
    let request = Publish {
        author_id: caller.user_id,
        post: body.0,
        key,
    };
    match publish::publish(&posts, request).await? {
        Published::Done(response) => Ok(created(response)),
        Published::NoAuthor => Err(Error::new(Code::SessionEnded)),
        Published::SlugTaken => Err(slug_taken()),
        Published::OutOfRange => Err(unscheduled(ScheduleFault::OutOfRange)),
        Published::DateToCome => Err(undated(DateFault::IsToCome)),
        Published::KeyReused => Err(Error::new(Code::IdempotencyKeyReused)),
        Published::KeyInUse => Err(Error::new(Code::IdempotencyKeyInUse)),
    }
}

fn created(published: PublishedResponse) -> HttpResponse {
    response::builder(StatusCode::CREATED, CacheControl::NoCache)
        .insert_header((header::LOCATION, format!("/post/{}", published.post_id)))
        .insert_header((header::ETAG, published.etag))
        .body(published.body)
}

async fn read(
    named: PostRef,
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let include = include_of(req.query_string(), false)?;
    let key = match (&named, include.html) {
        (PostRef::Id(id), true) => CacheKey::of_html(*id),
        (PostRef::Id(id), false) => CacheKey::Post(*id),
        (PostRef::Slug(slug), true) => CacheKey::of_html_by_slug(slug),
        (PostRef::Slug(slug), false) => CacheKey::Slug(slug.as_str().into()),
    };
    let fill = async || fill(&posts, &named, include).await;
    if let Some(response) = response_cache::respond_from_anywhere(&cache, &key, &req, fill).await? {
        return Ok(response);
    }
    let slug = match named {
        PostRef::Id(id) => {
            // What is not there at all asks for a token as a draft does, so that a bad one does
            // not tell the two apart.
            let visible = match extract::identify_if_any(&req).await? {
                Some(caller) => read::find_visible(&posts, id, editor(caller)).await?,
                None => None,
            };
            return respond_visible(visible, include).await;
        }
        PostRef::Slug(slug) => slug,
    };
    let found = read::find_by_slug(&posts, &slug).await?;
    if let Some(BySlug::Moved(post)) = &found
        && post.published
    {
        return moved(post, &req);
    }
    let reader = extract::identify_if_any(&req).await?.map(editor);
    let owns = |post: &PostSummary| reader.is_some_and(|reader| reader.owns(post));
    match found {
        Some(BySlug::Moved(post)) if owns(&post) => moved(&post, &req),
        Some(BySlug::Post(post)) if post.summary.published || owns(&post.summary) => {
            respond_visible(Some(*post), include).await
        }
        _ => Err(Error::new(Code::PostNotFound)),
    }
}

/// Leads from an older slug to the present one. It is asked for each time: a post may get an older slug
/// back.
fn moved(post: &PostSummary, req: &HttpRequest) -> Result<HttpResponse, Error> {
    let slug = (post.slug.as_deref()).ok_or_else(|| Error::internal("a post lost its slug"))?;
    let query = match req.query_string() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let cache_control = if post.published {
        CacheControl::NoCache
    } else {
        CacheControl::NoStore
    };
    Ok(HttpResponse::MovedPermanently()
        .insert_header((header::LOCATION, format!("/post/{slug}{query}")))
        .insert_header((header::CACHE_CONTROL, cache_control.value().as_ref()))
        .finish())
}

async fn respond_visible(
    visible: Option<StoredPost>,
    include: Include,
) -> Result<HttpResponse, Error> {
    match visible {
        Some(post) if include.html => respond_with_html(post).await,
        Some(post) => respond(post),
        None => Err(Error::new(Code::PostNotFound)),
    }
}

async fn respond_with_html(post: StoredPost) -> Result<HttpResponse, Error> {
    let (cache_control, size) = (cache_control(&post), post.text.len());
    let work = move || {
        let post = Post::from(post).with_html();
        response::render(&PostAnswer { post: &post })
    };
    let rendered = prepare(size, work).await??;
    Ok(response::builder(StatusCode::OK, cache_control)
        .insert_header((header::ETAG, rendered.etag))
        .body(rendered.body))
}

async fn fill(posts: &Posts, named: &PostRef, include: Include) -> Result<Filled, Error> {
    let post = match named {
        PostRef::Id(id) => read::find_published(posts, *id).await?,
        PostRef::Slug(slug) => read::find_published_by_slug(posts, slug).await?,
    };
    let tags = named.cache_tags(post.as_ref());
    let Some(post) = post else {
        return Ok(Filled::Absent { tags });
    };
    let parts = if include.html {
        let size = post.text.len();
        let render = |post: &Post| response::cacheable_json(&PostAnswer { post }, None);
        prepare(size, move || render(&Post::from(post).with_html())).await??
    } else {
        let rendered = rendered(&Post::from(post))?;
        response::cacheable_as(rendered, "application/json", None)?
    };
    Ok(Filled::Found { parts, tags })
}

fn editor(caller: Caller) -> Editor {
    Editor {
        user_id: caller.user_id,
        is_admin: caller.is_admin,
    }
}

fn respond(post: StoredPost) -> Result<HttpResponse, Error> {
    let cache_control = cache_control(&post);
    let rendered = rendered(&Post::from(post))?;
    Ok(response::builder(StatusCode::OK, cache_control)
        .insert_header((header::ETAG, rendered.etag))
        .body(rendered.body))
}

fn rendered(post: &Post) -> Result<Rendered, Error> {
    let RenderedPost { body, etag } = RenderedPost::of(post).map_err(|e| Error::internal(e))?;
    Ok(Rendered { body, etag })
}

fn cache_control(post: &StoredPost) -> CacheControl {
    if post.summary.published {
        CacheControl::NoCache
    } else {
        CacheControl::NoStore
    }
}

async fn change(
    caller: Caller,
    id: Id,
    if_match: IfMatch,
    body: Body<PostChange>,
    posts: Data<Posts>,
) -> Result<HttpResponse, Error> {
    may_give_date(&caller, body.0.date)?;
    let changed = edit::change(&posts, edit_of(caller, id, if_match), body.0).await?;
    respond(changed.map_err(refused)?)
}

async fn delete(
    caller: Caller,
    id: Id,
    if_match: IfMatch,
    posts: Data<Posts>,
) -> Result<HttpResponse, Error> {
    let deleted = edit::delete(&posts, edit_of(caller, id, if_match)).await?;
    deleted.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}

fn edit_of(caller: Caller, id: Id, if_match: IfMatch) -> Edit {
    Edit {
        post_id: id.0,
        editor: editor(caller),
        precondition: if_match.0,
    }
}

/// 409 with the field that it is about.
fn slug_taken() -> Error {
    Error {
        fields: vec![FieldError::new(
            "slug",
            Code::SlugTaken,
            "is another post's",
        )],
        ..Error::new(Code::SlugTaken)
    }
}

/// 422 with the field that it is about.
fn unscheduled(fault: ScheduleFault) -> Error {
    let (code, detail) = match fault {
        ScheduleFault::Missing => (Code::FieldMissing, bodies::NEEDED),
        ScheduleFault::OutOfRange => (
            Code::PublishAtOutOfRange,
            "is not a time to come, or more than ten years ahead",
        ),
        ScheduleFault::IsPublished => (
            Code::PublishAtUnexpected,
            "is of a post that is published; the status scheduled withdraws it",
        ),
    };
    Error::fields(vec![FieldError::new("publish_at", code, detail)])
}

/// The same of its date.
fn undated(fault: DateFault) -> Error {
    let (code, detail) = match fault {
        DateFault::IsToCome => (
            Code::DateOutOfRange,
            "is a time to come, for which a post is scheduled",
        ),
        DateFault::IsDraft => (Code::DateUnexpected, bodies::UNDATED),
    };
    Error::fields(vec![FieldError::new("date", code, detail)])
}

/// Only admins say when a post was published.
fn may_give_date(caller: &Caller, date: Option<NaiveDateTime>) -> Result<(), Error> {
    if date.is_some() && !caller.is_admin {
        return Err(Error::with_detail(
            Code::AdminsOnly,
            "Only an admin gives a post another date.".to_owned(),
        ));
    }
    Ok(())
}

fn refused(refusal: EditRefusal) -> Error {
    Error::new(match refusal {
        EditRefusal::SlugTaken => return slug_taken(),
        EditRefusal::Schedule(fault) => return unscheduled(fault),
        EditRefusal::Date(fault) => return undated(fault),
        EditRefusal::NotFound => Code::PostNotFound,
        EditRefusal::NotYours => Code::NotYourPost,
        EditRefusal::Stale => Code::PreconditionFailed,
    })
}
