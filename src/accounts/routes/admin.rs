//! What admins do with all accounts.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::TAG;
use super::fields::NAME;
use super::own::{self, needed};
use super::views::{AdminUserAnswer, AuditAnswer, UsersAnswer, audit_example, userinfo_example};
use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::extract::Admin;
use crate::accounts::storage::audit::{self, Action, Entry};
use crate::accounts::storage::sessions;
use crate::accounts::storage::users::{self, AdminChange, Administered, User};
use crate::accounts::types::Name;
use crate::core::db::Conn;
use crate::core::settings::Settings;
use crate::error::{Code, Error};
use crate::http::body::{Body, Document, Fault, Field, Input, Kind};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::page::{PageRequest, Pagination, query_value};
use crate::http::path::{Id, parse_id};
use crate::http::response::{self, Keep};

/// The endpoints of this module, and with them the public view, which shares its
/// path.
pub fn endpoints() -> Vec<Endpoint> {
    let by_admin = |id, summary| {
        Operation::new(id, TAG, summary)
            .description("For admins.")
            .database()
    };
    let text = || {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .build()
            .into()
    };
    let id = || {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .build()
            .into()
    };
    let mut user = userinfo_example();
    user["is_active"] = json!(true);
    let pagination = json!({ "count": 1, "pages": 1, "page": 1, "size": 20 });
    vec![
        Endpoint::new("/user").get(
            by_admin("listUsers", "A page of users, newest first")
                .parameter(
                    "q",
                    ParameterIn::Query,
                    "Part of a name, e-mail address or username.",
                    text(),
                    json!("ann"),
                )
                .answers::<UsersAnswer>(
                    StatusCode::OK,
                    json!({ "users": [user], "pagination": pagination }),
                ),
            list,
        ),
        Endpoint::new("/user/{id}")
            .get(own::public_operation(), own::read_public)
            .patch(
                by_admin("changeUser", "The user as they are now")
                    .answers::<AdminUserAnswer>(StatusCode::OK, json!({ "userinfo": user }))
                    .refuses(&[Code::UserNotFound, Code::LastAdmin]),
                change,
            )
            .delete(
                by_admin("deleteUser", "The user, their posts and sessions are gone")
                    .answers_nothing()
                    .refuses(&[Code::UserNotFound, Code::LastAdmin]),
                delete,
            ),
        Endpoint::new("/audit").get(
            by_admin("listAudit", "A page of the audit, newest first")
                .parameter(
                    "user",
                    ParameterIn::Query,
                    "Of this user only.",
                    id(),
                    json!(1),
                )
                .answers::<AuditAnswer>(
                    StatusCode::OK,
                    json!({ "audit": [audit_example()], "pagination": pagination }),
                ),
            list_audit,
        ),
    ]
}

/// What an admin changes of a user.
struct UserPatch(AdminChange);

impl Document for UserPatch {
    const NAME: &'static str = "UserPatch";
    const FIELDS: &'static [Field] = &[
        Field {
            name: "is_active",
            required: false,
            kind: Kind::Boolean,
            description: "A user who is not active cannot log in; their sessions end.",
            example: "false",
        },
        Field {
            name: "role",
            required: false,
            kind: Kind::Text {
                min: 4,
                max: Some(5),
                pattern: Some("^(user|admin)$"),
                format: None,
            },
            description: "`user` or `admin`.",
            example: "admin",
        },
        Field {
            name: "name",
            required: false,
            kind: NAME,
            description: "Shown with every post; trimmed.",
            example: "Ann Smith",
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let is_active = input.boolean("is_active");
        let is_admin = input.parse("role", |role| match role {
            "admin" => Ok(true),
            "user" => Ok(false),
            _ => Err(Fault(Code::RoleInvalid, "is user or admin")),
        });
        let name = needed(input, "name", Name::parse);
        Some(Self(AdminChange {
            is_active,
            is_admin,
            name,
        }))
    }
}

async fn list(
    _: Admin,
    request: PageRequest,
    req: HttpRequest,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let words = query_value(req.query_string(), "q").filter(|words| !words.is_empty());
    let kept: Vec<_> = words.iter().map(|words| ("q", words.clone())).collect();
    let (users, count) = app
        .db
        .read(move |conn| users::load_page(conn, words.as_deref(), request))
        .await?;
    let pagination = Pagination::new(request, count);
    let link = pagination.link("/user/", &kept);
    let answer = UsersAnswer {
        users: users.into_iter().map(Into::into).collect(),
        pagination,
    };
    page(&answer, link)
}

fn page<T: serde::Serialize>(answer: &T, link: String) -> Result<HttpResponse, Error> {
    let mut response = response::json(StatusCode::OK, Keep::Never, answer)?;
    let link = header::HeaderValue::try_from(link).map_err(Error::internal)?;
    response.headers_mut().insert(header::LINK, link);
    Ok(response)
}

async fn change(
    Admin(admin): Admin,
    id: Id,
    body: Body<UserPatch>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let (now, change) = (app.clock.now(), body.0.0);
    let work = move |conn: &mut Conn| {
        let outcome = users::administer(conn, id.0, &change, now)?;
        if let Administered::Done(before, after) = &outcome {
            record(conn, Some(admin.user_id), before, after, &client, now)?;
        }
        Ok(outcome)
    };
    let renamed = |outcome: &Administered| match outcome {
        Administered::Done(_, user) => Some(user.renamed()),
        Administered::NotFound | Administered::LastAdmin => None,
    };
    let outcome = app.write_shown(work, renamed).await?;
    match outcome {
        Administered::Done(_, user) => {
            app.bus.publish(&SessionEnded::all_of(user.user_id));
            let answer = AdminUserAnswer {
                userinfo: (*user).into(),
            };
            response::json(StatusCode::OK, Keep::Never, &answer)
        }
        Administered::NotFound => Err(Error::new(Code::UserNotFound)),
        Administered::LastAdmin => Err(Error::new(Code::LastAdmin)),
    }
}

/// Writes down what an admin, or the operator, changed, and ends the sessions of a
/// user who is not active any more. In the transaction of the change.
pub fn record(
    conn: &mut Conn,
    actor_id: Option<i64>,
    before: &User,
    after: &User,
    client: &ClientInfo,
    now: chrono::NaiveDateTime,
) -> diesel::QueryResult<()> {
    let mut write = |action, detail: &str| {
        let entry = Entry {
            action,
            user_id: Some(after.user_id),
            actor_id,
            detail,
        };
        audit::insert(conn, entry, client, now)
    };
    if before.name != after.name {
        write(Action::ProfileChanged, "")?;
    }
    if before.role != after.role {
        write(
            Action::RoleChanged,
            &format!("{} to {}", before.role, after.role),
        )?;
    }
    if before.is_active != after.is_active {
        let action = if after.is_active {
            Action::Activated
        } else {
            Action::Deactivated
        };
        write(action, "")?;
    }
    if after.is_active {
        sessions::announce(conn, after.user_id, None, now)
    } else {
        sessions::end_all(conn, after.user_id, None, now).map(drop)
    }
}

/// Deletes a user and all that is theirs; gives the reason when it may not be. The
/// transaction is the caller's.
pub fn remove(
    conn: &mut Conn,
    user_id: i64,
    actor_id: i64,
    client: &ClientInfo,
    now: chrono::NaiveDateTime,
) -> diesel::QueryResult<Option<Code>> {
    if users::is_last_admin(conn, user_id)? {
        return Ok(Some(Code::LastAdmin));
    }
    if !users::delete_user(conn, user_id)? {
        return Ok(Some(Code::UserNotFound));
    }
    let entry = Entry {
        action: Action::Deleted,
        user_id: Some(user_id),
        actor_id: Some(actor_id),
        detail: "",
    };
    audit::insert(conn, entry, client, now)?;
    sessions::announce(conn, user_id, None, now)?;
    Ok(None)
}

async fn delete(
    Admin(admin): Admin,
    id: Id,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let now = app.clock.now();
    let work = move |conn: &mut Conn| remove(conn, id.0, admin.user_id, &client, now);
    let refused = app.write_shown(work, |_| None).await?;
    if let Some(code) = refused {
        return Err(Error::new(code));
    }
    app.bus.publish(&SessionEnded::all_of(id.0));
    Ok(own::nothing())
}

async fn list_audit(
    _: Admin,
    request: PageRequest,
    req: HttpRequest,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let user = query_value(req.query_string(), "user");
    // What is no id is nobody's.
    let user_id = user.as_ref().map(|text| parse_id(text).unwrap_or(0));
    let (records, count) = app
        .db
        .read(move |conn| audit::load_page(conn, user_id, request))
        .await?;
    let pagination = Pagination::new(request, count);
    let link = pagination.link(
        "/audit/",
        &user
            .map(|user| ("user", user))
            .into_iter()
            .collect::<Vec<_>>(),
    );
    let answer = AuditAnswer {
        audit: records.into_iter().map(Into::into).collect(),
        pagination,
    };
    page(&answer, link)
}
