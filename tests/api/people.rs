//! People: who may become one, and how they are found.

use std::collections::BTreeSet;

use actix_web::http::Method;
use chrono::TimeDelta;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::accounts::types::Username;
use inkpot::core::db::schema::user;
use serde_json::{Value, json};

use crate::harness::contract::DESCRIPTION;
use crate::harness::{PASSWORD, TestApp, on_both_databases};

on_both_databases![
    closed_registration_leaves_it_to_others,
    names_of_routes_and_roles_are_nobodys,
    who_has_a_reserved_name_keeps_it,
    a_user_is_found_by_username,
    an_admin_reads_one_account,
    an_admin_creates_users,
    who_is_created_without_a_password_chooses_one,
    an_invitation_waits_until_it_can_be_sent,
    of_those_who_take_one_username_one_has_it,
    everybody_is_listed_with_what_anyone_may_know,
    people_are_found_by_name_and_username_only,
    a_user_searches_for_people_at_a_bounded_pace,
];

/// What somebody registers with.
fn person(name: &str) -> Value {
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
        .filter(|word| !["json", "xml", "yaml"].contains(word))
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
    app.clock.advance(TimeDelta::minutes(30));
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

async fn an_admin_creates_users(app: TestApp) {
    let root = app.admin("root").await;
    let closed = app.second(&["--registration", "closed"]).await;
    let mut there = closed.anonymous();
    there.token.clone_from(&root.token);
    let body = json!({ "email": "Bob@Example.org", "name": " Bob ", "username": "Bob-Jones",
                       "mobile": "+31612345678", "password": PASSWORD, "role": "admin" });
    let answer = there.post("/user/", body).await;
    let bob = answer.expect(201)["userinfo"].clone();
    assert_eq!(
        answer.header("location"),
        format!("/user/{}", bob["user_id"])
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        [
            &bob["name"],
            &bob["email"],
            &bob["username"],
            &bob["mobile"],
            &bob["role"]
        ],
        [
            "Bob",
            "Bob@Example.org",
            "Bob-Jones",
            "+31612345678",
            "admin"
        ]
    );
    assert_eq!(
        (&bob["is_active"], &bob["email_verified"]),
        (&json!(true), &json!(false))
    );
    let login = json!({ "account": "bob-jones", "password": PASSWORD });
    let login = app.anonymous().post("/user/login", login).await.expect(200);
    app.client_of(&login).get("/audit/").await.expect(200);
    assert_eq!(app.work().await, 0);
    // Who was there first is named, whole.
    let body = json!({ "email": "bob@example.org", "name": "Eve", "username": "BOB-JONES",
                       "mobile": "0031612345678", "password": PASSWORD });
    let taken = root.post("/user/", body).await;
    assert_eq!(taken.status, 409);
    let pointers: Vec<String> = taken.problem("email_taken")["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(pointers, ["/email", "/username", "/mobile"]);
    let body = json!({ "email": "x", "name": "", "username": "admin", "mobile": "x",
                       "password": "short", "role": "king", "is_active": false });
    root.post("/user/", body).await.faults(&[
        ("/email", "email_invalid"),
        ("/name", "name_empty"),
        ("/username", "username_reserved"),
        ("/mobile", "mobile_invalid"),
        ("/password", "password_too_short"),
        ("/role", "role_invalid"),
        ("/is_active", "field_unknown"),
    ]);
    let body =
        json!({ "email": "carol@example.org", "name": "Carol", "password": "carol@example.org" });
    root.post("/user/", body)
        .await
        .faults(&[("/password", "password_similar")]);
    let ann = app.user("ann").await;
    ann.post("/user/", json!({})).await.problem("admins_only");
    app.anonymous()
        .post("/user/", json!({}))
        .await
        .problem("token_missing");
    // It is traced, with who did it; and is no login of the new user's.
    let path = format!("/audit/?user={}", bob["user_id"]);
    let audit = root.get(&path).await.expect(200)["audit"].clone();
    let did: Vec<(&str, Option<i64>)> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                entry["actor_id"].as_i64(),
            )
        })
        .collect();
    let (by_root, by_bob) = (Some(root.user_id), bob["user_id"].as_i64());
    let expected = [
        ("logged_in", by_bob),
        ("role_changed", by_root),
        ("registered", by_root),
    ];
    assert_eq!(did, expected);
}

async fn who_is_created_without_a_password_chooses_one(app: TestApp) {
    let root = app.admin("root").await.with_header("accept-language", "zh");
    let body = json!({ "email": "bob@example.org", "name": "Bob", "password": null });
    let bob = root.post("/user/", body).await.expect(201)["userinfo"].clone();
    let account = format!("/user/{}/account", bob["user_id"]);
    let shown = root.get(&account).await.expect(200)["userinfo"].clone();
    assert_eq!(
        (&shown["last_login"], &shown["sessions"]),
        (&json!(null), &json!([]))
    );
    for password in ["", PASSWORD] {
        let login = json!({ "account": "bob@example.org", "password": password });
        app.anonymous()
            .post("/user/login", login)
            .await
            .problem("invalid_credentials");
    }
    while app.work().await > 0 {}
    let sent = app.outbox();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].to, "bob@example.org");
    assert!(sent[0].text.contains("网站管理员"), "{}", sent[0].text);
    let reset = json!({ "account": "bob@example.org", "code": sent[0].code(),
                        "new_password": "a tin cup of coffee" });
    app.anonymous()
        .post("/user/password/reset", reset)
        .await
        .expect_empty(204);
    let login = json!({ "account": "bob@example.org", "password": "a tin cup of coffee" });
    let login = app.anonymous().post("/user/login", login).await.expect(200);
    assert_eq!(login["userinfo"]["email_verified"], true);
    let shown = root.get(&account).await.expect(200)["userinfo"].clone();
    assert!(shown["last_login"].is_string());
    // Where nothing was created nothing is sent.
    let body = json!({ "email": "BOB@example.org", "name": "Bob" });
    root.post("/user/", body).await.problem("email_taken");
    while app.work().await > 0 {}
    assert_eq!(
        app.outbox().len(),
        2,
        "the invitation and the notice of the new password"
    );
}

async fn an_invitation_waits_until_it_can_be_sent(app: TestApp) {
    let root = app.admin("root").await;
    for name in ["bob", "carol"] {
        let body = json!({ "email": format!("{name}@example.org"), "name": name });
        root.post("/user/", body).await.expect(201);
    }
    // Whoever recovered the account meanwhile needs none.
    app.database
        .with(|conn| {
            let bob = user::table.filter(user::email_key.eq("bob@example.org"));
            diesel::update(bob)
                .set(user::email_verified.eq(true))
                .execute(conn)
        })
        .unwrap();
    // The worker was away for longer than a code lives.
    app.clock.advance(TimeDelta::hours(5));
    while app.work().await > 0 {}
    let sent = app.outbox();
    let to: Vec<&str> = sent.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, ["carol@example.org"]);
    assert!(
        sent[0].text.contains("has made an account"),
        "{}",
        sent[0].text
    );
    let reset = json!({ "account": "carol@example.org", "code": sent[0].code(),
                        "new_password": "a tin cup of coffee" });
    app.anonymous()
        .post("/user/password/reset", reset)
        .await
        .expect_empty(204);
    while app.work().await > 0 {}
}

async fn of_those_who_take_one_username_one_has_it(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let name = |n: usize| {
        if n.is_multiple_of(2) {
            "the-one"
        } else {
            "The-One"
        }
    };
    let tries = (0..12).map(|n| {
        let (root, ann, app) = (&root, &ann, &app);
        async move {
            let mut body = person(&format!("person{n}"));
            body["username"] = json!(name(n));
            let answer = match n % 3 {
                0 => root.post("/user/", body).await,
                1 => app.anonymous().post("/user/reg", body).await,
                _ => ann.patch("/user/me", json!({ "username": name(n) })).await,
            };
            if !answer.status.is_success() {
                answer.problem("username_taken");
                return None;
            }
            Some(answer.json()["userinfo"]["user_id"].as_i64().unwrap())
        }
    });
    let owners: BTreeSet<i64> = join_all(tries).await.into_iter().flatten().collect();
    assert_eq!(owners.len(), 1, "{owners:?}");
    let found = app.anonymous().get("/user/@the-one").await.expect(200);
    assert_eq!(found["user"]["user_id"].as_i64(), owners.first().copied());
}

/// The ids in an answer, in its order.
fn ids(answer: &Value) -> Vec<i64> {
    let users = answer["users"].as_array().unwrap();
    users
        .iter()
        .map(|user| user["user_id"].as_i64().unwrap())
        .collect()
}

async fn everybody_is_listed_with_what_anyone_may_know(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let mut all = vec![root.user_id, ann.user_id];
    for n in 0..5 {
        all.push(app.user(&format!("user{n}")).await.user_id);
    }
    all.reverse();
    for n in 0..3 {
        ann.publish(&format!("post {n}"), "text").await;
    }
    let body = json!({ "title": "draft", "content": "text", "status": "draft" });
    ann.post("/post/pub", body).await.expect(201);
    let answer = ann.get("/user/directory").await;
    let page = answer.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(ids(&page), all);
    assert_eq!(
        page["pagination"],
        json!({ "count": 7, "pages": 1, "page": 1, "size": 20, "next": null })
    );
    assert!(page.get("partial").is_none());
    for user in page["users"].as_array().unwrap() {
        assert_eq!(
            (&user["online"], &user["since"]),
            (&json!(false), &json!(null))
        );
        // The same as by id.
        let path = format!("/user/{}", user["user_id"]);
        let public = app.anonymous().get(&path).await.expect(200)["user"].clone();
        for (name, value) in public.as_object().unwrap() {
            assert_eq!(user[name], *value, "{name}");
        }
        assert_eq!(
            user.as_object().unwrap().len(),
            public.as_object().unwrap().len() + 2
        );
    }
    let ann_there = page["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["name"] == "ann");
    assert_eq!(ann_there.unwrap()["posts"], 3);
    // By page and by cursor.
    let answer = ann.get("/user/directory/?page=2&size=3").await;
    assert_eq!(ids(&answer.expect(200)), all[3..6]);
    let link = answer.header("link");
    assert!(
        link.contains("</user/directory/?page=3&size=3>; rel=\"next\""),
        "{link}"
    );
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/user/directory?before={cursor}&size=2");
        let part = ann.get(&path).await.expect(200);
        assert!(part["pagination"].get("count").is_none());
        found.extend(ids(&part));
        match part["pagination"]["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(found, all);
    // Who is deactivated or deleted is not among them.
    let gone = [all[0], all[1]];
    root.patch(&format!("/user/{}", gone[0]), json!({ "is_active": false }))
        .await
        .expect(200);
    root.delete(&format!("/user/{}", gone[1]))
        .await
        .expect_empty(204);
    let page = ann.get("/user/directory").await.expect(200);
    assert_eq!(
        (ids(&page), &page["pagination"]["count"]),
        (all[2..].to_vec(), &json!(5))
    );
    for path in ["?page=1002&size=100", "?before=x", "?name=ann", "?q=a&q=b"] {
        let refused = ann.get(&format!("/user/directory{path}")).await;
        refused.problem("query_invalid");
    }
    app.anonymous()
        .get("/user/directory")
        .await
        .problem("token_missing");
    ann.post("/user/logout", json!({})).await.expect_empty(204);
    ann.get("/user/directory").await.problem("session_ended");
}

async fn people_are_found_by_name_and_username_only(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "email": "secret@hidden.example", "name": "100% Sure_! \u{c4}rger \u{416}\u{443}\u{43a}",
                       "password": PASSWORD, "username": "Percent-Man", "mobile": "+31612345678" });
    let made = app.anonymous().post("/user/reg", body).await.expect(201);
    let id = made["userinfo"]["user_id"].as_i64().unwrap();
    for words in [
        "sure",
        "PERCENT-m",
        "100%25",
        "_",
        "e_!",
        "%C3%A4RGER",
        "%D0%96%D0%A3%D0%9A",
        "+sure+",
    ] {
        let page = ann
            .get(&format!("/user/directory?q={words}"))
            .await
            .expect(200);
        assert_eq!(
            (ids(&page), &page["pagination"]["count"]),
            (vec![id], &json!(1)),
            "{words}"
        );
        let part = ann
            .get(&format!("/user/directory?before=&q={words}"))
            .await
            .expect(200);
        assert_eq!(ids(&part), [id], "{words}");
    }
    // Neither address nor number is anybody's business.
    for words in [
        "secret",
        "hidden.example",
        "example.org",
        "316",
        "nobody",
        "'%20OR%201=1",
    ] {
        let page = ann
            .get(&format!("/user/directory?q={words}"))
            .await
            .expect(200);
        assert_eq!(ids(&page), [0_i64; 0], "{words}");
    }
    let page = ann.get("/user/directory?q=%20").await.expect(200);
    assert_eq!(page["pagination"]["count"], 2);
    let answer = ann.get("/user/directory?q=%20ANN").await;
    assert!(
        answer.header("link").contains("q=ann>"),
        "{}",
        answer.header("link")
    );
}

async fn a_user_searches_for_people_at_a_bounded_pace(app: TestApp) {
    let limited = app.second(&["--rate-limits", "on"]).await;
    let (ann, ben) = (limited.user("ann").await, limited.user("ben").await);
    for _ in 0..30 {
        ann.get("/user/directory?q=ann").await.expect(200);
    }
    ann.get("/user/directory?q=ann")
        .await
        .problem("rate_limited");
    // What reads no more than it shows goes on, and so do others.
    ann.get("/user/directory").await.expect(200);
    ben.get("/user/directory?q=ann").await.expect(200);
    limited.clock.advance(TimeDelta::seconds(1));
    ann.get("/user/directory?q=ann").await.expect(200);
    ann.get("/user/directory?q=ann")
        .await
        .problem("rate_limited");
}
