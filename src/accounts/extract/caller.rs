//! Authentication: who calls, and the extractors that guard routes. They stand first
//! among a handler's arguments, so that a bad token beats a bad body.

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpMessage, HttpRequest};

use crate::accounts::Accounts;
use crate::accounts::actions;
use crate::accounts::tokens::{BadToken, Subject};
use crate::accounts::types::SessionOwner;
use crate::error::{Code, Error};
use crate::http::endpoint::Operation;
use crate::http::handler::{self, Extract};
use crate::http::middleware::LoggedUser;

/// The header of the older design, with the bare token.
const JWT: &str = "jwt";

/// Who calls, by a token that verified and a session that is live.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub user_id: i64,
    pub session_id: i64,
    pub is_admin: bool,
}

impl Extract for Caller {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        identify(request).await
    }

    fn describe(operation: Operation) -> Operation {
        operation.token()
    }
}

/// An admin who calls; others get 403.
#[derive(Clone, Copy, Debug)]
pub struct Admin(pub Caller);

impl Extract for Admin {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        let caller = identify(request).await?;
        if !caller.is_admin {
            return Err(Error::new(Code::AdminsOnly));
        }
        Ok(Self(caller))
    }

    fn describe(operation: Operation) -> Operation {
        operation.token().refuses(&[Code::AdminsOnly])
    }
}

/// The caller, if there is a token at all: a bad one is refused here too.
pub struct MaybeCaller(pub Option<Caller>);

impl Extract for MaybeCaller {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        identify_if_any(request).await.map(Self)
    }

    fn describe(operation: Operation) -> Operation {
        operation.may_have_token()
    }
}

/// Whom the token in a header names, also when it has expired or its session is over;
/// `None` without one, or with one that was not signed here. Asks nothing but the keys.
pub struct TokenSubject(pub Option<Subject>);

impl Extract for TokenSubject {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        let accounts = handler::part::<Accounts>(request)?;
        match token(request.headers(), None) {
            Ok(token) => Ok(Self(accounts.tokens.subject_at_any_time(token))),
            Err(error) if error.code == Code::TokenConflict => Err(error),
            Err(_) => Ok(Self(None)),
        }
    }

    fn describe(operation: Operation) -> Operation {
        operation.may_name_token()
    }
}

/// Who calls, if there is a token; a bad one is refused.
pub async fn identify_if_any(request: &HttpRequest) -> Result<Option<Caller>, Error> {
    match identify(request).await {
        Ok(caller) => Ok(Some(caller)),
        Err(error) if error.code == Code::TokenMissing => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who calls; the refusals of a guarded route otherwise.
pub async fn identify(req: &HttpRequest) -> Result<Caller, Error> {
    let accounts = handler::part::<Accounts>(req)?;
    let (caller, _) = identify_offered(req, accounts, None).await?;
    Ok(caller)
}

/// Who calls, and when their token ends in seconds since the epoch, where it may have
/// been offered in another place as well.
pub async fn identify_offered(
    req: &HttpRequest,
    accounts: &Accounts,
    offered: Option<&str>,
) -> Result<(Caller, i64), Error> {
    let token = token(req.headers(), offered)?;
    let (subject, expires) = accounts.tokens.verify(token).map_err(|bad| {
        Error::new(match bad {
            BadToken::Invalid => Code::InvalidToken,
            BadToken::Expired => Code::TokenExpired,
        })
    })?;
    let owner = actions::find_session_owner(accounts, subject).await?;
    let ended = || Error::new(Code::SessionEnded);
    let SessionOwner { user_id, is_admin } = owner.ok_or_else(ended)?;
    req.extensions_mut().insert(LoggedUser(user_id));
    let caller = Caller {
        user_id,
        session_id: subject.session_id,
        is_admin,
    };
    Ok((caller, expires))
}

/// The one token of the request. Given twice it must be the same.
fn token<'a>(headers: &'a HeaderMap, offered: Option<&'a str>) -> Result<&'a str, Error> {
    let mut found = offered;
    let bearers = headers.get_all(header::AUTHORIZATION).map(|v| (v, true));
    let plain = headers.get_all(JWT).map(|v| (v, false));
    for (value, has_scheme) in bearers.chain(plain) {
        let invalid = || Error::new(Code::InvalidToken);
        let text = value.to_str().map_err(|_| invalid())?.trim();
        let token = if has_scheme {
            let (scheme, token) = text.split_once(' ').ok_or_else(invalid)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(invalid());
            }
            token.trim_start()
        } else {
            text
        };
        match found {
            Some(earlier) if earlier != token => return Err(Error::new(Code::TokenConflict)),
            _ => found = Some(token),
        }
    }
    found.ok_or_else(|| Error::new(Code::TokenMissing))
}
