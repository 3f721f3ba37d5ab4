//! Threads for what takes the processor for long, such as hashing passwords.
//!
//! They give way to all other threads (`priority`), and have a fair and bounded queue
//! ([`queue`]): a flood of such work slows itself, never reads, and not the work of others.
//! What does not fit, or has waited too long, is told to come back; what nobody waits for any
//! more is not done.

mod priority;
pub mod queue;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use tokio::sync::oneshot;

pub use self::priority::give_way;
use self::queue::{Bounds, FairQueue, Ticket};
use super::clock::Clock;
use super::metrics::{Counter, Families, Histogram, number};
use super::rate_limits::subscriber;

/// For whom work is done. Those who ask for much wait for themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    address: Option<IpAddr>,
    subject: Option<String>,
}

impl Requester {
    /// A client at an address, of which a /64 of IPv6 is one.
    pub fn at(address: IpAddr) -> Self {
        Self {
            address: Some(subscriber(address)),
            subject: None,
        }
    }

    /// The same, about somebody's account. Name it as it was named: what nobody has is
    /// treated like what somebody has.
    pub fn about(address: IpAddr, subject: &str) -> Self {
        Self {
            subject: Some(subject.to_owned()),
            ..Self::at(address)
        }
    }

    /// The operator, whom no bound is about but that of all.
    pub fn operator() -> Self {
        Self::default()
    }
}

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// Too much is waiting already, or it waited too long.
    Overloaded,
    /// The work panicked, or the threads are gone.
    Lost(&'static str),
}

/// What becomes of a job that leaves the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Refused,
}

type Job = Box<dyn FnOnce(Fate) + Send>;

/// Hands out work to its threads. Cloning is cheap; the threads end with the last clone.
#[derive(Clone)]
pub struct CpuPool {
    shared: Arc<Shared>,
    threads: usize,
    /// Closes the queue when the last clone goes.
    _open: Arc<Open>,
}

struct Shared {
    state: Mutex<State>,
    /// Something is in the queue, or it is closed.
    changed: Condvar,
    clock: Clock,
    done: AtomicU64,
    /// How long work waited that was done.
    waited: Histogram,
    refused: Counter,
}

struct State {
    queue: FairQueue<Job>,
    is_closed: bool,
}

struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// A poisoned lock has nothing half done behind it: no work is done under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CpuPool {
    /// Starts the threads: as many as there are processors where they give way to others, else
    /// half as many; at least one. `is_limited`: whether addresses and subjects have few places
    /// each. The error is one line.
    pub fn start(processors: usize, clock: Clock, is_limited: bool) -> Result<Self, String> {
        let (first, gives_way) = start_first()?;
        let threads = priority::threads(processors, gives_way);
        let places = queue::WAITING * threads;
        let bounds = if is_limited {
            Bounds::of(places)
        } else {
            Bounds::for_anybody(places)
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: FairQueue::new(bounds),
                is_closed: false,
            }),
            changed: Condvar::new(),
            clock,
            done: AtomicU64::new(0),
            waited: Histogram::default(),
            refused: Counter::new(),
        });
        let _ = first.send(Arc::clone(&shared));
        for n in 1..threads {
            let shared = Arc::clone(&shared);
            spawn(n, move || {
                priority::give_way();
                work(&shared);
            })?;
        }
        Ok(Self {
            _open: Arc::new(Open(Arc::clone(&shared))),
            shared,
            threads,
        })
    }

    /// How much work was done, which is what a test counts that says "the same work".
    pub fn done(&self) -> u64 {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// How much work waits for a thread.
    pub fn waiting(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// Tells of the queue and of what became of work.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        families.gauge(
            "inkpot_bcrypt_queue_length",
            "Passwords that wait to be hashed or compared, and other such work.",
            number(self.waiting()),
        )?;
        families.gauge(
            "inkpot_bcrypt_threads",
            "Threads that do such work.",
            number(self.threads),
        )?;
        families.counter(
            "inkpot_bcrypt_done",
            "Passwords that were hashed or compared, and other such work.",
            self.done(),
        )?;
        families.counter(
            "inkpot_bcrypt_refused",
            "Such work that was refused: too much waited, or it waited too long.",
            self.shared.refused.value(),
        )?;
        families.histogram(
            "inkpot_bcrypt_wait_seconds",
            "How long such work waited until it was begun.",
            &self.shared.waited,
        )
    }

    /// How much work is done at once.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs work on the threads, when it is its turn. Work whose future is dropped before
    /// leaves the queue at once.
    pub async fn run<T: Send + 'static>(
        &self,
        requester: &Requester,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (answer, result) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let since = shared.clock.steady();
        let job: Job = Box::new(move |fate| {
            if fate == Fate::Refused {
                shared.refused.increment();
                // Nobody may wait any more; the same below.
                let _ = answer.send(Err(PoolError::Overloaded));
                return;
            }
            if answer.is_closed() {
                return;
            }
            (shared.waited).observe(shared.clock.steady().saturating_sub(since));
            let value = work();
            shared.done.fetch_add(1, Ordering::Relaxed);
            let _ = answer.send(Ok(value));
        });
        let _place = self.enqueue(requester, job)?;
        result
            .await
            .map_err(|_| PoolError::Lost("costly work panicked"))?
    }

    fn enqueue(&self, requester: &Requester, job: Job) -> Result<Place<'_>, PoolError> {
        let now = self.shared.clock.steady();
        let pushed = self.shared.lock().queue.push(requester, job, now);
        let (ticket, displaced) = pushed.map_err(|_| {
            self.shared.refused.increment();
            PoolError::Overloaded
        })?;
        self.shared.changed.notify_one();
        if let Some(displaced) = displaced {
            displaced(Fate::Refused);
        }
        Ok(Place {
            shared: &self.shared,
            ticket,
        })
    }
}

/// A place in the queue, which is given up when this is dropped.
struct Place<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.shared.lock().queue.remove(&self.ticket);
        // Not under the lock: what the work holds may be large.
        drop(left);
    }
}

/// Starts the first thread, which does what it is then sent the queue of, and learns whether it
/// gives way to others: that is a thread's own, so nobody else can try it.
fn start_first() -> Result<(mpsc::Sender<Arc<Shared>>, bool), String> {
    let (sender, queue) = mpsc::channel::<Arc<Shared>>();
    let (says, told) = mpsc::channel();
    spawn(0, move || {
        let _ = says.send(priority::give_way());
        if let Ok(shared) = queue.recv() {
            work(&shared);
        }
    })?;
    Ok((sender, told.recv().unwrap_or(false)))
}

fn spawn(n: usize, body: impl FnOnce() + Send + 'static) -> Result<(), String> {
    thread::Builder::new()
        .name(format!("bcrypt-{n}"))
        .spawn(body)
        .map_err(|e| format!("cannot start a thread: {e}"))?;
    Ok(())
}

fn work(shared: &Shared) {
    loop {
        let mut state = shared.lock();
        let (next, late) = loop {
            let taken = state.queue.pop(shared.clock.steady());
            if taken.0.is_some() || !taken.1.is_empty() {
                break taken;
            }
            if state.is_closed {
                return;
            }
            state = (shared.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        for job in late {
            job(Fate::Refused);
        }
        if let Some(job) = next {
            // Work that panics takes its own answer with it and nothing else.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(Fate::Done)));
        }
    }
}

#[cfg(test)]
mod tests;
