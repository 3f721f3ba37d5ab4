//! The upgrade of a request to a WebSocket (RFC 6455 §4).

use std::future::{Future, ready};
use std::time::Duration;

use actix_http::{ResponseBuilder, ws};
use actix_web::body::{BodyStream, MessageBody};
use actix_web::http::{Version, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt, stream};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::core::settings::Settings;
use crate::error::{Code, Error};
use crate::http::cors;
use crate::http::transport::Takeover;

/// The subprotocol that is spoken.
const PROTOCOL: &str = "inkpot.v1";
/// Before a token among the subprotocols, where a browser's page can put it.
const BEARER: &str = "bearer.";

/// The subprotocols that the client offers.
fn protocols(request: &HttpRequest) -> impl Iterator<Item = &str> {
    request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The token among the subprotocols.
pub fn offered_token(request: &HttpRequest) -> Option<&str> {
    protocols(request).find_map(|protocol| protocol.strip_prefix(BEARER))
}

/// A request that may become a WebSocket.
pub struct Upgrade<'a> {
    /// Whether the client offers the subprotocol. A page does, and cannot see why a
    /// handshake is refused.
    pub is_ours: bool,
    response: ResponseBuilder,
    takeover: &'a Takeover,
}

impl<'a> Upgrade<'a> {
    /// Checks where the request comes from, and that it is a handshake.
    pub fn of(request: &'a HttpRequest, settings: &Settings) -> Result<Self, Error> {
        let headers = request.headers();
        // Only pages send it, and always do.
        if headers.contains_key(header::ORIGIN) && !cors::is_from_page(headers, settings) {
            return Err(Error::new(Code::OriginRefused));
        }
        if request.version() < Version::HTTP_11 {
            let detail = "An upgrade needs HTTP/1.1.";
            return Err(Error::with_detail(Code::MalformedRequest, detail));
        }
        let mut response = ws::handshake(request.head())
            .map_err(|error| Error::with_detail(Code::MalformedRequest, error.to_string()))?;
        let is_ours = protocols(request).any(|protocol| protocol == PROTOCOL);
        if is_ours {
            response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL));
        }
        let takeover = request
            .conn_data::<Takeover>()
            .ok_or_else(|| Error::internal("no connection to take over"))?;
        Ok(Self {
            is_ours,
            response,
            takeover,
        })
    }

    /// The 101. Its connection goes to `serve`, which runs beside the requests, within a
    /// time.
    pub fn answer<S, F>(mut self, within: Duration, serve: S) -> Result<HttpResponse, Error>
    where
        S: FnOnce(oneshot::Receiver<TcpStream>) -> F,
        F: Future<Output = ()> + 'static,
    {
        let (taken, answered) = self.takeover.ask();
        actix_web::rt::spawn(serve(taken));
        // Nothing, until the connection is taken over, or the client went away before.
        let answered = timeout(within, answered);
        let nothing = stream::once(answered).filter_map(|_| ready(None::<Result<Bytes, Error>>));
        let body = BodyStream::new(nothing).boxed();
        let response = self
            .response
            .message_body(body)
            .map_err(|e| Error::internal(e))?;
        Ok(response.into())
    }
}
