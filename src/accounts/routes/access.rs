//! Coming and going: registration, login, refresh, logout.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::access_bodies::{Login, Logout, Refresh, Registration};
use super::views::{TokenAnswer, token_example};
use super::{TAG, cookie, taken};
use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::events::SessionEnded;
use crate::accounts::extract::MaybeCaller;
use crate::accounts::letters::{self, Notice};
use crate::accounts::password::{Password, needs_rehash};
use crate::accounts::refresh::{RefreshToken, new_nonce};
use crate::accounts::storage::audit::{self, Action, Entry};
use crate::accounts::storage::sessions::{self, Opened, Refreshed};
use crate::accounts::storage::users::{self, NewUser, User};
use crate::core::rate_limits::{RateLimited, Standing};
use crate::core::settings::Settings;
use crate::error::{Code, Error, FieldError};
use crate::http::body::Body;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::rate_limit::{self, Admitted};
use crate::http::response::{self, Keep};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

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
                .answers::<TokenAnswer>(StatusCode::OK, token_example())
                .refuses(&[Code::InvalidCredentials, Code::Overloaded]),
            login,
        ),
        Endpoint::new("/user/refresh").post(
            Operation::new("refresh", TAG, "A new pair of tokens")
                .description(
                    "Each refresh token is taken once; within ten seconds the same one gets the \
                     same successor. One that comes back later ends its session.",
                )
                .database()
                .answers::<TokenAnswer>(StatusCode::OK, token_example())
                .refuses(&[Code::InvalidToken, Code::OriginRefused]),
            refresh,
        ),
        Endpoint::new("/user/logout").post(
            Operation::new("logout", TAG, "The session has ended")
                .description("By the token, or by the cookie with the refresh token.")
                .database()
                .answers_nothing()
                .refuses(&[Code::OriginRefused]),
            logout,
        ),
    ]
}

async fn register(
    _: Admitted<rate_limit::Registration>,
    body: Body<Registration>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let Registration {
        email,
        name,
        username,
        mobile,
        password,
    } = body.0;
    let (now, lifetimes) = (app.clock.now(), app.lifetimes);
    let new = NewUser {
        email,
        name,
        username,
        mobile,
        password: app.hasher.hash(password).await?,
        now,
    };
    let nonce = new_nonce().map_err(Error::internal)?;
    let shared = app.clone();
    let (user, opened) = app
        .db
        .write(move |conn| {
            let user = users::insert_user(conn, &new)?;
            let keys = &shared.refresh_keys;
            let times = (now, lifetimes);
            let opened = sessions::open(conn, keys, user.user_id, false, &nonce, &client, times)?;
            let entry = Entry::by_user(Action::Registered, user.user_id);
            audit::insert(conn, entry, &client, now)?;
            Ok((user, opened))
        })
        .await
        .map_err(taken)?;
    let location = format!("/user/{}", user.user_id);
    let mut answer = token_answer(&app, StatusCode::CREATED, user, opened, false)?;
    let location = header::HeaderValue::try_from(location).map_err(Error::internal)?;
    answer.headers_mut().insert(header::LOCATION, location);
    Ok(answer)
}

async fn login(
    from: Admitted<rate_limit::Login>,
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
    let standing = app.limits.check_account(&account, from.address).await;
    if let Standing::Exhausted(exhausted) = standing {
        let (named, ip, now) = (account.clone(), client.ip.clone(), app.clock.now());
        // Asked for accounts that do not exist as well: the refusal tells nothing.
        let is_owner_here = app
            .db
            .read(move |conn| sessions::is_live_at(conn, &named, &ip, now))
            .await?;
        if !is_owner_here {
            return Err(RateLimited::from(exhausted).into());
        }
        app.limits.excuse(&exhausted).await;
    }
    let named = account.clone();
    let found = app
        .db
        .read(move |conn| users::find_by_account(conn, &named))
        .await?;
    let record = found.as_ref().map(|user| user.password.clone());
    let is_right = app.hasher.verify(password.clone(), record).await?;
    let found_id = found.as_ref().map(|user| user.user_id);
    let opened = match found.filter(|user| is_right && user.is_active) {
        Some(mut user) => {
            if needs_rehash(&user.password, app.hasher.cost()) {
                user.password = rehash(&app, &user, password).await?;
            }
            open(&app, user, remembered, client.clone()).await?
        }
        None => None,
    };
    let Some((user, opened)) = opened else {
        let now = app.clock.now();
        let entry = Entry {
            action: Action::LoginRefused,
            user_id: found_id,
            actor_id: None,
            detail: "",
        };
        app.db
            .write(move |conn| audit::insert(conn, entry, &client, now))
            .await?;
        return Err(Error::new(Code::InvalidCredentials));
    };
    app.limits.succeeded(&account).await;
    token_answer(&app, StatusCode::OK, user, opened, cookie)
}

/// Opens a session for a user whose password was right; `None` when the password
/// or the user's being active has changed meanwhile.
async fn open(
    app: &Data<Accounts>,
    user: User,
    remembered: bool,
    client: ClientInfo,
) -> Result<Option<(User, Opened)>, Error> {
    let (now, lifetimes) = (app.clock.now(), app.lifetimes);
    let nonce = new_nonce().map_err(Error::internal)?;
    let shared = app.clone();
    let opened = app
        .db
        .write(move |conn| {
            if !users::hold(conn, user.user_id, &user.password)? {
                return Ok(None);
            }
            let keys = &shared.refresh_keys;
            let times = (now, lifetimes);
            let opened =
                sessions::open(conn, keys, user.user_id, remembered, &nonce, &client, times)?;
            let entry = Entry::by_user(Action::LoggedIn, user.user_id);
            audit::insert(conn, entry, &client, now)?;
            Ok(Some((user.clone(), opened)))
        })
        .await?;
    Ok(opened)
}

/// Brings a record to the present cost, now that the password is at hand; gives the
/// new one.
async fn rehash(app: &Accounts, user: &User, password: Password) -> Result<String, Error> {
    let (user_id, old) = (user.user_id, user.password.clone());
    let new = app.hasher.hash(password).await?;
    let record = new.clone();
    app.db
        .write(move |conn| users::replace_record(conn, user_id, &old, &new))
        .await?;
    Ok(record)
}

async fn refresh(
    _: Admitted<rate_limit::Refresh>,
    body: Body<Refresh>,
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
            None => {
                let detail = "is required where there is no cookie";
                let fault = FieldError::new("refresh_token", Code::FieldMissing, detail);
                return Err(Error::fields(vec![fault]));
            }
        },
    };
    let (now, lifetimes) = (app.clock.now(), app.lifetimes);
    let shared = app.clone();
    let outcome = app
        .db
        .write(move |conn| {
            let keys = &shared.refresh_keys;
            let outcome = sessions::refresh(conn, keys, &token, &client, (now, lifetimes))?;
            if let Refreshed::Reused { user_id, email, .. } = &outcome {
                let entry = Entry::by_user(Action::RefreshReused, *user_id);
                audit::insert(conn, entry, &client, now)?;
                let whom = (*user_id, email.as_str());
                letters::enqueue_notice(conn, Notice::SessionEnded, whom, language, now)?;
            }
            Ok(outcome)
        })
        .await?;
    match outcome {
        Refreshed::Opened(user, opened) => {
            token_answer(&app, StatusCode::OK, *user, opened, by_cookie)
        }
        Refreshed::Unknown => Err(Error::new(Code::InvalidToken)),
        Refreshed::Reused {
            user_id,
            session_id,
            ..
        } => {
            app.bus.publish(&SessionEnded::one(user_id, session_id));
            app.bus.publish(&JobWritten {});
            Err(Error::new(Code::InvalidToken))
        }
    }
}

async fn logout(
    MaybeCaller(caller): MaybeCaller,
    body: Body<Logout>,
    req: HttpRequest,
    settings: Data<Settings>,
    app: Data<Accounts>,
    client: ClientInfo,
) -> Result<HttpResponse, Error> {
    let everywhere = body.0.everywhere;
    let cookie_token = match &caller {
        Some(_) => None,
        None => cookie::token(&req, &settings)?,
    };
    if caller.is_none() && cookie_token.is_none() {
        return Err(Error::new(Code::TokenMissing));
    }
    let (now, shared) = (app.clock.now(), app.clone());
    let ended = app
        .db
        .write(move |conn| {
            let owner = match (&caller, &cookie_token) {
                (Some(caller), _) => Some((caller.user_id, caller.session_id)),
                (None, Some(text)) => match RefreshToken::parse(text) {
                    Some(token) => sessions::find_genuine(conn, &shared.refresh_keys, &token, now)?,
                    None => None,
                },
                (None, None) => None,
            };
            let Some((user_id, session_id)) = owner else {
                return Ok(None);
            };
            let action = if everywhere {
                sessions::end_all(conn, user_id, None, now)?;
                Action::LoggedOutEverywhere
            } else {
                sessions::end(conn, user_id, session_id, now)?;
                Action::LoggedOut
            };
            audit::insert(conn, Entry::by_user(action, user_id), &client, now)?;
            Ok(Some((user_id, session_id)))
        })
        .await?;
    let (user_id, session_id) = ended.ok_or_else(|| Error::new(Code::InvalidToken))?;
    app.bus.publish(&SessionEnded {
        user_id,
        session_id: (!everywhere).then_some(session_id),
    });
    Ok(HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(cookie::without())
        .finish())
}

/// The answer with a session's tokens; with `by_cookie` the refresh token goes into
/// the cookie only.
fn token_answer(
    app: &Accounts,
    status: StatusCode,
    user: User,
    opened: Opened,
    by_cookie: bool,
) -> Result<HttpResponse, Error> {
    let remaining = (opened.expires - app.clock.now()).num_seconds().max(0);
    let answer = TokenAnswer {
        token: app.tokens.issue(user.user_id, opened.session_id)?,
        userinfo: user.into(),
        token_type: "Bearer",
        expires_in: app.tokens.ttl(),
        refresh_token: (!by_cookie).then(|| opened.refresh_token.clone()),
        refresh_expires_in: remaining,
    };
    let body = serde_json::to_vec(&answer).map_err(Error::internal)?;
    let mut response = response::builder(status, Keep::Never);
    if by_cookie {
        let max_age = opened.remembered.then_some(remaining);
        response.cookie(cookie::with(opened.refresh_token, max_age));
    }
    Ok(response.body(body))
}
