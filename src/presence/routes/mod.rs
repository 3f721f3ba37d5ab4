//! `/user/online` over HTTP: the list, and the live stream by WebSocket; and everybody, at
//! `/user/directory`.

mod directory;
mod upgrade;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use self::upgrade::Upgrade;
use crate::accounts::Accounts;
use crate::accounts::extract::identify_offered;
use crate::accounts::tokens::Subject;
use crate::core::rate_limits::subscriber;
use crate::core::settings::Settings;
use crate::error::{Code, Error};
use crate::http::client_address;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::handler::{self, Extract};
use crate::http::response::{self, CacheControl};
use crate::presence::actions::join::{Joined, join};
use crate::presence::actions::serve::{Owner, refuse, serve};
use crate::presence::frames::Body;
use crate::presence::hub::{CLOSE_TIMEOUT, Hub, Registration};
use crate::presence::membership::Online;

const TAG: &str = "presence";
/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/user/online").get(
            Operation::new("listOnline", TAG, "List who is online", "Who is online")
                .description(
                    "The newest 1,000 of those who have a socket open, and how many there are. With \
                     `Upgrade: websocket` the same URL is the live stream: frames of JSON (`x-frames`), \
                     first `{\"type\": \"snapshot\", \"total\", \"online\": […]}`, then \
                     `{\"type\": \"change\", \"total\", \"online\": […], \"offline\": [user_id, …]}`, \
                     gathered over at most 250 ms; another snapshot, which begins anew, when very \
                     much has changed. The token is in a header or, from a page, among the \
                     subprotocols: `new WebSocket(url, [\"inkpot.v1\", \"bearer.\" + token])`. \
                     A server that should hear other processes and does not adds `\"partial\": true`. \
                     Close codes: 4401 the token ended (a handshake that offers `inkpot.v1` \
                     is accepted with such a token, for a page cannot see a 401), 1001 the server stops or hears nothing, 1013 too \
                     slow a reader, 1002, 1007, 1008 and 1009 what the client sent.",
                )
                .database()
                .answers::<OnlineAnswer>(StatusCode::OK, example())
                .sends_frames::<Body>()
                .refuses(&[Code::OriginRefused, Code::TooManySockets, Code::MalformedRequest]),
            online,
        ),
        directory::endpoint(),
    ]
}

fn example() -> serde_json::Value {
    json!({
        "online": [{ "user_id": 1, "name": "Ann Smith", "since": "2026-11-21T09:30:00.123456Z" }],
        "total": 1,
    })
}

#[derive(Serialize, ToSchema)]
struct OnlineAnswer<'a> {
    /// The newest 1,000, the newest first.
    #[schema(value_type = Vec<Online>)]
    online: Vec<&'a Online>,
    #[schema(minimum = 0, value_type = i64)]
    total: usize,
    /// Only there, and true, when other processes should be heard and are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    partial: Option<bool>,
}

/// Who calls, by a token in a header or, where a socket is asked for, among the
/// subprotocols.
enum Viewer {
    Reader,
    Socket(Owner),
    /// Asks for a socket with a token that is bad or over, which this refusal says.
    Ended(Error),
}

impl Extract for Viewer {
    async fn extract(request: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
        let wants_socket = (request.headers().get(header::UPGRADE))
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let offered = upgrade::offered_token(request).filter(|_| wants_socket);
        let accounts = handler::part::<Accounts>(request)?;
        let identified = identify_offered(request, accounts, offered).await;
        let (caller, expires) = match identified {
            Err(error) if wants_socket && error.code.is_of_bad_token() => {
                return Ok(Self::Ended(error));
            }
            identified => identified?,
        };
        if !wants_socket {
            return Ok(Self::Reader);
        }
        let subject = Subject {
            user_id: caller.user_id,
            session_id: caller.session_id,
        };
        Ok(Self::Socket(Owner { subject, expires }))
    }

    fn describe(operation: Operation) -> Operation {
        operation.token()
    }
}

async fn online(
    viewer: Viewer,
    request: HttpRequest,
    settings: Data<Settings>,
    accounts: Data<Accounts>,
    hub: Data<Hub>,
) -> Result<HttpResponse, Error> {
    match viewer {
        Viewer::Reader => {}
        Viewer::Socket(owner) => {
            return open_socket(owner, &request, &settings, (accounts, hub)).await;
        }
        Viewer::Ended(error) => return close_at_once(error, &request, &settings, &hub),
    }
    hub.list(|total, online, is_partial| {
        let answer = OnlineAnswer {
            online,
            total,
            partial: is_partial.then_some(true),
        };
        response::json(StatusCode::OK, CacheControl::NoStore, &answer)
    })
}

/// Registers a socket, and leaves it to itself.
async fn open_socket(
    owner: Owner,
    request: &HttpRequest,
    settings: &Settings,
    (accounts, hub): (Data<Accounts>, Data<Hub>),
) -> Result<HttpResponse, Error> {
    let upgrade = Upgrade::of(request, settings)?;
    let address = subscriber(client_address::of_request(request)?.0);
    let joined = join(&hub, &accounts.directory, owner.subject, address).await?;
    let registration = match registered(joined) {
        Err(error) if error.code.is_of_bad_token() => {
            return close_at_once(error, request, settings, &hub);
        }
        registration => registration?,
    };
    let within = registration.timeouts.send;
    let (accounts, hub) = (accounts.into_inner(), hub.into_inner());
    upgrade.answer(within, |taken| {
        serve(taken, registration, owner, accounts, hub)
    })
}

/// Opens a socket to close it: a page is told by the close code what it could not see of a
/// refused handshake, and does not try again for ever. Others get the refusal.
fn close_at_once(
    refusal: Error,
    request: &HttpRequest,
    settings: &Settings,
    hub: &Data<Hub>,
) -> Result<HttpResponse, Error> {
    let upgrade = Upgrade::of(request, settings).ok();
    let Some(upgrade) = upgrade.filter(|upgrade| upgrade.is_ours) else {
        return Err(refusal);
    };
    let hub = Arc::clone(hub);
    upgrade.answer(CLOSE_TIMEOUT, |taken| refuse(taken, hub))
}

fn registered(joined: Joined) -> Result<Registration, Error> {
    Err(Error::new(match joined {
        Joined::Registered(registration) => return Ok(registration),
        Joined::NoUser => Code::SessionEnded,
        Joined::TooManySockets => Code::TooManySockets,
        Joined::Stopping => Code::Overloaded,
    }))
}
