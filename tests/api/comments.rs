//! Comments: who may write, change and delete them, how they are listed, and what is counted.

use actix_web::http::Method;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{comment, post_leftover, post_stat};
use inkpot::core::db::{Conn, DatabaseUrl, connection};
use inkpot::core::page::{ListPart, PageRequest};
use inkpot::posts::storage::lists;
use inkpot::social::actions::check::{self, Report};
use inkpot::social::storage::comments as rows;
use inkpot::social::types::CommentFilter;
use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Client, PASSWORD, TestApp, TestDatabase, on_both_databases};
use crate::plans::{all_statements, faults, rows_read};

on_both_databases![
    a_comment_is_written_read_changed_and_deleted,
    what_does_not_fit_is_refused,
    who_may_change_and_delete_a_comment,
    a_comment_with_replies_leaves_its_place,
    comments_of_drafts_are_there_for_who_sees_the_draft,
    answers_count_comments_right_after_every_write,
    a_comment_leaves_other_pages_as_they_are,
    an_edit_of_a_post_is_not_stale_for_a_comment,
    a_comment_is_revalidated_and_guarded_by_its_etag,
    a_repeated_request_comments_once,
    comments_are_paged_by_number_and_by_cursor,
    who_comments_all_the_time_is_held,
    admins_find_the_comments_of_all_posts,
    a_storm_leaves_the_counts_right,
    a_reply_and_the_deletion_of_what_it_answers_meet,
    comments_of_a_deleted_post_are_deleted_in_pieces,
    who_leaves_leaves_places_without_a_name,
    what_is_said_under_posts_of_who_leaves_goes_with_them,
    an_export_has_the_comments,
    what_is_wrong_is_found_and_mended,
];

async fn say(client: &Client<'_>, post: i64, body: Value) -> Answer {
    client.post(&format!("/post/{post}/comments"), body).await
}

/// Comments, and gives the comment.
async fn write(client: &Client<'_>, post: i64, content: &str) -> Value {
    let answer = say(client, post, json!({ "content": content })).await;
    answer.expect(201)["comment"].clone()
}

async fn reply(client: &Client<'_>, to: &Value, content: &str) -> Value {
    let body = json!({ "content": content, "reply_to": to["comment_id"] });
    let answer = say(client, to["post_id"].as_i64().unwrap(), body).await;
    answer.expect(201)["comment"].clone()
}

fn path_of(comment: &Value) -> String {
    format!("/comment/{}", comment["comment_id"])
}

async fn list(client: &Client<'_>, post: i64) -> Value {
    let path = format!("/post/{post}/comments");
    client.get(&path).await.expect(200)
}

fn ids(answer: &Value) -> Vec<i64> {
    let comments = answer["comments"].as_array().unwrap();
    comments
        .iter()
        .map(|comment| comment["comment_id"].as_i64().unwrap())
        .collect()
}

/// What is wrong with what is counted.
fn report(app: &TestApp) -> Report {
    let db = app.state.db.clone();
    let checking = std::thread::spawn(move || check::check(&db, &|_| {}));
    checking.join().unwrap().unwrap()
}

/// Sees that what is counted is what there is.
#[track_caller]
fn all_is_right(app: &TestApp) {
    assert_eq!(report(app), Report::default());
}

/// The comments that a post says it has.
async fn counted(app: &TestApp, post: i64) -> i64 {
    let answer = app.anonymous().get(&format!("/post/{post}")).await;
    let counted = answer.expect(200)["post"]["comments"].as_i64().unwrap();
    let listed = app.anonymous().get("/post/?size=100").await.expect(200);
    let posts = listed["posts"].as_array().unwrap().iter();
    let item = posts.clone().find(|item| item["post_id"] == post).unwrap();
    assert_eq!(item["comments"], counted, "{item}");
    counted
}

fn stored(app: &TestApp) -> (i64, i64, i64) {
    app.database.with(|conn| {
        (
            comment::table.count().get_result(conn).unwrap(),
            post_stat::table.count().get_result(conn).unwrap(),
            post_leftover::table.count().get_result(conn).unwrap(),
        )
    })
}

async fn a_comment_is_written_read_changed_and_deleted(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    bob.patch("/user/me", json!({ "username": "bobby" }))
        .await
        .expect(200);
    let post = ann.publish("Title", "Text").await;
    let content = "Well *said*. <script>alert(1)</script> [x](javascript:alert(1))\r\n\ttab";
    let answer = say(&bob, post, json!({ "content": content })).await;
    let made = answer.expect(201)["comment"].clone();
    assert_eq!(answer.header("location"), path_of(&made));
    assert_eq!(made["content"], content);
    let html = made["content_html"].as_str().unwrap();
    assert!(html.contains("<em>said</em>"), "{html}");
    assert!(
        !html.contains("<script") && !html.contains("javascript:"),
        "{html}"
    );
    for (field, value) in [
        ("post_id", json!(post)),
        ("author", json!("bob")),
        ("author_id", json!(bob.user_id)),
        ("author_username", json!("bobby")),
        ("reply_to", Value::Null),
        ("updated", made["created"].clone()),
        ("deleted", json!(false)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let read = app.anonymous().get(&path_of(&made)).await;
    assert_eq!(read.expect(200)["comment"], made);
    assert_eq!(read.header("etag"), answer.header("etag"));
    let listed = list(&app.anonymous(), post).await;
    assert_eq!(listed["comments"], json!([made]));
    assert_eq!(listed["pagination"]["count"], 1);

    app.clock.advance(TimeDelta::seconds(5));
    let change = json!({ "content": "Other." });
    let changed = bob.patch(&path_of(&made), change.clone()).await;
    let after = changed.expect(200)["comment"].clone();
    assert_eq!(
        (&after["content"], &after["created"]),
        (&json!("Other."), &made["created"])
    );
    assert!(after["updated"].as_str() > made["updated"].as_str());
    assert_ne!(changed.header("etag"), answer.header("etag"));
    let again = bob.patch(&path_of(&made), change).await;
    assert_eq!(again.expect(200)["comment"], after);
    assert_eq!(again.header("etag"), changed.header("etag"));
    assert_eq!(
        list(&app.anonymous(), post).await["comments"],
        json!([after])
    );
    // A new name is in every comment at once.
    bob.patch("/user/me", json!({ "name": "Robert" }))
        .await
        .expect(200);
    let named = list(&app.anonymous(), post).await;
    assert_eq!(named["comments"][0]["author"], "Robert");

    bob.delete(&path_of(&made)).await.expect_empty(204);
    app.anonymous()
        .get(&path_of(&made))
        .await
        .problem("comment_not_found");
    bob.delete(&path_of(&made))
        .await
        .problem("comment_not_found");
    assert_eq!(list(&app.anonymous(), post).await["comments"], json!([]));
    all_is_right(&app);
}

async fn what_does_not_fit_is_refused(app: TestApp) {
    let ann = app.user("ann").await;
    let post = ann.publish("Title", "Text").await;
    let other = write(&ann, ann.publish("Other", "Text").await, "Elsewhere").await;
    for (body, faults) in [
        (json!({}), vec![("/content", "field_missing")]),
        (
            json!({ "content": "" }),
            vec![("/content", "content_empty")],
        ),
        (
            json!({ "content": " \u{3164}\n" }),
            vec![("/content", "content_empty")],
        ),
        (
            json!({ "content": "a\u{0}" }),
            vec![("/content", "control_character")],
        ),
        (
            json!({ "content": "x".repeat(10_001) }),
            vec![("/content", "comment_too_long")],
        ),
        (
            json!({ "content": 1, "reply_to": "1", "x": 1 }),
            vec![
                ("/content", "field_mistyped"),
                ("/reply_to", "field_mistyped"),
                ("/x", "field_unknown"),
            ],
        ),
        (
            json!({ "content": "x", "reply_to": 0 }),
            vec![("/reply_to", "field_mistyped")],
        ),
        (
            json!({ "content": "x", "reply_to": 1.5 }),
            vec![("/reply_to", "field_mistyped")],
        ),
        (
            json!({ "content": "x", "reply_to": 99 }),
            vec![("/reply_to", "reply_invalid")],
        ),
        (
            json!({ "content": "x", "reply_to": other["comment_id"] }),
            vec![("/reply_to", "reply_invalid")],
        ),
    ] {
        say(&ann, post, body).await.faults(&faults);
    }
    let longest = "𝄞".repeat(10_000);
    let made = say(&ann, post, json!({ "content": longest, "reply_to": null })).await;
    assert_eq!(made.expect(201)["comment"]["content"], longest);
    say(&ann, 99, json!({ "content": "x" }))
        .await
        .problem("post_not_found");
    ann.get("/post/99/comments").await.problem("post_not_found");
    ann.get("/post/0/comments").await.problem("path_invalid");
    let path = format!("/post/{post}/comments");
    ann.get(&format!("{path}?page=1002&size=100"))
        .await
        .problem("query_invalid");
    ann.get(&format!("{path}?before=x"))
        .await
        .problem("query_invalid");
    ann.get("/comment/99").await.problem("comment_not_found");
    let comment = path_of(&other);
    ann.patch(&comment, json!({}))
        .await
        .faults(&[("/content", "field_missing")]);
    ann.patch(&comment, json!({ "content": "x", "reply_to": 1 }))
        .await
        .faults(&[("/reply_to", "field_unknown")]);
    all_is_right(&app);
}

async fn who_may_change_and_delete_a_comment(app: TestApp) {
    let (ann, bob, eve) = (
        app.user("ann").await,
        app.user("bob").await,
        app.user("eve").await,
    );
    app.admin("root").await;
    let root = app.client_of(&app.login("root").await).at("192.0.2.1");
    let post = ann.publish("Title", "Text").await;
    for (who, status) in [(&ann, 204), (&bob, 204), (&root, 204), (&eve, 403)] {
        let made = write(&bob, post, "Well.").await;
        let path = path_of(&made);
        let change = who.patch(&path, json!({ "content": "Mine." })).await;
        if who.user_id == bob.user_id {
            change.expect(200);
        } else {
            change.problem("not_your_comment");
        }
        assert_eq!(who.delete(&path).await.status.as_u16(), status);
    }
    assert_eq!(counted(&app, post).await, 1);
}

async fn a_comment_with_replies_leaves_its_place(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Title", "Text").await;
    let first = write(&bob, post, "First").await;
    let second = reply(&ann, &first, "Second").await;
    assert_eq!(second["reply_to"], first["comment_id"]);
    bob.delete(&path_of(&first)).await.expect_empty(204);
    let listed = list(&app.anonymous(), post).await;
    let place = &listed["comments"][0];
    assert_eq!(place["comment_id"], first["comment_id"]);
    assert_eq!(place["deleted"], true);
    for field in ["author", "author_id", "author_username"] {
        assert_eq!(place[field], Value::Null);
    }
    assert_eq!(
        (&place["content"], &place["content_html"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(listed["comments"][1], second);
    assert_eq!(listed["pagination"]["count"], 2);
    assert_eq!(counted(&app, post).await, 1);
    let read = app.anonymous().get(&path_of(&first)).await;
    assert_eq!(read.expect(200)["comment"], *place);
    for answer in [
        bob.delete(&path_of(&first)).await,
        ann.delete(&path_of(&first)).await,
        bob.patch(&path_of(&first), json!({ "content": "Back" }))
            .await,
    ] {
        answer.problem("comment_not_found");
    }
    let body = json!({ "content": "x", "reply_to": first["comment_id"] });
    say(&ann, post, body)
        .await
        .faults(&[("/reply_to", "reply_invalid")]);
    ann.delete(&path_of(&second)).await.expect_empty(204);
    let listed = list(&app.anonymous(), post).await;
    assert_eq!(ids(&listed), [first["comment_id"].as_i64().unwrap()]);
    assert_eq!(counted(&app, post).await, 0);
    all_is_right(&app);
}

async fn comments_of_drafts_are_there_for_who_sees_the_draft(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    app.admin("root").await;
    let root = app.client_of(&app.login("root").await).at("192.0.2.1");
    let post = ann.publish("Title", "Text").await;
    let made = write(&bob, post, "Well.").await;
    let path = format!("/post/{post}/comments");
    app.anonymous().get(&path).await.expect(200);
    app.anonymous().get(&path_of(&made)).await.expect(200);
    let draft = json!({ "status": "draft" });
    ann.patch(&format!("/post/{post}"), draft).await.expect(200);
    for client in [&bob, &app.anonymous()] {
        client.get(&path).await.problem("post_not_found");
        client
            .get(&path_of(&made))
            .await
            .problem("comment_not_found");
    }
    say(&bob, post, json!({ "content": "x" }))
        .await
        .problem("post_not_found");
    bob.delete(&path_of(&made))
        .await
        .problem("comment_not_found");
    bob.patch(&path_of(&made), json!({ "content": "x" }))
        .await
        .problem("comment_not_found");
    for client in [&ann, &root] {
        let answer = client.get(&path).await;
        assert_eq!(answer.expect(200)["comments"], json!([made]));
        assert_eq!(answer.header("cache-control"), "no-store");
        client.get(&path_of(&made)).await.expect(200);
    }
    write(&ann, post, "To myself").await;
    let public = json!({ "status": "published" });
    ann.patch(&format!("/post/{post}"), public)
        .await
        .expect(200);
    assert_eq!(ids(&list(&app.anonymous(), post).await).len(), 2);
    let bad = app.anonymous().with_header("Authorization", "Bearer x");
    bad.get(&path).await.expect(200);
    bad.get("/post/99/comments").await.problem("invalid_token");
}

async fn answers_count_comments_right_after_every_write(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Title", "Text").await;
    assert_eq!(counted(&app, post).await, 0);
    let mut made = Vec::new();
    for n in 1..=5 {
        made.push(write(&bob, post, "Well.").await);
        assert_eq!(counted(&app, post).await, n);
        let own = ann.get(&format!("/post/?author={}", ann.user_id)).await;
        assert_eq!(own.expect(200)["posts"][0]["comments"], n);
    }
    let changed = ann
        .patch(&format!("/post/{post}"), json!({ "title": "New" }))
        .await;
    assert_eq!(changed.expect(200)["post"]["comments"], 5);
    for (left, comment) in (0..5).rev().zip(made) {
        bob.delete(&path_of(&comment)).await.expect_empty(204);
        assert_eq!(counted(&app, post).await, left);
    }
}

/// A page that does not show the post is kept; one that does is made anew.
async fn a_comment_leaves_other_pages_as_they_are(app: TestApp) {
    if matches!(app.state.db.url(), DatabaseUrl::Mysql(_)) {
        // Where others may write nothing is kept for long: the clock of a test stands still.
        app.clock.advance(TimeDelta::zero());
    }
    let ann = app.user("ann").await;
    let first = ann.publish("First", "Text").await;
    let second = ann.publish("Second", "Text").await;
    let others = ["/post/?size=1&page=1", "/post/?size=1&page=2", "/feed.json"];
    let (shown, kept) = (others[1], [others[0], others[2]]);
    let units = async |paths: &[&str]| {
        let before = app.state.db.units();
        for path in paths {
            app.anonymous().get(path).await.expect(200);
        }
        app.state.db.units() - before
    };
    assert!(units(&others).await > 0);
    assert_eq!(units(&others).await, 0);
    write(&ann, first, "Well.").await;
    assert_eq!(units(&kept).await, 0);
    assert_eq!(units(&[shown]).await, 1);
    let comments = format!("/post/{first}/comments");
    let of_other = format!("/post/{second}/comments");
    assert_eq!(units(&[&comments, &of_other]).await, 2);
    write(&ann, first, "Well.").await;
    assert_eq!(units(&[&of_other]).await, 0);
    assert_eq!(units(&[&comments]).await, 1);
}

async fn an_edit_of_a_post_is_not_stale_for_a_comment(app: TestApp) {
    let ann = app.user("ann").await;
    let post = ann.publish("Title", "Text").await;
    let path = format!("/post/{post}");
    let read = app.anonymous().get(&path).await;
    write(&ann, post, "Well.").await;
    let now = app.anonymous().get(&path).await;
    assert_ne!(now.header("etag"), read.header("etag"));
    for etag in [read.header("etag"), now.header("etag")] {
        let not =
            (app.anonymous().request(Method::GET, &path)).insert_header(("If-None-Match", etag));
        let status = if etag == now.header("etag") { 304 } else { 200 };
        assert_eq!(app.send(not).await.status.as_u16(), status);
    }
    let edit = |etag: &str, title: &str| {
        (ann.request(Method::PATCH, &path))
            .insert_header(("If-Match", etag.to_owned()))
            .set_json(json!({ "title": title }))
    };
    let edited = app.send(edit(read.header("etag"), "New")).await;
    assert_eq!(edited.expect(200)["post"]["comments"], 1);
    let read = app.anonymous().get(&path).await;
    assert_eq!(read.header("etag"), edited.header("etag"));
    app.send(edit(now.header("etag"), "Late"))
        .await
        .problem("precondition_failed");
    // The form of a coding that came before the comment, too.
    let coded = edited.header("etag").replacen(".0.1\"", "-br\"", 1);
    assert_ne!(coded, edited.header("etag"));
    app.send(edit(&coded, "Newer")).await.expect(200);
}

async fn a_comment_is_revalidated_and_guarded_by_its_etag(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Title", "Text").await;
    let made = say(&bob, post, json!({ "content": "Well." })).await;
    let path = path_of(&made.expect(201)["comment"]);
    let etag = made.header("etag").to_owned();
    let list_path = format!("/post/{post}/comments");
    for path in [&path, &list_path] {
        let etag = app.anonymous().get(path).await.header("etag").to_owned();
        let request =
            (app.anonymous().request(Method::GET, path)).insert_header(("If-None-Match", etag));
        app.send(request).await.expect_empty(304);
    }
    let guarded = |method: Method, header: &'static str, etag: &str| {
        let request = bob
            .request(method.clone(), &path)
            .insert_header((header, etag.to_owned()));
        if method == Method::PATCH {
            request.set_json(json!({ "content": format!("After {etag}") }))
        } else {
            request
        }
    };
    let changed = app.send(guarded(Method::PATCH, "If-Match", &etag)).await;
    changed.expect(200);
    for method in [Method::PATCH, Method::DELETE] {
        let stale = app.send(guarded(method.clone(), "If-Match", &etag)).await;
        stale.problem("precondition_failed");
        let present = changed.header("etag");
        let never = app.send(guarded(method, "If-None-Match", present)).await;
        never.problem("precondition_failed");
    }
    let weak = format!("W/{}", changed.header("etag"));
    app.send(guarded(Method::DELETE, "If-Match", &weak))
        .await
        .expect_empty(204);
    // Of a hundred with one ETag one is through.
    let made = say(&bob, post, json!({ "content": "Well." })).await;
    let path = path_of(&made.expect(201)["comment"]);
    let etag = made.header("etag").to_owned();
    let answers = join_all((0..100).map(|n| {
        let request = (bob.request(Method::PATCH, &path))
            .insert_header(("If-Match", etag.clone()))
            .set_json(json!({ "content": format!("Change {n}") }));
        app.send(request)
    }))
    .await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    let stale = answers.iter().filter(|answer| answer.status == 412).count();
    assert_eq!((done, stale), (1, 99));
}

fn keyed(client: &Client<'_>, post: i64, key: &str, body: &Value) -> actix_web::test::TestRequest {
    (client.request(Method::POST, &format!("/post/{post}/comments")))
        .insert_header(("Idempotency-Key", key.to_owned()))
        .set_json(body)
}

async fn a_repeated_request_comments_once(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Title", "Text").await;
    let body = json!({ "content": "Once." });
    let first = app.send(keyed(&bob, post, "k", &body)).await;
    first.expect(201);
    let again = app.send(keyed(&bob, post, "k", &body)).await;
    again.expect(201);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(counted(&app, post).await, 1);
    for other in [
        json!({ "content": "Twice." }),
        json!({ "content": "Once.", "reply_to": 1 }),
    ] {
        app.send(keyed(&bob, post, "k", &other))
            .await
            .problem("idempotency_key_reused");
    }
    let elsewhere = ann.publish("Other", "Text").await;
    app.send(keyed(&bob, elsewhere, "k", &body))
        .await
        .problem("idempotency_key_reused");
    let publish = (bob.request(Method::POST, "/post"))
        .insert_header(("Idempotency-Key", "k"))
        .set_json(json!({ "title": "x", "content": "Once." }));
    app.send(publish).await.problem("idempotency_key_reused");
    // What is refused leaves the key free.
    app.send(keyed(&bob, 99, "free", &body))
        .await
        .problem("post_not_found");
    app.send(keyed(&bob, post, "free", &body)).await.expect(201);
    let answers = join_all((0..100).map(|_| app.send(keyed(&bob, post, "many", &body)))).await;
    let made: Vec<&Answer> = answers.iter().filter(|one| one.status == 201).collect();
    assert!(!made.is_empty());
    for answer in &answers {
        match answer.status.as_u16() {
            201 => assert_eq!(answer.body, made[0].body),
            _ => drop(answer.problem("idempotency_key_in_use")),
        }
    }
    assert_eq!(counted(&app, post).await, 3);
    all_is_right(&app);
}

async fn comments_are_paged_by_number_and_by_cursor(app: TestApp) {
    let ann = app.user("ann").await;
    let (post, other) = (
        ann.publish("Title", "x").await,
        ann.publish("Other", "x").await,
    );
    let mut all = Vec::new();
    for n in 0..25 {
        all.push(
            write(&ann, post, &format!("{n}")).await["comment_id"]
                .as_i64()
                .unwrap(),
        );
        write(&ann, other, "Between").await;
    }
    let path = format!("/post/{post}/comments");
    let mut found = Vec::new();
    for page in 1..=4 {
        let answer = ann.get(&format!("{path}?page={page}&size=10")).await;
        let body = answer.expect(200);
        found.extend(ids(&body));
        let pagination = &body["pagination"];
        assert_eq!(
            (&pagination["count"], &pagination["pages"]),
            (&json!(25), &json!(3))
        );
        assert_eq!(pagination["next"].is_null(), page >= 3);
        let link = answer.header("link");
        assert!(
            link.contains(&format!("<{path}?page=3&size=10>; rel=\"last\"")),
            "{link}"
        );
    }
    assert_eq!(found, all);
    // By cursor each is met once, while others are added and removed.
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let answer = ann
            .get(&format!("{path}?before={before}&size=10"))
            .await
            .expect(200);
        found.extend(ids(&answer));
        let Some(next) = answer["pagination"]["next"].as_str() else {
            break;
        };
        next.clone_into(&mut before);
        ann.delete(&format!("/comment/{}", found[found.len() - 1]))
            .await
            .expect_empty(204);
    }
    assert_eq!(found, all);
}

async fn who_comments_all_the_time_is_held(app: TestApp) {
    let app = TestApp::start(app.database, &["--rate-limits", "on"]).await;
    let ann = app.user("ann").await;
    let post = ann.publish("Title", "Text").await;
    let body = || json!({ "content": "Again." });
    for _ in 0..20 {
        say(&ann, post, body()).await.expect(201);
    }
    let answer = say(&ann, post, body()).await;
    answer.problem("rate_limited");
    assert_eq!(answer.header("retry-after"), "4");
    app.clock.advance(TimeDelta::seconds(4));
    say(&ann, post, body()).await.expect(201);
    // From one address, before the body is read, whoever it is.
    let (bob, eve) = (app.user("bob").await, app.user("eve").await);
    for (client, tries) in [(&bob, 22), (&eve, 22)] {
        for _ in 0..tries {
            let answer = say(client, post, json!({})).await;
            assert!([422, 429].contains(&answer.status.as_u16()));
        }
    }
    say(&eve, post, json!({})).await.problem("rate_limited");
    let elsewhere = app.client_of(&app.login("eve").await).at("198.51.100.7");
    say(&elsewhere, post, body()).await.expect(201);
}

/// What one of many does: comments, answers, changes and deletes, all under one post.
async fn storm(client: &Client<'_>, post: i64, seed: usize) {
    let mut own: Vec<Value> = Vec::new();
    for step in 0..8 {
        match ((seed * 7 + step * 5) % 5, own.last().cloned()) {
            (0 | 1, _) | (_, None) => own.push(write(client, post, "storm").await),
            (2, Some(last)) => own.push(reply(client, &last, "answer").await),
            (3, Some(last)) => {
                let body = json!({ "content": format!("{seed} {step}") });
                client.patch(&path_of(&last), body).await.expect(200);
            }
            (_, Some(_)) => {
                let first = own.remove(0);
                client.delete(&path_of(&first)).await.expect_empty(204);
            }
        }
    }
}

async fn a_storm_leaves_the_counts_right(app: TestApp) {
    let ann = app.user("ann").await;
    let post = ann.publish("Title", "Text").await;
    // A hundred at once.
    let made = join_all((0..100).map(|_| write(&ann, post, "At once"))).await;
    assert_eq!(counted(&app, post).await, 100);
    join_all((0..10).map(|seed| storm(&ann, post, seed))).await;
    all_is_right(&app);
    // The first hundred go at once, twice.
    let paths: Vec<String> = made.iter().map(path_of).collect();
    let gone = join_all(paths.iter().chain(&paths).map(|path| ann.delete(path))).await;
    let done = gone.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(done, 100);
    all_is_right(&app);
    let path = format!("/post/{post}/comments?size=100");
    let listed = app.anonymous().get(&path).await.expect(200);
    let there = listed["comments"].as_array().unwrap().iter();
    let there = there.filter(|comment| comment["deleted"] == false).count();
    assert_eq!(counted(&app, post).await, i64::try_from(there).unwrap());
}

async fn a_reply_and_the_deletion_of_what_it_answers_meet(app: TestApp) {
    let ann = app.user("ann").await;
    let post = ann.publish("Title", "Text").await;
    for _ in 0..20 {
        let first = write(&ann, post, "First").await;
        let body = json!({ "content": "x", "reply_to": first["comment_id"] });
        let path = path_of(&first);
        let (answer, deleted) = futures_util::join!(say(&ann, post, body), ann.delete(&path));
        deleted.expect_empty(204);
        let place = app.anonymous().get(&path).await;
        match answer.status.as_u16() {
            // The reply was first: it answers a place.
            201 => assert_eq!(place.expect(200)["comment"]["deleted"], true),
            _ => {
                answer.faults(&[("/reply_to", "reply_invalid")]);
                place.problem("comment_not_found");
            }
        }
    }
    all_is_right(&app);
}

async fn admins_find_the_comments_of_all_posts(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    app.admin("root").await;
    let root = app.client_of(&app.login("root").await).at("192.0.2.1");
    let posts = [
        ann.publish("One", "Text").await,
        ann.publish("Two", "Text").await,
    ];
    let first = write(&ann, posts[0], "Grüße, 100% of them").await;
    let second = write(&bob, posts[1], "Well said").await;
    let third = write(&bob, posts[0], "GRÜSSE_not, and well").await;
    let gone = write(&bob, posts[0], "Well, this goes").await;
    reply(&ann, &gone, "Why?").await;
    bob.delete(&path_of(&gone)).await.expect_empty(204);
    ann.patch("/post/2", json!({ "status": "draft" }))
        .await
        .expect(200);
    let found = async |query: &str| {
        let answer = root.get(&format!("/comment/{query}")).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.expect(200)
    };
    // The answer to what is gone is the fifth.
    let whole = found("").await;
    assert_eq!(ids(&whole), [5, 3, 2, 1]);
    assert_eq!(whole["comments"][3], first);
    assert_eq!(whole["comments"][2], second);
    assert_eq!(whole["comments"][1], third);
    assert_eq!(whole["pagination"]["count"], 4);
    for (query, expected) in [
        ("?author=2", vec![3, 2]),
        ("?author=9", vec![]),
        ("?q=WELL", vec![3, 2]),
        ("?q=gr%C3%BC", vec![3, 1]),
        ("?q=100%25", vec![1]),
        ("?q=%25", vec![1]),
        ("?q=_", vec![3]),
        ("?q=well&author=1", vec![]),
        ("?q=%20&author=", vec![5, 3, 2, 1]),
        ("?q=nothing", vec![]),
    ] {
        assert_eq!(ids(&found(query).await), expected, "{query}");
    }
    let page = root.get("/comment/?size=3&author=2&page=1").await;
    assert_eq!(page.header("link").matches("author=2").count(), 2);
    let part = found("?size=3&before=").await;
    assert_eq!(ids(&part), [5, 3, 2]);
    let next = part["pagination"]["next"].as_str().unwrap();
    assert_eq!(ids(&found(&format!("?size=3&before={next}")).await), [1]);
    let search = found("?q=well&size=1").await;
    assert_eq!(ids(&search), [3]);
    assert_eq!(search["pagination"]["count"], Value::Null);
    assert_eq!(search["pagination"]["next"], "3");
    for query in ["?author=x", "?author=0", "?q=well&page=2", "?before=x"] {
        let answer = root.get(&format!("/comment/{query}")).await;
        answer.problem("query_invalid");
    }
    bob.get("/comment/").await.problem("admins_only");
}

/// Writes so many comments of a post by SQL, and what is counted of them.
pub fn insert_many(conn: &mut Conn, post: i64, author: i64, number: i64) {
    let columns = "post_id, author_id, reply_to, content, created, updated, deleted";
    let time = "'2026-06-01 00:00:00'";
    let row = format!("({post}, {author}, NULL, 'Many', {time}, {time}, 0)");
    let mut left = number;
    while left > 0 {
        let some = left.min(1000);
        let values = vec![row.as_str(); usize::try_from(some).unwrap()].join(", ");
        conn.batch_execute(&format!("INSERT INTO comment ({columns}) VALUES {values}"))
            .unwrap();
        left -= some;
    }
    for kind in [0, 1] {
        conn.batch_execute(&format!(
            "INSERT INTO post_stat (post_id, kind, slot, number) VALUES ({post}, {kind}, 9, {number})"
        ))
        .unwrap();
    }
}

async fn comments_of_a_deleted_post_are_deleted_in_pieces(app: TestApp) {
    let ann = app.user("ann").await;
    let (post, other) = (
        ann.publish("Title", "x").await,
        ann.publish("Other", "x").await,
    );
    let user = ann.user_id;
    app.database
        .with(move |conn| insert_many(conn, post, user, 1200));
    all_is_right(&app);
    assert_eq!(counted(&app, post).await, 1200);
    let kept = write(&ann, other, "Stays").await;
    let some = ids(&list(&app.anonymous(), post).await)[0];
    ann.delete(&format!("/post/{post}")).await.expect_empty(204);
    // Nothing of it is seen from then on, and nothing can be said to it.
    app.anonymous()
        .get(&format!("/post/{post}/comments"))
        .await
        .problem("post_not_found");
    app.anonymous()
        .get(&format!("/comment/{some}"))
        .await
        .problem("comment_not_found");
    ann.delete(&format!("/comment/{some}"))
        .await
        .problem("comment_not_found");
    say(&ann, post, json!({ "content": "x" }))
        .await
        .problem("post_not_found");
    let (comments, _, leftovers) = stored(&app);
    assert_eq!((comments, leftovers), (1201, 1));
    all_is_right(&app);
    // A piece at a time, and a process that dies in the middle of one.
    let piece = |app: &TestApp| {
        app.database.with(|conn| {
            conn.transaction(inkpot::social::actions::leftovers::delete_some)
                .unwrap()
        })
    };
    assert_eq!(piece(&app), 500);
    app.database.with(|conn| {
        let broken: QueryResult<()> = conn.transaction(|conn| {
            inkpot::social::actions::leftovers::delete_some(conn)?;
            Err(diesel::result::Error::RollbackTransaction)
        });
        assert!(broken.is_err());
    });
    assert_eq!(stored(&app).0, 701);
    all_is_right(&app);
    app.work().await;
    assert_eq!((stored(&app).0, stored(&app).2), (1, 0));
    assert_eq!(
        list(&app.anonymous(), other).await["comments"],
        json!([kept])
    );
    all_is_right(&app);
}

async fn leave(user: &Client<'_>) {
    let body = json!({ "current_password": PASSWORD });
    let left = user.call(Method::DELETE, "/user/me", body).await;
    left.expect_empty(204);
}

async fn who_leaves_leaves_places_without_a_name(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Title", "Text").await;
    let answered = write(&bob, post, "Answered").await;
    let reply = reply(&ann, &answered, "Answer").await;
    write(&bob, post, "Not answered").await;
    // More than are deleted at once.
    let other = ann.publish("Other", "Text").await;
    let user = bob.user_id;
    app.database
        .with(move |conn| insert_many(conn, other, user, 450));
    list(&app.anonymous(), other).await;
    leave(&bob).await;
    // Nothing of it is shown under their name, from this moment on.
    let listed = list(&app.anonymous(), post).await;
    assert_eq!(
        ids(&listed),
        [&answered, &reply].map(|one| one["comment_id"].as_i64().unwrap())
    );
    assert_eq!(listed["comments"][0]["deleted"], true);
    assert_eq!(listed["comments"][0]["content"], "");
    let listed = list(&app.anonymous(), other).await;
    for comment in listed["comments"].as_array().unwrap() {
        assert_eq!(
            (&comment["deleted"], &comment["author"]),
            (&json!(true), &Value::Null)
        );
    }
    all_is_right(&app);
    app.work().await;
    assert_eq!(counted(&app, post).await, 1);
    assert_eq!(counted(&app, other).await, 0);
    assert_eq!(list(&app.anonymous(), other).await["comments"], json!([]));
    assert_eq!(stored(&app).0, 2);
    all_is_right(&app);
}

async fn what_is_said_under_posts_of_who_leaves_goes_with_them(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    for _ in 0..3 {
        let post = ann.publish("Title", "Text").await;
        write(&bob, post, "Well.").await;
        write(&ann, post, "Indeed.").await;
    }
    leave(&ann).await;
    all_is_right(&app);
    app.work().await;
    assert_eq!(stored(&app), (0, 0, 0));
}

async fn an_export_has_the_comments(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Title", "Text").await;
    let user = bob.user_id;
    app.database
        .with(move |conn| insert_many(conn, post, user, 250));
    write(&ann, post, "Not bob's").await;
    let last = write(&bob, post, "The last").await;
    let export = bob.get("/user/me/export").await.expect(200);
    let comments = export["comments"].as_array().unwrap();
    assert_eq!(comments.len(), 251);
    assert_eq!(comments[250], last);
    assert_eq!(
        ann.get("/user/me/export").await.expect(200)["comments"][0]["content"],
        "Not bob's"
    );
}

async fn what_is_wrong_is_found_and_mended(app: TestApp) {
    let ann = app.user("ann").await;
    let post = ann.publish("Title", "Text").await;
    write(&ann, post, "Well.").await;
    let user = ann.user_id;
    app.database.with(move |conn| {
        insert_many(conn, 4711, user, 3);
        conn.batch_execute(&format!(
            "INSERT INTO post_stat (post_id, kind, slot, number) VALUES ({post}, 0, 77, 7), (4712, 2, 0, 1)"
        ))
        .unwrap();
    });
    let found = report(&app);
    assert_eq!(found.missing, [((post, 0), -7)]);
    assert_eq!(found.strays, [4711, 4712]);
    let db = app.state.db.clone();
    std::thread::spawn(move || check::repair(&db, &found))
        .join()
        .unwrap()
        .unwrap();
    all_is_right(&app);
    assert_eq!(stored(&app).0, 1);
}

/// Two whose counts are in different slots: the second is through before the first has
/// committed.
#[test]
fn who_comments_on_one_post_does_not_queue_behind_one_row() {
    use inkpot::posts::stats::{Stat, StatChanges};
    use inkpot::posts::storage::stats;

    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    database.with(move |conn| {
        let slot = |conn: &mut Conn| -> i64 {
            let Conn::Mysql(conn) = conn else { panic!() };
            let sql = "SELECT CAST(CONNECTION_ID() % 8 AS SIGNED) AS number";
            diesel::sql_query(sql)
                .get_result::<Number>(conn)
                .unwrap()
                .number
        };
        let mut changes = StatChanges::default();
        changes.add(1, Stat::Comments, 1);
        conn.begin_test_transaction().unwrap();
        stats::add(conn, &changes).unwrap();
        let first = slot(conn);
        let other = (0..100).any(|_| {
            let mut other = connection::open(&url).unwrap();
            other
                .batch_execute("SET SESSION innodb_lock_wait_timeout = 1")
                .unwrap();
            if slot(&mut other) == first {
                return false;
            }
            other
                .transaction(|conn| stats::add(conn, &changes))
                .unwrap();
            true
        });
        assert!(other);
    });
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

const MANY: i64 = 100_000;

/// Pages and cursors at any depth, and what is counted, at a hundred thousand comments.
fn lists_of_comments_go_along_an_index(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    let conn = &mut conn;
    // Of few users a database would rather read all.
    for n in 1..=100 {
        conn.batch_execute(&format!(
            "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
             mobile_verified, created, updated) VALUES ({n}, 'u{n}', 'u{n}', 'u', '', 'user', 1, 0, 0, \
             '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        ))
        .unwrap();
    }
    crate::harness::posts::insert_many(conn, 1, 300);
    insert_many(conn, 1, 1, MANY);
    insert_many(conn, 2, 1, 500);
    let page = |page| ListPart::Page(PageRequest { page, size: 20 });
    let below = |position| ListPart::Below { position, size: 20 };
    for analyzed in [false, true] {
        if analyzed {
            let analyze = match &conn {
                Conn::Sqlite(_) => "ANALYZE",
                Conn::Mysql(_) => "ANALYZE TABLE comment, post_stat",
            };
            conn.batch_execute(analyze).unwrap();
        }
        for (part, first, most) in [
            (page(1), 1, 200),
            (page(100), 1981, 2300),
            (page(5000), 99_981, MANY + 300),
            (below(None), 1, 200),
            (below(Some(50_000)), 50_001, 200),
            (below(Some(99_990)), 99_991, 200),
        ] {
            let before = rows_read(conn);
            let mut listed = None;
            let queries = all_statements(conn, |conn| {
                listed = Some(rows::load_part(conn, 1, MANY, part).unwrap());
            });
            let read = rows_read(conn) - before;
            assert_eq!(listed.unwrap().rows[0].comment_id, first);
            assert!(read <= most, "{part:?} read {read}");
            for sql in queries {
                assert_eq!(faults(conn, &sql), Vec::<String>::new(), "{sql}");
            }
        }
        of_all_posts_go_along_an_index(conn);
        // A list of posts costs what it did: no comment is read for it.
        let first = ListPart::Page(PageRequest { page: 1, size: 20 });
        let before = rows_read(conn);
        let listed = lists::load(conn, &inkpot::posts::list::Filter::default(), first).unwrap();
        assert_eq!(listed.listed.rows.len(), 20);
        assert!(rows_read(conn) - before < 500);
    }
}

/// Author 1 wrote [`MANY`] comments on a post and 500 on another one, and nobody any more.
fn of_all_posts_go_along_an_index(conn: &mut Conn) {
    let all = CommentFilter::default;
    let by = |author| CommentFilter {
        author: Some(author),
        ..all()
    };
    let with = |words: &str| CommentFilter {
        words: Some(words.to_owned()),
        ..all()
    };
    for (filter, position, found, next, most) in [
        (all(), None, 20, Some(MANY + 481), 300),
        (all(), Some(50_000), 20, Some(49_980), 300),
        // MySQL may begin at the newest of the author's, of which it reads the index alone.
        (by(1), Some(50_000), 20, Some(49_980), 51_000),
        (by(2), None, 0, None, 100),
        (with("many"), None, 20, Some(MANY + 481), 22_000),
        // What is not found soon is looked for from there on.
        (with("few"), None, 0, Some(MANY - 19_499), 41_000),
        (with("few"), Some(20_000), 0, None, 41_000),
        (
            CommentFilter {
                author: Some(1),
                ..with("few")
            },
            Some(50_000),
            0,
            Some(30_000),
            92_000,
        ),
    ] {
        let part = ListPart::Below { position, size: 20 };
        let before = rows_read(conn);
        let mut listed = None;
        let queries = all_statements(conn, |conn| {
            listed = Some(rows::load_of_all(conn, &filter, part).unwrap());
        });
        let (read, listed) = (rows_read(conn) - before, listed.unwrap());
        assert_eq!(listed.rows.len(), found, "{filter:?}");
        assert_eq!(listed.next, next, "{filter:?}");
        assert!(read <= most, "{filter:?} {position:?} read {read}");
        for sql in queries {
            assert_eq!(faults(conn, &sql), Vec::<String>::new(), "{sql}");
        }
    }
}

#[test]
fn lists_of_comments_go_along_an_index_on_sqlite() {
    lists_of_comments_go_along_an_index(Backend::Sqlite);
}

#[test]
fn lists_of_comments_go_along_an_index_on_mysql() {
    lists_of_comments_go_along_an_index(Backend::Mysql);
}
