//! The queue: what was committed is done at least once, by one worker at a time, and
//! no job harms another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use diesel::result::Error::RollbackTransaction;
use futures_util::future::join_all;
use inkpot::accounts::jobs::delete_user::DeleteUser;
use inkpot::accounts::jobs::recover::Recover;
use inkpot::accounts::jobs::send_code::{MailCode, SmsCode};
use inkpot::accounts::jobs::send_notice::MailNotice;
use inkpot::core::db::schema::{code, idempotency, job, session, session_event};
use inkpot::core::db::{Conn, DatabaseUrl, Db};
use inkpot::core::page::ListPart;
use inkpot::jobs::actions;
use inkpot::jobs::back_off::MAX_ATTEMPTS;
use inkpot::jobs::handler::{JobFuture, JobHandler, Registry};
use inkpot::jobs::lease::LEASE;
use inkpot::jobs::storage::{admin, queue};
use inkpot::jobs::types::{ClaimedJob, Disposition, NewJob, Settled, StoredJob};
use inkpot::jobs::worker::{Worker, thread};
use inkpot::jobs::{Failure, Job, JobKind, Outcome, Queue};
use inkpot::maintenance::jobs::check::ConsistencyCheck;
use inkpot::maintenance::jobs::sweep::Sweep;
use inkpot::posts::jobs::index_author::IndexAuthor;
use inkpot::posts::jobs::index_posts::IndexPosts;
use inkpot::posts::jobs::publish_post::PublishPost;
use inkpot::social::jobs::delete_leftovers::DeleteLeftovers;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::harness::process::{inkpot, output};
use crate::harness::{Backend, PASSWORD, SECRET, TestApp, TestDatabase, on_both_databases};

on_both_databases![
    a_job_is_done_once_it_is_committed_and_never_when_it_was_rolled_back,
    a_worker_does_these_kinds_and_no_others,
    a_job_waits_for_its_time,
    a_key_is_taken_once_while_its_job_is_unfinished,
    a_transient_failure_is_tried_again_later,
    a_permanent_failure_is_dead,
    a_job_is_given_up_after_many_tries,
    a_job_that_takes_its_workers_with_it_is_given_up,
    a_panic_harms_no_other_job,
    a_job_that_never_ends_harms_no_other,
    a_full_queue_holds_up_no_other,
    every_job_is_taken_once_by_many_workers,
    a_lease_that_ran_out_is_taken_over_and_the_late_worker_changes_nothing,
    a_renewed_lease_is_kept,
    a_job_of_a_newer_program_waits,
    a_handler_gets_its_payload_and_what_it_cannot_read_is_dead,
    what_is_over_is_swept,
    there_is_one_sweep_however_many_processes,
    a_stopping_worker_lets_its_jobs_end,
    admins_see_jobs_and_have_them_tried_again,
];

/// What a test's jobs do, by their payload.
fn performing(
    perform: impl Fn(&str) -> Result<Outcome, Failure> + Send + Sync + 'static,
) -> impl Fn(Job) -> JobFuture + Send + Sync {
    move |job| {
        let came = perform(&job.payload);
        Box::pin(async move { came })
    }
}

/// All kinds of the product.
const KINDS: [JobKind; 11] = [
    DeleteLeftovers::KIND,
    DeleteUser::KIND,
    Recover::KIND,
    MailCode::KIND,
    SmsCode::KIND,
    MailNotice::KIND,
    IndexAuthor::KIND,
    IndexPosts::KIND,
    PublishPost::KIND,
    Sweep::KIND,
    ConsistencyCheck::KIND,
];

/// A worker with the clock of the test's service, which does jobs of all kinds alike.
fn worker(app: &TestApp, perform: impl Fn(Job) -> JobFuture + Send + Sync + 'static) -> Worker {
    let perform = Arc::new(perform);
    let registry = KINDS.into_iter().fold(Registry::default(), |all, kind| {
        let perform = Arc::clone(&perform);
        all.with_run(kind, move |job| perform(job))
    });
    worker_knowing(app, registry)
}

fn worker_knowing(app: &TestApp, registry: Registry) -> Worker {
    let (db, clock) = (app.state.db.clone(), app.clock.clone());
    Worker::new(db, clock, app.state.jobs.notifier.clone(), registry)
}

fn new(kind: JobKind, payload: &str, due: NaiveDateTime) -> NewJob {
    NewJob {
        kind,
        payload: payload.to_owned(),
        due,
        dedup_key: None,
        user_id: None,
    }
}

/// Commits a job that is due at once.
async fn commit(app: &TestApp, kind: JobKind, payload: &str) -> i64 {
    let now = app.clock.now();
    let new = new(kind, payload, now);
    let enqueued = app
        .state
        .db
        .write(move |conn| actions::enqueue(conn, &new, now));
    enqueued.await.unwrap().unwrap()
}

async fn read<T: Send + 'static>(
    app: &TestApp,
    read: impl Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
) -> T {
    app.state.db.read(read).await.unwrap()
}

async fn all(app: &TestApp) -> Vec<StoredJob> {
    let newest = ListPart::Below {
        position: None,
        size: 10_000,
    };
    let mut jobs = read(app, move |conn| admin::load_part(conn, None, newest))
        .await
        .rows;
    jobs.reverse();
    jobs
}

/// Those of all jobs, in the order of their ids.
async fn states(app: &TestApp) -> Vec<String> {
    all(app).await.into_iter().map(|job| job.state).collect()
}

async fn a_job_is_done_once_it_is_committed_and_never_when_it_was_rolled_back(app: TestApp) {
    let done = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&done);
    let worker = worker(
        &app,
        performing(move |payload| {
            seen.lock().unwrap().push(payload.to_owned());
            Ok(Outcome::Done)
        }),
    );
    let now = app.clock.now();
    for n in 0..6 {
        let new = new(MailNotice::KIND, &n.to_string(), now);
        let written = app
            .state
            .db
            .write(move |conn| {
                actions::enqueue(conn, &new, now)?;
                if n % 2 == 0 {
                    Ok(())
                } else {
                    Err(RollbackTransaction)
                }
            })
            .await;
        assert_eq!(written.is_ok(), n % 2 == 0);
    }
    assert_eq!(worker.step().await.unwrap(), 3);
    assert_eq!(worker.step().await.unwrap(), 0);
    let mut done = done.lock().unwrap().clone();
    done.sort();
    assert_eq!(done, ["0", "2", "4"]);
    for job in all(&app).await {
        assert_eq!((job.state.as_str(), job.attempts), ("done", 1));
        assert_eq!((job.due, job.finished), (None, Some(now)));
    }
    let kept: Vec<String> = read(&app, |conn| job::table.select(job::payload).load(conn)).await;
    assert_eq!(kept, ["", "", ""]);
}

async fn a_job_waits_for_its_time(app: TestApp) {
    let worker = worker(&app, performing(|_| Ok(Outcome::Done)));
    let now = app.clock.now();
    let new = new(MailNotice::KIND, "", now + TimeDelta::hours(3));
    app.state
        .db
        .write(move |conn| actions::enqueue(conn, &new, now))
        .await
        .unwrap();
    app.clock
        .advance(TimeDelta::hours(3) - TimeDelta::microseconds(1));
    assert_eq!(worker.step().await.unwrap(), 0);
    app.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(worker.step().await.unwrap(), 1);
}

async fn a_key_is_taken_once_while_its_job_is_unfinished(app: TestApp) {
    let worker = worker(&app, performing(|_| Ok(Outcome::Done)));
    let now = app.clock.now();
    let keyed = |key: &str| NewJob {
        dedup_key: Some(key.to_owned()),
        ..new(MailNotice::KIND, "", now)
    };
    let enqueue = |key: &str| {
        let new = keyed(key);
        app.state
            .db
            .write(move |conn| actions::enqueue(conn, &new, now))
    };
    let taken: Vec<_> = join_all((0..100).map(|_| enqueue("one"))).await;
    let made = taken
        .iter()
        .filter(|id| id.as_ref().unwrap().is_some())
        .count();
    assert_eq!(made, 1);
    assert!(enqueue("two").await.unwrap().is_some());
    assert_eq!(worker.step().await.unwrap(), 2);
    assert!(enqueue("one").await.unwrap().is_some());
    // A refusal leaves the rest of its transaction as it is.
    let (same, other) = (keyed("one"), keyed("three"));
    let both = app
        .state
        .db
        .write(move |conn| {
            Ok((
                actions::enqueue(conn, &same, now)?,
                actions::enqueue(conn, &other, now)?,
            ))
        })
        .await
        .unwrap();
    assert!(matches!(both, (None, Some(_))));
    assert_eq!(worker.step().await.unwrap(), 2);
}

async fn a_transient_failure_is_tried_again_later(app: TestApp) {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let worker = worker(
        &app,
        performing(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Failure::Transient("no\r\nway".to_owned())),
            _ => Ok(Outcome::Done),
        }),
    );
    commit(&app, SmsCode::KIND, "").await;
    let mut longest = 2;
    for attempts in [1, 2] {
        assert_eq!(worker.step().await.unwrap(), 1);
        // Not before its time.
        assert_eq!(worker.step().await.unwrap(), 0);
        let job = all(&app).await.remove(0);
        assert_eq!((job.state.as_str(), job.attempts), ("waiting", attempts));
        assert_eq!(job.last_error.as_deref(), Some("no  way"));
        let wait = job.due.unwrap() - app.clock.now();
        assert!(wait >= TimeDelta::milliseconds(longest * 500), "{wait}");
        assert!(wait <= TimeDelta::seconds(longest), "{wait}");
        app.clock.advance(wait);
        longest *= 2;
    }
    assert_eq!(worker.step().await.unwrap(), 1);
    let job = all(&app).await.remove(0);
    assert_eq!((job.state.as_str(), job.last_error), ("done", None));
}

async fn a_permanent_failure_is_dead(app: TestApp) {
    let long = "é".repeat(10_000);
    let worker = worker(
        &app,
        performing(move |_| Err(Failure::Permanent(long.clone()))),
    );
    commit(&app, SmsCode::KIND, "kept for another try").await;
    assert_eq!(worker.step().await.unwrap(), 1);
    let dead = all(&app).await.remove(0);
    assert_eq!((dead.state.as_str(), dead.due), ("dead", None));
    assert_eq!(dead.finished, Some(app.clock.now()));
    assert_eq!(dead.last_error.unwrap().chars().count(), 500);
    app.clock.advance(TimeDelta::days(30));
    assert_eq!(worker.step().await.unwrap(), 0);
    let kept: Vec<String> = read(&app, |conn| job::table.select(job::payload).load(conn)).await;
    assert_eq!(kept, ["kept for another try"]);
    app.leave_jobs();
}

async fn a_job_is_given_up_after_many_tries(app: TestApp) {
    let worker = worker(
        &app,
        performing(|_| Err(Failure::Transient("no".to_owned()))),
    );
    commit(&app, MailCode::KIND, "").await;
    let sweep = commit(&app, Sweep::KIND, "").await;
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(worker.step().await.unwrap(), 2);
        app.clock.advance(TimeDelta::hours(1));
    }
    // What repeats itself is never given up.
    assert_eq!(worker.step().await.unwrap(), 1);
    assert_eq!(states(&app).await, ["dead", "waiting"]);
    assert_eq!(all(&app).await[1].job_id, sweep);
    app.leave_jobs();
}

async fn a_job_that_takes_its_workers_with_it_is_given_up(app: TestApp) {
    let worker = worker(&app, performing(|_| Ok(Outcome::Done)));
    commit(&app, MailCode::KIND, "").await;
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(claimed(&app, "gone", 1).await.len(), 1);
        app.clock.advance(TimeDelta::from_std(LEASE).unwrap());
    }
    assert_eq!(worker.step().await.unwrap(), 0);
    assert_eq!(states(&app).await, ["dead"]);
    app.leave_jobs();
}

async fn a_panic_harms_no_other_job(app: TestApp) {
    let worker = worker(
        &app,
        performing(|payload| {
            assert!(payload != "panic", "a job of this test panics");
            Ok(Outcome::Done)
        }),
    );
    for payload in ["", "panic", ""] {
        commit(&app, MailNotice::KIND, payload).await;
    }
    assert_eq!(worker.step().await.unwrap(), 3);
    assert_eq!(states(&app).await, ["done", "waiting", "done"]);
    let error = all(&app).await[1].last_error.clone();
    assert_eq!(error.as_deref(), Some("the job panicked"));
    app.leave_jobs();
}

/// Runs a worker until the test is over with it: what ends it, and its thread.
fn running(worker: Worker) -> (oneshot::Sender<()>, std::thread::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = thread::start(worker, async {
        let _ = stopped.await;
    });
    (stop, thread.unwrap())
}

async fn a_job_that_never_ends_harms_no_other(app: TestApp) {
    let (did, mut done) = mpsc::unbounded_channel();
    let worker = worker(&app, move |job: Job| {
        let did = did.clone();
        Box::pin(async move {
            if job.payload == "endless" {
                std::future::pending::<()>().await;
            }
            did.send(job.payload).unwrap();
            Ok(Outcome::Done)
        })
    });
    let (_stop, _thread) = running(worker);
    commit(&app, MailNotice::KIND, "endless").await;
    for n in 0..100 {
        commit(&app, MailNotice::KIND, &n.to_string()).await;
    }
    app.state.jobs.notifier.notify();
    for _ in 0..100 {
        assert_ne!(done.recv().await.unwrap(), "endless");
    }
    app.leave_jobs();
}

async fn a_full_queue_holds_up_no_other(app: TestApp) {
    let (did, mut done) = mpsc::unbounded_channel();
    let worker = worker(&app, move |job: Job| {
        let did = did.clone();
        Box::pin(async move {
            if job.kind.queue == Queue::Mail {
                std::future::pending::<()>().await;
            }
            did.send(job.kind).unwrap();
            Ok(Outcome::Done)
        })
    });
    for _ in 0..3 * Queue::Mail.concurrency() {
        commit(&app, MailCode::KIND, "").await;
    }
    let (_stop, _thread) = running(worker);
    for _ in 0..100 {
        commit(&app, SmsCode::KIND, "").await;
        commit(&app, Recover::KIND, "").await;
        app.state.jobs.notifier.notify();
    }
    for _ in 0..200 {
        assert_ne!(done.recv().await.unwrap(), MailCode::KIND);
    }
    let begun = read(&app, |conn| {
        job::table
            .filter(job::lane.eq("mail"))
            .filter(job::attempts.gt(0))
            .count()
            .get_result::<i64>(conn)
    })
    .await;
    assert_eq!(begun, i64::try_from(Queue::Mail.concurrency()).unwrap());
    app.leave_jobs();
}

async fn every_job_is_taken_once_by_many_workers(app: TestApp) {
    let now = app.clock.now();
    let filled = app.state.db.write(move |conn| {
        for n in 0..500 {
            actions::enqueue(conn, &new(MailNotice::KIND, &n.to_string(), now), now)?;
        }
        Ok(())
    });
    filled.await.unwrap();
    let done = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let workers: Vec<Worker> = (0..8)
        .map(|_| {
            let done = Arc::clone(&done);
            worker(
                &app,
                performing(move |payload| {
                    *done.lock().unwrap().entry(payload.to_owned()).or_insert(0) += 1;
                    Ok(Outcome::Done)
                }),
            )
        })
        .collect();
    let begun: usize = join_all(workers.iter().map(Worker::step))
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    assert_eq!(begun, 500);
    let done = done.lock().unwrap().clone();
    assert_eq!(done.len(), 500);
    assert!(done.values().all(|times| *times == 1));
    assert!(states(&app).await.iter().all(|state| state == "done"));
}

/// Takes mails under a lease, as a worker does that says nothing more.
async fn claimed(app: &TestApp, lease: &'static str, free: usize) -> Vec<ClaimedJob> {
    let now = app.clock.now();
    let free = [(Queue::Mail, free)];
    app.state
        .db
        .write(move |conn| queue::settle_and_claim(conn, lease, &[], &free, now))
        .await
        .unwrap()
}

async fn a_lease_that_ran_out_is_taken_over_and_the_late_worker_changes_nothing(app: TestApp) {
    let worker = worker(&app, performing(|_| Ok(Outcome::Done)));
    let job_id = commit(&app, MailNotice::KIND, "").await;
    assert_eq!(claimed(&app, "late", 10).await.len(), 1);
    let lease = TimeDelta::from_std(LEASE).unwrap();
    app.clock.advance(lease - TimeDelta::microseconds(1));
    assert_eq!(worker.step().await.unwrap(), 0);
    assert_eq!(states(&app).await, ["running"]);
    app.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(worker.step().await.unwrap(), 1);
    let done = all(&app).await.remove(0);
    assert_eq!((done.state.as_str(), done.attempts), ("done", 2));

    for disposition in [
        Disposition::Done(Some("late")),
        Disposition::Dead("late".to_owned()),
        Disposition::Retry(app.clock.now(), "late".to_owned()),
        Disposition::Reschedule(app.clock.now()),
        Disposition::Released,
    ] {
        let (settled, now) = (
            [Settled {
                job_id,
                disposition,
            }],
            app.clock.now(),
        );
        let taken = app
            .state
            .db
            .write(move |conn| {
                queue::settle_and_claim(conn, "late", &settled, &[(Queue::Mail, 1)], now)
            })
            .await
            .unwrap();
        assert!(taken.is_empty());
        let now = all(&app).await.remove(0);
        assert_eq!(format!("{now:?}"), format!("{done:?}"));
    }
}

async fn a_renewed_lease_is_kept(app: TestApp) {
    let job_id = commit(&app, MailNotice::KIND, "").await;
    commit(&app, MailNotice::KIND, "").await;
    assert_eq!(claimed(&app, "slow", 1).await.len(), 1);
    let lease = TimeDelta::from_std(LEASE).unwrap();
    for _ in 0..5 {
        app.clock.advance(lease / 2);
        let now = app.clock.now();
        let renewed = app
            .state
            .db
            .write(move |conn| queue::renew(conn, "slow", &[job_id], now))
            .await;
        assert_eq!(renewed.unwrap(), 1);
    }
    // The other one only.
    assert_eq!(claimed(&app, "quick", 10).await.len(), 1);
    assert!(claimed(&app, "quick", 10).await.is_empty());
    app.clock.advance(lease);
    let now = app.clock.now();
    assert_eq!(claimed(&app, "quick", 10).await.len(), 2);
    let renewed = app
        .state
        .db
        .write(move |conn| queue::renew(conn, "slow", &[job_id], now))
        .await;
    assert_eq!(renewed.unwrap(), 0);
    app.leave_jobs();
}

async fn a_job_of_a_newer_program_waits(app: TestApp) {
    let worker = worker(&app, performing(|_| Ok(Outcome::Done)));
    commit(&app, MailNotice::KIND, "").await;
    commit(&app, MailNotice::KIND, "").await;
    app.state
        .db
        .write(|conn| {
            let first = job::table.select(job::job_id).order(job::job_id);
            let first: i64 = first.first(conn)?;
            diesel::update(job::table.find(first))
                .set(job::kind.eq("pigeon"))
                .execute(conn)
        })
        .await
        .unwrap();
    assert_eq!(worker.step().await.unwrap(), 1);
    let jobs = all(&app).await;
    assert_eq!(states(&app).await, ["waiting", "done"]);
    let error = "this program knows no jobs of kind pigeon";
    assert_eq!(jobs[0].last_error.as_deref(), Some(error));
    // The newer program does it, and nothing else.
    commit(&app, MailNotice::KIND, "").await;
    let pigeon = JobKind {
        name: "pigeon",
        ..MailNotice::KIND
    };
    let newer = Registry::default().with_run(pigeon, |_| Box::pin(async { Ok(Outcome::Done) }));
    let newer = worker_knowing(&app, newer);
    app.clock.advance(TimeDelta::seconds(2));
    assert_eq!(newer.step().await.unwrap(), 1);
    assert_eq!(states(&app).await, ["done", "done", "waiting"]);
    app.leave_jobs();
}

/// A handler whose payload is not text.
struct Numbered(mpsc::UnboundedSender<u64>);

impl JobHandler for Numbered {
    const KIND: JobKind = JobKind {
        name: "numbered",
        ..MailNotice::KIND
    };

    type Payload = u64;

    async fn run(&self, _: Job, number: u64) -> Result<Outcome, Failure> {
        self.0.send(number).unwrap();
        Ok(Outcome::Done)
    }
}

async fn a_handler_gets_its_payload_and_what_it_cannot_read_is_dead(app: TestApp) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let worker = worker_knowing(&app, Registry::default().with(Numbered(tell)));
    let now = app.clock.now();
    let fine = NewJob::of::<Numbered>(&7, now).unwrap();
    let written = (app.state.db).write(move |conn| actions::enqueue(conn, &fine, now));
    written.await.unwrap().unwrap();
    commit(&app, Numbered::KIND, "seven").await;
    assert_eq!(worker.step().await.unwrap(), 2);
    assert_eq!(told.try_recv().unwrap(), 7);
    assert!(told.try_recv().is_err());
    assert_eq!(states(&app).await, ["done", "dead"]);
    let error = all(&app).await[1].last_error.clone();
    assert_eq!(error.as_deref(), Some("its payload cannot be read"));
    app.leave_jobs();
}

/// Rows of earlier releases have these names.
#[test]
fn the_kinds_of_the_product_are_kept() {
    let found = KINDS.map(|kind| {
        let seconds = kind.time_limit.as_secs();
        (kind.name, kind.queue.name(), seconds, kind.is_periodic)
    });
    let expected = [
        ("delete_leftovers", "work", 600, false),
        ("delete_user", "work", 600, false),
        ("recover", "work", 30, false),
        ("mail_code", "mail", 90, false),
        ("sms_code", "sms", 30, false),
        ("mail_notice", "mail", 90, false),
        ("index_author", "work", 600, false),
        ("index_posts", "work", 600, false),
        ("publish_post", "publish", 60, false),
        ("sweep", "work", 600, true),
        ("check", "work", 3600, false),
    ];
    assert_eq!(found, expected);
}

async fn a_worker_does_these_kinds_and_no_others(app: TestApp) {
    let worker = app.state.worker(app.state.notifier().unwrap());
    let mut expected = KINDS.map(|kind| kind.name);
    expected.sort_unstable();
    let found: Vec<&str> = worker.kinds().iter().map(|kind| kind.name).collect();
    assert_eq!(found, expected);
}

/// How many rows there are: jobs, codes, sessions, their events, idempotency keys.
async fn rows(app: &TestApp) -> [i64; 5] {
    read(app, |conn| {
        Ok([
            job::table.count().get_result(conn)?,
            code::table.count().get_result(conn)?,
            session::table.count().get_result(conn)?,
            session_event::table.count().get_result(conn)?,
            idempotency::table.count().get_result(conn)?,
        ])
    })
    .await
}

/// What a process does that starts.
async fn plan(app: &TestApp) {
    let worker = app.state.worker(app.state.notifier().unwrap());
    let planned = tokio::task::spawn_blocking(move || worker.enqueue_periodic());
    assert!(planned.await.unwrap().is_ok());
}

async fn what_is_over_is_swept(app: TestApp) {
    plan(&app).await;
    let ann = app.user("ann").await;
    let remembered = json!({
        "account": "ann@example.org", "password": PASSWORD, "remembered": true,
    });
    app.anonymous()
        .post("/user/login", remembered)
        .await
        .expect(200);
    ann.post("/user/me/verify/send", json!({ "channel": "email" }))
        .await
        .expect(202);
    let keyed = app.client_of(&app.login("ann").await);
    let keyed = keyed.with_header("Idempotency-Key", "k");
    let post = json!({ "title": "t", "content": "c" });
    keyed.post("/post", post).await.expect(201);
    let login = app.login("ann").await;
    app.client_of(&login)
        .post("/user/logout", json!({}))
        .await
        .expect_empty(204);
    app.work().await;
    assert_eq!(rows(&app).await, [2, 1, 3, 1, 1]);

    let mut gone = Vec::new();
    for (hours, left) in [
        (1, [2, 0, 3, 1, 1]),
        (9, [2, 0, 1, 1, 1]),
        (15, [2, 0, 1, 0, 0]),
        (24 * 6, [1, 0, 1, 0, 0]),
        (24 * 8, [1, 0, 0, 0, 0]),
    ] {
        app.clock.advance(TimeDelta::hours(hours));
        // Hours that nobody was there for are made up for by one sweep.
        assert_eq!(app.work().await, 1);
        assert_eq!(rows(&app).await, left, "after {hours} hours");
        gone.push(hours);
    }
    let sweep = all(&app).await.remove(0);
    assert_eq!((sweep.kind.as_str(), sweep.attempts), ("sweep", 0));
    app.leave_jobs();
}

async fn there_is_one_sweep_however_many_processes(app: TestApp) {
    let second = app.second(&[]).await;
    for _ in 0..3 {
        for app in [&app, &second] {
            plan(app).await;
        }
    }
    assert_eq!(states(&app).await, ["waiting"]);
    for _ in 0..3 {
        let (one, other) = futures_util::future::join(app.work(), second.work()).await;
        assert_eq!(one + other, 1);
        app.clock.advance(TimeDelta::hours(1));
    }
    app.leave_jobs();
    second.leave_jobs();
}

async fn a_stopping_worker_lets_its_jobs_end(app: TestApp) {
    let (tell, mut begun) = mpsc::unbounded_channel();
    let (open, opened) = tokio::sync::watch::channel(false);
    let worker = worker(&app, move |_| {
        let (tell, mut opened) = (tell.clone(), opened.clone());
        Box::pin(async move {
            tell.send(()).unwrap();
            opened.wait_for(|is_open| *is_open).await.unwrap();
            Ok(Outcome::Done)
        })
    });
    for _ in 0..5 {
        commit(&app, MailNotice::KIND, "").await;
    }
    let (stop, thread) = running(worker);
    for _ in 0..5 {
        begun.recv().await.unwrap();
    }
    drop(stop);
    open.send(true).unwrap();
    // What comes now is for another worker.
    commit(&app, MailNotice::KIND, "").await;
    app.state.jobs.notifier.notify();
    tokio::task::spawn_blocking(move || thread.join().unwrap())
        .await
        .unwrap();
    let states = states(&app).await;
    assert_eq!(states[..5], ["done"; 5]);
    app.leave_jobs();
}

async fn admins_see_jobs_and_have_them_tried_again(app: TestApp) {
    let root = app.admin("root").await;
    let flaky = worker(
        &app,
        performing(|payload| match payload {
            "dead" => Err(Failure::Permanent("550 no such mailbox".to_owned())),
            "later" => Err(Failure::Transient("450 try again".to_owned())),
            _ => Ok(Outcome::Done),
        }),
    );
    let mut ids = Vec::new();
    for payload in ["dead", "later", "fine"] {
        ids.push(commit(&app, MailNotice::KIND, payload).await);
    }
    assert_eq!(flaky.step().await.unwrap(), 3);
    for (query, expected) in [
        ("", vec![ids[2], ids[1], ids[0]]),
        ("?state=", vec![ids[2], ids[1], ids[0]]),
        ("?state=dead", vec![ids[0]]),
        ("?state=waiting", vec![ids[1]]),
        ("?state=done", vec![ids[2]]),
        ("?state=running", vec![]),
        ("?size=1&page=2", vec![ids[1]]),
    ] {
        let answer = root.get(&format!("/jobs/{query}")).await.expect(200);
        let found: Vec<i64> = answer["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["job_id"].as_i64().unwrap())
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    let link = root.get("/jobs?state=done&size=1").await;
    assert!(
        link.header("link")
            .contains("/jobs/?page=1&size=1&state=done")
    );
    let dead = root.get("/jobs?state=dead").await.expect(200);
    assert_eq!(dead["jobs"][0]["last_error"], "550 no such mailbox");
    assert_eq!(dead["pagination"]["count"], 1);
    root.get("/jobs?state=lost").await.problem("query_invalid");

    let retry = |id: i64| {
        let path = format!("/jobs/{id}/retry");
        let request = root.request(actix_web::http::Method::POST, &path);
        app.send(request)
    };
    for id in &ids[..2] {
        let answer = retry(*id).await.expect(200);
        assert_eq!(answer["job"]["state"], "waiting");
        assert_eq!(answer["job"]["attempts"], 0);
        assert_eq!(answer["job"]["finished"], serde_json::Value::Null);
    }
    retry(ids[2]).await.problem("job_not_retryable");
    retry(999_999).await.problem("job_not_found");
    assert_eq!(claimed(&app, "busy", 1).await.len(), 1);
    retry(ids[0]).await.problem("job_not_retryable");
    retry(ids[1]).await.expect(200);
    app.clock.advance(TimeDelta::from_std(LEASE).unwrap());
    let fine = worker(&app, performing(|_| Ok(Outcome::Done)));
    assert_eq!(fine.step().await.unwrap(), 2);
    assert!(states(&app).await.iter().all(|state| state == "done"));
}

/// What a command prints.
fn said(database: &TestDatabase, args: &[&str]) -> (bool, String) {
    let out = output(
        inkpot(database.directory.path())
            .args(args)
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET),
    );
    let is_done = out.status.success();
    let text = if is_done { out.stdout } else { out.stderr };
    (is_done, String::from_utf8(text).unwrap())
}

fn the_operator_manages_jobs(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let db = Db::open(&url, 1).unwrap();
    let now = chrono::Utc::now().naive_utc();
    let ids: Vec<i64> = (0..3)
        .map(|_| {
            let new = new(MailNotice::KIND, "", now);
            db.write_blocking(&|conn| actions::enqueue(conn, &new, now))
                .unwrap()
                .unwrap()
        })
        .collect();
    let settle = |job_id: i64, disposition: Disposition| {
        let settled = [Settled {
            job_id,
            disposition,
        }];
        db.write_blocking(&|conn| {
            diesel::update(job::table.find(job_id))
                .set((job::lease.eq("x"), job::state.eq("running")))
                .execute(conn)?;
            queue::settle_and_claim(conn, "x", &settled, &[], now)
        })
        .unwrap();
    };
    settle(ids[0], Disposition::Done(None));
    settle(ids[1], Disposition::Dead("550 no such mailbox".to_owned()));

    let (_, list) = said(&database, &["jobs", "list"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].starts_with(&format!("{} mail_notice waiting", ids[2])));
    assert!(lines[1].ends_with(": 550 no such mailbox"));
    let (_, list) = said(&database, &["jobs", "list", "--state", "dead"]);
    assert_eq!(list.lines().count(), 1);
    let (_, list) = said(&database, &["jobs", "list", "--limit", "1"]);
    assert!(
        list.ends_with("and older ones: --limit shows more\n"),
        "{list}"
    );

    let (is_done, line) = said(&database, &["jobs", "retry", &ids[0].to_string()]);
    assert!(!is_done && line.contains("running or done"), "{line}");
    let (is_done, line) = said(&database, &["jobs", "retry", "999999"]);
    assert!(
        !is_done && line.contains("there is no job 999999"),
        "{line}"
    );
    let (is_done, line) = said(&database, &["jobs", "retry", &ids[1].to_string()]);
    assert!(is_done && line.contains("waiting"), "{line}");
    settle(ids[1], Disposition::Dead("again".to_owned()));
    let (_, line) = said(&database, &["jobs", "retry"]);
    assert_eq!(line, "1 dead jobs are tried again\n");
    let (_, line) = said(&database, &["jobs", "retry"]);
    assert_eq!(line, "0 dead jobs are tried again\n");

    let (_, line) = said(&database, &["jobs", "purge", "--older-than-days", "1"]);
    assert_eq!(line, "deleted 0 done jobs\n");
    let days = u32::MAX.to_string();
    let (is_done, line) = said(&database, &["jobs", "purge", "--older-than-days", &days]);
    assert!(is_done && line == "deleted 0 done jobs\n", "{line}");
    let (_, line) = said(&database, &["jobs", "purge"]);
    assert_eq!(line, "deleted 1 done jobs\n");
    settle(ids[1], Disposition::Dead("for good".to_owned()));
    let (_, line) = said(&database, &["jobs", "purge", "--state", "dead"]);
    assert_eq!(line, "deleted 1 dead jobs\n");
    let (is_done, line) = said(&database, &["jobs", "purge", "--state", "waiting"]);
    assert!(!is_done && line.contains("expected done, dead"), "{line}");
    let (_, list) = said(&database, &["jobs", "list"]);
    assert_eq!(list.lines().count(), 1);
}

#[test]
fn the_operator_manages_jobs_on_sqlite() {
    the_operator_manages_jobs(Backend::Sqlite);
}

#[test]
fn the_operator_manages_jobs_on_mysql() {
    the_operator_manages_jobs(Backend::Mysql);
}
