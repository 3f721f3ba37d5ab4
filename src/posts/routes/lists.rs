//! `GET /post/`: what the query string asks for, and the part of the list it gets.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::Ref;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::response_cache::{self, CacheKey, ResponseCache};
use super::views::{PostsAnswer, page_example};
use crate::accounts::extract;
use crate::core::cache::entry::Filled;
use crate::error::{Code, Error};
use crate::http::body::Fault;
use crate::http::endpoint::{Operation, id_schema};
use crate::http::page::{LINK_MAX, ListPart, Listed, Pagination, query_value};
use crate::http::path::parse_id;
use crate::http::response::{self, CacheControl};
use crate::posts::Posts;
use crate::posts::actions::read;
use crate::posts::list::Filter;
use crate::posts::search::{Query, TooLong};
use crate::posts::stored::PostSummary;
use crate::posts::types::{Status, TAG_MAX, Tag};

/// How it is described.
pub fn operation() -> Operation {
    let text = || {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .build()
            .into()
    };
    let operation = Operation::new(
        "listPosts",
        super::TAG,
        "List posts, newest first",
        "Posts, newest first",
    )
    .description(
        "By `page` with the exact `count` and `pages`, as far as it can be told, or by `before`, for endless scrolling: \
             following `next` meets every post once, while others are added or removed. `page` and \
             `size` that are absent, unparsable or below 1 become 1 and 20, a `size` above 100 \
             becomes 100; the answer says which were used. A page past the end is empty.",
    )
    .pages();
    take_author_and_tag(operation)
        .parameter(
            "q",
            ParameterIn::Query,
            "With all of these words in title or content; `\"a phrase\"`, a beginning as `wor*`. At \
             most 64 words; in scripts without spaces each pair of neighbours is one.",
            text(),
            json!("hello wor*"),
        )
        .parameter(
            "status",
            ParameterIn::Query,
            "`draft`: one's own drafts, which needs a token; otherwise published posts.",
            Ref::from_schema_name("Status").into(),
            json!("published"),
        )
        .may_have_token()
        .database()
        .answers::<PostsAnswer>(StatusCode::OK, page_example())
        .revalidates()
        .refuses(&[Code::QueryInvalid])
}

/// The parameters that [`author_and_tag`] reads.
pub fn take_author_and_tag(operation: Operation) -> Operation {
    // Empty as absent, or something visible.
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(TAG_MAX))
        .pattern(Some("^$|\\S"));
    operation
        .parameter(
            "author",
            ParameterIn::Query,
            "By this user only.",
            id_schema(),
            json!(1),
        )
        .parameter(
            "tag",
            ParameterIn::Query,
            "With this tag only.",
            text.into(),
            json!("rust"),
        )
}

/// The published posts by an author, with a tag, or both; an empty parameter is none.
pub fn author_and_tag(query: &str) -> Result<Filter, Error> {
    let author = given(query, "author")
        .map(|text| parse_id(&text).ok_or_else(|| invalid("author", &NO_ID)))
        .transpose()?;
    let tag = given(query, "tag")
        .map(|text| Tag::parse(&text).map_err(|fault| invalid("tag", &fault)))
        .transpose()?;
    Ok(Filter {
        author,
        tag,
        ..Filter::default()
    })
}

/// What a query string asks for.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub filter: Filter,
    pub part: ListPart,
}

/// Whether the query string asks for drafts.
fn wants_drafts(query: &str) -> Result<bool, Error> {
    let status = given(query, "status").map(|text| Status::parse(&text));
    match status.transpose() {
        Ok(status) => Ok(status == Some(Status::Draft)),
        Err(fault) => Err(invalid("status", &fault)),
    }
}

/// The value of a parameter; an empty one counts as absent.
fn given(query: &str, name: &str) -> Option<String> {
    query_value(query, name).filter(|value| !value.is_empty())
}

fn invalid(name: &str, fault: &Fault) -> Error {
    Error::with_detail(
        Code::QueryInvalid,
        format!("The parameter {name} {}.", fault.1),
    )
}

const NO_ID: Fault = Fault(Code::QueryInvalid, "is not the id of a user");
const TOO_LONG: Fault = Fault(
    Code::QueryInvalid,
    "has more than 64 words, where each pair of neighbours counts in scripts without spaces",
);

impl ListRequest {
    /// Reads a query string. `drafts_of`: the user who asks for their drafts.
    pub fn of_query(query: &str, drafts_of: Option<i64>) -> Result<Self, Error> {
        let mut filter = Filter {
            drafts_of,
            ..author_and_tag(query)?
        };
        if let Some(text) = given(query, "q").filter(|text| !text.trim().is_empty()) {
            let words = Query::parse(&text).map_err(|TooLong| invalid("q", &TOO_LONG))?;
            filter.words = Some(words);
        }
        let part = ListPart::of_query(query)?;
        Ok(Self { filter, part })
    }

    /// The filter as parameters, the same for all ways to ask for it: of what was asked
    /// nothing is repeated. `None` if it cannot be written.
    fn parameters(&self) -> Option<Vec<(&'static str, String)>> {
        let Filter {
            author,
            tag,
            words,
            drafts_of,
        } = &self.filter;
        let mut parameters = Vec::new();
        if let Some(author) = author {
            parameters.push(("author", author.to_string()));
        }
        if let Some(tag) = tag {
            parameters.push(("tag", tag.0.clone()));
        }
        if let Some(words) = words {
            parameters.push(("q", words.spelling()?));
        }
        if drafts_of.is_some() {
            parameters.push(("status", "draft".to_owned()));
        }
        Some(parameters)
    }

    /// The part of the list as an answer, and its `Link` header.
    pub fn answer(&self, listed: Listed<PostSummary>) -> (PostsAnswer, Option<String>) {
        let pagination = Pagination::new(self.part, &listed);
        let link = self
            .parameters()
            .map(|kept| pagination.link("/post/", &kept))
            .filter(|link| link.len() <= LINK_MAX);
        let posts = listed.rows.into_iter().map(Into::into).collect();
        (PostsAnswer { posts, pagination }, link)
    }
}

/// Responds with a part of a list.
pub async fn list(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let query = req.query_string();
    if wants_drafts(query)? {
        let author = extract::identify(&req).await?.user_id;
        return list_drafts(&posts, &ListRequest::of_query(query, Some(author))?).await;
    }
    let request = ListRequest::of_query(query, None)?;
    let key = CacheKey::of_list("list", &request.filter, request.part);
    let fill = async || {
        let (answer, link) = load(&posts, &request).await?;
        Ok(Filled::Found {
            parts: response::cacheable_json(&answer, link.as_deref())?,
            tags: response_cache::tags_of_list(&request.filter),
        })
    };
    let response = response_cache::respond(&cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("a list was absent"))
}

async fn list_drafts(posts: &Posts, request: &ListRequest) -> Result<HttpResponse, Error> {
    let (answer, link) = load(posts, request).await?;
    let mut response = response::read_with(CacheControl::NoStore, &answer)?;
    if let Some(link) = link {
        let link = header::HeaderValue::try_from(link).map_err(|e| Error::internal(e))?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

async fn load(
    posts: &Posts,
    request: &ListRequest,
) -> Result<(PostsAnswer, Option<String>), Error> {
    let listed = read::list(posts, request.filter.clone(), request.part).await?;
    Ok(request.answer(listed))
}
