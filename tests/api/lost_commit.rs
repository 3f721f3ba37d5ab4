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
const WRITES: [(&str, &str); 30] = [
    ("POST", "/check"),
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
        (_, "/post" | "/post/pub") => {
            let body = json!({ "title": "t", "content": "c", "tags": ["new"] });
            (0, body)
        }
        ("POST", "/check") => (0, Value::Null),
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
        "/check" | "/jobs/{id}/retry" | "/user" | "/user/{id}" | "/user/{id}/sessions" => admin,
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
    // What is kept before must not be served after it, if it happened.
    let post = format!("/post/{post_id}");
    for kept in ["/post/", "/tag/", &post, "/feed.json"] {
        anonymous.get(kept).await;
    }
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
    let single = anonymous.get(&post).await;
    let is_there = titles.iter().any(|title| *title != "t");
    assert_eq!(single.status == 200, is_there, "{route:?} {cut:?}");
    if is_there {
        let title = &single.expect(200)["post"]["post_title"];
        assert_eq!(title, titles[titles.len() - 1], "{route:?} {cut:?}");
    }
    let tags = anonymous.get("/tag/").await.expect(200)["tags"].clone();
    let is_tagged = titles.contains(&"t");
    assert_eq!(tags[0]["posts"] == 1, is_tagged, "{route:?}: {tags}");
    Some(())
}

/// What it would have changed counts as changed. All else stays kept, and is served while the database
/// is away.
#[actix_web::test]
async fn what_it_does_not_touch_stays_kept() {
    for cut in [Cut::Before, Cut::After] {
        let Some((app, proxy)) = through_a_proxy().await else {
            return;
        };
        let (ann, ben) = (app.user("ann").await, app.user("ben").await);
        let id = ann.publish("written", "text").await;
        let (written, other) = (
            format!("/post/{id}"),
            format!("/post/{}", ben.publish("other", "text").await),
        );
        let (like, comments) = (format!("{written}/like"), format!("{written}/comments"));
        let follow = format!("/user/{}/follow", ben.user_id);
        let comment = json!({ "content": "well said" });
        let post = json!({ "title": "new", "content": "text" });
        let anonymous = app.anonymous();
        for (method, path, body, does_touch) in [
            (Method::PUT, follow.as_str(), Value::Null, false),
            (Method::POST, "/post", post, false),
            (Method::PUT, &like, Value::Null, true),
            (Method::POST, &comments, comment, true),
            (Method::PATCH, &written, json!({ "title": "changed" }), true),
            (Method::DELETE, &written, Value::Null, true),
        ] {
            for kept in [&written, &other] {
                anonymous.get(kept).await.expect(200);
            }
            proxy.cut_at("\u{3}COMMIT", cut);
            unavailable(&ann.call(method.clone(), path, body).await);
            assert!(!proxy.is_set(), "{method} {path} commits");
            proxy.close();
            anonymous.get(&other).await.expect(200);
            let touched = anonymous.get(&written).await;
            let expected = if does_touch { 503 } else { 200 };
            assert_eq!(touched.status, expected, "{method} {path} {cut:?}");
            proxy.open();
            until_back(&app).await;
        }
        app.leave_jobs();
    }
}

/// A session that may have ended is asked for, and is not known any more.
#[actix_web::test]
async fn a_session_that_it_may_have_ended_is_not_known() {
    for (cut, is_over) in [(Cut::Before, false), (Cut::After, true)] {
        let Some((app, proxy)) = through_a_proxy().await else {
            return;
        };
        let ann = app.user("ann").await;
        ann.get("/user/me").await.expect(200);
        proxy.cut_at("\u{3}COMMIT", cut);
        unavailable(&ann.post("/user/logout", json!({})).await);
        proxy.close();
        // One whose session is known gets as far as its body.
        unavailable(&ann.post("/post", json!({})).await);
        proxy.open();
        until_back(&app).await;
        let answer = ann.get("/user/me").await;
        assert_eq!(answer.status == 401, is_over, "{}", answer.text());
    }
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
