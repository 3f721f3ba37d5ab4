//! `GET /post/{id}/around`: the neighbours of a post in a list.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::filters::{author_and_tags, take_author_and_tags, with_author};
use super::response_cache::{self, CacheKey, ResponseCache};
use super::views::AroundAnswer;
use crate::core::cache::entry::Filled;
use crate::core::page::ListPart;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::path::Id;
use crate::http::response;
use crate::posts::Posts;
use crate::posts::actions::read;
use crate::posts::views::{PostItem, item_example};

/// The endpoint of this module.
pub fn endpoint() -> Endpoint {
    let operation = Operation::new(
        "getNeighbours",
        super::TAG,
        "Read the neighbours of a post",
        "The posts before and after it in the list",
    )
    .description(
        "In the list of all published posts, or of those that the filters take; the post itself need not \
         be among these. Null at the end of the list.",
    )
    .database()
    .answers::<AroundAnswer>(
        StatusCode::OK,
        json!({ "newer": null, "older": item_example() }),
    )
    .revalidates()
    .refuses(&[Code::PostNotFound, Code::QueryInvalid]);
    Endpoint::new("/post/{id}/around").get(take_author_and_tags(operation), around)
}

async fn around(
    id: Id,
    req: HttpRequest,
    posts: Data<Posts>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    let (filter, author) = author_and_tags(req.query_string())?;
    let whole = ListPart::Below {
        position: None,
        size: 1,
    };
    let kind = format!("around {}", id.0);
    let key = CacheKey::of_list_by(&kind, &filter, author.as_ref(), whole);
    let fill = async || {
        let filter = with_author(&posts, &filter, author.as_ref()).await?;
        let mut tags = response_cache::tags_of_list(&filter);
        tags.extend(response_cache::tags_of_post(id.0));
        let Some(found) = read::neighbours(&posts, id.0, filter).await? else {
            return Ok(Filled::Absent { tags });
        };
        let shown: Vec<i64> = [&found.newer, &found.older]
            .into_iter()
            .flatten()
            .map(|post| post.post_id)
            .collect();
        tags.extend(response_cache::tags_of_items(&shown));
        let answer = AroundAnswer {
            newer: found.newer.map(PostItem::from),
            older: found.older.map(PostItem::from),
        };
        let parts = response::cacheable_json(&answer, None)?;
        Ok(Filled::Found { parts, tags })
    };
    let response = response_cache::respond_from_anywhere(&cache, &key, &req, fill).await?;
    response.ok_or_else(|| Error::new(Code::PostNotFound))
}
