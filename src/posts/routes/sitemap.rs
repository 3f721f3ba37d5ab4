//! `/sitemap.xml` over HTTP.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use super::response_cache::{self, CacheKey, ResponseCache};
use crate::core::cache::entry::{Filled, Parts};
use crate::core::costly;
use crate::core::db::DbError;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::query_value;
use crate::http::response;
use crate::posts::Posts;
use crate::posts::actions::read::{self, Sitemap};
use crate::posts::feed::sitemap::{self, PATH};
use crate::posts::list::Filter;

const CONTENT_TYPE: &str = "application/xml; charset=utf-8";

/// Its endpoint.
pub fn endpoint() -> Endpoint {
    let piece = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .build();
    let operation = Operation::new(
        "getSitemap",
        super::TAG,
        "Read the sitemap",
        "All published posts, or the index of the pieces",
    )
    .description(
        "All published posts by where people read them (`INKPOT_POST_URL`), with the times of their last \
         changes (sitemaps.org). With ids of 50,000 and more it is an index of pieces of 50,000 ids each. \
         It is not there where people read posts nowhere (`INKPOT_PAGE=off` without `INKPOT_POST_URL`).",
    )
    .parameter(
        "piece",
        ParameterIn::Query,
        "A piece that the index names.",
        piece.into(),
        json!(0),
    )
    .answers_document(CONTENT_TYPE)
    .database()
    .revalidates()
    .refuses(&[Code::QueryInvalid, Code::NotFound]);
    Endpoint::new(PATH).get(operation, get)
}

async fn get(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    if !sitemap::is_there(&posts.blog) {
        return Err(Error::new(Code::NotFound));
    }
    let piece = query_value(req.query_string(), "piece")
        .map(|text| parse_piece(&text).ok_or_else(no_piece))
        .transpose()?;
    let key = CacheKey::of_sitemap(piece);
    let fill = async || {
        Ok(Filled::Found {
            tags: response_cache::tags_of_list(&Filter::default()),
            parts: render(posts.clone(), piece).await?,
        })
    };
    let response = response_cache::respond_from_anywhere(&cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("a sitemap was absent"))
}

/// Digits without more in front of them than they need: a piece has one name.
fn parse_piece(text: &str) -> Option<i64> {
    let piece: i64 = text.parse().ok().filter(|piece| *piece >= 0)?;
    (piece.to_string() == text).then_some(piece)
}

fn no_piece() -> Error {
    Error::with_detail(
        Code::QueryInvalid,
        "The parameter piece is not a number that the index has.",
    )
}

async fn render(app: Data<Posts>, piece: Option<i64>) -> Result<Parts, Error> {
    let found = read::sitemap(&app, piece).await?;
    // Megabytes to write and hash would hold up the other requests of the worker.
    let work = move || {
        let body = match &found {
            Sitemap::Piece(rows) => sitemap::write_piece(&app.blog, rows),
            Sitemap::Index(pieces) => sitemap::write_index(&app.blog, pieces),
        };
        response::cacheable(body.into_bytes(), CONTENT_TYPE, None)
    };
    (costly::read(work).await).map_err(|refused| DbError::refused(refused))?
}
