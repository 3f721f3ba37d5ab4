//! A process that stood still (a stopped container, a machine that swapped) believes nothing
//! that it knew before: the first request when it goes on sees what others did meanwhile.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::redis::Redis;
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};

/// For longer than anything is believed, and shorter than a server waits for a body.
const STILL: Duration = Duration::from_secs(3);

fn start(database: &TestDatabase, redis: Option<&Redis>) -> Process {
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", database.url())
        .env("INKPOT_JWT_SECRET", SECRET);
    if let Some(redis) = redis {
        command.env("REDIS_URL", redis.url());
    }
    Process::start(&mut command)
}

fn json_of((answered, body): (u16, String), status: u16) -> Value {
    assert_eq!(answered, status, "{body}");
    serde_json::from_str(&body).unwrap_or_default()
}

/// The status and body that `process`, which is stopped, gives as soon as it goes on.
fn first_answers(process: &Process, requests: &[String]) -> Vec<String> {
    let mut streams: Vec<_> = requests
        .iter()
        .map(|request| {
            let mut stream = process.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    process.signal("CONT");
    streams
        .iter_mut()
        .map(|stream| {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
        .collect()
}

fn stood_still(backend: Backend, has_redis: bool) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let redis = if has_redis {
        let Some(redis) = Redis::start() else { return };
        Some(redis)
    } else {
        None
    };
    let busy = start(&database, redis.as_ref());
    let still = start(&database, redis.as_ref());
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
    let json = "content-type: application/json\r\n";
    let ann = json_of(busy.call("POST", "/user/reg", json, &body.to_string()), 201);
    let login = json!({ "account": "ann@example.org", "password": PASSWORD }).to_string();
    let other = json_of(busy.call("POST", "/user/login", json, &login), 200);
    let bearer = |answer: &Value| {
        format!(
            "authorization: Bearer {}\r\n",
            answer["token"].as_str().unwrap()
        )
    };
    let (ann, other) = (bearer(&ann), bearer(&other));
    let publish = |title: &str| {
        let post = json!({ "title": title, "content": "text" }).to_string();
        let post = json_of(
            busy.call("POST", "/post", &format!("{json}{ann}"), &post),
            201,
        );
        post["post_id"].as_i64().unwrap()
    };
    let id = publish("the old title");
    // It knows the post and the session well.
    for _ in 0..3 {
        json_of(still.call("GET", &format!("/post/{id}"), "", ""), 200);
        json_of(still.call("GET", "/post/", "", ""), 200);
        json_of(still.call("GET", "/user/me", &other, ""), 200);
    }
    still.pause();
    #[expect(clippy::disallowed_methods, reason = "it really stands still")]
    let begun = Instant::now();
    let change = json!({ "title": "the new title" }).to_string();
    json_of(
        busy.call(
            "PATCH",
            &format!("/post/{id}"),
            &format!("{json}{ann}"),
            &change,
        ),
        200,
    );
    assert_eq!(busy.call("POST", "/user/logout", &other, "").0, 204);
    let mut count = 1;
    while begun.elapsed() < STILL {
        publish("another");
        count += 1;
    }
    let request = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
    };
    let answers = first_answers(
        &still,
        &[
            request("/user/me", &other),
            request(&format!("/post/{id}"), ""),
            request("/post/", ""),
        ],
    );
    assert!(answers[0].starts_with("HTTP/1.1 401"), "{}", answers[0]);
    assert!(answers[1].contains("the new title"), "{}", answers[1]);
    assert!(
        answers[2].contains(&format!("\"count\":{count}")),
        "{}",
        answers[2]
    );
    json_of(still.call("GET", "/user/me", &ann, ""), 200);
}

#[test]
fn on_mysql_with_redis() {
    stood_still(Backend::Mysql, true);
}

#[test]
fn on_mysql_without_redis() {
    stood_still(Backend::Mysql, false);
}

#[test]
fn on_sqlite_with_redis() {
    stood_still(Backend::Sqlite, true);
}

#[test]
fn on_sqlite_without_redis() {
    stood_still(Backend::Sqlite, false);
}
