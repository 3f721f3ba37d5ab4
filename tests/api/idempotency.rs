//! `Idempotency-Key`: a repeated request publishes nothing again.

use actix_web::http::Method;
use chrono::Duration;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{idempotency, post};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp, on_both_databases, posts};

on_both_databases![
    a_repeat_gets_the_same_answer_byte_for_byte,
    another_body_under_the_same_key_is_refused,
    keys_of_two_users_are_two,
    a_key_that_is_malformed_is_refused,
    a_refused_request_leaves_its_key_free,
    a_key_is_free_again_after_a_day,
    forty_at_once_are_one_post,
    forty_at_once_through_two_processes_are_one_post,
    post_and_key_are_kept_together_or_not_at_all,
    what_another_index_refuses_is_no_key_in_use,
];

async fn publish(author: &Client<'_>, key: &str, body: &Value) -> Answer {
    let request = author
        .request(Method::POST, "/post/pub")
        .insert_header(("Idempotency-Key", key))
        .set_json(body);
    author.app().send(request).await
}

fn body() -> Value {
    json!({ "title": "Once", "content": "and \u{1F600} only once\r\n", "tags": ["a", "b"] })
}

async fn a_repeat_gets_the_same_answer_byte_for_byte(app: TestApp) {
    let ann = app.user("ann").await;
    let first = publish(&ann, "key-1", &body()).await;
    first.expect(201);
    app.clock.advance(Duration::hours(23));
    let ann = app.client_of(&app.login("ann").await);
    let same = |again: &Answer| {
        assert_eq!(again.status, first.status);
        assert_eq!(again.body, first.body);
        for name in ["location", "etag", "content-type", "cache-control"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
            assert!(!first.header(name).is_empty(), "{name}");
        }
    };
    same(&publish(&ann, "key-1", &body()).await);
    // In another spelling of the same JSON, and whatever became of the post.
    let spelled = " {\"tags\":[\"A\",\"b\",\"a\"],\"content\":\"and \\ud83d\\ude00 only once\\r\\n\",\
                   \"title\":\"Once\",\"status\":\"published\"}";
    let request = ann
        .request(Method::POST, "/post")
        .insert_header(("Idempotency-Key", "key-1"))
        .insert_header(("Content-Type", "application/json"))
        .set_payload(spelled);
    same(&app.send(request).await);
    let path = first.header("location").to_owned();
    ann.patch(&path, json!({ "title": "Changed" }))
        .await
        .expect(200);
    same(&publish(&ann, "key-1", &body()).await);
    ann.delete(&path).await.expect_empty(204);
    same(&publish(&ann, "key-1", &body()).await);
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 0);
    // Without a key each request is its own, and so it is with another.
    ann.post("/post", body()).await.expect(201);
    publish(&ann, "key-2", &body()).await.expect(201);
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 2);
}

async fn another_body_under_the_same_key_is_refused(app: TestApp) {
    let ann = app.user("ann").await;
    publish(&ann, "key", &body()).await.expect(201);
    for (field, value) in [
        ("title", json!("Once ")),
        ("content", json!("and only once")),
        ("tags", json!(["b", "a"])),
        ("tags", json!(["ab"])),
        ("status", json!("draft")),
    ] {
        let mut other = body();
        other[field] = value;
        let answer = publish(&ann, "key", &other).await;
        answer.expect(422);
        answer.problem("idempotency_key_reused");
    }
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 1);
}

async fn keys_of_two_users_are_two(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let one = publish(&ann, "key", &body()).await.expect(201);
    let two = publish(&bob, "key", &body()).await.expect(201);
    assert_ne!(one["post_id"], two["post_id"]);
    // The case of a letter counts.
    let three = publish(&ann, "KEY", &body()).await.expect(201);
    assert_ne!(one["post_id"], three["post_id"]);
}

async fn a_key_that_is_malformed_is_refused(app: TestApp) {
    let ann = app.user("ann").await;
    let long = "k".repeat(256);
    for key in ["", " ", "a b", "ké", long.as_str()] {
        let answer = publish(&ann, key, &body()).await;
        answer.expect(400);
        answer.problem("idempotency_key_invalid");
    }
    let twice = ann
        .request(Method::POST, "/post")
        .append_header(("Idempotency-Key", "a"))
        .append_header(("Idempotency-Key", "a"))
        .set_json(body());
    app.send(twice).await.problem("idempotency_key_invalid");
    // The token comes first.
    publish(&app.anonymous(), "a b", &body())
        .await
        .problem("token_missing");
    for key in [&long[..255], "!~\"'\\;--"] {
        publish(&ann, key, &body()).await.expect(201);
        publish(&ann, key, &body()).await.expect(201);
    }
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 2);
}

async fn a_refused_request_leaves_its_key_free(app: TestApp) {
    let ann = app.user("ann").await;
    publish(&ann, "key", &json!({ "title": "" }))
        .await
        .expect(422);
    publish(&ann, "key", &body()).await.expect(201);
}

async fn a_key_is_free_again_after_a_day(app: TestApp) {
    let ann = app.user("ann").await;
    let first = publish(&ann, "key", &body()).await.expect(201);
    app.clock.advance(Duration::hours(24));
    let ann = app.client_of(&app.login("ann").await);
    let second = publish(&ann, "key", &json!({ "title": "x", "content": "y" })).await;
    assert_ne!(first["post_id"], second.expect(201)["post_id"]);
    let again = publish(&ann, "key", &json!({ "title": "x", "content": "y" })).await;
    assert_eq!(again.body, second.body);
}

/// Sees that of these answers one made the post and the others repeat it or say that
/// it is under way.
async fn are_one(app: &TestApp, answers: &[Answer]) {
    let (made, refused): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status == 201);
    assert!(!made.is_empty());
    for answer in &made {
        assert_eq!(answer.body, made[0].body);
    }
    for answer in refused {
        answer.expect(409);
        answer.problem("idempotency_key_in_use");
    }
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 1);
    let rows: (i64, i64) = app.database.with(|conn| {
        (
            post::table.count().get_result(conn).unwrap(),
            idempotency::table.count().get_result(conn).unwrap(),
        )
    });
    assert_eq!(rows, (1, 1));
}

async fn forty_at_once_are_one_post(app: TestApp) {
    let ann = app.user("ann").await;
    let body = body();
    let answers = join_all((0..40).map(|_| publish(&ann, "key", &body))).await;
    are_one(&app, &answers).await;
    let last = publish(&ann, "key", &body).await;
    last.expect(201);
}

async fn forty_at_once_through_two_processes_are_one_post(app: TestApp) {
    let second = app.second(&[]).await;
    let ann = app.user("ann").await;
    let mut there = second.anonymous();
    there.token.clone_from(&ann.token);
    let body = body();
    let clients = [&ann, &there];
    let answers = join_all((0..40).map(|n| publish(clients[n % 2], "key", &body))).await;
    are_one(&app, &answers).await;
}

async fn post_and_key_are_kept_together_or_not_at_all(app: TestApp) {
    let ann = app.user("ann").await;
    // The last statements of the transaction fail: those on counts, then the answer's.
    for (break_it, mend_it) in [
        (
            "ALTER TABLE post_count RENAME TO away",
            "ALTER TABLE away RENAME TO post_count",
        ),
        (
            "ALTER TABLE idempotency RENAME COLUMN answer TO away",
            "ALTER TABLE idempotency RENAME COLUMN away TO answer",
        ),
    ] {
        app.database
            .with(|conn| conn.batch_execute(break_it).unwrap());
        publish(&ann, "key", &body()).await.expect(500);
        app.database
            .with(|conn| conn.batch_execute(mend_it).unwrap());
        let rows: (i64, i64) = app.database.with(|conn| {
            (
                post::table.count().get_result(conn).unwrap(),
                idempotency::table.count().get_result(conn).unwrap(),
            )
        });
        assert_eq!(rows, (0, 0), "{break_it}");
    }
    publish(&ann, "key", &body()).await.expect(201);
    publish(&ann, "key", &body()).await.expect(201);
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 1);
}

async fn what_another_index_refuses_is_no_key_in_use(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("x", "y").await;
    app.database.with(|conn| posts::refuse_tag(conn, "a"));
    ann.post("/post", body()).await.problem("internal");
    for key in ["key-1", "key-1", "key-2"] {
        publish(&ann, key, &body()).await.problem("internal");
    }
    app.database.with(posts::allow_tag);
    publish(&ann, "key-1", &body()).await.expect(201);
}
