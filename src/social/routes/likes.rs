//! `/post/{id}/like` and `/user/me/likes` over HTTP.

use std::future::ready;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::views::LikesAnswer;
use super::{TAG, editor};
use crate::accounts::extract::Caller;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation, id_schema};
use crate::http::handler::Extract;
use crate::http::path::{Id, parse_id};
use crate::http::response::{self, CacheControl};
use crate::social::Social;
use crate::social::actions::likes::{self, Liked};

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let set = |id, summary, outcome| {
        Operation::new(id, TAG, summary, outcome)
            .description("As often as one likes. Answers that show the post have the new number from then on.")
            .database()
            .answers_nothing()
            .refuses(&[Code::PostNotFound])
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
    }
}

/// Posts that may be asked for at once: as many as a page has.
const MOST: usize = 100;

/// The posts of the parameter `post`, each of which may be there.
struct AskedFor(Vec<i64>);

impl Extract for AskedFor {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        let ids: Option<Vec<i64>> = pairs
            .filter(|(name, _)| name == "post")
            .map(|(_, value)| parse_id(&value))
            .collect();
        let detail = "The parameter post is the id of a post, at most a hundred times.";
        ready(
            (ids.filter(|ids| ids.len() <= MOST).map(Self))
                .ok_or_else(|| Error::with_detail(Code::QueryInvalid, detail)),
        )
    }

    fn describe(operation: Operation) -> Operation {
        operation.repeated_parameter(
            "post",
            "Which posts are asked for.",
            id_schema(),
            MOST,
            json!([1, 2]),
        )
    }
}

async fn of_caller(
    caller: Caller,
    AskedFor(post_ids): AskedFor,
    social: Data<Social>,
) -> Result<HttpResponse, Error> {
    let likes = likes::of_user(&social, caller.user_id, post_ids).await?;
    response::json(
        StatusCode::OK,
        CacheControl::NoStore,
        &LikesAnswer { likes },
    )
}
