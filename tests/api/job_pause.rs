//! A worker that stands still for longer than its leases: another does its jobs, and
//! when it goes on it changes nothing. Even what it has locked holds up nothing else.

use std::collections::HashMap;

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::result::Error::RollbackTransaction;
use inkpot::core::clock::Clock;
use inkpot::core::db::dialect;
use inkpot::jobs::{JobStatus, Queue};

use crate::harness::jobs::{self, enqueue_mail, inkpot_sending};
use crate::harness::process::Process;
use crate::harness::sinks::Sinks;
use crate::harness::{Backend, TestDatabase};

/// Fewer than a worker has places for mails.
const MAILS: usize = 20;

fn send(database: &TestDatabase) {
    database.with(|conn| {
        for n in 0..MAILS {
            enqueue_mail(conn, 1, &format!("mail-{n}@example.net")).unwrap();
        }
    });
}

/// How many mails nobody has locked.
fn unlocked(database: &TestDatabase) -> usize {
    database.with(|conn| {
        let mut found = 0;
        let undone: QueryResult<()> = conn.transaction(|conn| {
            let later = Clock::system().now() + TimeDelta::hours(1);
            found = dialect::claim_due_jobs(conn, Queue::Mail.name(), later, 1000)?.len();
            Err(RollbackTransaction)
        });
        assert_eq!(undone, Err(RollbackTransaction));
        found
    })
}

/// Stops it where it is in the middle of no transaction, which would keep others from
/// its jobs for as long as the database waits for it.
fn pause(worker: &Process, database: &TestDatabase) {
    loop {
        worker.pause();
        // Twice: a statement may have been on its way.
        if (0..2).all(|_| unlocked(database) == MAILS) {
            return;
        }
        worker.signal("CONT");
    }
}

#[test]
fn a_worker_that_was_paused_changes_nothing_that_is_no_longer_its_own() {
    let Some(sinks) = Sinks::start() else { return };
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let _shown = jobs::ShowsJobs(database.shared());
    // All are taken, none is answered.
    sinks.switch("mail hold");
    send(&database);
    let start = || Process::start_worker(&mut inkpot_sending(&database, &sinks));
    let first = start();
    sinks.wait_until(|sinks| sinks.count() == MAILS);
    pause(&first, &database);
    sinks.switch("mail ok");
    let second = start();
    sinks.wait_until(|sinks| sinks.count() == 2 * MAILS);
    let all_done = |rows: &[jobs::JobRow]| rows.iter().all(|row| row.is(JobStatus::Done));
    let rows = jobs::wait_until(&database, all_done);
    assert!(rows.iter().all(|row| row.attempts == 2), "{rows:?}");

    // The answers that it waited for are there, and it writes down what came of them.
    first.signal("CONT");
    first.signal("TERM");
    let (code, log) = first.wait();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(jobs::rows(&database), rows);
    second.signal("TERM");
    assert_eq!(second.wait().0, Some(0));
    assert_eq!(jobs::rows(&database), rows);

    let mut told: HashMap<String, Vec<String>> = HashMap::new();
    for mail in sinks.taken() {
        told.entry(mail.to).or_default().push(mail.key);
    }
    assert_eq!(told.len(), MAILS);
    for (to, keys) in told {
        assert!(keys.len() == 2 && keys[0] == keys[1], "{to}: {keys:?}");
    }
}

#[test]
fn a_job_that_somebody_has_locked_holds_up_neither_others_nor_the_end() {
    let Some(sinks) = Sinks::start() else { return };
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    send(&database);
    let (shared, mut inkpot) = (database.shared(), inkpot_sending(&database, &sinks));
    database.with(move |conn| {
        let undone: QueryResult<()> = conn.transaction(|conn| {
            let locked =
                dialect::claim_due_jobs(conn, Queue::Mail.name(), Clock::system().now(), 1)?;
            assert_eq!(locked.len(), 1);
            let locked = locked[0].0;
            let worker = Process::start_worker(&mut inkpot);
            let others_done = move |rows: &[jobs::JobRow]| {
                let mut others = rows.iter().filter(|row| row.job_id != locked);
                others.all(|row| row.is(JobStatus::Done))
            };
            jobs::wait_until(&shared, others_done);
            worker.signal("TERM");
            assert_eq!(worker.wait().0, Some(0));
            let rows = jobs::rows(&shared);
            let waits = |row: &&jobs::JobRow| row.is(JobStatus::Waiting) && row.job_id == locked;
            assert_eq!(rows.iter().filter(waits).count(), 1, "{rows:?}");
            Err(RollbackTransaction)
        });
        assert_eq!(undone, Err(RollbackTransaction));
    });
}
