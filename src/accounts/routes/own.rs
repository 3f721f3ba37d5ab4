//! What users do with their own account.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde_json::json;

use super::export::{self, ExportAnswer};
use super::own_bodies::{Confirmation, NewPassword, ProfilePatch};
use super::respond::{TAG, nothing, taken, unfit};
use super::views::{OwnUserAnswer, SessionView, SessionsAnswer, session_example, userinfo_example};
use crate::accounts::Accounts;
use crate::accounts::actions::{self, OwnDeletion, PasswordChanged, ProfileChanged};
use crate::accounts::client_info::ClientInfo;
use crate::accounts::extract::Caller;
use crate::accounts::types::{Mobile, RESERVED, User};
use crate::error::{Code, Error, FieldError};
use crate::http::body::{Body, Fault};
use crate::http::client_address::ClientAddress;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::path::Id;
use crate::http::response::{self, CacheControl};
use crate::notify::Language;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let own = |id, summary, outcome| Operation::new(id, TAG, summary, outcome).token().database();
    vec![
        Endpoint::new("/user/me")
            .get(
                own("getOwnUser", "Read one's own account", "The caller's own view")
.description("With what nobody else gets to see: e-mail address, mobile number, role.").answers::<OwnUserAnswer>(
                    StatusCode::OK,
                    json!({ "userinfo": userinfo_example() }),
                ),
                read,
            )
            .patch(
                own("changeOwnUser", "Change one's own account", "The caller's own view as it is now")
                    .description(
                        "Fields that are absent stay, and so do those that are given as they are; null \
                         takes `username`, `mobile`, `bio` or `image` away. A new e-mail address or mobile number needs \
                         `current_password` and is not verified.",
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
                        Code::RateLimited,
                        Code::Overloaded,
                    ]),
                change,
            )
            .delete(
                own("deleteOwnUser", "Delete one's own account", "The user, their posts and sessions are gone")
.description("It cannot be taken back, and needs the password.")
                    .answers_nothing()
                    .refuses(&[
                        Code::WrongPassword,
                        Code::LastAdmin,
                        Code::RateLimited,
                        Code::Overloaded,
                    ]),
                delete,
            ),
        Endpoint::new("/user/me/password").put(
            own("changePassword", "Change one's password", "The password is changed")
                .description("Every other session ends.")
                .answers_nothing()
                .refuses(&[Code::WrongPassword, Code::RateLimited, Code::Overloaded]),
            change_password,
        ),
        Endpoint::new("/user/me/sessions")
            .get(
                own("listSessions", "List one's live sessions", "The caller's live sessions")
                    .description("Each login is a session. The last used first, a hundred at most.")
                    .answers::<SessionsAnswer>(
                    StatusCode::OK,
                    json!({ "sessions": [session_example()] }),
                ),
                list_sessions,
            )
            .delete(
                own("endOtherSessions", "End every other session", "Every other session has ended")
.description("Their tokens are refused from now on, and their refresh tokens are worth nothing.").answers_nothing(),
                end_other_sessions,
            ),
        Endpoint::new("/user/me/sessions/{id}").delete(
            own("endSession", "End a session", "The session has ended")
.description("One of the caller's own, this one included.")
                .answers_nothing()
                .refuses(&[Code::SessionNotFound]),
            end_session,
        ),
        Endpoint::new("/user/me/export").get(
            own("exportOwnUser", "Export everything stored about oneself", "Everything stored about the caller")
.description("Account, sessions, codes, audit, posts, comments, likes and whom one follows in one document.")
                .answers::<ExportAnswer>(StatusCode::OK, export::example())
                .header("Content-Disposition", "A file name."),
            export::export,
        ),
    ]
}

/// A token whose user is gone, or not active any more, is none.
fn gone() -> Error {
    Error::new(Code::SessionEnded)
}

async fn read(caller: Caller, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let user = actions::find_active_user(&app.directory, caller.user_id).await?;
    own_view(user.ok_or_else(gone)?)
}

fn own_view(user: User) -> Result<HttpResponse, Error> {
    let answer = OwnUserAnswer {
        userinfo: user.into(),
    };
    response::json(StatusCode::OK, CacheControl::NoStore, &answer)
}

async fn change(
    caller: Caller,
    body: Body<ProfilePatch>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
    from: ClientAddress,
) -> Result<HttpResponse, Error> {
    let what = (body.0.change, body.0.current_password);
    let (user_id, whence) = (caller.user_id, (client, from.0));
    match actions::change_profile(&app, user_id, what, whence, language).await? {
        ProfileChanged::Done(user) => own_view(*user),
        ProfileChanged::NotFound => Err(gone()),
        ProfileChanged::PasswordMissing => Err(no_password()),
        ProfileChanged::Reserved => Err(reserved()),
        ProfileChanged::NoNumber(mobile) => Err(no_number(&mobile)),
        ProfileChanged::WrongPassword => Err(Error::new(Code::WrongPassword)),
        ProfileChanged::Taken(identifiers) => Err(taken(&identifiers)),
        ProfileChanged::RateLimited(limited) => Err(limited.into()),
    }
}

fn no_password() -> Error {
    let detail = "is required for a new e-mail address or mobile number";
    let fault = FieldError::new("current_password", Code::FieldMissing, detail);
    Error::fields(vec![fault])
}

fn reserved() -> Error {
    let Fault(code, detail) = RESERVED;
    Error::fields(vec![FieldError::new("username", code, detail)])
}

fn no_number(mobile: &Mobile) -> Error {
    let faults = mobile.fault().into_iter();
    let faults = faults.map(|Fault(code, detail)| FieldError::new("mobile", code, detail));
    Error::fields(faults.collect())
}

async fn change_password(
    caller: Caller,
    body: Body<NewPassword>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
    from: ClientAddress,
) -> Result<HttpResponse, Error> {
    let who = (caller.user_id, caller.session_id);
    let passwords = (body.0.current, body.0.new);
    let whence = (client, from.0);
    match actions::change_password(&app, who, passwords, whence, language).await? {
        PasswordChanged::Done => Ok(nothing()),
        PasswordChanged::NotFound => Err(gone()),
        PasswordChanged::WrongPassword => Err(Error::new(Code::WrongPassword)),
        PasswordChanged::Unfit(fault) => Err(unfit(fault)),
        PasswordChanged::RateLimited(limited) => Err(limited.into()),
    }
}

async fn delete(
    caller: Caller,
    body: Body<Confirmation>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
    from: ClientAddress,
) -> Result<HttpResponse, Error> {
    let (user_id, password) = (caller.user_id, body.0.current);
    let whence = (client, from.0);
    match actions::delete_own_user(&app, user_id, password, whence, language).await? {
        OwnDeletion::Done => Ok(nothing()),
        // Perhaps by another request of theirs, or by an admin, a moment ago.
        OwnDeletion::NotFound => Err(gone()),
        OwnDeletion::LastAdmin => Err(Error::new(Code::LastAdmin)),
        OwnDeletion::WrongPassword => Err(Error::new(Code::WrongPassword)),
        OwnDeletion::RateLimited(limited) => Err(limited.into()),
    }
}

async fn list_sessions(caller: Caller, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let live = actions::list_sessions(&app.directory, caller.user_id).await?;
    let answer = SessionsAnswer {
        sessions: live
            .into_iter()
            .map(|session| SessionView::new(session, caller.session_id))
            .collect(),
    };
    response::json(StatusCode::OK, CacheControl::NoStore, &answer)
}

async fn end_session(
    caller: Caller,
    id: Id,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    if !actions::end_session(&app.directory, caller.user_id, id.0, client).await? {
        return Err(Error::new(Code::SessionNotFound));
    }
    Ok(nothing())
}

async fn end_other_sessions(
    caller: Caller,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let (user_id, session_id) = (caller.user_id, caller.session_id);
    actions::end_other_sessions(&app.directory, user_id, session_id, client).await?;
    Ok(nothing())
}
