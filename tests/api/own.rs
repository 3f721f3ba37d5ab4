//! What users do with their own account.

use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{audit, content, job, post, session, user};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, PASSWORD, TestApp, on_both_databases};

on_both_databases![
    a_profile_is_changed_field_by_field,
    a_new_address_needs_the_password_and_is_not_verified,
    what_does_not_change_is_no_change,
    the_audit_says_which_fields_changed,
    a_changed_number_and_a_deleted_account_are_told,
    identifiers_of_others_cannot_be_taken,
    a_hundred_who_take_one_username_are_one,
    nothing_else_of_a_profile_can_be_set,
    a_new_password_ends_every_other_session,
    a_new_password_is_judged,
    of_two_new_passwords_at_once_one_is_taken,
    who_leaves_takes_everything_along,
    an_export_has_everything_and_no_hash,
    a_post_is_edited_by_its_author_only,
];

/// One whole representation for each line of the table.
fn json_of(answer: &Answer) -> Value {
    answer.expect(200)["userinfo"].clone()
}

async fn a_profile_is_changed_field_by_field(app: TestApp) {
    let ann = app.user("ann").await;
    let before = json_of(&ann.get("/user/me").await);
    app.clock.advance(chrono::Duration::seconds(1));
    let after = json_of(
        &ann.patch("/user/me", json!({ "name": " Ann Smith " }))
            .await,
    );
    assert_eq!(after["name"], "Ann Smith");
    assert_ne!(after["updated"], before["updated"]);
    for field in ["email", "username", "mobile", "created", "role"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let after = json_of(
        &ann.patch("/user/me", json!({ "username": "Ann-Smith" }))
            .await,
    );
    assert_eq!(after["username"], "Ann-Smith");
    let login = json!({ "username": "ann-smith", "password": PASSWORD });
    app.anonymous()
        .post("/user/login", login.clone())
        .await
        .expect(200);
    let after = json_of(&ann.patch("/user/me", json!({ "username": null })).await);
    assert_eq!(after["username"], Value::Null);
    app.anonymous().post("/user/login", login).await.expect(401);
    assert_eq!(
        json_of(&ann.patch("/user/me", json!({})).await)["name"],
        "Ann Smith"
    );
    ann.patch("/user/me", json!({ "name": null, "email": null }))
        .await
        .faults(&[
            ("/name", "field_not_clearable"),
            ("/email", "field_not_clearable"),
        ]);
    ann.patch(
        "/user/me",
        json!({ "name": "", "email": "x", "username": "x", "mobile": "x" }),
    )
    .await
    .faults(&[
        ("/name", "name_empty"),
        ("/email", "email_invalid"),
        ("/username", "username_invalid"),
        ("/mobile", "mobile_invalid"),
    ]);
}

async fn a_new_address_needs_the_password_and_is_not_verified(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.user_id;
    let verify = || {
        app.database.with(move |conn| {
            diesel::update(user::table.find(id))
                .set((
                    user::email_verified.eq(true),
                    user::mobile_verified.eq(true),
                ))
                .execute(conn)
                .unwrap();
        });
    };
    verify();
    for body in [
        json!({ "email": "new@example.org" }),
        json!({ "mobile": "+31612345678" }),
    ] {
        ann.patch("/user/me", body.clone())
            .await
            .faults(&[("/current_password", "field_missing")]);
        let mut wrong = body.clone();
        wrong["current_password"] = json!("not the password");
        let answer = ann.patch("/user/me", wrong).await;
        answer.expect(403);
        answer.problem("wrong_password");
    }
    assert_eq!(
        json_of(&ann.get("/user/me").await)["email"],
        "ann@example.org"
    );
    let body = json!({ "email": "New@example.org", "current_password": PASSWORD });
    let after = json_of(&ann.patch("/user/me", body).await);
    assert_eq!(
        (&after["email"], &after["email_verified"]),
        (&json!("New@example.org"), &json!(false))
    );
    assert_eq!(after["mobile_verified"], true);
    let body = json!({ "mobile": "+31612345678", "current_password": PASSWORD });
    let after = json_of(&ann.patch("/user/me", body).await);
    assert_eq!(after["mobile_verified"], false);
    verify();
    // The same address in another spelling is still verified; as it is needs nothing.
    let body = json!({ "email": "NEW@example.org", "current_password": PASSWORD });
    assert_eq!(
        json_of(&ann.patch("/user/me", body).await)["email_verified"],
        true
    );
    let body = json!({ "email": "NEW@example.org", "mobile": "+31612345678" });
    ann.patch("/user/me", body).await.expect(200);
    ann.patch("/user/me", json!({ "mobile": null }))
        .await
        .faults(&[("/current_password", "field_missing")]);
    let login = json!({ "email": "new@example.org", "password": PASSWORD });
    app.anonymous().post("/user/login", login).await.expect(200);
}

/// How many rows the audit and the jobs have.
fn traces(app: &TestApp) -> (i64, i64) {
    app.database.with(|conn| {
        (
            audit::table.count().get_result(conn).unwrap(),
            job::table.count().get_result(conn).unwrap(),
        )
    })
}

async fn what_does_not_change_is_no_change(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let own =
        json!({ "username": "Ann-Smith", "mobile": "+31612345678", "current_password": PASSWORD });
    ann.patch("/user/me", own).await.expect(200);
    let id = ann.user_id;
    app.database.with(move |conn| {
        diesel::update(user::table.find(id))
            .set((
                user::email_verified.eq(true),
                user::mobile_verified.eq(true),
            ))
            .execute(conn)
            .unwrap();
    });
    app.work().await;
    app.anonymous()
        .get(&format!("/user/{id}"))
        .await
        .expect(200);
    app.clock.advance(chrono::Duration::seconds(1));
    let before = json_of(&ann.get("/user/me").await);
    let etag = |answer: &Answer| answer.header("etag").to_owned();
    let public = app.anonymous().get(&format!("/user/{id}")).await;
    let left = traces(&app);
    for body in [
        json!({}),
        json!({ "name": " ann " }),
        json!({ "email": "ann@example.org" }),
        json!({ "username": "Ann-Smith" }),
        json!({ "mobile": "+31612345678" }),
        json!({ "name": "ann", "email": "ann@example.org", "username": "Ann-Smith",
                "mobile": "+31612345678" }),
        json!({ "mobile": "+31612345678", "current_password": PASSWORD }),
    ] {
        let after = json_of(&ann.patch("/user/me", body.clone()).await);
        assert_eq!(after, before, "{body}");
    }
    // Another spelling of the same number, which is taken though it is not described.
    let spelled = ann
        .request(actix_web::http::Method::PATCH, "/user/me")
        .set_json(json!({ "mobile": "0031 6 12345678" }));
    assert_eq!(json_of(&app.send(spelled).await), before);
    for body in [
        json!({}),
        json!({ "name": "ann" }),
        json!({ "is_active": true, "role": "user", "name": "ann" }),
    ] {
        let after = json_of(&root.patch(&format!("/user/{id}"), body.clone()).await);
        assert_eq!(after["updated"], before["updated"], "{body}");
    }
    assert_eq!(traces(&app), left);
    let public_after = app.anonymous().get(&format!("/user/{id}")).await;
    assert_eq!(etag(&public_after), etag(&public));
    // What was taken away already stays so.
    let clear = json!({ "username": null, "mobile": null, "current_password": PASSWORD });
    let cleared = json_of(&ann.patch("/user/me", clear).await);
    let left = traces(&app);
    app.clock.advance(chrono::Duration::seconds(1));
    let again = ann.patch("/user/me", json!({ "username": null, "mobile": null }));
    assert_eq!(json_of(&again.await), cleared);
    assert_eq!(traces(&app), left);
}

async fn the_audit_says_which_fields_changed(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    for body in [
        json!({ "name": "Ann Smith" }),
        json!({ "name": "Ann Smith", "username": "ann-smith" }),
        json!({ "email": "new@example.org", "mobile": "+31612345678", "current_password": PASSWORD }),
    ] {
        ann.patch("/user/me", body).await.expect(200);
    }
    root.patch(&format!("/user/{}", ann.user_id), json!({ "name": "Ann" }))
        .await
        .expect(200);
    let page = root
        .get(&format!("/audit?user={}", ann.user_id))
        .await
        .expect(200);
    let rows = page["audit"].as_array().unwrap().iter();
    let changed = rows.filter(|row| row["action"] == "profile_changed");
    let fields: Vec<&str> = changed.map(|row| row["detail"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "email, mobile", "username", "name"]);
}

async fn a_changed_number_and_a_deleted_account_are_told(app: TestApp) {
    let root = app.admin("root").await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    for id in [ann.user_id, bob.user_id] {
        app.database.with(move |conn| {
            diesel::update(user::table.find(id))
                .set(user::email_verified.eq(true))
                .execute(conn)
                .unwrap();
        });
    }
    let told = async || {
        app.work().await;
        app.outbox().pop().map(|sent| (sent.to, sent.text))
    };
    for number in [json!("+31612345678"), json!("+31612345679"), json!(null)] {
        let before = app.outbox().len();
        let body = json!({ "mobile": number, "current_password": PASSWORD });
        ann.patch("/user/me", body).await.expect(200);
        let (to, text) = told().await.unwrap();
        assert_eq!(app.outbox().len(), before + 1);
        assert_eq!(to, "ann@example.org");
        assert!(
            text.contains("mobile number") && !text.contains("+31"),
            "{text}"
        );
    }
    let confirm = json!({ "current_password": PASSWORD });
    ann.call(actix_web::http::Method::DELETE, "/user/me", confirm)
        .await
        .expect_empty(204);
    let (to, text) = told().await.unwrap();
    assert_eq!(to, "ann@example.org");
    assert!(text.contains("was deleted"), "{text}");
    root.delete(&format!("/user/{}", bob.user_id))
        .await
        .expect_empty(204);
    let (to, _) = told().await.unwrap();
    assert_eq!(to, "bob@example.org");
}

async fn identifiers_of_others_cannot_be_taken(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    let own =
        json!({ "username": "bob-smith", "mobile": "+31612345678", "current_password": PASSWORD });
    bob.patch("/user/me", own).await.expect(200);
    for (body, code) in [
        (json!({ "username": "BOB-smith" }), "username_taken"),
        (
            json!({ "email": "BOB@example.org", "current_password": PASSWORD }),
            "email_taken",
        ),
        (
            json!({ "mobile": "+31612345678", "current_password": PASSWORD }),
            "mobile_taken",
        ),
    ] {
        // With a name beside it, which must not be changed either.
        let mut body = body;
        body["name"] = json!("Changed");
        let answer = ann.patch("/user/me", body).await;
        answer.expect(409);
        answer.problem(code);
        assert_eq!(json_of(&ann.get("/user/me").await)["name"], "ann");
    }
    // What one has oneself is no conflict, and all that others have is named.
    let body = json!({ "email": "ann@example.org", "username": "bob-smith",
                       "mobile": "+31612345678", "current_password": PASSWORD });
    let problem = ann.patch("/user/me", body).await.problem("username_taken");
    let pointers: Vec<&str> = (problem["errors"].as_array().unwrap().iter())
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/username", "/mobile"]);
}

async fn a_hundred_who_take_one_username_are_one(app: TestApp) {
    let mut all = Vec::new();
    for n in 0..20 {
        all.push(app.user(&format!("user{n}")).await);
    }
    let answers = join_all((0..100).map(|n| {
        let client: &Client<'_> = &all[n % 20];
        client.patch("/user/me", json!({ "username": "the-one" }))
    }))
    .await;
    let winners = (0..20)
        .filter(|n| {
            answers
                .iter()
                .skip(*n)
                .step_by(20)
                .any(|a| a.status.is_success())
        })
        .count();
    assert_eq!(winners, 1);
    assert!(
        answers
            .iter()
            .all(|a| [200, 409].contains(&a.status.as_u16()))
    );
    let rows: i64 = app.database.with(|conn| {
        user::table
            .filter(user::username_key.eq("the-one"))
            .count()
            .get_result(conn)
            .unwrap()
    });
    assert_eq!(rows, 1);
}

async fn nothing_else_of_a_profile_can_be_set(app: TestApp) {
    let ann = app.user("ann").await;
    for field in [
        "role",
        "is_active",
        "user_id",
        "email_verified",
        "mobile_verified",
        "created",
        "password",
    ] {
        let pointer = format!("/{field}");
        for (path, patch) in [("/user/me", true), ("/user/me/password", false)] {
            let mut body = if patch {
                json!({ "name": "Ann" })
            } else {
                json!({ "current_password": PASSWORD, "new_password": "another horse, another staple" })
            };
            body[field] = json!("admin");
            let answer = if patch {
                ann.patch(path, body).await
            } else {
                ann.put(path, body).await
            };
            answer.faults(&[(&pointer, "field_unknown")]);
        }
    }
    assert_eq!(json_of(&ann.get("/user/me").await)["role"], "user");
}

async fn a_new_password_ends_every_other_session(app: TestApp) {
    let ann = app.user("ann").await;
    let other = app.login("ann").await;
    let stolen = app.client_of(&other);
    stolen.get("/user/me").await.expect(200);
    let new = "another horse, another staple";
    let body = json!({ "current_password": "wrong", "new_password": new });
    ann.put("/user/me/password", body)
        .await
        .problem("wrong_password");
    let body = json!({ "current_password": PASSWORD, "new_password": new });
    assert_eq!(
        ann.put("/user/me/password", body).await.status.as_u16(),
        204
    );
    stolen.get("/user/me").await.problem("session_ended");
    let answer = app
        .anonymous()
        .post(
            "/user/refresh",
            json!({ "refresh_token": other["refresh_token"] }),
        )
        .await;
    answer.problem("invalid_token");
    ann.get("/user/me").await.expect(200);
    let login = |password: &str| json!({ "account": "ann@example.org", "password": password });
    app.anonymous()
        .post("/user/login", login(PASSWORD))
        .await
        .expect(401);
    app.anonymous()
        .post("/user/login", login(new))
        .await
        .expect(200);
}

async fn a_new_password_is_judged(app: TestApp) {
    let ann = app.user("annabella").await;
    for (new, code) in [
        ("short", "password_too_short"),
        ("password1", "password_common"),
        ("8273645172", "password_all_digits"),
        ("annabella1", "password_similar"),
    ] {
        let body = json!({ "current_password": PASSWORD, "new_password": new });
        ann.put("/user/me/password", body)
            .await
            .faults(&[("/new_password", code)]);
    }
    ann.put("/user/me/password", json!({})).await.faults(&[
        ("/current_password", "field_missing"),
        ("/new_password", "field_missing"),
    ]);
}

async fn of_two_new_passwords_at_once_one_is_taken(app: TestApp) {
    let ann = app.user("ann").await;
    let answers = join_all((0..10).map(|n| {
        let new = format!("another horse, staple number {n}");
        ann.put(
            "/user/me/password",
            json!({ "current_password": PASSWORD, "new_password": new }),
        )
    }))
    .await;
    let done = answers.iter().filter(|a| a.status.as_u16() == 204).count();
    let refused = answers.iter().filter(|a| a.status.as_u16() == 403).count();
    assert_eq!((done, refused), (1, 9));
}

async fn who_leaves_takes_everything_along(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    let id = ann.publish("Ann's", "x").await;
    bob.publish("Bob's", "y").await;
    let other = app.client_of(&app.login("ann").await);
    other.get("/user/me").await.expect(200);
    let confirm = |password: &str| json!({ "current_password": password });
    let delete = async |client: &Client<'_>, password: &str| {
        client
            .call(
                actix_web::http::Method::DELETE,
                "/user/me",
                confirm(password),
            )
            .await
    };
    delete(&ann, "wrong").await.problem("wrong_password");
    ann.get("/user/me").await.expect(200);
    assert_eq!(delete(&ann, PASSWORD).await.status.as_u16(), 204);
    for client in [&ann, &other] {
        client.get("/user/me").await.problem("session_ended");
    }
    app.anonymous()
        .get(&format!("/post/{id}"))
        .await
        .problem("post_not_found");
    app.anonymous()
        .get(&format!("/user/{}", ann.user_id))
        .await
        .problem("user_not_found");
    let rows = app.database.with(|conn| -> [i64; 4] {
        [
            user::table.count().get_result(conn).unwrap(),
            post::table.count().get_result(conn).unwrap(),
            content::table.count().get_result(conn).unwrap(),
            session::table.count().get_result(conn).unwrap(),
        ]
    });
    assert_eq!(rows, [1, 1, 1, 1], "Bob's");
    // The address is free again.
    app.user("ann").await;
}

async fn an_export_has_everything_and_no_hash(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    bob.publish("Bob's", "not Ann's").await;
    for n in 0..40 {
        ann.publish(&format!("Post {n}"), &format!("content \"{n}\"\n"))
            .await;
    }
    app.login("ann").await;
    let answer = ann.get("/user/me/export").await;
    let export = answer.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(export["userinfo"], json_of(&ann.get("/user/me").await));
    assert_eq!(export["sessions"].as_array().unwrap().len(), 2);
    let posts = export["posts"].as_array().unwrap();
    assert_eq!(posts.len(), 40);
    assert_eq!(posts[39]["post_content"], "content \"39\"\n");
    let actions: Vec<&str> = export["audit"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["registered", "logged_in"]);
    assert!(!answer.text().contains("$2b$") && !answer.text().contains("not Ann's"));
    // Somebody who has nothing yet.
    let empty = app
        .user("cat")
        .await
        .get("/user/me/export")
        .await
        .expect(200);
    assert_eq!(empty["posts"], json!([]));
}

async fn a_post_is_edited_by_its_author_only(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    let id = ann.publish("Title", "Content").await;
    let path = format!("/post/{id}");
    let before = app.anonymous().get(&path).await.expect(200);
    for body in [json!({ "title": "Stolen" }), json!({})] {
        let answer = bob.patch(&path, body).await;
        answer.expect(403);
        answer.problem("not_your_post");
    }
    bob.delete(&path).await.problem("not_your_post");
    app.anonymous().delete(&path).await.problem("token_missing");
    assert_eq!(app.anonymous().get(&path).await.expect(200), before);

    app.clock.advance(chrono::Duration::seconds(1));
    let answer = ann.patch(&path, json!({ "content": "Changed\r\n" })).await;
    let after = answer.expect(200);
    assert_eq!(after["post"]["post_content"], "Changed\r\n");
    assert_eq!(after["post"]["post_title"], "Title");
    assert_eq!(after["post"]["date"], before["post"]["date"]);
    assert_ne!(after["post"]["updated"], before["post"]["updated"]);
    let read = app.anonymous().get(&path).await;
    assert_eq!(read.expect(200), after);
    assert_eq!(read.header("etag"), answer.header("etag"));
    ann.patch(&path, json!({ "title": null, "content": "" }))
        .await
        .faults(&[
            ("/title", "field_not_clearable"),
            ("/content", "content_empty"),
        ]);
    assert_eq!(ann.delete(&path).await.status.as_u16(), 204);
    app.anonymous().get(&path).await.problem("post_not_found");
    ann.delete(&path).await.problem("post_not_found");
    ann.patch(&path, json!({ "title": "x" }))
        .await
        .problem("post_not_found");
}
