//! The kept counts say what the posts say, whatever happens at once.

use std::collections::HashMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{content, post, post_tag};
use inkpot::core::db::{Conn, DatabaseUrl, connection};
use inkpot::posts::actions;
use inkpot::posts::actions::check::Report;
use inkpot::posts::actions::publish::prepare_request;
use inkpot::posts::publication::Publish;
use inkpot::posts::storage::check;
use inkpot::posts::storage::check::{tags, words};
use inkpot::posts::storage::counts::Block;
use inkpot::posts::storage::posts as store;
use inkpot::posts::types::{Format, NewPost, Status, Tag, Title};
use serde_json::json;

use crate::harness::{Backend, Client, TestApp, TestDatabase, on_both_databases};

on_both_databases![
    a_storm_leaves_the_counts_right,
    a_user_who_leaves_takes_their_posts_out_of_all_counts,
    counts_that_are_wrong_are_found_and_mended,
    posts_from_before_the_search_are_found_after_a_while,
    rows_that_are_no_posts_are_found_and_mended,
];

/// Two whose counts are in different slots, which nine out of ten are: the second is
/// through before the first has committed.
#[test]
fn publishers_do_not_queue_behind_one_row() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let request = Publish {
        author_id: 1,
        post: NewPost {
            title: Title("x".to_owned()),
            content: "y".to_owned(),
            status: Status::Published,
            publish_at: None,
            date: None,
            tags: vec![Tag("t".to_owned())],
            format: Format::Markdown,
            slug: None,
            summary: None,
        },
        key: None,
    };
    database.with(move |conn| {
        let now = chrono::Utc::now().naive_utc();
        conn.batch_execute(
            "INSERT INTO user (email, email_key, name, password, role, is_active, email_verified, \
             mobile_verified, created, updated) VALUES ('u', 'u', 'u', '', 'user', 1, 0, 0, NOW(), NOW())",
        )
        .unwrap();
        // Of other dates: of one, the second waits for the place of the first.
        let publish = |conn: &mut Conn, later: i64| {
            let now = now + chrono::TimeDelta::seconds(later);
            let job = prepare_request(request.clone(), now);
            store::insert_post(conn, &job, None, 0).unwrap().unwrap()
        };
        let slot = |conn: &mut Conn| -> i64 {
            let sql = "SELECT CAST(slot AS SIGNED) AS number FROM post_count WHERE list = 'a' AND level = 4";
            let Conn::Mysql(conn) = conn else { panic!() };
            diesel::sql_query(sql).load::<Number>(conn).unwrap().last().unwrap().number
        };
        conn.begin_test_transaction().unwrap();
        publish(conn, 0);
        let first = slot(conn);
        // Connections of other tests take numbers too, so it may take several.
        let other = (0..100).any(|_| {
            let mut other = connection::open(&url).unwrap();
            other.batch_execute("SET SESSION innodb_lock_wait_timeout = 1").unwrap();
            let Conn::Mysql(raw) = &mut other else { panic!() };
            let id = diesel::sql_query("SELECT CAST(CONNECTION_ID() % 8 AS SIGNED) AS number")
                .get_result::<Number>(raw)
                .unwrap();
            if id.number == first {
                return false;
            }
            other.transaction(|conn| QueryResult::Ok(publish(conn, 1))).unwrap();
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

/// What the counts lack; nothing, as it should be.
pub fn missing(app: &TestApp) -> Vec<(Block, i64)> {
    let db = app.state.db.clone();
    let reading = std::thread::spawn(move || {
        db.snapshot_blocking(&|conn| check::missing_counts(conn, &|_| Ok(())))
    });
    reading.join().unwrap().unwrap()
}

pub fn check_all(app: &TestApp) -> Report {
    let db = app.state.db.clone();
    let checking = std::thread::spawn(move || actions::check::check(&db, &|_, _| {}));
    checking.join().unwrap().unwrap()
}

pub fn is_right(report: &Report) -> bool {
    report.missing.is_empty()
        && report.tags == tags::Found::default()
        && report.words == words::Found::default()
        && report.unindexed == 0
}

/// What one of many clients does, a little of everything: creates, drafts, publishes,
/// unpublishes, retags and deletes.
async fn storm(author: &Client<'_>, seed: usize) {
    let mut ids = Vec::new();
    for step in 0..12 {
        let choice = (seed * 7 + step * 5) % 6;
        let tag = format!("t{}", (seed + step) % 4);
        let status = if choice == 0 { "draft" } else { "published" };
        match (choice, ids.last().copied()) {
            (0..3, _) | (_, None) => {
                let body = json!({
                    "title": format!("{seed} {step}"), "content": "storm",
                    "status": status, "tags": [tag, "all"],
                });
                let made = author.post("/post", body).await.expect(201);
                ids.push(made["post_id"].as_i64().unwrap());
            }
            (3, Some(id)) => {
                let body = json!({ "status": if step % 2 == 0 { "draft" } else { "published" } });
                author.patch(&format!("/post/{id}"), body).await.expect(200);
            }
            (4, Some(id)) => {
                let body = json!({ "tags": [tag] });
                author.patch(&format!("/post/{id}"), body).await.expect(200);
            }
            (_, Some(id)) => {
                author
                    .delete(&format!("/post/{id}"))
                    .await
                    .expect_empty(204);
                ids.pop();
            }
        }
    }
    let body = json!({ "title": "left", "content": "storm", "status": "draft", "tags": ["all"] });
    author.post("/post", body).await.expect(201);
}

async fn a_storm_leaves_the_counts_right(app: TestApp) {
    let mut authors = Vec::new();
    for n in 0..4 {
        authors.push(app.user(&format!("author{n}")).await);
    }
    join_all((0..40).map(|seed| storm(&authors[seed % 4], seed))).await;
    assert_eq!(missing(&app), []);
    assert!(is_right(&check_all(&app)));
    // What is told is what there is, in every list.
    let reader = &authors[0];
    let lists = [
        "",
        "tag=all",
        "tag=t1",
        "author=2",
        "author=2&tag=all",
        "q=storm",
        "status=draft",
        "status=draft&tag=all",
    ];
    for list in lists {
        let page = reader
            .get(&format!("/post/?size=7&{list}"))
            .await
            .expect(200)["pagination"]
            .clone();
        let mut seen = Vec::new();
        for number in 1..=page["pages"].as_i64().unwrap() {
            let path = format!("/post/?size=7&page={number}&{list}");
            for post in reader.get(&path).await.expect(200)["posts"]
                .as_array()
                .unwrap()
            {
                seen.push(post["post_id"].as_i64().unwrap());
            }
        }
        assert_eq!(page["count"], seen.len(), "{list}");
        assert!(!seen.is_empty(), "{list}");
        let mut once = seen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{list}");
    }
    let all: i64 = app.database.with(|conn| {
        post::table
            .filter(post::published.eq(true))
            .count()
            .get_result(conn)
            .unwrap()
    });
    let page = app.anonymous().get("/post").await.expect(200);
    assert_eq!(page["pagination"]["count"], all);
}

async fn a_user_who_leaves_takes_their_posts_out_of_all_counts(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    for n in 0..30 {
        let author = if n % 3 == 0 { &bob } else { &ann };
        let status = if n % 5 == 0 { "draft" } else { "published" };
        let body = json!({ "title": "x", "content": "word", "status": status, "tags": ["t", format!("g{n}")] });
        author.post("/post", body).await.expect(201);
    }
    let body = json!({ "current_password": crate::harness::PASSWORD });
    let leave = ann
        .request(actix_web::http::Method::DELETE, "/user/me")
        .set_json(body);
    app.send(leave).await.expect_empty(204);
    assert_eq!(missing(&app), []);
    for list in ["", "?tag=t", "?q=word", "?author=2", "?author=2&tag=t"] {
        let page = bob.get(&format!("/post/{list}")).await.expect(200);
        assert_eq!(page["pagination"]["count"], 8, "{list}");
        assert_eq!(page["posts"].as_array().unwrap().len(), 8, "{list}");
    }
    let drafts = bob.get("/post/?status=draft").await.expect(200);
    assert_eq!(drafts["pagination"]["count"], 2);
    let left: (i64, i64, i64) = app.database.with(|conn| {
        (
            post::table.count().get_result(conn).unwrap(),
            content::table.count().get_result(conn).unwrap(),
            post_tag::table.count().get_result(conn).unwrap(),
        )
    });
    assert_eq!(left, (10, 10, 20));
}

async fn counts_that_are_wrong_are_found_and_mended(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..5 {
        let body = json!({ "title": "x", "content": "word", "tags": [format!("g{n}")] });
        ann.post("/post", body).await.expect(201);
    }
    app.database.with(|conn| {
        conn.batch_execute(
            "UPDATE post_count SET posts = posts + 2 WHERE list = 'a' AND level = 2",
        )
        .unwrap();
        conn.batch_execute("DELETE FROM post_count WHERE list = 'tg3'")
            .unwrap();
        conn.batch_execute("DELETE FROM post_tag WHERE tag = 'g4'")
            .unwrap();
        conn.batch_execute("DELETE FROM post_words").unwrap();
    });
    let page = app.anonymous().get("/post/?size=1").await.expect(200);
    assert_ne!(page["pagination"]["count"], 5);
    let found = missing(&app);
    let lists: Vec<(&str, i64)> = found
        .iter()
        .map(|((list, _, _), by)| (list.as_str(), *by))
        .collect();
    assert_eq!(lists.iter().filter(|row| **row == ("tg3", 1)).count(), 3);
    assert_eq!(
        lists.iter().filter(|row| row.0 == "a" && row.1 < 0).count(),
        lists.len() - 3
    );

    let db = app.state.db.clone();
    let mended = std::thread::spawn(move || {
        db.write_blocking(&|conn| check::add_missing(conn, &found))
            .unwrap();
        db.write_blocking(&check::unindex_all).unwrap();
        actions::check::index_pending(&db, usize::MAX, &|_| {}).unwrap()
    });
    assert_eq!(mended.join().unwrap(), 5);
    assert_eq!(missing(&app), []);
    for (query, count) in [
        ("", 5),
        ("q=word", 5),
        ("tag=g3", 1),
        ("author=1&tag=g4", 1),
    ] {
        let page = app
            .anonymous()
            .get(&format!("/post/?{query}"))
            .await
            .expect(200);
        assert_eq!(page["pagination"]["count"], count, "{query}");
    }
}

async fn posts_from_before_the_search_are_found_after_a_while(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..40 {
        ann.publish("x", &format!("word{n}")).await;
    }
    app.database.with(|conn| {
        conn.batch_execute("DELETE FROM post_words").unwrap();
        check::unindex_all(conn).unwrap();
    });
    let count = async |query: &str| {
        let page = app
            .anonymous()
            .get(&format!("/post/?q={query}"))
            .await
            .expect(200);
        page["pagination"]["count"].as_i64().unwrap()
    };
    assert_eq!(count("word7").await, 0);
    // One is changed and one deleted while they wait.
    ann.patch("/post/8", json!({ "content": "changed" }))
        .await
        .expect(200);
    ann.delete("/post/9").await.expect_empty(204);
    let second = app.second(&[]).await;
    let workers = [app.state.db.clone(), second.state.db.clone()].map(|db| {
        std::thread::spawn(move || actions::check::index_pending(&db, usize::MAX, &|_| {}).unwrap())
    });
    let done: usize = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .sum();
    assert_eq!(done, 40);
    assert_eq!(count("word*").await, 38);
    assert_eq!(count("changed").await, 1);
    assert_eq!(count("word7").await, 0);
    assert_eq!(count("word6").await, 1);
}

async fn rows_that_are_no_posts_are_found_and_mended(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 1..=8 {
        let status = if n == 8 { "draft" } else { "published" };
        let body = json!({
            "title": format!("p{n}"), "content": format!("word{n}"), "status": status,
            "tags": ["all", format!("g{n}")],
        });
        ann.post("/post", body).await.expect(201);
    }
    assert!(is_right(&check_all(&app)));
    let places: HashMap<i64, i64> = app.database.with(|conn| {
        let rows: Vec<(i64, i64)> = post::table
            .select((post::post_id, post::place))
            .load(conn)
            .unwrap();
        rows.into_iter().collect()
    });
    let at = places.clone();
    app.database.with(move |conn| {
        let key = if matches!(conn, Conn::Mysql(_)) { "place" } else { "rowid" };
        for sql in [
            // Of a post that is not there, and of others that have another tag, place or state.
            &format!(
                "INSERT INTO post_tag (tag, published, place, post_id, author_id) VALUES \
                 ('all', 1, 900, 900, 1), ('late', 1, {}, 2, 1), ('g3', 1, 901, 3, 1), ('g4', 0, {}, 4, 1)",
                at[&2], at[&4]
            ),
            "UPDATE post_tag SET author_id = 77 WHERE tag = 'g5'",
            &format!("DELETE FROM post_tag WHERE tag = 'all' AND place = {}", at[&6]),
            "DELETE FROM post_tag WHERE tag = 'g8'",
            &format!("DELETE FROM post_words WHERE {key} = {}", at[&1]),
            &format!("DELETE FROM post_words WHERE {key} = {}", at[&7]),
            &format!("INSERT INTO post_words ({key}, words) VALUES ({}, 'aap7 zzz aaother')", at[&7]),
            &format!("INSERT INTO post_words ({key}, words) VALUES (950, 'aaleft')"),
        ] {
            conn.batch_execute(sql).unwrap();
        }
    });
    // Whatever is there, it can be read and written.
    let reader = app.anonymous();
    for list in [
        "?tag=all",
        "?tag=late",
        "?tag=g3",
        "?author=1&tag=all",
        "?q=left",
    ] {
        reader.get(&format!("/post/{list}")).await.expect(200);
    }
    let found = check_all(&app);
    let orphans: Vec<(&str, bool, i64)> = (found.tags.orphans.iter())
        .map(|(tag, published, place, ..)| (tag.as_str(), *published, *place))
        .collect();
    let expected = [
        ("all", true, 900),
        ("g3", true, 901),
        ("g4", false, places[&4]),
        ("g5", true, places[&5]),
        ("late", true, places[&2]),
    ];
    assert_eq!(orphans, expected);
    assert_eq!(found.tags.missing, [5, 6, 8]);
    assert_eq!(found.words.wrong, [1, 7]);
    assert_eq!(found.words.orphans, [950]);
    assert_eq!(found.missing, []);
    // A post gets the tag that a row was left of, and keeps it when the row is mended.
    let body = json!({ "tags": ["all", "g2", "late"] });
    ann.patch("/post/2", body).await.expect(200);

    let db = app.state.db.clone();
    let mending = std::thread::spawn(move || actions::check::repair(&db, &found, &|_| {}));
    mending.join().unwrap().unwrap();
    assert!(is_right(&check_all(&app)));
    for (list, count) in [
        ("tag=late", 1),
        ("tag=all", 7),
        ("q=word1", 1),
        ("q=left", 0),
    ] {
        // Not what was kept before.
        let path = format!("/post/?size=50&{list}");
        let page = reader.get(&path).await.expect(200);
        assert_eq!(page["pagination"]["count"], count, "{list}");
        assert_eq!(page["posts"].as_array().unwrap().len(), count, "{list}");
    }
}
