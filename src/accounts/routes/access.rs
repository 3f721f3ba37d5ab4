//! Authentication over HTTP: registration, login, refresh, logout.

use std::future::ready;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::access_bodies::{Login, Logout, RefreshRequest, Registration};
use super::cookie::{self, RefreshCookie};
use super::respond::{TAG, taken};
use super::views::{TokenAnswer, token_example};
use crate::accounts::Accounts;
use crate::accounts::actions::{self, LogIn, LoggedIn, Refresh, Registered, WhoLogsOut};
use crate::accounts::client_info::ClientInfo;
use crate::accounts::extract::TokenSubject;
use crate::accounts::limits;
use crate::core::settings::{Registration as Registering, Settings};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::handler::{self, Extract};
use crate::http::rate_limit::RateLimited;
use crate::http::response::{self, CacheControl};
use crate::notify::Language;

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/user/reg").post(
            Operation::new("register", TAG, "Register", "The new user, logged in")
                .description(
                    "Identifiers are unique in their canonical form: e-mail addresses trimmed, \
                     NFKC and lower-cased with the domain as IDNA makes it, usernames lower-cased, mobile \
                     numbers in E.164.",
                )
                .database()
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
            Operation::new("login", TAG, "Log in", "The user, logged in")
                .description(
                    "An unknown account, a wrong password and a deactivated user get the same \
                     refusal in the same time.",
                )
                .database()
                .answers::<TokenAnswer>(StatusCode::OK, token_example())
                .refuses(&[Code::InvalidCredentials, Code::Overloaded]),
            login,
        ),
        Endpoint::new("/user/refresh").post(
            Operation::new("refresh", TAG, "Refresh the tokens", "A new pair of tokens")
                .description(
                    "A refresh token gets the same successor each time, until that was used itself. \
                     One that comes back later ends its session.",
                )
                .database()
                .answers::<TokenAnswer>(StatusCode::OK, token_example())
                .refuses(&[
                    Code::TokenMissing,
                    Code::InvalidToken,
                    Code::RefreshTokenUsed,
                    Code::OriginRefused,
                ]),
            refresh,
        ),
        Endpoint::new("/user/logout").post(
            Operation::new("logout", TAG, "Log out", "The session has ended")
                .description(
                    "By the token, which may have expired, by a refresh token in the body or by the \
                     cookie; each ends the session that it names. A session that is over already is \
                     no fault. The cookie is taken away.",
                )
                .database()
                .answers_nothing()
                .refuses(&[Code::OriginRefused]),
            logout,
        ),
    ]
}

/// Registration that is open. It stands first: where it is not, nothing else of the request
/// counts.
struct OpenRegistration;

impl Extract for OpenRegistration {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        let settings = handler::part::<Settings>(request);
        ready(settings.and_then(|settings| match settings.registration {
            Registering::Open => Ok(Self),
            Registering::Closed => Err(Error::new(Code::RegistrationClosed)),
        }))
    }

    fn describe(operation: Operation) -> Operation {
        operation.refuses(&[Code::RegistrationClosed])
    }
}

async fn register(
    _: OpenRegistration,
    from: RateLimited<limits::Registration>,
    body: Body<Registration>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let Registration {
        account,
        remembered,
        cookie,
    } = body.0;
    match actions::register(&app, account, remembered, (client, from.address)).await? {
        Registered::LoggedIn(logged_in) => {
            let location = format!("/user/{}", logged_in.user.user_id);
            let mut answer = token_answer(StatusCode::CREATED, *logged_in, cookie)?;
            let location =
                header::HeaderValue::try_from(location).map_err(|e| Error::internal(e))?;
            answer.headers_mut().insert(header::LOCATION, location);
            Ok(answer)
        }
        Registered::Taken(identifiers) => Err(taken(&identifiers)),
    }
}

async fn login(
    from: RateLimited<limits::Login>,
    body: Body<Login>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let Login {
        account,
        password,
        remembered,
        cookie,
    } = body.0;
    let (who, whence) = ((account, password), (client, from.address));
    match actions::log_in(&app, who, remembered, whence).await? {
        LogIn::LoggedIn(logged_in) => token_answer(StatusCode::OK, *logged_in, cookie),
        LogIn::Refused => Err(Error::new(Code::InvalidCredentials)),
        LogIn::RateLimited(limited) => Err(limited.into()),
    }
}

async fn refresh(
    _: RateLimited<limits::Refresh>,
    body: Body<RefreshRequest>,
    req: HttpRequest,
    settings: Data<Settings>,
    app: Data<Accounts>,
    client: ClientInfo,
    language: Language,
) -> Result<HttpResponse, Error> {
    let (token, by_cookie) = match body.0.refresh_token {
        Some(token) => (token, false),
        None => match cookie::token(&req, &settings)? {
            Some(token) => (token, true),
            None => return Err(Error::new(Code::TokenMissing)),
        },
    };
    match actions::refresh(&app, token, client, language).await? {
        Refresh::LoggedIn(logged_in) => token_answer(StatusCode::OK, *logged_in, by_cookie),
        Refresh::Unknown => Err(Error::new(Code::InvalidToken)),
        Refresh::Reused => Err(Error::new(Code::RefreshTokenUsed)),
    }
}

async fn logout(
    TokenSubject(subject): TokenSubject,
    RefreshCookie(cookie): RefreshCookie,
    body: Body<Logout>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let named = subject.map(WhoLogsOut::Session);
    let refresh_tokens = [body.0.refresh_token, cookie];
    let refresh_tokens = refresh_tokens.into_iter().flatten();
    let who: Vec<_> = named
        .into_iter()
        .chain(refresh_tokens.map(WhoLogsOut::RefreshToken))
        .collect();
    if !who.is_empty() {
        actions::log_out(&app, who, body.0.everywhere, client).await?;
    }
    Ok(HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(cookie::without())
        .finish())
}

/// The answer with a session's tokens; with `by_cookie` the refresh token goes into
/// the cookie only.
fn token_answer(
    status: StatusCode,
    logged_in: LoggedIn,
    by_cookie: bool,
) -> Result<HttpResponse, Error> {
    let (session, remaining) = (logged_in.session, logged_in.refresh_expires_in);
    let answer = TokenAnswer {
        userinfo: logged_in.user.into(),
        token: logged_in.access_token,
        token_type: "Bearer",
        expires_in: logged_in.expires_in,
        refresh_token: (!by_cookie).then(|| session.refresh_token.clone()),
        refresh_expires_in: remaining,
    };
    let body = serde_json::to_vec(&answer).map_err(|e| Error::internal(e))?;
    let mut response = response::builder(status, CacheControl::NoStore);
    if by_cookie {
        let max_age = session.remembered.then_some(remaining);
        response.cookie(cookie::with(session.refresh_token, max_age));
    }
    Ok(response.body(body))
}
