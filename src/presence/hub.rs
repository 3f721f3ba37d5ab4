//! The sockets of this process, and what they are told.
//!
//! Changes are gathered: the first is told at once, what comes within the next quarter
//! of a second together. Each telling is serialized once for all sockets, and so is the
//! list for all who came with it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::web::Bytes;
use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::Instant;

use super::pulse::Pace;
use super::roster::{Delta, Member, Online, Roster};
use super::telling;
use crate::accounts::events::SessionEnded;
use crate::core::clock::Clock;
use crate::error::{Code, Error};

/// For how long changes are gathered.
pub const GATHER: Duration = Duration::from_millis(250);
/// How many of those who are online a list has.
pub const LISTED: usize = 1000;
/// Of how many who went at once a change tells; with more, or more than a list has who
/// came, the list is told anew instead: a socket costs no more however many there are.
const GONE: usize = 10_000;
/// Open sockets of one user, in all their tabs and devices.
pub const MAX_OF_USER: usize = 10;
/// Open sockets of one address, behind which may be many users.
const MAX_OF_ADDRESS: usize = 500;
/// Tellings that a socket may be behind: with a quarter of a second each, sixteen
/// seconds at least.
const BEHIND: usize = 64;
/// How long the last frame may take.
pub const PARTING: Duration = Duration::from_secs(2);
/// A process that says nothing for so long is gone, and its users with it.
pub const LEASE: Duration = Duration::from_secs(10);
/// From the connection until every other process is connected too, and was heard: before
/// that a list of who is online may lack whole processes.
const GATHERED: Duration = Duration::from_millis(1500);

/// All sockets of a process.
pub struct Hub {
    state: Mutex<State>,
    pub(super) changed: Notify,
    pub(super) doubted: Notify,
    /// Connections that are open, those that part included.
    open: AtomicUsize,
    closed: Notify,
    clock: Clock,
    limits_addresses: bool,
}

pub(super) struct State {
    pub(super) roster: Roster,
    sockets: HashMap<u64, Socket>,
    pub(super) of_user: HashMap<i64, HashSet<u64>>,
    of_address: HashMap<IpAddr, usize>,
    next: u64,
    /// Who wait for their first list.
    newcomers: Vec<oneshot::Sender<Joined>>,
    /// `None` when the server stops.
    frames: Option<broadcast::Sender<Bytes>>,
    pace: Pace,
    /// Users whose being here is to be told to other processes.
    pub(super) untold: HashSet<i64>,
    /// How many changes other processes were told.
    told: u64,
    /// How many names were doubted, and whose are to be looked up.
    pub(super) renames: u64,
    pub(super) doubted: HashSet<i64>,
    /// Whether other processes should be heard and are not.
    is_partial: bool,
    was_partial: bool,
    /// Since when other processes are asked who is online there; `None` when all have
    /// told, and when they are not heard.
    asked: Option<Instant>,
}

struct Socket {
    user_id: i64,
    session_id: i64,
    address: IpAddr,
    look_again: Arc<Notify>,
}

/// What a socket hears: the list as it was, and every change from then on.
pub struct Joined {
    pub snapshot: Bytes,
    pub frames: broadcast::Receiver<Bytes>,
}

/// A socket's place; it is given up by dropping it.
pub struct Place {
    hub: Arc<Hub>,
    id: u64,
    /// Asks the socket to look whether its session is still live.
    pub look_again: Arc<Notify>,
    pub pace: Pace,
    pub joined: oneshot::Receiver<Joined>,
}

impl Drop for Place {
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
                roster: Roster::default(),
                sockets: HashMap::new(),
                of_user: HashMap::new(),
                of_address: HashMap::new(),
                next: 0,
                newcomers: Vec::new(),
                frames: Some(broadcast::Sender::new(BEHIND)),
                pace: Pace::default(),
                untold: HashSet::new(),
                told: 0,
                renames: 0,
                doubted: HashSet::new(),
                is_partial: false,
                was_partial: false,
                asked: None,
            }),
            changed: Notify::new(),
            doubted: Notify::new(),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
            clock,
            limits_addresses,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No step of it leaves half of something behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a socket in. `renames` were counted before the name was read; `None` when it
    /// may be another one since, and is to be read again.
    pub fn enter(
        self: &Arc<Self>,
        (user_id, session_id): (i64, i64),
        (name, renames): (&str, u64),
        address: IpAddr,
    ) -> Result<Option<Place>, Error> {
        let mut state = self.lock();
        if state.frames.is_none() {
            return Err(Error::new(Code::Overloaded));
        }
        let of_user = state.sockets_of(user_id) + state.roster.sockets_elsewhere(user_id);
        let of_address = state.of_address.get(&address).copied().unwrap_or(0);
        if of_user >= MAX_OF_USER || (self.limits_addresses && of_address >= MAX_OF_ADDRESS) {
            return Err(Error::new(Code::TooManySockets));
        }
        if state.renames != renames {
            return Ok(None);
        }
        let id = state.next;
        state.next += 1;
        let look_again = Arc::new(Notify::new());
        let (tell, joined) = oneshot::channel();
        state.newcomers.push(tell);
        state.sockets.insert(
            id,
            Socket {
                user_id,
                session_id,
                address,
                look_again: Arc::clone(&look_again),
            },
        );
        state.of_user.entry(user_id).or_default().insert(id);
        *state.of_address.entry(address).or_default() += 1;
        // With a second tab only the name may be another one.
        let since = state.roster.own(user_id).map(|user| user.since);
        state.roster.came(Online {
            user_id,
            name: name.to_owned(),
            since: since.unwrap_or_else(|| self.clock.now()),
        });
        state.untold.insert(user_id);
        let pace = state.pace;
        drop(state);
        self.changed.notify_one();
        Ok(Some(Place {
            hub: Arc::clone(self),
            id,
            look_again,
            pace,
            joined,
        }))
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
            state.roster.went(socket.user_id);
        }
        // Other processes count the sockets that are left.
        state.untold.insert(socket.user_id);
        drop(state);
        self.changed.notify_one();
    }

    /// Has sockets wait otherwise for their clients: those that come from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.lock().pace = pace;
    }

    /// How many sockets are open.
    pub fn sockets(&self) -> usize {
        self.lock().sockets.len()
    }

    /// Has every socket look whether its session is still live.
    pub fn look_again(&self) {
        for socket in self.lock().sockets.values() {
            socket.look_again.notify_one();
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
                socket.look_again.notify_one();
            }
        }
    }

    /// What other processes say.
    pub fn hear<T>(&self, hear: impl FnOnce(&mut Roster, Duration) -> T) -> T {
        let mut state = self.lock();
        let heard = hear(&mut state.roster, self.clock.steady());
        let is_changed = state.roster.is_touched();
        drop(state);
        if is_changed {
            self.changed.notify_one();
        }
        heard
    }

    /// Whether other processes should be heard and are not.
    pub fn set_partial(&self, is_partial: bool) {
        let mut state = self.lock();
        state.is_partial = is_partial;
        state.asked = None;
        if is_partial {
            state.roster.forget_all();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Other processes are heard from now on, and asked who is online there. What ended
    /// meanwhile was not heard.
    pub fn connected(&self) {
        self.lock().asked = Some(Instant::now());
        self.look_again();
    }

    /// Forgets processes that are silent for too long. When those that were heard have
    /// all told who is online there, the list is whole.
    pub fn forget_silent(&self) {
        let is_all_known = self.hear(|roster, now| {
            roster.forget_silent(now.saturating_sub(LEASE));
            roster.is_all_known()
        });
        let asked = self.lock().asked;
        if is_all_known && asked.is_some_and(|asked| asked.elapsed() > GATHERED) {
            self.set_partial(false);
        }
    }

    /// How many changes other processes were told, and all who have sockets here: nobody
    /// when the server stops, since others will not be told when they go.
    pub fn own(&self) -> (u64, Vec<Member>) {
        let state = self.lock();
        let own = match state.frames {
            Some(_) => state
                .roster
                .all_own()
                .map(|user| state.member(user))
                .collect(),
            None => Vec::new(),
        };
        (state.told, own)
    }

    /// How many changes other processes were told.
    pub fn told(&self) -> u64 {
        self.lock().told
    }

    /// Who is online now: how many, the newest of them, and whether others are missing.
    pub fn list<T>(&self, read: impl FnOnce(usize, Vec<&Online>, bool) -> T) -> T {
        let mut state = self.lock();
        // What nobody was told yet is true already.
        state.roster.refresh();
        let online = state.roster.newest(LISTED).collect();
        read(state.roster.total(), online, state.is_partial)
    }

    /// Tells everybody what has changed; gives what other processes are to be told.
    fn tell(&self) -> Option<(u64, Delta<Member>)> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let delta = state.roster.tell();
        let (total, partial) = (state.roster.total(), state.is_partial);
        let frames = state.frames.as_ref()?;
        let is_news = !delta.is_empty() || state.was_partial != partial;
        state.was_partial = partial;
        let is_large = delta.came.len() > LISTED || delta.went.len() > GONE;
        let snapshot = || telling::snapshot(total, state.roster.newest(LISTED).collect(), partial);
        let snapshot = (is_large || !state.newcomers.is_empty()).then(snapshot);
        if is_news {
            let frame = match &snapshot {
                Some(snapshot) if is_large => snapshot.clone(),
                _ => telling::change(total, &delta, partial),
            };
            // Nobody may be there to hear it.
            let _ = frames.send(frame);
        }
        if let Some(snapshot) = snapshot {
            for newcomer in std::mem::take(&mut state.newcomers) {
                // It may have gone meanwhile.
                let _ = newcomer.send(Joined {
                    snapshot: snapshot.clone(),
                    frames: frames.subscribe(),
                });
            }
        }
        let mut own = Delta::default();
        for user_id in std::mem::take(&mut state.untold) {
            match state.roster.own(user_id) {
                Some(user) => own.came.push(state.member(user)),
                None => own.went.push(user_id),
            }
        }
        if own.is_empty() {
            return None;
        }
        state.told += 1;
        Some((state.told, own))
    }

    /// Tells changes for as long as the server runs; `publish` has what other processes
    /// are to be told.
    pub async fn run(&self, publish: impl Fn(u64, Delta<Member>)) {
        loop {
            self.changed.notified().await;
            if let Some((version, delta)) = self.tell() {
                publish(version, delta);
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Ends all sockets, and lets no more in: the server stops.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.frames = None;
        state.newcomers.clear();
    }

    /// Returns when all sockets have parted, or after [`PARTING`].
    pub async fn parted(&self) {
        let parted = async {
            while self.open.load(Ordering::Acquire) > 0 {
                self.closed.notified().await;
            }
        };
        // Who has not parted by then is cut off.
        let _ = tokio::time::timeout(PARTING, parted).await;
    }

    /// Counts a connection for as long as the guard lives.
    pub fn opened(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(self))
    }
}

/// A connection that is open, with or without a place.
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
