//! The database goes away and comes back: every request is answered, nothing
//! acknowledged is lost, no restart is needed.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use inkpot::accounts::actions;
use inkpot::core::db::{DatabaseUrl, connection, deadline, dialect};
use serde_json::json;

use crate::bulkheads::LONG;
use crate::harness::process::{Process, inkpot, output};
use crate::harness::proxy::{Cut, Proxy};
use crate::harness::{Answer, Backend, SECRET, TestApp, TestDatabase};

/// The database's URL by way of a proxy.
pub fn by_proxy(database: &TestDatabase) -> (url::Url, Proxy) {
    let mut url = url::Url::parse(&database.url()).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(3306));
    let proxy = Proxy::before(&server);
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address.port())).unwrap();
    url.set_query(Some("deadline=1&prefer_socket=false"));
    (url, proxy)
}

/// A service whose way to the database can fail, and gives up after a second.
pub async fn through_a_proxy() -> Option<(TestApp, Proxy)> {
    let database = TestDatabase::create(Backend::Mysql)?;
    let (url, proxy) = by_proxy(&database);
    let app = TestApp::start(database, &["--database-url", url.as_str()]).await;
    Some((app, proxy))
}

#[track_caller]
pub fn unavailable(answer: &Answer) {
    answer.expect(503);
    answer.problem("unavailable");
    assert!(!answer.header("retry-after").is_empty());
}

/// The return of the database is noticed by whoever asks for readiness: it tries, whatever
/// the breaker says.
pub async fn until_back(app: &TestApp) {
    app.anonymous().get("/readyz").await.expect(200);
}

#[actix_web::test]
async fn connections_that_were_cut_are_replaced_unnoticed() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    let ann = app.user("ann").await;
    for round in 1..=3 {
        // Every connection of the pool is stale now.
        proxy.cut();
        app.anonymous().get("/post/").await.expect(200);
        proxy.cut();
        let id = ann.publish("after the cut", "text").await;
        let count = app.anonymous().get("/post/").await.expect(200)["pagination"]["count"].clone();
        assert_eq!(count, round, "post {id} once");
    }
}

#[actix_web::test]
async fn a_database_that_is_away_is_told_and_its_return_noticed() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    let ann = app.user("ann").await;
    proxy.close();
    let post = json!({ "title": "x", "content": "y" });
    let anonymous = app.anonymous();
    let (read, written, ready) = futures_util::future::join3(
        anonymous.get("/post/1"),
        ann.post("/post", post.clone()),
        anonymous.get("/readyz"),
    )
    .await;
    unavailable(&read);
    unavailable(&written);
    ready.expect(503);
    ready.problem("not_ready");
    app.anonymous().get("/livez").await.expect(200);
    proxy.open();
    app.anonymous().get("/readyz").await.expect(200);
    ann.post("/post", post).await.expect(201);
}

#[actix_web::test]
async fn a_silent_network_does_not_hang_anybody() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    let ann = app.user("ann").await;
    proxy.stall();
    let anonymous = app.anonymous();
    let (read, written) = futures_util::future::join(
        anonymous.get("/post/1"),
        ann.post("/post", json!({ "title": "x", "content": "y" })),
    )
    .await;
    unavailable(&read);
    unavailable(&written);
    proxy.open();
    until_back(&app).await;
    // What was held back may arrive now: the refusal said that it may.
    let page = app.anonymous().get("/post/").await.expect(200);
    assert!(page["pagination"]["count"].as_i64().unwrap() <= 1);
    ann.publish("after", "text").await;
}

/// Round trips that take 200 ms more cost nobody anything but time.
#[actix_web::test]
async fn a_slow_network_costs_time_alone() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let (mut url, proxy) = by_proxy(&database);
    // The usual deadline.
    url.set_query(Some("prefer_socket=false"));
    let app = TestApp::start(database, &["--database-url", url.as_str()]).await;
    let ann = app.user("ann").await;
    let anonymous = app.anonymous();
    // The first time opens the connections that all of it needs at once.
    for delay in [0, 200] {
        proxy.delay(Duration::from_millis(delay));
        let (id, list, me, login) = futures_util::future::join4(
            ann.publish("slow", "text"),
            anonymous.get("/post/?page=2"),
            ann.get("/user/me"),
            app.login("ann"),
        )
        .await;
        list.expect(200);
        me.expect(200);
        app.client_of(&login).get("/user/me").await.expect(200);
        let post = anonymous.get(&format!("/post/{id}")).await;
        assert_eq!(post.expect(200)["post"]["post_title"], "slow");
    }
}

/// At 200 ms for each round trip a connection must be open within three seconds.
#[test]
fn a_connection_is_open_after_few_round_trips() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let (url, proxy) = by_proxy(&database);
    let url = DatabaseUrl::parse(url.as_str()).unwrap();
    let opened = connection::open(&url);
    assert!(
        opened.is_ok() && proxy.round_trips() <= 12,
        "{}",
        proxy.round_trips()
    );
}

/// Who has no time left to ask says nothing of the database: others go on.
#[actix_web::test]
async fn a_request_that_is_late_does_not_make_the_database_away() {
    let Some((app, _proxy)) = through_a_proxy().await else {
        return;
    };
    let db = &app.state.db;
    deadline::scope(async {
        let slow = db.read(|conn| conn.batch_execute(LONG)).await;
        assert!(slow.is_err());
        // Other connections are doubtful since, and there is no time for their pings.
        for _ in 0..3 {
            // Nothing but what came of the ping.
            let _ = db.read(|_| Ok(())).await;
        }
    })
    .await;
    app.anonymous().get("/post/1").await.expect(404);
}

/// An answer of the database that ends in the middle of its rows is no answer.
#[actix_web::test]
async fn rows_that_are_cut_are_read_again() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    let ann = app.user("ann").await;
    let text = "a text of a hundred words ".repeat(40);
    for n in 0..20 {
        ann.publish(&format!("post {n}"), &text).await;
    }
    for path in ["/post/?size=100", "/post/7", "/feed.json", "/user/1"] {
        let whole = app.anonymous().get(path).await.expect(200);
        // Nothing that is kept.
        app.clock.advance(chrono::Duration::seconds(2));
        proxy.clip(300);
        let answer = app.anonymous().get(path).await.expect(200);
        assert!(!proxy.is_clipping(), "{path} has no rows");
        assert_eq!(answer, whole, "{path}");
    }
}

#[actix_web::test]
async fn known_sessions_go_on_without_the_database_and_unknown_ones_wait() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    let known = app.user("ann").await;
    known.get("/user/me").await.expect(200);
    let login = app.login("ann").await;
    let unknown = app.client_of(&login);
    let ended = app.client_of(&app.login("ann").await);
    ended.get("/user/me").await.expect(200);
    ended.post("/user/logout", json!({})).await;
    proxy.close();
    // A body that is refused after the caller was let in, without the database.
    known
        .post("/post", json!({}))
        .await
        .problem("validation_failed");
    let (unknown_answer, ended_answer) = futures_util::future::join(
        unknown.post("/post", json!({})),
        ended.post("/post", json!({})),
    )
    .await;
    unavailable(&unknown_answer);
    unavailable(&ended_answer);
    assert!(
        actions::catch_up(&app.state.db, &app.state.accounts.session_cache)
            .await
            .is_err()
    );
    known
        .post("/post", json!({}))
        .await
        .problem("validation_failed");
    proxy.open();
    until_back(&app).await;
    unknown.get("/user/me").await.expect(200);
    ended.get("/user/me").await.problem("session_ended");
}

/// While the database refuses, it is asked now and then, and not by each request.
#[actix_web::test]
async fn a_database_that_is_away_is_not_asked_by_everybody() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    proxy.close();
    let anonymous = app.anonymous();
    unavailable(&anonymous.get("/post/1").await);
    let before = proxy.accepted();
    for n in 2..300 {
        unavailable(&anonymous.get(&format!("/post/{n}")).await);
    }
    let asked = proxy.accepted() - before;
    assert!(asked < 100, "298 requests made {asked} connections");
    proxy.open();
    until_back(&app).await;
    anonymous.get("/post/1").await.expect(404);
}

/// Kept answers are served while the database is away, until they are too old; what is
/// known to have changed is not.
#[actix_web::test]
async fn kept_answers_are_served_while_the_database_is_away() {
    let Some((app, proxy)) = through_a_proxy().await else {
        return;
    };
    let ann = app.user("ann").await;
    let id = ann.publish("kept", "text").await;
    let gone = ann.publish("gone", "text").await;
    let anonymous = app.anonymous();
    let paths = [
        format!("/post/{id}"),
        "/post/".to_owned(),
        "/feed.atom".to_owned(),
    ];
    anonymous.get(&format!("/post/{gone}")).await.expect(200);
    ann.delete(&format!("/post/{gone}")).await.expect_empty(204);
    for path in &paths {
        let answer = anonymous.get(path).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("age").is_empty(), "a new answer has no age");
    }
    app.clock.advance(chrono::Duration::seconds(30));
    for fail in [Proxy::close, Proxy::stall] {
        fail(&proxy);
        for path in &paths {
            let answer = anonymous.get(path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.header("age"), "30");
            assert_eq!(
                answer.header("cache-status"),
                "inkpot; hit; ttl=-30; detail=database-unavailable"
            );
            let etag = answer.header("etag").to_owned();
            let again = app.anonymous().with_header("if-none-match", &etag);
            assert_eq!(again.get(path).await.status, 304);
        }
        unavailable(&anonymous.get(&format!("/post/{gone}")).await);
        unavailable(&ann.get("/user/me").await);
        proxy.open();
        until_back(&app).await;
    }
    proxy.close();
    app.clock.advance(chrono::Duration::seconds(31));
    for path in &paths {
        unavailable(&anonymous.get(path).await);
    }
    proxy.open();
    until_back(&app).await;
    for path in &paths {
        assert!(anonymous.get(path).await.header("age").is_empty());
    }
}

/// A server may be started with the machine, before its database. With nothing to migrate
/// it creates nothing, and readiness only reads: neither needs the right to create tables.
#[test]
fn a_start_waits_for_the_database_and_creates_nothing() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let (url, proxy) = by_proxy(&database);
    proxy.close();
    proxy.cut_at("CREATE TABLE", Cut::Before);
    let command = || {
        let mut command = inkpot(database.directory.path());
        command
            .env("DATABASE_URL", url.as_str())
            .env("INKPOT_JWT_SECRET", SECRET);
        command
    };
    // Not at all where it is not to wait, and for nothing that stays wrong.
    let refused = output(command().env("INKPOT_DB_WAIT", "0"));
    assert!(!refused.status.success());
    let server = std::thread::scope(|scope| {
        scope.spawn(|| {
            let before = proxy.accepted();
            while proxy.accepted() < before + 2 {
                std::thread::yield_now();
            }
            proxy.open();
        });
        Process::start(command().env("INKPOT_DB_WAIT", "60s"))
    });
    assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
    assert!(proxy.is_set(), "a table was to be created");
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches("waiting for the database").count(), 1, "{log}");
}

/// What the database says the time is counts, since all processes share it.
#[test]
fn the_database_tells_the_time() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let told = database.with(|conn| {
        conn.batch_execute("SET timestamp = 1000000000").unwrap();
        dialect::server_time(conn).unwrap().unwrap()
    });
    assert_eq!(told.to_string(), "2001-09-09 01:46:40");
}
