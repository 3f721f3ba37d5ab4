//! Threads for what takes the processor for long, such as hashing passwords.
//!
//! Fewer than the machine has processors, with a bounded queue: a flood of such work
//! slows itself, never reads; what does not fit the queue is told to come back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// Jobs that may wait for each thread; with bcrypt at cost 12 the last of them half a
/// minute.
const QUEUE: usize = 128;

type Job = Box<dyn FnOnce() + Send>;

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// Too much is waiting already.
    Overloaded,
    /// The work panicked, or the threads are gone.
    Lost(&'static str),
}

/// Hands out work to its threads. Cloning is cheap; the threads end with the last clone.
#[derive(Clone)]
pub struct CpuPool {
    queue: SyncSender<Job>,
    done: Arc<AtomicU64>,
}

impl CpuPool {
    /// Starts the threads: half as many as there are processors, at least one. The error
    /// is one line.
    pub fn start(processors: usize) -> Result<Self, String> {
        let threads = (processors / 2).max(1);
        let (queue, jobs) = sync_channel::<Job>(QUEUE * threads);
        let jobs = Arc::new(Mutex::new(jobs));
        for n in 0..threads {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("bcrypt-{n}"))
                .spawn(move || work(&jobs))
                .map_err(|e| format!("cannot start a thread: {e}"))?;
        }
        Ok(Self {
            queue,
            done: Arc::new(AtomicU64::new(0)),
        })
    }

    /// How much work was done, which is what a test counts that says "the same work".
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Runs work on the threads.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (answer, result) = oneshot::channel();
        let done = Arc::clone(&self.done);
        let job: Job = Box::new(move || {
            // Nobody waits any more: the client has gone.
            if answer.is_closed() {
                return;
            }
            let value = work();
            done.fetch_add(1, Ordering::Relaxed);
            // The client may have gone meanwhile.
            let _ = answer.send(value);
        });
        self.queue.try_send(job).map_err(|full| match full {
            TrySendError::Full(_) => PoolError::Overloaded,
            TrySendError::Disconnected(_) => {
                PoolError::Lost("the threads for costly work are gone")
            }
        })?;
        result
            .await
            .map_err(|_| PoolError::Lost("costly work panicked"))
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // Held while waiting only, not while working. A poisoned lock has nothing half
        // done behind it.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // Work that panics takes its own answer with it and nothing else.
            Ok(job) => {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            }
            Err(_) => return,
        }
    }
}
