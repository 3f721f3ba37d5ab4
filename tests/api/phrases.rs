//! Phrases: what was published at once from many connections is found by every phrase
//! and word of it.

use futures_util::future::join_all;
use inkpot::posts::storage::check::words;
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_both_databases};

on_both_databases![
    a_storm_leaves_no_post_out_of_a_phrase,
    a_phrase_ends_in_a_beginning_where_it_stands,
];

const TEXT: &str = "我们在北京大学学习中文, and don't forget 3.14 and two words";
const CLIENTS: usize = 16;
const EACH: usize = 12;

/// The path of the posts that a query finds.
fn path(query: &str, size: usize) -> String {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("/post/?q={query}&size={size}")
}

async fn count(reader: &Client<'_>, query: &str) -> Value {
    let page = reader.get(&path(query, 1)).await.expect(200);
    if page.get("as_beginning").is_some() {
        return json!(0);
    }
    page["pagination"]["count"].clone()
}

async fn a_storm_leaves_no_post_out_of_a_phrase(app: TestApp) {
    let ann = app.user("ann").await;
    let publish = async |client: usize| {
        for n in 0..EACH {
            let body = |content: &str, status: &str| {
                let title = format!("{client} {n}");
                json!({ "title": title, "content": content, "status": status })
            };
            let make = async |body| {
                let made = ann.post("/post", body).await.expect(201);
                format!("/post/{}", made["post_id"])
            };
            // Published at once, later, with another text first, and beside one that goes.
            match n % 4 {
                0 => drop(make(body(TEXT, "published")).await),
                1 => {
                    let path = make(body(TEXT, "draft")).await;
                    let change = json!({ "status": "published" });
                    ann.patch(&path, change).await.expect(200);
                }
                2 => {
                    let path = make(body("大学北京 words two", "published")).await;
                    ann.patch(&path, json!({ "content": TEXT }))
                        .await
                        .expect(200);
                }
                _ => {
                    let path = make(body(TEXT, "published")).await;
                    make(body(TEXT, "published")).await;
                    ann.delete(&path).await.expect_empty(204);
                }
            }
        }
    };
    join_all((0..CLIENTS).map(publish)).await;
    let reader = app.anonymous();
    for query in [
        "北京大学",
        "我们在",
        "学习中文",
        "中",
        "北京",
        "don't",
        "3.14",
        "\"two words\"",
        "\"forget 3.14\"",
        "\"and two wor*\"",
        "words",
        "forg*",
    ] {
        assert_eq!(count(&reader, query).await, CLIENTS * EACH, "{query}");
        let mut seen = 0;
        let mut next = String::new();
        loop {
            let path = format!("{}&before={next}", path(query, 100));
            let page = reader.get(&path).await.expect(200);
            seen += page["posts"].as_array().unwrap().len();
            match page["pagination"]["next"].as_str() {
                Some(cursor) => cursor.clone_into(&mut next),
                None => break,
            }
        }
        assert_eq!(seen, CLIENTS * EACH, "{query}");
    }
    for query in ["大学北京", "\"words two\"", "4.13", "\"two word\"", "t'don"] {
        assert_eq!(count(&reader, query).await, 0, "{query}");
    }
    let found = app
        .database
        .with(|conn| words::compare(conn, &|_| Ok(())).unwrap());
    assert_eq!(found, words::Found::default());
}

async fn a_phrase_ends_in_a_beginning_where_it_stands(app: TestApp) {
    let ann = app.user("ann").await;
    for (title, content) in [
        ("alpha beta gamma", "x"),
        ("alpha beta", "delta gamma"),
        ("gamma alpha beta", "x"),
        ("x", "alpha beta"),
        ("第3章", "x"),
        ("第3", "x 章"),
        ("x", "iPhone手机"),
        ("iPhone", "手机"),
        ("x", "my iPhone手"),
    ] {
        ann.publish(title, content).await;
    }
    let reader = app.anonymous();
    for (query, found) in [
        ("\"alpha beta gam*\"", 1),
        ("\"alpha beta gamma\"", 1),
        ("\"alpha beta gam\"", 0),
        ("\"alpha beta\"", 4),
        ("\"beta del*\"", 0),
        ("\"beta x\"", 0),
        ("第3章", 1),
        ("iPhone手", 2),
        ("iPhone手机", 1),
    ] {
        assert_eq!(count(&reader, query).await, found, "{query}");
    }
}
