//! `/post/{id}/like` and `/user/me/likes` over HTTP.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde_json::json;

use super::asked::{AskedFor, Posts};
use super::views::LikesAnswer;
use super::{TAG, editor};
use crate::accounts::extract::Caller;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::path::Id;
use crate::http::response::{self, CacheControl};
use crate::social::Social;
use crate::social::actions::likes::{self, Liked};

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let set = |id, summary, outcome| {
        Operation::new(id, TAG, summary, outcome)
            .description("Repeated, it changes nothing. Answers that show the post have the new number from then on. A user has 300 likes and \
                 follows, given or taken back, and then one every two seconds.")
            .database()
            .answers_nothing()
            .refuses(&[Code::PostNotFound, Code::RateLimited])
    };
    vec![
        Endpoint::new("/post/{id}/like")
            .put(
                set("like", "Like a post", "The caller likes the post"),
                like,
            )
            .delete(
                set(
                    "unlike",
                    "Like a post no more",
                    "The caller does not like the post",
                ),
                unlike,
            ),
        Endpoint::new("/user/me/likes").get(
            Operation::new(
                "listLikes",
                TAG,
                "Ask which posts one likes",
                "Those of the posts that the caller likes",
            )
            .description("Of the posts of a page, say: `?post=1&post=2`.")
            .database()
            .answers::<LikesAnswer>(StatusCode::OK, json!({ "likes": [1] }))
            .refuses(&[Code::QueryInvalid]),
            of_caller,
        ),
    ]
}

async fn like(caller: Caller, id: Id, social: Data<Social>) -> Result<HttpResponse, Error> {
    set(caller, id, &social, true).await
}

async fn unlike(caller: Caller, id: Id, social: Data<Social>) -> Result<HttpResponse, Error> {
    set(caller, id, &social, false).await
}

async fn set(
    caller: Caller,
    id: Id,
    social: &Social,
    does_like: bool,
) -> Result<HttpResponse, Error> {
    match likes::set(social, id.0, editor(caller), does_like).await? {
        Liked::Done { .. } => Ok(HttpResponse::NoContent().finish()),
        Liked::NoUser => Err(Error::new(Code::SessionEnded)),
        Liked::NoPost => Err(Error::new(Code::PostNotFound)),
        Liked::RateLimited(limited) => Err(limited.into()),
    }
}

async fn of_caller(
    caller: Caller,
    AskedFor(post_ids, _): AskedFor<Posts>,
    social: Data<Social>,
) -> Result<HttpResponse, Error> {
    let likes = likes::of_user(&social, caller.user_id, post_ids).await?;
    response::json(
        StatusCode::OK,
        CacheControl::NoStore,
        &LikesAnswer { likes },
    )
}
