//! The refresh token in a cookie, for pages of browsers: no script can read it,
//! and a request that comes by it must come from a page that may.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::dev::Payload;

use crate::core::settings::Settings;
use crate::error::{Code, Error};
use crate::http::cors;
use crate::http::handler::{self, Extract};

/// The prefix makes browsers refuse it without `Secure`, with a domain or another
/// path (RFC 6265bis §4.1.3.2).
const NAME: &str = "__Host-inkpot-refresh";

/// The cookie with a token; gone with the browser, unless it has an age.
pub fn with(token: String, max_age: Option<i64>) -> Cookie<'static> {
    let cookie = Cookie::build(NAME, token)
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict);
    match max_age {
        Some(seconds) => cookie.max_age(Duration::seconds(seconds)).finish(),
        None => cookie.finish(),
    }
}

/// The cookie that takes the cookie away.
pub fn without() -> Cookie<'static> {
    with(String::new(), Some(0))
}

/// The token in the cookie, as an argument of a handler ([`token`]).
pub struct RefreshCookie(pub Option<String>);

impl Extract for RefreshCookie {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        let settings = handler::part::<Settings>(request)?;
        token(request, settings).map(Self)
    }
}

/// The token in the request's cookie, if it has one; refused when the request does
/// not come from a page of this server or of a listed origin. Browsers send
/// `Origin` with every `POST`.
pub fn token(req: &HttpRequest, settings: &Settings) -> Result<Option<String>, Error> {
    let Some(cookie) = req.cookie(NAME).filter(|cookie| !cookie.value().is_empty()) else {
        return Ok(None);
    };
    if !cors::is_from_page(req.headers(), settings) {
        return Err(Error::new(Code::OriginRefused));
    }
    Ok(Some(cookie.value().to_owned()))
}
