//! `/feed.atom` and `/feed.json` over HTTP.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::filters::{author_and_tags, take_author_and_tags, with_author};
use super::response_cache::{self, CacheKey, ResponseCache};
use super::sitemap;
use crate::core::cache::entry::{Filled, Parts};
use crate::core::page::ListPart;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::before;
use crate::http::response;
use crate::posts::Posts;
use crate::posts::actions::{prepare, read};
use crate::posts::feed::json::{JsonFeed, example};
use crate::posts::feed::{self, Feed, Format};
use crate::posts::list::{Cursor, Filter};

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let atom = operation(
        "getAtomFeed",
        "Read the newest posts as an Atom feed",
        "The newest posts as an Atom feed",
    )
    .answers_document(Format::Atom.content_type());
    let json = operation(
        "getJsonFeed",
        "Read the newest posts as a JSON Feed",
        "The newest posts as a JSON Feed",
    )
    .answers::<JsonFeed>(StatusCode::OK, example())
    .called(Format::Json.content_type());
    vec![
        Endpoint::new(Format::Atom.path()).get(atom, get_atom),
        Endpoint::new(Format::Json.path()).get(json, get_json),
        sitemap::endpoint(),
    ]
}

fn operation(id: &'static str, summary: &'static str, outcome: &'static str) -> Operation {
    take_author_and_tags(Operation::new(id, super::TAG, summary, outcome))
        .description(
            "The newest 20 published posts, by all or by the filters, with their contents as sanitized \
             HTML and their summaries; older ones by the link `next` (RFC 5005), `next_url`. A content \
             of more than 64 KiB is cut. Links lead to where people read posts (`INKPOT_POST_URL`). \
             Ids are URNs that stay when URLs change.",
        )
        .cursor(
            Cursor::PATTERN,
            "The cursor that the link to older posts has; empty for the newest.",
            "1234",
        )
        .database()
        .revalidates()
        .refuses(&[Code::QueryInvalid])
}

async fn get_atom(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    respond(req, posts, &cache, Format::Atom).await
}

async fn get_json(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    respond(req, posts, &cache, Format::Json).await
}

async fn respond(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: &ResponseCache,
    format: Format,
) -> Result<HttpResponse, Error> {
    let (filter, author) = author_and_tags(req.query_string())?;
    let cursor = |text: &str| Cursor::parse(text).filter(|cursor| filter.fits(*cursor));
    let before = before(req.query_string(), cursor)?;
    let part = ListPart::Below {
        position: before,
        size: feed::SIZE,
    };
    let key = CacheKey::of_list_by(format.path(), &filter, author.as_ref(), part);
    let fill = async || {
        let filter = with_author(&posts, &filter, author.as_ref()).await?;
        Ok(Filled::Found {
            tags: response_cache::tags_of_list(&filter),
            parts: render(posts.clone(), (filter, before), format).await?,
        })
    };
    let response = response_cache::respond_from_anywhere(cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("a feed was absent"))
}

/// Renders the feed of the published posts that the filter takes, from a cursor on. Nothing of the
/// request is in it beyond these and the format.
async fn render(
    app: Data<Posts>,
    (filter, before): (Filter, Option<Cursor>),
    format: Format,
) -> Result<Parts, Error> {
    let part = ListPart::Below {
        position: before,
        size: feed::SIZE,
    };
    let listed = read::list_for_feed(&app, filter.clone(), part).await?;
    // Megabytes to render, escape and hash would hold up the other requests of the worker.
    let size = listed.rows.iter().map(|post| post.text.len()).sum();
    let work = move || {
        let body = Feed::of_posts(&app.blog, &filter, before, &listed)
            .write(format)
            .map_err(|e| Error::internal(e))?;
        response::cacheable(body, format.content_type(), None)
    };
    prepare(size, work).await?
}
