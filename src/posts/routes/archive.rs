//! `GET /post/archive` and `GET /tag/`: how many posts there are of each month and with each tag.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::filters::{
    author_and_tags, given, invalid, tag_schema, take_author_and_tags, with_author,
};
use super::response_cache::{self, CacheKey, ResponseCache};
use super::views::{ArchiveAnswer, Month, TagItem, TagsAnswer};
use crate::core::cache::entry::Filled;
use crate::core::page::{ListPart, PageRequest};
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::{LINK_MAX, Pagination};
use crate::http::response;
use crate::posts::Posts;
use crate::posts::actions::read;
use crate::posts::list::{Filter, TagSort};
use crate::posts::types::Tag;

/// The endpoints of this module. They come before those with an id in their place.
pub fn endpoints() -> Vec<Endpoint> {
    let months = Operation::new(
        "getArchive",
        super::TAG,
        "List the months of posts",
        "The months that have posts and how many, the newest first",
    )
    .description(
        "By the `date` of the posts, in UTC. The posts of a month are those of `GET /post/` with its first \
         moment as `since` and that of the next one as `until`.",
    )
    .database()
    .answers::<ArchiveAnswer>(
        StatusCode::OK,
        json!({ "months": [{ "month": "2026-11", "posts": 3 }] }),
    )
    .revalidates()
    .refuses(&[Code::QueryInvalid]);
    vec![
        Endpoint::new("/post/archive").get(take_author_and_tags(months), get_archive),
        Endpoint::new("/tag").get(list_operation(), list_tags),
    ]
}

fn list_operation() -> Operation {
    let sort = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(TagSort::ALL.map(TagSort::name)));
    Operation::new(
        "listTags",
        super::TAG,
        "List tags",
        "Tags of published posts, with the number of these",
    )
    .description("By page only: `next` is always null.")
    .numbered_pages()
    .parameter(
        "q",
        ParameterIn::Query,
        "Only tags that begin so.",
        tag_schema(),
        json!("ru"),
    )
    .parameter(
        "sort",
        ParameterIn::Query,
        "`posts`: those with the most posts first; `name`: by their code points.",
        sort.into(),
        json!("posts"),
    )
    .database()
    .answers::<TagsAnswer>(
        StatusCode::OK,
        json!({ "tags": [{ "tag": "rust", "posts": 3 }], "pagination": Pagination::example() }),
    )
    .revalidates()
    .refuses(&[Code::QueryInvalid])
}

async fn get_archive(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let (filter, author) = author_and_tags(req.query_string())?;
    let whole = ListPart::Below {
        position: None,
        size: 0,
    };
    let key = CacheKey::of_list_by("archive", &filter, author.as_ref(), whole);
    let fill = async || {
        let filter = with_author(&posts, &filter, author.as_ref()).await?;
        let tags = response_cache::tags_of_list(&filter);
        let months = read::months(&posts, filter).await?;
        let months = (months.into_iter())
            .map(|(year, month, posts)| Month {
                month: format!("{year:04}-{month:02}"),
                posts,
            })
            .collect();
        let parts = response::cacheable_json(&ArchiveAnswer { months }, None)?;
        Ok(Filled::Found { parts, tags })
    };
    let response = response_cache::respond_from_anywhere(&cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("the months were absent"))
}

async fn list_tags(
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let query = req.query_string();
    let request = PageRequest::of_query(query);
    let beginning = match given(query, "q") {
        None => String::new(),
        Some(text) => Tag::parse(&text).map_err(|fault| invalid("q", fault.1))?.0,
    };
    let sort = match given(query, "sort") {
        None => TagSort::default(),
        Some(name) => (TagSort::ALL.into_iter().find(|sort| sort.name() == name))
            .ok_or_else(|| invalid("sort", "is posts or name"))?,
    };
    let page = ListPart::Page(request);
    let all = Filter::default();
    let kind = format!("tags {sort:?} {beginning:?}");
    let key = CacheKey::of_list(&kind, &all, page);
    // Never of a replica: the board of tags is kept in this process.
    let fill = async || {
        let holds = |read| cache.holds(read, &[response_cache::tag_of_anything()]);
        let asked = (beginning.clone(), sort, request);
        let mut listed = read::tags(&posts, (cache.begin(), &holds), asked).await?;
        let pagination = Pagination::new(ListPart::Page(request), &listed);
        let mut kept = Vec::new();
        if !beginning.is_empty() {
            kept.push(("q", beginning.clone()));
        }
        if sort != TagSort::default() {
            kept.push(("sort", sort.name().to_owned()));
        }
        let link = Some(pagination.link("/tag/", &kept)).filter(|link| link.len() <= LINK_MAX);
        let tags = std::mem::take(&mut listed.rows);
        let tags = (tags.into_iter())
            .map(|(tag, posts)| TagItem { tag, posts })
            .collect();
        let answer = TagsAnswer { tags, pagination };
        Ok(Filled::Found {
            parts: response::cacheable_json(&answer, link.as_deref())?,
            tags: response_cache::tags_of_list(&all),
        })
    };
    let response = response_cache::respond(&cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::internal("the tags were absent"))
}
