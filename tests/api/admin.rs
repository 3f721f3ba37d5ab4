//! What admins do with all accounts, and the audit of it.

use actix_web::http::Method;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::{join, join_all};
use inkpot::core::db::connection::{self, DatabaseUrl};
use inkpot::core::db::dialect;
use inkpot::core::db::schema::{audit, installation, user};
use serde_json::{Value, json};

use crate::harness::{Backend, Client, PASSWORD, TestApp, on_both_databases};

on_both_databases![
    users_are_listed_searched_and_paged,
    what_a_list_of_the_administration_costs_is_bounded,
    cursors_lead_where_pages_do_not,
    a_user_is_deactivated_at_once,
    all_sessions_of_a_user_are_ended,
    a_role_counts_from_the_next_request_on,
    the_last_active_admin_stays,
    admins_who_demote_each_other_at_once_leave_one,
    a_rename_never_brings_back_who_is_deactivated,
    what_takes_no_admin_away_waits_for_no_row_of_others,
    who_takes_an_admin_away_writes_the_one_row_of_all,
    a_user_is_deleted_with_their_posts,
    admins_edit_any_post,
    bad_changes_are_refused,
    everything_leaves_a_trace,
];

async fn users_are_listed_searched_and_paged(app: TestApp) {
    let root = app.admin("root").await;
    for n in 0..25 {
        app.user(&format!("user{n:02}")).await;
    }
    let body = json!({ "email": "percent@example.org", "name": "100% Sure_! Ärger Жук", "password": PASSWORD,
                       "username": "Percent-Man" });
    app.anonymous().post("/user/reg", body).await.expect(201);
    let answer = root.get("/user/?page=2&size=10").await;
    let page = answer.expect(200);
    assert_eq!(
        page["pagination"],
        json!({ "count": 27, "pages": 3, "page": 2, "size": 10, "next": "8" })
    );
    assert_eq!(page["users"].as_array().unwrap().len(), 10);
    assert_eq!(page["users"][0]["email"], "user15@example.org");
    assert_eq!(page["users"][0]["is_active"], true);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(
        answer
            .header("link")
            .contains("</user/?page=3&size=10>; rel=\"next\"")
    );
    for (words, count) in [
        ("user0", 10),
        ("USER0", 10),
        ("user01@example", 1),
        ("percent-man", 1),
        ("100%25", 1),
        ("%25", 1),
        ("_", 1),
        ("!", 1),
        ("e_!", 1),
        ("nobody", 0),
        ("'%20OR%201=1", 0),
        // Letters of any script, whatever their case.
        ("%C3%A4rger", 1),
        ("%C3%84RGER", 1),
        ("%D0%96%D0%A3%D0%9A", 1),
        ("", 27),
    ] {
        let page = root.get(&format!("/user?q={words}")).await.expect(200);
        assert_eq!(page["pagination"]["count"], count, "{words}");
        assert_eq!(
            page["users"].as_array().unwrap().len(),
            count.min(20),
            "{words}"
        );
    }
    let link = root
        .get("/user?q=user0&size=3")
        .await
        .header("link")
        .to_owned();
    assert!(
        link.contains("</user/?page=2&size=3&q=user0>; rel=\"next\""),
        "{link}"
    );
    assert!(!page.to_string().contains("$2b$"));
}

async fn what_a_list_of_the_administration_costs_is_bounded(app: TestApp) {
    let root = app.admin("root").await;
    for path in ["/user/", "/audit/"] {
        for (page, size) in [(1002, 100), (5002, 20), (i64::MAX, 1)] {
            root.get(&format!("{path}?page={page}&size={size}"))
                .await
                .problem("query_invalid");
        }
        let last = root.get(&format!("{path}?page=1000&size=100")).await;
        last.expect(200);
    }
    // The links say what was asked for, not how, and are not longer than it is worth.
    let body = json!({ "email": "bob@bücher.example", "name": "Bob", "password": PASSWORD });
    let request = app.anonymous().request(Method::POST, "/user/reg");
    app.send(request.set_json(&body)).await.expect(201);
    let answer = root.get("/user/?q=%20%20B%C3%9CCHER+").await;
    assert_eq!(answer.expect(200)["pagination"]["count"], 1);
    let link = answer.header("link");
    assert!(
        link.contains("</user/?page=1&size=20&q=b%C3%BCcher>;"),
        "{link}"
    );
    let answer = root.get(&format!("/user/?q={}", "+x!".repeat(1000))).await;
    answer.expect(200);
    assert!(!answer.headers.contains_key("link"));
    let answer = root
        .get(&format!("/audit/?user={}", "x".repeat(3000)))
        .await;
    answer.expect(200);
    assert!(answer.header("link").len() < 200);
}

/// The members `field` of all parts of a list, from cursor to cursor.
async fn walk(admin: &Client<'_>, path: &str, list: &str, field: &str) -> Vec<i64> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = admin.get(&format!("{path}before={cursor}&size=100")).await;
        let page = answer.expect(200);
        assert!(page["pagination"].get("count").is_none(), "{page}");
        let rows = page[list].as_array().unwrap();
        found.extend(rows.iter().map(|row| row[field].as_i64().unwrap()));
        let next = page["pagination"]["next"].as_str().map(str::to_owned);
        let has_link = answer.header("link").contains("rel=\"next\"");
        assert_eq!(has_link, next.is_some());
        match next {
            Some(next) => cursor = next,
            None => return found,
        }
    }
}

async fn cursors_lead_where_pages_do_not(app: TestApp) {
    let root = app.admin("root").await;
    for n in 0..3 {
        app.user(&format!("user{n}")).await;
    }
    // As many as a busy year leaves behind.
    app.database.with(|conn| {
        for _ in 0..16 {
            conn.batch_execute(
                "INSERT INTO audit (at, user_id, actor_id, action, ip, request_id, detail) \
                 SELECT at, user_id, actor_id, action, ip, request_id, detail FROM audit",
            )
            .unwrap();
        }
    });
    let number: i64 = app
        .database
        .with(|conn| audit::table.count().get_result(conn).unwrap());
    assert!(number > 100_000, "{number}");
    let answer = root.get("/audit/?size=100").await;
    let pagination = &answer.expect(200)["pagination"];
    assert_eq!(pagination["count"], 100_000);
    assert_eq!(pagination["pages"], 1000);
    assert!(
        answer
            .header("link")
            .contains("?page=1000&size=100>; rel=\"last\"")
    );
    let last = root.get("/audit/?size=100&page=1000").await;
    assert_eq!(last.expect(200)["audit"].as_array().unwrap().len(), 100);
    let next = last.json()["pagination"]["next"]
        .as_str()
        .unwrap()
        .to_owned();
    let behind = walk(
        &root,
        &format!("/audit/?user={}&", root.user_id),
        "audit",
        "audit_id",
    )
    .await;
    let root_id = root.user_id;
    let of_root: i64 = app.database.with(move |conn| {
        let of_root = audit::table.filter(audit::user_id.eq(root_id));
        of_root.count().get_result(conn).unwrap()
    });
    assert_eq!(behind.len(), usize::try_from(of_root).unwrap());
    assert!(behind.is_sorted_by(|a, b| a > b));
    let behind = root.get(&format!("/audit/?before={next}&size=1")).await;
    assert_eq!(behind.expect(200)["audit"].as_array().unwrap().len(), 1);

    let users = walk(&root, "/user/?", "users", "user_id").await;
    assert_eq!(users.len(), 4);
    let some = walk(&root, "/user/?q=user&", "users", "user_id").await;
    assert_eq!(some.len(), 3);
    for path in ["/user/", "/audit/", "/jobs/"] {
        for wrong in ["x", "0", "-1", "1e3", "99999999999999999999"] {
            root.get(&format!("{path}?before={wrong}"))
                .await
                .problem("query_invalid");
        }
    }
    assert_eq!(walk(&root, "/jobs/?", "jobs", "job_id").await, [0; 0]);
}

async fn a_user_is_deactivated_at_once(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let session = app.login("ann").await;
    ann.get("/user/me").await.expect(200);
    let path = format!("/user/{}", ann.user_id);
    let changed = root
        .patch(&path, json!({ "is_active": false }))
        .await
        .expect(200);
    assert_eq!(changed["userinfo"]["is_active"], false);
    ann.get("/user/me").await.problem("session_ended");
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    app.anonymous()
        .post("/user/refresh", refresh.clone())
        .await
        .problem("invalid_token");
    let login = json!({ "account": "ann@example.org", "password": PASSWORD });
    app.anonymous()
        .post("/user/login", login.clone())
        .await
        .problem("invalid_credentials");
    // Active again, the old sessions are still over.
    root.patch(&path, json!({ "is_active": true }))
        .await
        .expect(200);
    app.anonymous()
        .post("/user/refresh", refresh)
        .await
        .problem("invalid_token");
    ann.get("/user/me").await.problem("session_ended");
    app.anonymous().post("/user/login", login).await.expect(200);
}

async fn all_sessions_of_a_user_are_ended(app: TestApp) {
    let ann = app.user("ann").await;
    let other = app.client_of(&app.login("ann").await);
    app.admin("root").await;
    let (root, elsewhere) = (
        app.client_of(&app.login("root").await),
        app.client_of(&app.login("root").await),
    );
    let path = format!("/user/{}/sessions", ann.user_id);
    root.delete(&path).await.expect_empty(204);
    for client in [&ann, &other] {
        client.get("/user/me").await.problem("session_ended");
    }
    let account = root.get(&format!("/user/{}/account", ann.user_id)).await;
    assert_eq!(account.expect(200)["userinfo"]["sessions"], json!([]));
    let audit = root.get(&format!("/audit/?user={}", ann.user_id)).await;
    let newest = audit.expect(200)["audit"][0].clone();
    assert_eq!(newest["action"], "session_ended");
    assert_eq!(newest["actor_id"], root.user_id);
    // Who has none any more may log in again.
    app.login("ann").await;
    // Of one's own the one stays that it is asked with.
    let own = format!("/user/{}/sessions", root.user_id);
    root.delete(&own).await.expect_empty(204);
    root.get("/user/me").await.expect(200);
    elsewhere.get("/user/me").await.problem("session_ended");
    root.delete("/user/999/sessions")
        .await
        .problem("user_not_found");
}

async fn a_role_counts_from_the_next_request_on(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let answer = ann.get("/user").await;
    answer.expect(403);
    answer.problem("admins_only");
    let path = format!("/user/{}", ann.user_id);
    root.patch(&path, json!({ "role": "admin" }))
        .await
        .expect(200);
    ann.get("/user").await.expect(200);
    root.patch(&path, json!({ "role": "user", "name": "Ann the Former" }))
        .await
        .expect(200);
    ann.get("/user").await.problem("admins_only");
    assert_eq!(
        ann.get("/user/me").await.expect(200)["userinfo"]["name"],
        "Ann the Former"
    );
}

async fn the_last_active_admin_stays(app: TestApp) {
    let root = app.admin("root").await;
    let second = app.admin("second").await;
    let path = format!("/user/{}", second.user_id);
    root.patch(&path, json!({ "is_active": false }))
        .await
        .expect(200);
    let own = format!("/user/{}", root.user_id);
    for body in [
        json!({ "role": "user" }),
        json!({ "is_active": false }),
        json!({ "role": "user", "name": "x" }),
    ] {
        let answer = root.patch(&own, body).await;
        answer.expect(409);
        answer.problem("last_admin");
    }
    root.delete(&own).await.problem("last_admin");
    let confirm = json!({ "current_password": PASSWORD });
    let answer = root
        .call(actix_web::http::Method::DELETE, "/user/me", confirm)
        .await;
    answer.problem("last_admin");
    root.get("/user").await.expect(200);
    assert_eq!(
        root.get("/user/me").await.expect(200)["userinfo"]["name"],
        "root"
    );
    root.patch(
        &own,
        json!({ "name": "Root", "role": "admin", "is_active": true }),
    )
    .await
    .expect(200);
}

async fn admins_who_demote_each_other_at_once_leave_one(app: TestApp) {
    for round in 0..5 {
        let one = app.admin(&format!("one{round}")).await;
        let two = app.admin(&format!("two{round}")).await;
        // Those of earlier rounds are out of the way.
        let page = one.get("/user?size=100").await.expect(200);
        for user in page["users"].as_array().unwrap() {
            let id = user["user_id"].as_i64().unwrap();
            if ![one.user_id, two.user_id].contains(&id) {
                one.patch(&format!("/user/{id}"), json!({ "role": "user" }))
                    .await
                    .expect(200);
            }
        }
        let (path_one, path_two) = (
            format!("/user/{}", one.user_id),
            format!("/user/{}", two.user_id),
        );
        let (a, b) = join(
            one.patch(&path_two, json!({ "role": "user" })),
            two.patch(&path_one, json!({ "role": "user" })),
        )
        .await;
        let done = [&a, &b]
            .iter()
            .filter(|answer| answer.status.as_u16() == 200)
            .count();
        assert_eq!(done, 1, "{} {}", a.text(), b.text());
    }
}

async fn a_rename_never_brings_back_who_is_deactivated(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let path = format!("/user/{}", ann.user_id);
    for round in 0..100 {
        root.patch(&path, json!({ "is_active": true, "role": "admin" }))
            .await
            .expect(200);
        let name = format!("Ann {round}");
        let (renamed, deactivated, demoted) = futures_util::future::join3(
            root.patch(&path, json!({ "name": name })),
            root.patch(&path, json!({ "is_active": false })),
            root.patch(&path, json!({ "role": "user" })),
        )
        .await;
        for answer in [renamed, deactivated, demoted] {
            answer.expect(200);
        }
        let id = ann.user_id;
        let row: (bool, String, String) = app.database.with(move |conn| {
            let columns = (user::is_active, user::role, user::name);
            user::table.find(id).select(columns).first(conn).unwrap()
        });
        assert_eq!(row, (false, "user".to_owned(), name), "round {round}");
    }
}

/// SQLite has one writer, which nobody can hold up for one row.
async fn what_takes_no_admin_away_waits_for_no_row_of_others(app: TestApp) {
    if app.database.backend == Backend::Sqlite {
        return;
    }
    let root = app.admin("root").await;
    let (ann, bob, eve) = (
        app.user("ann").await,
        app.admin("bob").await,
        app.user("eve").await,
    );
    // Somebody holds the rows of two who have nothing to do with it.
    let url = DatabaseUrl::parse(&app.database.url()).unwrap();
    let (eve_id, root_id) = (eve.user_id, root.user_id);
    let (told, is_held) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let mut conn = connection::open(&url).unwrap();
        conn.transaction(|conn| {
            dialect::lock_user(conn, eve_id)?;
            dialect::lock_user(conn, root_id)?;
            told.send(()).unwrap();
            released.recv().unwrap();
            QueryResult::Ok(())
        })
        .unwrap();
    });
    is_held.await.unwrap();
    let path = |id: i64| format!("/user/{id}");
    root.patch(&path(ann.user_id), json!({ "is_active": false }))
        .await
        .expect(200);
    root.delete(&path(ann.user_id)).await.expect_empty(204);
    root.patch(&path(bob.user_id), json!({ "role": "user" }))
        .await
        .expect(200);
    release.send(()).unwrap();
    holder.join().unwrap();
}

/// A cluster tells two transactions apart by the rows that both change: at two nodes, locks
/// alone would let both through.
async fn who_takes_an_admin_away_writes_the_one_row_of_all(app: TestApp) {
    let root = app.admin("root").await;
    let changes = || -> i64 {
        app.database.with(|conn| {
            installation::table
                .select(installation::admin_changes)
                .first(conn)
                .unwrap()
        })
    };
    let mut before = changes();
    let mut grew = || {
        let after = changes();
        let grew = after - before;
        before = after;
        grew
    };
    let path = |client: &Client<'_>| format!("/user/{}", client.user_id);
    let ann = app.user("ann").await;
    for body in [
        json!({ "is_active": false }),
        json!({ "role": "user", "name": "Ann" }),
    ] {
        root.patch(&path(&ann), body).await.expect(200);
    }
    root.delete(&path(&ann)).await.expect_empty(204);
    assert_eq!(grew(), 0);
    let (one, two, three) = (
        app.admin("one").await,
        app.admin("two").await,
        app.admin("three").await,
    );
    root.patch(&path(&one), json!({ "role": "user" }))
        .await
        .expect(200);
    assert_eq!(grew(), 1);
    root.patch(&path(&two), json!({ "is_active": false }))
        .await
        .expect(200);
    assert_eq!(grew(), 1);
    // Not an active admin any more.
    root.delete(&path(&two)).await.expect_empty(204);
    assert_eq!(grew(), 0);
    root.delete(&path(&three)).await.expect_empty(204);
    assert_eq!(grew(), 1);
    root.delete(&path(&root)).await.problem("last_admin");
}

async fn a_user_is_deleted_with_their_posts(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let id = ann.publish("x", "y").await;
    let path = format!("/user/{}", ann.user_id);
    assert_eq!(root.delete(&path).await.status.as_u16(), 204);
    ann.get("/user/me").await.problem("session_ended");
    app.anonymous()
        .get(&format!("/post/{id}"))
        .await
        .problem("post_not_found");
    root.delete(&path).await.problem("user_not_found");
    root.patch(&path, json!({ "name": "x" }))
        .await
        .problem("user_not_found");
}

async fn admins_edit_any_post(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let id = ann.publish("x", "y").await;
    let path = format!("/post/{id}");
    let changed = root
        .patch(&path, json!({ "title": "Better" }))
        .await
        .expect(200);
    assert_eq!(
        (&changed["post"]["post_title"], &changed["post"]["author"]),
        (&json!("Better"), &json!("ann"))
    );
    assert_eq!(root.delete(&path).await.status.as_u16(), 204);
    app.anonymous().get(&path).await.problem("post_not_found");
}

async fn bad_changes_are_refused(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let path = format!("/user/{}", ann.user_id);
    let body =
        json!({ "role": "root", "is_active": "no", "name": null, "email": "x", "password": "y" });
    root.patch(&path, body).await.faults(&[
        ("/role", "role_invalid"),
        ("/is_active", "field_mistyped"),
        ("/name", "field_not_clearable"),
        ("/email", "field_unknown"),
        ("/password", "field_unknown"),
    ]);
    root.patch("/user/0", json!({}))
        .await
        .problem("path_invalid");
    // A bad token beats a bad path and a bad body.
    app.anonymous()
        .patch("/user/0", json!({ "x": 1 }))
        .await
        .problem("token_missing");
    ann.patch("/user/0", json!({ "x": 1 }))
        .await
        .problem("admins_only");
}

async fn everything_leaves_a_trace(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let wrong = json!({ "account": "ann@example.org", "password": "wrong, and secret" });
    let request = actix_web::test::TestRequest::post()
        .uri("/user/login")
        .insert_header(("X-Request-Id", "req-77"))
        .peer_addr("192.0.2.7:1".parse().unwrap())
        .set_json(wrong);
    app.send(request).await.expect(401);
    app.login("ann").await;
    let unknown = json!({ "account": "nobody@example.org", "password": "x" });
    app.anonymous()
        .post("/user/login", unknown)
        .await
        .expect(401);
    let path = format!("/user/{}", ann.user_id);
    root.patch(&path, json!({ "role": "admin" }))
        .await
        .expect(200);
    root.patch(&path, json!({ "role": "user", "is_active": false }))
        .await
        .expect(200);
    let all = root
        .get(&format!("/audit/?user={}&size=100", ann.user_id))
        .await;
    let page = all.expect(200);
    let rows = page["audit"].as_array().unwrap();
    let actions: Vec<&str> = rows
        .iter()
        .rev()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "registered",
            "login_refused",
            "logged_in",
            "role_changed",
            "role_changed",
            "deactivated"
        ]
    );
    let refused = &rows[4];
    assert_eq!(refused["request_id"], "req-77");
    assert_eq!(refused["ip"], "192.0.2.7");
    assert_eq!(refused["actor_id"], Value::Null);
    assert_eq!(rows[0]["actor_id"], root.user_id);
    assert_eq!(rows[1]["detail"], "admin to user");
    assert!(!all.text().contains("secret") && !all.text().contains('@'));
    let everything = root.get("/audit/").await.expect(200);
    assert!(everything["pagination"]["count"].as_u64().unwrap() > rows.len() as u64);
    let nobody = root.get("/audit?user=x").await.expect(200);
    assert_eq!(nobody["pagination"]["count"], 0);
    let refused = join_all((0..3).map(|_| app.anonymous_get("/audit"))).await;
    assert!(refused.iter().all(|answer| answer.status.as_u16() == 401));
}

impl TestApp {
    async fn anonymous_get(&self, path: &str) -> crate::harness::Answer {
        self.anonymous().get(path).await
    }
}
