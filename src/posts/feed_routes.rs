//! `/feed.atom` and `/feed.json` over HTTP.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::answers::{self, Key};
use super::feed::{self, Feed, Format};
use super::feed_json::{self, JsonFeed};
use super::list_routes::{author_and_tag, take_author_and_tag};
use super::lists::{self, Filter, Part};
use crate::core::cache::entry::{Filled, Parts};
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::{cached_response, response};
use crate::posts::Posts;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let atom = operation("getAtomFeed", "The newest posts as an Atom feed")
        .answers_document(Format::Atom.content_type());
    let json = operation("getJsonFeed", "The newest posts as a JSON Feed")
        .answers::<JsonFeed>(StatusCode::OK, feed_json::example())
        .called(Format::Json.content_type());
    vec![
        Endpoint::new(Format::Atom.path()).get(atom, |req: HttpRequest, app: Data<Posts>| {
            answer(req, app, Format::Atom)
        }),
        Endpoint::new(Format::Json.path()).get(json, |req: HttpRequest, app: Data<Posts>| {
            answer(req, app, Format::Json)
        }),
    ]
}

fn operation(id: &'static str, summary: &'static str) -> Operation {
    take_author_and_tag(Operation::new(id, super::routes::TAG, summary))
        .description(
            "The newest 20 published posts, by all or by the filters. A content of more than 64 KiB \
             is cut. URLs begin with the server's public one.",
        )
        .database()
        .revalidates()
        .refuses(&[Code::QueryInvalid])
}

async fn answer(req: HttpRequest, app: Data<Posts>, format: Format) -> Result<HttpResponse, Error> {
    let filter = author_and_tag(req.query_string())?;
    let newest = Part::Below {
        place: None,
        size: feed::SIZE,
    };
    let key = Key::of_list(format.path(), &filter, newest);
    let fill = async || {
        Ok(Filled::Found {
            sources: answers::sources_of_list(&filter),
            parts: make(app.clone(), filter.clone(), format).await?,
        })
    };
    let Some(entry) = app.answers.find_or_fill(&key, fill).await? else {
        return Err(Error::internal("a feed was absent"));
    };
    Ok(cached_response::answer(&app.answers, &key, &entry, req.headers()).await)
}

/// Makes the feed of the published posts that `filter` takes. Nothing of the request is
/// in it beyond the two.
async fn make(app: Data<Posts>, filter: Filter, format: Format) -> Result<Parts, Error> {
    let wanted = filter.clone();
    let posts = app
        .db
        .snapshot(move |conn| lists::load_beginnings(conn, &wanted, feed::SIZE, feed::CHARACTERS))
        .await?;
    // Megabytes to escape and hash would hold up the other requests of the worker.
    let work = move || {
        let body = Feed::new(&app.public_url, &filter, &posts)
            .write(format)
            .map_err(|e| Error::internal(e))?;
        response::finish_bytes(body, format.content_type(), None)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::internal(e))?
}
