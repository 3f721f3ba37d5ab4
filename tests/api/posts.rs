//! Publishing, reading, paging.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{content, post};
use serde_json::{Value, json};

use crate::harness::{TestApp, on_both_databases};

on_both_databases![
    a_published_post_can_be_read_by_anyone,
    both_paths_publish,
    a_post_that_is_not_there_is_told,
    lists_are_newest_first_and_without_content,
    pages_fall_back_to_what_makes_sense,
    a_page_past_the_end_is_empty,
    links_lead_through_all_pages,
    posts_of_one_instant_have_an_order,
    a_hundred_publishers_at_once_lose_nothing,
    a_post_without_its_content_is_never_kept,
    a_read_can_be_revalidated,
];

async fn a_published_post_can_be_read_by_anyone(app: TestApp) {
    let ann = app.user("ann").await;
    let answer = ann
        .post(
            "/post/pub",
            json!({ "title": "Hello", "content": "World\n" }),
        )
        .await;
    let body = answer.expect(201);
    let id = body["post_id"].as_i64().unwrap();
    assert_eq!(answer.header("location"), format!("/post/{id}"));
    assert_eq!(body["user_id"], ann.user_id);

    let read = app.anonymous().get(&format!("/post/{id}")).await;
    let found = read.expect(200);
    assert_eq!(found["post"], body["post"]);
    assert_eq!(read.header("etag"), answer.header("etag"));
    let post = &found["post"];
    assert_eq!(post["post_title"], "Hello");
    assert_eq!(post["post_content"], "World\n");
    assert_eq!(post["author"], "ann");
    assert_eq!(post["author_id"], ann.user_id);
    assert_eq!(post["date"], post["updated"]);
    assert_eq!(post["date"], post["created"]);
    assert_eq!(post["author_username"], serde_json::Value::Null);
    assert_eq!(
        post["date"],
        inkpot::core::clock::rfc3339(app.clock.now()),
        "to the microsecond, on both databases"
    );
}

async fn both_paths_publish(app: TestApp) {
    let ann = app.user("ann").await;
    for path in ["/post/pub", "/post/pub/", "/post", "/post/"] {
        ann.post(path, json!({ "title": path, "content": "x" }))
            .await
            .expect(201);
    }
    let answer = app
        .anonymous()
        .post("/post", json!({ "title": "x", "content": "x" }))
        .await;
    answer.expect(401);
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], 4);
    assert_eq!(page, app.anonymous().get("/post/").await.expect(200));
}

async fn a_post_that_is_not_there_is_told(app: TestApp) {
    // The last could be a slug.
    for id in ["1", "999999", "9223372036854775807", "-1"] {
        let answer = app.anonymous().get(&format!("/post/{id}")).await;
        answer.expect(404);
        answer.problem("post_not_found");
    }
    for id in [
        "0",
        "01",
        "+1",
        "1.0",
        "1.5",
        "X",
        "a_b",
        "%00",
        "%FF",
        "9223372036854775808",
        "99999999999999999999999999",
        "1%20",
        "%31;",
    ] {
        let answer = app.anonymous().get(&format!("/post/{id}")).await;
        answer.expect(400);
        answer.problem("path_invalid");
    }
    // One URL for each post, percent-encoded or not.
    let id = app.user("ann").await.publish("x", "y").await;
    assert_eq!(id, 1);
    app.anonymous().get("/post/%31").await.expect(200);
}

async fn lists_are_newest_first_and_without_content(app: TestApp) {
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    for n in 0..5 {
        app.clock.advance(chrono::Duration::seconds(1));
        let author = if n % 2 == 0 { &ann } else { &bob };
        author.publish(&format!("Post {n}"), "text").await;
    }
    let page = app
        .anonymous()
        .get("/post/?page=1&size=3")
        .await
        .expect(200);
    let posts = page["posts"].as_array().unwrap();
    let titles: Vec<&Value> = posts.iter().map(|p| &p["post_title"]).collect();
    assert_eq!(titles, ["Post 4", "Post 3", "Post 2"]);
    let authors: Vec<&Value> = posts.iter().map(|p| &p["author"]).collect();
    assert_eq!(authors, ["ann", "bob", "ann"]);
    assert!(posts.iter().all(|p| p.get("post_content").is_none()));
    assert_eq!(
        page["pagination"],
        json!({ "count": 5, "pages": 2, "page": 1, "size": 3, "next": page["pagination"]["next"] })
    );
}

async fn pages_fall_back_to_what_makes_sense(app: TestApp) {
    app.user("ann").await.publish("x", "y").await;
    for (query, page, size) in [
        ("", 1, 20),
        ("?", 1, 20),
        ("?page=&size=", 1, 20),
        ("?page=0&size=0", 1, 20),
        ("?page=-1&size=-5", 1, 20),
        ("?page=x&size=1.5", 1, 20),
        ("?page=1&size=101", 1, 100),
        ("?size=99999999999999999999", 1, 100),
        ("?page=2&size=100", 2, 100),
        ("?page=%32", 2, 20),
        ("?page=+2", 1, 20),
        ("?page=%FF&size=%00", 1, 20),
        ("?&&&page", 1, 20),
        ("?page=9223372036854775807", i64::MAX, 20),
        ("?page=9223372036854775808", i64::MAX, 20),
    ] {
        let body = app
            .anonymous()
            .get(&format!("/post/{query}"))
            .await
            .expect(200);
        assert_eq!(body["pagination"]["page"], page, "{query}");
        assert_eq!(body["pagination"]["size"], size, "{query}");
        assert_eq!(body["pagination"]["count"], 1, "{query}");
    }
}

async fn a_page_past_the_end_is_empty(app: TestApp) {
    for query in [
        "?page=1",
        "?page=7&size=3",
        "?page=9223372036854775807&size=100",
    ] {
        let body = app
            .anonymous()
            .get(&format!("/post/{query}"))
            .await
            .expect(200);
        assert_eq!(body["posts"], json!([]), "{query}");
        assert_eq!(body["pagination"]["count"], 0, "{query}");
        assert_eq!(body["pagination"]["pages"], 0, "{query}");
    }
}

async fn links_lead_through_all_pages(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..7 {
        ann.publish(&format!("Post {n}"), "text").await;
    }
    let mut path = "/post/?size=3".to_owned();
    let mut seen = Vec::new();
    let mut links = Vec::new();
    loop {
        let answer = app.anonymous().get(&path).await;
        for post in answer.expect(200)["posts"].as_array().unwrap() {
            seen.push(post["post_id"].as_i64().unwrap());
        }
        links.push(answer.header("link").to_owned());
        let next = answer
            .header("link")
            .split(", ")
            .find(|l| l.ends_with("rel=\"next\""));
        match next.and_then(|l| l.split(['<', '>']).nth(1)) {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    assert_eq!(seen, (1..=7).rev().collect::<Vec<i64>>());
    assert_eq!(links.len(), 3);
    assert_eq!(
        links[1],
        "</post/?page=1&size=3>; rel=\"first\", </post/?page=1&size=3>; rel=\"prev\", \
         </post/?page=3&size=3>; rel=\"next\", </post/?page=3&size=3>; rel=\"last\""
    );
}

async fn posts_of_one_instant_have_an_order(app: TestApp) {
    let ann = app.user("ann").await;
    for _ in 0..10 {
        ann.publish("same", "instant").await;
    }
    let mut seen = Vec::new();
    for page in 1..=5 {
        let body = app
            .anonymous()
            .get(&format!("/post/?page={page}&size=2"))
            .await
            .expect(200);
        for post in body["posts"].as_array().unwrap() {
            seen.push(post["post_id"].as_i64().unwrap());
        }
    }
    assert_eq!(seen, (1..=10).rev().collect::<Vec<i64>>());
}

async fn a_hundred_publishers_at_once_lose_nothing(app: TestApp) {
    let ann = app.user("ann").await;
    let answers = join_all((0..100).map(|n| {
        ann.post(
            "/post",
            json!({ "title": format!("t{n}"), "content": format!("c{n}") }),
        )
    }))
    .await;
    let mut ids: Vec<i64> = answers
        .iter()
        .map(|a| a.expect(201)["post_id"].as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    for (n, answer) in answers.iter().enumerate() {
        let id = answer.json()["post_id"].clone();
        let post = app
            .anonymous()
            .get(&format!("/post/{id}"))
            .await
            .expect(200);
        assert_eq!(post["post"]["post_title"], format!("t{n}"));
        assert_eq!(post["post"]["post_content"], format!("c{n}"));
    }
}

async fn a_post_without_its_content_is_never_kept(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("before", "x").await;
    app.database.with(|conn| {
        conn.batch_execute("ALTER TABLE content RENAME TO content_away")
            .unwrap();
    });
    let answer = ann
        .post("/post", json!({ "title": "half", "content": "x" }))
        .await;
    let problem = answer.expect(500);
    answer.problem("internal");
    let text = problem.to_string().to_lowercase();
    assert!(
        !text.contains("content_away") && !text.contains("table"),
        "{text}"
    );
    app.database.with(|conn| {
        conn.batch_execute("ALTER TABLE content_away RENAME TO content")
            .unwrap();
    });
    let (posts, texts): (i64, i64) = app.database.with(|conn| {
        (
            post::table.count().get_result(conn).unwrap(),
            content::table.count().get_result(conn).unwrap(),
        )
    });
    assert_eq!((posts, texts), (1, 1));
    ann.publish("after", "x").await;
}

async fn a_read_can_be_revalidated(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann
        .publish("x", &"long enough to be compressed ".repeat(100))
        .await;
    for path in [
        format!("/post/{id}"),
        "/post/".to_owned(),
        format!("/user/{}", ann.user_id),
    ] {
        let first = app.anonymous().get(&path).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        let ask = async |condition: String| {
            let request = app
                .anonymous()
                .request(actix_web::http::Method::GET, &path)
                .insert_header(("If-None-Match", condition));
            app.send(request).await
        };
        let opaque = etag.trim_matches('"');
        for condition in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"other\", {etag}"),
            format!("\"{opaque}-br\""),
            "*".to_owned(),
        ] {
            let answer = ask(condition.clone()).await;
            assert_eq!(answer.status.as_u16(), 304, "{condition}");
            assert!(answer.body.is_empty());
            assert_eq!(answer.header("etag"), etag);
            assert_eq!(answer.header("vary"), "Accept-Encoding");
        }
        for condition in [
            "\"other\"".to_owned(),
            opaque.to_owned(),
            format!("\"{opaque}-x\""),
            String::new(),
        ] {
            ask(condition).await.expect(200);
        }
    }
}
