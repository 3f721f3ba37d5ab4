//! `/user/directory`: everybody, with who is online.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::TAG;
use crate::accounts::extract::Caller;
use crate::accounts::views::{PublicView, public_user_example};
use crate::accounts::{Accounts, limits};
use crate::core::clock;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::{Pagination, UncountedPart, query_value};
use crate::http::response;
use crate::presence::actions::list_people::{People, Person, list_people};
use crate::presence::hub::Hub;

/// The endpoint of this module.
pub fn endpoint() -> Endpoint {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let mut person = public_user_example();
    person["online"] = json!(true);
    person["since"] = json!("2026-11-21T10:30:00.123456Z");
    let example = json!({
        "users": [person],
        "pagination": Pagination::example(),
    });
    Endpoint::new("/user/directory").get(
        Operation::new(
            "listPeople",
            TAG,
            "List everybody, with who is online",
            "A page of all active users, the newest first",
        )
        .description(
            "By `page`, or by `before` for endless scrolling. Who is online is told as of the answer: \
             `GET /user/online` tells what changes from then on.",
        )
        .database()
        .parameter(
            "q",
            ParameterIn::Query,
            "Part of a name or username.",
            text.into(),
            json!("ann"),
        )
        .answers::<DirectoryAnswer>(StatusCode::OK, example)
        .refuses(&[Code::RateLimited]),
        list,
    )
}

/// What anyone may know of a user, and whether they are online.
#[derive(Serialize, ToSchema)]
struct PersonView {
    #[serde(flatten)]
    user: PublicView,
    online: bool,
    /// Since when without a break, as far as is known; null for who is not online.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    since: Option<NaiveDateTime>,
}

impl From<Person> for PersonView {
    fn from(person: Person) -> Self {
        let Person { user, since } = person;
        Self {
            user: user.into(),
            online: since.is_some(),
            since,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct DirectoryAnswer {
    users: Vec<PersonView>,
    pagination: Pagination,
    /// Only there, and true, when other processes should be heard and are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    partial: Option<bool>,
}

async fn list(
    caller: Caller,
    UncountedPart(part): UncountedPart,
    request: HttpRequest,
    accounts: Data<Accounts>,
    hub: Data<Hub>,
) -> Result<HttpResponse, Error> {
    let words = query_value(request.query_string(), "q")
        .map(|words| words.trim().to_lowercase())
        .filter(|words| !words.is_empty());
    if words.is_some() {
        let limit = &limits::SEARCH_FOR_PEOPLE;
        accounts.limits.take(limit, &caller.user_id).await?;
    }
    let kept: Vec<_> = words.iter().map(|words| ("q", words.clone())).collect();
    let People { listed, is_partial } = list_people(&hub, &accounts.directory, words, part).await?;
    let pagination = Pagination::new(part, &listed);
    let link = pagination.link("/user/directory/", &kept);
    let answer = DirectoryAnswer {
        users: listed.rows.into_iter().map(Into::into).collect(),
        pagination,
        partial: is_partial.then_some(true),
    };
    response::part_of_list(&answer, link)
}
