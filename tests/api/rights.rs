//! Every route for everybody: who may, and what the others are told.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::harness::contract::DESCRIPTION;
use crate::harness::{Client, TestApp, on_both_databases};

on_both_databases![every_route_for_everybody];

/// Who calls: nobody, the owner, another user, one who was deactivated, an admin.
const WHO: [&str; 5] = ["anonymous", "owner", "other", "deactivated", "admin"];

/// Method, path, body, and what each of [`WHO`] is answered.
type Row = (&'static str, &'static str, Value, [u16; 5]);

/// The routes of codes, presence, jobs and previews, and of what is told about the list of posts.
fn codes_and_jobs() -> Vec<Row> {
    let none = Value::Null;
    vec![
        ("GET", "/post/{id}/around", none.clone(), [200; 5]),
        ("GET", "/post/archive", none.clone(), [200; 5]),
        ("GET", "/tag", none.clone(), [200; 5]),
        (
            "GET",
            "/user/online",
            none.clone(),
            [401, 200, 200, 401, 200],
        ),
        (
            "GET",
            "/user/directory",
            none.clone(),
            [401, 200, 200, 401, 200],
        ),
        ("GET", "/jobs", none.clone(), [401, 403, 403, 401, 200]),
        ("GET", "/keys", none.clone(), [401, 403, 403, 401, 200]),
        ("GET", "/check", none.clone(), [401, 403, 403, 401, 200]),
        ("POST", "/check", none.clone(), [401, 403, 403, 401, 202]),
        (
            "POST",
            "/jobs/{id}/retry",
            none.clone(),
            [401, 403, 403, 401, 404],
        ),
        (
            "POST",
            "/user/me/verify/send",
            json!({ "channel": "email" }),
            [401, 202, 202, 401, 202],
        ),
        (
            "POST",
            "/user/me/verify",
            json!({ "channel": "mobile", "code": "123456" }),
            [401, 403, 403, 401, 403],
        ),
        (
            "POST",
            "/user/password/forgot",
            json!({ "account": "nobody" }),
            [202; 5],
        ),
        ("POST", "/user/password/reset", json!({}), [422; 5]),
        (
            "POST",
            "/post/preview",
            json!({ "content": "y" }),
            [401, 200, 200, 401, 200],
        ),
    ]
}

/// The routes of what is said to posts.
fn social() -> Vec<Row> {
    let none = Value::Null;
    vec![
        ("GET", "/post/{id}/comments", none.clone(), [200; 5]),
        ("GET", "/post/{id}/comments.atom", none.clone(), [200; 5]),
        ("GET", "/post/{id}/comments.json", none.clone(), [200; 5]),
        (
            "POST",
            "/post/{id}/comments",
            json!({ "content": "Well." }),
            [401, 201, 201, 401, 201],
        ),
        (
            "PUT",
            "/post/{id}/like",
            none.clone(),
            [401, 204, 204, 401, 204],
        ),
        (
            "DELETE",
            "/post/{id}/like",
            none.clone(),
            [401, 204, 204, 401, 204],
        ),
        (
            "PUT",
            "/user/{id}/follow",
            none.clone(),
            [401, 409, 204, 401, 204],
        ),
        (
            "DELETE",
            "/user/{id}/follow",
            none.clone(),
            [401, 204, 204, 401, 204],
        ),
        ("GET", "/user/{id}/followers", none.clone(), [200; 5]),
        ("GET", "/user/{id}/following", none.clone(), [200; 5]),
        (
            "GET",
            "/user/me/following",
            none.clone(),
            [401, 200, 200, 401, 200],
        ),
        (
            "GET",
            "/user/me/likes",
            none.clone(),
            [401, 200, 200, 401, 200],
        ),
        ("GET", "/comment", none.clone(), [401, 403, 403, 401, 200]),
        ("GET", "/comment/{id}", none.clone(), [200; 5]),
        (
            "PATCH",
            "/comment/{id}",
            json!({ "content": "Not so well." }),
            [401, 200, 403, 401, 403],
        ),
        (
            "DELETE",
            "/comment/{id}",
            none.clone(),
            [401, 204, 403, 401, 204],
        ),
    ]
}

/// Method, path, body, and the status for each of [`WHO`]. Routes that end their
/// own caller come last, for the owner only once.
fn table() -> Vec<Row> {
    let post = json!({ "title": "x", "content": "y" });
    let none = Value::Null;
    vec![
        ("GET", "/livez", none.clone(), [200; 5]),
        ("GET", "/readyz", none.clone(), [200; 5]),
        ("GET", "/openapi.yaml", none.clone(), [200; 5]),
        ("GET", "/.well-known/jwks.json", none.clone(), [200; 5]),
        ("GET", "/openapi.json", none.clone(), [200; 5]),
        ("GET", "/problems/{code}", none.clone(), [200; 5]),
        ("GET", "/post", none.clone(), [200; 5]),
        ("GET", "/feed.atom", none.clone(), [200; 5]),
        ("GET", "/feed.json", none.clone(), [200; 5]),
        ("GET", "/sitemap.xml", none.clone(), [200; 5]),
        ("GET", "/post/{id}", none.clone(), [200; 5]),
        ("GET", "/user/{id}", none.clone(), [200; 5]),
        ("GET", "/user/@{username}", none.clone(), [200; 5]),
        ("POST", "/user/reg", json!({}), [422; 5]),
        ("POST", "/user/login", json!({}), [422; 5]),
        ("POST", "/user/refresh", json!({}), [401; 5]),
        ("POST", "/post", post.clone(), [401, 201, 201, 401, 201]),
        ("POST", "/post/pub", post, [401, 201, 201, 401, 201]),
        (
            "PATCH",
            "/post/{id}",
            json!({ "title": "z" }),
            [401, 200, 403, 401, 200],
        ),
        ("GET", "/user/me", none.clone(), [401, 200, 200, 401, 200]),
        (
            "PATCH",
            "/user/me",
            json!({ "name": "New" }),
            [401, 200, 200, 401, 200],
        ),
        (
            "PUT",
            "/user/me/password",
            json!({ "current_password": "x", "new_password": "y" }),
            [401, 403, 403, 401, 403],
        ),
        (
            "DELETE",
            "/user/me",
            json!({ "current_password": "x" }),
            [401, 403, 403, 401, 403],
        ),
        (
            "GET",
            "/user/me/sessions",
            none.clone(),
            [401, 200, 200, 401, 200],
        ),
        (
            "GET",
            "/user/me/export",
            none.clone(),
            [401, 200, 200, 401, 200],
        ),
        (
            "DELETE",
            "/user/me/sessions",
            none.clone(),
            [401, 204, 204, 401, 204],
        ),
        (
            "DELETE",
            "/user/me/sessions/{id}",
            none.clone(),
            [401, 404, 404, 401, 404],
        ),
        ("GET", "/user", none.clone(), [401, 403, 403, 401, 200]),
        ("POST", "/user", json!({}), [401, 403, 403, 401, 422]),
        ("GET", "/audit", none.clone(), [401, 403, 403, 401, 200]),
        (
            "GET",
            "/user/{id}/account",
            none.clone(),
            [401, 403, 403, 401, 200],
        ),
        (
            "PATCH",
            "/user/{id}",
            json!({ "name": "New" }),
            [401, 403, 403, 401, 200],
        ),
        (
            "DELETE",
            "/post/{id}",
            none.clone(),
            [401, 204, 403, 401, 204],
        ),
    ]
}

/// The routes that end sessions, which come last.
fn ends() -> Vec<Row> {
    let none = Value::Null;
    vec![
        (
            "DELETE",
            "/user/{id}/sessions",
            none.clone(),
            [401, 403, 403, 401, 204],
        ),
        (
            "POST",
            "/user/logout",
            none.clone(),
            [204, 204, 204, 204, 204],
        ),
        ("DELETE", "/user/{id}", none, [401, 401, 401, 401, 401]),
    ]
}

/// A comment of the client's under a post.
async fn comment_of(client: &Client<'_>, post: i64) -> i64 {
    let body = json!({ "content": "Well." });
    let path = format!("/post/{post}/comments");
    let made = client.post(&path, body).await.expect(201);
    made["comment"]["comment_id"].as_i64().unwrap()
}

async fn every_route_for_everybody(app: TestApp) {
    let clients: BTreeMap<&str, Client<'_>> = BTreeMap::from([
        ("anonymous", app.anonymous()),
        ("owner", app.user("owner").await),
        ("other", app.user("other").await),
        ("deactivated", app.user("dora").await),
        ("admin", app.admin("root").await),
    ]);
    let root = app.client_of(&app.login("root").await);
    let named = json!({ "username": "the-owner" });
    clients["owner"].patch("/user/me", named).await.expect(200);
    let dora = format!("/user/{}", clients["deactivated"].user_id);
    root.patch(&dora, json!({ "is_active": false }))
        .await
        .expect(200);

    let rows = [codes_and_jobs(), social(), table(), ends()].concat();
    let listed: BTreeSet<String> = rows
        .iter()
        .map(|(method, path, ..)| format!("{method} {path}"))
        .collect();
    for (path, item) in DESCRIPTION["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let route = format!("{} {path}", method.to_uppercase());
            assert!(listed.contains(&route), "{route} is not in the table");
        }
    }

    for (method, pattern, body, expected) in rows {
        for (who, status) in WHO.iter().zip(expected) {
            let client = &clients[who];
            // A post of the owner's own for each who may want to delete it.
            let id = if pattern.starts_with("/post/{id}") || pattern == "/comment/{id}" {
                let owner = app.client_of(&app.login("owner").await);
                let post = owner.publish("x", "y").await;
                if pattern == "/comment/{id}" {
                    comment_of(&owner, post).await
                } else {
                    post
                }
            } else {
                clients["owner"].user_id
            };
            let id = if matches!(pattern, "/user/me/sessions/{id}" | "/jobs/{id}/retry") {
                999_999
            } else {
                id
            };
            let path = pattern
                .replace("{id}", &id.to_string())
                .replace("{username}", "the-owner")
                .replace("{code}", "internal");
            let mut request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
            if !body.is_null() {
                request = request.set_json(&body);
            }
            let answer = app.send(request).await;
            assert_eq!(
                answer.status.as_u16(),
                status,
                "{method} {path} as {who}: {}",
                answer.text()
            );
        }
    }
}
