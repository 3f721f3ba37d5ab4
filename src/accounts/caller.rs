//! The extractor that guards a route. It is synchronous and stands first in every
//! handler, so that a bad token beats a bad body.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::app::App;
use crate::error::{Code, Error};
use crate::http::edge::LoggedUser;

/// The header of the older design, with the bare token.
const JWT: &str = "jwt";

/// Who calls, by a token that verified.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub user_id: i64,
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(req))
    }
}

fn identify(req: &HttpRequest) -> Result<Caller, Error> {
    let app = req
        .app_data::<Data<App>>()
        .ok_or_else(|| Error::internal("no application data"))?;
    let token = token(req.headers())?;
    let user_id = app.tokens.verify(token)?;
    req.extensions_mut().insert(LoggedUser(user_id));
    Ok(Caller { user_id })
}

/// The one token of the request. Given twice it must be the same.
fn token(headers: &HeaderMap) -> Result<&str, Error> {
    let mut found = None;
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
