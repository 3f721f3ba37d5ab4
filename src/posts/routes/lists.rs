//! `GET /post/`: what the query string asks for, and the part of the list it gets.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;

use super::filters::{
    filter_of, invalid, parameters, take_filter, wants_drafts, wants_followed, with_author,
};
use super::include::{include_names, include_of, include_schema};
use super::response_cache::{self, CacheKey, ResponseCache};
use super::views::{PostsAnswer, page_example};
use crate::accounts::extract;
use crate::accounts::types::Username;
use crate::core::cache::entry::Filled;
use crate::error::{Code, Error};
use crate::http::endpoint::Operation;
use crate::http::page::{LINK_MAX, ListPart, Pagination};
use crate::http::response::{self, CacheControl};
use crate::posts::Posts;
use crate::posts::actions::prepare;
use crate::posts::actions::read;
use crate::posts::actions::read::FOLLOWED_DEPTH;
use crate::posts::list::{Cursor, Filter, Found, Include};
use crate::posts::views::PostItem;

/// How it is described.
pub fn operation() -> Operation {
    let operation = Operation::new(
        "listPosts",
        super::TAG,
        "List posts, newest first, or what a search finds",
        "Posts",
    )
    .description(
        "By `page` with the exact `count` and `pages`, as far as it can be told, or by `before`, for endless scrolling: \
             following `next` meets every post once, while others are added or removed. `page` and \
             `size` that are absent, unparsable or below 1 become 1 and 20, a `size` above 100 \
             becomes 100; the answer says which were used. A page past the end is empty. All filters can \
             be combined.",
    )
    .pages_with_cursor(Cursor::PATTERN, "1234");
    take_filter(operation)
        .parameter(
            "include",
            ParameterIn::Query,
            "`content`: with the contents, `post_content`; `html`: with the contents as sanitized HTML, \
             `post_html`; `snippet`, with `q`: the passage that has the words, with where they stand in \
             it. A `size` above 20 becomes 20 then.",
            include_schema("content|html|snippet"),
            json!("content"),
        )
        .may_have_token()
        .database()
        .answers::<PostsAnswer>(StatusCode::OK, page_example())
        .revalidates()
        .refuses(&[Code::QueryInvalid])
}

/// What a query string asks for.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub filter: Filter,
    /// The author, who is not in the filter until they are found.
    pub author: Option<Username>,
    pub part: ListPart<Cursor>,
    pub include: Include,
}

impl ListRequest {
    /// Reads a query string. `drafts_of`: the user who asks for their drafts; `followed_by`: who asks
    /// for the posts of those whom they follow.
    pub fn of_query(
        query: &str,
        drafts_of: Option<i64>,
        followed_by: Option<i64>,
    ) -> Result<Self, Error> {
        let (mut filter, author) = filter_of(query, drafts_of)?;
        if followed_by.is_some() && drafts_of.is_some() {
            return Err(invalid("feed", "is not for drafts"));
        }
        filter.followed_by = followed_by;
        let cursor = |text: &str| Cursor::parse(text).filter(|cursor| filter.fits(*cursor));
        let mut part = ListPart::with_cursor(query, cursor)?;
        if let (Some(_), ListPart::Page(page)) = (followed_by, part)
            && page.offset() > FOLLOWED_DEPTH
        {
            let why = "is behind the first 1,000 posts of those whom one follows, where only before leads";
            return Err(invalid("page", why));
        }
        let include = include_of(query, true)?;
        if include.snippet && filter.words.is_none() {
            return Err(invalid("include", "has snippet, which needs q"));
        }
        if include.takes_contents() {
            part = part.at_most(Include::MOST);
        }
        Ok(Self {
            filter,
            author,
            part,
            include,
        })
    }

    /// All of it as parameters.
    fn parameters(&self) -> Option<Vec<(&'static str, String)>> {
        let mut parameters = parameters(&self.filter, self.author.as_ref())?;
        if let Some(names) = include_names(self.include) {
            parameters.push(("include", names));
        }
        Some(parameters)
    }

    /// The same with the author in the filter.
    async fn resolved(&self, posts: &Posts) -> Result<Self, Error> {
        let mut request = self.clone();
        request.filter = with_author(posts, &self.filter, self.author.as_ref()).await?;
        Ok(request)
    }

    /// Its key in the response cache.
    fn key(&self) -> CacheKey {
        CacheKey::of_list_by(&self.kind(), &self.filter, self.author.as_ref(), self.part)
    }

    /// The part of the list as an answer, and its `Link` header.
    pub fn answer(&self, found: Found<PostItem>) -> (PostsAnswer, Option<String>) {
        let Found {
            listed,
            words: _,
            beginning: as_beginning,
        } = found;
        let pagination = Pagination::new(self.part, &listed);
        let link = self
            .parameters()
            .map(|kept| pagination.link("/post/", &kept))
            .filter(|link| link.len() <= LINK_MAX);
        let answer = PostsAnswer {
            posts: listed.rows,
            pagination,
            as_beginning,
        };
        (answer, link)
    }

    /// Tells lists apart in the cache.
    fn kind(&self) -> String {
        include_names(self.include)
            .map_or_else(|| "list".to_owned(), |names| format!("list with {names}"))
    }
}

/// Responds with a part of a list.
pub async fn list(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let query = req.query_string();
    let (wants_drafts, wants_followed) = (wants_drafts(query)?, wants_followed(query)?);
    if wants_drafts || wants_followed {
        let reader = extract::identify(&req).await?.user_id;
        let (drafts_of, followed_by) = (
            wants_drafts.then_some(reader),
            wants_followed.then_some(reader),
        );
        return list_own(
            &posts,
            &ListRequest::of_query(query, drafts_of, followed_by)?,
        )
        .await;
    }
    let request = ListRequest::of_query(query, None, None)?;
    let key = request.key();
    let fill = async || {
        let request = request.resolved(&posts).await?;
        let render =
            |answer: &PostsAnswer, link: Option<&str>| response::cacheable_json(answer, link);
        let (parts, post_ids) = load(&posts, &request, render).await?;
        let mut tags = response_cache::tags_of_list(&request.filter);
        tags.extend(response_cache::tags_of_items(&post_ids));
        Ok(Filled::Found { parts, tags })
    };
    let response = response_cache::respond_from_anywhere(&cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("a list was absent"))
}

/// Responds with a part of a list that is one reader's, which is not kept.
async fn list_own(posts: &Posts, request: &ListRequest) -> Result<HttpResponse, Error> {
    let request = &request.resolved(posts).await?;
    let render = |answer: &PostsAnswer, link: Option<&str>| {
        Ok((response::render(answer)?, link.map(str::to_owned)))
    };
    let ((rendered, link), _) = load(posts, request, render).await?;
    let mut response = response::builder(StatusCode::OK, CacheControl::NoStore);
    response.insert_header((header::ETAG, rendered.etag));
    if let Some(link) = link {
        let link = header::HeaderValue::try_from(link).map_err(|e| Error::internal(e))?;
        response.insert_header((header::LINK, link));
    }
    Ok(response.body(rendered.body))
}

/// Loads what is asked for and renders it, contents where they hold nobody up; gives the ids of
/// the posts as well.
async fn load<T: Send + 'static>(
    posts: &Posts,
    request: &ListRequest,
    render: impl FnOnce(&PostsAnswer, Option<&str>) -> Result<T, Error> + Send + 'static,
) -> Result<(T, Vec<i64>), Error> {
    let (filter, part) = (request.filter.clone(), request.part);
    if !request.include.takes_contents() {
        let mut found = read::list(posts, filter, part).await?;
        let items = std::mem::take(&mut found.listed.rows);
        let post_ids = items.iter().map(|post| post.post_id).collect();
        let items = items.into_iter().map(PostItem::from).collect();
        let (answer, link) = request.answer(found.with(items));
        return Ok((render(&answer, link.as_deref())?, post_ids));
    }
    let mut found = read::list_with_texts(posts, filter, part).await?;
    let rows = &found.listed.rows;
    let size = rows.iter().map(|post| post.text.len()).sum();
    let post_ids = rows.iter().map(|post| post.summary.post_id).collect();
    let request = request.clone();
    let work = move || {
        let items = std::mem::take(&mut found.listed.rows);
        let words = found.words.as_ref();
        let including = |post| PostItem::including(post, request.include, words);
        let items = items.into_iter().map(including).collect();
        let (answer, link) = request.answer(found.with(items));
        render(&answer, link.as_deref())
    };
    Ok((prepare(size, work).await??, post_ids))
}
