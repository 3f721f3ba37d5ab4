//! Cached responses: what the middleware makes of a response, without making it anew for
//! every request.

use std::hash::Hash;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::core::cache::Cache;
use crate::core::cache::entry::Entry;
use crate::core::compression::{self, Coding};

/// Marks a response as revalidated and compressed already.
pub struct Finished;

/// The response to a GET or HEAD with these headers: 304 when the client has the entry
/// in any form, otherwise the form that it weighs highest. Nothing is copied.
pub async fn respond<K, E>(
    cache: &Cache<K, E>,
    key: &K,
    entry: &Arc<Entry>,
    headers: &HeaderMap,
) -> HttpResponse
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    E: Clone,
{
    let coding = Coding::negotiate(headers);
    if compression::none_match_fails(headers, entry.etag()) {
        // The ETag of the form that 200 would have had now.
        let etag = coding.and_then(|coding| entry.etag_in(coding));
        let etag = etag.as_ref().unwrap_or(entry.etag());
        return head(StatusCode::NOT_MODIFIED, BoxBody::new(()), entry, etag);
    }
    if let Some(coding) = coding
        && let Some(form) = cache.form(key, entry, coding).await
        && let Some(etag) = entry.etag_in(coding)
    {
        let mut response = head(StatusCode::OK, BoxBody::new(form), entry, &etag);
        let name = HeaderValue::from_static(coding.name());
        set(&mut response, header::CONTENT_TYPE, &entry.content_type());
        set(&mut response, header::CONTENT_ENCODING, &name);
        return response;
    }
    let body = BoxBody::new(entry.body());
    let mut response = head(StatusCode::OK, body, entry, entry.etag());
    set(&mut response, header::CONTENT_TYPE, &entry.content_type());
    response
}

/// With the headers that 200 and 304 share.
fn head(status: StatusCode, body: BoxBody, entry: &Entry, etag: &HeaderValue) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, body);
    set(&mut response, header::ETAG, etag);
    set(&mut response, header::CACHE_CONTROL, &entry.cache_control());
    if let Some(link) = entry.link() {
        set(&mut response, header::LINK, link);
    }
    if entry.varies() {
        let vary = HeaderValue::from_static("Accept-Encoding");
        set(&mut response, header::VARY, &vary);
    }
    response.extensions_mut().insert(Finished);
    response
}

fn set(response: &mut HttpResponse, name: HeaderName, value: &HeaderValue) {
    response.headers_mut().insert(name, value.clone());
}

#[cfg(test)]
mod tests {
    use actix_web::HttpRequest;
    use actix_web::body::MessageBody;
    use actix_web::http::Method;
    use actix_web::test::TestRequest;
    use actix_web::web::Bytes;

    use super::super::middleware;
    use super::*;
    use crate::core::cache::entry::{Filled, Parts};
    use crate::core::clock::Clock;
    use crate::error::Error;

    const ACCEPTED: [&str; 12] = [
        "",
        "br",
        "zstd",
        "gzip",
        "gzip, deflate, br, zstd",
        "gzip;q=1, br;q=0.5",
        "*",
        "*;q=0",
        "identity",
        "br;q=0.5, identity;q=0.9",
        "br;q=0, *;q=0.5",
        "deflate, nonsense;q=x",
    ];

    const NONE_MATCH: [&str; 12] = [
        "",
        "*",
        "\"abc\"",
        "W/\"abc\"",
        "\"abc-br\"",
        "W/\"abc-zstd\"",
        "\"x\", \"abc-gzip\"",
        "\"abc-deflate\"",
        "\"abc-\"",
        "abc",
        "\"abd\"",
        "\"\"",
    ];

    fn header_value(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    fn parts(kind: &'static str, size: usize, link: Option<&str>) -> Parts {
        let text = (0_usize..).flat_map(|n| format!("{{\"n\":{}}},", n * n).into_bytes());
        Parts {
            body: text.take(size).collect(),
            etag: header_value("\"abc\""),
            content_type: kind,
            cache_control: "no-cache",
            link: link.map(header_value),
        }
    }

    /// As a route answers without the cache.
    fn unfinished(parts: &Parts) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response
            .insert_header((header::ETAG, parts.etag.clone()))
            .insert_header((header::CONTENT_TYPE, parts.content_type))
            .insert_header((header::CACHE_CONTROL, parts.cache_control));
        if let Some(link) = &parts.link {
            response.insert_header((header::LINK, link.clone()));
        }
        response.body(parts.body.clone())
    }

    fn requests() -> impl Iterator<Item = HttpRequest> {
        let lists = [Method::GET, Method::HEAD].into_iter().flat_map(|method| {
            ACCEPTED.iter().flat_map(move |accepted| {
                let method = method.clone();
                NONE_MATCH
                    .iter()
                    .map(move |none_match| (method.clone(), *accepted, *none_match))
            })
        });
        lists.map(|(method, accepted, none_match)| {
            let mut request = TestRequest::default().method(method);
            if !accepted.is_empty() {
                request = request.insert_header((header::ACCEPT_ENCODING, accepted));
            }
            if !none_match.is_empty() {
                request = request.insert_header((header::IF_NONE_MATCH, none_match));
            }
            request.to_http_request()
        })
    }

    /// Status, sorted headers, body.
    fn seen(response: HttpResponse) -> (StatusCode, Vec<(String, HeaderValue)>, Bytes) {
        let status = response.status();
        let headers = response.headers().iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        headers.sort();
        let body = response.into_body();
        assert!(!body.size().is_eof() || status == StatusCode::NOT_MODIFIED);
        (status, headers, body.try_into_bytes().unwrap())
    }

    fn plain(coding: Option<&HeaderValue>, body: &[u8]) -> Vec<u8> {
        use std::io::Read;
        let mut out = Vec::new();
        match coding.map(|coding| coding.to_str().unwrap()) {
            None => out.extend_from_slice(body),
            Some("br") => brotli::BrotliDecompress(&mut &body[..], &mut out)
                .map(drop)
                .unwrap(),
            Some("zstd") => out = zstd::stream::decode_all(body).unwrap(),
            Some("gzip") => {
                let mut reader = flate2::read::GzDecoder::new(body);
                reader.read_to_end(&mut out).unwrap();
            }
            Some(other) => panic!("{other} is none of ours"),
        }
        out
    }

    #[actix_web::test]
    async fn it_answers_as_the_middleware_would() {
        let kinds = [
            ("application/json", 5000, Some("</post>; rel=\"first\"")),
            ("application/json", 50_000, None),
            ("application/json", 1023, None),
            ("application/feed+json", 1024, None),
            ("application/atom+xml; charset=utf-8", 5000, None),
            ("image/png", 5000, None),
        ];
        let mut not_modified = 0;
        for (kind, size, link) in kinds {
            let cache: Cache<u32, Error> = Cache::new(1 << 20, None, Clock::system());
            let read = async || {
                Ok(Filled::Found {
                    parts: parts(kind, size, link),
                    tags: Vec::new(),
                })
            };
            let entry = cache.find_or_fill(&1, read).await.unwrap().unwrap();
            for request in requests() {
                let ours = respond(&cache, &1, &entry, request.headers()).await;
                let ours = seen(middleware::finish(&request, ours).await);
                let original = unfinished(&parts(kind, size, link));
                let theirs = seen(middleware::finish(&request, original).await);
                assert_eq!((&ours.0, &ours.1), (&theirs.0, &theirs.1), "{request:?}");
                if ours.0 == StatusCode::NOT_MODIFIED {
                    not_modified += 1;
                    assert_eq!((&ours.2[..], &theirs.2[..]), (&[][..], &[][..]));
                    continue;
                }
                // The forms are of different levels.
                let coding = ours.1.iter().find(|(name, _)| name == "content-encoding");
                let coding = coding.map(|(_, value)| value);
                assert_eq!(plain(coding, &ours.2), plain(coding, &theirs.2));
                assert_eq!(plain(coding, &ours.2), entry.body()[..]);
            }
        }
        // `*` and the six that name it, for each method and wish and kind.
        assert_eq!(not_modified, 6 * 2 * ACCEPTED.len() * kinds.len());
    }

    #[actix_web::test]
    async fn nothing_is_copied() {
        let cache: Cache<u32, Error> = Cache::new(1 << 20, None, Clock::system());
        let read = async || {
            Ok(Filled::Found {
                parts: parts("application/json", 5000, None),
                tags: Vec::new(),
            })
        };
        let entry = cache.find_or_fill(&1, read).await.unwrap().unwrap();
        for accepted in ["identity", "br"] {
            let request = TestRequest::default()
                .insert_header((header::ACCEPT_ENCODING, accepted))
                .to_http_request();
            let first = seen(respond(&cache, &1, &entry, request.headers()).await);
            let second = seen(respond(&cache, &1, &entry, request.headers()).await);
            assert_eq!(first.2.as_ptr(), second.2.as_ptr());
        }
    }

    #[actix_web::test]
    async fn a_form_that_is_no_smaller_is_not_named() {
        let mut seed = 1_u32;
        let noise = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        });
        let noise: Vec<u8> = noise.take(2000).collect();
        let cache: Cache<u32, Error> = Cache::new(1 << 20, None, Clock::system());
        let read = async || {
            let parts = Parts {
                body: noise.clone(),
                ..parts("application/json", 0, None)
            };
            Ok(Filled::Found {
                parts,
                tags: Vec::new(),
            })
        };
        let entry = cache.find_or_fill(&1, read).await.unwrap().unwrap();
        let mut request = TestRequest::default().insert_header((header::ACCEPT_ENCODING, "br"));
        for status in [StatusCode::OK, StatusCode::NOT_MODIFIED] {
            let headers = request.to_http_request().headers().clone();
            let response = respond(&cache, &1, &entry, &headers).await;
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().get(header::ETAG), Some(entry.etag()));
            assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
            assert!(response.headers().contains_key(header::VARY));
            request = TestRequest::default()
                .insert_header((header::ACCEPT_ENCODING, "br"))
                .insert_header((header::IF_NONE_MATCH, "\"abc\""));
        }
    }
}
