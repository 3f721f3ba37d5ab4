//! `GET /comment/` over HTTP: the comments of all posts, for admins.

use std::future::ready;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::TAG;
use super::views::{CommentsAnswer, comments_example};
use crate::accounts::extract::Admin;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation, id_schema};
use crate::http::handler::Extract;
use crate::http::page::{ListPart, PageRequest, Pagination, UncountedPart, query_value};
use crate::http::path::parse_id;
use crate::http::response;
use crate::posts::actions::prepare;
use crate::social::Social;
use crate::social::actions::read;
use crate::social::types::CommentFilter;
use crate::social::views::Comment;

/// The endpoint of this module.
pub fn endpoint() -> Endpoint {
    let operation = Operation::new(
        "listAllComments",
        TAG,
        "List the comments of all posts, newest first",
        "Comments, newest first",
    )
    .description(
        "For admins, those of drafts too. What is left of deleted comments is not among them. With `q` 20,000 \
         comments are looked through at once, without a count: a part may be short, or empty, and have a `next`, \
         and of pages there is the first alone.",
    )
    .database()
    .answers::<CommentsAnswer>(StatusCode::OK, comments_example());
    Endpoint::new("/comment").get(operation, list)
}

/// The parameters that say which comments.
struct Wanted(CommentFilter);

impl Wanted {
    fn of_query(query: &str) -> Result<Self, Error> {
        let author = query_value(query, "author").filter(|text| !text.is_empty());
        let author = author.map(|text| {
            let detail = "The parameter author is not an id.";
            parse_id(&text).ok_or_else(|| Error::with_detail(Code::QueryInvalid, detail))
        });
        let words = query_value(query, "q").map(|words| words.trim().to_lowercase());
        Ok(Self(CommentFilter {
            author: author.transpose()?,
            words: words.filter(|words| !words.is_empty()),
        }))
    }

    /// The parameters that go with all parts of the list.
    fn kept(&self) -> Vec<(&'static str, String)> {
        let CommentFilter { author, words } = &self.0;
        let author = author.map(|id| ("author", id.to_string()));
        let words = words.clone().map(|words| ("q", words));
        author.into_iter().chain(words).collect()
    }
}

impl Extract for Wanted {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(Self::of_query(request.query_string()))
    }

    fn describe(operation: Operation) -> Operation {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let operation = operation.refuses(&[Code::QueryInvalid]).parameter(
            "author",
            ParameterIn::Query,
            "By this user only.",
            id_schema(),
            json!(1),
        );
        operation.parameter(
            "q",
            ParameterIn::Query,
            "A part of the text, in any case.",
            text.into(),
            json!("well said"),
        )
    }
}

async fn list(
    _: Admin,
    wanted: Wanted,
    UncountedPart(part): UncountedPart,
    social: Data<Social>,
) -> Result<HttpResponse, Error> {
    let part = match part {
        ListPart::Page(PageRequest { page, size }) if wanted.0.words.is_some() => {
            if page > 1 {
                return Err(Error::with_detail(
                    Code::QueryInvalid,
                    "The parameter page is 1 with q, where only before leads on.",
                ));
            }
            let position = None;
            ListPart::Below { position, size }
        }
        part => part,
    };
    let mut listed = read::list_all(&social, wanted.0.clone(), part).await?;
    let rows = std::mem::take(&mut listed.rows);
    let pagination = Pagination::new(part, &listed);
    let link = pagination.link("/comment/", &wanted.kept());
    let size = rows.iter().map(|comment| comment.content().len()).sum();
    let comments = prepare(size, move || rows.iter().map(Comment::from).collect()).await?;
    let answer = CommentsAnswer {
        comments,
        pagination,
    };
    response::part_of_list(&answer, link)
}
