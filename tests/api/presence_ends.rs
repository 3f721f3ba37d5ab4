//! Sockets end with their token, and with the server.

use actix_web::http::Method;
use chrono::TimeDelta;
use serde_json::json;

use crate::harness::PASSWORD;
use crate::harness::process::{Process, inkpot};
use crate::harness::serving::Serving;
use crate::harness::socket::Socket;
use crate::presence::{open, serving};
use crate::process::register;

/// The token ended.
const ENDED: Option<u16> = Some(4401);
const NEW_PASSWORD: &str = "another horse, another staple";

#[actix_web::test]
async fn a_logout_closes_the_sockets_of_its_session() {
    let serving = serving(&[]).await;
    let app = &serving.app;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let other = app.client_of(&app.login("ann").await);
    let mut bens = open(&serving, &ben).await;
    let mut first = open(&serving, &ann).await;
    let mut tab = open(&serving, &ann).await;
    let mut second = open(&serving, &other).await;
    ann.post("/user/logout", json!({})).await.expect_empty(204);
    assert_eq!(first.close_code().await, ENDED);
    assert_eq!(tab.close_code().await, ENDED);
    // The other session goes on, and so the user is here.
    bens.until_online(&[ann.user_id, ben.user_id]).await;
    let mut third = open(&serving, &other).await;
    let everywhere = json!({ "everywhere": true });
    other
        .post("/user/logout", everywhere)
        .await
        .expect_empty(204);
    assert_eq!(second.close_code().await, ENDED);
    assert_eq!(third.close_code().await, ENDED);
    bens.until_online(&[ben.user_id]).await;
}

#[actix_web::test]
async fn a_session_that_is_ended_from_another_closes_its_sockets() {
    let serving = serving(&[]).await;
    let ann = serving.app.user("ann").await;
    let other = serving.app.client_of(&serving.app.login("ann").await);
    let mut own = open(&serving, &ann).await;
    let mut others = open(&serving, &other).await;
    ann.delete("/user/me/sessions").await.expect_empty(204);
    assert_eq!(others.close_code().await, ENDED);
    drop(open(&serving, &ann).await);
    own.until_online(&[ann.user_id]).await;
}

#[actix_web::test]
async fn who_is_deactivated_or_deleted_is_not_online() {
    let serving = serving(&[]).await;
    let app = &serving.app;
    let (root, ann) = (app.admin("root").await, app.user("ann").await);
    let ben = app.user("ben").await;
    let mut roots = open(&serving, &root).await;
    let (mut anns, mut bens) = (open(&serving, &ann).await, open(&serving, &ben).await);
    roots
        .until_online(&[root.user_id, ann.user_id, ben.user_id])
        .await;
    let path = format!("/user/{}", ann.user_id);
    root.patch(&path, json!({ "is_active": false }))
        .await
        .expect(200);
    assert_eq!(anns.close_code().await, ENDED);
    roots.until_online(&[root.user_id, ben.user_id]).await;
    let confirm = json!({ "current_password": PASSWORD });
    ben.call(Method::DELETE, "/user/me", confirm)
        .await
        .expect_empty(204);
    assert_eq!(bens.close_code().await, ENDED);
    roots.until_online(&[root.user_id]).await;
}

#[actix_web::test]
async fn a_new_password_closes_the_sockets_of_all_other_sessions() {
    let serving = serving(&[]).await;
    let app = &serving.app;
    let ann = app.user("ann").await;
    let other = app.client_of(&app.login("ann").await);
    let mut own = open(&serving, &ann).await;
    let mut others = open(&serving, &other).await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    ann.put("/user/me/password", body).await.expect_empty(204);
    assert_eq!(others.close_code().await, ENDED);
    let ben = app.user("ben").await;
    let _bens = open(&serving, &ben).await;
    own.until_online(&[ann.user_id, ben.user_id]).await;

    // A reset by a code asks for a new login everywhere.
    let account = json!({ "account": "ann@example.org" });
    app.anonymous()
        .post("/user/password/forgot", account)
        .await
        .expect(202);
    app.work().await;
    app.work().await;
    let code = app.outbox().pop().unwrap().code();
    let body = json!({ "account": "ann@example.org", "code": code, "new_password": PASSWORD });
    app.anonymous()
        .post("/user/password/reset", body)
        .await
        .expect_empty(204);
    assert_eq!(own.close_code().await, ENDED);
}

#[actix_web::test]
async fn a_socket_ends_when_its_token_expires() {
    let serving = serving(&["--token-ttl", "60"]).await;
    let ann = serving.app.user("ann").await;
    let mut early = open(&serving, &ann).await;
    serving.app.clock.advance(TimeDelta::seconds(59));
    let late = serving.app.login("ann").await;
    let late = serving.app.client_of(&late);
    // A second of its token's is left, in which it may open a stream.
    let mut last = open(&serving, &ann).await;
    let mut others = open(&serving, &late).await;
    serving.app.clock.advance(TimeDelta::seconds(1));
    // Its own second passes by itself; the others look because they are told to.
    assert_eq!(last.close_code().await, ENDED);
    serving.app.state.presence.revalidate_all();
    assert_eq!(early.close_code().await, ENDED);
    others
        .until("alone", |_| serving.app.state.presence.sockets() == 1)
        .await;
    others.say("still here").await;
    others.close().await;
}

#[actix_web::test]
async fn a_page_whose_token_has_ended_is_told_so() {
    let serving = serving(&[]).await;
    let app = &serving.app;
    let ann = app.user("ann").await;
    let mut anns = open(&serving, &ann).await;
    let page = |token: &str| {
        [(
            "Sec-WebSocket-Protocol",
            format!("inkpot.v1, bearer.{token}"),
        )]
    };
    let told = async |headers: &[(&'static str, String)]| {
        let mut socket = Socket::with(&serving.address, headers).await.unwrap();
        assert_eq!(socket.protocol.as_deref(), Some("inkpot.v1"));
        socket.close_code().await
    };
    // Logged out, expired, and none at all.
    let ben = app.user("ben").await;
    let ended = Serving::token(&ben).to_owned();
    ben.post("/user/logout", json!({})).await.expect_empty(204);
    for token in [ended.as_str(), "x.y.z", "undefined", ""] {
        assert_eq!(told(&page(token)).await, ENDED, "{token}");
    }
    let mut by_header = page("").to_vec();
    by_header[0].1 = "inkpot.v1".to_owned();
    by_header.push(("Authorization", "Bearer x.y.z".to_owned()));
    assert_eq!(told(&by_header).await, ENDED);
    // Nobody has joined by that, and a foreign page learns nothing.
    assert_eq!(app.state.presence.sockets(), 1);
    let mut foreign = page("x.y.z").to_vec();
    foreign.push(("Origin", "https://evil.example".to_owned()));
    assert!(Socket::with(&serving.address, &foreign).await.is_err());
    app.clock.advance(TimeDelta::hours(2));
    assert_eq!(told(&page(Serving::token(&ann))).await, ENDED);
    app.state.presence.revalidate_all();
    assert_eq!(anns.close_code().await, ENDED);
}

#[actix_web::test]
async fn a_server_that_stops_says_so_and_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(dir.path()));
    let token = register(&server, "ann");
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Socket::open(&server.address, &token).await);
    }
    let begun = std::time::Instant::now();
    server.signal("TERM");
    for socket in &mut sockets {
        assert_eq!(socket.close_code().await, Some(1001));
    }
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    assert!(begun.elapsed().as_secs() < 9, "it waits for nobody: {log}");
    assert!(!log.contains("ERROR"), "{log}");
}
