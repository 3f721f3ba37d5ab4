//! What the log says, and of which request.

use diesel::prelude::*;
use inkpot::core::db::schema::job;
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::sinks::Sinks;
use crate::harness::{Backend, PASSWORD, SECRET, TestApp, TestDatabase, on_both_databases};
use crate::outage::by_proxy;

on_both_databases![a_job_knows_the_request_that_caused_it];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traceparent() -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-01")
}

/// Request ids and traces of all jobs, the oldest first.
fn causes(app: &TestApp) -> Vec<(Option<String>, Option<String>)> {
    app.database.with(|conn| {
        job::table
            .order(job::job_id)
            .select((job::request_id, job::traceparent))
            .load(conn)
            .unwrap()
    })
}

async fn a_job_knows_the_request_that_caused_it(app: TestApp) {
    let ann = app.user("ann").await;
    let traced = ann
        .with_header("x-request-id", "cause-1")
        .with_header("traceparent", &traceparent());
    let code = json!({ "channel": "email" });
    traced
        .post("/user/me/verify/send", code.clone())
        .await
        .expect(202);
    let [(id, trace)] = &causes(&app)[..] else {
        panic!("{:?}", causes(&app));
    };
    assert_eq!(id.as_deref(), Some("cause-1"));
    let trace = trace.as_deref().unwrap();
    assert!(
        trace.starts_with(&format!("00-{TRACE}-")) && trace.ends_with("-01"),
        "{trace}"
    );
    assert!(
        !trace.contains("00f067aa0ba902b7"),
        "the parent is another one"
    );
    // Of a request without a trace there is none, and what is no trace is none.
    let bob = app.user("bob").await;
    let bob = (bob.with_header("x-request-id", "cause-2")).with_header("traceparent", "nonsense");
    bob.post("/user/me/verify/send", code.clone())
        .await
        .expect(202);
    assert_eq!(causes(&app)[1], (Some("cause-2".to_owned()), None));
    // What a job causes, the same request has caused: a recovery is ordered by a job.
    let anonymous = app.anonymous();
    let anonymous = anonymous.with_header("x-request-id", "cause-3");
    let forgot = json!({ "account": "ann@example.org" });
    anonymous
        .post("/user/password/forgot", forgot)
        .await
        .expect(202);
    // A program of before writes neither.
    let eve = app.user("eve").await;
    eve.post("/user/me/verify/send", code).await.expect(202);
    app.database.with(|conn| {
        let newest: i64 = job::table
            .select(diesel::dsl::max(job::job_id))
            .first::<Option<i64>>(conn)
            .unwrap()
            .unwrap();
        diesel::update(job::table.find(newest))
            .set(job::request_id.eq(None::<String>))
            .execute(conn)
            .unwrap();
    });
    app.work().await;
    app.work().await;
    let ids: Vec<_> = causes(&app).into_iter().map(|(id, _)| id).collect();
    let of_recovery = ids.iter().filter(|id| id.as_deref() == Some("cause-3"));
    assert_eq!(of_recovery.count(), 2, "{ids:?}");
    assert_eq!(app.outbox().len(), 4);
}

#[actix_web::test]
async fn a_trace_is_passed_on_to_the_gateway() {
    let Some(sinks) = Sinks::start() else { return };
    let database = TestDatabase::create(Backend::Sqlite).unwrap();
    let app = TestApp::start(database, &["--sms-url", &sinks.sms_url()]).await;
    let body = json!({
        "email": "ann@example.org", "name": "Ann", "password": PASSWORD, "mobile": "+31612345678",
    });
    let answer = app.anonymous().post("/user/reg", body).await.expect(201);
    let ann = app.client_of(&answer);
    let traced = ann.with_header("traceparent", &traceparent());
    let code = json!({ "channel": "mobile" });
    traced.post("/user/me/verify/send", code).await.expect(202);
    app.work().await;
    sinks.wait_until(|sinks| sinks.texts().len() == 1);
    let passed = sinks.texts()[0].traceparent.clone().unwrap();
    assert!(
        passed.starts_with(&format!("00-{TRACE}-")) && passed.ends_with("-01"),
        "{passed}"
    );
    assert_ne!(passed, traceparent());
}

/// The lines of a log in JSON.
fn lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_lines_of_a_job_have_the_id_of_the_request_that_caused_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = inkpot(dir.path());
    let server = Process::start(command.env("INKPOT_LOG_FORMAT", "json"));
    let token = crate::process::register(&server, "ann");
    let headers = format!(
        "Content-Type: application/json\r\nJWT: {token}\r\nX-Request-Id: cause-1\r\n\
         Traceparent: {}\r\n",
        traceparent()
    );
    let body = r#"{"channel": "email"}"#;
    assert_eq!(
        server
            .call("POST", "/user/me/verify/send", &headers, body)
            .0,
        202
    );
    let outbox = dir.path().join("data").join("outbox");
    let is_mail = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .unwrap()
            .path()
            .extension()
            .is_some_and(|kind| kind == "eml")
    };
    while !std::fs::read_dir(&outbox).is_ok_and(|mut all| all.any(is_mail)) {
        std::thread::yield_now();
    }
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    let lines = lines(&log);
    for message in ["request", "wrote a message to a file"] {
        let line = (lines.iter())
            .find(|line| line["message"] == message && line["request_id"] == "cause-1")
            .unwrap_or_else(|| panic!("{message} is not in {log}"));
        assert_eq!(line["trace_id"], TRACE);
    }
    let other = (lines.iter())
        .find(|line| line["route"] == "/user/reg")
        .unwrap();
    assert_eq!(other.get("trace_id"), None);
}

/// A kept answer does not pass the middleware whole.
#[test]
fn a_kept_answer_has_its_trace_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = inkpot(dir.path());
    let server = Process::start(command.env("INKPOT_LOG_FORMAT", "json"));
    let traced = format!("traceparent: {}\r\n", traceparent());
    let twice = format!("{traced}{traced}");
    for headers in [&traced, &traced, &twice] {
        assert_eq!(server.call("GET", "/post", headers, "").0, 200);
    }
    server.signal("TERM");
    let log = server.wait().1;
    let found: Vec<Value> = (lines(&log).into_iter())
        .filter(|line| line["route"] == "/post")
        .map(|line| line["trace_id"].clone())
        .collect();
    assert_eq!(found, [json!(TRACE), json!(TRACE), Value::Null]);
}

/// However many clients meet it.
#[test]
fn an_outage_is_a_line_when_it_begins_and_one_when_it_ends() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let (url, proxy) = by_proxy(&database);
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", url.as_str())
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_LOG_FORMAT", "json");
    let server = Process::start(&mut command);
    crate::process::register(&server, "ann");
    proxy.close();
    let mut refused = 0;
    for n in 1..=300 {
        let (status, answer) = server.call("GET", &format!("/post/{n}"), "", "");
        assert_eq!(status, 503, "{answer}");
        refused += 1;
    }
    let mut asked = 0;
    for _ in 0..3 {
        assert_eq!(server.call("GET", "/readyz", "", "").0, 503);
        asked += 1;
    }
    proxy.open();
    while server.call("GET", "/readyz", "", "").0 != 200 {
        asked += 1;
    }
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    let lines = lines(&log);
    let of = |message: &str| -> Vec<&Value> {
        let begins = |line: &&Value| line["message"].as_str().unwrap().starts_with(message);
        lines.iter().filter(begins).collect()
    };
    assert_eq!(of("the database is away").len(), 1, "{log}");
    assert_eq!(of("the database is back").len(), 1, "{log}");
    let errors: Vec<&Value> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    assert_eq!(errors, [] as [&Value; 0]);
    for (message, expected) in [
        ("requests were refused", refused),
        ("whoever asked was told", asked),
    ] {
        // At once, and what came after it in the next minute or at the end, by each thread.
        let counted = of(message);
        let sum: i64 = counted
            .iter()
            .map(|line| line["requests"].as_i64().unwrap())
            .sum();
        assert_eq!(sum, expected, "{log}");
        assert!(counted.len() <= 4, "{log}");
        assert!(
            counted[0]["cause"].as_str().unwrap().contains("database"),
            "{log}"
        );
        assert!(counted[0]["request_id"].is_string(), "{log}");
    }
    // And what is not of requests is a line at the beginning and one at the end at most.
    let others = lines.iter().filter(|line| line["level"] == "WARN").count();
    assert!(others <= 16, "{log}");
}
