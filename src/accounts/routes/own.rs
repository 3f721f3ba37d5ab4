//! What users do with their own account.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use serde_json::json;

use super::admin::remove;
use super::export::{self, ExportAnswer};
use super::fields::{EMAIL, MOBILE, NAME, NEW_PASSWORD, PASSWORD, USERNAME};
use super::views::{
    OwnUserAnswer, PublicUserAnswer, SessionView, SessionsAnswer, public_example, session_example,
    userinfo_example,
};
use super::{TAG, taken};
use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::extract::Caller;
use crate::accounts::letters;
use crate::accounts::password::Password;
use crate::accounts::storage::audit::{self, Action, Entry};
use crate::accounts::storage::sessions;
use crate::accounts::storage::users::{self, ProfileChange, User};
use crate::accounts::types::{Email, Mobile, Name, Username};
use crate::core::db::{Conn, dialect};
use crate::core::settings::Settings;
use crate::error::{Code, Error, FieldError};
use crate::http::body::{Body, Change, Document, Fault, Field, Input};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::path::Id;
use crate::http::response::{self, Keep};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let own = |id, summary| Operation::new(id, TAG, summary).token().database();
    vec![
        Endpoint::new("/user/me")
            .get(
                own("getOwnUser", "The caller's own view").answers::<OwnUserAnswer>(
                    StatusCode::OK,
                    json!({ "userinfo": userinfo_example() }),
                ),
                read,
            )
            .patch(
                own("changeOwnUser", "The caller's own view as it is now")
                    .description(
                        "Fields that are absent stay; null takes `username` or `mobile` away. A new \
                         e-mail address or mobile number needs `current_password` and is not verified.",
                    )
                    .answers::<OwnUserAnswer>(
                        StatusCode::OK,
                        json!({ "userinfo": userinfo_example() }),
                    )
                    .refuses(&[
                        Code::WrongPassword,
                        Code::EmailTaken,
                        Code::UsernameTaken,
                        Code::MobileTaken,
                        Code::Overloaded,
                    ]),
                change,
            )
            .delete(
                own("deleteOwnUser", "The user, their posts and sessions are gone")
                    .answers_nothing()
                    .refuses(&[Code::WrongPassword, Code::LastAdmin, Code::Overloaded]),
                delete,
            ),
        Endpoint::new("/user/me/password").put(
            own("changePassword", "The password is changed")
                .description("Every other session ends.")
                .answers_nothing()
                .refuses(&[Code::WrongPassword, Code::Overloaded]),
            change_password,
        ),
        Endpoint::new("/user/me/sessions")
            .get(
                own("listSessions", "The caller's live sessions").answers::<SessionsAnswer>(
                    StatusCode::OK,
                    json!({ "sessions": [session_example()] }),
                ),
                list_sessions,
            )
            .delete(
                own("endOtherSessions", "Every other session has ended").answers_nothing(),
                end_other_sessions,
            ),
        Endpoint::new("/user/me/sessions/{id}").delete(
            own("endSession", "The session has ended")
                .answers_nothing()
                .refuses(&[Code::SessionNotFound]),
            end_session,
        ),
        Endpoint::new("/user/me/export").get(
            own("exportOwnUser", "Everything stored about the caller")
                .answers::<ExportAnswer>(StatusCode::OK, export::example())
                .header("Content-Disposition", "A file name."),
            export::export,
        ),
    ]
}

/// The public view of a user, for `/user/{id}`.
pub fn public_operation() -> Operation {
    Operation::new("getUser", TAG, "What anyone may know of a user")
        .database()
        .answers::<PublicUserAnswer>(StatusCode::OK, public_example())
        .revalidates()
        .refuses(&[Code::UserNotFound])
}

/// What the caller changes of their profile.
struct ProfilePatch {
    change: ProfileChange,
    current_password: Option<Password>,
}

const CURRENT_PASSWORD: Field = Field {
    name: "current_password",
    required: true,
    kind: PASSWORD,
    description: "The password as it is.",
    example: "correct horse battery staple",
};

impl Document for ProfilePatch {
    const NAME: &'static str = "ProfilePatch";
    const FIELDS: &'static [Field] = &[
        Field {
            name: "name",
            required: false,
            kind: NAME,
            description: "Shown with every post; trimmed.",
            example: "Ann Smith",
        },
        Field {
            name: "email",
            required: false,
            kind: EMAIL,
            description: "Unique.",
            example: "ann@example.org",
        },
        Field {
            name: "username",
            required: false,
            kind: USERNAME,
            description: "Unique; null takes it away.",
            example: "ann-smith",
        },
        Field {
            name: "mobile",
            required: false,
            kind: MOBILE,
            description: "Unique; null takes it away.",
            example: "+31612345678",
        },
        Field {
            required: false,
            ..CURRENT_PASSWORD
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let name = needed(input, "name", Name::parse);
        let email = needed(input, "email", Email::parse);
        Some(Self {
            change: ProfileChange {
                name,
                email,
                username: input.change("username", Username::parse),
                mobile: input.change("mobile", Mobile::parse),
            },
            current_password: input.parse("current_password", |text| Ok(Password::attempt(text))),
        })
    }
}

/// A field that may be left as it is, but not cleared.
pub fn needed<T>(
    input: &mut Input,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Option<T> {
    match input.change(name, parse) {
        Change::Set(value) => Some(value),
        Change::Keep => None,
        Change::Clear => {
            input.fault(name, Code::FieldNotClearable, "cannot be null");
            None
        }
    }
}

/// A new password, with the old one.
struct NewPassword {
    current: Password,
    /// Judged when the user's own data are known.
    new: String,
}

impl Document for NewPassword {
    const NAME: &'static str = "NewPassword";
    const FIELDS: &'static [Field] = &[
        CURRENT_PASSWORD,
        Field {
            name: "new_password",
            required: true,
            kind: NEW_PASSWORD,
            description: "8 to 1024 bytes; not all digits, not a common one, not close to your own data.",
            example: "another horse, another staple",
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let current = input.parse("current_password", |text| Ok(Password::attempt(text)));
        let new = input.text("new_password", &[]);
        Some(Self {
            current: current?,
            new: new?,
        })
    }
}

/// The password, for what cannot be taken back.
struct Confirmation {
    current: Password,
}

impl Document for Confirmation {
    const NAME: &'static str = "Confirmation";
    const FIELDS: &'static [Field] = &[CURRENT_PASSWORD];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let current = input.parse("current_password", |text| Ok(Password::attempt(text)));
        Some(Self { current: current? })
    }
}

async fn read(caller: Caller, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let user = load(&app, caller).await?;
    own_view(user)
}

fn own_view(user: User) -> Result<HttpResponse, Error> {
    let answer = OwnUserAnswer {
        userinfo: user.into(),
    };
    response::json(StatusCode::OK, Keep::Never, &answer)
}

/// The caller's row; a token whose user is gone is none.
pub async fn load(app: &Accounts, caller: Caller) -> Result<User, Error> {
    app.db
        .read(move |conn| users::find_active(conn, caller.user_id))
        .await?
        .ok_or_else(|| Error::new(Code::InvalidToken))
}

async fn change(
    caller: Caller,
    body: Body<ProfilePatch>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let ProfilePatch {
        change,
        current_password,
    } = body.0;
    let user = load(&app, caller).await?;
    let is_new_email = change
        .email
        .as_ref()
        .is_some_and(|email| email.text != user.email);
    let is_new_mobile = match &change.mobile {
        Change::Keep => false,
        Change::Clear => user.mobile.is_some(),
        Change::Set(mobile) => user.mobile.as_deref() != Some(mobile.text.as_str()),
    };
    if is_new_email || is_new_mobile {
        let Some(password) = current_password else {
            let detail = "is required for a new e-mail address or mobile number";
            let fault = FieldError::new("current_password", Code::FieldMissing, detail);
            return Err(Error::fields(vec![fault]));
        };
        check_password(&app, &user, password, &client).await?;
    }
    let now = app.clock.now();
    let is_shown = change.name.is_some();
    let work = move |conn: &mut Conn| {
        // Of two changes at once the second begins with what the first left.
        dialect::lock_user(conn, caller.user_id)?;
        let before = users::find_user(conn, caller.user_id)?;
        let after = users::change_profile(conn, caller.user_id, &change, now)?;
        if let (Some(before), Some(after)) = (&before, &after) {
            letters::profile_changed(conn, (before, after), language, now)?;
            if before.name != after.name {
                sessions::announce(conn, caller.user_id, None, now)?;
            }
        }
        let entry = Entry::by_user(Action::ProfileChanged, caller.user_id);
        audit::insert(conn, entry, &client, now)?;
        Ok(after)
    };
    let done = if is_shown {
        app.write_shown(work, |user| user.as_ref().map(User::renamed))
            .await
    } else {
        app.db.write(work).await
    };
    let user = done
        .map_err(taken)?
        .ok_or_else(|| Error::new(Code::InvalidToken))?;
    app.bus.publish(&JobWritten {});
    own_view(user)
}

/// Refuses with 403 when `password` is not the user's, and leaves a trace of it.
async fn check_password(
    app: &Accounts,
    user: &User,
    password: Password,
    client: &ClientInfo,
) -> Result<(), Error> {
    let record = Some(user.password.clone());
    if app.hasher.verify(password, record).await? {
        return Ok(());
    }
    let (now, client) = (app.clock.now(), client.clone());
    let entry = Entry::by_user(Action::PasswordRefused, user.user_id);
    app.db
        .write(move |conn| audit::insert(conn, entry, &client, now))
        .await?;
    Err(Error::new(Code::WrongPassword))
}

async fn change_password(
    caller: Caller,
    body: Body<NewPassword>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let NewPassword { current, new } = body.0;
    let user = load(&app, caller).await?;
    check_password(&app, &user, current, &client).await?;
    let (email, name) = (user.email.clone(), user.name.clone());
    let username = user.username.clone().unwrap_or_default();
    let new = app
        .hasher
        .run(move || Password::choose(&new, &[&email, &name, &username]))
        .await?
        .map_err(|Fault(code, detail)| {
            Error::fields(vec![FieldError::new("new_password", code, detail)])
        })?;
    let record = app.hasher.hash(new).await?;
    let now = app.clock.now();
    let is_done = app
        .db
        .write(move |conn| {
            // Of two who change it at once one was not told the password as it is.
            if !users::hold(conn, user.user_id, &user.password)? {
                return Ok(false);
            }
            users::set_record(conn, user.user_id, &record, now)?;
            let entry = Entry::by_user(Action::PasswordChanged, user.user_id);
            audit::insert(conn, entry, &client, now)?;
            letters::password_changed(conn, &user, language, now)?;
            sessions::end_all(conn, user.user_id, Some(caller.session_id), now)?;
            Ok(true)
        })
        .await?;
    if !is_done {
        return Err(Error::new(Code::WrongPassword));
    }
    app.bus.publish(&SessionEnded::all_of(caller.user_id));
    app.bus.publish(&JobWritten {});
    Ok(nothing())
}

/// 204 for what is nobody else's business.
pub fn nothing() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

async fn delete(
    caller: Caller,
    body: Body<Confirmation>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let user = load(&app, caller).await?;
    check_password(&app, &user, body.0.current, &client).await?;
    let now = app.clock.now();
    let id = caller.user_id;
    let refused = app
        .write_shown(move |conn| remove(conn, id, id, &client, now), |_| None)
        .await?;
    match refused {
        None => {}
        // Deleted by another request of theirs, or by an admin, a moment ago.
        Some(Code::UserNotFound) => return Err(Error::new(Code::InvalidToken)),
        Some(code) => return Err(Error::new(code)),
    }
    app.bus.publish(&SessionEnded::all_of(caller.user_id));
    Ok(nothing())
}

async fn list_sessions(caller: Caller, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let now = app.clock.now();
    let live = app
        .db
        .read(move |conn| sessions::load_live(conn, caller.user_id, now))
        .await?;
    let answer = SessionsAnswer {
        sessions: live
            .into_iter()
            .map(|session| SessionView::new(session, caller.session_id))
            .collect(),
    };
    response::json(StatusCode::OK, Keep::Never, &answer)
}

async fn end_session(
    caller: Caller,
    id: Id,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let now = app.clock.now();
    let is_done = app
        .db
        .write(move |conn| {
            let is_done = sessions::end(conn, caller.user_id, id.0, now)?;
            if is_done {
                let entry = Entry::by_user(Action::SessionEnded, caller.user_id);
                audit::insert(conn, entry, &client, now)?;
            }
            Ok(is_done)
        })
        .await?;
    if !is_done {
        return Err(Error::new(Code::SessionNotFound));
    }
    app.bus.publish(&SessionEnded::one(caller.user_id, id.0));
    Ok(nothing())
}

async fn end_other_sessions(
    caller: Caller,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            let entry = Entry::by_user(Action::SessionEnded, caller.user_id);
            audit::insert(conn, entry, &client, now)?;
            sessions::end_all(conn, caller.user_id, Some(caller.session_id), now)
        })
        .await?;
    app.bus.publish(&SessionEnded::all_of(caller.user_id));
    Ok(nothing())
}

/// `GET /user/{id}`.
pub async fn read_public(id: Id, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let user = app
        .db
        .read(move |conn| users::find_public(conn, id.0))
        .await?
        .ok_or_else(|| Error::new(Code::UserNotFound))?;
    response::read(&PublicUserAnswer { user: user.into() })
}
