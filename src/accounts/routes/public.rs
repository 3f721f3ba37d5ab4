//! What anyone may know of a user, by id and by username.

use std::future::ready;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::fields::USERNAME_PATTERN;
use super::respond::TAG;
use super::views::{PublicUserAnswer, public_example};
use crate::accounts::Accounts;
use crate::accounts::actions;
use crate::accounts::types::Username;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::handler::Extract;
use crate::http::path::Id;
use crate::http::response;

/// The endpoints of this module; [`by_id`] stands with what admins do at its path.
pub fn endpoints() -> Vec<Endpoint> {
    let by_name = operation(
        "getUserByUsername",
        "Read what anyone may know of a user, by username",
    )
    .description("The same as by id; upper and lower case are the same.");
    vec![Endpoint::new("/user/@{username}").get(by_name, read_by_name)]
}

/// The public view of a user, for `/user/{id}`.
pub fn by_id() -> Operation {
    operation("getUser", "Read what anyone may know of a user")
        .description("Never the e-mail address, the mobile number or the role.")
}

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary, "What anyone may know of a user")
        .database()
        .answers::<PublicUserAnswer>(StatusCode::OK, public_example())
        .revalidates()
        .refuses(&[Code::UserNotFound])
}

/// The `{username}` of a route. What is no username is nobody's.
struct Named(Username);

impl Extract for Named {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let text = request.match_info().get("username").unwrap_or_default();
        let username = Username::parse(text).map_err(|_| Error::new(Code::UserNotFound));
        ready(username.map(Self))
    }

    fn describe(operation: Operation) -> Operation {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(USERNAME_PATTERN));
        operation.parameter(
            "username",
            ParameterIn::Path,
            "Whose.",
            schema.build().into(),
            json!("ann-smith"),
        )
    }
}

/// `GET /user/{id}`.
pub async fn read(id: Id, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let user = actions::find_public_user(&app.directory, id.0).await?;
    let user = user.ok_or_else(|| Error::new(Code::UserNotFound))?;
    response::read(&PublicUserAnswer { user: user.into() })
}

async fn read_by_name(name: Named, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let user = actions::find_public_user_by_name(&app.directory, name.0).await?;
    let user = user.ok_or_else(|| Error::new(Code::UserNotFound))?;
    response::read(&PublicUserAnswer { user: user.into() })
}
