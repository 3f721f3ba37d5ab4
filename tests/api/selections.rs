//! Lists by several tags, by the name of an author, between dates and from the oldest on: what is
//! in them, in which order, and what they cost in their depth.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_both_databases, posts};

on_both_databases![
    selections_are_exact_in_every_part,
    selections_are_right_after_every_write,
    an_author_is_found_by_their_present_name,
    parameters_of_selections_are_refused_by_name,
    cursors_go_on_among_posts_of_one_date,
    neighbours_are_those_of_the_list,
];

fn id(post: &Value) -> i64 {
    post["post_id"].as_i64().unwrap()
}

async fn page(reader: &Client<'_>, path: &str) -> (Vec<i64>, Value) {
    let answer = reader.get(path).await.expect(200);
    let posts = answer["posts"].as_array().unwrap();
    (posts.iter().map(id).collect(), answer["pagination"].clone())
}

/// Reads a list by its pages, by cursors, and by the links of both.
pub async fn read_all(reader: &Client<'_>, filter: &str, size: usize) -> [Vec<i64>; 3] {
    let mut by_page = Vec::new();
    for number in 1.. {
        let path = format!("/post/?{filter}&page={number}&size={size}");
        let (some, pagination) = page(reader, &path).await;
        by_page.extend(some);
        let pages = pagination["pages"].as_i64().unwrap();
        assert_eq!(pagination["next"].is_null(), number >= pages, "{path}");
        if number >= pages {
            assert_eq!(pagination["count"], by_page.len(), "{path}");
            break;
        }
    }
    let (mut by_cursor, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/post/?{filter}&before={cursor}&size={size}");
        let (some, pagination) = page(reader, &path).await;
        by_cursor.extend(some);
        match pagination["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let (mut by_link, mut path) = (Vec::new(), format!("/post/?{filter}&before=&size={size}"));
    loop {
        let answer = reader.get(&path).await;
        by_link.extend(
            answer.expect(200)["posts"]
                .as_array()
                .unwrap()
                .iter()
                .map(id),
        );
        let links = answer.header("link").to_owned();
        let next = links
            .split(", ")
            .find(|link| link.ends_with("rel=\"next\""));
        match next.and_then(|link| link.split(['<', '>']).nth(1)) {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    [by_page, by_cursor, by_link]
}

/// Post `n` of [`fill`] is published so many minutes after the first; every fourth with the one
/// before it.
fn minute(n: i64) -> i64 {
    if n % 4 == 0 { n - 1 } else { n }
}

/// Publishes posts with the ids from 1 to 48, by bob if odd, with the tags `all`, `third` if the id is
/// divisible by 3 and `fourth` if by 4, and the word `fifth` if by 5; gives the time of number 0.
async fn fill(app: &TestApp, ann: &Client<'_>, bob: &Client<'_>) -> DateTime<chrono::Utc> {
    let start = app.clock.now().and_utc();
    for n in 1..=48 {
        let author = if n % 2 == 1 { bob } else { ann };
        let mut tags = vec!["all"];
        tags.extend((n % 3 == 0).then_some("third"));
        tags.extend((n % 4 == 0).then_some("fourth"));
        app.clock
            .advance(start + TimeDelta::minutes(minute(n)) - app.clock.now().and_utc());
        let content = if n % 5 == 0 { "fifth" } else { "other" };
        let body = json!({ "title": "x", "content": content, "tags": tags });
        author.post("/post", body).await.expect(201);
    }
    start
}

/// Which of the numbers a filter takes.
type Fits = fn(i64) -> bool;

async fn selections_are_exact_in_every_part(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let named = json!({ "username": "Bob-the-builder" });
    bob.patch("/user/me", named).await.expect(200);
    let start = fill(&app, &ann, &bob).await;
    let time = |minute| {
        let time = start + TimeDelta::minutes(minute);
        time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    };
    let bob_id = bob.user_id;
    let cases: [(String, Fits); 18] = [
        (String::new(), |_| true),
        ("tag=third&tag=fourth".to_owned(), |n| n % 12 == 0),
        ("tag=fourth&tag=all&tag=third&tag=".to_owned(), |n| {
            n % 12 == 0
        }),
        ("tag=all&tag=all".to_owned(), |_| true),
        ("tag=third&tag=none".to_owned(), |_| false),
        (format!("author={bob_id}&tag=all&tag=third"), |n| n % 6 == 3),
        ("author=@bob-the-BUILDER".to_owned(), |n| n % 2 == 1),
        (
            "author=@bob-the-builder&tag=third&q=fifth".to_owned(),
            |n| n % 30 == 15,
        ),
        ("tag=all&tag=third&q=fifth".to_owned(), |n| n % 15 == 0),
        (format!("since={}", time(20)), |n| minute(n) >= 20),
        (format!("until={}", time(19)), |n| minute(n) < 19),
        (format!("since={}&until={}", time(7), time(8)), |n| {
            minute(n) == 7
        }),
        (format!("since={}&until={}", time(8), time(8)), |_| false),
        (format!("since={}&until={}", time(9), time(8)), |_| false),
        (
            format!("since={}&until={}&author={bob_id}", time(7), time(30)),
            |n| n % 2 == 1 && (7..30).contains(&minute(n)),
        ),
        (
            format!("since={}&until={}&tag=third", time(7), time(30)),
            |n| n % 3 == 0 && (7..30).contains(&minute(n)),
        ),
        (
            format!(
                "since={}&author=@bob-the-builder&tag=third&tag=all",
                time(7)
            ),
            |n| n % 6 == 3 && minute(n) >= 7,
        ),
        (
            format!("since={}&until={}&q=fifth&tag=all", time(7), time(30)),
            |n| n % 5 == 0 && (7..30).contains(&minute(n)),
        ),
    ];
    for (filter, fits) in cases {
        let mut expected: Vec<i64> = (1..=48).rev().filter(|n| fits(*n)).collect();
        for sort in ["newest", "oldest"] {
            let filter = format!("{filter}&sort={sort}");
            for size in [1, 7, 100] {
                for found in read_all(&app.anonymous(), &filter, size).await {
                    assert_eq!(found, expected, "{filter} by {size}");
                }
            }
            expected.reverse();
        }
    }
    // Between two microseconds there is no date.
    for (digits, count) in [("000Z", 48 - 6), ("500Z", 48 - 8)] {
        let since = time(7).replace('Z', digits);
        let (_, pagination) = page(&app.anonymous(), &format!("/post/?since={since}")).await;
        assert_eq!(pagination["count"], count, "{since}");
    }
}

async fn selections_are_right_after_every_write(app: TestApp) {
    let ann = app.user("ann").await;
    ann.patch("/user/me", json!({ "username": "ann-smith" }))
        .await
        .expect(200);
    let begun = app
        .clock
        .now()
        .and_utc()
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let lists = [
        "tag=one&tag=two".to_owned(),
        "author=@ann-smith&tag=one".to_owned(),
        format!("since={begun}"),
        format!("since={begun}&tag=one&tag=two&sort=oldest"),
        "sort=oldest".to_owned(),
    ];
    let counts = async || {
        let mut counts = Vec::new();
        for list in &lists {
            let path = format!("/post/?{list}");
            counts.push(
                page(&app.anonymous(), &path).await.1["count"]
                    .as_i64()
                    .unwrap(),
            );
        }
        counts
    };
    assert_eq!(counts().await, [0; 5]);
    let body = json!({ "title": "x", "content": "y", "tags": ["two", "one"] });
    let made = ann.post("/post", body).await.expect(201);
    let path = format!("/post/{}", id(&made));
    assert_eq!(counts().await, [1; 5]);
    for (change, expected) in [
        (json!({ "tags": ["one"] }), [0, 1, 1, 0, 1]),
        (json!({ "tags": ["two", "one", "three"] }), [1; 5]),
        (json!({ "status": "draft" }), [0; 5]),
        (json!({ "status": "published" }), [1; 5]),
    ] {
        ann.patch(&path, change).await.expect(200);
        assert_eq!(counts().await, expected);
    }
    ann.delete(&path).await.expect_empty(204);
    assert_eq!(counts().await, [0; 5]);
}

async fn an_author_is_found_by_their_present_name(app: TestApp) {
    let ann = app.user("ann").await;
    let reader = app.anonymous();
    for nobody in [
        "/post/?author=@ann-smith",
        "/post/?author=@",
        "/post/?author=@a+b",
        "/feed.json?author=@ann-smith",
    ] {
        reader.get(nobody).await.problem("user_not_found");
    }
    ann.patch("/user/me", json!({ "username": "ann-smith" }))
        .await
        .expect(200);
    ann.publish("x", "y").await;
    let drafted = json!({ "title": "x", "content": "y", "status": "draft" });
    ann.post("/post", drafted).await.expect(201);
    assert_eq!(page(&reader, "/post/?author=@Ann-Smith").await.0, [1]);
    assert_eq!(
        page(&ann, "/post/?author=@ann-smith&status=draft").await.0,
        [2]
    );
    let feed = reader.get("/feed.json?author=@ann-smith").await.expect(200);
    assert_eq!(feed["items"].as_array().unwrap().len(), 1);
    let links = reader.get("/post/?author=@Ann-Smith").await;
    assert!(
        links.header("link").contains("author=%40ann-smith"),
        "{}",
        links.header("link")
    );
    ann.patch("/user/me", json!({ "username": "ann-jones" }))
        .await
        .expect(200);
    for path in ["/post/?author=@ann-smith", "/feed.json?author=@ann-smith"] {
        reader.get(path).await.problem("user_not_found");
    }
    assert_eq!(page(&reader, "/post/?author=@ann-jones").await.0, [1]);
}

async fn parameters_of_selections_are_refused_by_name(app: TestApp) {
    let ann = app.user("ann").await;
    let many: Vec<String> = (0..11).map(|n| format!("tag=t{n}")).collect();
    for (query, name) in [
        (many.join("&").as_str(), "tag"),
        ("sort=Newest", "sort"),
        ("sort=date", "sort"),
        ("sort=newest&sort=newest", "sort is there twice"),
        ("since=2026-11-01", "since"),
        ("since=yesterday", "since"),
        ("until=2026-11-01T00:00:00", "until"),
        ("until=2026-11-01T25:00:00Z", "until"),
        ("since=2026-11-01T00:00:00+01:00", "since"),
        ("author=@ann&author=1", "author is there twice"),
        ("since=2026-11-01T00:00:00Z&status=draft", "since"),
        ("until=2026-11-01T00:00:00Z&status=draft", "until"),
        // A cursor of another order.
        ("since=2026-11-01T00:00:00Z&before=7", "before"),
        ("before=1790000000000000.7", "before"),
        (
            "since=2026-11-01T00:00:00Z&before=1790000000000000.",
            "before",
        ),
        // Times that no post has, and that a database does not take.
        (
            "since=2026-11-01T00:00:00Z&before=-62198755200000000.1",
            "before",
        ),
        (
            "since=2026-11-01T00:00:00Z&sort=oldest&before=8210266876799999999.1",
            "before",
        ),
    ] {
        let problem = ann
            .get(&format!("/post/?{query}"))
            .await
            .problem("query_invalid");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("The parameter {name}")),
            "{query}: {detail}"
        );
    }
    // The links of what is no year of RFC 3339 by the clock of UTC can be followed.
    for query in [
        "since=0000-01-01T00:00:00%2B23:59",
        "until=9999-12-31T23:59:59-23:59",
    ] {
        let answer = ann.get(&format!("/post/?{query}")).await;
        let links = answer.header("link").to_owned();
        let first = links.split(['<', '>']).nth(1).unwrap();
        ann.get(first).await.expect(200);
    }
    // What lies beyond what a database takes as a time is there for nobody, and no error.
    for (query, count) in [
        ("since=0000-01-01T00:00:00Z", 1),
        ("until=9999-12-31T23:59:60Z", 1),
        ("since=9999-12-31T23:59:59.999999Z", 0),
        ("until=0000-01-01T00:00:00%2B23:59", 0),
        ("since=&until=&sort=&tag=&author=", 1),
    ] {
        if count == 1 && ann.get("/post").await.expect(200)["pagination"]["count"] == 0 {
            ann.publish("x", "y").await;
        }
        let (_, pagination) = page(&ann, &format!("/post/?{query}")).await;
        assert_eq!(pagination["count"], count, "{query}");
    }
}

async fn cursors_go_on_among_posts_of_one_date(app: TestApp) {
    let ann = app.user("ann").await;
    let total: i64 = 20_000;
    app.database
        .with(move |conn| posts::insert_many(conn, 1, total));
    // The dates are those of `insert_many`: 4,096 ids have the same one.
    let between = "since=2010-11-01T00:00:00Z&until=2012-10-01T00:00:00Z";
    let expected = |is_even: bool| -> Vec<i64> {
        let ids = (4096..16384).filter(|id| id % 3 != 0 && (!is_even || id % 2 == 0));
        ids.collect()
    };
    for (filter, is_even) in [
        ("", false),
        ("&tag=even", true),
        ("&tag=even&tag=all&author=1", true),
    ] {
        for sort in ["newest", "oldest"] {
            let mut all = expected(is_even);
            if sort == "newest" {
                all.reverse();
            }
            for number in [1, 2, 100, 137, 8000] {
                let path = format!("/post/?{between}{filter}&sort={sort}&page={number}");
                let (some, pagination) = page(&ann, &path).await;
                let skipped = (number - 1) * 20;
                let shown: Vec<i64> = all.iter().copied().skip(skipped).take(20).collect();
                assert_eq!(some, shown, "{path}");
                assert_eq!(pagination["count"], all.len(), "{path}");
                if let Some(next) = pagination["next"].as_str() {
                    let path =
                        format!("/post/?{between}{filter}&sort={sort}&before={next}&size=100");
                    let rest: Vec<i64> = all.iter().copied().skip(skipped + 20).take(100).collect();
                    assert_eq!(page(&ann, &path).await.0, rest, "{path}");
                }
            }
        }
    }
}

async fn neighbours_are_those_of_the_list(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    bob.patch("/user/me", json!({ "username": "bob-builder" }))
        .await
        .expect(200);
    fill(&app, &ann, &bob).await;
    let reader = app.anonymous();
    let around = async |post: i64, filter: &str| {
        let answer = reader
            .get(&format!("/post/{post}/around?{filter}"))
            .await
            .expect(200);
        [&answer["newer"], &answer["older"]].map(|one| one["post_id"].as_i64().unwrap_or(0))
    };
    for (post, filter, expected) in [
        (1, "", [2, 0]),
        (20, "", [21, 19]),
        (48, "", [0, 47]),
        (20, "author=1", [22, 18]),
        (20, "author=@bob-builder", [21, 19]),
        (20, "tag=third", [21, 18]),
        (20, "tag=third&tag=fourth", [24, 12]),
        (20, "tag=third&author=@bob-builder", [21, 15]),
        (20, "tag=none", [0, 0]),
        (20, "author=99", [0, 0]),
    ] {
        assert_eq!(around(post, filter).await, expected, "{post} {filter}");
    }
    // Right after every write.
    ann.patch("/post/18", json!({ "tags": [] }))
        .await
        .expect(200);
    assert_eq!(around(20, "tag=third").await, [21, 15]);
    bob.delete("/post/21").await.expect_empty(204);
    assert_eq!(around(20, "tag=third").await, [24, 15]);
    assert_eq!(around(20, "").await, [22, 19]);
    ann.patch("/post/20", json!({ "title": "other" }))
        .await
        .expect(200);
    let older = reader.get("/post/22/around").await.expect(200);
    assert_eq!(older["older"]["post_title"], "other");
    ann.patch("/post/20", json!({ "status": "draft" }))
        .await
        .expect(200);
    ann.get("/post/20/around").await.problem("post_not_found");
    for (path, code) in [
        ("/post/21/around", "post_not_found"),
        ("/post/1/around?author=@nobody-here", "user_not_found"),
        ("/post/1/around?since=2026-11-01T00:00:00Z", "query_invalid"),
    ] {
        reader.get(path).await.problem(code);
    }
}
