//! What names a post in a path that is read: its id or its slug.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::response_cache;
use crate::core::cache::invalidation::CacheTag;
use crate::error::{Code, Error};
use crate::http::endpoint::Operation;
use crate::http::handler::Extract;
use crate::http::path::parse_id;
use crate::posts::slug::{SLUG_MAX, is_slug};
use crate::posts::stored::StoredPost;

/// The `{id}` of a route that takes slugs as well: digits are an id, anything else is a slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostRef {
    Id(i64),
    Slug(String),
}

impl PostRef {
    /// Reads what names a post.
    pub fn parse(text: &str) -> Option<Self> {
        match parse_id(text) {
            Some(id) => Some(Self::Id(id)),
            None => is_slug(text).then(|| Self::Slug(text.to_owned())),
        }
    }

    /// The cache tags of what is found by it: of this post, or of none.
    pub fn cache_tags(&self, found: Option<&StoredPost>) -> Vec<CacheTag> {
        match self {
            Self::Id(id) => response_cache::tags_of_post(*id),
            Self::Slug(slug) => {
                let post_id = found.map(|post| post.summary.post_id);
                response_cache::tags_of_slug(slug, post_id)
            }
        }
    }
}

impl Extract for PostRef {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let text = request.match_info().get("id").unwrap_or_default();
        ready(Self::parse(text).ok_or_else(|| Error::new(Code::PathInvalid)))
    }

    fn describe(operation: Operation) -> Operation {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(SLUG_MAX))
            .pattern(Some("^([1-9][0-9]{0,18}|[0-9]*[a-z-][a-z0-9-]*)$"));
        operation.refuses(&[Code::PathInvalid]).parameter(
            "id",
            ParameterIn::Path,
            "Which one: its id, or its slug.",
            schema.into(),
            json!("1"),
        )
    }
}
