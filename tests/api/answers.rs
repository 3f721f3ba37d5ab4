//! Finished answers: no query for what is there, and never an old answer after a
//! write.

use std::cell::Cell;

use actix_web::http::Method;
use chrono::Duration;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::edge::decoded;
use crate::harness::{Answer, Backend, Client, TestApp, on_both_databases};

on_both_databases![
    what_is_there_costs_no_query,
    a_hundred_who_want_the_same_are_one_query,
    a_write_is_seen_by_the_next_read,
    no_answer_is_older_than_an_acknowledged_write,
    a_name_is_new_everywhere_at_once,
    without_memory_nothing_is_kept,
    another_process_sees_a_write_within_a_second,
    every_form_is_right_at_its_first_and_second_request,
    what_is_not_public_is_never_kept,
];

/// How many units of work the database was asked for by `work`.
async fn queries<T>(app: &TestApp, work: impl Future<Output = T>) -> u64 {
    let before = app.state.db.units();
    work.await;
    app.state.db.units() - before
}

async fn some_posts(author: &Client<'_>) {
    for n in 0..5 {
        let body =
            json!({ "title": format!("Post {n}"), "content": "word ".repeat(1000), "tags": ["t"] });
        author.post("/post", body).await.expect(201);
    }
}

/// Paths of finished answers, plainly asked for and otherwise.
const PATHS: [&str; 11] = [
    "/post/1",
    "/post/2/",
    "/post/%33",
    "/post",
    "/post/?page=2&size=2",
    "/post/?before=4&size=2",
    "/post/?author=1",
    "/post/?tag=t&size=3",
    "/post/?q=%22word+word%22",
    "/feed.json?tag=t",
    "/feed.atom?author=1",
];

async fn what_is_there_costs_no_query(app: TestApp) {
    let ann = app.user("ann").await;
    some_posts(&ann).await;
    for path in PATHS {
        let first = queries(&app, app.anonymous().get(path)).await;
        assert_eq!(first, 1, "{path}");
        for reader in [&app.anonymous(), &ann] {
            assert_eq!(queries(&app, reader.get(path)).await, 0, "{path}");
            let head = app.anonymous().request(Method::HEAD, path);
            assert_eq!(queries(&app, app.send(head)).await, 0, "{path}");
            for coding in ["br", "zstd", "gzip"] {
                let request = reader
                    .request(Method::GET, path)
                    .insert_header(("Accept-Encoding", coding));
                assert_eq!(queries(&app, app.send(request)).await, 0, "{path}");
            }
            let etag = reader.get(path).await.header("etag").to_owned();
            let request = reader
                .request(Method::GET, path)
                .insert_header(("If-None-Match", etag));
            let asked = queries(&app, async {
                assert_eq!(app.send(request).await.status, 304);
            });
            assert_eq!(asked.await, 0, "{path}");
        }
    }
    // The same list in another spelling is the same answer.
    let other = queries(&app, app.anonymous().get("/post/?size=20&page=1&x=y")).await;
    assert_eq!(other, 0);
}

async fn a_hundred_who_want_the_same_are_one_query(app: TestApp) {
    let ann = app.user("ann").await;
    some_posts(&ann).await;
    let anonymous = app.anonymous();
    for path in PATHS {
        let asked = queries(&app, async {
            let answers = join_all((0..100).map(|_| anonymous.get(path))).await;
            for answer in &answers {
                assert_eq!(answer.status, 200);
                assert_eq!(answer.body, answers[0].body);
            }
        });
        assert_eq!(asked.await, 1, "{path}");
    }
}

async fn a_write_is_seen_by_the_next_read(app: TestApp) {
    let ann = app.user("ann").await;
    some_posts(&ann).await;
    let reader = app.anonymous();
    let read = async || {
        let mut bodies = Vec::new();
        for path in PATHS {
            let answer = reader.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            bodies.push(answer.text());
        }
        bodies
    };
    // Those that show a post's title, in the order of PATHS, after each write.
    let count = |bodies: &[String], text: &str| -> Vec<bool> {
        bodies.iter().map(|body| body.contains(text)).collect()
    };
    read().await;
    ann.patch("/post/3", json!({ "title": "Changed" }))
        .await
        .expect(200);
    let shows = [
        false, false, true, true, true, true, true, true, true, true, true,
    ];
    assert_eq!(count(&read().await, "Changed"), shows);

    let body = json!({ "title": "Newest", "content": "word word", "tags": ["t"] });
    let id = ann.post("/post", body).await.expect(201)["post_id"].clone();
    let shows = [
        false, false, false, true, false, false, true, true, true, true, true,
    ];
    assert_eq!(count(&read().await, "Newest"), shows);

    let path = format!("/post/{id}");
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(count(&read().await, "Newest"), [false; 11]);
    ann.patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(count(&read().await, "Newest"), shows);
    reader.get(&path).await.expect(200);

    ann.patch(&path, json!({ "tags": ["other"] }))
        .await
        .expect(200);
    let shows = [
        false, false, false, true, false, false, true, false, true, false, true,
    ];
    assert_eq!(count(&read().await, "Newest"), shows);
    ann.patch(&path, json!({ "tags": ["t"], "content": "nothing" }))
        .await
        .expect(200);
    let shows = [
        false, false, false, true, false, false, true, true, false, true, true,
    ];
    assert_eq!(count(&read().await, "Newest"), shows);
    ann.delete(&path).await.expect_empty(204);
    assert_eq!(count(&read().await, "Newest"), [false; 11]);
    reader.get(&path).await.expect(404);
}

/// Reads that one test makes while others write.
const READS: u64 = 100_000;

/// Parallel readers and writers: every reading begun after a write was acknowledged
/// shows at least what that write wrote, the post, its lists and their counts alike.
async fn no_answer_is_older_than_an_acknowledged_write(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("0", "x").await;
    let path = format!("/post/{id}");
    let (title, published) = (Cell::new(0_u64), Cell::new(1_u64));
    let (reads, is_over) = (Cell::new(0_u64), Cell::new(false));
    let change = async {
        while !is_over.get() {
            let next = title.get() + 1;
            ann.patch(&path, json!({ "title": next.to_string() }))
                .await
                .expect(200);
            title.set(next);
        }
    };
    let publish = async {
        while !is_over.get() {
            ann.publish("new", "x").await;
            published.set(published.get() + 1);
        }
    };
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let anonymous = app.anonymous();
    let read_post = async || {
        let known = title.get();
        let post = anonymous.get(&path).await.expect(200);
        assert!(number(&post["post"]["post_title"]) >= known, "an old post");
    };
    let read_lists = async || {
        let (known, count) = (title.get(), published.get());
        for list in ["/post/?size=1", "/post/?author=1&size=1"] {
            let page = anonymous.get(list).await.expect(200);
            assert!(
                page["pagination"]["count"].as_u64().unwrap() >= count,
                "an old list"
            );
        }
        // The oldest one alone: after the cursor of the second.
        let last = anonymous
            .get(&format!("/post/?before={}", id + 1))
            .await
            .expect(200);
        assert!(
            number(&last["posts"][0]["post_title"]) >= known,
            "an old list"
        );
    };
    let readers = join_all((0..8).map(|n| {
        let (reads, read_post, read_lists) = (&reads, &read_post, &read_lists);
        async move {
            while reads.get() < READS {
                // What is there is answered without waiting: let the others run.
                tokio::task::yield_now().await;
                if n % 2 == 0 {
                    read_post().await;
                    reads.set(reads.get() + 1);
                } else {
                    read_lists().await;
                    reads.set(reads.get() + 3);
                }
            }
        }
    }));
    let reading = async {
        readers.await;
        is_over.set(true);
    };
    join(reading, join(change, publish)).await;
    assert!(title.get() > 100 && published.get() > 100);
}

async fn a_name_is_new_everywhere_at_once(app: TestApp) {
    let ann = app.user("ann").await;
    app.admin("root").await;
    let root = app.client_of(&app.login("root").await);
    some_posts(&ann).await;
    let user = format!("/user/{}", ann.user_id);
    let reader = app.anonymous();
    for (n, name) in ["ann", "Anna", "Anne"].into_iter().enumerate() {
        match n {
            1 => ann
                .patch("/user/me", json!({ "name": name }))
                .await
                .expect(200),
            2 => root.patch(&user, json!({ "name": name })).await.expect(200),
            _ => Value::Null,
        };
        for path in PATHS {
            let body = reader.get(path).await.text();
            let said = if path.contains(".atom") {
                format!("<name>{name}</name>")
            } else {
                format!("\"{name}\"")
            };
            assert!(body.contains(&said), "{path}: {body}");
        }
    }
    root.delete(&user).await.expect_empty(204);
    for path in PATHS {
        let answer = reader.get(path).await;
        if answer.status == 200 {
            assert!(!answer.text().contains("Post "), "{path}");
        } else {
            answer.problem("post_not_found");
        }
    }
}

async fn without_memory_nothing_is_kept(app: TestApp) {
    let app = app.second(&["--cache-mb", "0"]).await;
    let ann = app.user("ann").await;
    some_posts(&ann).await;
    for path in PATHS {
        for _ in 0..2 {
            assert_eq!(queries(&app, app.anonymous().get(path)).await, 1, "{path}");
        }
    }
}

async fn another_process_sees_a_write_within_a_second(app: TestApp) {
    if app.database.backend == Backend::Sqlite {
        // One process has the file to itself.
        return;
    }
    let there = app.second(&[]).await;
    let ann = app.user("ann").await;
    some_posts(&ann).await;
    for path in PATHS {
        assert_eq!(there.anonymous().get(path).await.status, 200);
    }
    ann.patch("/post/3", json!({ "title": "Changed" }))
        .await
        .expect(200);
    ann.patch("/user/me", json!({ "name": "Anna" }))
        .await
        .expect(200);
    app.clock.advance(Duration::milliseconds(999));
    let old = there.anonymous().get("/post/3").await.expect(200);
    app.clock.advance(Duration::milliseconds(1));
    for path in PATHS {
        let (here, there) = (
            app.anonymous().get(path).await,
            there.anonymous().get(path).await,
        );
        assert_eq!(here.body, there.body, "{path}");
    }
    let new = there.anonymous().get("/post/3").await.expect(200);
    assert_eq!(new["post"]["post_title"], "Changed");
    assert_eq!(new["post"]["author"], "Anna");
    // Within that second it may be old, which costs no query.
    assert!(old["post"]["post_title"] == "Post 2");
}

async fn every_form_is_right_at_its_first_and_second_request(app: TestApp) {
    let ann = app.user("ann").await;
    some_posts(&ann).await;
    let ask = async |path: &str, accepted: &'static str| -> Answer {
        let request = app
            .anonymous()
            .request(Method::GET, path)
            .insert_header(("Accept-Encoding", accepted));
        app.send(request).await
    };
    some_posts(&ann).await;
    for path in ["/post/1", "/post/?q=word"] {
        let plain = app.anonymous().get(path).await;
        for (accepted, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("zstd, gzip", "zstd"),
            ("gzip", "gzip"),
        ] {
            let first = ask(path, accepted).await;
            let second = ask(path, accepted).await;
            for answer in [&first, &second] {
                assert_eq!(answer.header("content-encoding"), coding);
                assert_eq!(answer.header("vary"), "Accept-Encoding");
                assert_eq!(answer.header("content-type"), plain.header("content-type"));
                let opaque = plain.header("etag").trim_matches('"').to_owned();
                assert_eq!(answer.header("etag"), format!("\"{opaque}-{coding}\""));
                assert_eq!(decoded(answer), plain.body);
            }
            assert_eq!(first.body, second.body);
        }
    }
}

async fn what_is_not_public_is_never_kept(app: TestApp) {
    let ann = app.user("ann").await;
    let body = json!({ "title": "Secret", "content": "x", "status": "draft" });
    let id = ann.post("/post", body).await.expect(201)["post_id"].clone();
    let path = format!("/post/{id}");
    for _ in 0..2 {
        ann.get(&path).await.expect(200);
        ann.get("/post/?status=draft").await.expect(200);
        app.anonymous().get(&path).await.expect(404);
        app.anonymous().get("/post/?status=draft").await.expect(401);
        let list = app.anonymous().get("/post/").await.expect(200);
        assert_eq!(list["posts"], json!([]));
    }
}
