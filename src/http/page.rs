//! `?page&size` and what the answer says of it.

use std::fmt::Display;
use std::future::ready;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use serde::Serialize;
use utoipa::ToSchema;

use super::endpoint::Operation;
use super::handler::Extract;
use super::path::parse_id;
use crate::core::page::DEPTH;
pub use crate::core::page::{ListPart, Listed, PageRequest};
use crate::error::{Code, Error};

/// Bytes of a `Link` header. What is longer is left out: servers in between refuse a
/// response with long headers, and the body says the same.
pub const LINK_MAX: usize = 2048;

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

impl ListPart {
    /// Reads a query string: `page` and `size`, or `before` in place of `page`.
    pub fn of_query(query: &str) -> Result<Self, Error> {
        Self::with_cursor(query, parse_id)
    }
}

impl<C> ListPart<C> {
    /// The same with cursors of another kind; `parse` gives `None` for what is none.
    pub fn with_cursor(query: &str, parse: impl Fn(&str) -> Option<C>) -> Result<Self, Error> {
        let request = PageRequest::of_query(query);
        if query_value(query, "before").is_none() {
            return Ok(Self::Page(request));
        }
        Ok(Self::Below {
            position: before(query, parse)?,
            size: request.size,
        })
    }
}

/// The cursor of a query string; none where it is absent or empty.
pub fn before<C>(query: &str, parse: impl Fn(&str) -> Option<C>) -> Result<Option<C>, Error> {
    query_value(query, "before")
        .filter(|cursor| !cursor.is_empty())
        .map(|cursor| parse(&cursor).ok_or_else(no_cursor))
        .transpose()
}

fn no_cursor() -> Error {
    Error::with_detail(
        Code::QueryInvalid,
        "The parameter before is not the next of an earlier answer.",
    )
}

/// The part of a list that keeps no count: pages behind [`DEPTH`] rows are refused.
pub struct UncountedPart(pub ListPart);

impl Extract for UncountedPart {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let part = ListPart::of_query(request.query_string());
        ready(part.and_then(|part| match part {
            ListPart::Page(request) if request.offset() > DEPTH => Err(Error::with_detail(
                Code::QueryInvalid,
                "The parameter page is behind the first 100,000 rows, where only before leads.",
            )),
            part => Ok(Self(part)),
        }))
    }

    fn describe(operation: Operation) -> Operation {
        operation.pages().refuses(&[Code::QueryInvalid])
    }
}

/// Where in the whole list this part is. By cursor it has only `size` and `next`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pagination {
    /// All items, exactly. Of a search, of an author's posts with a tag, of posts with several tags
    /// or between dates, it is not there when they are more than 100,000 or take too long to count. For admins it is exact
    /// up to 100,000, which stands for more, too: pages end there, and only `before` leads on. Of comments
    /// it is exact at any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = i64, minimum = 0, example = 42)]
    count: Option<i64>,
    /// All pages of this size, where there is a `count`; 0 when there are no items.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = i64, minimum = 0, example = 3)]
    pages: Option<i64>,
    /// The page of this answer, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = i64, minimum = 1, example = 1)]
    page: Option<i64>,
    /// Items a page as used.
    #[schema(minimum = 1, maximum = 100, example = 20)]
    size: u32,
    /// The cursor for what follows: send it as `before`. Null at the end.
    #[schema(required = true, example = "1234")]
    next: Option<String>,
}

impl Pagination {
    /// Of a part of a list.
    pub fn new<T, C: Copy + Display>(part: ListPart<C>, listed: &Listed<T, C>) -> Self {
        let next = listed.next.as_ref().map(ToString::to_string);
        match part {
            ListPart::Page(PageRequest { page, size }) => Self {
                count: listed.count,
                pages: (listed.count).map(|count| (count + i64::from(size) - 1) / i64::from(size)),
                page: Some(page),
                size,
                next,
            },
            ListPart::Below { size, .. } => Self {
                count: None,
                pages: None,
                page: None,
                size,
                next,
            },
        }
    }

    /// Of the only page of a list with one item.
    pub fn example() -> Self {
        Self {
            count: Some(1),
            pages: Some(1),
            page: Some(1),
            size: 20,
            next: None,
        }
    }

    /// The `Link` header (RFC 8288), as relative references, so that it holds behind any
    /// proxy: with `first`, `prev`, `next` and `last` of a page, and `first` and `next` of what
    /// a cursor leads to. `kept` are filters that go with all of them.
    pub fn link(&self, path: &str, kept: &[(&str, String)]) -> String {
        let size = ("size", self.size.to_string());
        let mut links = Vec::new();
        if let Some(page) = self.page {
            // Of a list that is not counted one knows whether there is a next page.
            let last = self.pages.map(|pages| pages.max(1));
            let has_next = last.map_or(self.next.is_some(), |last| page < last);
            let mut add = |page: i64, rel| {
                let own = [("page", page.to_string()), size.clone()];
                links.push(link(path, &own, kept, rel));
            };
            add(1, "first");
            if page > 1 {
                add((page - 1).min(last.unwrap_or(page)), "prev");
            }
            if has_next {
                add(page + 1, "next");
            }
            if let Some(last) = last {
                add(last, "last");
            }
        } else {
            let mut add = |cursor: &str, rel| {
                let own = [("before", cursor.to_owned()), size.clone()];
                links.push(link(path, &own, kept, rel));
            };
            add("", "first");
            if let Some(next) = &self.next {
                add(next, "next");
            }
        }
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
