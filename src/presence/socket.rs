//! One WebSocket (RFC 6455): it hears the list and the changes, and ends when its
//! session does.

use std::time::Duration;

use actix_web::web::Data;
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, ProtocolError, Session};
use bytestring::ByteString;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::hub::Place;
use crate::accounts::tokens::Subject;
use crate::app::App;
use crate::http::wire::HangUp;

/// Between two pings.
const PING: Duration = Duration::from_secs(15);
/// Who says nothing for so long, not even a pong, is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a frame may wait for a reader before it counts as too slow.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last frame may take.
const PARTING: Duration = Duration::from_secs(2);
/// Bytes of a frame that a client may send. It has nothing to say.
pub const MAX_FRAME: usize = 4096;
/// Before a session is looked up again when the database could not be asked.
const AGAIN: Duration = Duration::from_secs(1);

/// The token ended: it expired, its session was ended, its user deactivated.
const TOKEN_ENDED: u16 = 4401;

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side is gone.
    Gone,
    /// It has closed.
    Closed,
    TokenEnded,
    ServerStops,
    TooSlow,
    /// It says nothing.
    Silent,
    /// It broke the protocol.
    Wrong(CloseCode),
}

impl End {
    fn reason(self) -> Option<CloseReason> {
        let (code, text) = match self {
            Self::Gone => return None,
            Self::Closed => (CloseCode::Normal, ""),
            Self::TokenEnded => (CloseCode::from(TOKEN_ENDED), "the token has ended"),
            Self::ServerStops => (CloseCode::Away, "the server stops"),
            Self::TooSlow => (CloseCode::Again, "too slow a reader"),
            Self::Silent => (CloseCode::Away, "no pong"),
            Self::Wrong(code) => (code, "not understood"),
        };
        Some((code, text).into())
    }
}

/// Whom a socket is of.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub subject: Subject,
    /// When the token ends, in seconds since the epoch.
    pub expires: i64,
}

/// Runs a socket until it ends; `hang_up` ends its connection.
pub async fn run(
    mut session: Session,
    mut stream: MessageStream,
    mut place: Place,
    owner: Owner,
    app: Data<App>,
    hang_up: Option<HangUp>,
) {
    let end = talk(&mut session, &mut stream, &mut place, owner, &app).await;
    // From now on its user is not here, however long the parting takes.
    drop(place);
    let Some(reason) = end.reason() else { return };
    let parting = async {
        let _ = session.close(Some(reason)).await;
        // Ends when the last frame is on its way.
        while let Some(Ok(_)) = stream.recv().await {}
    };
    let _ = timeout(PARTING, parting).await;
    if let Some(hang_up) = hang_up {
        hang_up.part(end == End::Closed);
    }
}

async fn talk(
    session: &mut Session,
    stream: &mut MessageStream,
    place: &mut Place,
    owner: Owner,
    app: &Data<App>,
) -> End {
    let Ok(joined) = (&mut place.joined).await else {
        return End::ServerStops;
    };
    let mut frames = joined.frames;
    if let Err(end) = say(session, joined.snapshot).await {
        return end;
    }
    let mut heard = Instant::now();
    let mut pings = interval_at(heard + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let expiry = sleep(until(owner.expires, app));
    tokio::pin!(expiry);
    loop {
        tokio::select! {
            message = stream.recv() => match message {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    match message {
                        Message::Close(_) => return End::Closed,
                        Message::Ping(bytes)
                            if timeout(PATIENCE, session.pong(&bytes)).await.is_err() =>
                        {
                            return End::TooSlow;
                        }
                        // There is nothing to say here; what is said is no harm.
                        _ => {}
                    }
                }
                Some(Err(error)) => return wrong(&error),
                None => return End::Gone,
            },
            frame = frames.recv() => match frame {
                Ok(frame) => if let Err(end) = say(session, frame).await {
                    return end;
                },
                Err(RecvError::Lagged(_)) => return End::TooSlow,
                Err(RecvError::Closed) => return End::ServerStops,
            },
            _ = pings.tick() => {
                if heard.elapsed() >= SILENCE {
                    return End::Silent;
                }
                if timeout(PATIENCE, session.ping(b"")).await.is_err() {
                    return End::TooSlow;
                }
            }
            () = &mut expiry => return End::TokenEnded,
            () = place.look_again.notified() => {
                if !is_live(owner, app).await {
                    return End::TokenEnded;
                }
            }
        }
    }
}

/// Sends a frame; an error when it cannot be sent.
async fn say(session: &mut Session, frame: ByteString) -> Result<(), End> {
    match timeout(PATIENCE, session.text(frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::TooSlow),
    }
}

fn until(expires: i64, app: &App) -> Duration {
    let left = expires - app.clock.timestamp();
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}

/// Whether the session is live and the token has not expired. Without the database it
/// is asked until there is an answer: what is known goes on.
async fn is_live(owner: Owner, app: &Data<App>) -> bool {
    if owner.expires <= app.clock.timestamp() {
        return false;
    }
    loop {
        match app.known.owner(owner.subject, &app.db, &app.clock).await {
            Ok(found) => return found.is_some(),
            Err(_) => sleep(AGAIN).await,
        }
    }
}

fn wrong(error: &ProtocolError) -> End {
    match error {
        ProtocolError::Overflow => End::Wrong(CloseCode::Size),
        // Text that is not UTF-8 comes so, and so does a connection that broke.
        ProtocolError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            End::Wrong(CloseCode::Invalid)
        }
        ProtocolError::Io(_) => End::Gone,
        _ => End::Wrong(CloseCode::Protocol),
    }
}
