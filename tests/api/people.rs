//! People: who may become one, and how they are found.

use actix_web::http::Method;
use serde_json::json;

use crate::harness::{PASSWORD, TestApp, on_both_databases};

on_both_databases![closed_registration_leaves_it_to_others];

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
