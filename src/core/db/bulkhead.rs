//! Bulkheads: each kind of work has connections of its own and a bounded queue before
//! them, so that a flood of one kind, or rows that somebody holds locked, take nothing
//! from the others.
//!
//! The queue is bounded in number ([`Bulkhead::queue`]) and in time ([`MAX_WAIT`]). Who
//! comes first is served first. Once the queue is full it sheds load: the one who has
//! waited longest is refused for each one who comes, and the newest is served first, until
//! half of the queue is empty, or as many were served as the queue has places and nobody was refused meanwhile: then as
//! many are served as come, and behind the newest the oldest would wait for ever. A request that is given up leaves the
//! queue at once.

use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::deadline::now;
use super::metrics::Usage;

/// How long a unit of work waits for a connection before its client is told to come back.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// A kind of work with connections of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bulkhead {
    /// Reads for clients.
    Reads,
    /// Searches by words, whose cost depends on what is asked.
    Searches,
    /// Transactions that write.
    Writes,
    /// What the process needs to be right: the changes of others, signing keys, readiness.
    Housekeeping,
}

impl Bulkhead {
    pub(super) const ALL: [Self; 4] = [
        Self::Reads,
        Self::Searches,
        Self::Writes,
        Self::Housekeeping,
    ];

    /// How many connections it has; `size` is the setting, and on SQLite there is one
    /// writer at a time.
    pub(super) fn connections(self, size: u32, is_sqlite: bool) -> u32 {
        match self {
            Self::Writes if is_sqlite => 1,
            Self::Reads | Self::Writes => size,
            Self::Searches => (size / 4).max(1),
            Self::Housekeeping => 2,
        }
    }

    /// How many units of work may wait for `connections`.
    pub(super) fn queue(self, connections: u32) -> usize {
        match self {
            // Each holds a connection for milliseconds.
            Self::Reads | Self::Writes | Self::Housekeeping => 1024,
            // Each may take a second.
            Self::Searches => 16 * connections as usize,
        }
    }
}

/// Why nobody may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Others came later, and the queue was full.
    Shed,
    /// It waited for as long as one may.
    TimedOut,
}

/// Lets as many in as there are connections; the others wait.
#[derive(Clone)]
pub(super) struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    queue: usize,
    usage: Usage,
}

struct State {
    free: u32,
    waiting: VecDeque<(u64, Waiter)>,
    /// Numbers those who wait.
    next: u64,
    /// How many are served newest first yet.
    newest_first: usize,
}

/// Who waits: a task or a thread.
enum Waiter {
    Task(oneshot::Sender<Permit>),
    Thread(SyncSender<Permit>),
}

impl Waiter {
    /// Lets it in; gives the permit back when it waits no more.
    fn admit(self, permit: Permit) -> Result<(), Permit> {
        match self {
            Self::Task(sender) => sender.send(permit),
            Self::Thread(sender) => sender.try_send(permit).map_err(|error| match error {
                std::sync::mpsc::TrySendError::Full(permit)
                | std::sync::mpsc::TrySendError::Disconnected(permit) => permit,
            }),
        }
    }
}

/// The right to use a connection; dropping it lets the next one in.
pub(super) struct Permit {
    shared: Option<Arc<Shared>>,
    since: Instant,
}

/// A place in the queue; dropping it leaves the queue.
struct Place<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Ok(index) = (state.waiting).binary_search_by_key(&self.number, |(n, _)| *n) {
            state.waiting.remove(index);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of waiting since then.
    fn waited(&self, since: Instant, admitted: Result<Permit, Refused>) -> Result<Permit, Refused> {
        match &admitted {
            Ok(_) => (self.usage.waited).observe(now().saturating_duration_since(since)),
            Err(Refused::Shed) => self.usage.shed.increment(),
            Err(Refused::TimedOut) => self.usage.timed_out.increment(),
        }
        admitted
    }
}

impl Permit {
    fn of(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Some(Arc::clone(shared)),
            since: now(),
        }
    }
}

impl Gate {
    pub(super) fn new(connections: u32, queue: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    free: connections,
                    waiting: VecDeque::new(),
                    next: 0,
                    newest_first: 0,
                }),
                queue,
                usage: Usage::default(),
            }),
        }
    }

    /// Lets a task in, within `wait`.
    pub(super) async fn enter(&self, wait: Duration) -> Result<Permit, Refused> {
        let (sender, receiver) = oneshot::channel();
        let place = match self.enter_or_queue(Waiter::Task(sender)) {
            Ok(permit) => return Ok(permit),
            Err(place) => place,
        };
        let since = now();
        let admitted = tokio::time::timeout(wait, receiver).await;
        drop(place);
        let admitted = match admitted {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Refused::Shed),
            Err(_) => Err(Refused::TimedOut),
        };
        self.shared.waited(since, admitted)
    }

    /// Lets a thread in that may block, within `wait`.
    pub(super) fn enter_blocking(&self, wait: Duration) -> Result<Permit, Refused> {
        let (sender, receiver) = sync_channel(1);
        let place = match self.enter_or_queue(Waiter::Thread(sender)) {
            Ok(permit) => return Ok(permit),
            Err(place) => place,
        };
        let since = now();
        let admitted = receiver.recv_timeout(wait);
        drop(place);
        let admitted = admitted.map_err(|error| match error {
            RecvTimeoutError::Disconnected => Refused::Shed,
            RecvTimeoutError::Timeout => Refused::TimedOut,
        });
        self.shared.waited(since, admitted)
    }

    fn enter_or_queue(&self, waiter: Waiter) -> Result<Permit, Place<'_>> {
        let mut state = self.shared.lock();
        if state.free > 0 {
            state.free -= 1;
            drop(state);
            self.shared.usage.waited.observe(Duration::ZERO);
            return Ok(Permit::of(&self.shared));
        }
        let shed = if state.waiting.len() >= self.shared.queue {
            state.newest_first = self.shared.queue;
            state.waiting.pop_front()
        } else {
            None
        };
        let number = state.next;
        state.next += 1;
        state.waiting.push_back((number, waiter));
        drop(state);
        // Dropping its sender tells it.
        drop(shed);
        Err(Place {
            shared: &self.shared,
            number,
        })
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// What is measured of it.
    pub(super) fn usage(&self) -> &Usage {
        &self.shared.usage
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        (shared.usage.used).observe(now().saturating_duration_since(self.since));
        loop {
            let mut state = shared.lock();
            let next = if state.newest_first > 0 {
                state.newest_first -= 1;
                state.waiting.pop_back()
            } else {
                state.waiting.pop_front()
            };
            if state.waiting.len() <= shared.queue / 2 {
                state.newest_first = 0;
            }
            let Some((_, waiter)) = next else {
                state.free += 1;
                return;
            };
            drop(state);
            let permit = Self::of(&shared);
            match waiter.admit(permit) {
                Ok(()) => return,
                // It gave up in between. Dropped whole, the permit would come back here.
                Err(mut permit) => permit.shared = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, join_all};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn waiting(gate: &Gate) -> BoxFuture<'static, Result<Permit, Refused>> {
        let gate = gate.clone();
        let mut entering = async move { gate.enter(LONG).await }.boxed();
        assert!((&mut entering).now_or_never().is_none());
        entering
    }

    #[tokio::test]
    async fn who_comes_first_is_served_first() {
        let gate = Gate::new(1, 8);
        let inside = gate.enter(LONG).await.unwrap();
        let mut first = waiting(&gate);
        let mut second = waiting(&gate);
        drop(inside);
        assert!((&mut second).now_or_never().is_none());
        let inside = (&mut first).now_or_never().unwrap().unwrap();
        drop(inside);
        assert!((&mut second).now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_the_oldest_and_serves_the_newest() {
        let gate = Gate::new(1, 4);
        let mut inside = gate.enter(LONG).await.unwrap();
        let mut queue: Vec<_> = (0..6).map(|_| waiting(&gate)).collect();
        assert_eq!(gate.waiting(), 4);
        for shed in &mut queue[..2] {
            assert_eq!(shed.now_or_never().unwrap().err(), Some(Refused::Shed));
        }
        // Newest first until half of the queue is empty, then in order again.
        for served in [5, 4, 2, 3] {
            drop(inside);
            inside = (&mut queue[served]).now_or_never().unwrap().unwrap();
        }
    }

    /// As many come as are served, so that the queue is neither full again nor half empty.
    #[tokio::test]
    async fn nobody_waits_for_ever_behind_the_newest() {
        let gate = Gate::new(1, 4);
        let mut inside = gate.enter(LONG).await.unwrap();
        let mut queue: VecDeque<_> = (0..5).map(|_| waiting(&gate)).collect();
        let shed = queue.pop_front().unwrap().await;
        assert_eq!(shed.err(), Some(Refused::Shed));
        let mut oldest = queue.pop_front().unwrap();
        for served in 0.. {
            drop(inside);
            if let Some(admitted) = (&mut oldest).now_or_never() {
                assert!(admitted.is_ok());
                assert_eq!(served, 4, "places of the queue");
                return;
            }
            let mut newest = queue.pop_back().unwrap();
            inside = (&mut newest).now_or_never().unwrap().unwrap();
            queue.push_back(waiting(&gate));
        }
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let gate = Gate::new(1, 4);
        let inside = gate.enter(LONG).await.unwrap();
        let given_up = waiting(&gate);
        let mut stays = waiting(&gate);
        drop(given_up);
        assert_eq!(gate.waiting(), 1);
        drop(inside);
        assert!((&mut stays).now_or_never().unwrap().is_ok());
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test]
    async fn a_permit_for_one_who_left_goes_to_the_next() {
        let gate = Gate::new(1, 4);
        let inside = gate.enter(LONG).await.unwrap();
        let admitted = waiting(&gate);
        let mut next = waiting(&gate);
        // The permit is on its way when its task is dropped.
        drop(inside);
        drop(admitted);
        assert!((&mut next).now_or_never().unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends() {
        let gate = Gate::new(1, 4);
        let _inside = gate.enter(LONG).await.unwrap();
        assert_eq!(gate.enter(MAX_WAIT).await.err(), Some(Refused::TimedOut));
        assert_eq!(gate.waiting(), 0);
        let refused = gate.enter_blocking(Duration::ZERO).err();
        assert_eq!(refused, Some(Refused::TimedOut));
    }

    #[tokio::test]
    async fn no_permit_is_lost_among_a_hundred() {
        let gate = Gate::new(3, 100);
        let work = (0..100).map(|n| {
            let gate = gate.clone();
            async move {
                let permit = gate.enter(LONG).await.unwrap();
                tokio::task::yield_now().await;
                drop(permit);
                n
            }
        });
        assert_eq!(join_all(work).await.len(), 100);
        assert_eq!(gate.shared.lock().free, 3);
    }
}
