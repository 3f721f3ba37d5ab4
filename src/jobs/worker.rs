//! Takes jobs, has them done and writes down what came of it.
//!
//! One loop: what has ended is written and what is due is taken in one transaction,
//! so that a hundred jobs cost little more than one. Between two of them nothing is
//! held but leases.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::kind::{Kind, Lane, State};
use super::policy::{HEARTBEAT, LEASE, MAX_ATTEMPTS, POLL, delay};
use super::store::{self, Settled, Taken, Verdict};
use super::{Failure, Job, Outcome, Waker};
use crate::core::clock::Clock;
use crate::core::db::{Db, DbError};
use crate::core::telemetry::chain::Chain;

/// What came of a job, on its way.
pub type Doing = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + Send>>;
/// Does a job of any kind.
pub type Perform = Arc<dyn Fn(Job) -> Doing + Send + Sync>;

/// How long jobs that are under way get to end when the worker stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How long jobs that are due are left alone when another has their rows locked.
const LOCKED_PAUSE: Duration = Duration::from_millis(100);

/// Takes and does jobs under a lease of its own.
pub struct Worker {
    db: Db,
    clock: Clock,
    waker: Waker,
    perform: Perform,
    lease: String,
}

/// Jobs that are under way.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Settled>,
    lanes: HashMap<i64, Lane>,
}

impl Running {
    /// How many more there is place for.
    fn places(&self) -> Vec<(Lane, usize)> {
        Lane::ALL
            .into_iter()
            .map(|lane| {
                let taken = self.lanes.values().filter(|taken| **taken == lane).count();
                (lane, lane.places().saturating_sub(taken))
            })
            .collect()
    }

    /// Waits for one that ends, for ever when there is none.
    async fn ended(&mut self) -> Settled {
        while let Some(joined) = self.tasks.join_next().await {
            // A task catches its job's panics and is aborted by nobody but the end.
            if let Ok(settled) = joined {
                self.lanes.remove(&settled.job_id);
                return settled;
            }
        }
        std::future::pending().await
    }

    /// Those that have ended meanwhile as well.
    fn ended_too(&mut self, settled: &mut Vec<Settled>) {
        while let Some(Ok(one)) = self.tasks.try_join_next() {
            self.lanes.remove(&one.job_id);
            settled.push(one);
        }
    }
}

/// When to look for jobs.
enum Look {
    /// There is something to write down, or to take for certain.
    Now,
    /// Ask first, which locks nothing.
    Ask,
    /// The same when nothing could be taken: if something is due, another has it locked,
    /// perhaps for long, and meanwhile what ends here has to be written down.
    AskPatiently,
    In(Duration),
}

impl Worker {
    /// A worker with a lease that nobody had before.
    pub fn new(db: Db, clock: Clock, waker: Waker, perform: Perform) -> Self {
        Self {
            db,
            clock,
            waker,
            perform,
            lease: ulid::Ulid::generate().to_string(),
        }
    }

    /// Works until `stop`; then takes no more, lets what is under way end, and gives
    /// back what does not.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut running = Running::default();
        let mut settled = Vec::new();
        let mut look = Look::Now;
        let mut is_lost = false;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let pause = match look {
                Look::In(pause) => pause,
                Look::Now | Look::Ask | Look::AskPatiently => {
                    let looked = match look {
                        Look::AskPatiently => self.ask(&running, Look::In(LOCKED_PAUSE)).await,
                        Look::Ask => self.ask(&running, Look::Now).await,
                        _ => self.exchange(&mut settled, &mut running).await,
                    };
                    // Said once when it begins and once when it ends.
                    match looked {
                        Ok(next) => {
                            if is_lost {
                                tracing::info!("jobs are looked for again");
                            }
                            is_lost = false;
                            look = next;
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
            look = tokio::select! {
                () = &mut stop => break,
                one = running.ended() => {
                    settled.push(one);
                    running.ended_too(&mut settled);
                    if is_lost { Look::In(pause) } else { Look::Now }
                }
                () = self.waker.woken() => Look::Now,
                _ = heartbeat.tick(), if !running.lanes.is_empty() => {
                    self.renew(&running).await;
                    Look::In(pause)
                }
                () = sleep(pause) => if settled.is_empty() { Look::Ask } else { Look::Now },
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
            if running.lanes.is_empty() && settled.is_empty() {
                return Ok(begun);
            }
            begun += running.lanes.len();
            while !running.lanes.is_empty() {
                settled.push(running.ended().await);
            }
        }
    }

    /// Writes down what ended, takes what is due and begins it.
    async fn exchange(
        &self,
        settled: &mut Vec<Settled>,
        running: &mut Running,
    ) -> Result<Look, DbError> {
        let (lease, now) = (self.lease.clone(), self.clock.now());
        let (ended, places) = (settled.clone(), running.places());
        #[expect(
            clippy::disallowed_methods,
            reason = "how long this process really stood still"
        )]
        let asked = Instant::now();
        let free: usize = places.iter().map(|(_, places)| places).sum();
        let taken = self
            .db
            .write(move |conn| store::exchange(conn, &lease, &ended, &places, now))
            .await?;
        settled.clear();
        let count = taken.len();
        for row in taken {
            self.begin(row, running, settled, asked);
        }
        Ok(match count {
            _ if !settled.is_empty() => Look::Now,
            0 => Look::AskPatiently,
            // Perhaps there are more of a lane that has places.
            _ if count < free => Look::Ask,
            _ => Look::In(POLL),
        })
    }

    /// Asks when something is due in lanes that have places, and gives `if_due` when that
    /// is now.
    async fn ask(&self, running: &Running, if_due: Look) -> Result<Look, DbError> {
        let lanes: Vec<Lane> = running
            .places()
            .into_iter()
            .filter(|(_, places)| *places > 0)
            .map(|(lane, _)| lane)
            .collect();
        let next = self
            .db
            .read(move |conn| store::next_due(conn, &lanes))
            .await?;
        let wait = next.map(|due| (due - self.clock.now()).to_std().unwrap_or_default());
        Ok(match wait {
            Some(Duration::ZERO) => if_due,
            Some(wait) => Look::In(wait.min(POLL)),
            None => Look::In(POLL),
        })
    }

    /// Begins a job that was taken when it was `asked` for.
    fn begin(&self, row: Taken, running: &mut Running, settled: &mut Vec<Settled>, asked: Instant) {
        let job_id = row.job_id;
        if row.state == State::Running.name() {
            tracing::warn!(
                job_id,
                kind = row.kind,
                "the worker that had the job is gone; doing it again"
            );
        }
        let attempts = row.attempts + 1;
        // Its own lease ran out while it had the job, and it has it still.
        if running.lanes.contains_key(&job_id) {
            return;
        }
        // After a pause of the whole process others may have the job already.
        if asked.elapsed() > LEASE / 2 {
            return;
        }
        let job = match row.job() {
            Ok(job) => job,
            Err(failure) => {
                settled.push(settle(&self.clock, job_id, None, attempts, Err(failure)));
                return;
            }
        };
        let kind = job.kind;
        if attempts > MAX_ATTEMPTS && !kind.is_periodic() {
            // It never came to an end: perhaps it takes its workers with it.
            let failure = Failure::Permanent("every worker that had it is gone".to_owned());
            settled.push(settle(
                &self.clock,
                job_id,
                Some(kind),
                attempts,
                Err(failure),
            ));
            return;
        }
        running.lanes.insert(job_id, kind.lane());
        let doing = do_one(Arc::clone(&self.perform), job);
        let clock = self.clock.clone();
        running.tasks.spawn(async move {
            let came = doing.await;
            settle(&clock, job_id, Some(kind), attempts, came)
        });
    }

    /// Says that this worker still has its jobs.
    async fn renew(&self, running: &Running) {
        let ids: Vec<i64> = running.lanes.keys().copied().collect();
        let (lease, now, all) = (self.lease.clone(), self.clock.now(), ids.len());
        let renewed = self
            .db
            .write(move |conn| store::renew(conn, &lease, &ids, now))
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
            while !running.lanes.is_empty() {
                settled.push(running.ended().await);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                jobs = running.lanes.len(),
                "jobs did not end in time; they are given back"
            );
        }
        running.tasks.shutdown().await;
        settled.extend(running.lanes.keys().map(|job_id| Settled {
            job_id: *job_id,
            verdict: Verdict::Released,
        }));
        if settled.is_empty() {
            return;
        }
        let (lease, now) = (self.lease.clone(), self.clock.now());
        let written = self
            .db
            .write(move |conn| store::exchange(conn, &lease, &settled, &[], now))
            .await;
        if let Err(error) = written {
            tracing::warn!(
                error = %Chain(&error), place = %error.place(),
                "cannot write down what came of the last jobs; they are done again"
            );
        }
    }
}

/// Does a job, whatever it does: a panic and a job that never ends are failures of
/// that job alone.
async fn do_one(perform: Perform, job: Job) -> Result<Outcome, Failure> {
    let limit = job.kind.time_limit();
    let doing = AssertUnwindSafe(async move { perform(job).await }).catch_unwind();
    match timeout(limit, doing).await {
        Ok(Ok(came)) => came,
        Ok(Err(_)) => Err(Failure::Passing("the job panicked".to_owned())),
        Err(_) => Err(Failure::Passing(format!(
            "the job did not end within {} seconds",
            limit.as_secs()
        ))),
    }
}

/// Decides how it goes on, and says so in the log.
fn settle(
    clock: &Clock,
    job_id: i64,
    kind: Option<Kind>,
    attempts: i32,
    came: Result<Outcome, Failure>,
) -> Settled {
    let name = kind.map_or("unknown", Kind::name);
    let is_last = attempts >= MAX_ATTEMPTS && !kind.is_some_and(Kind::is_periodic);
    let verdict = match came {
        Ok(outcome) => {
            tracing::debug!(job_id, kind = name, attempts, ?outcome, "job done");
            match outcome {
                Outcome::Done => Verdict::Done(None),
                Outcome::NotNeeded(why) => Verdict::Done(Some(why)),
                Outcome::Again(due) => Verdict::Again(due),
            }
        }
        Err(Failure::Passing(error)) if !is_last => {
            let due = clock.now() + delay(attempts);
            tracing::warn!(job_id, kind = name, attempts, error, %due, "job failed; tried again");
            Verdict::Later(due, error)
        }
        Err(Failure::Passing(error) | Failure::Permanent(error)) => {
            tracing::error!(job_id, kind = name, attempts, error, "job failed for good");
            Verdict::Dead(error)
        }
    };
    Settled { job_id, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(kind: Kind) -> Job {
        Job {
            job_id: 1,
            kind,
            attempts: 1,
            payload: String::new(),
            created: chrono::NaiveDateTime::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_has_its_time() {
        for (kind, seconds) in [
            (Kind::SmsCode, 30),
            (Kind::MailCode, 90),
            (Kind::Sweep, 600),
        ] {
            let endless: Perform = Arc::new(|_| Box::pin(std::future::pending()));
            let begun = tokio::time::Instant::now();
            let came = do_one(endless, job(kind)).await;
            let why = format!("the job did not end within {seconds} seconds");
            assert_eq!(came, Err(Failure::Passing(why)));
            assert_eq!(begun.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_wherever_it_comes() {
        let at_once: Perform = Arc::new(|_| panic!("at once"));
        let later: Perform = Arc::new(|_| {
            Box::pin(async {
                tokio::task::yield_now().await;
                panic!("later")
            })
        });
        for perform in [at_once, later] {
            let came = do_one(perform, job(Kind::Recover)).await;
            assert_eq!(came, Err(Failure::Passing("the job panicked".to_owned())));
        }
    }

    #[test]
    fn the_last_try_of_all_but_periodic_jobs_is_the_last() {
        let clock = Clock::by_hand(chrono::DateTime::UNIX_EPOCH);
        let failed = |kind, attempts| {
            let came = Err(Failure::Passing("no".to_owned()));
            settle(&clock, 1, Some(kind), attempts, came).verdict
        };
        assert!(matches!(
            failed(Kind::Recover, MAX_ATTEMPTS - 1),
            Verdict::Later(..)
        ));
        assert!(matches!(
            failed(Kind::Recover, MAX_ATTEMPTS),
            Verdict::Dead(_)
        ));
        assert!(matches!(
            failed(Kind::Sweep, MAX_ATTEMPTS),
            Verdict::Later(..)
        ));
    }
}
