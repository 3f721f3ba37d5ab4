//! bcrypt's own threads.
//!
//! Fewer than the machine has processors, with a bounded queue: a flood of logins
//! slows logins, never reads; what does not fit the queue is told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::password::Password;
use crate::error::{Code, Error};

/// Jobs that may wait for each thread; at cost 12 the last of them half a minute.
const QUEUE: usize = 128;

type Job = Box<dyn FnOnce() + Send>;

/// Hands out bcrypt work. Cloning is cheap; the threads end with the last clone.
#[derive(Clone)]
pub struct Hasher {
    queue: SyncSender<Job>,
    cost: u32,
    /// What the password of an account that does not exist is compared with.
    nobody: Arc<str>,
    done: Arc<AtomicU64>,
}

impl Hasher {
    /// Starts the threads: half as many as there are processors, at least one.
    pub fn start(cost: u32, processors: usize) -> Result<Self, String> {
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
        // A password that nobody has: the hash of random bits.
        let unknown = ulid::Ulid::generate().to_string();
        let nobody = Password::attempt(&unknown)
            .hash(cost)
            .map_err(|e| e.to_string())?;
        Ok(Self {
            queue,
            cost,
            nobody: nobody.into(),
            done: Arc::new(AtomicU64::new(0)),
        })
    }

    /// The cost of new hashes.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// How many comparisons and hashes were done, which is what a test counts that
    /// says "the same work".
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let cost = self.cost;
        self.run(move || password.hash(cost))
            .await?
            .map_err(Error::internal)
    }

    /// Whether `password` is that of `record`; without a record the same work is
    /// done for nothing.
    pub async fn verify(&self, password: Password, record: Option<String>) -> Result<bool, Error> {
        let nobody = Arc::clone(&self.nobody);
        self.run(move || {
            let is_right = password.verify(record.as_deref().unwrap_or(&nobody));
            is_right && record.is_some()
        })
        .await
    }

    /// Runs costly work on the threads.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
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
            TrySendError::Full(_) => Error::new(Code::Overloaded),
            TrySendError::Disconnected(_) => Error::internal("the bcrypt threads are gone"),
        })?;
        result
            .await
            .map_err(|_| Error::internal("a bcrypt job panicked"))
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // Held while waiting only, not while hashing. A poisoned lock has nothing
        // half done behind it.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // A job that panics takes its own answer with it and nothing else.
            Ok(job) => {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            }
            Err(_) => return,
        }
    }
}
