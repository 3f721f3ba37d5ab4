//! `/post/{id}/comments` and `/comment/{id}` over HTTP.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::response_cache::{self, ResponseCache, respond_from_anywhere};
use super::views::{CommentsAnswer, comments_example};
use super::{TAG, editor};
use crate::accounts::extract::{self, Caller};
use crate::core::cache::entry::Filled;
use crate::error::{Code, Error, FieldError};
use crate::http::body::Body;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::idempotency_key::OptionalKey;
use crate::http::if_match::IfMatch;
use crate::http::page::{LINK_MAX, ListPart, Listed, Pagination, UncountedPart};
use crate::http::path::Id;
use crate::http::rate_limit::RateLimited;
use crate::http::response::{self, CacheControl, Rendered};
use crate::posts::actions::prepare;
use crate::posts::stored::PostAccess;
use crate::social::Social;
use crate::social::actions::comments::{self, CommentRequest, Commented, Edit, EditRefusal};
use crate::social::actions::read;
use crate::social::limits::Comments;
use crate::social::types::{CommentText, NewComment, StoredComment};
use crate::social::views::{Comment, CommentAnswer, RenderedComment, comment_example};

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let answer = || json!({ "comment": comment_example() });
    vec![
        Endpoint::new("/post/{id}/comments")
            .get(list_operation(), list)
            .post(
                Operation::new(
                    "comment",
                    TAG,
                    "Comment on a post",
                    "The comment is there",
                )
                .description(
                    "With an `Idempotency-Key` a repeat within 24 hours gets the first answer, byte for byte, and \
                     nothing is written again. Drafts can be commented on by who sees them.",
                )
                .database()
                .answers::<CommentAnswer>(StatusCode::CREATED, answer())
                .header("Location", "The new comment.")
                .header("ETag", "That of the new comment at its Location.")
                .refuses(&[Code::PostNotFound]),
                write,
            ),
        Endpoint::new("/comment/{id}")
            .get(
                Operation::new("getComment", TAG, "Read a comment", "The comment")
                    .description("Comments of drafts are there for who sees the draft.")
                    .may_have_token()
                    .database()
                    .answers::<CommentAnswer>(StatusCode::OK, answer())
                    .revalidates()
                    .refuses(&[Code::CommentNotFound]),
                read_one,
            )
            .patch(
                edit_operation("changeComment", "Change a comment", "The comment as it is now")
                    .description("For its author. What changes nothing leaves `updated` and the ETag as they are.")
                    .answers::<CommentAnswer>(StatusCode::OK, answer())
                    .header("ETag", "Of the comment as it is now."),
                change,
            )
            .delete(
                edit_operation("deleteComment", "Delete a comment", "The comment is gone")
                    .description(
                        "For its author, the author of the post, and admins. One that has replies leaves its place \
                         in the list, without content and author.",
                    )
                    .answers_nothing(),
                delete,
            ),
    ]
}

fn list_operation() -> Operation {
    Operation::new(
        "listComments",
        TAG,
        "List the comments of a post, oldest first",
        "Comments, oldest first",
    )
    .description(
        "By `page` with the exact `count` and `pages`, or by `before`, for endless scrolling: following `next` \
         meets every comment once, while others are added or removed. What is left of deleted comments that \
         have replies is in the list and in its count. Pages end behind 100,000 comments; `before` leads on.",
    )
    .may_have_token()
    .database()
    .answers::<CommentsAnswer>(StatusCode::OK, comments_example())
    .revalidates()
    .refuses(&[Code::PostNotFound])
}

/// What changing and deleting have in common.
fn edit_operation(id: &'static str, summary: &'static str, outcome: &'static str) -> Operation {
    Operation::new(id, TAG, summary, outcome)
        .database()
        .refuses(&[Code::CommentNotFound, Code::NotYourComment])
}

async fn list(
    id: Id,
    UncountedPart(part): UncountedPart,
    req: HttpRequest,
    social: Data<Social>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let fill = async || {
        let tags = response_cache::tags_of_list(id.0);
        match read::list(&social, id.0, part).await? {
            Some((access, listed)) if access.published => {
                let render = move |answer: &CommentsAnswer, link: Option<&str>| {
                    response::cacheable_json(answer, link)
                };
                let parts = render_list(id.0, part, listed, render).await?;
                Ok(Filled::Found { parts, tags })
            }
            _ => Ok(Filled::Absent { tags }),
        }
    };
    let key = response_cache::key_of_list(id.0, part);
    if let Some(response) = respond_from_anywhere(&cache, &key, &req, fill).await? {
        return Ok(response);
    }
    // As with drafts themselves: a token is asked for only where it matters.
    let caller = extract::identify_if_any(&req).await?.map(editor);
    let (_, listed) = read::list(&social, id.0, part)
        .await?
        .filter(|(access, _)| access.is_visible_to(caller))
        .ok_or_else(|| Error::new(Code::PostNotFound))?;
    let render = |answer: &CommentsAnswer, link: Option<&str>| {
        Ok((response::render(answer)?, link.map(str::to_owned)))
    };
    let (rendered, link) = render_list(id.0, part, listed, render).await?;
    let mut response = response::builder(StatusCode::OK, CacheControl::NoStore);
    response.insert_header((header::ETAG, rendered.etag));
    if let Some(link) = link {
        response.insert_header((header::LINK, link));
    }
    Ok(response.body(rendered.body))
}

/// Renders a part of a list, where it holds nobody up.
async fn render_list<T: Send + 'static>(
    post_id: i64,
    part: ListPart,
    mut listed: Listed<StoredComment>,
    render: impl FnOnce(&CommentsAnswer, Option<&str>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let rows = std::mem::take(&mut listed.rows);
    let size = rows.iter().map(|comment| comment.content().len()).sum();
    let work = move || {
        let pagination = Pagination::new(part, &listed);
        let link = pagination.link(&format!("/post/{post_id}/comments"), &[]);
        let answer = CommentsAnswer {
            comments: rows.iter().map(Comment::from).collect(),
            pagination,
        };
        render(
            &answer,
            Some(link.as_str()).filter(|link| link.len() <= LINK_MAX),
        )
    };
    prepare(size, work).await?
}

async fn read_one(
    id: Id,
    req: HttpRequest,
    social: Data<Social>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let fill = async || match read::find(&social, id.0).await? {
        Some((access, comment)) if access.published => Ok(Filled::Found {
            parts: response::cacheable_as(rendered(&comment)?, "application/json", None)?,
            tags: response_cache::tags_of(id.0, Some(access.post_id)),
        }),
        found => Ok(Filled::Absent {
            tags: response_cache::tags_of(id.0, found.map(|(access, _)| access.post_id)),
        }),
    };
    let key = response_cache::key_of(id.0);
    if let Some(response) = respond_from_anywhere(&cache, &key, &req, fill).await? {
        return Ok(response);
    }
    let caller = extract::identify_if_any(&req).await?.map(editor);
    let is_visible = |(access, _): &(PostAccess, StoredComment)| access.is_visible_to(caller);
    let (_, comment) = read::find(&social, id.0)
        .await?
        .filter(is_visible)
        .ok_or_else(|| Error::new(Code::CommentNotFound))?;
    Ok(as_answer(CacheControl::NoStore, rendered(&comment)?))
}

fn rendered(comment: &StoredComment) -> Result<Rendered, Error> {
    let RenderedComment { body, etag } =
        RenderedComment::of(comment).map_err(|e| Error::internal(e))?;
    Ok(Rendered { body, etag })
}

fn as_answer(cache_control: CacheControl, rendered: Rendered) -> HttpResponse {
    response::builder(StatusCode::OK, cache_control)
        .insert_header((header::ETAG, rendered.etag))
        .body(rendered.body)
}

async fn write(
    caller: Caller,
    _: RateLimited<Comments>,
    id: Id,
    OptionalKey(key): OptionalKey,
    body: Body<NewComment>,
    social: Data<Social>,
) -> Result<HttpResponse, Error> {
    let request = CommentRequest {
        post_id: id.0,
        author: editor(caller),
        comment: body.0,
        key,
    };
    match comments::comment(&social, request).await? {
        Commented::Done(response) => {
            let location = format!("/comment/{}", response.post_id);
            Ok(
                response::builder(StatusCode::CREATED, CacheControl::NoCache)
                    .insert_header((header::LOCATION, location))
                    .insert_header((header::ETAG, response.etag))
                    .body(response.body),
            )
        }
        Commented::NoAuthor => Err(Error::new(Code::SessionEnded)),
        Commented::NoPost => Err(Error::new(Code::PostNotFound)),
        Commented::NoParent => Err(Error::fields(vec![FieldError::new(
            "reply_to",
            Code::ReplyInvalid,
            "is no comment of this post that can be answered",
        )])),
        Commented::KeyReused => Err(Error::new(Code::IdempotencyKeyReused)),
        Commented::KeyInUse => Err(Error::new(Code::IdempotencyKeyInUse)),
        Commented::RateLimited(limited) => Err(limited.into()),
    }
}

async fn change(
    caller: Caller,
    id: Id,
    if_match: IfMatch,
    body: Body<CommentText>,
    social: Data<Social>,
) -> Result<HttpResponse, Error> {
    let changed = comments::change(&social, edit_of(caller, id, if_match), body.0).await?;
    let comment = changed.map_err(refused)?;
    Ok(as_answer(CacheControl::NoCache, rendered(&comment)?))
}

async fn delete(
    caller: Caller,
    id: Id,
    if_match: IfMatch,
    social: Data<Social>,
) -> Result<HttpResponse, Error> {
    let deleted = comments::delete(&social, edit_of(caller, id, if_match)).await?;
    deleted.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}

fn edit_of(caller: Caller, id: Id, if_match: IfMatch) -> Edit {
    Edit {
        comment_id: id.0,
        editor: editor(caller),
        precondition: if_match.0,
    }
}

fn refused(refusal: EditRefusal) -> Error {
    Error::new(match refusal {
        EditRefusal::NotFound => Code::CommentNotFound,
        EditRefusal::NotYours => Code::NotYourComment,
        EditRefusal::Stale => Code::PreconditionFailed,
    })
}
