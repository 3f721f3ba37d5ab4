//! `/user/online` over HTTP: the list, and the live stream by WebSocket.

use std::future::ready;

use actix_http::ws;
use actix_web::body::{BodyStream, MessageBody};
use actix_web::http::{StatusCode, Version, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::Hub;
use super::roster::Online;
use super::socket::{self, Owner};
use crate::accounts::extract::{Caller, identify_offered};
use crate::accounts::tokens::Subject;
use crate::accounts::{Accounts, actions};
use crate::core::rate_limits::subscriber;
use crate::core::settings::Settings;
use crate::error::{Code, Error};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::response::{self, Keep};
use crate::http::transport::Takeover;
use crate::http::{client_address, cors};

const TAG: &str = "presence";
/// The subprotocol that is spoken.
const PROTOCOL: &str = "inkpot.v1";
/// Before a token among the subprotocols, where a browser's page can put it.
const BEARER: &str = "bearer.";

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/user/online").get(
            Operation::new("listOnline", TAG, "Who is online")
                .description(
                    "The newest 1,000 of those who have a socket open, and how many there are. With \
                     `Upgrade: websocket` the same URL is the live stream: frames of JSON, first \
                     `{\"type\": \"snapshot\", \"total\", \"online\": […]}`, then \
                     `{\"type\": \"change\", \"total\", \"online\": […], \"offline\": [user_id, …]}`, \
                     gathered over at most 250 ms; another snapshot, which begins anew, when very \
                     much has changed. The token is in a header or, from a page, among the \
                     subprotocols: `new WebSocket(url, [\"inkpot.v1\", \"bearer.\" + token])`. \
                     A server that should hear other processes and does not adds `\"partial\": true`. \
                     Close codes: 4401 the token ended, 1001 the server stops or hears nothing, 1013 too \
                     slow a reader, 1002, 1007, 1008 and 1009 what the client sent.",
                )
                .token()
                .database()
                .answers::<OnlineAnswer>(StatusCode::OK, example())
                .refuses(&[Code::OriginRefused, Code::TooManySockets, Code::MalformedRequest]),
            online,
        ),
    ]
}

fn example() -> serde_json::Value {
    json!({
        "online": [{ "user_id": 1, "name": "Ann Smith", "since": "2026-11-21T09:30:00.123456Z" }],
        "total": 1,
    })
}

/// Somebody who is online.
#[derive(Serialize, ToSchema)]
struct OnlineView<'a> {
    #[schema(minimum = 1)]
    user_id: i64,
    name: &'a str,
    #[serde(serialize_with = "crate::core::clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    since: chrono::NaiveDateTime,
}

impl<'a> From<&'a Online> for OnlineView<'a> {
    fn from(user: &'a Online) -> Self {
        Self {
            user_id: user.user_id,
            name: &user.name,
            since: user.since,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct OnlineAnswer<'a> {
    /// The newest 1,000, the newest first.
    online: Vec<OnlineView<'a>>,
    #[schema(minimum = 0)]
    total: usize,
    /// Only there, and true, when other processes should be heard and are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    partial: Option<bool>,
}

async fn online(
    req: HttpRequest,
    settings: Data<Settings>,
    accounts: Data<Accounts>,
    presence: Data<Hub>,
) -> Result<HttpResponse, Error> {
    let is_socket = req
        .headers()
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let offered = if is_socket { offered_token(&req) } else { None };
    let (caller, expires) = identify_offered(&req, &accounts, offered).await?;
    if is_socket {
        return open(&req, &settings, (accounts, presence), caller, expires).await;
    }
    presence.list(|total, online, is_partial| {
        let answer = OnlineAnswer {
            online: online.into_iter().map(Into::into).collect(),
            total,
            partial: is_partial.then_some(true),
        };
        response::json(StatusCode::OK, Keep::Never, &answer)
    })
}

/// The subprotocols that the client offers.
fn protocols(req: &HttpRequest) -> impl Iterator<Item = &str> {
    req.headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The token among the subprotocols.
fn offered_token(req: &HttpRequest) -> Option<&str> {
    protocols(req).find_map(|protocol| protocol.strip_prefix(BEARER))
}

/// Lets a socket in, and leaves it to itself.
async fn open(
    req: &HttpRequest,
    settings: &Settings,
    (accounts, presence): (Data<Accounts>, Data<Hub>),
    caller: Caller,
    expires: i64,
) -> Result<HttpResponse, Error> {
    let headers = req.headers();
    // Only pages send it, and always do.
    if headers.contains_key(header::ORIGIN) && !cors::is_from_page(headers, settings) {
        return Err(Error::new(Code::OriginRefused));
    }
    if req.version() < Version::HTTP_11 {
        let detail = "An upgrade needs HTTP/1.1.";
        return Err(Error::with_detail(Code::MalformedRequest, detail));
    }
    let mut response = ws::handshake(req.head())
        .map_err(|error| Error::with_detail(Code::MalformedRequest, error.to_string()))?;
    if protocols(req).any(|protocol| protocol == PROTOCOL) {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL));
    }
    let takeover = req
        .conn_data::<Takeover>()
        .ok_or_else(|| Error::internal("no connection to take over"))?;
    let address = subscriber(client_address::of_request(req)?.0);
    let whose = (caller.user_id, caller.session_id);
    let place = loop {
        let renames = presence.renames();
        let user = actions::find_active_user(&accounts.directory, caller.user_id)
            .await?
            .ok_or_else(|| Error::new(Code::InvalidToken))?;
        let entered = presence.enter(whose, (&user.name, renames), address)?;
        if let Some(place) = entered {
            break place;
        }
    };
    // What ended its session since it was looked at did not know of this socket.
    place.look_again.notify_one();
    let owner = Owner {
        subject: Subject {
            user_id: caller.user_id,
            session_id: caller.session_id,
        },
        expires,
    };
    let patience = place.pace.patience;
    let (taken, answered) = takeover.ask();
    actix_web::rt::spawn(socket::run(taken, place, owner, accounts, presence));
    // Nothing, until the connection is taken over, or the client went away before.
    let answered = timeout(patience, answered);
    let nothing = stream::once(answered).filter_map(|_| ready(None::<Result<Bytes, Error>>));
    let body = BodyStream::new(nothing);
    let response = response
        .message_body(body.boxed())
        .map_err(|e| Error::internal(e))?;
    Ok(response.into())
}
