//! Registration, login, profiles.

use actix_web::http::Method;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::user;
use serde_json::json;

use crate::harness::{PASSWORD, TestApp, on_both_databases};

on_both_databases![
    who_registers_is_logged_in,
    optional_identifiers_are_kept_as_written,
    null_is_absence_of_an_optional_field,
    every_identifier_is_unique_in_its_canonical_form,
    a_hundred_who_register_one_address_are_one_user,
    any_identifier_logs_in_under_any_name_of_the_field,
    refusals_of_a_login_are_all_the_same,
    refused_logins_cost_the_same_work,
    refused_logins_cost_the_same_whatever_the_record_costs,
    a_login_rehashes_a_record_of_another_cost,
    a_hash_made_elsewhere_logs_in,
    the_public_view_tells_no_secrets,
    the_token_of_a_user_who_is_gone_is_refused,
    roles_and_flags_cannot_be_given_at_registration,
];

async fn who_registers_is_logged_in(app: TestApp) {
    let answer = app
        .anonymous()
        .post(
            "/user/reg",
            json!({ "email": "Ann@Example.org", "name": "  Ann  ", "password": PASSWORD }),
        )
        .await;
    let body = answer.expect(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        answer.header("location"),
        format!("/user/{}", body["userinfo"]["user_id"])
    );
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    let info = &body["userinfo"];
    assert_eq!(info["name"], "Ann");
    assert_eq!(info["email"], "Ann@Example.org");
    assert_eq!(info["username"], json!(null));
    assert_eq!(info["role"], "user");
    assert_eq!(info["email_verified"], false);
    assert!(info["created"].as_str().unwrap().ends_with('Z'));

    let mut client = app.anonymous();
    client.token = Some(body["token"].as_str().unwrap().to_owned());
    let me = client.get("/user/me").await;
    assert_eq!(me.expect(200)["userinfo"], *info);
    assert_eq!(me.header("cache-control"), "no-store");
}

async fn optional_identifiers_are_kept_as_written(app: TestApp) {
    let body = app
        .anonymous()
        .post(
            "/user/reg",
            json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD,
                    "username": "Ann-Smith", "mobile": "+31612345678" }),
        )
        .await
        .expect(201);
    assert_eq!(body["userinfo"]["username"], "Ann-Smith");
    assert_eq!(body["userinfo"]["mobile"], "+31612345678");
}

async fn null_is_absence_of_an_optional_field(app: TestApp) {
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD,
                       "username": null, "mobile": null });
    app.anonymous().post("/user/reg", body).await.expect(201);
    let body = json!({ "email": null, "name": "Ann", "password": PASSWORD });
    app.anonymous()
        .post("/user/reg", body)
        .await
        .faults(&[("/email", "field_mistyped")]);
}

async fn every_identifier_is_unique_in_its_canonical_form(app: TestApp) {
    let register = async |email: &str, username: &str, mobile: &str| {
        app.anonymous()
            .send_loosely(
                "/user/reg",
                json!({ "email": email, "name": "Ann", "password": PASSWORD,
                        "username": username, "mobile": mobile }),
            )
            .await
    };
    register("ann@example.org", "ann-smith", "+31612345678")
        .await
        .expect(201);
    for email in [
        "ANN@example.org",
        " ann@Example.org ",
        "ａｎｎ＠ｅｘａｍｐｌｅ．ｏｒｇ",
    ] {
        let answer = register(email, "other-one", "+31612345679").await;
        answer.expect(409);
        answer.problem("email_taken");
    }
    let answer = register("bob@example.org", "Ann-SMITH", "+31612345679").await;
    answer.expect(409);
    answer.problem("username_taken");
    let answer = register("bob@example.org", "bob-smith", "00 31 (6) 1234-5678").await;
    answer.expect(409);
    answer.problem("mobile_taken");
    // All at once, by pointer.
    let answer = register("Ann@example.org", "ANN-smith", "+31612345678").await;
    answer.expect(409);
    let errors = answer.problem("email_taken")["errors"].clone();
    let error = |field: &str| {
        json!({ "pointer": format!("/{field}"), "code": format!("{field}_taken"),
                "detail": "is taken" })
    };
    assert_eq!(
        errors,
        json!([error("email"), error("username"), error("mobile")])
    );
    let answer = register("bob@example.org", "ann-smith", "+31612345678").await;
    let errors = answer.problem("username_taken")["errors"].clone();
    assert_eq!(errors, json!([error("username"), error("mobile")]));
    register("bob@example.org", "bob-smith", "+31612345679")
        .await
        .expect(201);
}

async fn a_hundred_who_register_one_address_are_one_user(app: TestApp) {
    let anonymous = app.anonymous();
    let answers = join_all((0..100).map(|n| {
        let email = if n % 2 == 0 {
            "ann@example.org"
        } else {
            " ANN@example.ORG "
        };
        anonymous.send_loosely(
            "/user/reg",
            json!({ "email": email, "name": format!("Ann {n}"), "password": PASSWORD }),
        )
    }))
    .await;
    let count = |status: u16| {
        answers
            .iter()
            .filter(|a| a.status.as_u16() == status)
            .count()
    };
    assert_eq!((count(201), count(409)), (1, 99));
    let rows: i64 = app
        .database
        .with(|conn| user::table.count().get_result(conn).unwrap());
    assert_eq!(rows, 1);
}

async fn any_identifier_logs_in_under_any_name_of_the_field(app: TestApp) {
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD,
                       "username": "ann-smith", "mobile": "+31612345678" });
    app.anonymous().post("/user/reg", body).await.expect(201);
    for name in ["account", "email", "username", "mobile"] {
        for account in [" Ann@example.ORG", "ANN-smith", "0031 6 12345678"] {
            let answer = app
                .anonymous()
                .post(
                    "/user/login",
                    json!({ name: account, "password": PASSWORD }),
                )
                .await;
            let body = answer.expect(200);
            assert_eq!(body["userinfo"]["username"], "ann-smith");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}

async fn refusals_of_a_login_are_all_the_same(app: TestApp) {
    app.user("ann").await;
    let dora = app.user("dora").await;
    deactivate(&app, dora.user_id);
    let mut bodies = Vec::new();
    for (account, password) in [
        ("ann@example.org", "not the password"),
        ("nobody@example.org", PASSWORD),
        ("dora@example.org", PASSWORD),
        ("?", PASSWORD),
        ("ann", PASSWORD),
        ("ann@example.org", &"x".repeat(5000)),
    ] {
        let answer = app
            .anonymous()
            .post(
                "/user/login",
                json!({ "account": account, "password": password }),
            )
            .await;
        let mut body = answer.expect(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"inkpot\"");
        body["request_id"] = json!("");
        bodies.push(body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

async fn refused_logins_cost_the_same_work(app: TestApp) {
    app.user("ann").await;
    let dora = app.user("dora").await;
    deactivate(&app, dora.user_id);
    for (account, password) in [
        ("ann@example.org", "not the password"),
        ("nobody@example.org", PASSWORD),
        ("dora@example.org", PASSWORD),
        ("?", PASSWORD),
    ] {
        let before = (
            app.state.accounts.directory.hasher.done(),
            app.state.db.units(),
        );
        app.anonymous()
            .post(
                "/user/login",
                json!({ "account": account, "password": password }),
            )
            .await
            .expect(401);
        let after = (
            app.state.accounts.directory.hasher.done(),
            app.state.db.units(),
        );
        // A comparison; a read of the account and a row of the audit.
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (1, 2),
            "{account}"
        );
    }
}

async fn refused_logins_cost_the_same_whatever_the_record_costs(app: TestApp) {
    let app = TestApp::start(app.database, &["--bcrypt-cost", "6"]).await;
    for (name, cost) in [("cheap", 4), ("dear", 7)] {
        let user = app.user(name).await;
        set_record(&app, user.user_id, bcrypt::hash(PASSWORD, cost).unwrap());
    }
    app.user("usual").await;
    let work = async |name: &str| {
        let before = app.state.accounts.directory.hasher.rounds();
        let account = format!("{name}@example.org");
        let body = json!({ "account": account, "password": "not the password" });
        app.anonymous().post("/user/login", body).await.expect(401);
        app.state.accounts.directory.hasher.rounds() - before
    };
    for name in ["cheap", "usual", "nobody"] {
        assert_eq!(work(name).await, 64, "{name}");
    }
    // One that costs more than new ones has all cost as much from then on.
    for name in ["dear", "cheap", "usual", "nobody"] {
        assert_eq!(work(name).await, 128, "{name}");
    }
}

async fn a_login_rehashes_a_record_of_another_cost(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.user_id;
    set_record(&app, id, bcrypt::hash(PASSWORD, 5).unwrap());
    let login = json!({ "account": "ann@example.org", "password": PASSWORD });
    app.anonymous()
        .post("/user/login", login.clone())
        .await
        .expect(200);
    let record = record(&app, id);
    assert!(record.starts_with("$2b$04$"), "{record}");
    app.anonymous().post("/user/login", login).await.expect(200);
    assert_eq!(record, self::record(&app, id), "hashed once only");
}

async fn a_hash_made_elsewhere_logs_in(app: TestApp) {
    let ann = app.user("ann").await;
    // Made by the reference implementation, for the password U*U.
    let foreign = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    set_record(&app, ann.user_id, foreign.to_owned());
    let login = json!({ "account": "ann@example.org", "password": "U*U" });
    app.anonymous().post("/user/login", login).await.expect(200);
}

async fn the_public_view_tells_no_secrets(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("One", "1").await;
    ann.publish("Two", "2").await;
    let answer = app.anonymous().get(&format!("/user/{}", ann.user_id)).await;
    let body = answer.expect(200);
    let mut names: Vec<&String> = body["user"].as_object().unwrap().keys().collect();
    names.sort();
    let public = [
        "bio",
        "created",
        "followers",
        "following",
        "image",
        "name",
        "posts",
        "user_id",
        "username",
    ];
    assert_eq!(names, public);
    assert_eq!(body["user"]["posts"], 2);
    app.anonymous()
        .get("/user/999999")
        .await
        .problem("user_not_found");
}

async fn the_token_of_a_user_who_is_gone_is_refused(app: TestApp) {
    let ann = app.user("ann").await;
    let dora = app.user("dora").await;
    deactivate(&app, dora.user_id);
    let id = ann.user_id;
    app.database.with(move |conn| {
        diesel::delete(user::table.find(id)).execute(conn).unwrap();
    });
    for client in [ann, dora] {
        let answer = client.get("/user/me").await;
        answer.expect(401);
        answer.problem("session_ended");
        let post = json!({ "title": "x", "content": "y" });
        client
            .post("/post/pub", post)
            .await
            .problem("session_ended");
    }
    assert_eq!(
        app.anonymous().get("/post/").await.expect(200)["pagination"]["count"],
        0
    );
}

async fn roles_and_flags_cannot_be_given_at_registration(app: TestApp) {
    for field in [
        "role",
        "is_active",
        "user_id",
        "email_verified",
        "password_hash",
        "created",
    ] {
        let mut body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
        body[field] = json!("admin");
        app.anonymous()
            .post("/user/reg", body)
            .await
            .faults(&[(&format!("/{field}"), "field_unknown")]);
    }
}

fn deactivate(app: &TestApp, id: i64) {
    app.database.with(move |conn| {
        diesel::update(user::table.find(id))
            .set(user::is_active.eq(false))
            .execute(conn)
            .unwrap();
    });
}

fn record(app: &TestApp, id: i64) -> String {
    app.database.with(move |conn| {
        user::table
            .find(id)
            .select(user::password)
            .first(conn)
            .unwrap()
    })
}

fn set_record(app: &TestApp, id: i64, record: String) {
    app.database.with(move |conn| {
        diesel::update(user::table.find(id))
            .set(user::password.eq(record))
            .execute(conn)
            .unwrap();
    });
}

impl crate::harness::Client<'_> {
    /// As `post`, for bodies that the server takes in more spellings than the
    /// description promises.
    async fn send_loosely(&self, path: &str, body: serde_json::Value) -> crate::harness::Answer {
        self.app()
            .send(self.request(Method::POST, path).set_json(&body))
            .await
    }
}
