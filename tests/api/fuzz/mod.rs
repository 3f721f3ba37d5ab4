//! Hostile clients against a real process: heads, bodies, tokens, cursors, lists of ETags,
//! `Forwarded`, cookies and frames, made of sound requests by chance and malice.
//!
//! Whatever is sent, each answer is sound HTTP and no fault of the server, each connection
//! ends or is answered, everybody else is served, the memory stays, and the log has no
//! error. The description of the API says what a sound request is, so that no route is
//! missing.
//!
//! A run is made by its seed, as those of the models are; `make fuzz` runs for long.

mod bodies;
mod cases;
mod frames;
mod heads;
mod values;
mod wire;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};
use crate::model::random::Random;
use crate::model::{self, Plan};
use cases::Caller;

/// Clients at a time.
const CLIENTS: usize = 8;
/// What each of them does before the others are looked at: in the suite, and in a long run.
const CASES: (usize, usize) = (30, 300);
const ROUNDS: (usize, usize) = (2, 10);
/// Kilobytes by which the memory may grow once everything was in use: what the caches
/// and the allocator keep.
const GROWTH: usize = 96 * 1024;

/// The server that is attacked, and on what.
struct Target {
    server: Process,
    database: TestDatabase,
    people: usize,
}

impl Target {
    fn start(backend: Backend) -> Option<Self> {
        let database = TestDatabase::create(backend)?;
        let mut command = inkpot(database.directory.path());
        command
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET)
            .env("INKPOT_WORKERS", "2")
            .env("INKPOT_DB_POOL", "4")
            .env("INKPOT_CACHE_MB", "8")
            .env("INKPOT_LOG", "warn")
            // So that what clients forge of it is read.
            .env("INKPOT_TRUSTED_PROXIES", "127.0.0.0/8");
        Some(Self {
            server: Process::start(&mut command),
            database,
            people: 0,
        })
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = "Content-Type: application/json\r\n";
        let (status, body) = self.server.call(method, path, headers, &body.to_string());
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Registers somebody new and logs them in: what everybody does all the time.
    fn newcomer(&mut self, is_admin: bool) -> Caller {
        self.people += 1;
        let email = format!("person{}@example.org", self.people);
        let body = json!({ "email": email, "name": "Person", "password": PASSWORD });
        let (status, answer) = self.call("POST", "/user/reg", &body);
        assert_eq!(status, 201, "{answer}");
        let user_id = answer["userinfo"]["user_id"].as_i64().unwrap();
        if is_admin {
            self.database.with(move |conn| {
                use inkpot::accounts::storage::users;
                use inkpot::accounts::types::AdminChange;
                let change = AdminChange {
                    is_admin: Some(true),
                    ..AdminChange::default()
                };
                users::administer(conn, user_id, &change, chrono::Utc::now().naive_utc()).unwrap();
            });
        }
        let body = json!({ "account": email, "password": PASSWORD });
        let (status, answer) = self.call("POST", "/user/login", &body);
        assert_eq!(status, 200, "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Caller {
            user_id,
            token: text("token"),
            refresh: text("refresh_token"),
        }
    }

    /// Everybody else is served.
    fn serves(&self) {
        let (status, answer) = self.call("GET", "/livez", &Value::Null);
        assert_eq!(status, 200, "{answer}");
        let (status, answer) = self.call("GET", "/post/", &Value::Null);
        assert_eq!(status, 200, "{answer}");
    }

    /// Kilobytes of memory that the process has.
    fn memory(&self) -> usize {
        let path = format!("/proc/{}/status", self.server.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.unwrap().parse().unwrap()
    }
}

/// One of the two, by how long the run is.
fn by_length(plan: Plan, (short, long): (usize, usize)) -> usize {
    if plan.is_long() { long } else { short }
}

fn hostile_clients_harm_nobody(plan: Plan) {
    let Some(mut target) = Target::start(plan.backend) else {
        return;
    };
    let mut chance = Random::new(plan.seed);
    let mut first = None;
    for round in 0..by_length(plan, ROUNDS) {
        let callers: Vec<_> = (0..CLIENTS)
            .map(|client| (target.newcomer(client == 0), chance.fork()))
            .collect();
        let address = &target.server.address;
        std::thread::scope(|scope| {
            for (caller, chance) in callers {
                scope.spawn(move || {
                    let mut attacker =
                        cases::Attacker::new(address, caller, chance, plan.is_long());
                    (0..by_length(plan, CASES)).for_each(|_| attacker.attack());
                });
            }
        });
        target.serves();
        let memory = target.memory();
        let first = *first.get_or_insert(memory);
        assert!(
            memory < first + GROWTH,
            "{memory} KB in round {round}, {first} KB after the first"
        );
        // A long run's rounds take a minute each: silent connections are waited for to their ends.
        if plan.is_over() {
            break;
        }
    }
    target.newcomer(false);
    target.server.signal("TERM");
    let (code, log) = target.server.wait();
    assert_eq!(code, Some(0), "{log}");
    for word in ["ERROR", "panic"] {
        assert!(!log.contains(word), "{log}");
    }
}

#[test]
fn hostile_clients_on_sqlite() {
    model::run(
        "hostile clients",
        Backend::Sqlite,
        hostile_clients_harm_nobody,
    );
}

#[test]
fn hostile_clients_on_mysql() {
    model::run(
        "hostile clients",
        Backend::Mysql,
        hostile_clients_harm_nobody,
    );
}

/// How long a connection may stay that neither ends nor is answered: a silent one has 75
/// seconds (`KEEP_ALIVE`), and a machine that is busy some more.
const LONGEST: Duration = Duration::from_secs(100);
