//! Bodies that do not fit: every fault at once, each with its pointer.

use actix_web::http::Method;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestApp, on_both_databases};

on_both_databases![
    all_bad_fields_are_told_at_once,
    each_rule_of_a_registration_has_its_code,
    a_login_names_exactly_one_account,
    each_rule_of_a_post_has_its_code,
    bodies_that_are_not_json_say_where,
    a_byte_order_mark_is_passed_over,
    bodies_that_are_no_object_are_told,
    names_are_taken_as_they_are,
    a_field_given_twice_is_refused,
    a_body_of_a_million_members_is_cheap,
    deep_nesting_is_refused,
    other_media_types_are_refused,
    bodies_that_are_too_long_are_refused,
];

async fn raw(app: &TestApp, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = app
        .anonymous()
        .request(Method::POST, path)
        .insert_header(("content-type", "application/json"))
        .set_payload(body.into());
    app.send(request).await
}

async fn all_bad_fields_are_told_at_once(app: TestApp) {
    let body = json!({ "email": "nobody", "name": "", "password": 7, "username": "x",
                       "mobile": "abc", "colour": "red", "role": "admin" });
    let answer = app.anonymous().post("/user/reg", body).await;
    assert_eq!(answer.status.as_u16(), 422);
    answer.faults(&[
        ("/colour", "field_unknown"),
        ("/email", "email_invalid"),
        ("/mobile", "mobile_invalid"),
        ("/name", "name_empty"),
        ("/password", "field_mistyped"),
        ("/role", "field_unknown"),
        ("/username", "username_invalid"),
    ]);
    app.anonymous().post("/user/reg", json!({})).await.faults(&[
        ("/email", "field_missing"),
        ("/name", "field_missing"),
        ("/password", "field_missing"),
    ]);
    // Similarity is judged by fields that are bad themselves, too.
    let body = json!({ "email": "nobody", "name": "Bartholomew", "password": "bartholomew1" });
    app.anonymous().post("/user/reg", body).await.faults(&[
        ("/email", "email_invalid"),
        ("/password", "password_similar"),
    ]);
}

async fn each_rule_of_a_registration_has_its_code(app: TestApp) {
    let good = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD,
                       "username": "ann-smith", "mobile": "+31612345678" });
    for (field, value, code) in [
        ("email", json!(""), "email_invalid"),
        ("email", json!("ann"), "email_invalid"),
        ("email", json!("ann@localhost"), "email_invalid"),
        (
            "email",
            json!(format!("{}@example.org", "a".repeat(300))),
            "email_invalid",
        ),
        ("email", json!(["ann@example.org"]), "field_mistyped"),
        ("name", json!("   "), "name_empty"),
        ("name", json!("x".repeat(65)), "name_too_long"),
        ("name", json!({ "first": "Ann" }), "field_mistyped"),
        ("username", json!("a"), "username_invalid"),
        ("username", json!("12345"), "username_invalid"),
        ("username", json!("ann@example.org"), "username_invalid"),
        ("username", json!(false), "field_mistyped"),
        ("mobile", json!("0612345678"), "mobile_invalid"),
        ("mobile", json!(31_612_345_678_i64), "field_mistyped"),
        ("password", json!("short"), "password_too_short"),
        ("password", json!("kq7-".repeat(300)), "password_too_long"),
        ("password", json!("8273645172"), "password_all_digits"),
        ("password", json!("password1"), "password_common"),
        ("password", json!("ann-smith1"), "password_similar"),
        ("password", json!("ann@example.org"), "password_similar"),
        ("password", json!(1.5), "field_mistyped"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let pointer = format!("/{field}");
        app.anonymous()
            .post("/user/reg", body)
            .await
            .faults(&[(&pointer, code)]);
    }
    let mut body = good.clone();
    body["name"] = json!("é".repeat(64));
    app.anonymous().post("/user/reg", body).await.expect(201);
}

async fn a_login_names_exactly_one_account(app: TestApp) {
    app.anonymous()
        .post("/user/login", json!({}))
        .await
        .faults(&[
            ("/account", "field_missing"),
            ("/password", "field_missing"),
        ]);
    let body = json!({ "account": "ann@example.org", "email": "ann@example.org", "password": "x" });
    app.anonymous()
        .post("/user/login", body)
        .await
        .faults(&[("/account", "field_conflict"), ("/email", "field_conflict")]);
    let body = json!({ "mobile": 31_612_345_678_i64, "password": null });
    app.anonymous().post("/user/login", body).await.faults(&[
        ("/mobile", "field_mistyped"),
        ("/password", "field_mistyped"),
    ]);
}

async fn each_rule_of_a_post_has_its_code(app: TestApp) {
    let ann = app.user("ann").await;
    for (title, content, faults) in [
        (
            json!(""),
            json!(""),
            vec![("/title", "title_empty"), ("/content", "content_empty")],
        ),
        (
            json!(" \u{3000}"),
            json!(" "),
            vec![("/title", "title_empty")],
        ),
        (
            json!("é".repeat(257)),
            json!("x"),
            vec![("/title", "title_too_long")],
        ),
        (
            json!(1),
            json!([]),
            vec![("/title", "field_mistyped"), ("/content", "field_mistyped")],
        ),
        (
            json!(null),
            json!(null),
            vec![("/title", "field_mistyped"), ("/content", "field_mistyped")],
        ),
    ] {
        let body = json!({ "title": title, "content": content });
        ann.post("/post", body).await.faults(&faults);
    }
    ann.publish(&"é".repeat(256), "x").await;
    for field in [
        "post_id",
        "author_id",
        "user_id",
        "updated",
        "author",
        "contents",
    ] {
        let mut body = json!({ "title": "x", "content": "y" });
        body[field] = json!(1);
        let pointer = format!("/{field}");
        ann.post("/post", body)
            .await
            .faults(&[(&pointer, "field_unknown")]);
    }
}

async fn bodies_that_are_not_json_say_where(app: TestApp) {
    for (body, place) in [
        (&b""[..], "line 1 column 0"),
        (b"{", "line 1 column 1"),
        (b"{\n \"email\": x}", "line 2 column 11"),
        (b"{\"a\":1,}", "line 1 column 8"),
        (b"{'a':1}", "line 1 column 2"),
        (b"{\"a\":01}", "line 1 column 7"),
        (b"{\"a\":NaN}", "line 1 column 6"),
        (b"{\"a\":1}{", "line 1 column 8"),
        (b"{\"a\":\"\xff\"}", "line 1 column 7"),
        (b"{\"a\":1e999}", "line 1 column 10"),
        (b"email=ann", "line 1 column 1"),
    ] {
        let answer = raw(&app, "/user/reg", body).await;
        assert_eq!(
            answer.status.as_u16(),
            400,
            "{}",
            String::from_utf8_lossy(body)
        );
        let problem = answer.problem("malformed_json");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(place),
            "{detail} for {}",
            String::from_utf8_lossy(body)
        );
    }
}

async fn a_byte_order_mark_is_passed_over(app: TestApp) {
    app.user("ann").await;
    let login = json!({ "account": "ann@example.org", "password": PASSWORD });
    let answer = raw(&app, "/user/login", format!("\u{feff}{login}")).await;
    answer.expect(200);
    // One, and before everything else.
    for body in [
        format!("\u{feff}\u{feff}{login}"),
        format!(" \u{feff}{login}"),
    ] {
        let answer = raw(&app, "/user/login", body).await;
        answer.problem("malformed_json");
    }
}

async fn bodies_that_are_no_object_are_told(app: TestApp) {
    for body in ["[]", "1", "\"text\"", "null", "true", "[{}]"] {
        raw(&app, "/user/login", body)
            .await
            .faults(&[("", "field_mistyped")]);
    }
}

async fn names_are_taken_as_they_are(app: TestApp) {
    let body = json!({ "Email": "x", "a/b~c": 1, "": 2, "account": "x", "password": "y" });
    app.anonymous().post("/user/login", body).await.faults(&[
        ("/Email", "field_unknown"),
        ("/a~1b~0c", "field_unknown"),
        ("/", "field_unknown"),
    ]);
    let body = format!(
        "{{\"{}\": 1, \"account\": \"x\", \"password\": \"y\"}}",
        "n".repeat(5000)
    );
    let problem = raw(&app, "/user/login", body)
        .await
        .problem("validation_failed");
    assert!(
        problem.to_string().len() < 600,
        "a long name is not repeated in full"
    );
}

async fn a_field_given_twice_is_refused(app: TestApp) {
    let body = r#"{"account": "a", "password": "x", "password": "y", "password": "z"}"#;
    raw(&app, "/user/login", body)
        .await
        .faults(&[("/password", "field_duplicate")]);
}

async fn a_body_of_a_million_members_is_cheap(app: TestApp) {
    let ann = app.user("ann").await;
    let members: Vec<String> = (0..400_000).map(|n| format!("\"{n}\":[]")).collect();
    let request = ann
        .request(Method::POST, "/post")
        .insert_header(("content-type", "application/json"))
        .set_payload(format!("{{{}}}", members.join(",")));
    let answer = app.send(request).await;
    answer.problem("validation_failed");
    assert!(answer.body.len() < 10_000);
}

async fn deep_nesting_is_refused(app: TestApp) {
    // Read over without recursion: no stack is deep enough for all clients.
    let body = format!(
        "{{\"account\":{}{}}}",
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    raw(&app, "/user/login", body).await.faults(&[
        ("/account", "field_mistyped"),
        ("/password", "field_missing"),
    ]);
    let body = format!("{{\"account\":{}", "{\"a\":".repeat(10_000));
    raw(&app, "/user/login", body)
        .await
        .problem("malformed_json");
    let body = "[".repeat(60_000);
    raw(&app, "/user/login", body)
        .await
        .faults(&[("", "field_mistyped")]);
}

async fn other_media_types_are_refused(app: TestApp) {
    let body = json!({ "account": "a", "password": "b" }).to_string();
    let send = async |headers: &[(&str, &str)]| {
        let mut request = app.anonymous().request(Method::POST, "/user/login");
        for header in headers {
            request = request.append_header(*header);
        }
        app.send(request.set_payload(body.clone())).await
    };
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/jsonx",
        "application/ld+json",
        "json",
        "",
        "*/*",
        "application/json, text/plain",
    ] {
        let answer = send(&[("content-type", kind)]).await;
        answer.expect(415);
        answer.problem("unsupported_media_type");
    }
    send(&[]).await.problem("unsupported_media_type");
    for coding in ["gzip", "br", "deflate", "x"] {
        send(&[
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ])
        .await
        .problem("unsupported_media_type");
    }
    for kind in [
        "application/json",
        "Application/JSON",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
    ] {
        send(&[("content-type", kind)])
            .await
            .problem("invalid_credentials");
    }
}

async fn bodies_that_are_too_long_are_refused(app: TestApp) {
    let body = json!({ "account": "a".repeat(70_000), "password": "b" });
    let answer = app.anonymous().post("/user/login", body).await;
    answer.expect(413);
    answer.problem("body_too_large");
    let body = json!({ "account": "a".repeat(60_000), "password": "b" });
    app.anonymous().post("/user/login", body).await.expect(401);
}
