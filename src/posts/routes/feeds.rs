//! `/feed.atom` and `/feed.json` over HTTP.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::filters::{author_and_tags, take_author_and_tags, with_author};
use super::response_cache::{self, CacheKey, ResponseCache};
use crate::core::cache::entry::{Filled, Parts};
use crate::core::page::ListPart;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::response;
use crate::posts::Posts;
use crate::posts::actions::read;
use crate::posts::feed::json::{self, JsonFeed};
use crate::posts::feed::{self, Feed, Format};
use crate::posts::list::Filter;

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
    .answers::<JsonFeed>(StatusCode::OK, json::example())
    .called(Format::Json.content_type());
    vec![
        Endpoint::new(Format::Atom.path()).get(atom, get_atom),
        Endpoint::new(Format::Json.path()).get(json, get_json),
    ]
}

fn operation(id: &'static str, summary: &'static str, outcome: &'static str) -> Operation {
    take_author_and_tags(Operation::new(id, super::TAG, summary, outcome))
        .description(
            "The newest 20 published posts, by all or by the filters. A content of more than 64 KiB \
             is cut. URLs begin with the server's public one.",
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
    let newest = ListPart::Below {
        position: None,
        size: feed::SIZE,
    };
    let key = CacheKey::of_list_by(format.path(), &filter, author.as_ref(), newest);
    let fill = async || {
        let filter = with_author(&posts, &filter, author.as_ref()).await?;
        Ok(Filled::Found {
            tags: response_cache::tags_of_list(&filter),
            parts: render(posts.clone(), filter, format).await?,
        })
    };
    let response = response_cache::respond(cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("a feed was absent"))
}

/// Renders the feed of the published posts that `filter` takes. Nothing of the request is
/// in it beyond the two.
async fn render(app: Data<Posts>, filter: Filter, format: Format) -> Result<Parts, Error> {
    let posts = read::newest(&app, filter.clone()).await?;
    // Megabytes to escape and hash would hold up the other requests of the worker.
    let work = move || {
        let body = Feed::new(&app.public_url, &filter, &posts)
            .write(format)
            .map_err(|e| Error::internal(e))?;
        response::cacheable(body, format.content_type(), None)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::internal(e))?
}
