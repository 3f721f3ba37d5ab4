//! `/user/{id}/follow`, `/user/{id}/followers` and `/user/{id}/following` over HTTP.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::TAG;
use super::asked::{AskedFor, Users};
use super::response_cache::{self, ResponseCache, respond_from_anywhere};
use super::views::{FollowedAnswer, FollowsAnswer, follows_example};
use crate::accounts::extract::Caller;
use crate::accounts::views::PublicView;
use crate::core::cache::entry::Filled;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::{LINK_MAX, ListPart, Pagination, UncountedPart};
use crate::http::path::Id;
use crate::http::response::{self, CacheControl};
use crate::social::Social;
use crate::social::actions::follows::{self, Followed};
use crate::social::types::FollowList;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let set = |id, summary, outcome| {
        Operation::new(id, TAG, summary, outcome)
            .description(
                "Repeated, it changes nothing. A user has 300 likes and follows, given or taken back, and then one every \
                 two seconds.",
            )
            .database()
            .answers_nothing()
            .refuses(&[Code::UserNotFound, Code::RateLimited])
    };
    let list = |id, summary, outcome| {
        Operation::new(id, TAG, summary, outcome)
            .description(
                "By `page` with the exact `count` and `pages`, or by `before`, for endless scrolling. Pages end \
                 behind 100,000 users; `before` leads on.",
            )
            .database()
            .answers::<FollowsAnswer>(StatusCode::OK, follows_example())
            .revalidates()
            .refuses(&[Code::UserNotFound])
    };
    vec![
        Endpoint::new("/user/{id}/follow")
            .put(
                set("follow", "Follow a user", "The caller follows the user")
                    .refuses(&[Code::FollowSelf]),
                follow,
            )
            .delete(
                set(
                    "unfollow",
                    "Unfollow a user",
                    "The caller does not follow the user",
                ),
                unfollow,
            ),
        Endpoint::new("/user/me/following").get(
            Operation::new(
                "listFollowed",
                TAG,
                "Ask whom one follows",
                "Those of the users whom the caller follows",
            )
            .description("Of the authors of a page, say: `?user=1&user=2`.")
            .database()
            .answers::<FollowedAnswer>(StatusCode::OK, json!({ "following": [1] }))
            .refuses(&[Code::QueryInvalid]),
            of_caller,
        ),
        Endpoint::new("/user/{id}/followers").get(
            list(
                "listFollowers",
                "List who follows a user",
                "Who follows the user, the newest first",
            ),
            followers,
        ),
        Endpoint::new("/user/{id}/following").get(
            list(
                "listFollowing",
                "List whom a user follows",
                "Whom the user follows, the newest first",
            ),
            following,
        ),
    ]
}

async fn follow(caller: Caller, id: Id, social: Data<Social>) -> Result<HttpResponse, Error> {
    if caller.user_id == id.0 {
        return Err(Error::new(Code::FollowSelf));
    }
    set(caller, id, &social, true).await
}

async fn unfollow(caller: Caller, id: Id, social: Data<Social>) -> Result<HttpResponse, Error> {
    set(caller, id, &social, false).await
}

async fn set(
    caller: Caller,
    id: Id,
    social: &Social,
    does_follow: bool,
) -> Result<HttpResponse, Error> {
    match follows::set(social, caller.user_id, id.0, does_follow).await? {
        Followed::Done { .. } => Ok(HttpResponse::NoContent().finish()),
        Followed::NoUser => Err(Error::new(Code::SessionEnded)),
        Followed::NotFound => Err(Error::new(Code::UserNotFound)),
        Followed::RateLimited(limited) => Err(limited.into()),
    }
}

async fn of_caller(
    caller: Caller,
    AskedFor(user_ids, _): AskedFor<Users>,
    social: Data<Social>,
) -> Result<HttpResponse, Error> {
    let following = follows::among(&social, caller.user_id, user_ids).await?;
    response::json(
        StatusCode::OK,
        CacheControl::NoStore,
        &FollowedAnswer { following },
    )
}

async fn followers(
    id: Id,
    UncountedPart(part): UncountedPart,
    req: HttpRequest,
    social: Data<Social>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    list(&req, (&social, &cache), (id.0, FollowList::Followers), part).await
}

async fn following(
    id: Id,
    UncountedPart(part): UncountedPart,
    req: HttpRequest,
    social: Data<Social>,
    cache: Data<ResponseCache>,
) -> Result<HttpResponse, Error> {
    list(&req, (&social, &cache), (id.0, FollowList::Following), part).await
}

async fn list(
    request: &HttpRequest,
    (social, cache): (&Social, &ResponseCache),
    (user_id, list): (i64, FollowList),
    part: ListPart,
) -> Result<HttpResponse, Error> {
    let fill = async || {
        let Some(mut listed) = follows::list(social, user_id, list, part).await? else {
            let tags = response_cache::tags_of_follows(user_id, std::iter::empty());
            return Ok(Filled::Absent { tags });
        };
        let rows = std::mem::take(&mut listed.rows);
        let shown = rows.iter().map(|user| user.user_id);
        let tags = response_cache::tags_of_follows(user_id, shown);
        let pagination = Pagination::new(part, &listed);
        let link = pagination.link(&format!("/user/{user_id}/{}", list.name()), &[]);
        let answer = FollowsAnswer {
            users: rows.into_iter().map(PublicView::from).collect(),
            pagination,
        };
        let link = Some(link.as_str()).filter(|link| link.len() <= LINK_MAX);
        let parts = response::cacheable_json(&answer, link)?;
        Ok(Filled::Found { parts, tags })
    };
    let key = response_cache::key_of_follows(user_id, list, part);
    let response = respond_from_anywhere(cache, &key, request, fill).await?;
    response.ok_or_else(|| Error::new(Code::UserNotFound))
}
