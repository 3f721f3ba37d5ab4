//! The worker: claims jobs, has their handlers do them and writes down what came of it.
//!
//! One loop: what has ended is written and what is due is claimed in one transaction,
//! so that a hundred jobs cost little more than one. Between two of them nothing is
//! held but leases.

mod one;
mod running;
pub mod thread;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::running::Running;
use crate::core::clock::Clock;
use crate::core::db::{Db, DbError};
use crate::core::telemetry::chain::Chain;
use crate::core::telemetry::request;
use crate::jobs::JobMetrics;
use crate::jobs::actions;
use crate::jobs::back_off::MAX_ATTEMPTS;
use crate::jobs::handler::Registry;
use crate::jobs::lease::{HEARTBEAT, LEASE, POLL, is_renewed};
use crate::jobs::notifier::JobNotifier;
use crate::jobs::storage::queue;
use crate::jobs::types::{
    ClaimedJob, Disposition, Failure, Job, JobKind, JobStatus, Queue, Settled,
};

/// How long jobs that are under way get to end when the worker stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How long jobs that are due are left alone when another has their rows locked.
const LOCKED_PAUSE: Duration = Duration::from_millis(100);

/// Claims and does jobs under a lease of its own.
pub struct Worker {
    db: Db,
    clock: Clock,
    notifier: JobNotifier,
    registry: Registry,
    lease: String,
    metrics: Arc<JobMetrics>,
}

/// What the loop does next.
enum Next {
    /// There is something to write down, or to claim for certain.
    Exchange,
    /// Ask first, which locks nothing.
    Peek,
    /// The same when nothing could be claimed: if something is due, another has it locked,
    /// perhaps for long, and meanwhile what ends here has to be written down.
    PeekPatiently,
    Pause(Duration),
}

impl Worker {
    /// A worker with a lease that nobody had before.
    pub fn new(db: Db, clock: Clock, notifier: JobNotifier, registry: Registry) -> Self {
        Self {
            db,
            clock,
            notifier,
            registry,
            lease: ulid::Ulid::generate().to_string(),
            metrics: Arc::default(),
        }
    }

    /// Has what it does measured with the rest of the process.
    #[must_use]
    pub fn measured_by(self, metrics: Arc<JobMetrics>) -> Self {
        Self { metrics, ..self }
    }

    /// The kinds of jobs that it does.
    pub fn kinds(&self) -> Vec<JobKind> {
        self.registry.kinds()
    }

    /// Makes sure that there is a job of each periodic kind that it knows. Blocks.
    pub fn enqueue_periodic(&self) -> Result<(), DbError> {
        actions::enqueue_periodic(&self.db, &self.kinds(), self.clock.now())
    }

    /// Works until `stop`; then takes no more, lets what is under way end, and gives
    /// back what does not.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut running = Running::default();
        let mut settled = Vec::new();
        let mut next = Next::Exchange;
        let mut is_lost = false;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let pause = match next {
                Next::Pause(pause) => pause,
                Next::Exchange | Next::Peek | Next::PeekPatiently => {
                    let looked = match next {
                        Next::PeekPatiently => self.peek(&running, Next::Pause(LOCKED_PAUSE)).await,
                        Next::Peek => self.peek(&running, Next::Exchange).await,
                        _ => self.exchange(&mut settled, &mut running).await,
                    };
                    // Said once when it begins and once when it ends.
                    match looked {
                        Ok(then) => {
                            if is_lost {
                                tracing::info!("jobs are looked for again");
                            }
                            is_lost = false;
                            next = then;
                            continue;
                        }
                        Err(error) => {
                            if !is_lost {
                                tracing::warn!(error = %Chain(&error), place = %error.place(), "cannot look for jobs");
                            }
                            is_lost = true;
                            POLL
                        }
                    }
                }
            };
            next = tokio::select! {
                () = &mut stop => break,
                one = running.ended() => {
                    settled.push(one);
                    running.ended_too(&mut settled);
                    if is_lost { Next::Pause(pause) } else { Next::Exchange }
                }
                () = self.notifier.notified() => Next::Exchange,
                _ = heartbeat.tick(), if !running.is_empty() => {
                    self.renew(&running).await;
                    Next::Pause(pause)
                }
                () = sleep(pause) => if settled.is_empty() { Next::Peek } else { Next::Exchange },
            };
        }
        self.stop(settled, running).await;
    }

    /// Does everything that is due, and what comes of it, and gives how many jobs were
    /// begun. For tests, which step it by hand.
    pub async fn step(&self) -> Result<usize, DbError> {
        let mut running = Running::default();
        let mut settled = Vec::new();
        let mut begun = 0;
        loop {
            self.exchange(&mut settled, &mut running).await?;
            if running.is_empty() && settled.is_empty() {
                return Ok(begun);
            }
            begun += running.len();
            while !running.is_empty() {
                settled.push(running.ended().await);
            }
        }
    }

    /// Writes down what ended, claims what is due and begins it.
    async fn exchange(
        &self,
        settled: &mut Vec<Settled>,
        running: &mut Running,
    ) -> Result<Next, DbError> {
        let (lease, now) = (self.lease.clone(), self.clock.now());
        let (ended, slots) = (settled.clone(), running.free());
        #[expect(
            clippy::disallowed_methods,
            reason = "how long this process really stood still"
        )]
        let asked = Instant::now();
        let free: usize = slots.iter().map(|(_, free)| free).sum();
        let claimed = self
            .db
            .write(move |conn| queue::settle_and_claim(conn, &lease, &ended, &slots, now))
            .await?;
        settled.clear();
        let count = claimed.len();
        for row in claimed {
            self.begin(row, running, settled, asked);
        }
        Ok(match count {
            _ if !settled.is_empty() => Next::Exchange,
            0 => Next::PeekPatiently,
            // Perhaps there are more of a queue that has room.
            _ if count < free => Next::Peek,
            _ => Next::Pause(POLL),
        })
    }

    /// Asks when something is due in queues that have room, and gives `if_due` when that
    /// is now.
    async fn peek(&self, running: &Running, if_due: Next) -> Result<Next, DbError> {
        let queues: Vec<Queue> = running
            .free()
            .into_iter()
            .filter(|(_, free)| *free > 0)
            .map(|(queue, _)| queue)
            .collect();
        let next = self
            .db
            .read(move |conn| queue::next_due(conn, &queues))
            .await?;
        let wait = next.map(|due| (due - self.clock.now()).to_std().unwrap_or_default());
        Ok(match wait {
            Some(Duration::ZERO) => if_due,
            Some(wait) => Next::Pause(wait.min(POLL)),
            None => Next::Pause(POLL),
        })
    }

    /// Begins a job that was claimed when it was `asked` for.
    fn begin(
        &self,
        row: ClaimedJob,
        running: &mut Running,
        settled: &mut Vec<Settled>,
        asked: Instant,
    ) {
        let job_id = row.job_id;
        if row.state == JobStatus::Running.name() {
            tracing::warn!(
                job_id,
                kind = row.kind,
                "the worker that had the job is gone; doing it again"
            );
        }
        let attempts = row.attempts + 1;
        // Its own lease ran out while it had the job, and it has it still.
        if running.has(job_id) {
            return;
        }
        // After a pause of the whole process others may have the job already.
        if asked.elapsed() > LEASE / 2 {
            return;
        }
        let Some((kind, run)) = self.registry.get(&row.kind) else {
            // It stays for a worker that knows its kind.
            let failure =
                Failure::Transient(format!("this program knows no jobs of kind {}", row.kind));
            settled.push(one::settle(
                &self.clock,
                (job_id, attempts),
                None,
                Err(failure),
            ));
            return;
        };
        if attempts > MAX_ATTEMPTS && !kind.is_periodic {
            // It never came to an end: perhaps it takes its workers with it.
            let failure = Failure::Permanent("every worker that had it is gone".to_owned());
            let came = Err(failure);
            settled.push(one::settle(
                &self.clock,
                (job_id, attempts),
                Some(kind),
                came,
            ));
            return;
        }
        let job = Job {
            job_id,
            kind,
            attempts,
            payload: row.payload,
            created: row.created,
        };
        let (clock, metrics) = (self.clock.clone(), Arc::clone(&self.metrics));
        let doing = async move {
            let begun = clock.steady();
            let came = one::run(run, job).await;
            let settled = one::settle(&clock, (job_id, attempts), Some(kind), came);
            let took = clock.steady().saturating_sub(begun);
            metrics.ended(kind.name, &settled, took);
            settled
        };
        running.spawn(job_id, kind.queue, request::scope_of(row.cause, doing));
    }

    /// Says that this worker still has its jobs.
    async fn renew(&self, running: &Running) {
        let ids = running.ids_of(is_renewed);
        if ids.is_empty() {
            return;
        }
        let (lease, now, all) = (self.lease.clone(), self.clock.now(), ids.len());
        let renewed = self
            .db
            .write(move |conn| queue::renew(conn, &lease, &ids, now))
            .await;
        match renewed {
            Ok(some) if some < all => {
                tracing::warn!(
                    lost = all - some,
                    "leases of jobs ran out before they were renewed"
                );
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %Chain(&error), place = %error.place(), "cannot renew the leases of jobs");
            }
        }
    }

    /// Lets jobs end, writes down what came of them and gives back the rest.
    async fn stop(&self, mut settled: Vec<Settled>, mut running: Running) {
        let drained = timeout(DRAIN, async {
            while !running.is_empty() {
                settled.push(running.ended().await);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                jobs = running.len(),
                "jobs did not end in time; they are given back"
            );
        }
        settled.extend(running.shutdown().await.into_iter().map(|job_id| Settled {
            job_id,
            disposition: Disposition::Released,
        }));
        if settled.is_empty() {
            return;
        }
        let (lease, now) = (self.lease.clone(), self.clock.now());
        let written = self
            .db
            .write(move |conn| queue::settle_and_claim(conn, &lease, &settled, &[], now))
            .await;
        if let Err(error) = written {
            tracing::warn!(
                error = %Chain(&error), place = %error.place(),
                "cannot write down what came of the last jobs; they are done again"
            );
        }
    }
}
