//! Codes over HTTP: verifying an address or number, recovering a lost password.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use chrono::TimeDelta;
use serde_json::json;

use super::code_bodies::{Forgotten, PasswordResetRequest, Verification, VerificationOrder};
use super::respond::{TAG, nothing, unfit};
use super::views::{
    AcceptedAnswer, OwnUserAnswer, ResetOrderedAnswer, accepted_example, reset_ordered_example,
    userinfo_example,
};
use crate::accounts::Accounts;
use crate::accounts::actions::{self, CodeSent, GivenCode, PasswordReset, Verified};
use crate::accounts::client_info::ClientInfo;
use crate::accounts::extract::Caller;
use crate::accounts::limits;
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::rate_limit::RateLimited;
use crate::http::response::{self, CacheControl};
use crate::notify::Language;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let operation = |id, summary, outcome| Operation::new(id, TAG, summary, outcome).database();
    vec![
        Endpoint::new("/user/me/verify/send").post(
            operation("sendVerification", "Send a code to an address or number", "A code is on its way")
                .description(format!(
                    "Six digits by mail or SMS, in the language of `Accept-Language` ({}). They can \
                     be used for ten minutes, tried five times and replace those that were sent \
                     before; an address or a number gets one a minute, five in an hour and twenty in a \
                     day.",
                    Language::names()
                ))
                .answers::<AcceptedAnswer>(StatusCode::ACCEPTED, accepted_example())
                .refuses(&[Code::AlreadyVerified, Code::NoMobile]),
            send,
        ),
        Endpoint::new("/user/me/verify").post(
            operation("verify", "Verify an address or number by a code", "The address or number is verified")
.description("By the code that was sent to it last.")
                .answers::<OwnUserAnswer>(StatusCode::OK, {
                    let mut user = userinfo_example();
                    user["email_verified"] = json!(true);
                    json!({ "userinfo": user })
                })
                .refuses(&[Code::WrongCode, Code::CodeExpired, Code::CodeUsed]),
            verify,
        ),
        Endpoint::new("/user/password/forgot").post(
            operation("forgotPassword", "Ask for a code to choose a new password", "A code is on its way, if there is such an account")
                .description(
                    "The answer is the same for accounts that do not exist. The code is sent to what is \
                     verified: by SMS when that is the mobile number alone, or both and the account is \
                     named by the number, and by mail otherwise. An account that has nothing verified \
                     recovers by mail. Send `reset_id` along with the code: who does has five tries of \
                     their own, which nobody else can use up.",
                )
                .answers::<ResetOrderedAnswer>(StatusCode::ACCEPTED, reset_ordered_example()),
            forgot,
        ),
        Endpoint::new("/user/password/reset").post(
            operation("resetPassword", "Choose a new password by a code", "The password is changed")
                .description(
                    "All sessions of the account end; log in with the new password. The e-mail address \
                     that the code was sent to is verified by it, and a mobile number that is not is \
                     taken off the account. A code is taken without its `reset_id` too, but who tries those is limited by \
                     address and account. Every code that does not fit is refused alike, whether the \
                     account exists or not.",
                )
                .answers_nothing()
                .refuses(&[Code::WrongCode, Code::Overloaded]),
            reset,
        ),
    ]
}

/// 202: what comes of it comes by mail or SMS.
fn accepted() -> Result<HttpResponse, Error> {
    let answer = AcceptedAnswer { status: "accepted" };
    response::json(StatusCode::ACCEPTED, CacheControl::NoStore, &answer)
}

async fn send(
    _: RateLimited<limits::UseOfCode>,
    caller: Caller,
    body: Body<VerificationOrder>,
    language: Language,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    match actions::send_code(&app, caller.user_id, body.0.channel, language).await? {
        CodeSent::Done => accepted(),
        CodeSent::NotFound => Err(Error::new(Code::SessionEnded)),
        CodeSent::NoMobile => Err(Error::new(Code::NoMobile)),
        CodeSent::AlreadyVerified => Err(Error::new(Code::AlreadyVerified)),
        CodeSent::TooSoon(wait) => Err(limited(
            wait,
            "An address or a number gets one code a minute.",
        )),
        CodeSent::TooMany(wait) => Err(limited(
            wait,
            "There were too many codes: an address or a number gets five in an hour and twenty in a \
             day, and all that is sent in a day is limited.",
        )),
    }
}

fn limited(wait: TimeDelta, detail: &'static str) -> Error {
    Error {
        retry_after: wait.to_std().ok(),
        ..Error::with_detail(Code::RateLimited, detail)
    }
}

async fn verify(
    _: RateLimited<limits::UseOfCode>,
    caller: Caller,
    body: Body<Verification>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let Verification { channel, code } = body.0;
    match actions::verify(&app, caller.user_id, (channel, code), client).await? {
        Verified::Done(user) => {
            let answer = OwnUserAnswer {
                userinfo: (*user).into(),
            };
            response::json(StatusCode::OK, CacheControl::NoStore, &answer)
        }
        Verified::WrongCode => Err(Error::new(Code::WrongCode)),
        Verified::Expired => Err(Error::new(Code::CodeExpired)),
        Verified::Used => Err(Error::new(Code::CodeUsed)),
    }
}

async fn forgot(
    _: RateLimited<limits::UseOfCode>,
    body: Body<Forgotten>,
    language: Language,
    app: Data<Accounts>,
) -> Result<HttpResponse, Error> {
    let reset_id = actions::request_reset(&app.directory, body.0.account, language).await?;
    let answer = ResetOrderedAnswer {
        status: "accepted",
        reset_id,
    };
    response::json(StatusCode::ACCEPTED, CacheControl::NoStore, &answer)
}

async fn reset(
    from: RateLimited<limits::UseOfCode>,
    body: Body<PasswordResetRequest>,
    language: Language,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let PasswordResetRequest {
        account,
        code,
        reset_id,
        new_password,
    } = body.0;
    let given = GivenCode {
        account,
        code,
        reset_id,
    };
    let whence = (client, from.address);
    match actions::reset_password(&app, given, new_password, whence, language).await? {
        PasswordReset::Done => Ok(nothing()),
        PasswordReset::WrongCode => Err(Error::new(Code::WrongCode)),
        PasswordReset::Unfit(fault) => Err(unfit(fault)),
        PasswordReset::RateLimited(limited) => Err(limited.into()),
    }
}
