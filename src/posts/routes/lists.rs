//! `GET /post/`: what the query string asks for, and the part of the list it gets.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::Ref;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::include::{include_of, include_schema};
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
use crate::posts::actions::prepare;
use crate::posts::actions::read;
use crate::posts::list::{Filter, Include};
use crate::posts::search::{Query, TooLong};
use crate::posts::types::{Status, TAG_MAX, Tag};
use crate::posts::views::PostItem;

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
            "With all of these words in title, content, tags or the author's name, whatever their case \
             and accents; `\"a phrase\"`, a beginning as `wor*`. At most 64 words; in scripts without \
             spaces each pair of neighbours is one.",
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
        .parameter(
            "include",
            ParameterIn::Query,
            "`content`: with the contents, `post_content`; `html`: with the contents as sanitized HTML, \
             `post_html`. A `size` above 20 becomes 20 then.",
            include_schema("content|html"),
            json!("content"),
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
    pub include: Include,
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
        let mut part = ListPart::of_query(query)?;
        let include = include_of(query, true)?;
        if include.takes_contents() {
            part = part.at_most(Include::MOST);
        }
        Ok(Self {
            filter,
            part,
            include,
        })
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
        match (self.include.content, self.include.html) {
            (true, true) => parameters.push(("include", "content,html".to_owned())),
            (true, false) => parameters.push(("include", "content".to_owned())),
            (false, true) => parameters.push(("include", "html".to_owned())),
            (false, false) => {}
        }
        Some(parameters)
    }

    /// The part of the list as an answer, and its `Link` header.
    pub fn answer(&self, listed: Listed<PostItem>) -> (PostsAnswer, Option<String>) {
        let pagination = Pagination::new(self.part, &listed);
        let link = self
            .parameters()
            .map(|kept| pagination.link("/post/", &kept))
            .filter(|link| link.len() <= LINK_MAX);
        let posts = listed.rows;
        (PostsAnswer { posts, pagination }, link)
    }

    /// Tells lists apart in the cache.
    fn kind(&self) -> &'static str {
        match (self.include.content, self.include.html) {
            (false, false) => "list",
            (true, false) => "list with content",
            (false, true) => "list with html",
            (true, true) => "list with content and html",
        }
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
    let key = CacheKey::of_list(request.kind(), &request.filter, request.part);
    let fill = async || {
        let render =
            |answer: &PostsAnswer, link: Option<&str>| response::cacheable_json(answer, link);
        Ok(Filled::Found {
            parts: load(&posts, &request, render).await?,
            tags: response_cache::tags_of_list(&request.filter),
        })
    };
    let response = response_cache::respond(&cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("a list was absent"))
}

async fn list_drafts(posts: &Posts, request: &ListRequest) -> Result<HttpResponse, Error> {
    let render = |answer: &PostsAnswer, link: Option<&str>| {
        Ok((response::render(answer)?, link.map(str::to_owned)))
    };
    let (rendered, link) = load(posts, request, render).await?;
    let mut response = response::builder(StatusCode::OK, CacheControl::NoStore);
    response.insert_header((header::ETAG, rendered.etag));
    if let Some(link) = link {
        let link = header::HeaderValue::try_from(link).map_err(|e| Error::internal(e))?;
        response.insert_header((header::LINK, link));
    }
    Ok(response.body(rendered.body))
}

/// Loads what is asked for and renders it, contents where they hold nobody up.
async fn load<T: Send + 'static>(
    posts: &Posts,
    request: &ListRequest,
    render: impl FnOnce(&PostsAnswer, Option<&str>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (filter, part) = (request.filter.clone(), request.part);
    if !request.include.takes_contents() {
        let mut listed = read::list(posts, filter, part).await?;
        let items = std::mem::take(&mut listed.rows);
        let items = items.into_iter().map(PostItem::from).collect();
        let (answer, link) = request.answer(listed.with(items));
        return render(&answer, link.as_deref());
    }
    let mut listed = read::list_with_texts(posts, filter, part).await?;
    let size = listed.rows.iter().map(|post| post.text.len()).sum();
    let request = request.clone();
    let work = move || {
        let items = std::mem::take(&mut listed.rows);
        let including = |post| PostItem::including(post, request.include);
        let items = items.into_iter().map(including).collect();
        let (answer, link) = request.answer(listed.with(items));
        render(&answer, link.as_deref())
    };
    prepare(size, work).await?
}
