//! One WebSocket: it hears the list and the changes, and ends when its session does.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::time::{sleep, sleep_until, timeout};

use super::hub::Hub;
use super::hub::{PARTING, Place};
use super::line::{self, Heard, Line, Unheard, Unsent};
use super::pulse::Pulse;
use crate::accounts::tokens::Subject;
use crate::accounts::{Accounts, actions};

/// How long who was too slow has to read what was on its way, and why it is the last.
const SLOW_PARTING: Duration = Duration::from_secs(30);
/// Before a session is looked up again when the database could not be asked.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side is gone.
    Gone,
    /// It has closed.
    Closed,
    /// The token expired, its session was ended, or its user deactivated.
    TokenEnded,
    ServerStops,
    TooSlow,
    /// It says nothing.
    Silent,
    /// It broke the protocol: the code that says how.
    Wrong(u16),
}

impl End {
    fn frame(self) -> Bytes {
        match self {
            Self::Gone | Self::Closed => line::close(1000, ""),
            Self::TokenEnded => line::close(4401, "the token has ended"),
            Self::ServerStops => line::close(1001, "the server stops"),
            Self::TooSlow => line::close(1013, "too slow a reader"),
            Self::Silent => line::close(1001, "no pong"),
            Self::Wrong(code) => line::close(code, "not understood"),
        }
    }
}

impl From<Unheard> for End {
    fn from(unheard: Unheard) -> Self {
        match unheard {
            Unheard::Gone => Self::Gone,
            Unheard::Wrong(code) => Self::Wrong(code),
        }
    }
}

impl From<Unsent> for End {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Gone => Self::Gone,
            Unsent::TooSlow => Self::TooSlow,
        }
    }
}

/// Whom a socket is of.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub subject: Subject,
    /// When the token ends, in seconds since the epoch.
    pub expires: i64,
}

/// Runs a socket from when its connection is `taken` over until it ends.
pub async fn run(
    taken: oneshot::Receiver<TcpStream>,
    mut place: Place,
    owner: Owner,
    accounts: Data<Accounts>,
    presence: Data<Hub>,
) {
    // It does not come when the client goes away before the answer.
    let Ok(Ok(stream)) = timeout(place.pace.patience, taken).await else {
        return;
    };
    let _open = presence.opened();
    let mut line = Line::new(stream);
    let Err(end) = talk(&mut line, &mut place, owner, &accounts).await;
    // From now on its user is not here, however long the parting takes.
    drop(place);
    match end {
        End::Gone => {}
        End::TooSlow => line.part(end.frame(), false, SLOW_PARTING).await,
        _ => line.part(end.frame(), end == End::Closed, PARTING).await,
    }
}

/// What never comes back but with an end.
enum Never {}

async fn talk(
    line: &mut Line,
    place: &mut Place,
    owner: Owner,
    accounts: &Data<Accounts>,
) -> Result<Never, End> {
    let joined = (&mut place.joined).await;
    let mut joined = joined.map_err(|_| End::ServerStops)?;
    let patience = place.pace.patience;
    line.say(joined.snapshot, patience).await?;
    // It is large, and others may be done with it.
    joined.snapshot = Bytes::new();
    let mut pulse = Pulse::new(place.pace);
    let expiry = sleep(until(owner.expires, accounts));
    tokio::pin!(expiry);
    let mut look = None;
    loop {
        tokio::select! {
            said = line.hear() => answer(line, said, &mut pulse, patience).await?,
            frame = joined.frames.recv() => match frame {
                Ok(frame) => line.say(frame, patience).await?,
                Err(RecvError::Lagged(_)) => return Err(End::TooSlow),
                Err(RecvError::Closed) => return Err(End::ServerStops),
            },
            () = sleep_until(pulse.due()) => {
                if pulse.is_over() {
                    // What came while this process stood still was not heard yet.
                    let said = line.hear().now_or_never().ok_or(End::Silent)?;
                    answer(line, said, &mut pulse, patience).await?;
                } else {
                    pulse.ping();
                    line.say(line::PING, patience).await?;
                }
            }
            () = &mut expiry => return Err(End::TokenEnded),
            // While it is looked, all else goes on: the database may not answer for long.
            () = place.look_again.notified(), if look.is_none() => {
                look = Some(Box::pin(is_live(owner, accounts.clone())) as Look);
            }
            is_live = end_of(&mut look) => {
                look = None;
                if !is_live {
                    return Err(End::TokenEnded);
                }
            }
        }
    }
}

/// Acts on what the client says.
async fn answer(
    line: &mut Line,
    said: Result<Heard, Unheard>,
    pulse: &mut Pulse,
    patience: Duration,
) -> Result<(), End> {
    let said = said?;
    if !pulse.beats() {
        return Err(End::Wrong(1008));
    }
    match said {
        Heard::Close => Err(End::Closed),
        Heard::Ping(payload) => Ok(line.say(line::pong(&payload), patience).await?),
        // There is nothing to say here; what is said is no harm.
        Heard::Something => Ok(()),
    }
}

/// A session that is looked at.
type Look = Pin<Box<dyn Future<Output = bool>>>;

/// What comes of it; waits for ever when there is none.
async fn end_of(look: &mut Option<Look>) -> bool {
    match look {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

fn until(expires: i64, accounts: &Accounts) -> Duration {
    let left = expires - accounts.directory.clock.timestamp();
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}

/// Whether the session is live and the token has not expired. Without the database it
/// is asked until there is an answer: what is known goes on.
async fn is_live(owner: Owner, accounts: Data<Accounts>) -> bool {
    if owner.expires <= accounts.directory.clock.timestamp() {
        return false;
    }
    loop {
        match actions::find_session_owner(&accounts, owner.subject).await {
            Ok(found) => return found.is_some(),
            Err(_) => sleep(AGAIN).await,
        }
    }
}
