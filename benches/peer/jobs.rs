//! Jobs without what they do: how many workers get through a second, and how long one
//! waits for an idle worker.

use std::collections::HashSet;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use clap::Args;
use diesel::prelude::*;
use inkpot::accounts::jobs::send_notice::MailNotice;
use inkpot::core::clock::Clock;
use inkpot::core::db::schema::job;
use inkpot::core::db::{Conn, DatabaseUrl, Db, OpenError, migrations};
use inkpot::jobs::actions::enqueue;
use inkpot::jobs::handler::{JobFuture, JobHandler, Registry};
use inkpot::jobs::storage::queue;
use inkpot::jobs::types::NewJob;
use inkpot::jobs::worker::{Worker, thread};
use inkpot::jobs::{Job, JobNotifier, JobStatus, Outcome as Came, Queue};
use serde_json::json;
use tokio::sync::oneshot;

use crate::repeat::percentile;
use crate::words::Dice;
use crate::{Outcome, open};

/// Jobs that are committed at once.
const BATCH: u64 = 1000;
/// Between two looks whether the last job is recorded.
const LOOK: Duration = Duration::from_millis(1);
/// A worker that has asked the database nothing for so long is idle.
const IDLE: Duration = Duration::from_millis(5);
/// A job that is not begun by then never will be.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Drain {
    /// As `DATABASE_URL`; what is missing of its tables is made
    database: String,
    #[arg(long, default_value_t = 20_000)]
    jobs: u64,
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Connections of each worker, as `INKPOT_DB_POOL`
    #[arg(long)]
    pool: u32,
}

#[derive(Args)]
pub struct Delay {
    /// As `DATABASE_URL`; what is missing of its tables is made
    database: String,
    #[arg(long, default_value_t = 1000)]
    times: u64,
    /// Connections of the worker, as `INKPOT_DB_POOL`
    #[arg(long)]
    pool: u32,
    /// Do not wake the worker, as another process cannot, and commit at random times
    #[arg(long)]
    asleep: bool,
}

/// Fills the queue and has it emptied by workers that share nothing but the database.
/// Prints `{"jobs", "seconds", "units"}`: from the start of the workers until the last
/// job is recorded, and how often they went to the database in that time.
pub fn drain(options: &Drain) -> Outcome<()> {
    let mut conn = migrated(&options.database)?;
    let last = newest(&mut conn)?;
    fill(&mut conn, options.jobs)?;
    let url = DatabaseUrl::parse(&options.database)?;
    let dbs = (0..options.workers)
        .map(|_| Db::open(&url, options.pool))
        .collect::<Result<Vec<_>, OpenError>>()?;
    let (begun, begins) = channel();
    let start = Instant::now();
    let workers = dbs
        .iter()
        .map(|db| Running::start(db, &JobNotifier::default(), &begun))
        .collect::<Result<Vec<_>, String>>()?;
    let mut seen = HashSet::new();
    for _ in 0..options.jobs {
        let (job_id, _) = begins.recv_timeout(PATIENCE)?;
        if !seen.insert(job_id) {
            return Err(format!("job {job_id} was begun twice").into());
        }
    }
    until_recorded(&mut conn)?;
    let seconds = start.elapsed().as_secs_f64();
    let units: u64 = dbs.iter().map(Db::units).sum();
    workers.into_iter().try_for_each(Running::stop)?;
    let well: i64 = job::table
        .filter(job::job_id.gt(last))
        .filter(job::state.eq(JobStatus::Done.name()))
        .filter(job::attempts.eq(1))
        .count()
        .get_result(&mut conn)?;
    if u64::try_from(well)? != options.jobs || begins.try_recv().is_ok() {
        return Err(format!("{well} of {} jobs are done at the first try", options.jobs).into());
    }
    let jobs = options.jobs;
    println!(
        "{}",
        json!({ "jobs": jobs, "seconds": seconds, "units": units })
    );
    Ok(())
}

/// Commits one job after the other while a worker is idle. Prints `{"times", "p50", "p99",
/// "worst"}`: microseconds from the commit to the beginning of the job.
pub fn delay(options: &Delay) -> Outcome<()> {
    let mut conn = migrated(&options.database)?;
    let db = Db::open(&DatabaseUrl::parse(&options.database)?, options.pool)?;
    let (clock, notifier) = (Clock::system(), JobNotifier::default());
    let (begun, begins) = channel();
    let worker = Running::start(&db, &notifier, &begun)?;
    let mut dice = Dice::new(options.times);
    let mut delays = Vec::new();
    for number in 1..=options.times {
        until_idle(&db);
        if options.asleep {
            sleep(Duration::from_micros(dice.roll(1_000_000)));
        }
        let now = clock.now();
        let new = notice(number, now);
        let job_id = db
            .write_blocking(&|conn| enqueue(conn, &new, now))
            .map_err(|error| format!("a job was not written: {error:?}"))?;
        let committed = Instant::now();
        if !options.asleep {
            notifier.notify();
        }
        let (begun_id, at) = begins.recv_timeout(PATIENCE)?;
        if Some(begun_id) != job_id {
            return Err(format!("job {begun_id} was begun instead of {job_id:?}").into());
        }
        // A look that was under way may see the job before its commit has returned.
        delays.push(at.saturating_duration_since(committed));
        until_recorded(&mut conn)?;
    }
    worker.stop()?;
    delays.sort_unstable();
    let of = |percent| percentile(&delays, percent);
    println!(
        "{}",
        json!({ "times": delays.len(), "p50": of(50), "p99": of(99), "worst": of(100) })
    );
    Ok(())
}

/// A worker on threads of its own, as the server has it, whose jobs do nothing.
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// `begun` is told the id of each job and when it was begun.
    fn start(
        db: &Db,
        notifier: &JobNotifier,
        begun: &Sender<(i64, Instant)>,
    ) -> Result<Self, String> {
        // The job of another thread may begin while this one tells.
        let begun = Mutex::new(begun.clone());
        let perform = move |job: Job| -> JobFuture {
            let told = (job.job_id, Instant::now());
            // Nobody listens any more after a failure, which is told elsewhere.
            let _ = begun
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .send(told);
            Box::pin(async { Ok(Came::Done) })
        };
        let registry = Registry::default().with_run(MailNotice::KIND, perform);
        let worker = Worker::new(db.clone(), Clock::system(), notifier.clone(), registry);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::start(worker, async {
            let _ = stopped.await;
        })?;
        Ok(Self { stop, thread })
    }

    fn stop(self) -> Outcome<()> {
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| "a worker panicked".into())
    }
}

fn migrated(database: &str) -> Outcome<Conn> {
    let mut conn = open(database)?;
    migrations::run(&mut conn)?;
    Ok(conn)
}

fn newest(conn: &mut Conn) -> QueryResult<i64> {
    let newest: Option<i64> = job::table
        .select(diesel::dsl::max(job::job_id))
        .first(conn)?;
    Ok(newest.unwrap_or(0))
}

fn fill(conn: &mut Conn, jobs: u64) -> Outcome<()> {
    let now = Clock::system().now();
    let numbers: Vec<u64> = (1..=jobs).collect();
    for batch in numbers.chunks(usize::try_from(BATCH)?) {
        conn.transaction(|conn| {
            for number in batch {
                enqueue(conn, &notice(*number, now), now)?;
            }
            QueryResult::Ok(())
        })?;
    }
    Ok(())
}

/// As the server writes it after a change of password.
fn notice(number: u64, now: chrono::NaiveDateTime) -> NewJob {
    let payload = json!({
        "notice": "password_changed",
        "to": format!("somebody.with.a.name.of.some.length+{number}@mail.example.org"),
        "at": now,
        "language": "en",
    });
    NewJob {
        kind: MailNotice::KIND,
        payload: payload.to_string(),
        due: now,
        dedup_key: None,
        user_id: None,
    }
}

/// Until no job is left that waits or runs.
fn until_recorded(conn: &mut Conn) -> Outcome<()> {
    let begun = Instant::now();
    while queue::next_due(conn, &[Queue::Mail])?.is_some() {
        if begun.elapsed() > PATIENCE {
            return Err("jobs were begun and not recorded".into());
        }
        sleep(LOOK);
    }
    Ok(())
}

fn until_idle(db: &Db) {
    loop {
        let before = db.units();
        sleep(IDLE);
        if db.units() == before {
            return;
        }
    }
}
