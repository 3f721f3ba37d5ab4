//! What every request passes on its way in and every answer on its way out:
//! request id, panics, errors as problems, revalidation, compression, CORS, the
//! log line.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actix_http::ConnectionType;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;

use super::body::ReadWhole;
use super::cached_response::Finished;
use super::cors::{self, Asking};
use super::drain::Drain;
use super::metrics::RequestMetrics;
use super::refused;
use super::request_id::{self, RequestId};
use super::transport::LastReads;
use super::{endpoint, sliced_body};
use crate::core::compression::{self, COMPRESS_INLINE, Coding};
use crate::core::costly;
use crate::core::db::deadline;
use crate::core::gather::Refused;
use crate::core::settings::Settings;
use crate::core::settings::public_url::PublicUrl;
use crate::core::telemetry::request::Context;
use crate::core::telemetry::trace::{self, Trace};
use crate::core::telemetry::{self, request as log};
use crate::error::{Cause, Code, Error};

/// The user of a request, for its log line.
#[derive(Clone, Copy)]
pub struct LoggedUser(pub i64);

const NO_CONTENT: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// A year, in which browsers come by TLS only (RFC 6797).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What the middleware needs of the server.
pub struct Shared {
    pub settings: Data<Settings>,
    pub lookup: Box<Lookup>,
    /// Makes a document of a refusal, for who asks for documents.
    pub dress: Box<Dress>,
    pub metrics: Arc<RequestMetrics>,
    pub drain: Drain,
    /// Foreign origins that were refused and are in the log; the first ones.
    pub refused_origins: Mutex<Vec<String>>,
}

/// Foreign origins that the log names.
const LOGGED_ORIGINS: usize = 16;

impl Shared {
    /// Says once for each of the first foreign origins what the operator can do for it.
    fn log_refused_origin(&self, origin: String) {
        let mut known = (self.refused_origins.lock()).unwrap_or_else(PoisonError::into_inner);
        if known.len() < LOGGED_ORIGINS && !known.contains(&origin) {
            tracing::warn!(
                origin,
                "refused a request that a foreign page sent; if the page is yours, list its \
                 origin in INKPOT_CORS_ORIGINS, or set INKPOT_PUBLIC_URL if it is this server's own"
            );
            known.push(origin);
        }
    }
}

/// Looks a GET or HEAD up among the answers that are finished.
pub type Lookup = dyn Fn(&ServiceRequest) -> Option<Hit<'_>> + Send + Sync;

/// Gives a refusal the body of a document, or leaves it as it is.
pub type Dress = dyn Fn(&Refusal, HttpResponse) -> HttpResponse + Send + Sync;

/// What is known of a request that is refused.
pub struct Refusal<'a> {
    pub request_id: &'a str,
    /// `Accept-Language`.
    pub languages: Option<&'a HeaderValue>,
}

/// A finished answer that was there.
pub struct Hit<'a> {
    /// As the route table has it.
    pub route: &'static str,
    pub response: Pin<Box<dyn Future<Output = HttpResponse> + 'a>>,
}

/// The one middleware.
pub async fn handle(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let visit = Visit::begin(&request);
    request.extensions_mut().insert(visit.id.clone());

    if let Some(response) = visit.lookup(&request).await {
        return Ok(request.into_response(response));
    }
    let context = Context {
        request_id: visit.id.0.as_str().into(),
        trace: visit.trace,
    };
    log::scope(context, deadline::scope(routed(visit, request, next))).await
}

/// The way of a request that has no finished answer; lines of the log have its id.
async fn routed(
    visit: Visit,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if let Some(response) = visit.refuse_foreign_page(&request) {
        return Ok(request.into_response(response));
    }
    // The router needs the request for itself alone: it comes back with the answer.
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(answer)) => {
            let (request, response) = answer.into_parts();
            let mut response = visit.problem_of(response);
            response = finish(&request, response).await;
            visit.end_reading(&request, &mut response);
            let user = request.extensions().get::<LoggedUser>().map(|user| user.0);
            let route = request.match_pattern();
            visit.end(route.as_deref().map(without_slash), user, &mut response);
            Ok(ServiceResponse::new(request, response))
        }
        Ok(Err(error)) => {
            let response = visit.problem_of(HttpResponse::from_error(error));
            Err(visit.end_without_request(response))
        }
        Err(panic) => {
            // The hook logged the place of the panic; this one says nothing.
            let cause = Cause {
                text: format!("panic: {}", telemetry::panic_text(&*panic)),
                place: None,
            };
            let error = Error {
                cause: Some(cause.into()),
                ..Error::new(Code::Internal)
            };
            let response = visit.problem_of(HttpResponse::from_error(error));
            Err(visit.end_without_request(response))
        }
    }
}

/// What the edge remembers of a request while the router has it.
struct Visit {
    id: RequestId,
    trace: Option<Trace>,
    begun: Instant,
    shared: Option<Data<Shared>>,
    method: Method,
    asking: Asking,
    reader: Option<Reader>,
    is_chunked: bool,
    is_unchunkable: bool,
    is_ended: Cell<bool>,
}

/// Somebody who asks for a document, and would not know what to do with JSON.
struct Reader {
    languages: Option<HeaderValue>,
}

impl Reader {
    fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let accept = headers.get(header::ACCEPT)?;
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        (is_read && prefers_documents(accept.to_str().ok()?)).then(|| Self {
            languages: headers.get(header::ACCEPT_LANGUAGE).cloned(),
        })
    }
}

/// Whether `Accept` (RFC 9110 §12.5.1) names HTML, and weighs all JSON lower: by its name, or by the
/// range that has it.
fn prefers_documents(accept: &str) -> bool {
    let ranges: Vec<(&str, f32)> = (accept.split(','))
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let q = parts.find_map(|part| part.strip_prefix("q="));
            (name, q.map_or(1.0, |q| q.parse().unwrap_or(0.0)))
        })
        .collect();
    let weight = |kind: &str| {
        let found = ranges
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(kind));
        found.map(|(_, q)| *q)
    };
    let html = weight("text/html").unwrap_or_default();
    // What is said of a range counts where its members are not named.
    let any = || weight("application/*").or_else(|| weight("*/*"));
    let json = |kind| weight(kind).or_else(any).unwrap_or_default();
    html > 0.0 && html > json("application/json") && html > json("application/problem+json")
}

/// What the log says of a request whose client went before it was answered, as other
/// servers do.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Without an answer only when the request is dropped, since its client has gone.
impl Drop for Visit {
    fn drop(&mut self) {
        if !self.is_ended.get() {
            self.log("-", CLIENT_CLOSED_REQUEST, None);
        }
        if let Some(shared) = &self.shared {
            shared.metrics.ended();
        }
    }
}

impl Visit {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long the request really takes"
    )]
    fn begin(request: &ServiceRequest) -> Self {
        let headers = request.headers();
        let shared = request.app_data::<Data<Shared>>().cloned();
        if let Some(shared) = &shared {
            shared.metrics.begun();
        }
        Self {
            id: RequestId::of(headers),
            trace: trace_of(headers),
            begun: Instant::now(),
            shared,
            method: request.method().clone(),
            asking: Asking::of(request.method(), headers),
            reader: Reader::of(request.method(), headers),
            is_chunked: headers.contains_key(header::TRANSFER_ENCODING),
            is_unchunkable: is_unchunkable(request),
            is_ended: Cell::new(false),
        }
    }

    /// A finished answer that is there already, for the requests that come most: it
    /// goes round the router.
    async fn lookup(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        if !matches!(self.method, Method::GET | Method::HEAD) {
            return None;
        }
        let hit = (self.shared.as_ref()?.lookup)(request)?;
        let mut response = hit.response.await;
        self.end(Some(hit.route), None, &mut response);
        Some(response)
    }

    /// Refuses what a foreign page wants changed, before anything of it is read.
    fn refuse_foreign_page(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let shared = self.shared.as_ref()?;
        let origin = cors::foreign_page(&self.method, request.headers(), &shared.settings)?;
        shared.log_refused_origin(origin);
        let mut response = Error::new(Code::OriginRefused).respond(&self.id.0, self.base());
        self.end_reading(request.request(), &mut response);
        self.end(None, None, &mut response);
        Some(response)
    }

    /// Closes the connection after an answer that came before the end of a chunked body.
    fn end_reading(&self, request: &HttpRequest, response: &mut HttpResponse) {
        if !self.is_chunked || request.extensions().contains::<ReadWhole>() {
            return;
        }
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
        if let Some(last_reads) = request.conn_data::<LastReads>() {
            last_reads.begin();
        }
    }

    /// Gives every refusal its shape and request id, the framework's own included,
    /// and logs the cause of a fault, once.
    fn problem_of(&self, response: HttpResponse) -> HttpResponse {
        let Some(error) = response.error() else {
            return response;
        };
        let (code, answer, cause) = match error.as_error::<Error>() {
            Some(ours) => {
                let answer = ours.respond(&self.id.0, self.base());
                (ours.code, answer, ours.cause.clone())
            }
            None => {
                let is_fault = response.status().is_server_error();
                let cause = is_fault.then(|| {
                    Box::new(Cause {
                        text: error.to_string(),
                        place: None,
                    })
                });
                let code = code_for(response.status());
                let answer = Error::new(code).respond(&self.id.0, self.base());
                (code, answer, cause)
            }
        };
        if let Some(cause) = cause {
            refused::log(&self.id.0, code, *cause);
        }
        self.dressed(answer)
    }

    /// A refusal as who is refused can read it.
    fn dressed(&self, answer: HttpResponse) -> HttpResponse {
        let (Some(reader), Some(shared)) = (&self.reader, &self.shared) else {
            return answer;
        };
        let refusal = Refusal {
            request_id: &self.id.0,
            languages: reader.languages.as_ref(),
        };
        let mut answer = (shared.dress)(&refusal, answer);
        let vary = HeaderValue::from_static("Accept");
        answer.headers_mut().append(header::VARY, vary);
        answer
    }

    /// The path under which the world reaches this server.
    fn base(&self) -> &str {
        let settings = self.shared.as_ref().map(|shared| &shared.settings);
        settings.map_or("", |settings| settings.base_path())
    }

    /// The headers that every answer has, and the log line.
    fn end(&self, route: Option<&str>, user: Option<i64>, response: &mut HttpResponse) {
        sliced_body::slice(response);
        if self.is_unchunkable
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
            && matches!(response.body().size(), BodySize::Stream)
        {
            let head = response.head_mut();
            head.no_chunking(true);
            head.set_connection_type(ConnectionType::Close);
        }
        let is_last = (self.shared.as_ref()).is_some_and(|shared| shared.drain.has_begun());
        if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response
                .head_mut()
                .set_connection_type(ConnectionType::Close);
        }
        let headers = response.headers_mut();
        links_under(self.base(), headers);
        if let Some(shared) = &self.shared {
            cors::apply(&shared.settings, &self.method, &self.asking, headers);
            if shared
                .settings
                .public_url
                .as_ref()
                .is_some_and(PublicUrl::is_https)
            {
                headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
            }
        }
        // Answers are data: whoever makes a browser take one for a page gets nothing of it.
        // Documents have a policy of their own.
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, NO_CONTENT);
        }
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if let Ok(value) = HeaderValue::from_str(&self.id.0) {
            headers.insert(HeaderName::from_static(request_id::HEADER), value);
        }
        let status = response.status().as_u16();
        self.log(route.map_or("-", endpoint::canonical), status, user);
        self.is_ended.set(true);
    }

    /// Measures the request and writes its line.
    fn log(&self, route: &str, status: u16, user: Option<i64>) {
        let took = self.begun.elapsed();
        if let Some(shared) = &self.shared {
            (shared.metrics).answered(&self.method, route, status, took);
        }
        // Never the path itself: what stands in it is the client's, perhaps a secret.
        tracing::info!(
            target: "inkpot::request",
            method = self.method.as_str(),
            route,
            status = u64::from(status),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            request_id = self.id.0,
            trace_id = self.trace.as_ref().map(Trace::id),
            user_id = user,
            "request"
        );
    }

    /// For an answer whose request is lost with a panic.
    fn end_without_request(&self, mut response: HttpResponse) -> actix_web::Error {
        self.end(None, None, &mut response);
        InternalError::from_response("a handler panicked", response).into()
    }
}

/// The trace that a request belongs to: two headers name none.
fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    let mut given = headers.get_all(trace::HEADER);
    let first = given.next()?;
    if given.next().is_some() {
        return None;
    }
    Trace::parse(first.as_bytes())
}

/// Whether a body of unknown length must end with the connection: a client of HTTP/1.0 knows
/// no chunks (RFC 9112 §6.1), and to one that asks for a tunnel or a WebSocket the HTTP layer
/// sends none, though it would say so.
fn is_unchunkable(request: &ServiceRequest) -> bool {
    let asks_for_socket = (request.headers().get(header::UPGRADE))
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    request.version() < Version::HTTP_11 || *request.method() == Method::CONNECT || asks_for_socket
}

/// Puts the path under which the world reaches this server before the paths of `Location`
/// and `Link`: a proxy takes it off requests, and gives answers back as they are.
fn links_under(base: &str, headers: &mut HeaderMap) {
    if base.is_empty() {
        return;
    }
    let under = |value: &HeaderValue, of_root: &str| {
        let text = value.to_str().ok()?;
        let moved = match of_root {
            "/" if text.starts_with('/') => format!("{base}{text}"),
            // No URL has a `<` in it.
            "</" => text.replace("</", &format!("<{base}/")),
            _ => return None,
        };
        HeaderValue::from_str(&moved).ok()
    };
    for (name, of_root) in [(header::LOCATION, "/"), (header::LINK, "</")] {
        let moved = headers.get(&name).and_then(|value| under(value, of_root));
        if let Some(moved) = moved {
            headers.insert(name, moved);
        }
    }
}

/// The code for a status that the framework chose.
fn code_for(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => Code::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        StatusCode::SERVICE_UNAVAILABLE => Code::Overloaded,
        status if status.is_client_error() => Code::MalformedRequest,
        _ => Code::Internal,
    }
}

/// Answers by what the client has and what it can read, unless that was done.
pub(super) async fn finish(request: &HttpRequest, response: HttpResponse) -> HttpResponse {
    if response.extensions().contains::<Finished>() {
        return response;
    }
    let response = revalidate(request, response);
    compress(request, response).await
}

/// 304 when the client has the present state already.
fn revalidate(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read || response.status() != StatusCode::OK {
        return response;
    }
    let Some(etag) = response.headers().get(header::ETAG) else {
        return response;
    };
    if !compression::none_match_fails(request.headers(), etag) {
        return response;
    }
    let size = match response.body().size() {
        BodySize::Sized(size) => usize::try_from(size).unwrap_or(usize::MAX),
        _ => 0,
    };
    // The ETag of the form that 200 would have had now.
    if compression::is_compressible(response.headers(), size)
        && let Some(coding) = Coding::negotiate(request.headers())
    {
        mark_coding(&mut response, coding);
    }
    if compression::is_text(response.headers()) {
        vary_by_encoding(&mut response);
    }
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().remove(header::CONTENT_TYPE);
    response.headers_mut().remove(header::CONTENT_ENCODING);
    response.drop_body().map_into_boxed_body()
}

async fn compress(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    // Answers with secrets stay plain: their compressed length would tell of them.
    let is_secret = response
        .headers()
        .get(header::CACHE_CONTROL)
        .is_some_and(|value| value == "no-store");
    if is_secret
        || response.status() == StatusCode::NOT_MODIFIED
        || !compression::is_text(response.headers())
    {
        return response;
    }
    vary_by_encoding(&mut response);
    let Some(coding) = Coding::negotiate(request.headers()) else {
        return response;
    };
    let (head, body) = response.into_parts();
    let body: Bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(stream) => return head.set_body(stream),
    };
    if !compression::is_compressible(head.headers(), body.len()) {
        return head.set_body(BoxBody::new(body));
    }
    let plain = body.clone();
    let compressed = if body.len() < COMPRESS_INLINE {
        coding.compress(&body)
    } else {
        match costly::read(move || coding.compress(&body)).await {
            Ok(compressed) => compressed,
            // No line: a client could have one written for each request.
            Err(Refused::Busy) => return head.set_body(BoxBody::new(plain)),
            Err(Refused::Panicked) => Err(std::io::Error::other(Refused::Panicked)),
        }
    };
    match compressed {
        Ok(bytes) => {
            let mut response = head.set_body(BoxBody::new(bytes));
            mark_coding(&mut response, coding);
            response
        }
        // The plain form is as good an answer.
        Err(error) => {
            tracing::warn!(%error, "cannot compress an answer");
            head.set_body(BoxBody::new(plain))
        }
    }
}

fn mark_coding(response: &mut HttpResponse, coding: Coding) {
    // That of a 201 names the new resource, not this answer.
    let names_this_answer = response.status() == StatusCode::OK;
    let etag = response
        .headers()
        .get(header::ETAG)
        .filter(|_| names_this_answer)
        .and_then(|etag| etag.to_str().ok())
        .and_then(|etag| HeaderValue::from_str(&compression::etag_in(etag, coding)).ok());
    let headers = response.headers_mut();
    if let Some(etag) = etag {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(
        header::CONTENT_ENCODING,
        HeaderValue::from_static(coding.name()),
    );
}

fn vary_by_encoding(response: &mut HttpResponse) {
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// A pattern of the router as the table of routes has it. The router has each twice, with a slash and without.
fn without_slash(pattern: &str) -> &str {
    match pattern.strip_suffix('/') {
        None | Some("") => pattern,
        Some(pattern) => pattern,
    }
}
