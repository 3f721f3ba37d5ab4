//! One socket: it is sent the list and the changes, and ends when its session does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError as FramesError;
use tokio::sync::oneshot;
use tokio::time::{sleep, sleep_until, timeout};

use crate::accounts::tokens::Subject;
use crate::accounts::{Accounts, actions};
use crate::presence::connection::{
    Connection, Frame, PING, Received, RecvError, SendError, close_frame, pong_frame,
};
use crate::presence::hub::{CLOSE_TIMEOUT, Hub, Registration, Subscription};
use crate::presence::keep_alive::KeepAlive;

/// How long who was too slow has to read what was on its way, and why it is the last.
const SLOW_CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
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
    Protocol(u16),
}

impl End {
    fn frame(self) -> Frame {
        match self {
            Self::Gone | Self::Closed => close_frame(1000, ""),
            Self::TokenEnded => close_frame(4401, "the token has ended"),
            Self::ServerStops => close_frame(1001, "the server stops"),
            Self::TooSlow => close_frame(1013, "too slow a reader"),
            Self::Silent => close_frame(1001, "no pong"),
            Self::Protocol(code) => close_frame(code, "not understood"),
        }
    }
}

impl From<RecvError> for End {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Gone,
            RecvError::Protocol(code) => Self::Protocol(code),
        }
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Gone,
            SendError::TooSlow => Self::TooSlow,
        }
    }
}

/// Whose a socket is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub subject: Subject,
    /// When the token ends, in seconds since the epoch.
    pub expires: i64,
}

/// Serves a socket from when its connection is `taken` over until it ends.
pub async fn serve(
    taken: oneshot::Receiver<TcpStream>,
    mut registration: Registration,
    owner: Owner,
    accounts: Arc<Accounts>,
    hub: Arc<Hub>,
) {
    // It does not come when the client goes away before the answer.
    let Ok(Ok(stream)) = timeout(registration.timeouts.send, taken).await else {
        return;
    };
    let _open = hub.opened();
    let mut connection = Connection::new(stream);
    let Err(end) = exchange(&mut connection, &mut registration, owner, &accounts).await;
    // From now on its user is not here, however long the closing takes.
    drop(registration);
    let within = match end {
        End::Gone => return,
        End::TooSlow => SLOW_CLOSE_TIMEOUT,
        _ => CLOSE_TIMEOUT,
    };
    let has_closed = end == End::Closed;
    connection.close(end.frame(), has_closed, within).await;
}

/// Closes a socket, as soon as its connection is `taken` over, whose token has ended.
pub async fn refuse(taken: oneshot::Receiver<TcpStream>, hub: Arc<Hub>) {
    let Ok(Ok(stream)) = timeout(CLOSE_TIMEOUT, taken).await else {
        return;
    };
    let _open = hub.opened();
    let frame = End::TokenEnded.frame();
    Connection::new(stream)
        .close(frame, false, CLOSE_TIMEOUT)
        .await;
}

/// What never comes back but with an end.
enum Never {}

async fn exchange(
    connection: &mut Connection,
    registration: &mut Registration,
    owner: Owner,
    accounts: &Arc<Accounts>,
) -> Result<Never, End> {
    let subscription = (&mut registration.subscription).await;
    // The snapshot is large, and others may be done with it: it is not kept.
    let Subscription {
        snapshot,
        mut frames,
    } = subscription.map_err(|_| End::ServerStops)?;
    let within = registration.timeouts.send;
    connection.send(snapshot, within).await?;
    let mut keep_alive = KeepAlive::new(registration.timeouts);
    let expiry = sleep(until(owner.expires, accounts));
    tokio::pin!(expiry);
    let mut revalidation = None;
    loop {
        tokio::select! {
            received = connection.recv() => {
                answer(connection, received, &mut keep_alive, within).await?;
            }
            frame = frames.recv() => match frame {
                Ok(frame) => connection.send(frame, within).await?,
                Err(FramesError::Lagged(_)) => return Err(End::TooSlow),
                Err(FramesError::Closed) => return Err(End::ServerStops),
            },
            () = sleep_until(keep_alive.due()) => {
                if keep_alive.is_dead() {
                    // What came while this process stood still was not received yet.
                    let received = connection.recv().now_or_never().ok_or(End::Silent)?;
                    answer(connection, received, &mut keep_alive, within).await?;
                } else {
                    keep_alive.ping();
                    connection.send(PING, within).await?;
                }
            }
            () = &mut expiry => return Err(End::TokenEnded),
            // While it is looked up, all else goes on: the database may not answer for long.
            () = registration.revalidate.notified(), if revalidation.is_none() => {
                revalidation = Some(Box::pin(is_live(owner, Arc::clone(accounts))) as Revalidation);
            }
            is_live = result_of(&mut revalidation) => {
                revalidation = None;
                if !is_live {
                    return Err(End::TokenEnded);
                }
            }
        }
    }
}

/// Acts on what the client sends.
async fn answer(
    connection: &mut Connection,
    received: Result<Received, RecvError>,
    keep_alive: &mut KeepAlive,
    within: Duration,
) -> Result<(), End> {
    let received = received?;
    if !keep_alive.received() {
        return Err(End::Protocol(1008));
    }
    match received {
        Received::Close => Err(End::Closed),
        Received::Ping(payload) => Ok(connection.send(pong_frame(&payload), within).await?),
        // There is nothing to say here; what is said is no harm.
        Received::Other => Ok(()),
    }
}

/// A session that is looked up.
type Revalidation = Pin<Box<dyn Future<Output = bool>>>;

/// What comes of it; waits for ever when there is none.
async fn result_of(revalidation: &mut Option<Revalidation>) -> bool {
    match revalidation {
        Some(revalidation) => revalidation.await,
        None => std::future::pending().await,
    }
}

fn until(expires: i64, accounts: &Accounts) -> Duration {
    let left = expires - accounts.directory.clock.timestamp();
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}

/// Whether the session is live and the token has not expired. Without the database it
/// is asked until there is an answer: what is known goes on.
async fn is_live(owner: Owner, accounts: Arc<Accounts>) -> bool {
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
