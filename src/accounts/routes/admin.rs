//! What admins do with all accounts.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::admin_bodies::{UserCreation, UserPatch};
use super::public;
use super::respond::{TAG, nothing, taken};
use super::views::{
    AccountAnswer, AccountView, AdminUserAnswer, AuditAnswer, UsersAnswer, account_example,
    audit_example, userinfo_example,
};
use crate::accounts::Accounts;
use crate::accounts::actions::{self, Created, Creation, Deletion};
use crate::accounts::client_info::ClientInfo;
use crate::accounts::extract::Admin;
use crate::accounts::password::Password;
use crate::accounts::refresh::new_nonce;
use crate::accounts::types::{Actor, Administered, NOBODY, NewAccount, User};
use crate::core::cpu_pool::Requester;
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::client_address::ClientAddress;
use crate::http::endpoint::{Endpoint, Operation, id_schema};
use crate::http::page::{Pagination, UncountedPart, query_value};
use crate::http::path::{Id, parse_id};
use crate::http::response::{self, CacheControl};
use crate::notify::Language;

/// The endpoints of this module, and with them the public view, which shares its
/// path.
pub fn endpoints() -> Vec<Endpoint> {
    let mut user = userinfo_example();
    user["is_active"] = json!(true);
    vec![
        users_endpoint(&user),
        Endpoint::new("/user/{id}")
            .get(public::by_id(), public::read)
            .patch(
                by_admin("changeUser", "Change a user", "The user as they are now")
                    .answers::<AdminUserAnswer>(StatusCode::OK, json!({ "userinfo": user }))
                    .refuses(&[Code::UserNotFound, Code::LastAdmin]),
                change,
            )
            .delete(
                by_admin(
                    "deleteUser",
                    "Delete a user",
                    "The user, their posts and sessions are gone",
                )
                .answers_nothing()
                .refuses(&[Code::UserNotFound, Code::LastAdmin]),
                delete,
            ),
        Endpoint::new("/user/{id}/account").get(
            by_admin(
                "getAccount",
                "Read what the administration knows of a user",
                "The user, their live sessions and their last login",
            )
            .answers::<AccountAnswer>(StatusCode::OK, json!({ "userinfo": account_example() }))
            .refuses(&[Code::UserNotFound]),
            read,
        ),
        Endpoint::new("/user/{id}/sessions").delete(
            by_admin(
                "endUserSessions",
                "End every session of a user",
                "Every session of the user has ended",
            )
            .description("For admins. Of one's own the one that it is asked with stays.")
            .answers_nothing()
            .refuses(&[Code::UserNotFound]),
            end_sessions,
        ),
        audit_endpoint(),
    ]
}

fn by_admin(id: &'static str, summary: &'static str, outcome: &'static str) -> Operation {
    Operation::new(id, TAG, summary, outcome)
        .description("For admins.")
        .database()
}

fn users_endpoint(user: &Value) -> Endpoint {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let pagination = Pagination::example();
    Endpoint::new("/user")
        .get(
            by_admin(
                "listUsers",
                "List users, newest first",
                "A page of users, newest first",
            )
            .parameter(
                "q",
                ParameterIn::Query,
                "Part of a name, e-mail address or username.",
                text.into(),
                json!("ann"),
            )
            .answers::<UsersAnswer>(
                StatusCode::OK,
                json!({ "users": [user], "pagination": pagination }),
            )
            .refuses(&[Code::QueryInvalid]),
            list,
        )
        .post(
            by_admin("createUser", "Create a user", "The new user")
                .description(
                    "For admins, also where registration is closed. Nobody is logged in. Without a \
                 password the person gets a mail with a code for `/user/password/reset`; when \
                 that has expired, `/user/password/forgot` sends another one.",
                )
                .answers::<AdminUserAnswer>(StatusCode::CREATED, json!({ "userinfo": user }))
                .header("Location", "The public view of the new user.")
                .refuses(&[
                    Code::EmailTaken,
                    Code::UsernameTaken,
                    Code::MobileTaken,
                    Code::Overloaded,
                ]),
            create,
        )
}

fn audit_endpoint() -> Endpoint {
    let pagination = Pagination::example();
    Endpoint::new("/audit").get(
        by_admin(
            "listAudit",
            "List the audit, newest first",
            "A page of the audit, newest first",
        )
        .parameter(
            "user",
            ParameterIn::Query,
            "Of this user only.",
            id_schema(),
            json!(1),
        )
        .answers::<AuditAnswer>(
            StatusCode::OK,
            json!({ "audit": [audit_example()], "pagination": pagination }),
        )
        .refuses(&[Code::QueryInvalid]),
        list_audit,
    )
}

async fn list(
    _: Admin,
    UncountedPart(part): UncountedPart,
    req: HttpRequest,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let words = query_value(req.query_string(), "q")
        .map(|words| words.trim().to_lowercase())
        .filter(|words| !words.is_empty());
    let kept: Vec<_> = words.iter().map(|words| ("q", words.clone())).collect();
    let listed = actions::list_users(&app.directory, words, part).await?;
    let pagination = Pagination::new(part, &listed);
    let link = pagination.link("/user/", &kept);
    let answer = UsersAnswer {
        users: listed.rows.into_iter().map(Into::into).collect(),
        pagination,
    };
    response::part_of_list(&answer, link)
}

async fn create(
    Admin(admin): Admin,
    body: Body<UserCreation>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
    from: ClientAddress,
) -> Result<HttpResponse, Error> {
    let UserCreation {
        email,
        name,
        username,
        mobile,
        password,
        is_admin,
    } = body.0;
    let invited_in = password.is_none().then_some(language);
    let requester = Requester::about(from.0, &email.key);
    let account = NewAccount {
        email,
        name,
        username,
        mobile,
        password: password.map_or_else(unknown_password, Ok)?,
    };
    let new = Creation {
        account,
        is_admin,
        invited_in,
    };
    let who = (Actor::User(admin.user_id), client);
    match actions::create_user(&app.directory, &requester, new, who).await? {
        Created::Done(user) => created(*user),
        Created::Taken(identifiers) => Err(taken(&identifiers)),
    }
}

/// What nobody knows, and so nobody logs in with.
fn unknown_password() -> Result<Password, Error> {
    let random = new_nonce().map_err(|why| Error::internal(why))?;
    Ok(Password::attempt(&random))
}

fn created(user: User) -> Result<HttpResponse, Error> {
    let location = format!("/user/{}", user.user_id);
    let location = HeaderValue::try_from(location).map_err(|e| Error::internal(e))?;
    let answer = AdminUserAnswer {
        userinfo: user.into(),
    };
    let mut response = response::json(StatusCode::CREATED, CacheControl::NoStore, &answer)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

async fn read(Admin(admin): Admin, id: Id, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let details = actions::find_account(&app.directory, id.0).await?;
    let details = details.ok_or_else(|| Error::new(Code::UserNotFound))?;
    let answer = AccountAnswer {
        userinfo: AccountView::new(details, admin.session_id),
    };
    response::json(StatusCode::OK, CacheControl::NoStore, &answer)
}

async fn change(
    Admin(admin): Admin,
    id: Id,
    body: Body<UserPatch>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let who = (Actor::User(admin.user_id), client);
    match actions::administer(&app.directory, id.0, body.0.0, who).await? {
        Administered::Done { after, .. } => {
            let answer = AdminUserAnswer {
                userinfo: (*after).into(),
            };
            response::json(StatusCode::OK, CacheControl::NoStore, &answer)
        }
        Administered::NotFound => Err(Error::new(Code::UserNotFound)),
        Administered::LastAdmin => Err(Error::new(Code::LastAdmin)),
    }
}

async fn delete(
    Admin(admin): Admin,
    id: Id,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let who = (Actor::User(admin.user_id), client);
    match actions::delete_user(&app.directory, id.0, who, language).await? {
        Deletion::Done => Ok(nothing()),
        Deletion::NotFound => Err(Error::new(Code::UserNotFound)),
        Deletion::LastAdmin => Err(Error::new(Code::LastAdmin)),
    }
}

async fn end_sessions(
    Admin(admin): Admin,
    id: Id,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let who = (Actor::User(admin.user_id), client);
    let ended = actions::end_sessions_of(&app.directory, id.0, admin.session_id, who).await?;
    if ended {
        Ok(nothing())
    } else {
        Err(Error::new(Code::UserNotFound))
    }
}

async fn list_audit(
    _: Admin,
    UncountedPart(part): UncountedPart,
    req: HttpRequest,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let user = query_value(req.query_string(), "user");
    // What is no id is nobody's.
    let user_id = user.map(|text| parse_id(&text).unwrap_or(NOBODY));
    let listed = actions::list_audit(&app.directory, user_id, part).await?;
    let pagination = Pagination::new(part, &listed);
    let kept: Vec<_> = user_id
        .map(|user_id| ("user", user_id.to_string()))
        .into_iter()
        .collect();
    let link = pagination.link("/audit/", &kept);
    let answer = AuditAnswer {
        audit: listed.rows.into_iter().map(Into::into).collect(),
        pagination,
    };
    response::part_of_list(&answer, link)
}
