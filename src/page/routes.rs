//! The addresses of documents. None of them changes anything, and none is part of the API.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use percent_encoding::percent_decode_str;

use super::assets::Assets;
use super::lists::{ListPage, SIZE, Which, post_path};
use super::wording::Wording;
use super::{Site, directory, doing, post, problem};
use crate::accounts::Accounts;
use crate::accounts::actions::{find_public_user, find_public_user_by_name};
use crate::accounts::types::Username;
use crate::core::cache::entry::Filled;
use crate::core::compression::etag_of;
use crate::core::page::{ListPart, PageRequest};
use crate::error::{Code, Error};
use crate::http::endpoint::options_or_refuse;
use crate::http::handler::part;
use crate::http::middleware::{Hit, Refusal};
use crate::http::page::query_value;
use crate::http::path::parse_id;
use crate::http::{cached_response, response};
use crate::posts::Posts;
use crate::posts::actions::prepare;
use crate::posts::actions::read::{self, BySlug};
use crate::posts::list::{Cursor, Filter, Sort};
use crate::posts::routes::post_ref::PostRef;
use crate::posts::routes::response_cache::{self, CacheKey, ResponseCache};
use crate::posts::search::{Query, TooLong};
use crate::posts::types::Tag;

/// What a document may do in a browser: load from this server, and show the pictures of posts. Nothing
/// is framed, no script stands in a document, and none writes HTML but by a policy.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' http: https: data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types inkpot",
);
const HTML: &str = "text/html; charset=utf-8";
/// Characters that are looked for at most, as they are typed.
const WORDS_MAX: usize = 500;

/// Where what documents load is.
const ASSETS: &str = "/assets/{version}/{name}";
/// The paths of documents, and of what they load.
pub const PATHS: [&str; 18] = [
    "/",
    "/p/{post}",
    "/t/{tag}",
    "/@{username}",
    "/u/{id}",
    "/search",
    "/login",
    "/register",
    "/forgot",
    "/reset",
    "/verify",
    "/write",
    "/write/{post}",
    "/me",
    "/people",
    "/admin",
    "/admin/{part}",
    ASSETS,
];

/// Adds the documents to the router.
pub fn register(config: &mut ServiceConfig) {
    for path in PATHS.into_iter().filter(|path| *path != ASSETS) {
        let paths = match path {
            "/" => vec![path.to_owned()],
            path => vec![path.to_owned(), format!("{path}/")],
        };
        let route = web::route()
            .to(move |request: HttpRequest| async move { answer(path, &request).await });
        config.service(web::resource(paths).default_service(route));
    }
    let assets = web::route().to(|request: HttpRequest| async move { asset(&request) });
    config.service(web::resource(ASSETS).default_service(assets));
}

/// Refuses what is no reading, and everything where the page is off.
fn admit(request: &HttpRequest) -> Result<Option<HttpResponse>, Error> {
    if !part::<Site>(request)?.is_on {
        return Err(Error::new(Code::NotFound));
    }
    match *request.method() {
        Method::GET | Method::HEAD => Ok(None),
        _ => options_or_refuse(request, "GET, HEAD, OPTIONS").map(Some),
    }
}

async fn answer(path: &'static str, request: &HttpRequest) -> Result<HttpResponse, Error> {
    if let Some(response) = admit(request)? {
        return Ok(response);
    }
    let wording = Wording::asked_for(request.headers());
    let response = match path {
        "/p/{post}" => post(request, wording).await?,
        "/t/{tag}" => {
            let tag = Tag::parse(&in_path(request, "tag")).map_err(|_| not_found())?;
            list(request, wording, Which::Tag(tag)).await?
        }
        "/@{username}" => {
            let name = Username::parse(&in_path(request, "username")).map_err(|_| not_found())?;
            let directory = &part::<Accounts>(request)?.directory;
            let user = find_public_user_by_name(directory, name).await?;
            list(request, wording, Which::Author(user.ok_or_else(not_found)?)).await?
        }
        "/u/{id}" => {
            let id = parse_id(&in_path(request, "id")).ok_or_else(not_found)?;
            let directory = &part::<Accounts>(request)?.directory;
            let user = find_public_user(directory, id).await?;
            list(request, wording, Which::Author(user.ok_or_else(not_found)?)).await?
        }
        "/search" => {
            let words = query_value(request.query_string(), "q").unwrap_or_default();
            let words = words.trim().chars().take(WORDS_MAX).collect();
            list(
                request,
                wording,
                Which::Search {
                    words,
                    is_too_long: false,
                },
            )
            .await?
        }
        "/" => list(request, wording, Which::Newest).await?,
        path => {
            if path == "/admin/{part}" && !directory::is_part(&in_path(request, "part")) {
                return Err(not_found());
            }
            let page = path.trim_start_matches('/').split('/').next();
            let html = doing::render(part::<Site>(request)?, wording, page.unwrap_or_default());
            document(html.ok_or_else(not_found)?)
        }
    };
    Ok(dress(response, wording))
}

fn not_found() -> Error {
    Error::new(Code::NotFound)
}

/// A parameter of the path, decoded: the router leaves some of it.
fn in_path(request: &HttpRequest, name: &str) -> String {
    let value = request.match_info().get(name).unwrap_or_default();
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

/// Adds what documents have beyond answers of the API.
fn dress(mut response: HttpResponse, wording: &Wording) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::from_static(wording.tag()),
    );
    headers.append(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
}

async fn post(request: &HttpRequest, wording: &'static Wording) -> Result<HttpResponse, Error> {
    let name = in_path(request, "post");
    let named = PostRef::parse(&name).ok_or_else(not_found)?;
    let (site, posts) = (part::<Site>(request)?, part::<Posts>(request)?);
    let cache = part::<ResponseCache>(request)?;
    let fill = async || {
        let post = match &named {
            PostRef::Id(id) => read::find_published(posts, *id).await?,
            PostRef::Slug(slug) => read::find_published_by_slug(posts, slug).await?,
        };
        let tags = named.cache_tags(post.as_ref());
        let Some(post) = post else {
            return Ok(Filled::Absent { tags });
        };
        let (site, bytes) = (site.clone(), post.text.len());
        let work = move || {
            let html = post::render(&site, wording, &post);
            response::cacheable(html.into_bytes(), HTML, None)
        };
        Ok(Filled::Found {
            parts: prepare(bytes, work).await??,
            tags,
        })
    };
    let key = CacheKey::of_document(wording.tag(), &name);
    if let Some(found) = response_cache::respond(cache, &key, request, fill).await? {
        return Ok(found);
    }
    if let PostRef::Slug(slug) = &named
        && let Some(BySlug::Moved(post)) = read::find_by_slug(posts, slug).await?
        && post.published
    {
        return Ok(HttpResponse::MovedPermanently()
            .insert_header((header::LOCATION, site.at(&post_path(&post))))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .finish());
    }
    Err(Error::new(Code::PostNotFound))
}

/// Which posts a list has, and its key in the cache with its language.
fn filter_of(which: &mut Which) -> Option<Filter> {
    let mut filter = Filter::default();
    match which {
        Which::Newest => {}
        Which::Author(user) => filter.author = Some(user.user_id),
        Which::Tag(tag) => filter.tags = vec![tag.clone()],
        Which::Search { words, is_too_long } => {
            match Query::parse(words) {
                Ok(query) if !query.is_empty() => {
                    filter.words = Some(query);
                    filter.sort = Sort::Relevance;
                }
                Ok(_) => return None,
                Err(TooLong) => *is_too_long = true,
            }
            if *is_too_long {
                return None;
            }
        }
    }
    Some(filter)
}

/// The name of a kind of document in the keys of the cache.
fn kind(which: &Which, wording: &Wording) -> String {
    match which {
        // What is shown in the field is as it was typed.
        Which::Search { words, .. } => format!("page {} {words:?}", wording.tag()),
        Which::Author(user) => format!("page {} {:?}", wording.tag(), user),
        _ => format!("page {}", wording.tag()),
    }
}

fn page_of(number: i64) -> ListPart<Cursor> {
    ListPart::Page(PageRequest {
        page: number,
        size: SIZE,
    })
}

async fn list(
    request: &HttpRequest,
    wording: &'static Wording,
    mut which: Which,
) -> Result<HttpResponse, Error> {
    let site = part::<Site>(request)?;
    let number = PageRequest::of_query(request.query_string()).page;
    let Some(filter) = filter_of(&mut which) else {
        let page = ListPage {
            which,
            number: 1,
            listed: super::lists::nothing(),
        };
        return Ok(document(page.render(site, wording)));
    };
    let (posts, cache) = (part::<Posts>(request)?, part::<ResponseCache>(request)?);
    let fill = async || {
        let tags = response_cache::tags_of_list(&filter);
        let found = read::list(posts, filter.clone(), page_of(number)).await?;
        let listed = found.listed;
        if listed.rows.is_empty() && number > 1 {
            return Ok(Filled::Absent { tags });
        }
        let page = ListPage {
            which: which.clone(),
            number,
            listed,
        };
        let html = page.render(site, wording);
        Ok(Filled::Found {
            parts: response::cacheable(html.into_bytes(), HTML, None)?,
            tags,
        })
    };
    let key = CacheKey::of_list(&kind(&which, wording), &filter, page_of(number));
    let found = response_cache::respond(cache, &key, request, fill).await?;
    found.ok_or_else(not_found)
}

/// A document that is made anew each time.
fn document(html: String) -> HttpResponse {
    HttpResponseBuilder::new(StatusCode::OK)
        .insert_header((header::CONTENT_TYPE, HTML))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, etag_of(html.as_bytes())))
        .body(html)
}

fn asset(request: &HttpRequest) -> Result<HttpResponse, Error> {
    if let Some(response) = admit(request)? {
        return Ok(response);
    }
    let segment = |name| request.match_info().get(name).unwrap_or_default();
    let found = Assets::respond(segment("version"), segment("name"), request.headers());
    found.ok_or_else(not_found)
}

/// The document that is there already for a GET in its plainest spelling: of the newest posts or a
/// post.
pub fn lookup(cache: Data<ResponseCache>, request: &ServiceRequest) -> Option<Hit<'_>> {
    let (path, headers) = (request.path(), request.headers());
    if !request.query_string().is_empty() {
        return None;
    }
    let (wording, key, route) = if path == "/" {
        let wording = Wording::asked_for(headers);
        let kind = kind(&Which::Newest, wording);
        (
            wording,
            CacheKey::of_list(&kind, &Filter::default(), page_of(1)),
            "/",
        )
    } else {
        let name = path.strip_prefix("/p/")?;
        PostRef::parse(name)?;
        let wording = Wording::asked_for(headers);
        let key = CacheKey::of_document(wording.tag(), name);
        (wording, key, "/p/{post}")
    };
    let entry = cache.get(&key)?;
    let response = async move {
        dress(
            cached_response::respond(&cache, &key, &entry, headers).await,
            wording,
        )
    };
    Some(Hit {
        route,
        response: Box::pin(response),
    })
}

/// A refusal as a document, for who asks for one.
pub fn dress_refusal(site: &Site, refusal: &Refusal, response: HttpResponse) -> HttpResponse {
    let mut headers = HeaderMap::new();
    if let Some(languages) = refusal.languages {
        headers.insert(header::ACCEPT_LANGUAGE, languages.clone());
    }
    let wording = Wording::asked_for(&headers);
    let html = problem::render(site, wording, response.status(), refusal.request_id);
    let mut response = response.set_body(actix_web::body::BoxBody::new(Bytes::from(html)));
    let kind = HeaderValue::from_static(HTML);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    dress(response, wording)
}
