//! The response cache of a process: the key of each response, and the answer to a request
//! that it may have. What responses are made of, and what changes it, the rooms know.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use super::cached_response;
use crate::core::cache::entry::Filled;
use crate::core::cache::{Cache, Patience};
use crate::core::page::PageRequest;
use crate::core::replica::Replica;
use crate::error::{Code, Error};

/// The finished responses of a process.
pub type ResponseCache = Cache<CacheKey, Error>;

/// What a response is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheKey {
    /// A published post.
    Post(i64),
    /// The same, by its slug.
    Slug(Box<str>),
    /// A page of all posts.
    Page(PageRequest),
    /// Any other, by a hash of all that it was asked for with.
    Other([u8; 16]),
}

impl CacheKey {
    /// By a hash of `text`, which no two responses have alike.
    pub fn other(text: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Self::Other(short)
    }
}

/// The response to a GET or HEAD, by `fill` where the cache has none; `None` when there is
/// nothing under the key. All of it is read at the primary.
pub async fn respond(
    cache: &ResponseCache,
    key: &CacheKey,
    request: &HttpRequest,
    fill: impl AsyncFn() -> Result<Filled, Error>,
) -> Result<Option<HttpResponse>, Error> {
    respond_by(cache, key, (request, None), fill).await
}

/// The same where `fill` reads nothing but what anybody may read, decides about no rights and
/// changes nothing of this process: who has no token may have what a replica says.
pub async fn respond_from_anywhere(
    cache: &ResponseCache,
    key: &CacheKey,
    request: &HttpRequest,
    fill: impl AsyncFn() -> Result<Filled, Error>,
) -> Result<Option<HttpResponse>, Error> {
    let replica = request.app_data::<Data<Replica>>().map(|data| &***data);
    let replica = replica.filter(|_| patience(request.headers()) == Patience::Long);
    respond_by(cache, key, (request, replica), fill).await
}

/// How old an answer may be: who has a token, or a cookie by which there is one, may have
/// written at another process a moment ago.
pub fn patience(headers: &HeaderMap) -> Patience {
    const TOKENS: [HeaderName; 2] = [header::AUTHORIZATION, HeaderName::from_static("jwt")];
    const COOKIE: &[u8] = b"__Host-inkpot-";
    let has_cookie = || {
        (headers.get_all(header::COOKIE)).any(|value| {
            value
                .as_bytes()
                .windows(COOKIE.len())
                .any(|part| part == COOKIE)
        })
    };
    if TOKENS.iter().any(|name| headers.contains_key(name)) || has_cookie() {
        Patience::Short
    } else {
        Patience::Long
    }
}

async fn respond_by(
    cache: &ResponseCache,
    key: &CacheKey,
    (request, replica): (&HttpRequest, Option<&Replica>),
    fill: impl AsyncFn() -> Result<Filled, Error>,
) -> Result<Option<HttpResponse>, Error> {
    let found = if cache.stale(key).is_some() {
        // With an old answer at hand nobody waits long for a new one.
        if let Some(time) = cache.may_wait(SLOW) {
            let filling = cache.find_or_fill_by(key, replica, fill);
            (tokio::time::timeout(time, filling).await).unwrap_or_else(|_| {
                cache.waited_in_vain();
                Err(Error::new(Code::Unavailable))
            })
        } else {
            Err(Error::new(Code::Unavailable))
        }
    } else {
        cache.find_or_fill_by(key, replica, fill).await
    };
    let entry = match found {
        Ok(Some(entry)) => entry,
        Ok(None) => return Ok(None),
        Err(error) if error.code == Code::Unavailable => {
            let (entry, age) = cache.stale(key).ok_or(error)?;
            cache.served_stale();
            let response = cached_response::respond(cache, key, &entry, request.headers());
            return Ok(Some(mark_stale(response.await, age)));
        }
        Err(error) => return Err(error),
    };
    let response = cached_response::respond(cache, key, &entry, request.headers());
    Ok(Some(response.await))
}

/// How long a request waits for a new response that could have an old one.
const SLOW: Duration = Duration::from_secs(2);

/// Says how old a response is, and why it was not made anew (RFC 9111 §5.1, RFC 9211 §2).
fn mark_stale(mut response: HttpResponse, age: Duration) -> HttpResponse {
    let age = age.as_secs();
    let status = format!("inkpot; hit; ttl=-{age}; detail=database-unavailable");
    let headers = response.headers_mut();
    headers.insert(header::AGE, HeaderValue::from(age));
    if let Ok(status) = HeaderValue::from_str(&status) {
        headers.insert(CACHE_STATUS, status);
    }
    response
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
