//! People: who may become one, and how they are found.

use std::collections::BTreeSet;

use actix_web::http::Method;
use chrono::TimeDelta;
use diesel::prelude::*;
use inkpot::accounts::types::Username;
use inkpot::core::db::schema::user;
use serde_json::json;

use crate::harness::contract::DESCRIPTION;
use crate::harness::{PASSWORD, TestApp, on_both_databases};

on_both_databases![
    closed_registration_leaves_it_to_others,
    names_of_routes_and_roles_are_nobodys,
    who_has_a_reserved_name_keeps_it,
    a_user_is_found_by_username,
    an_admin_reads_one_account,
];

/// What somebody registers with.
fn person(name: &str) -> serde_json::Value {
    json!({ "email": format!("{name}@example.org"), "name": name, "password": PASSWORD })
}

async fn closed_registration_leaves_it_to_others(app: TestApp) {
    app.user("ann").await;
    let closed = app.second(&["--registration", "closed"]).await;
    let refused = closed.anonymous().post("/user/reg", person("bob")).await;
    assert_eq!(refused.status, 403);
    refused.problem("registration_closed");
    // Whatever the body is: it tells neither faults nor who has an account.
    for body in [json!({}), person("ann"), json!([])] {
        let refused = closed.anonymous().post("/user/reg", body).await;
        refused.problem("registration_closed");
    }
    let nothing = closed.anonymous().request(Method::POST, "/user/reg");
    closed.send(nothing).await.problem("registration_closed");
    // Who has an account goes on.
    closed.login("ann").await;
    // It is a matter of the process, and no trace is left of those who were refused.
    let bob = app.user("bob").await;
    let root = app.admin("root").await;
    let listed = root.get("/user/").await.expect(200);
    assert_eq!(listed["pagination"]["count"], 3);
    bob.get("/user/me").await.expect(200);
}

/// Every word of a path below which nothing may be taken for a user.
#[test]
fn every_route_is_a_reserved_name() {
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let words = paths.keys().flat_map(|path| path.split(['/', '.']));
    let words: BTreeSet<&str> = words
        .filter(|word| word.len() > 1 && !word.contains(['{', '@']))
        .filter(|word| !["json", "yaml"].contains(word))
        .collect();
    for word in words {
        let username = Username {
            text: word.to_owned(),
            key: word.to_owned(),
        };
        assert!(username.is_reserved(), "{word}");
    }
}

async fn names_of_routes_and_roles_are_nobodys(app: TestApp) {
    let ann = app.user("ann").await;
    for name in ["admin", "Online", "DIRECTORY", "root-", "moderator"] {
        let fault = match name {
            "root-" => None,
            _ => Some([("/username", "username_reserved")]),
        };
        let mut body = person("bob");
        body["username"] = json!(name);
        let registered = app.anonymous().post("/user/reg", body).await;
        let changed = ann.patch("/user/me", json!({ "username": name })).await;
        match fault {
            Some(fault) => {
                registered.faults(&fault);
                changed.faults(&fault);
            }
            None => {
                registered.expect(201);
                changed.problem("username_taken");
            }
        }
    }
    // Every fault at once.
    let body = json!({ "email": "x", "name": "Bob", "password": PASSWORD, "username": "admin" });
    let faults = [
        ("/email", "email_invalid"),
        ("/username", "username_reserved"),
    ];
    app.anonymous()
        .post("/user/reg", body)
        .await
        .faults(&faults);
}

async fn who_has_a_reserved_name_keeps_it(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.user_id;
    app.database
        .with(move |conn| {
            let named = (user::username.eq("Admin"), user::username_key.eq("admin"));
            diesel::update(user::table.find(id))
                .set(named)
                .execute(conn)
        })
        .unwrap();
    let body = json!({ "username": "Admin", "name": "Ann the first" });
    let me = ann.patch("/user/me", body).await.expect(200);
    assert_eq!(me["userinfo"]["username"], "Admin");
    let body = json!({ "username": "ADMIN" });
    ann.patch("/user/me", body).await.expect(200);
    let login = json!({ "username": "admin", "password": PASSWORD });
    app.anonymous().post("/user/login", login).await.expect(200);
    // Who gives it up does not get it again.
    ann.patch("/user/me", json!({ "username": null }))
        .await
        .expect(200);
    let again = ann.patch("/user/me", json!({ "username": "admin" })).await;
    again.faults(&[("/username", "username_reserved")]);
}

async fn a_user_is_found_by_username(app: TestApp) {
    let ann = app.user("ann").await;
    ann.patch("/user/me", json!({ "username": "Ann-Smith" }))
        .await
        .expect(200);
    ann.publish("first", "text").await;
    let by_id = app.anonymous().get(&format!("/user/{}", ann.user_id)).await;
    let shown = by_id.expect(200);
    assert_eq!(shown["user"]["posts"], 1);
    for path in [
        "/user/@Ann-Smith",
        "/user/@ann-smith/",
        "/user/%40ANN-SMITH",
    ] {
        let by_name = app.anonymous().get(path).await;
        assert_eq!(by_name.expect(200), shown, "{path}");
        assert_eq!(by_name.header("etag"), by_id.header("etag"));
        assert_eq!(by_name.header("cache-control"), "no-cache");
        let etag = by_id.header("etag");
        let again = app
            .anonymous()
            .with_header("if-none-match", etag)
            .get(path)
            .await;
        again.expect_empty(304);
    }
    let head = app.anonymous().request(Method::HEAD, "/user/@ann-smith");
    assert_eq!(app.send(head).await.status, 200);
    // Neither an id nor what is no username names anybody.
    for name in [
        "nobody",
        "1",
        "ann",
        "%F0%9F%90%99",
        "ann-smith%00",
        &"a".repeat(3000),
        "a%25b",
    ] {
        let unknown = app.anonymous().get(&format!("/user/@{name}")).await;
        unknown.problem("user_not_found");
    }
    app.anonymous().get("/user/@").await.problem("path_invalid");
    let query = app.anonymous().get("/user/@ann-smith?page=1").await;
    query.problem("query_invalid");
    // A name leads to who has it now.
    ann.patch("/user/me", json!({ "username": "ann-jones" }))
        .await
        .expect(200);
    app.anonymous()
        .get("/user/@ann-smith")
        .await
        .problem("user_not_found");
    let bob = app.user("bob").await;
    bob.patch("/user/me", json!({ "username": "ann-smith" }))
        .await
        .expect(200);
    let other = app.anonymous().get("/user/@ann-smith").await.expect(200);
    assert_eq!(other["user"]["user_id"], bob.user_id);
    // Who is deactivated stays readable, who is deleted is nobody.
    let root = app.admin("root").await;
    let path = format!("/user/{}", bob.user_id);
    root.patch(&path, json!({ "is_active": false }))
        .await
        .expect(200);
    app.anonymous().get("/user/@ann-smith").await.expect(200);
    root.delete(&path).await.expect_empty(204);
    app.anonymous()
        .get("/user/@ann-smith")
        .await
        .problem("user_not_found");
}

async fn an_admin_reads_one_account(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let path = format!("/user/{}/account", ann.user_id);
    let answer = root.get(&path).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let account = &answer.expect(200)["userinfo"];
    assert_eq!(account["email"], "ann@example.org");
    assert_eq!(account["is_active"], true);
    assert_eq!(account["last_login"], account["created"]);
    assert_eq!(account["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(account["sessions"][0]["current"], false);
    assert!(!answer.text().contains("$2b$"));
    // A login counts, a refused one and another's deed do not.
    app.clock.advance(TimeDelta::hours(1));
    app.login("ann").await;
    let at_login = app.clock.now();
    app.clock.advance(TimeDelta::minutes(1));
    let wrong = json!({ "account": "ann@example.org", "password": "wrong" });
    app.anonymous()
        .post("/user/login", wrong)
        .await
        .problem("invalid_credentials");
    let id = format!("/user/{}", ann.user_id);
    root.patch(&id, json!({ "name": "Ann B." }))
        .await
        .expect(200);
    let account = root.get(&path).await.expect(200)["userinfo"].clone();
    let shown = account["last_login"].as_str().unwrap();
    let shown = chrono::DateTime::parse_from_rfc3339(shown)
        .unwrap()
        .naive_utc();
    assert_eq!(shown, at_login);
    let sessions = account["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert!(sessions[0]["session_id"].as_i64() > sessions[1]["session_id"].as_i64());
    // The last login stays when its session is over.
    root.patch(&id, json!({ "is_active": false }))
        .await
        .expect(200);
    let account = root.get(&path).await.expect(200)["userinfo"].clone();
    assert_eq!(account["is_active"], false);
    assert_eq!(account["sessions"], json!([]));
    assert!(account["last_login"].is_string());
    // One's own has the session that asks.
    let own = root
        .get(&format!("/user/{}/account", root.user_id))
        .await
        .expect(200);
    assert_eq!(own["userinfo"]["sessions"][0]["current"], true);
    ann.get(&path).await.problem("session_ended");
    let bob = app.user("bob").await;
    bob.get(&path).await.problem("admins_only");
    app.anonymous().get(&path).await.problem("token_missing");
    root.get("/user/999999/account")
        .await
        .problem("user_not_found");
    root.get("/user/0/account").await.problem("path_invalid");
    root.delete(&id).await.expect_empty(204);
    root.get(&path).await.problem("user_not_found");
}
