//! What those who watch are told: metrics for Prometheus, and readiness.

// Samples are whole numbers.
#![allow(clippy::float_cmp)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::redis::Redis;
use crate::harness::{Backend, PASSWORD, SECRET, TestApp, TestDatabase, on_both_databases};
use crate::outage::through_a_proxy;

on_both_databases![
    requests_are_measured_by_method_route_and_status,
    every_part_tells_of_itself_in_good_form,
    jobs_are_told_by_queue_and_state_with_the_age_of_the_oldest,
    kept_answers_are_hits_and_the_rest_are_misses,
    sessions_that_are_known_are_hits,
    a_try_that_a_limit_refuses_is_counted,
    a_server_that_drains_says_so,
];

/// The metrics of a service: samples by name and labels, as they are written.
pub struct Scrape {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    pub async fn of(app: &TestApp) -> Self {
        Self::parse(app.state.measure().await.unwrap())
    }

    pub fn parse(text: String) -> Self {
        let samples = (text.lines())
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect();
        Self { text, samples }
    }

    /// The value of a sample, 0 where there is none.
    pub fn get(&self, sample: &str) -> f64 {
        self.samples.get(sample).copied().unwrap_or(0.0)
    }

    #[track_caller]
    pub fn is(&self, sample: &str, value: f64) {
        let found = self.samples.get(sample).copied();
        assert_eq!(found, Some(value), "{sample} in {}", self.text);
    }

    /// The families with their types, each once, and each sample below its own.
    fn families(&self) -> BTreeMap<&str, &str> {
        let mut families = BTreeMap::new();
        let mut current = "";
        for line in self.text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(families.insert(name, kind), None, "{name} comes twice");
                current = name;
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.ends_with('.'), "{name}: {help}");
            } else if line != "# EOF" {
                let suffix = line.strip_prefix(current).unwrap();
                let suffix = suffix.split(['{', ' ']).next().unwrap();
                let expected: &[&str] = match families[current] {
                    "counter" => &["_total"],
                    "histogram" => &["_sum", "_count", "_bucket"],
                    _ => &[""],
                };
                assert!(expected.contains(&suffix), "{line} is below {current}");
            }
        }
        families
    }
}

fn duration_of(method: &str, route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",\
         http_route=\"{route}\",http_response_status_code=\"{status}\"}}"
    )
}

async fn requests_are_measured_by_method_route_and_status(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("measured", "text").await;
    for _ in 0..3 {
        app.anonymous()
            .get(&format!("/post/{id}"))
            .await
            .expect(200);
    }
    app.anonymous().get("/post/999").await.expect(404);
    app.anonymous().get("/who/knows/what").await.expect(404);
    app.anonymous().get("/panics").await.expect(500);
    let scrape = Scrape::of(&app).await;
    scrape.is(&duration_of("POST", "/user/reg", 201), 1.0);
    scrape.is(&duration_of("GET", "/post/{id}", 200), 3.0);
    scrape.is(&duration_of("GET", "/post/{id}", 404), 1.0);
    scrape.is(&duration_of("GET", "-", 404), 1.0);
    scrape.is(&duration_of("GET", "-", 500), 1.0);
    scrape.is("http_server_active_requests", 0.0);
    // Nothing that a client sent is a label.
    assert!(!scrape.text.contains("knows"), "{}", scrape.text);
    app.leave_jobs();
}

/// The names are an interface: dashboards and alerts use them.
pub const FAMILIES: [&str; 52] = [
    "db_client_connection_count",
    "db_client_connection_max",
    "db_client_connection_pending_requests",
    "db_client_connection_timeouts",
    "db_client_connection_use_time_seconds",
    "db_client_connection_wait_time_seconds",
    "http_server_active_requests",
    "http_server_request_duration_seconds",
    "inkpot_bcrypt_done",
    "inkpot_bcrypt_queue_length",
    "inkpot_bcrypt_refused",
    "inkpot_bcrypt_threads",
    "inkpot_bcrypt_wait_seconds",
    "inkpot_build_info",
    "inkpot_bus_connected",
    "inkpot_clock_correction_seconds",
    "inkpot_database_errors",
    "inkpot_database_retries",
    "inkpot_database_shed",
    "inkpot_database_units",
    "inkpot_database_up",
    "inkpot_draining",
    "inkpot_job_duration_seconds",
    "inkpot_jobs",
    "inkpot_jobs_oldest_due_seconds",
    "inkpot_message_duration_seconds",
    "inkpot_posts_gathered",
    "inkpot_posts_refused",
    "inkpot_posts_runs",
    "inkpot_posts_waiting",
    "inkpot_rate_limit_tries",
    "inkpot_rate_limits_shared",
    "inkpot_response_cache_bytes",
    "inkpot_response_cache_entries",
    "inkpot_response_cache_expires",
    "inkpot_response_cache_invalidations",
    "inkpot_response_cache_max_bytes",
    "inkpot_response_cache_requests",
    "inkpot_session_cache_entries",
    "inkpot_session_cache_invalidations",
    "inkpot_session_cache_requests",
    "inkpot_sockets",
    "inkpot_sockets_joined",
    "inkpot_sockets_refused",
    "inkpot_users_online",
    "process_cpu_seconds",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
];
/// Where Redis is set up.
pub const WITH_REDIS: [&str; 2] = ["inkpot_redis_losses", "inkpot_redis_up"];
/// Where there is a replica.
pub const WITH_REPLICA: [&str; 5] = [
    "inkpot_replica_connections",
    "inkpot_replica_fallbacks",
    "inkpot_replica_lag_seconds",
    "inkpot_replica_reads",
    "inkpot_replica_up",
];

async fn every_part_tells_of_itself_in_good_form(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("a post", "text").await;
    app.work().await;
    let scrape = Scrape::of(&app).await;
    let found: Vec<&str> = scrape.families().into_keys().collect();
    assert_eq!(found, FAMILIES);
    assert!(scrape.text.ends_with("\n# EOF\n"));
    scrape.is("inkpot_database_up", 1.0);
    scrape.is(
        &format!(
            "inkpot_build_info{{version=\"{}\"}}",
            env!("CARGO_PKG_VERSION")
        ),
        1.0,
    );
    assert!(scrape.get("process_resident_memory_bytes") > 1e6);
    assert!(scrape.get("process_start_time_seconds") > 1.7e9);
    assert!(scrape.get("process_open_fds") > 0.0);
    let done = scrape.get("inkpot_bcrypt_done_total");
    assert!(done >= 1.0);
    scrape.is("inkpot_bcrypt_wait_seconds_count", done);
    scrape.is("inkpot_posts_gathered_total{work=\"publish\"}", 1.0);
    scrape.is("inkpot_posts_runs_total{work=\"publish\"}", 1.0);
    let writes = "db_client_connection_pool_name=\"writes\"";
    assert!(
        scrape.get(&format!(
            "db_client_connection_use_time_seconds_count{{{writes}}}"
        )) >= 2.0
    );
    assert!(scrape.get(&format!("db_client_connection_max{{{writes}}}")) >= 1.0);
}

async fn jobs_are_told_by_queue_and_state_with_the_age_of_the_oldest(app: TestApp) {
    let code = json!({ "channel": "email" });
    let ann = app.user("ann").await;
    ann.post("/user/me/verify/send", code.clone())
        .await
        .expect(202);
    let waiting = "inkpot_jobs{queue=\"mail\",state=\"waiting\"}";
    let oldest = "inkpot_jobs_oldest_due_seconds{queue=\"mail\"}";
    let scrape = Scrape::of(&app).await;
    scrape.is(waiting, 1.0);
    scrape.is(oldest, 0.0);
    scrape.is("inkpot_jobs{queue=\"mail\",state=\"dead\"}", 0.0);
    scrape.is("inkpot_jobs_oldest_due_seconds{queue=\"sms\"}", 0.0);
    // However often it is asked for, the database is asked now and then.
    let units = app.state.db.units();
    let bob = app.user("bob").await;
    bob.post("/user/me/verify/send", code).await.expect(202);
    let made = app.state.db.units() - units;
    Scrape::of(&app).await.is(waiting, 1.0);
    assert_eq!(app.state.db.units() - units, made);
    app.clock.advance(Duration::seconds(90));
    let scrape = Scrape::of(&app).await;
    scrape.is(waiting, 2.0);
    scrape.is(oldest, 90.0);
    assert_eq!(app.work().await, 2);
    app.clock.advance(Duration::seconds(10));
    let scrape = Scrape::of(&app).await;
    scrape.is(waiting, 0.0);
    scrape.is(oldest, 0.0);
    let done = "inkpot_job_duration_seconds_count{kind=\"mail_code\",result=\"done\"}";
    scrape.is(done, 2.0);
    let sent = "inkpot_message_duration_seconds_count\
                {channel=\"mail\",transport=\"file\",result=\"sent\"}";
    scrape.is(sent, 2.0);
}

async fn kept_answers_are_hits_and_the_rest_are_misses(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("kept", "text").await;
    let [hit, miss] = ["hit", "miss"]
        .map(|result| format!("inkpot_response_cache_requests_total{{result=\"{result}\"}}"));
    let before = Scrape::of(&app).await;
    for _ in 0..5 {
        app.anonymous()
            .get(&format!("/post/{id}"))
            .await
            .expect(200);
    }
    let after = Scrape::of(&app).await;
    // On MySQL without Redis entries age by the test's clock, which stands.
    assert_eq!(after.get(&miss) - before.get(&miss), 1.0);
    assert_eq!(after.get(&hit) - before.get(&hit), 4.0);
    assert!(after.get("inkpot_response_cache_bytes") > 0.0);
    after.is("inkpot_response_cache_max_bytes", f64::from(64 << 20));
    app.leave_jobs();
}

async fn sessions_that_are_known_are_hits(app: TestApp) {
    let ann = app.user("ann").await;
    let [hit, miss] = ["hit", "miss"]
        .map(|result| format!("inkpot_session_cache_requests_total{{result=\"{result}\"}}"));
    app.state.accounts.session_cache.followed();
    ann.get("/user/me").await.expect(200);
    app.state.accounts.session_cache.followed();
    ann.get("/user/me").await.expect(200);
    let scrape = Scrape::of(&app).await;
    assert_eq!(scrape.get(&hit) + scrape.get(&miss), 2.0);
    assert!(scrape.get("inkpot_session_cache_entries") >= 1.0);
    app.leave_jobs();
}

async fn a_try_that_a_limit_refuses_is_counted(app: TestApp) {
    let app = TestApp::start(app.database, &["--rate-limits", "on"]).await;
    let mut limited = 0.0;
    for n in 0..31 {
        let body = json!({ "account": format!("nobody{n}@example.org"), "password": "wrong" });
        let answer = app.anonymous().post("/user/login", body).await;
        limited += f64::from(u8::from(answer.status == 429));
    }
    assert_eq!(limited, 1.0);
    let scrape = Scrape::of(&app).await;
    scrape.is(
        "inkpot_rate_limit_tries_total{limit=\"login\",result=\"allowed\"}",
        30.0,
    );
    scrape.is(
        "inkpot_rate_limit_tries_total{limit=\"login\",result=\"limited\"}",
        1.0,
    );
    scrape.is(&duration_of("POST", "/user/login", 429), 1.0);
}

async fn a_server_that_drains_says_so(app: TestApp) {
    app.state.health.drain();
    let answer = app.anonymous().get("/readyz").await;
    answer.expect(503);
    let problem = answer.problem("not_ready");
    assert_eq!(problem["detail"], "The server stops.");
    let checks = json!({ "process": "draining", "database": "ok", "migrations": "ok" });
    assert_eq!(problem["checks"], checks);
    app.anonymous().get("/livez").await.expect(200);
    Scrape::of(&app).await.is("inkpot_draining", 1.0);
}

#[actix_web::test]
async fn a_database_that_is_away_is_told_and_no_metric_waits_for_it() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    let ann = app.user("ann").await;
    let code = json!({ "channel": "email" });
    ann.post("/user/me/verify/send", code).await.expect(202);
    let waiting = "inkpot_jobs{queue=\"mail\",state=\"waiting\"}";
    Scrape::of(&app).await.is(waiting, 1.0);
    proxy.close();
    app.clock.advance(Duration::seconds(60));
    app.anonymous().get("/post/1").await.expect(503);
    let answer = app.anonymous().get("/readyz").await;
    let checks = json!({ "process": "ok", "database": "away", "migrations": "unknown" });
    assert_eq!(answer.problem("not_ready")["checks"], checks);
    let scrape = Scrape::of(&app).await;
    scrape.is("inkpot_database_up", 0.0);
    assert!(scrape.get("inkpot_database_errors_total{class=\"lost\"}") >= 2.0);
    // What nobody knows is not told.
    assert!(!scrape.samples.contains_key(waiting));
    assert!(scrape.families().contains_key("inkpot_jobs"));
    proxy.open();
    crate::outage::until_back(&app).await;
    app.clock.advance(Duration::seconds(60));
    let scrape = Scrape::of(&app).await;
    scrape.is("inkpot_database_up", 1.0);
    scrape.is(waiting, 1.0);
}

#[actix_web::test]
async fn redis_is_told_where_it_is_set_up() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let database = TestDatabase::create(Backend::Sqlite).unwrap();
    let app = TestApp::start(database, &["--redis-url", &redis.url()]).await;
    let scrape = Scrape::of(&app).await;
    let families: BTreeSet<&str> = scrape.families().into_keys().collect();
    let expected = FAMILIES.into_iter().chain(WITH_REDIS).collect();
    assert_eq!(families, expected);
    assert!(scrape.samples.contains_key("inkpot_redis_up"));
}

/// Nobody answers there, which keeps nothing from being told.
#[actix_web::test]
async fn a_replica_is_told_where_there_is_one() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let url = "mysql://u:secret@127.0.0.1:1/inkpot";
    let app = TestApp::start(database, &["--database-read-url", url]).await;
    let scrape = Scrape::of(&app).await;
    let families: BTreeSet<&str> = scrape.families().into_keys().collect();
    let expected = FAMILIES.into_iter().chain(WITH_REPLICA).collect();
    assert_eq!(families, expected);
    scrape.is("inkpot_replica_up", 0.0);
    assert!(!scrape.text.contains("secret"));
}

/// A thousand requests at once, none of which is lost or stays under way.
#[actix_web::test]
async fn no_request_of_many_threads_is_lost() {
    use actix_web::http::Method;
    use inkpot::core::metrics::Metrics;
    use inkpot::http::metrics::RequestMetrics;

    let requests = Arc::new(RequestMetrics::new(["/post"]));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for micros in 0..1000 {
                    requests.begun();
                    let took = std::time::Duration::from_micros(micros);
                    requests.answered(&Method::GET, "/post", 200, took);
                    requests.ended();
                }
            });
        }
    });
    let mut metrics = Metrics::default();
    metrics.register(move |families| requests.describe(families));
    let scrape = Scrape::parse(metrics.encode().unwrap());
    scrape.is(&duration_of("GET", "/post", 200), 8000.0);
    scrape.is("http_server_active_requests", 0.0);
}

/// What a listener answers: status, head and body.
pub fn fetch(address: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head[9..12].parse().unwrap(),
        head.to_lowercase(),
        body.to_owned(),
    )
}

/// Where the metrics of a process are, by what it printed.
pub fn watched(process: &Process) -> String {
    let line = (process.banner.iter()).find_map(|line| line.strip_prefix("metrics at http://"));
    line.unwrap().strip_suffix("/metrics").unwrap().to_owned()
}

#[test]
fn metrics_have_a_listener_of_their_own_until_the_process_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = inkpot(dir.path());
    command
        .env("INKPOT_METRICS_LISTEN", "127.0.0.1:0")
        .env("INKPOT_JWT_SECRET", SECRET);
    let server = Process::start(&mut command);
    let watched = watched(&server);
    assert_ne!(watched, server.address);
    // The world is not told.
    assert_eq!(server.call("GET", "/metrics", "", "").0, 404);
    let (status, head, text) = fetch(&watched, "/metrics");
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    let scrape = Scrape::parse(text);
    scrape.is(&duration_of("GET", "-", 404), 1.0);
    scrape.families();
    assert_eq!(fetch(&watched, "/livez").0, 200);
    assert_eq!(fetch(&watched, "/readyz").0, 200);
    assert_eq!(fetch(&watched, "/post").0, 404);
    // A request is in flight for as long as the test likes, and so the server drains.
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
    let body = body.to_string();
    let (begin, end) = body.split_at(10);
    let mut stream = server.connect();
    let head = format!(
        "POST /user/reg HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{begin}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    while Scrape::parse(fetch(&watched, "/metrics").2).get("http_server_active_requests") < 1.0 {
        std::thread::yield_now();
    }
    server.signal("TERM");
    let problem = loop {
        let (status, _, body) = fetch(&watched, "/readyz");
        if status == 503 {
            break body;
        }
        std::thread::yield_now();
    };
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!(problem["checks"]["process"], "draining");
    stream.write_all(end.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.wait().0, Some(0));
    assert!(TcpStream::connect(&watched).is_err());
}

#[test]
fn a_worker_can_be_watched_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(dir.path()));
    let mut command = inkpot(dir.path());
    let worker = Process::start_worker(command.env("INKPOT_METRICS_LISTEN", "127.0.0.1:0"));
    let watched = watched(&worker);
    let scrape = Scrape::parse(fetch(&watched, "/metrics").2);
    scrape.is("inkpot_jobs{queue=\"work\",state=\"waiting\"}", 1.0);
    assert_eq!(fetch(&watched, "/readyz").0, 200);
    worker.signal("TERM");
    assert_eq!(worker.wait().0, Some(0));
    drop(server);
}
