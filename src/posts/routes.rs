//! `/post…` over HTTP.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::store::{self, Edited, PostHead};
use super::types::{NewPost, PostChange};
use crate::accounts::caller::Caller;
use crate::app::App;
use crate::clock;
use crate::db::DbError;
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::{PageRequest, Pagination};
use crate::http::path::Id;
use crate::http::reply::{self, Keep};
use crate::http::then::Then;

const TAG: &str = "posts";

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/post")
            .get(list_operation(), list)
            .post(publish_operation("publishAtCollection"), publish),
        Endpoint::new("/post/pub").post(publish_operation("publish"), publish),
        Endpoint::new("/post/{id}")
            .get(
                Operation::new("getPost", TAG, "The post with its content")
                    .id_in_path(1)
                    .database()
                    .answers::<PostAnswer>(StatusCode::OK, json!({ "post": post_example() }))
                    .revalidates()
                    .refuses(&[Code::PostNotFound]),
                read,
            )
            .patch(
                Operation::new("changePost", TAG, "The post as it is now")
                    .description("For its author and for admins. Fields that are absent stay.")
                    .token()
                    .id_in_path(1)
                    .database()
                    .body::<PostChange>()
                    .answers::<PostAnswer>(StatusCode::OK, json!({ "post": post_example() }))
                    .header("ETag", "Of the post as it is now.")
                    .refuses(&[Code::PostNotFound, Code::NotYourPost, Code::ContentTooLarge]),
                change,
            )
            .delete(
                Operation::new("deletePost", TAG, "The post is gone")
                    .description("For its author and for admins.")
                    .token()
                    .id_in_path(1)
                    .database()
                    .answers_nothing()
                    .refuses(&[Code::PostNotFound, Code::NotYourPost]),
                delete,
            ),
    ]
}

fn publish_operation(id: &'static str) -> Operation {
    Operation::new(id, TAG, "The post, published")
        .token()
        .database()
        .body::<NewPost>()
        .answers::<PublishedAnswer>(
            StatusCode::CREATED,
            json!({ "post_id": 1, "user_id": 1, "post": post_example() }),
        )
        .header("Location", "The new post.")
        .header("ETag", "That of the new post at its Location.")
        .refuses(&[Code::ContentTooLarge])
}

fn list_operation() -> Operation {
    Operation::new("listPosts", TAG, "A page of posts, newest first")
        .description(
            "`page` and `size` that are absent, unparsable or below 1 become 1 and 20, a `size` \
             above 100 becomes 100; the answer says which were used. A page past the end is empty.",
        )
        .pages()
        .database()
        .answers::<PageAnswer>(
            StatusCode::OK,
            json!({
                "posts": [item_example()],
                "pagination": { "count": 1, "pages": 1, "page": 1, "size": 20 },
            }),
        )
        .revalidates()
}

/// A post in a list: everything but its content.
#[derive(Serialize, ToSchema)]
struct PostItem {
    #[schema(minimum = 1)]
    post_id: i64,
    post_title: String,
    /// The author's name.
    author: String,
    #[schema(minimum = 1)]
    author_id: i64,
    /// When it was published.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    date: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
}

/// A post.
#[derive(Serialize, ToSchema)]
pub struct Post {
    #[schema(minimum = 1)]
    post_id: i64,
    post_title: String,
    /// As its author sent it, character for character.
    post_content: String,
    /// The author's name.
    author: String,
    #[schema(minimum = 1)]
    author_id: i64,
    /// When it was published.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    date: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
}

impl From<PostHead> for PostItem {
    fn from(head: PostHead) -> Self {
        Self {
            post_id: head.post_id,
            post_title: head.title,
            author: head.author,
            author_id: head.author_id,
            date: head.date,
            updated: head.updated,
        }
    }
}

impl Post {
    /// A row and its content.
    pub fn new(head: PostHead, content: String) -> Self {
        Self {
            post_id: head.post_id,
            post_title: head.title,
            post_content: content,
            author: head.author,
            author_id: head.author_id,
            date: head.date,
            updated: head.updated,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct PostAnswer<'a> {
    post: &'a Post,
}

/// A post that was just published.
#[derive(Serialize, ToSchema)]
struct PublishedAnswer<'a> {
    #[schema(minimum = 1)]
    post_id: i64,
    /// The author.
    #[schema(minimum = 1)]
    user_id: i64,
    post: &'a Post,
}

#[derive(Serialize, ToSchema)]
struct PageAnswer {
    posts: Vec<PostItem>,
    pagination: Pagination,
}

async fn publish(
    Then(caller, body): Then<Caller, Body<NewPost>>,
    app: Data<App>,
) -> Result<HttpResponse, Error> {
    let now = app.clock.now();
    let new = body.0;
    let (head, content) = app
        .db
        .write(move |conn| {
            let head = store::insert_post(conn, caller.user_id, &new, now)?;
            Ok(head.map(|head| (head, new.content.clone())))
        })
        .await
        .map_err(|error| match error {
            // The author was deleted between the look and the insert.
            DbError::ForeignKey => Error::new(Code::InvalidToken),
            other => other.into(),
        })?
        .ok_or_else(|| Error::new(Code::InvalidToken))?;
    let post = Post::new(head, content);
    let etag = reply::render(&PostAnswer { post: &post })?.etag;
    let answer = PublishedAnswer {
        post_id: post.post_id,
        user_id: caller.user_id,
        post: &post,
    };
    let body = serde_json::to_vec(&answer).map_err(Error::internal)?;
    Ok(reply::builder(StatusCode::CREATED, Keep::Revalidate)
        .insert_header((header::LOCATION, format!("/post/{}", post.post_id)))
        .insert_header((header::ETAG, etag))
        .body(body))
}

async fn read(id: Id, app: Data<App>) -> Result<HttpResponse, Error> {
    let (head, content) = app
        .db
        .read(move |conn| store::find_post(conn, id.0))
        .await?
        .ok_or_else(|| Error::new(Code::PostNotFound))?;
    reply::read(&PostAnswer {
        post: &Post::new(head, content),
    })
}

async fn change(
    Then(caller, Then(id, body)): Then<Caller, Then<Id, Body<PostChange>>>,
    app: Data<App>,
) -> Result<HttpResponse, Error> {
    let (now, change) = (app.clock.now(), body.0);
    let who = (caller.user_id, caller.is_admin);
    let edited = app
        .db
        .write(move |conn| store::change_post(conn, id.0, who, &change, now))
        .await?;
    let (head, content) = done(edited)?;
    reply::read(&PostAnswer {
        post: &Post::new(head, content),
    })
}

async fn delete(Then(caller, id): Then<Caller, Id>, app: Data<App>) -> Result<HttpResponse, Error> {
    let who = (caller.user_id, caller.is_admin);
    let edited = app
        .db
        .write(move |conn| store::delete_post(conn, id.0, who))
        .await?;
    done(edited)?;
    Ok(HttpResponse::NoContent().finish())
}

fn done<T>(edited: Edited<T>) -> Result<T, Error> {
    match edited {
        Edited::Done(value) => Ok(value),
        Edited::NotFound => Err(Error::new(Code::PostNotFound)),
        Edited::NotYours => Err(Error::new(Code::NotYourPost)),
    }
}

async fn list(request: PageRequest, app: Data<App>) -> Result<HttpResponse, Error> {
    let (heads, count) = app
        .db
        .read(move |conn| store::load_page(conn, request))
        .await?;
    let pagination = Pagination::new(request, count);
    let link = pagination.link("/post/", &None);
    let mut response = reply::read(&PageAnswer {
        posts: heads.into_iter().map(PostItem::from).collect(),
        pagination,
    })?;
    response.headers_mut().insert(
        header::LINK,
        header::HeaderValue::try_from(link).map_err(Error::internal)?,
    );
    Ok(response)
}

fn item_example() -> Value {
    json!({
        "post_id": 1, "post_title": "Hello, world", "author": "Ann Smith", "author_id": 1,
        "date": "2026-11-21T09:31:00.5Z", "updated": "2026-11-21T09:31:00.5Z",
    })
}

/// For the description.
pub fn post_example() -> Value {
    let mut post = item_example();
    post["post_content"] = "The *first* of many.".into();
    post
}
