//! `?page&size` and what the answer says of it.

use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use serde::Serialize;
use utoipa::ToSchema;

use super::endpoint::Operation;
use super::handler::Extract;
pub use crate::core::page::PageRequest;
use crate::error::Error;

const DEFAULT_SIZE: u32 = 20;
const MAX_SIZE: u32 = 100;

impl PageRequest {
    /// Reads a query string. Absent, unparsable
    /// or less than 1 becomes page 1 and size 20; a larger size becomes 100. The answer
    /// says which were used.
    pub fn of_query(query: &str) -> Self {
        let number = |name: &str| query_value(query, name).and_then(|value| parse_positive(&value));
        Self {
            page: number("page").unwrap_or(1),
            size: number("size").map_or(DEFAULT_SIZE, |size| {
                u32::try_from(size).map_or(MAX_SIZE, |size| size.min(MAX_SIZE))
            }),
        }
    }
}

/// The value of a parameter of a query string. None is there twice: the endpoint refuses
/// that.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// Digits only; numbers too large for 64 bits count as the largest.
fn parse_positive(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(i64::MAX)).filter(|n| *n >= 1)
}

impl Extract for PageRequest {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(Ok(Self::of_query(request.query_string())))
    }

    fn describe(operation: Operation) -> Operation {
        operation.pages()
    }
}

/// Where in the whole list a page is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pagination {
    /// All items, exactly.
    #[schema(minimum = 0, example = 42)]
    pub count: i64,
    /// All pages of this size; 0 when there are no items.
    #[schema(minimum = 0, example = 3)]
    pub pages: i64,
    /// The page of this answer, from 1.
    #[schema(minimum = 1, example = 1)]
    pub page: i64,
    /// Items a page as used.
    #[schema(minimum = 1, maximum = 100, example = 20)]
    pub size: u32,
}

impl Pagination {
    pub fn new(request: PageRequest, count: i64) -> Self {
        let size = i64::from(request.size);
        Self {
            count,
            pages: (count + size - 1) / size,
            page: request.page,
            size: request.size,
        }
    }

    /// The `Link` header (RFC 8288) with `first`, `prev`, `next` and `last`, as
    /// relative references, so that it holds behind any proxy.
    /// `kept` are filters that go with all of them.
    pub fn link(&self, path: &str, kept: &[(&str, String)]) -> String {
        let last = self.pages.max(1);
        let mut links = vec![(1, "first")];
        if self.page > 1 {
            links.push(((self.page - 1).min(last), "prev"));
        }
        if self.page < last {
            links.push((self.page + 1, "next"));
        }
        links.push((last, "last"));
        let links: Vec<String> = links
            .iter()
            .map(|(page, rel)| {
                let own = [("page", page.to_string()), ("size", self.size.to_string())];
                link(path, &own, kept, rel)
            })
            .collect();
        links.join(", ")
    }
}

/// One link of a `Link` header: `path` with its own parameters and those kept.
pub fn link(path: &str, own: &[(&str, String)], kept: &[(&str, String)], rel: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(own.iter().chain(kept))
        .finish();
    format!("<{path}?{query}>; rel=\"{rel}\"")
}
