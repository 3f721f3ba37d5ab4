//! A `COMMIT` whose answer is lost, on every write route. Nobody knows whether it happened, and
//! the client is told to look: never 500, never a success, never done twice.

use std::collections::BTreeSet;

use actix_web::http::Method;
use diesel::prelude::*;
use inkpot::core::db::schema::job;
use serde_json::{Value, json};

use crate::harness::contract::DESCRIPTION;
use crate::harness::proxy::Cut;
use crate::harness::{Client, PASSWORD, TestApp};
use crate::outage::{through_a_proxy, unavailable, until_back};

const NEW_PASSWORD: &str = "another rare secret 7";

/// Every route that writes.
const WRITES: [(&str, &str); 29] = [
    ("PATCH", "/comment/{id}"),
    ("DELETE", "/comment/{id}"),
    ("POST", "/jobs/{id}/retry"),
    ("POST", "/post"),
    ("POST", "/post/pub"),
    ("PATCH", "/post/{id}"),
    ("DELETE", "/post/{id}"),
    ("POST", "/post/{id}/comments"),
    ("PUT", "/post/{id}/like"),
    ("DELETE", "/post/{id}/like"),
    ("POST", "/user/login"),
    ("POST", "/user/logout"),
    ("DELETE", "/user/me"),
    ("PATCH", "/user/me"),
    ("PUT", "/user/me/password"),
    ("DELETE", "/user/me/sessions"),
    ("DELETE", "/user/me/sessions/{id}"),
    ("POST", "/user/me/verify"),
    ("POST", "/user/me/verify/send"),
    ("POST", "/user/password/forgot"),
    ("POST", "/user/password/reset"),
    ("POST", "/user/refresh"),
    ("POST", "/user/reg"),
    ("POST", "/user"),
    ("DELETE", "/user/{id}"),
    ("DELETE", "/user/{id}/sessions"),
    ("PATCH", "/user/{id}"),
    ("PUT", "/user/{id}/follow"),
    ("DELETE", "/user/{id}/follow"),
];

/// Keeps nothing, though it is called like what does.
const READ: (&str, &str) = ("POST", "/post/preview");

#[test]
fn no_write_route_is_left_out() {
    let known: BTreeSet<(String, String)> = WRITES
        .iter()
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    let described: BTreeSet<(String, String)> = DESCRIPTION["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .filter(|(method, _)| ["POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()))
        .filter(|(method, path)| (method.as_str(), path.as_str()) != READ)
        .collect();
    assert_eq!(known, described);
}

/// The code of the message that was sent last.
async fn code_of_last(app: &TestApp) -> String {
    app.work().await;
    app.outbox().pop().unwrap().code()
}

/// Makes what the route needs, and gives the `{id}` in its path and its body. `post_id`: a
/// post by Ann.
async fn prepare(
    app: &TestApp,
    ann: &Client<'_>,
    route: (&str, &str),
    post_id: i64,
) -> (i64, Value) {
    match route {
        ("POST", "/jobs/{id}/retry") => {
            let body = json!({ "channel": "email" });
            ann.post("/user/me/verify/send", body).await.expect(202);
            app.leave_jobs();
            let id = app.database.with(|conn| {
                let dead = (
                    job::state.eq("dead"),
                    job::due.eq(None::<chrono::NaiveDateTime>),
                );
                diesel::update(job::table).set(dead).execute(conn).unwrap();
                let newest = diesel::dsl::max(job::job_id);
                job::table
                    .select(newest)
                    .first::<Option<i64>>(conn)
                    .unwrap()
            });
            (id.unwrap(), Value::Null)
        }
        (_, "/post" | "/post/pub") => (0, json!({ "title": "t", "content": "c" })),
        ("PATCH", "/post/{id}") => (post_id, json!({ "title": "other" })),
        (_, "/post/{id}") | ("PUT", "/post/{id}/like") => (post_id, Value::Null),
        (_, "/user/reg") => {
            let body = json!({ "email": "new@example.org", "name": "new", "password": PASSWORD });
            (0, body)
        }
        (_, "/user/login") => (
            0,
            json!({ "account": "ann@example.org", "password": PASSWORD }),
        ),
        ("DELETE", "/user/me") => (0, json!({ "current_password": PASSWORD })),
        (_, "/user/me") => (0, json!({ "name": "Other Ann" })),
        (_, "/user/me/password") => {
            let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
            (0, body)
        }
        (_, "/user/me/sessions/{id}") => {
            app.login("ann").await;
            let listed = ann.get("/user/me/sessions").await.expect(200);
            let sessions = listed["sessions"].as_array().unwrap();
            let other = sessions.iter().find(|session| session["current"] == false);
            (other.unwrap()["session_id"].as_i64().unwrap(), Value::Null)
        }
        (_, "/user/me/sessions") => {
            app.login("ann").await;
            (0, Value::Null)
        }
        (_, "/user/me/verify/send") => (0, json!({ "channel": "email" })),
        (_, "/user/me/verify") => {
            let body = json!({ "channel": "email" });
            ann.post("/user/me/verify/send", body).await.expect(202);
            let code = code_of_last(app).await;
            (0, json!({ "channel": "email", "code": code }))
        }
        (_, "/user/password/forgot") => (0, json!({ "account": "ann@example.org" })),
        (_, "/user/password/reset") => {
            let forgot = json!({ "account": "ann@example.org" });
            let forgot = app.anonymous().post("/user/password/forgot", forgot).await;
            forgot.expect(202);
            let code = code_of_last(app).await;
            let body = json!({
                "account": "ann@example.org", "code": code, "new_password": NEW_PASSWORD
            });
            (0, body)
        }
        (_, "/user/refresh") => {
            let login = app.login("ann").await;
            (0, json!({ "refresh_token": login["refresh_token"] }))
        }
        ("POST", "/user") => (0, json!({ "email": "eve@example.org", "name": "Eve" })),
        ("PATCH", "/user/{id}") => (ann.user_id, json!({ "name": "Other Ann" })),
        ("DELETE", "/user/{id}" | "/user/{id}/sessions") => (ann.user_id, Value::Null),
        (_, "/user/logout") => (0, json!({})),
        other => prepare_social(app, ann, other, post_id).await,
    }
}

/// The same for comments, likes and follows.
async fn prepare_social(
    app: &TestApp,
    ann: &Client<'_>,
    route: (&str, &str),
    post_id: i64,
) -> (i64, Value) {
    match route {
        (_, "/post/{id}/comments") => (post_id, json!({ "content": "well said" })),
        (method, "/comment/{id}") => {
            let body = json!({ "content": "well said" });
            let made = ann.post(&format!("/post/{post_id}/comments"), body).await;
            let id = made.expect(201)["comment"]["comment_id"].as_i64().unwrap();
            let change = json!({ "content": "better said" });
            (
                id,
                if method == "PATCH" {
                    change
                } else {
                    Value::Null
                },
            )
        }
        (_, "/post/{id}/like") => {
            let path = format!("/post/{post_id}/like");
            let liked = ann.call(Method::PUT, &path, Value::Null).await;
            assert_eq!(liked.status.as_u16(), 204);
            (post_id, Value::Null)
        }
        (method, "/user/{id}/follow") => {
            let followed = app.user("eve").await.user_id;
            if method == "DELETE" {
                let path = format!("/user/{followed}/follow");
                let set = ann.call(Method::PUT, &path, Value::Null).await;
                assert_eq!(set.status.as_u16(), 204);
            }
            (followed, Value::Null)
        }
        other => panic!("{other:?}"),
    }
}

/// Who may do it.
fn caller<'a>(
    path: &str,
    ann: &'a Client<'a>,
    admin: &'a Client<'a>,
    anonymous: &'a Client<'a>,
) -> &'a Client<'a> {
    match path {
        "/jobs/{id}/retry" | "/user" | "/user/{id}" | "/user/{id}/sessions" => admin,
        "/user/reg"
        | "/user/login"
        | "/user/refresh"
        | "/user/password/forgot"
        | "/user/password/reset" => anonymous,
        _ => ann,
    }
}

async fn lose(route: (&'static str, &'static str), cut: Cut) -> Option<()> {
    let (app, proxy) = through_a_proxy().await?;
    let admin = app.admin("root").await;
    let ann = app.user("ann").await;
    let anonymous = app.anonymous();
    let post_id = ann.publish("first", "text").await;
    let (id, body) = prepare(&app, &ann, route, post_id).await;
    let who = caller(route.1, &ann, &admin, &anonymous);
    let method = Method::from_bytes(route.0.as_bytes()).unwrap();
    let path = route.1.replace("{id}", &id.to_string());
    // Its packet begins with 3, the command for a query.
    proxy.cut_at("\u{3}COMMIT", cut);
    let answer = who.call(method, &path, body).await;
    assert!(!proxy.is_set(), "{route:?} commits: {}", answer.text());
    assert_eq!(answer.status, 503, "{route:?} {cut:?}: {}", answer.text());
    unavailable(&answer);
    until_back(&app).await;
    app.leave_jobs();
    let published = anonymous.get("/post/").await.expect(200);
    let titles: Vec<&str> = (published["posts"].as_array().unwrap().iter())
        .map(|post| post["post_title"].as_str().unwrap())
        .collect();
    let expected: &[&str] = match (route, cut) {
        (("POST", "/post" | "/post/pub"), Cut::After) => &["t", "first"],
        (("PATCH", "/post/{id}"), Cut::After) => &["other"],
        (("DELETE", "/post/{id}" | "/user/me" | "/user/{id}"), Cut::After) => &[],
        _ => &["first"],
    };
    assert_eq!(titles, expected, "{route:?} {cut:?}");
    Some(())
}

#[actix_web::test]
async fn before_it_reached_the_database() {
    for route in WRITES {
        if lose(route, Cut::Before).await.is_none() {
            return;
        }
    }
}

#[actix_web::test]
async fn after_it_was_done() {
    for route in WRITES {
        if lose(route, Cut::After).await.is_none() {
            return;
        }
    }
}
