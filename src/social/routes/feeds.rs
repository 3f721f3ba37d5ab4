//! `/post/{id}/comments.atom` and `/post/{id}/comments.json` over HTTP.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::TAG;
use super::response_cache::{self, ResponseCache, respond_from_anywhere};
use crate::core::cache::entry::{Filled, Parts};
use crate::core::page::Listed;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::before;
use crate::http::path::{Id, parse_id};
use crate::http::response;
use crate::posts::Posts;
use crate::posts::actions::prepare;
use crate::posts::feed::json::{JsonFeed, example_of_comments};
use crate::posts::feed::{CommentEntry, Feed, Format, SIZE};
use crate::posts::stored::PostSummary;
use crate::social::Social;
use crate::social::actions::read;
use crate::social::types::StoredComment;
use crate::social::views::html_of;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let atom = operation(
        "getCommentsAtomFeed",
        "Read the newest comments of a post as an Atom feed",
        "The newest comments as an Atom feed",
    )
    .answers_document(Format::Atom.content_type());
    let json = operation(
        "getCommentsJsonFeed",
        "Read the newest comments of a post as a JSON Feed",
        "The newest comments as a JSON Feed",
    )
    .answers::<JsonFeed>(StatusCode::OK, example_of_comments())
    .called(Format::Json.content_type());
    vec![
        Endpoint::new("/post/{id}/comments.atom").get(atom, get_atom),
        Endpoint::new("/post/{id}/comments.json").get(json, get_json),
    ]
}

fn operation(id: &'static str, summary: &'static str, outcome: &'static str) -> Operation {
    Operation::new(id, TAG, summary, outcome)
        .description(
            "The newest 20 comments of a published post; older ones by the link `next` (RFC 5005), \
             `next_url`. In Atom each says what it answers (RFC 4685). Those that were deleted are not \
             among them.",
        )
        .cursor(
            Operation::POSITION,
            "The cursor that the link to older comments has; empty for the newest.",
            "1234",
        )
        .database()
        .revalidates()
        .refuses(&[Code::PostNotFound, Code::QueryInvalid])
}

async fn get_atom(
    id: Id,
    req: HttpRequest,
    posts: Data<Posts>,
    social: Data<Social>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    answer(id, &req, (posts, &social, &cache), Format::Atom).await
}

async fn get_json(
    id: Id,
    req: HttpRequest,
    posts: Data<Posts>,
    social: Data<Social>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    answer(id, &req, (posts, &social, &cache), Format::Json).await
}

async fn answer(
    id: Id,
    req: &HttpRequest,
    (posts, social, cache): (Data<Posts>, &Social, &ResponseCache),
    format: Format,
) -> Result<HttpResponse, Error> {
    let before = before(req.query_string(), parse_id)?;
    let fill = async || {
        let tags = response_cache::tags_of_list(id.0);
        match read::newest(social, id.0, before, SIZE).await? {
            Some(found) => Ok(Filled::Found {
                parts: render(posts.clone(), before, found, format).await?,
                tags,
            }),
            None => Ok(Filled::Absent { tags }),
        }
    };
    let key = response_cache::key_of_feed(id.0, format, before);
    let response = respond_from_anywhere(cache, &key, req, fill).await?;
    response.ok_or_else(|| Error::new(Code::PostNotFound))
}

/// Renders the feed, where it holds nobody up.
async fn render(
    posts: Data<Posts>,
    before: Option<i64>,
    (post, listed): (PostSummary, Listed<StoredComment>),
    format: Format,
) -> Result<Parts, Error> {
    let size = listed.rows.iter().map(|row| row.content().len()).sum();
    let work = move || {
        let entries = listed.rows.iter().filter_map(entry).collect();
        let cursors = (before, listed.next);
        let body = Feed::of_comments(&posts.blog, &post, cursors, entries)
            .write(format)
            .map_err(|e| Error::internal(e))?;
        response::cacheable(body, format.content_type(), None)
    };
    prepare(size, work).await?
}

/// A comment in a feed; of one that was deleted there is nothing to read.
fn entry(comment: &StoredComment) -> Option<CommentEntry<'_>> {
    if comment.is_deleted() {
        return None;
    }
    Some(CommentEntry {
        comment_id: comment.comment_id,
        reply_to: comment.reply_to,
        author: comment.author.as_deref()?,
        created: comment.created,
        updated: comment.updated,
        html: html_of(comment),
    })
}
