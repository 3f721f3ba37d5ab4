//! `/post/preview` over HTTP: a content as everybody would read it, before anything is kept.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::TAG;
use crate::accounts::extract::Caller;
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::response::{self, CacheControl};
use crate::posts::actions::prepare_for;
use crate::posts::html;
use crate::posts::types::Preview;

/// What ids in a preview begin with, in the place of a post's id: no post has it.
const NO_POST: i64 = 0;

/// The endpoint of this module.
pub fn endpoint() -> Endpoint {
    Endpoint::new("/post/preview").post(
        Operation::new(
            "previewPost",
            TAG,
            "Make HTML of a content",
            "The content as it would be read",
        )
        .description(
            "Nothing is kept. The HTML is what `include=html` would give for a post with this content, \
             but for its ids, which begin with `post-0-`.",
        )
        .database()
        .answers::<PreviewAnswer>(StatusCode::OK, json!({ "post_html": "<p>The <em>first</em> of many.</p>\n" }))
        .refuses(&[Code::ContentTooLarge]),
        preview,
    )
}

#[derive(Serialize, ToSchema)]
struct PreviewAnswer {
    /// Sanitized HTML.
    post_html: String,
}

async fn preview(caller: Caller, body: Body<Preview>) -> Result<HttpResponse, Error> {
    let Preview { content, format } = body.0;
    let size = content.len();
    let render = move || html::render(NO_POST, format, &content);
    let post_html = prepare_for(caller.user_id, size, render).await?;
    let answer = PreviewAnswer { post_html };
    response::json(StatusCode::OK, CacheControl::NoStore, &answer)
}
