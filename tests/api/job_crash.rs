//! Servers and workers that are killed at any moment, or stopped for a while: what was
//! committed is delivered, and what is delivered twice says that it is the same.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use diesel::prelude::*;
use diesel::result::Error::RollbackTransaction;
use inkpot::accounts::jobs::recover::Recover;
use inkpot::jobs::JobStatus;
use inkpot::jobs::handler::JobHandler;
use serde_json::json;

use crate::harness::jobs::{self, JobRow, enqueue_mail, inkpot_sending};
use crate::harness::people::{self, Person};
use crate::harness::process::{Process, shown};
use crate::harness::sinks::{Sinks, Taken};
use crate::harness::{Backend, TestDatabase};

/// How often something is killed.
const ROUNDS: usize = 10;
/// What happens in a round: requests, and transactions of each way to end.
const REQUESTS: usize = 70;
const TRANSACTIONS: usize = 30;
/// Clients that send the requests.
const CLIENTS: usize = 4;
/// The number of a transaction's job is this much more than its own.
const NOBODY: i64 = 1_000_000;

/// Seconds since 1970, by the clock that the sinks tell.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

/// Chance that can be had again from its seed.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = getrandom::u64().unwrap();
        shown(&format!("seed {seed}"));
        Self(seed)
    }

    /// A number of a range (splitmix64).
    fn within(&mut self, range: Range<usize>) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let width = u64::try_from(range.len()).unwrap();
        range.start + usize::try_from(mixed % width).unwrap()
    }
}

/// A server or a worker, and another when that was killed.
struct Seat<'a> {
    start: Box<dyn Fn() -> Process + Sync + 'a>,
    /// `None` while nobody sits there.
    present: Mutex<Option<Arc<Process>>>,
    taken: Condvar,
    /// The milliseconds since 1970 in which the present one was started, and with it
    /// its lease: that says when it was made.
    started: Mutex<Range<u64>>,
}

impl<'a> Seat<'a> {
    fn new(start: impl Fn() -> Process + Sync + 'a) -> Self {
        let seat = Self {
            start: Box::new(start),
            present: Mutex::default(),
            taken: Condvar::new(),
            started: Mutex::default(),
        };
        seat.fill();
        seat
    }

    fn fill(&self) {
        let begun = millis();
        let process = (self.start)();
        let ended = millis() + 1;
        *self.started.lock().unwrap() = begun..ended;
        // The next to be started has none of these milliseconds.
        while millis() < ended {
            std::thread::yield_now();
        }
        *self.present.lock().unwrap() = Some(Arc::new(process));
        self.taken.notify_all();
    }

    /// Who sits there, or will.
    fn present(&self) -> Arc<Process> {
        let empty = self.present.lock().unwrap();
        let present = self.taken.wait_while(empty, |one| one.is_none()).unwrap();
        Arc::clone(present.as_ref().unwrap())
    }

    /// Kills who sits there, and returns when they are gone; gives when that was, and
    /// when they were started.
    fn kill(&self) -> (f64, Range<u64>) {
        let killed = self.present.lock().unwrap().take();
        let mut killed = killed.expect("one at a time kills");
        let at = now();
        killed.signal("KILL");
        // Those who ask it just now lose their connections.
        loop {
            match Arc::try_unwrap(killed) {
                Ok(process) => {
                    drop(process);
                    return (at, self.started.lock().unwrap().clone());
                }
                Err(shared) => killed = shared,
            }
            std::thread::yield_now();
        }
    }
}

fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// How many rounds have begun.
#[derive(Default)]
struct Pace {
    begun: Mutex<usize>,
    changed: Condvar,
}

impl Pace {
    fn begin(&self) {
        *self.begun.lock().unwrap() += 1;
        self.changed.notify_all();
    }

    /// Waits until a round has begun.
    fn wait_for(&self, round: usize) {
        let begun = self.begun.lock().unwrap();
        drop(
            self.changed
                .wait_while(begun, |begun| *begun <= round)
                .unwrap(),
        );
    }
}

/// What the `n`-th person asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Mail,
    Text,
    /// A job that makes another.
    Recovery,
}

fn wish(n: usize) -> Wish {
    match n % 7 {
        0 | 1 => Wish::Text,
        2 => Wish::Recovery,
        _ => Wish::Mail,
    }
}

/// Asks for it; whether that was acknowledged.
fn ask(server: &Process, n: usize, person: &Person) -> bool {
    let (path, body) = match wish(n) {
        Wish::Mail => ("/user/me/verify/send", json!({ "channel": "email" })),
        Wish::Text => ("/user/me/verify/send", json!({ "channel": "mobile" })),
        Wish::Recovery => ("/user/password/forgot", json!({ "account": person.email })),
    };
    let headers = format!(
        "Content-Type: application/json\r\nAuthorization: Bearer {}\r\n",
        person.token
    );
    match server.call_if_alive("POST", path, &headers, &body.to_string()) {
        Some((202, _)) => true,
        Some((status, answer)) => panic!("{status}: {answer}"),
        None => false,
    }
}

/// The transactions of a round: of each that commits there is one that does not.
fn transact(database: &TestDatabase, round: usize) {
    database.with(move |conn| {
        for n in round * TRANSACTIONS..(round + 1) * TRANSACTIONS {
            let user_id = NOBODY + i64::try_from(n).unwrap();
            let kept: QueryResult<()> = conn.transaction(|conn| {
                enqueue_mail(conn, user_id, &format!("committed-{n}@example.net"))
            });
            kept.unwrap();
            let undone: QueryResult<()> = conn.transaction(|conn| {
                enqueue_mail(conn, user_id, &format!("rolledback-{n}@example.net"))?;
                Err(RollbackTransaction)
            });
            assert_eq!(undone, Err(RollbackTransaction));
        }
    });
}

/// The jobs that a process had which was started then, and is gone.
fn orphans(database: &TestDatabase, started: &Range<u64>) -> Vec<JobRow> {
    let mut rows = jobs::rows(database);
    rows.retain(|row| {
        let lease = row.lease.as_deref().map(ulid::Ulid::from_string);
        lease.is_some_and(|lease| started.contains(&lease.unwrap().timestamp_ms()))
    });
    rows
}

fn killed_with_a_thousand_jobs(backend: Backend) {
    let Some(sinks) = Sinks::start() else { return };
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let _shown = jobs::ShowsJobs(database.shared());
    let mut chance = Chance::new();
    // What was taken and is not recorded: most of what is under way.
    sinks.switch("mail lag 0.02");
    sinks.switch("sms lag 0.02");
    let people = people::insert(&database, ROUNDS * REQUESTS);
    let server = Seat::new(|| Process::start(&mut inkpot_sending(&database, &sinks)));
    let worker = Seat::new(|| Process::start_worker(&mut inkpot_sending(&database, &sinks)));

    let (pace, next) = (Pace::default(), AtomicUsize::new(0));
    let acknowledged = Mutex::new(HashSet::new());
    // When a job lost its worker.
    let mut lost: HashMap<i64, Vec<f64>> = HashMap::new();
    let mut open = HashSet::new();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(person) = people.get(n) else { return };
                    pace.wait_for(n / REQUESTS);
                    if ask(&server.present(), n, person) {
                        acknowledged.lock().unwrap().insert(person.user_id);
                    }
                }
            });
        }
        scope.spawn(|| {
            for round in 0..ROUNDS {
                pace.wait_for(round);
                transact(&database, round);
            }
        });
        for _ in 0..ROUNDS {
            let taken = sinks.count() + chance.within(1..60);
            pace.begin();
            sinks.wait_until(|sinks| sinks.count() >= taken);
            let victims = match chance.within(0..3) {
                0 => vec![&server],
                1 => vec![&worker],
                _ => vec![&server, &worker],
            };
            let killed: Vec<_> = victims.iter().map(|seat| seat.kill()).collect();
            for seat in &victims {
                seat.fill();
            }
            // By now the database has closed what they had open.
            for (at, started) in killed {
                for row in orphans(&database, &started) {
                    lost.entry(row.job_id).or_default().push(at);
                    if row.kind != Recover::KIND.name {
                        open.insert(row.job_id);
                    }
                }
            }
        }
    });

    // Their leases end first; that is most of the time of this test.
    let loss_of = |job_id| lost[&job_id].last().copied().unwrap_or_default();
    sinks.wait_until(|sinks| {
        let again = sinks.taken().into_iter();
        let again =
            again.filter(|one| open.contains(&one.job_id()) && one.at > loss_of(one.job_id()));
        again.map(|one| one.job_id()).collect::<HashSet<_>>().len() == open.len()
    });
    let rows = jobs::wait_until(&database, |rows| {
        rows.iter().all(|row| row.is(JobStatus::Done))
    });
    let told = Told::by(&sinks);
    told.check(&rows, &lost);
    check_causes(&told, &rows, &people, &acknowledged.into_inner().unwrap());
}

/// What was delivered.
struct Told {
    by_job: HashMap<i64, Vec<Taken>>,
    by_address: HashMap<String, HashSet<i64>>,
}

impl Told {
    fn by(sinks: &Sinks) -> Self {
        let mut told = Self {
            by_job: HashMap::new(),
            by_address: HashMap::new(),
        };
        for one in sinks.taken() {
            let job_id = one.job_id();
            told.by_address
                .entry(one.to.clone())
                .or_default()
                .insert(job_id);
            told.by_job.entry(job_id).or_default().push(one);
        }
        told
    }

    /// Every job was delivered, and begun again, and told again, only when it had lost
    /// its worker.
    fn check(&self, rows: &[JobRow], lost: &HashMap<i64, Vec<f64>>) {
        for row in rows {
            let losses = lost.get(&row.job_id).map_or(&[][..], Vec::as_slice);
            let begun = usize::try_from(row.attempts).unwrap();
            assert_eq!(begun, 1 + losses.len(), "{row:?} {losses:?}");
            if row.kind == Recover::KIND.name {
                continue;
            }
            let taken = &self.by_job[&row.job_id];
            assert!(taken.len() <= begun, "{row:?} {taken:?}");
            for (repeat, one) in taken.iter().enumerate() {
                assert_eq!((&one.key, &one.to), (&taken[0].key, &taken[0].to));
                let before = losses.iter().filter(|at| **at < one.at).count();
                assert!(before >= repeat, "{taken:?} {losses:?}");
            }
        }
        let ids: HashSet<i64> = rows.iter().map(|row| row.job_id).collect();
        assert!(self.by_job.keys().all(|job_id| ids.contains(job_id)));
        let repeats: usize = self.by_job.values().map(|taken| taken.len() - 1).sum();
        assert!(repeats > 0, "no kill fell between delivery and record");
    }

    /// How many jobs sent to an address.
    fn jobs_to(&self, address: &str) -> usize {
        self.by_address.get(address).map_or(0, HashSet::len)
    }
}

/// What was acknowledged or committed was delivered, of the rest only what has a job,
/// and nothing that was rolled back.
fn check_causes(told: &Told, rows: &[JobRow], people: &[Person], acknowledged: &HashSet<i64>) {
    let sending = |user_id| {
        let of_user = rows.iter().filter(|row| row.user_id == Some(user_id));
        of_user.count()
    };
    for (n, person) in people.iter().enumerate() {
        let address = match wish(n) {
            Wish::Text => &person.mobile,
            Wish::Mail | Wish::Recovery => &person.email,
        };
        let jobs = sending(person.user_id);
        assert_eq!(told.jobs_to(address), jobs, "{address}");
        let is_acknowledged = acknowledged.contains(&person.user_id);
        assert!(jobs == 1 || !is_acknowledged && jobs == 0, "{address}");
    }
    for n in 0..ROUNDS * TRANSACTIONS {
        let committed = format!("committed-{n}@example.net");
        assert_eq!(told.jobs_to(&committed), 1, "{committed}");
        assert_eq!(sending(NOBODY + i64::try_from(n).unwrap()), 1);
    }
    let undone = told
        .by_address
        .keys()
        .find(|to| to.starts_with("rolledback"));
    assert_eq!(undone, None);
    assert!(acknowledged.len() >= people.len() - ROUNDS * CLIENTS);
}

/// Both at once, since most of the time goes by until leases end.
#[test]
fn a_thousand_jobs_survive_kills() {
    std::thread::scope(|scope| {
        for backend in [Backend::Mysql, Backend::Sqlite] {
            scope.spawn(move || killed_with_a_thousand_jobs(backend));
        }
    });
}
