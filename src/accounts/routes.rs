//! `/user…` over HTTP.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, OneOfBuilder, Schema,
};

use super::caller::Caller;
use super::password::{Password, needs_rehash};
use super::types::{Account, EMAIL_MAX, Email, Mobile, NAME_MAX, Name, Username};
use super::users::{self, NewUser, PublicUser, User};
use crate::app::App;
use crate::clock;
use crate::db::{DbError, dialect};
use crate::error::{Code, Error};
use crate::http::body::{Body, Document, Field, Input, Kind, NO_CONTROLS, VISIBLE};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::path::Id;
use crate::http::reply::{self, Keep};

const TAG: &str = "users";

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/user/reg").post(
            Operation::new("register", TAG, "The new user, logged in")
                .description(
                    "Identifiers are unique in their canonical form: e-mail addresses trimmed, \
                     NFKC and lower-cased, usernames lower-cased, mobile numbers in E.164.",
                )
                .database()
                .body::<Registration>()
                .answers::<TokenAnswer>(StatusCode::CREATED, token_example())
                .header("Location", "The public view of the new user.")
                .refuses(&[
                    Code::EmailTaken,
                    Code::UsernameTaken,
                    Code::MobileTaken,
                    Code::Overloaded,
                ]),
            register,
        ),
        Endpoint::new("/user/login").post(
            Operation::new("login", TAG, "The user, logged in")
                .description(
                    "An unknown account, a wrong password and a deactivated user get the same \
                     refusal in the same time.",
                )
                .database()
                .body::<Login>()
                .answers::<TokenAnswer>(StatusCode::OK, token_example())
                .refuses(&[Code::InvalidCredentials, Code::Overloaded]),
            login,
        ),
        Endpoint::new("/user/me").get(
            Operation::new("getOwnUser", TAG, "The caller's own view")
                .token()
                .database()
                .answers::<OwnUserAnswer>(
                    StatusCode::OK,
                    json!({ "userinfo": userinfo_example() }),
                ),
            own_user,
        ),
        Endpoint::new("/user/{id}").get(
            Operation::new("getUser", TAG, "What anyone may know of a user")
                .id_in_path(1)
                .database()
                .answers::<PublicUserAnswer>(StatusCode::OK, public_example())
                .revalidates()
                .refuses(&[Code::UserNotFound]),
            public_user,
        ),
    ]
}

/// The own view of a user.
#[derive(Serialize, ToSchema)]
pub struct UserInfo {
    #[schema(minimum = 1)]
    user_id: i64,
    name: String,
    /// As written at registration.
    #[schema(format = Email)]
    email: String,
    #[schema(required = true)]
    username: Option<String>,
    /// As written at registration.
    #[schema(required = true)]
    mobile: Option<String>,
    role: Role,
    email_verified: bool,
    mobile_verified: bool,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
}

/// What a user may do beyond their own things.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Admin,
}

impl From<User> for UserInfo {
    fn from(user: User) -> Self {
        Self {
            user_id: user.user_id,
            name: user.name,
            email: user.email,
            username: user.username,
            mobile: user.mobile,
            role: if user.role == "admin" {
                Role::Admin
            } else {
                Role::User
            },
            email_verified: user.email_verified,
            mobile_verified: user.mobile_verified,
            created: user.created,
            updated: user.updated,
        }
    }
}

/// A user, logged in.
#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    userinfo: UserInfo,
    /// Send it as `Authorization: Bearer <token>`.
    token: String,
    #[schema(pattern = "^Bearer$")]
    token_type: &'static str,
    /// Seconds.
    #[schema(minimum = 1)]
    expires_in: u32,
}

#[derive(Serialize, ToSchema)]
struct OwnUserAnswer {
    userinfo: UserInfo,
}

#[derive(Serialize, ToSchema)]
struct PublicUserAnswer {
    user: PublicView,
}

/// What anyone may know of a user.
#[derive(Serialize, ToSchema)]
struct PublicView {
    #[schema(minimum = 1)]
    user_id: i64,
    name: String,
    #[schema(required = true)]
    username: Option<String>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    /// How many posts they have published.
    #[schema(minimum = 0)]
    posts: i64,
}

impl From<PublicUser> for PublicView {
    fn from(user: PublicUser) -> Self {
        Self {
            user_id: user.user_id,
            name: user.name,
            username: user.username,
            created: user.created,
            posts: user.posts,
        }
    }
}

const EMAIL: Kind = Kind::Text {
    min: 3,
    max: Some(EMAIL_MAX),
    pattern: None,
    format: Some(KnownFormat::Email),
};
const USERNAME: Kind = Kind::Text {
    min: 5,
    max: Some(20),
    pattern: Some("^[0-9_-]*[A-Za-z][A-Za-z0-9_-]*$"),
    format: None,
};
const MOBILE: Kind = Kind::Text {
    min: 9,
    max: Some(32),
    pattern: Some("^\\+[1-9][0-9]{7,14}$"),
    format: None,
};
const NEW_PASSWORD: Kind = Kind::Text {
    min: 8,
    max: Some(1024),
    pattern: Some(NO_CONTROLS),
    format: Some(KnownFormat::Password),
};
const PASSWORD: Kind = Kind::Text {
    min: 0,
    max: None,
    pattern: Some(NO_CONTROLS),
    format: Some(KnownFormat::Password),
};
const ACCOUNT: Kind = Kind::Text {
    min: 0,
    max: None,
    pattern: Some(NO_CONTROLS),
    format: None,
};

/// A person who registers.
struct Registration {
    email: Email,
    name: Name,
    username: Option<Username>,
    mobile: Option<Mobile>,
    password: Password,
}

impl Document for Registration {
    const NAME: &'static str = "Registration";
    const IS_COSTLY: bool = true;
    const FIELDS: &'static [Field] = &[
        Field {
            name: "email",
            required: true,
            kind: EMAIL,
            description: "Unique.",
            example: "ann@example.org",
        },
        Field {
            name: "name",
            required: true,
            kind: Kind::Text {
                min: 1,
                max: Some(NAME_MAX),
                pattern: Some(VISIBLE),
                format: None,
            },
            description: "Shown with every post; trimmed.",
            example: "Ann Smith",
        },
        Field {
            name: "password",
            required: true,
            kind: NEW_PASSWORD,
            description: "8 to 1024 bytes; not all digits, not a common one, not close to the other fields.",
            example: "correct horse battery staple",
        },
        Field {
            name: "username",
            required: false,
            kind: USERNAME,
            description: "Unique.",
            example: "ann-smith",
        },
        Field {
            name: "mobile",
            required: false,
            kind: MOBILE,
            description: "Unique.",
            example: "+31612345678",
        },
    ];

    fn read(input: &mut Input, _: &App) -> Option<Self> {
        // What the password is compared with, even where it does not fit its own
        // field, so that all faults are told at once.
        let own: Vec<String> = ["email", "name", "username"]
            .iter()
            .filter_map(|name| input.peek(name))
            .collect();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let email = input.parse("email", Email::parse);
        let name = input.parse("name", Name::parse);
        let username = input.parse("username", Username::parse);
        let mobile = input.parse("mobile", Mobile::parse);
        let password = input.parse("password", |text| Password::choose(text, &own));
        Some(Self {
            email: email?,
            name: name?,
            username,
            mobile,
            password: password?,
        })
    }
}

/// Somebody who logs in.
struct Login {
    account: Account,
    password: Password,
}

/// The field `account`, and the names that it may have instead.
const ACCOUNT_NAMES: [&str; 4] = ["account", "email", "username", "mobile"];

impl Document for Login {
    const NAME: &'static str = "Login";
    const FIELDS: &'static [Field] = &[
        Field {
            name: "account",
            required: false,
            kind: ACCOUNT,
            description: "E-mail address, username or mobile number.",
            example: "ann@example.org",
        },
        Field {
            name: "email",
            required: false,
            kind: ACCOUNT,
            description: "The same as account.",
            example: "ann@example.org",
        },
        Field {
            name: "username",
            required: false,
            kind: ACCOUNT,
            description: "The same as account.",
            example: "ann-smith",
        },
        Field {
            name: "mobile",
            required: false,
            kind: ACCOUNT,
            description: "The same as account.",
            example: "+31612345678",
        },
        Field {
            name: "password",
            required: true,
            kind: PASSWORD,
            description: "The account's password.",
            example: "correct horse battery staple",
        },
    ];

    fn read(input: &mut Input, _: &App) -> Option<Self> {
        let password = input.parse("password", |text| Ok(Password::attempt(text)));
        let given: Vec<&'static str> = ACCOUNT_NAMES
            .into_iter()
            .filter(|name| input.has(name))
            .collect();
        let account = match given.as_slice() {
            [name] => input.parse(name, |text| Ok(Account::of(text))),
            [] => {
                input.fault("account", Code::FieldMissing, "is required");
                None
            }
            several => {
                for name in several {
                    input.fault(
                        name,
                        Code::FieldConflict,
                        "give one of account, email, username, mobile",
                    );
                }
                None
            }
        };
        Some(Self {
            account: account?,
            password: password?,
        })
    }

    /// One object for each of the four names: exactly one of them is given.
    fn schema() -> Schema {
        let mut one_name = OneOfBuilder::new();
        for name in ACCOUNT_NAMES {
            let mut object = ObjectBuilder::new()
                .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
            for field in Self::FIELDS.iter().filter(|f| f.required || f.name == name) {
                object = object
                    .property(field.name, field.schema(true))
                    .required(field.name);
            }
            one_name = one_name.item(object);
        }
        Schema::OneOf(one_name.build())
    }
}

async fn register(app: Data<App>, body: Body<Registration>) -> Result<HttpResponse, Error> {
    let Registration {
        email,
        name,
        username,
        mobile,
        password,
    } = body.0;
    let new = NewUser {
        email,
        name,
        username,
        mobile,
        password: app.hasher.hash(password).await?,
        now: app.clock.now(),
    };
    let user = app
        .db
        .write(move |conn| users::insert_user(conn, &new))
        .await
        .map_err(taken)?;
    let location = format!("/user/{}", user.user_id);
    let answer = token_answer(&app, user)?;
    let body = serde_json::to_vec(&answer).map_err(Error::internal)?;
    Ok(reply::builder(StatusCode::CREATED, Keep::Never)
        .insert_header((header::LOCATION, location))
        .body(body))
}

/// The refusal for the unique index that an insert ran into.
fn taken(error: DbError) -> Error {
    let DbError::Unique(message) = error else {
        return error.into();
    };
    match dialect::unique_index(&message, &users::UNIQUE) {
        Some("user_email_key") => Error::new(Code::EmailTaken),
        Some("user_username_key") => Error::new(Code::UsernameTaken),
        Some("user_mobile_key") => Error::new(Code::MobileTaken),
        _ => DbError::Unique(message).into(),
    }
}

async fn login(app: Data<App>, body: Body<Login>) -> Result<HttpResponse, Error> {
    let Login { account, password } = body.0;
    let found = app
        .db
        .read(move |conn| users::find_by_account(conn, &account))
        .await?;
    let record = found.as_ref().map(|user| user.password.clone());
    let is_right = app.hasher.verify(password.clone(), record).await?;
    let user = found
        .filter(|user| is_right && user.is_active)
        .ok_or_else(|| Error::new(Code::InvalidCredentials))?;
    if needs_rehash(&user.password, app.hasher.cost()) {
        rehash(&app, &user, password).await?;
    }
    reply::json(StatusCode::OK, Keep::Never, &token_answer(&app, user)?)
}

/// Brings a record to the present cost, now that the password is at hand.
async fn rehash(app: &App, user: &User, password: Password) -> Result<(), Error> {
    let (user_id, old) = (user.user_id, user.password.clone());
    let new = app.hasher.hash(password).await?;
    app.db
        .write(move |conn| users::replace_record(conn, user_id, &old, &new))
        .await?;
    Ok(())
}

fn token_answer(app: &App, user: User) -> Result<TokenAnswer, Error> {
    Ok(TokenAnswer {
        token: app.tokens.issue(user.user_id)?,
        userinfo: user.into(),
        token_type: "Bearer",
        expires_in: app.tokens.ttl(),
    })
}

async fn own_user(caller: Caller, app: Data<App>) -> Result<HttpResponse, Error> {
    let user = app
        .db
        .read(move |conn| users::find_active(conn, caller.user_id))
        .await?
        .ok_or_else(|| Error::new(Code::InvalidToken))?;
    reply::json(
        StatusCode::OK,
        Keep::Never,
        &OwnUserAnswer {
            userinfo: user.into(),
        },
    )
}

async fn public_user(id: Id, app: Data<App>) -> Result<HttpResponse, Error> {
    let user = app
        .db
        .read(move |conn| users::find_public(conn, id.0))
        .await?
        .ok_or_else(|| Error::new(Code::UserNotFound))?;
    reply::read(&PublicUserAnswer { user: user.into() })
}

fn userinfo_example() -> serde_json::Value {
    json!({
        "user_id": 1, "name": "Ann Smith", "email": "ann@example.org", "username": "ann-smith",
        "mobile": null, "role": "user", "email_verified": false, "mobile_verified": false,
        "created": "2026-11-21T09:30:00.123456Z", "updated": "2026-11-21T09:30:00.123456Z",
    })
}

fn token_example() -> serde_json::Value {
    json!({
        "userinfo": userinfo_example(), "token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.e30.c2ln",
        "token_type": "Bearer", "expires_in": 3600,
    })
}

fn public_example() -> serde_json::Value {
    json!({ "user": {
        "user_id": 1, "name": "Ann Smith", "username": "ann-smith",
        "created": "2026-11-21T09:30:00.123456Z", "posts": 3,
    } })
}
