//! The sockets of this process: who may join, and what each has to know of the others.

mod broadcast;
mod names;
mod sync;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, Sender};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::connection::Frame;
use super::keep_alive::Timeouts;
use super::membership::{Member, Membership, Online};
use crate::accounts::events::SessionEnded;
use crate::core::clock::Clock;
use crate::core::metrics::{Counter, Families, number};

/// Frames that a socket may be behind: with a quarter of a second each, sixteen seconds
/// at least.
const BACKLOG: usize = 64;
/// Open sockets of one user, in all their tabs and devices.
pub const MAX_OF_USER: usize = 10;
/// Open sockets of one address, behind which may be many users.
const MAX_OF_ADDRESS: usize = 500;
/// How long the last frame may take.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// All sockets of a process.
pub struct Hub {
    state: Mutex<State>,
    /// There is something to broadcast.
    changed: Notify,
    /// There are names to be looked up.
    names_invalidated: Notify,
    /// Connections that are open, those that are closing included.
    open: AtomicUsize,
    closed: Notify,
    clock: Clock,
    limits_addresses: bool,
    joined: Counter,
    refused: Counter,
}

struct State {
    membership: Membership,
    sockets: HashMap<u64, Socket>,
    of_user: HashMap<i64, HashSet<u64>>,
    of_address: HashMap<IpAddr, usize>,
    next: u64,
    awaiting_snapshot: Vec<oneshot::Sender<Subscription>>,
    /// `None` when the server stops.
    frames: Option<Sender<Frame>>,
    timeouts: Timeouts,
    /// Users whose being here is still to be sent to other processes.
    unsent: HashSet<i64>,
    /// How many changes were sent to other processes.
    version: u64,
    /// How often a name was invalidated.
    names_version: u64,
    /// Users whose names are to be looked up.
    stale_names: HashSet<i64>,
    /// Whether other processes should be heard and are not.
    is_partial: bool,
    was_partial: bool,
    /// Since when other processes are asked who is online there; `None` when all have
    /// answered, and when they are not heard.
    syncing_since: Option<Instant>,
}

struct Socket {
    user_id: i64,
    session_id: i64,
    address: IpAddr,
    revalidate: Arc<Notify>,
}

/// Who opens a socket.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    pub user_id: i64,
    pub session_id: i64,
    pub name: &'a str,
    /// [`Hub::names_version`] before the name was read.
    pub names_version: u64,
    pub address: IpAddr,
}

/// Why a socket may not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The user or the address has as many as it may.
    TooManySockets,
    /// The server stops.
    Stopping,
    /// The name may be another one since it was read, and is to be read again.
    StaleName,
}

/// What a socket is sent: the list as it was, and every change from then on.
pub struct Subscription {
    pub snapshot: Frame,
    pub frames: Receiver<Frame>,
}

/// A socket among all; dropping it is what makes the socket leave.
pub struct Registration {
    hub: Arc<Hub>,
    id: u64,
    /// Asks the socket to look whether its session is still live.
    pub revalidate: Arc<Notify>,
    pub timeouts: Timeouts,
    pub subscription: oneshot::Receiver<Subscription>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

impl Hub {
    /// Without anybody. `limits_addresses`: whether one address may have so many
    /// sockets only.
    pub fn new(clock: Clock, limits_addresses: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                membership: Membership::default(),
                sockets: HashMap::new(),
                of_user: HashMap::new(),
                of_address: HashMap::new(),
                next: 0,
                awaiting_snapshot: Vec::new(),
                frames: Some(Sender::new(BACKLOG)),
                timeouts: Timeouts::default(),
                unsent: HashSet::new(),
                version: 0,
                names_version: 0,
                stale_names: HashSet::new(),
                is_partial: false,
                was_partial: false,
                syncing_since: None,
            }),
            changed: Notify::new(),
            names_invalidated: Notify::new(),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
            clock,
            limits_addresses,
            joined: Counter::new(),
            refused: Counter::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No step of it leaves half of something behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a socket.
    pub fn join(self: &Arc<Self>, joining: Joining<'_>) -> Result<Registration, Refusal> {
        let Joining {
            user_id,
            session_id,
            name,
            names_version,
            address,
        } = joining;
        let mut state = self.lock();
        (self.admit(&state, user_id, address)).inspect_err(|_| self.refused.increment())?;
        if state.names_version != names_version {
            return Err(Refusal::StaleName);
        }
        let id = state.next;
        state.next += 1;
        let revalidate = Arc::new(Notify::new());
        let (subscribe, subscription) = oneshot::channel();
        state.awaiting_snapshot.push(subscribe);
        state.sockets.insert(
            id,
            Socket {
                user_id,
                session_id,
                address,
                revalidate: Arc::clone(&revalidate),
            },
        );
        state.of_user.entry(user_id).or_default().insert(id);
        *state.of_address.entry(address).or_default() += 1;
        // With a second tab only the name may be another one.
        let since = state.membership.own(user_id).map(|user| user.since);
        state.membership.join(Online {
            user_id,
            name: name.to_owned(),
            since: since.unwrap_or_else(|| self.clock.now()),
        });
        state.unsent.insert(user_id);
        let timeouts = state.timeouts;
        drop(state);
        self.joined.increment();
        self.changed.notify_one();
        Ok(Registration {
            hub: Arc::clone(self),
            id,
            revalidate,
            timeouts,
            subscription,
        })
    }

    fn admit(&self, state: &State, user_id: i64, address: IpAddr) -> Result<(), Refusal> {
        if state.frames.is_none() {
            return Err(Refusal::Stopping);
        }
        let of_user = state.sockets_of(user_id) + state.membership.sockets_elsewhere(user_id);
        let of_address = state.of_address.get(&address).copied().unwrap_or(0);
        if of_user >= MAX_OF_USER || (self.limits_addresses && of_address >= MAX_OF_ADDRESS) {
            return Err(Refusal::TooManySockets);
        }
        Ok(())
    }

    fn leave(&self, id: u64) {
        let mut state = self.lock();
        let Some(socket) = state.sockets.remove(&id) else {
            return;
        };
        if let Some(count) = state.of_address.get_mut(&socket.address) {
            *count -= 1;
            if *count == 0 {
                state.of_address.remove(&socket.address);
            }
        }
        let is_last = state.of_user.get_mut(&socket.user_id).is_none_or(|ids| {
            ids.remove(&id);
            ids.is_empty()
        });
        if is_last {
            state.of_user.remove(&socket.user_id);
            state.membership.leave(socket.user_id);
        }
        // Other processes count the sockets that are left.
        state.unsent.insert(socket.user_id);
        drop(state);
        self.changed.notify_one();
    }

    /// Sets the timeouts of sockets that join from now on.
    pub fn set_timeouts(&self, timeouts: Timeouts) {
        self.lock().timeouts = timeouts;
    }

    /// How many sockets are open.
    pub fn sockets(&self) -> usize {
        self.lock().sockets.len()
    }

    /// Tells of sockets and of who is online.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        let state = self.lock();
        let (sockets, online) = (state.sockets.len(), state.membership.total());
        drop(state);
        families.gauge(
            "inkpot_sockets",
            "WebSockets that are open here.",
            number(sockets),
        )?;
        families.gauge(
            "inkpot_users_online",
            "Users who are online, in all processes that this one hears.",
            number(online),
        )?;
        families.counter(
            "inkpot_sockets_joined",
            "WebSockets that were opened.",
            self.joined.value(),
        )?;
        families.counter(
            "inkpot_sockets_refused",
            "WebSockets that were refused: the user or the address had too many, or the server \
             stops.",
            self.refused.value(),
        )
    }

    /// Has every socket look whether its session is still live.
    pub fn revalidate_all(&self) {
        for socket in self.lock().sockets.values() {
            socket.revalidate.notify_one();
        }
    }

    /// Has the sockets of sessions that may have ended look whether they did.
    pub fn session_ended(&self, ended: &SessionEnded) {
        let state = self.lock();
        for id in state.of_user.get(&ended.user_id).into_iter().flatten() {
            if let Some(socket) = state.sockets.get(id)
                && ended
                    .session_id
                    .is_none_or(|ended| socket.session_id == ended)
            {
                socket.revalidate.notify_one();
            }
        }
    }

    /// Ends all sockets, and lets no more in: the server stops.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.frames = None;
        state.awaiting_snapshot.clear();
    }

    /// Returns when all connections are closed, or after [`CLOSE_TIMEOUT`].
    pub async fn closed(&self) {
        let closed = async {
            while self.open.load(Ordering::Acquire) > 0 {
                self.closed.notified().await;
            }
        };
        // What is open by then is cut off.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
    }

    /// Counts a connection for as long as the guard lives.
    pub fn opened(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(self))
    }
}

/// A connection that is open, registered or not.
pub struct Open(Arc<Hub>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.closed.notify_one();
    }
}

impl State {
    fn sockets_of(&self, user_id: i64) -> usize {
        self.of_user.get(&user_id).map_or(0, HashSet::len)
    }

    /// Somebody who has sockets here, as other processes are told.
    fn member(&self, user: &Online) -> Member {
        Member {
            user: user.clone(),
            sockets: self.sockets_of(user.user_id),
        }
    }
}
