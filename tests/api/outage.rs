//! The database goes away and comes back: every request is answered, nothing
//! acknowledged is lost, no restart is needed.

use inkpot::accounts::actions;
use serde_json::json;

use crate::harness::proxy::Proxy;
use crate::harness::{Answer, Backend, TestApp, TestDatabase};

/// A service whose way to the database can fail, and gives up after a second.
async fn through_a_proxy() -> Option<(TestApp, Proxy)> {
    let database = TestDatabase::create(Backend::Mysql)?;
    let mut url = url::Url::parse(&database.url()).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(3306));
    let proxy = Proxy::before(&server);
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address.port())).unwrap();
    url.set_query(Some("deadline=1&prefer_socket=false"));
    let app = TestApp::start(database, &["--database-url", url.as_str()]).await;
    Some((app, proxy))
}

#[track_caller]
fn unavailable(answer: &Answer) {
    answer.expect(503);
    answer.problem("unavailable");
    assert!(!answer.header("retry-after").is_empty());
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
    // What was held back may arrive now: the refusal said that it may.
    let page = app.anonymous().get("/post/").await.expect(200);
    assert!(page["pagination"]["count"].as_i64().unwrap() <= 1);
    ann.publish("after", "text").await;
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
    unknown.get("/user/me").await.expect(200);
    ended.get("/user/me").await.problem("invalid_token");
}
