//! The promises of SECURITY.md: that the tests are there which it names, and those that no
//! other file has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use inkpot::accounts::types::Action;
use inkpot::cli::args::Cli;
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::redis::Redis;
use crate::harness::{PASSWORD, TestApp, on_both_databases};
use crate::process::register;

on_both_databases![
    a_token_in_a_url_counts_for_nothing,
    a_new_password_withdraws_codes_to_recover,
    a_message_has_no_text_of_a_users,
    the_audit_has_every_action,
];

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands in backquotes and is a path of names.
fn named(text: &str) -> BTreeSet<String> {
    let is_path = |word: &&str| {
        let is_name = |name: &str| {
            let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            !name.is_empty() && name.chars().all(rest)
        };
        word.contains("::") && word.split("::").all(is_name)
    };
    let words = text.split('`').skip(1).step_by(2);
    words.filter(is_path).map(str::to_owned).collect()
}

/// The source of the module that a path of names leads to, and the names behind it.
fn source<'a>(names: &[&'a str]) -> Option<(String, Vec<&'a str>)> {
    for depth in (1..=names.len()).rev() {
        let path = names[..depth].join("/");
        for folder in ["tests/api", "src"] {
            for file in [format!("{path}.rs"), format!("{path}/mod.rs")] {
                if let Ok(text) = fs::read_to_string(root().join(folder).join(file)) {
                    return Some((text, names[depth..].to_vec()));
                }
            }
        }
    }
    None
}

/// Whether the source makes a test of this function: by an attribute or by a list.
fn is_test(source: &str, function: &str) -> bool {
    let listed = source.split("on_both_databases!").nth(1);
    let listed = listed.and_then(|rest| rest.split([']', ')', '}']).next());
    let listed = listed.map(|list| list.trim_start_matches(['[', '(', '{']));
    let is_listed = listed.is_some_and(|list| list.split(',').any(|name| name.trim() == function));
    let head = format!("fn {function}(");
    let has_attribute = source.split_once(&head).is_some_and(|(before, _)| {
        // The last one is what stands before `fn` in its line.
        let lines = before.rsplit('\n').skip(1);
        let mut attributes = lines.take_while(|line| line.trim().starts_with("#["));
        attributes.any(|line| line.contains("test"))
    });
    is_listed || has_attribute
}

fn is_there(path: &str) -> bool {
    let names: Vec<&str> = path.split("::").collect();
    match source(&names) {
        Some((text, rest)) => match rest[..] {
            // A module of tests as a whole.
            [] | ["tests"] => text.contains("test]") || text.contains("on_both_databases!["),
            [function] | ["tests", function] => is_test(&text, function),
            _ => false,
        },
        None => false,
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let security = read("SECURITY.md");
    let paths: BTreeSet<String> = named(&security)
        .into_iter()
        .chain(named(&read("docs/security.md")))
        .collect();
    assert!(paths.len() > 80, "{} names", paths.len());
    let missing: Vec<&String> = paths.iter().filter(|path| !is_there(path)).collect();
    assert!(missing.is_empty(), "there are no tests {missing:#?}");
    // Every promise has one.
    for promise in security.split("\n- ").skip(1) {
        assert!(!named(promise).is_empty(), "no test: {promise}");
    }
    for wrong in ["tokens::no_such_test", "no_such_file::x", "promises::root"] {
        assert!(!is_there(wrong), "{wrong}");
    }
}

#[test]
fn defaults_are_the_safe_ones() {
    let settings = Cli::parse_from(["inkpot"]).settings;
    assert_eq!(settings.bcrypt_cost, 12);
    assert!(settings.trusted_proxies.is_empty());
    assert!(settings.cors_origins.is_empty());
}

async fn a_token_in_a_url_counts_for_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    let token = ann.token.as_deref().unwrap();
    for name in ["token", "access_token", "jwt", "authorization", "bearer"] {
        for path in ["/user/me", "/user/online", "/user/me/sessions"] {
            let answer = app.anonymous().get(&format!("{path}?{name}={token}")).await;
            answer.problem("query_invalid");
        }
    }
    // Nor where the query is not judged, or the path.
    let uri = format!("/post?status=draft&q={token}");
    app.anonymous().get(&uri).await.problem("token_missing");
    let uri = format!("/user/me/{token}");
    app.anonymous().get(&uri).await.problem("not_found");
}

async fn a_new_password_withdraws_codes_to_recover(app: TestApp) {
    let ann = app.user("ann").await;
    let order = json!({ "account": "ann@example.org" });
    let ordered = app.anonymous().post("/user/password/forgot", order).await;
    let reset_id = ordered.expect(202)["reset_id"].clone();
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    let new = "another horse, another staple";
    let change = json!({ "current_password": PASSWORD, "new_password": new });
    let changed = ann.put("/user/me/password", change).await;
    assert!(changed.status.is_success(), "{}", changed.text());
    let body = json!({
        "account": "ann@example.org", "code": code, "reset_id": reset_id,
        "new_password": "a third horse, a third staple",
    });
    let refused = app.anonymous().post("/user/password/reset", body).await;
    refused.expect(403);
    let login = json!({ "account": "ann@example.org", "password": new });
    app.anonymous().post("/user/login", login).await.expect(200);
}

async fn a_message_has_no_text_of_a_users(app: TestApp) {
    let body = json!({
        "email": "ann@example.org", "name": "WIN-A-PRIZE https://evil.example",
        "username": "win_a_prize", "password": PASSWORD,
    });
    let answer = app.anonymous().post("/user/reg", body).await.expect(201);
    let ann = app.client_of(&answer);
    let order = json!({ "channel": "email" });
    ann.post("/user/me/verify/send", order).await.expect(202);
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    let verify = json!({ "channel": "email", "code": code });
    let verified = ann.post("/user/me/verify", verify).await;
    assert!(verified.status.is_success(), "{}", verified.text());
    let order = json!({ "account": "win_a_prize" });
    app.anonymous()
        .post("/user/password/forgot", order)
        .await
        .expect(202);
    let change = json!({ "current_password": PASSWORD, "new_password": "another horse, staple" });
    ann.put("/user/me/password", change).await;
    app.work().await;
    let sent = app.outbox();
    assert_eq!(sent.len(), 3, "{sent:#?}");
    for message in sent {
        for text in [&message.file, &message.text] {
            let lower = text.to_lowercase();
            for theirs in ["win-a-prize", "win_a_prize", "evil"] {
                assert!(!lower.contains(theirs), "{text}");
            }
        }
    }
}

/// Each action, by whoever can do it.
async fn the_audit_has_every_action(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let login = json!({ "account": "ann@example.org", "password": "wrong" });
    app.anonymous().post("/user/login", login).await.expect(401);
    // A code that is wrong, and those that are right.
    let mobile = json!({ "mobile": "+31612345678", "current_password": PASSWORD });
    ann.patch("/user/me", mobile).await.expect(200);
    for channel in ["email", "mobile"] {
        ann.post("/user/me/verify/send", json!({ "channel": channel }))
            .await
            .expect(202);
        app.work().await;
        let code = app.outbox().pop().unwrap().code();
        let other = if code == "123456" { "654321" } else { "123456" };
        for code in [other, &code] {
            let body = json!({ "channel": channel, "code": code });
            ann.post("/user/me/verify", body).await;
        }
    }
    // A token that comes back.
    let first = app.login("ann").await;
    let refresh = async |answer: &Value| {
        let body = json!({ "refresh_token": answer["refresh_token"] });
        app.anonymous().post("/user/refresh", body).await
    };
    let second = refresh(&first).await.expect(200);
    refresh(&second).await.expect(200);
    refresh(&first).await.expect(401);
    // Sessions that end.
    let answer = app.login("ann").await;
    let other = app.client_of(&answer);
    other.post("/user/logout", json!({})).await;
    app.login("ann").await;
    ann.delete("/user/me/sessions").await.expect_empty(204);
    let wrong = json!({ "current_password": "wrong", "new_password": "x" });
    ann.put("/user/me/password", wrong).await;
    let new = "another horse, another staple";
    let change = json!({ "current_password": PASSWORD, "new_password": new });
    ann.put("/user/me/password", change).await;
    ann.post("/user/logout", json!({ "everywhere": true }))
        .await;
    // A lost password.
    let order = json!({ "account": "ann@example.org" });
    let ordered = app.anonymous().post("/user/password/forgot", order).await;
    let reset_id = ordered.expect(202)["reset_id"].clone();
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    let body = json!({
        "account": "ann@example.org", "code": code, "reset_id": reset_id, "new_password": PASSWORD,
    });
    app.anonymous()
        .post("/user/password/reset", body)
        .await
        .expect_empty(204);
    // What an admin does.
    let path = format!("/user/{}", ann.user_id);
    for change in [
        json!({ "role": "admin" }),
        json!({ "role": "user" }),
        json!({ "is_active": false }),
        json!({ "is_active": true }),
    ] {
        root.patch(&path, change).await.expect(200);
    }
    let deleted = app
        .send(root.request(actix_web::http::Method::DELETE, &path))
        .await;
    assert!(deleted.status.is_success(), "{}", deleted.text());
    app.work().await;
    let entries = root.get("/audit/?size=100").await.expect(200);
    let done: BTreeSet<&str> = (entries["audit"].as_array().unwrap().iter())
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let missing: Vec<&str> = (Action::ALL.iter().map(|action| action.name()))
        .filter(|name| !done.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not in {done:?}");
}

/// Whatever is forged, a session that has ended stays so, and a draft is its author's.
#[test]
fn who_writes_to_redis_lets_nobody_in() {
    let Some(redis) = Redis::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(inkpot(directory.path()).env("REDIS_URL", redis.url()));
    let (ann, ben) = (register(&server, "ann"), register(&server, "ben"));
    let headers = |token: &str| format!("Content-Type: application/json\r\nJWT: {token}\r\n");
    let draft = json!({ "title": "secret", "content": "x", "status": "draft" }).to_string();
    let (status, answer) = server.call("POST", "/post", &headers(&ann), &draft);
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = server.call("POST", "/user/logout", &headers(&ann), "{}");
    assert_eq!(status, 204, "{answer}");
    let mut connection = redis.connection();
    let begun = Instant::now();
    let channels = loop {
        let channels: Vec<String> = redis::cmd("PUBSUB")
            .arg("CHANNELS")
            .arg("inkpot:*")
            .query(&mut connection)
            .unwrap();
        if !channels.is_empty() {
            break channels;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody listens");
    };
    let state = json!({ "post_id": 1, "author_id": 2, "published": true, "tags": [] });
    for channel in &channels {
        for event in [
            json!({ "event": "post_changed", "states": [state] }),
            json!({ "event": "anything_changed" }),
            json!({ "event": "user_changed", "user_id": 1, "name": "Ben", "is_admin": true }),
            json!({ "event": "session_ended", "user_id": 1, "session_id": null }),
            json!({ "event": "session_begun", "user_id": 1, "session_id": 1 }),
            json!({ "event": "job_written" }),
        ] {
            let mut event = event;
            event["from"] = json!("forger");
            event["said"] = json!("event");
            let order = redis::cmd("PUBLISH")
                .arg(channel)
                .arg(event.to_string())
                .clone();
            let heard: u64 = order.query(&mut connection).unwrap();
            assert!(heard > 0, "{channel}");
        }
    }
    redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    let (status, answer) = server.call("GET", "/user/me", &headers(&ann), "");
    assert_eq!(status, 401, "{answer}");
    let (status, answer) = server.call("GET", "/post/1", &headers(&ben), "");
    assert_eq!(status, 404, "{answer}");
    let (status, answer) = server.call("GET", "/user", &headers(&ben), "");
    assert_eq!(status, 403, "{answer}");
    let (status, answer) = server.call("GET", "/post", "", "");
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
}
