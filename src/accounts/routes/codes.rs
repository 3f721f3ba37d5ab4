//! Codes over HTTP: verifying an address or number, recovering a lost password.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde_json::json;

use super::TAG;
use super::code_bodies::{Forgotten, PasswordReset, Verification, VerificationOrder};
use super::own;
use super::views::{Accepted, AcceptedAnswer, OwnUserAnswer, accepted_example, userinfo_example};
use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::extract::Caller;
use crate::accounts::letters::{self, Channel};
use crate::accounts::password::Password;
use crate::accounts::refresh::new_nonce;
use crate::accounts::storage::audit::{self, Action, Entry};
use crate::accounts::storage::codes::{self, Ordered, Purpose};
use crate::accounts::storage::sessions;
use crate::accounts::storage::users::{self, User};
use crate::accounts::types::Account;
use crate::core::rate_limits::{RateLimited, Standing};
use crate::error::{Code, Error, FieldError};
use crate::http::body::{Body, Fault};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::rate_limit::{Admitted, UseOfCode};
use crate::http::response::{self, Keep};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let operation = |id, summary| Operation::new(id, TAG, summary).database();
    vec![
        Endpoint::new("/user/me/verify/send").post(
            operation("sendVerification", "A code is on its way")
                .description(
                    "Six digits by mail or SMS, in the language of `Accept-Language` (English or \
                     Chinese). They can be used for ten minutes, tried five times and replace those \
                     that were sent before; an account gets one a minute.",
                )
                .answers::<AcceptedAnswer>(StatusCode::ACCEPTED, accepted_example())
                .refuses(&[Code::AlreadyVerified, Code::NoMobile]),
            send,
        ),
        Endpoint::new("/user/me/verify").post(
            operation("verify", "The address or number is verified")
                .answers::<OwnUserAnswer>(StatusCode::OK, {
                    let mut user = userinfo_example();
                    user["email_verified"] = json!(true);
                    json!({ "userinfo": user })
                })
                .refuses(&[Code::WrongCode]),
            verify,
        ),
        Endpoint::new("/user/password/forgot").post(
            operation("forgotPassword", "A code is on its way, if there is such an account")
                .description(
                    "The answer is the same for accounts that do not exist. The code is sent by SMS \
                     when the account is named by its mobile number, and by mail otherwise.",
                )
                .answers::<AcceptedAnswer>(StatusCode::ACCEPTED, accepted_example()),
            forgot,
        ),
        Endpoint::new("/user/password/reset").post(
            operation("resetPassword", "The password is changed")
                .description(
                    "All sessions of the account end; log in with the new password. Every code that \
                     does not fit is refused alike, whether the account exists or not.",
                )
                .answers_nothing()
                .refuses(&[Code::WrongCode, Code::Overloaded]),
            reset,
        ),
    ]
}

/// 202: what comes of it comes by mail or SMS.
fn accepted() -> Result<HttpResponse, Error> {
    let answer = AcceptedAnswer {
        status: Accepted::Accepted,
    };
    response::json(StatusCode::ACCEPTED, Keep::Never, &answer)
}

fn purpose_of(channel: Channel) -> Purpose {
    match channel {
        Channel::Email => Purpose::VerifyEmail,
        Channel::Mobile => Purpose::VerifyMobile,
    }
}

async fn send(
    _: Admitted<UseOfCode>,
    caller: Caller,
    body: Body<VerificationOrder>,
    language: Language,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let (channel, now) = (body.0.channel, app.clock.now());
    let nonce = new_nonce().map_err(Error::internal)?;
    let shared = app.clone();
    let ordered = app
        .db
        .write(move |conn| {
            let Some(user) = users::find_active(conn, caller.user_id)? else {
                return Ok(Err(Code::InvalidToken));
            };
            let is_verified = match channel {
                Channel::Email => user.email_verified,
                Channel::Mobile if user.mobile.is_none() => return Ok(Err(Code::NoMobile)),
                Channel::Mobile => user.mobile_verified,
            };
            if is_verified {
                return Ok(Err(Code::AlreadyVerified));
            }
            let what = (&user, purpose_of(channel), channel);
            letters::order_code(conn, &shared.code_keys, what, language, &nonce, now).map(Ok)
        })
        .await?
        .map_err(Error::new)?;
    match ordered {
        Ordered::Made(_) => {
            app.bus.publish(&JobWritten {});
            accepted()
        }
        Ordered::TooSoon { wait, .. } => Err(Error {
            retry_after: wait.to_std().ok(),
            ..Error::with_detail(Code::RateLimited, "An account gets one code a minute.")
        }),
    }
}

async fn verify(
    _: Admitted<UseOfCode>,
    caller: Caller,
    body: Body<Verification>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let Verification { channel, code } = body.0;
    let (now, shared) = (app.clock.now(), app.clone());
    let verified = app
        .db
        .write(move |conn| {
            let purpose = purpose_of(channel);
            let whose = (caller.user_id, purpose);
            let tried = codes::try_code(conn, &shared.code_keys, whose, &code, now)?;
            let mut user = None;
            if let Some(row) = tried
                && codes::use_up(conn, row.code_id, now)?
            {
                let what = (purpose, row.target.as_str());
                user = users::set_verified(conn, caller.user_id, what, now)?;
            }
            let action = match (&user, channel) {
                (None, _) => Action::CodeRefused,
                (Some(_), Channel::Email) => Action::EmailVerified,
                (Some(_), Channel::Mobile) => Action::MobileVerified,
            };
            audit::insert(conn, Entry::by_user(action, caller.user_id), &client, now)?;
            Ok(user)
        })
        .await?;
    let answer = OwnUserAnswer {
        userinfo: verified.ok_or_else(|| Error::new(Code::WrongCode))?.into(),
    };
    response::json(StatusCode::OK, Keep::Never, &answer)
}

/// Looks nobody up: a job does, so that there is nothing to see or to time here.
async fn forgot(
    _: Admitted<UseOfCode>,
    body: Body<Forgotten>,
    language: Language,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let (account, now) = (body.0.account, app.clock.now());
    app.db
        .write(move |conn| letters::enqueue_recovery(conn, &account, language, now))
        .await?;
    app.bus.publish(&JobWritten {});
    accepted()
}

async fn reset(
    from: Admitted<UseOfCode>,
    body: Body<PasswordReset>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let PasswordReset {
        account,
        code,
        new_password,
    } = body.0;
    let standing = app.limits.check_account(&account, from.address).await;
    if let Standing::Exhausted(exhausted) = standing {
        return Err(RateLimited::from(exhausted).into());
    }
    let (user, code_id) = try_reset(&app, account.clone(), code, client.clone()).await?;
    let own = [
        user.email.clone(),
        user.name.clone(),
        user.username.clone().unwrap_or_default(),
    ];
    let password = app
        .hasher
        .run(move || Password::choose(&new_password, &own.each_ref().map(String::as_str)))
        .await?
        .map_err(|Fault(code, detail)| {
            Error::fields(vec![FieldError::new("new_password", code, detail)])
        })?;
    let record = app.hasher.hash(password).await?;
    let (user_id, now) = (user.user_id, app.clock.now());
    let is_done = app
        .db
        .write(move |conn| {
            // Of those who had the right code at once, one.
            if !codes::use_up(conn, code_id, now)? {
                return Ok(false);
            }
            users::set_record(conn, user_id, &record, now)?;
            let entry = Entry {
                action: Action::PasswordReset,
                user_id: Some(user_id),
                actor_id: None,
                detail: "",
            };
            audit::insert(conn, entry, &client, now)?;
            letters::password_changed(conn, &user, language, now)?;
            sessions::end_all(conn, user_id, None, now)?;
            Ok(true)
        })
        .await?;
    if !is_done {
        return Err(Error::new(Code::WrongCode));
    }
    app.bus.publish(&SessionEnded::all_of(user_id));
    app.bus.publish(&JobWritten {});
    app.limits.succeeded(&account).await;
    Ok(own::nothing())
}

/// Whose the code is, and its id, if it is right. The same work for every refusal, and
/// the same row of the audit.
async fn try_reset(
    app: &Data<Accounts>,
    account: Account,
    code: String,
    client: ClientInfo,
) -> Result<(User, i64), Error> {
    let (now, shared) = (app.clock.now(), app.clone());
    let found = app
        .db
        .write(move |conn| {
            let found = users::find_by_account(conn, &account)?;
            let found_id = found.as_ref().map(|user| user.user_id);
            let whose = (found_id.unwrap_or(0), Purpose::ResetPassword);
            let tried = codes::try_code(conn, &shared.code_keys, whose, &code, now)?;
            let owner = found.filter(|user| user.is_active);
            if let (Some(user), Some(row)) = (owner, tried) {
                return Ok(Some((user, row.code_id)));
            }
            let entry = Entry {
                action: Action::CodeRefused,
                user_id: found_id,
                actor_id: None,
                detail: "",
            };
            audit::insert(conn, entry, &client, now)?;
            Ok(None)
        })
        .await?;
    found.ok_or_else(|| Error::new(Code::WrongCode))
}
