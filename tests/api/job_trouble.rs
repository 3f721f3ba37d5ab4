//! A server for mails that refuses, delays, hangs or drops connections: text messages
//! and other mails go on, and in the end everything arrives.

use std::collections::HashSet;
use std::process::Command;

use diesel::prelude::*;
use inkpot::accounts::codes::{CodeKeys, Order, Purpose};
use inkpot::accounts::notifications::{Channel, send_code};
use inkpot::accounts::refresh::new_nonce;
use inkpot::core::clock::Clock;
use inkpot::core::settings::MessageLimits;
use inkpot::jobs::JobStatus;
use inkpot::jobs::storage::admin;
use inkpot::notify::Language;
use serde_json::Value;

use crate::harness::jobs::{self, JobRow, enqueue_mail, inkpot_sending};
use crate::harness::people;
use crate::harness::process::{Process, output};
use crate::harness::sinks::Sinks;
use crate::harness::{Backend, TestDatabase};

/// Mails, and as many text messages.
const MESSAGES: usize = 200;

/// A worker's surroundings.
struct Place {
    sinks: Sinks,
    database: TestDatabase,
    _shown: jobs::ShowsJobs,
}

impl Place {
    /// With a server for mails that behaves like this and all messages enqueued at once.
    fn new(backend: Backend, trouble: &str) -> Option<Self> {
        let sinks = Sinks::start()?;
        let database = TestDatabase::create(backend)?;
        sinks.switch(trouble);
        database.with(|conn| {
            let keys = CodeKeys::new(&people::secrets()).unwrap();
            let limits = MessageLimits {
                is_on: false,
                mails_a_day: 1,
                texts_a_day: 1,
            };
            let enqueued: QueryResult<()> = conn.transaction(|conn| {
                for n in 0..MESSAGES {
                    let user = people::insert_user(conn, n)?;
                    enqueue_mail(conn, user.user_id, &address(n))?;
                    let what = (&user, Purpose::VerifyMobile, Channel::Mobile);
                    let (nonce, now) = (new_nonce().unwrap(), Clock::system().now());
                    let order = Order {
                        nonce,
                        order_hash: String::new(),
                        is_invitation: false,
                    };
                    send_code(conn, (&keys, &limits), what, Language::English, &order, now)?;
                }
                Ok(())
            });
            enqueued.unwrap();
        });
        Some(Self {
            _shown: jobs::ShowsJobs(database.shared()),
            sinks,
            database,
        })
    }

    fn inkpot(&self) -> Command {
        inkpot_sending(&self.database, &self.sinks)
    }

    fn worker(&self) -> Process {
        Process::start_worker(&mut self.inkpot())
    }

    /// What a command prints that succeeds.
    fn says(&self, arguments: &[&str]) -> String {
        let said = output(self.inkpot().args(arguments));
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    }

    /// All text messages arrive, each once.
    fn wait_for_texts(&self) {
        self.sinks
            .wait_until(|sinks| sinks.texts().len() >= MESSAGES);
        let texts = self.sinks.texts();
        let to: HashSet<&str> = texts.iter().map(|text| text.to.as_str()).collect();
        assert_eq!((texts.len(), to.len()), (MESSAGES, MESSAGES));
    }

    /// How many people got mails.
    fn reached(&self) -> usize {
        let mails = self.sinks.mails();
        let to: HashSet<&str> = mails.iter().map(|mail| mail.to.as_str()).collect();
        to.len()
    }

    /// All mails arrive, and every job is done; repeats say that they are repeats.
    fn wait_for_mails(&self) {
        self.sinks.wait_until(|_| self.reached() == MESSAGES);
        jobs::wait_until(&self.database, |rows| {
            rows.iter().all(|row| row.is(JobStatus::Done))
        });
        let mails = self.sinks.mails();
        let keys: HashSet<&str> = mails.iter().map(|mail| mail.message_id.as_str()).collect();
        assert_eq!((keys.len(), self.reached()), (MESSAGES, MESSAGES));
    }

    /// Waits until something is so of every mail's job, and gives them.
    fn wait_for_each_mail(&self, is_so: fn(&JobRow) -> bool) -> Vec<JobRow> {
        let mut rows = jobs::wait_until(&self.database, move |rows| {
            rows.iter().filter(|row| row.is_mail()).all(is_so)
        });
        rows.retain(JobRow::is_mail);
        assert_eq!(rows.len(), MESSAGES);
        rows
    }
}

fn address(n: usize) -> String {
    format!("mail-{n:03}@example.net")
}

fn refused_for_good(backend: Backend) {
    let Some(place) = Place::new(backend, "mail refuse5") else {
        return;
    };
    let _worker = place.worker();
    place.wait_for_texts();
    let rows = place.wait_for_each_mail(|row| row.is(JobStatus::Dead));
    assert!(rows.iter().all(|row| row.attempts == 1), "{rows:?}");
    let listed = place.says(&["jobs", "list", "--state", "dead", "--limit", "1000"]);
    assert_eq!(listed.lines().count(), MESSAGES);
    for line in listed.lines() {
        assert!(line.contains("mail_notice dead") && line.contains("550"));
        assert!(!line.contains("@example.net"), "{line}");
    }
    place.sinks.switch("mail ok");
    assert_eq!(place.reached(), 0);
    let retried = place.says(&["jobs", "retry"]);
    assert_eq!(retried, format!("{MESSAGES} dead jobs are tried again\n"));
    place.wait_for_mails();
}

#[test]
fn mails_that_are_refused_for_good_are_dead_until_they_are_retried_on_mysql() {
    refused_for_good(Backend::Mysql);
}

#[test]
fn mails_that_are_refused_for_good_are_dead_until_they_are_retried_on_sqlite() {
    refused_for_good(Backend::Sqlite);
}

#[test]
fn mails_that_are_refused_for_now_wait_with_the_reason() {
    let Some(place) = Place::new(Backend::Mysql, "mail refuse4") else {
        return;
    };
    let admin = people::insert_admin(&place.database);
    let server = Process::start(place.inkpot().args(["serve", "--no-jobs"]));
    let _worker = place.worker();
    place.wait_for_texts();
    let rows = place.wait_for_each_mail(|row| row.last_error.is_some());
    let headers = format!("Authorization: Bearer {}\r\n", admin.token);
    let call = |method: &str, path: &str| {
        let (status, body) = server.call(method, path, &headers, "");
        let body: Value = serde_json::from_str(&body).unwrap();
        (status, body)
    };
    place.sinks.switch("mail ok");
    assert_eq!(place.reached(), 0);
    for row in rows {
        assert!(row.last_error.unwrap().contains("451"));
        let (status, answer) = call("POST", &format!("/jobs/{}/retry", row.job_id));
        // Of what is just tried again, or was, by itself.
        let is_retried = status == 200 && answer["job"]["attempts"] == 0;
        assert!(is_retried || status == 409, "{status}: {answer}");
    }
    place.wait_for_mails();
}

#[test]
fn a_server_that_takes_its_time_gets_all_mails() {
    let Some(place) = Place::new(Backend::Mysql, "mail delay 0.3") else {
        return;
    };
    let _worker = place.worker();
    place.wait_for_texts();
    place.wait_for_mails();
    assert_eq!(place.sinks.mails().len(), MESSAGES);
}

#[test]
fn a_server_that_drops_half_of_the_connections_gets_all_mails() {
    let Some(place) = Place::new(Backend::Mysql, "mail drophalf") else {
        return;
    };
    let _worker = place.worker();
    place.wait_for_texts();
    // The waits double; whoever is in a hurry has what waits tried again.
    place.sinks.wait_until(|_| {
        let has_all = place.reached() == MESSAGES;
        if !has_all {
            place.database.with(|conn| {
                let waiting = jobs::load(conn).into_iter();
                for row in waiting.filter(|row| row.is(JobStatus::Waiting)) {
                    admin::retry(conn, row.job_id, Clock::system().now()).unwrap();
                }
            });
        }
        has_all
    });
    place.sinks.switch("mail ok");
    place.wait_for_mails();
}

#[test]
fn a_server_that_hangs_holds_up_nothing_and_loses_nothing() {
    let Some(place) = Place::new(Backend::Mysql, "mail hang") else {
        return;
    };
    let worker = place.worker();
    place.wait_for_texts();
    worker.signal("TERM");
    assert_eq!(worker.wait().0, Some(0));
    let rows = jobs::rows(&place.database);
    for row in rows.iter().filter(|row| row.is_mail()) {
        assert!(row.is(JobStatus::Waiting) && row.lease.is_none(), "{row:?}");
    }
    assert_eq!(place.reached(), 0);
    place.sinks.switch("mail ok");
    let _worker = place.worker();
    place.wait_for_mails();
}

#[test]
fn recipients_whose_server_hangs_hold_up_no_other_mails() {
    // One of ten, and fewer than there are places.
    let Some(place) = Place::new(Backend::Mysql, "mail hangfor 7@") else {
        return;
    };
    let _worker = place.worker();
    place.wait_for_texts();
    let others = MESSAGES - MESSAGES / 10;
    place.sinks.wait_until(|_| place.reached() == others);
    let mails = place.sinks.mails();
    assert!(mails.iter().all(|mail| !mail.to.contains("7@")));
    place.sinks.switch("mail ok");
    place.wait_for_mails();
    assert_eq!(place.sinks.mails().len(), MESSAGES);
}
