//! The addresses of documents. None of them changes anything, and none is part of the API.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chrono::{Datelike, Months, NaiveDate, NaiveTime};
use percent_encoding::percent_decode_str;

use super::archive::{self, TagsPage};
use super::assets::Assets;
use super::comments::{self, CommentsPage};
use super::lists::{ListPage, SIZE, Which, post_path};
use super::wording::Wording;
use super::{Site, directory, docs, doing, post, problem};
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
use crate::http::response_cache::patience;
use crate::http::{cached_response, response};
use crate::posts::Posts;
use crate::posts::actions::prepare;
use crate::posts::actions::read::{self, BySlug};
use crate::posts::list::{Cursor, Filter, Sort, TagSort};
use crate::posts::routes::post_ref::PostRef;
use crate::posts::routes::response_cache::{self, CacheKey, ResponseCache};
use crate::posts::search::{Query, TooLong};
use crate::posts::stored::StoredPost;
use crate::posts::types::Tag;
use crate::social::Social;
use crate::social::actions::read as said;
use crate::social::routes::response_cache as social_cache;

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
pub const PATHS: [&str; 23] = [
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
    "/following",
    "/people",
    "/admin",
    "/admin/{part}",
    "/docs",
    "/archive",
    "/archive/{month}",
    "/tags",
    ASSETS,
];

/// Adds the documents to the router.
pub fn register(config: &mut ServiceConfig) {
    for path in PATHS.into_iter().filter(|path| *path != ASSETS) {
        let paths = match path {
            "/" => vec![path.to_owned()],
            path => vec![path.to_owned(), format!("{path}/")],
        };
        for pattern in paths {
            let route = web::route()
                .to(move |request: HttpRequest| async move { answer(path, &request).await });
            config.service(web::resource(pattern).default_service(route));
        }
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
        "/docs" => document(docs::render(part::<Site>(request)?, wording)),
        "/archive" => months(request, wording).await?,
        "/archive/{month}" => {
            let month = month_of(&in_path(request, "month")).ok_or_else(not_found)?;
            let (year, month) = (month.year(), month.month());
            list(request, wording, Which::Month { year, month }).await?
        }
        "/tags" => tags(request, wording).await?,
        path => {
            if path == "/admin/{part}" && !directory::is_part(&in_path(request, "part")) {
                return Err(not_found());
            }
            let page = path.trim_start_matches('/').split('/').next();
            let html = doing::render(part::<Site>(request)?, wording, page.unwrap_or_default());
            document(html.ok_or_else(not_found)?)
        }
    };
    let mut response = dress(response, wording);
    if path == "/docs" {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, docs::POLICY);
    }
    Ok(response)
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
    let query = request.query_string();
    let id_of = |name| query_value(query, name).and_then(|text| parse_id(&text));
    let found = match id_of("comment") {
        Some(id) => to_comment(request, &named, id).await?,
        None => comments_page(request, wording, &named, id_of("comments").unwrap_or(1)).await?,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if let PostRef::Slug(slug) = &named
        && let Some(BySlug::Moved(post)) = read::find_by_slug(part::<Posts>(request)?, slug).await?
        && post.published
    {
        let query = query.split('#').next().filter(|query| !query.is_empty());
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let path = format!("{}{query}", post_path(&post));
        return Ok(HttpResponse::MovedPermanently()
            .insert_header((header::LOCATION, part::<Site>(request)?.at(&path)))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .finish());
    }
    Err(Error::new(Code::PostNotFound))
}

/// The document of a post with a page of its comments; `None` where there is none.
async fn comments_page(
    request: &HttpRequest,
    wording: &'static Wording,
    named: &PostRef,
    number: i64,
) -> Result<Option<HttpResponse>, Error> {
    let (site, posts) = (part::<Site>(request)?, part::<Posts>(request)?);
    let (cache, social) = (part::<ResponseCache>(request)?, part::<Social>(request)?);
    let fill = async || {
        let post = find_post(posts, named).await?;
        let mut tags = named.cache_tags(post.as_ref());
        let Some(post) = post else {
            return Ok(Filled::Absent { tags });
        };
        let post_id = post.summary.post_id;
        tags.extend(response_cache::tags_of_items(&[post_id]));
        tags.extend(social_cache::tags_of_list(post_id));
        let around = read::neighbours(posts, post_id, Filter::default()).await?;
        if let Some(around) = &around {
            let position = post.summary.position;
            tags.extend(response_cache::tags_of_neighbours(position, around));
        }
        let page = comments_of(social, post_id, number).await?;
        let (Some(around), Some(page)) = (around, page) else {
            return Ok(Filled::Absent { tags });
        };
        let said = page.listed.rows.iter().map(|row| row.content().len());
        let (site, bytes) = (site.clone(), post.text.len() + said.sum::<usize>());
        let work = move || {
            let html = post::render(&site, wording, &post, &page, &around);
            response::cacheable(html.into_bytes(), HTML, None)
        };
        Ok(Filled::Found {
            parts: prepare(bytes, work).await??,
            tags,
        })
    };
    let name = match named {
        PostRef::Id(id) => id.to_string(),
        PostRef::Slug(slug) => slug.clone(),
    };
    let key = match number {
        1 => CacheKey::of_document(wording.tag(), &name),
        number => CacheKey::of_document(wording.tag(), &format!("{name}?comments={number}")),
    };
    response_cache::respond_from_anywhere(cache, &key, request, fill).await
}

async fn find_post(posts: &Posts, named: &PostRef) -> Result<Option<StoredPost>, Error> {
    Ok(match named {
        PostRef::Id(id) => read::find_published(posts, *id).await?,
        PostRef::Slug(slug) => read::find_published_by_slug(posts, slug).await?,
    })
}

/// A page of the comments of a post; `None` where there is none of that number.
async fn comments_of(
    social: &Social,
    post_id: i64,
    number: i64,
) -> Result<Option<CommentsPage>, Error> {
    let part = ListPart::Page(PageRequest {
        page: number,
        size: comments::SIZE,
    });
    let found = said::list(social, post_id, part).await?;
    let listed = found.map_or_else(super::lists::nothing, |(_, listed)| listed);
    let is_there = number == 1 || !listed.rows.is_empty();
    Ok(is_there.then_some(CommentsPage { number, listed }))
}

/// Leads to a comment on the page that it is on; `None` where there is none.
async fn to_comment(
    request: &HttpRequest,
    named: &PostRef,
    comment_id: i64,
) -> Result<Option<HttpResponse>, Error> {
    let Some(post) = find_post(part::<Posts>(request)?, named).await? else {
        return Ok(None);
    };
    let post = post.summary;
    let place = said::place(part::<Social>(request)?, post.post_id, comment_id).await?;
    let Some(place) = place else {
        return Ok(None);
    };
    let number = place / i64::from(comments::SIZE) + 1;
    let page = comments::page_path(&post, number);
    let path = part::<Site>(request)?.at(&format!("{page}#comment-{comment_id}"));
    Ok(Some(
        HttpResponse::Found()
            .insert_header((header::LOCATION, path))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .finish(),
    ))
}

/// Which posts a list has, and its key in the cache with its language.
fn filter_of(which: &mut Which) -> Option<Filter> {
    let mut filter = Filter::default();
    match which {
        Which::Newest => {}
        Which::Author(user) => filter.author = Some(user.user_id),
        Which::Tag(tag) => filter.tags = vec![tag.clone()],
        Which::Month { year, month } => {
            let first = NaiveDate::from_ymd_opt(*year, *month, 1)?;
            let next = first.checked_add_months(Months::new(1))?;
            let at = |day: NaiveDate| Some(day.and_time(NaiveTime::MIN));
            (filter.dates.since, filter.dates.until) = (at(first), at(next));
        }
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
            beginning: None,
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
            beginning: found.beginning,
        };
        let html = page.render(site, wording);
        Ok(Filled::Found {
            parts: response::cacheable(html.into_bytes(), HTML, None)?,
            tags,
        })
    };
    let key = CacheKey::of_list(&kind(&which, wording), &filter, page_of(number));
    let found = response_cache::respond_from_anywhere(cache, &key, request, fill).await?;
    found.ok_or_else(not_found)
}

/// The month of a path: four digits, a hyphen, two digits.
fn month_of(text: &str) -> Option<NaiveDate> {
    (text.len() == "2026-11".len()).then_some(())?;
    let (year, month) = text.split_once('-')?;
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (is_digits(year) && is_digits(month)).then_some(())?;
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
}

async fn months(request: &HttpRequest, wording: &'static Wording) -> Result<HttpResponse, Error> {
    let (site, posts) = (part::<Site>(request)?, part::<Posts>(request)?);
    let all = Filter::default();
    let fill = async || {
        let months = read::months(posts, all.clone()).await?;
        let html = archive::months(site, wording, &months);
        Ok(Filled::Found {
            parts: response::cacheable(html.into_bytes(), HTML, None)?,
            tags: response_cache::tags_of_list(&all),
        })
    };
    let key = CacheKey::of_document(wording.tag(), "?archive");
    let found =
        response_cache::respond_from_anywhere(part::<ResponseCache>(request)?, &key, request, fill);
    found.await?.ok_or_else(not_found)
}

async fn tags(request: &HttpRequest, wording: &'static Wording) -> Result<HttpResponse, Error> {
    let (site, posts) = (part::<Site>(request)?, part::<Posts>(request)?);
    let cache = part::<ResponseCache>(request)?;
    let query = request.query_string();
    let beginning = query_value(query, "q").and_then(|text| Tag::parse(&text).ok());
    let beginning = beginning.map_or_else(String::new, |tag| tag.0);
    let sort = query_value(query, "sort");
    let sort = TagSort::ALL
        .into_iter()
        .find(|known| sort.as_deref() == Some(known.name()))
        .unwrap_or_default();
    let asked = PageRequest {
        page: PageRequest::of_query(query).page,
        size: archive::TAGS,
    };
    // Never of a replica: the board of tags is kept in this process.
    let fill = async || {
        let tags = response_cache::tags_of_list(&Filter::default());
        let holds = |read| cache.holds(read, &[response_cache::tag_of_anything()]);
        let which = (beginning.clone(), sort, asked);
        let listed = read::tags(posts, (cache.begin(), &holds), which).await?;
        if listed.rows.is_empty() && asked.page > 1 {
            return Ok(Filled::Absent { tags });
        }
        let page = TagsPage {
            beginning: beginning.clone(),
            sort,
            number: asked.page,
            listed,
        };
        let html = page.render(site, wording);
        Ok(Filled::Found {
            parts: response::cacheable(html.into_bytes(), HTML, None)?,
            tags,
        })
    };
    let name = format!("?tags {beginning:?} {sort:?} {}", asked.page);
    let key = CacheKey::of_document(wording.tag(), &name);
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
    let entry = cache.get_by(&key, || patience(headers))?;
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
