//! Months, tags and neighbours: what is told of all posts is what there is, after every write.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use inkpot::posts::actions::check;
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_both_databases};

on_both_databases![
    months_are_counted_after_every_write,
    tags_are_counted_after_every_write,
    everybody_sees_the_tags_of_their_own_writes,
    what_a_version_before_wrote_is_counted,
    those_of_a_user_who_leaves_are_not_counted,
    parameters_of_tags_are_refused_by_name,
];

async fn months(reader: &Client<'_>, filter: &str) -> Vec<(String, i64)> {
    let answer = reader
        .get(&format!("/post/archive?{filter}"))
        .await
        .expect(200);
    pairs(&answer["months"], "month")
}

async fn tags(reader: &Client<'_>, query: &str) -> Vec<(String, i64)> {
    let answer = reader.get(&format!("/tag/?{query}")).await.expect(200);
    pairs(&answer["tags"], "tag")
}

fn pairs(list: &Value, name: &str) -> Vec<(String, i64)> {
    let pair = |one: &Value| {
        (
            one[name].as_str().unwrap().to_owned(),
            one["posts"].as_i64().unwrap(),
        )
    };
    list.as_array().unwrap().iter().map(pair).collect()
}

fn owned(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected
        .iter()
        .map(|(name, posts)| ((*name).to_owned(), *posts))
        .collect()
}

/// Sets the clock, which only goes forward.
fn go_to(app: &TestApp, time: &str) {
    let time: DateTime<Utc> = time.parse().unwrap();
    let forward = time - app.clock.now().and_utc();
    assert!(forward >= TimeDelta::zero(), "{time}");
    app.clock.advance(forward);
}

fn missing(app: &TestApp) -> usize {
    let db = app.state.db.clone();
    let checking = std::thread::spawn(move || check::check(&db, &|_, _| {}).unwrap());
    checking.join().unwrap().missing.len()
}

async fn publish(author: &Client<'_>, tags: &[&str]) -> i64 {
    let body = json!({ "title": "x", "content": "y", "tags": tags });
    author.post("/post", body).await.expect(201)["post_id"]
        .as_i64()
        .unwrap()
}

async fn months_are_counted_after_every_write(app: TestApp) {
    app.user("ann").await;
    let reader = app.anonymous();
    assert_eq!(months(&reader, "").await, []);
    // Midnight by UTC decides.
    go_to(&app, "2031-12-31T23:59:59.999999Z");
    let ann = app.client_of(&app.login("ann").await);
    publish(&ann, &["a"]).await;
    go_to(&app, "2032-01-01T00:00:00Z");
    let second = publish(&ann, &["a", "b"]).await;
    publish(&ann, &["b"]).await;
    let drafted = json!({ "title": "x", "content": "y", "tags": ["a"], "status": "draft" });
    let draft = ann.post("/post", drafted).await.expect(201)["post_id"]
        .as_i64()
        .unwrap();
    assert_eq!(
        months(&reader, "").await,
        owned(&[("2032-01", 2), ("2031-12", 1)])
    );
    assert_eq!(
        months(&reader, "author=1").await,
        owned(&[("2032-01", 2), ("2031-12", 1)])
    );
    assert_eq!(
        months(&reader, "tag=a").await,
        owned(&[("2032-01", 1), ("2031-12", 1)])
    );
    assert_eq!(
        months(&reader, "tag=a&tag=b").await,
        owned(&[("2032-01", 1)])
    );
    assert_eq!(
        months(&reader, "tag=a&author=1").await,
        owned(&[("2032-01", 1), ("2031-12", 1)])
    );
    assert_eq!(months(&reader, "author=2").await, []);
    go_to(&app, "2032-03-01T00:00:00Z");
    let ann = app.client_of(&app.login("ann").await);
    let path = format!("/post/{draft}");
    ann.patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(
        months(&reader, "tag=a").await,
        owned(&[("2032-03", 1), ("2032-01", 1), ("2031-12", 1)])
    );
    // Another date.
    let path = format!("/post/{second}");
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(
        months(&reader, "tag=a").await,
        owned(&[("2032-03", 1), ("2031-12", 1)])
    );
    ann.patch(&path, json!({ "status": "published", "as_new": true }))
        .await
        .expect(200);
    assert_eq!(
        months(&reader, "").await,
        owned(&[("2032-03", 2), ("2032-01", 1), ("2031-12", 1)])
    );
    ann.patch(&path, json!({ "tags": [] })).await.expect(200);
    assert_eq!(
        months(&reader, "tag=a").await,
        owned(&[("2032-03", 1), ("2031-12", 1)])
    );
    ann.delete(&path).await.expect_empty(204);
    assert_eq!(
        months(&reader, "").await,
        owned(&[("2032-03", 1), ("2032-01", 1), ("2031-12", 1)])
    );
    reader
        .get("/post/archive?author=@nobody-here")
        .await
        .problem("user_not_found");
    assert_eq!(missing(&app), 0);
}

async fn tags_are_counted_after_every_write(app: TestApp) {
    let ann = app.user("ann").await;
    let reader = app.anonymous();
    assert_eq!(tags(&reader, "").await, []);
    let first = publish(&ann, &["rust", "b", "Ж"]).await;
    publish(&ann, &["rust", "rusty"]).await;
    publish(&ann, &["rust", "z", "b"]).await;
    let draft = json!({ "title": "x", "content": "y", "tags": ["draft"], "status": "draft" });
    ann.post("/post", draft).await.expect(201);
    let all = [("rust", 3), ("b", 2), ("rusty", 1), ("z", 1), ("ж", 1)];
    assert_eq!(tags(&reader, "").await, owned(&all));
    assert_eq!(
        tags(&reader, "sort=name").await,
        owned(&[("b", 2), ("rust", 3), ("rusty", 1), ("z", 1), ("ж", 1)])
    );
    assert_eq!(
        tags(&reader, "q=RUS").await,
        owned(&[("rust", 3), ("rusty", 1)])
    );
    assert_eq!(
        tags(&reader, "q=rusty&sort=name").await,
        owned(&[("rusty", 1)])
    );
    assert_eq!(tags(&reader, "q=%D0%96").await, owned(&[("ж", 1)]));
    assert_eq!(tags(&reader, "q=draft").await, []);
    for page in 1..=3 {
        let answer = reader.get(&format!("/tag/?size=2&page={page}")).await;
        let body = answer.expect(200);
        let shown = all
            .iter()
            .copied()
            .skip((page - 1) * 2)
            .take(2)
            .collect::<Vec<_>>();
        assert_eq!(pairs(&body["tags"], "tag"), owned(&shown));
        assert_eq!(body["pagination"]["count"], 5);
        assert_eq!(body["pagination"]["pages"], 3);
        assert_eq!(answer.header("link").contains("rel=\"next\""), page < 3);
    }
    assert_eq!(tags(&reader, "page=99").await, []);
    let path = format!("/post/{first}");
    ann.patch(&path, json!({ "tags": ["rust", "new"] }))
        .await
        .expect(200);
    assert_eq!(
        tags(&reader, "").await,
        owned(&[("rust", 3), ("b", 1), ("new", 1), ("rusty", 1), ("z", 1)])
    );
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(
        tags(&reader, "").await,
        owned(&[("rust", 2), ("b", 1), ("rusty", 1), ("z", 1)])
    );
    ann.patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    ann.delete(&path).await.expect_empty(204);
    assert_eq!(
        tags(&reader, "").await,
        owned(&[("rust", 2), ("b", 1), ("rusty", 1), ("z", 1)])
    );
    assert_eq!(missing(&app), 0);
}

async fn everybody_sees_the_tags_of_their_own_writes(app: TestApp) {
    let ann = app.user("ann").await;
    publish(&ann, &["all"]).await;
    tags(&ann, "").await;
    // In turns that nobody orders, each reads the lists right after their write.
    let writers = (0..8).map(async |writer: i64| {
        let own = format!("own-{writer}");
        for n in 1..=6 {
            let id = publish(&ann, &["all", &own]).await;
            let seen = tags(&ann, &format!("q={own}")).await;
            assert_eq!(seen, owned(&[(own.as_str(), n)]));
            let all = tags(&ann, "size=1").await;
            assert!(all[0].0 == "all" && all[0].1 > n, "{all:?}");
            if n == 6 {
                ann.delete(&format!("/post/{id}")).await.expect_empty(204);
                let seen = tags(&ann, &format!("q={own}&sort=name")).await;
                assert_eq!(seen, owned(&[(own.as_str(), 5)]));
            }
        }
    });
    join_all(writers).await;
    let mut expected = vec![("all".to_owned(), 41)];
    expected.extend((0..8).map(|writer| (format!("own-{writer}"), 5)));
    assert_eq!(tags(&ann, "").await, expected);
    // So is what a job publishes.
    let due = app.clock.now() + TimeDelta::minutes(1);
    let body = json!({
        "title": "x", "content": "y", "tags": ["later"], "status": "scheduled",
        "publish_at": due.and_utc().to_rfc3339(),
    });
    ann.post("/post", body).await.expect(201);
    assert_eq!(tags(&ann, "q=later").await, []);
    app.clock.advance(TimeDelta::minutes(2));
    app.work().await;
    assert_eq!(tags(&ann, "q=later").await, owned(&[("later", 1)]));
    assert_eq!(missing(&app), 0);
}

/// A version that does not know of these counts writes none of them.
async fn what_a_version_before_wrote_is_counted(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..30 {
        publish(&ann, &["a", ["b", "c", "d"][n % 3]]).await;
    }
    let month = app.clock.now().format("%Y-%m").to_string();
    let expected = BTreeMap::from_iter(owned(&[("a", 30), ("b", 10), ("c", 10), ("d", 10)]));
    app.database.with(|conn| {
        for sql in [
            "DELETE FROM post_count WHERE level IN (2, 3)",
            "UPDATE count_upkeep SET filled = 0",
        ] {
            conn.batch_execute(sql).unwrap();
        }
    });
    // Until they are counted, the posts themselves are.
    let second = app.second(&[]).await;
    let told = async || {
        let reader = second.anonymous();
        assert_eq!(months(&reader, "").await, owned(&[(&month, 30)]));
        assert_eq!(months(&reader, "tag=b").await, owned(&[(&month, 10)]));
        assert_eq!(BTreeMap::from_iter(tags(&reader, "").await), expected);
        assert_eq!(tags(&reader, "q=b").await, owned(&[("b", 10)]));
    };
    told().await;
    assert_eq!(missing(&app), 0);
    let fillers = [app.state.db.clone(), second.state.db.clone()]
        .map(|db| std::thread::spawn(move || check::fill_counts(&db).unwrap()));
    let filled = fillers.map(|filler| filler.join().unwrap());
    assert!(filled.contains(&true));
    told().await;
    assert_eq!(missing(&app), 0);
    // Then it writes once more, which the days tell.
    app.database.with(|conn| {
        conn.batch_execute(
            "UPDATE post_count SET posts = posts - 1 WHERE level = 2 AND list = 'a'",
        )
        .unwrap();
    });
    assert!(missing(&app) > 0);
    let db = app.state.db.clone();
    let filled = std::thread::spawn(move || [(); 2].map(|()| check::fill_counts(&db).unwrap()));
    assert_eq!(filled.join().unwrap(), [true, false]);
    assert_eq!(missing(&app), 0);
    let third = app.second(&[]).await;
    assert_eq!(months(&third.anonymous(), "").await, owned(&[(&month, 30)]));
}

async fn those_of_a_user_who_leaves_are_not_counted(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    // More than are deleted with the user: a job deletes the others.
    for n in 0..210 {
        publish(&ann, if n % 2 == 0 { &["a", "b"] } else { &["a"] }).await;
    }
    publish(&bob, &["a"]).await;
    let body = json!({ "current_password": crate::harness::PASSWORD });
    ann.call(actix_web::http::Method::DELETE, "/user/me", body)
        .await
        .expect_empty(204);
    let month = app.clock.now().format("%Y-%m").to_string();
    let told = async || {
        for filter in ["", "tag=a", "author=2", "author=2&tag=a"] {
            assert_eq!(
                months(&bob, filter).await,
                owned(&[(&month, 1)]),
                "{filter}"
            );
        }
        for filter in ["author=1", "tag=b", "author=1&tag=a"] {
            assert_eq!(months(&bob, filter).await, [], "{filter}");
        }
        assert_eq!(tags(&bob, "").await, owned(&[("a", 1)]));
        bob.get("/post/210/around").await.problem("post_not_found");
        let around = bob.get("/post/211/around").await.expect(200);
        assert_eq!(around, json!({ "newer": null, "older": null }));
    };
    told().await;
    app.work().await;
    told().await;
    assert_eq!(missing(&app), 0);
}

async fn parameters_of_tags_are_refused_by_name(app: TestApp) {
    let long = "x".repeat(33);
    for (path, name) in [
        ("/tag/?sort=date".to_owned(), "sort"),
        (format!("/tag/?q={long}"), "q"),
        ("/tag/?before=7".to_owned(), "before"),
        ("/tag/?q=a&q=b".to_owned(), "q is there twice"),
        ("/post/archive?month=2026-11".to_owned(), "month"),
        ("/post/archive?tag=+".to_owned(), "tag"),
        ("/post/archive?author=x".to_owned(), "author"),
    ] {
        let problem = app.anonymous().get(&path).await.problem("query_invalid");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("The parameter {name}")),
            "{path}: {detail}"
        );
    }
}
