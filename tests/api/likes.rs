//! Likes: who may, how often, and that every answer counts them rightly.

use actix_web::http::Method;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{post_like, post_stat};
use inkpot::core::db::{Conn, DatabaseUrl, connection};
use inkpot::social::actions::check::{self, Report};
use inkpot::social::storage::{leftovers, likes as rows};
use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Client, PASSWORD, TestApp, TestDatabase, on_both_databases};
use crate::model::random::Random;
use crate::plans::{all_statements, faults, rows_read};

on_both_databases![
    a_post_is_liked_once_however_often,
    what_one_likes_is_told_for_a_page,
    drafts_are_liked_by_who_sees_them,
    a_like_leaves_other_pages_as_they_are,
    a_hundred_like_one_post_at_once,
    likes_are_what_a_naive_model_says,
    likes_of_a_deleted_post_are_deleted_in_pieces,
    likes_of_who_leaves_are_taken_back,
    an_export_has_the_likes,
];

async fn like(client: &Client<'_>, post: i64) -> Answer {
    let path = format!("/post/{post}/like");
    client.app().send(client.request(Method::PUT, &path)).await
}

async fn unlike(client: &Client<'_>, post: i64) -> Answer {
    client.delete(&format!("/post/{post}/like")).await
}

/// The likes that a post says it has, in all answers.
async fn counted(app: &TestApp, post: i64) -> i64 {
    let answer = app.anonymous().get(&format!("/post/{post}")).await;
    let likes = answer.expect(200)["post"]["likes"].as_i64().unwrap();
    let listed = app.anonymous().get("/post/?size=100").await.expect(200);
    let posts = listed["posts"].as_array().unwrap().iter();
    let item = posts.clone().find(|item| item["post_id"] == post).unwrap();
    assert_eq!(item["likes"], likes, "{item}");
    for other in posts.filter(|item| item["post_id"] != post).take(1) {
        let path = format!("/post/{}/around", other["post_id"]);
        let around = app.anonymous().get(&path).await.expect(200);
        for side in ["newer", "older"] {
            assert!(around[side]["post_id"] != post || around[side]["likes"] == likes);
        }
    }
    likes
}

#[track_caller]
fn all_is_right(app: &TestApp) {
    let db = app.state.db.clone();
    let checking = std::thread::spawn(move || check::check(&db, &|_| {}));
    assert_eq!(checking.join().unwrap().unwrap(), Report::default());
}

async fn a_post_is_liked_once_however_often(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("Title", "Text").await;
    ann.publish("A neighbour", "Text").await;
    for (who, likes) in [(&ann, 1), (&ann, 1), (&bob, 2), (&bob, 2)] {
        like(who, post).await.expect_empty(204);
        assert_eq!(counted(&app, post).await, likes);
    }
    for (who, likes) in [(&bob, 1), (&bob, 1), (&ann, 0)] {
        unlike(who, post).await.expect_empty(204);
        assert_eq!(counted(&app, post).await, likes);
    }
    like(&ann, 99).await.problem("post_not_found");
    unlike(&ann, 99).await.problem("post_not_found");
    like(&app.anonymous(), post).await.problem("token_missing");
    unlike(&app.anonymous(), post)
        .await
        .problem("token_missing");
    like(&ann, 0).await.problem("path_invalid");
    all_is_right(&app);
}

async fn what_one_likes_is_told_for_a_page(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let mut posts = Vec::new();
    for _ in 0..4 {
        posts.push(ann.publish("Title", "Text").await);
    }
    like(&bob, posts[1]).await.expect_empty(204);
    like(&bob, posts[3]).await.expect_empty(204);
    like(&ann, posts[0]).await.expect_empty(204);
    let ask = |posts: &[i64]| {
        let query: Vec<String> = posts.iter().map(|post| format!("post={post}")).collect();
        format!("/user/me/likes?{}", query.join("&"))
    };
    let answer = bob.get(&ask(&posts)).await;
    assert_eq!(answer.expect(200), json!({ "likes": [posts[1], posts[3]] }));
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = bob.get(&ask(&posts[..3])).await.expect(200);
    assert_eq!(answer["likes"], json!([posts[1]]));
    let none = bob.get("/user/me/likes").await.expect(200);
    assert_eq!(none["likes"], json!([]));
    let hundred: Vec<i64> = (1..=100).collect();
    bob.get(&ask(&hundred)).await.expect(200);
    let more: Vec<i64> = (1..=101).collect();
    bob.get(&ask(&more)).await.problem("query_invalid");
    bob.get("/user/me/likes?post=x")
        .await
        .problem("query_invalid");
    bob.get("/user/me/likes?posts=1")
        .await
        .problem("query_invalid");
    app.anonymous()
        .get(&ask(&posts))
        .await
        .problem("token_missing");
}

async fn drafts_are_liked_by_who_sees_them(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let draft = json!({ "title": "Draft", "content": "Text", "status": "draft" });
    let made = ann.post("/post", draft).await.expect(201);
    let post = made["post_id"].as_i64().unwrap();
    like(&bob, post).await.problem("post_not_found");
    unlike(&bob, post).await.problem("post_not_found");
    like(&ann, post).await.expect_empty(204);
    let read = ann.get(&format!("/post/{post}")).await.expect(200);
    assert_eq!(read["post"]["likes"], 1);
}

async fn a_like_leaves_other_pages_as_they_are(app: TestApp) {
    let ann = app.user("ann").await;
    let first = ann.publish("First", "Text").await;
    ann.publish("Second", "Text").await;
    let (other, shown) = ("/post/?size=1&page=1", "/post/?size=1&page=2");
    let comments = format!("/post/{first}/comments");
    let units = async |paths: &[&str]| {
        let before = app.state.db.units();
        for path in paths {
            app.anonymous().get(path).await.expect(200);
        }
        app.state.db.units() - before
    };
    let kept = [other, "/feed.json", comments.as_str()];
    units(&[shown]).await;
    units(&kept).await;
    for does_like in [true, false, true] {
        if does_like {
            like(&ann, first).await.expect_empty(204);
        } else {
            unlike(&ann, first).await.expect_empty(204);
        }
        assert_eq!(units(&kept).await, 0);
        assert_eq!(units(&[shown, shown]).await, 1);
    }
    // What is so already changes nothing.
    like(&ann, first).await.expect_empty(204);
    assert_eq!(units(&kept).await + units(&[shown]).await, 0);
}

async fn a_hundred_like_one_post_at_once(app: TestApp) {
    let ann = app.user("ann").await;
    let post = ann.publish("Title", "Text").await;
    let people = crate::harness::people::insert(&app.database, 100);
    let calls = |method: &'static str| {
        let app = &app;
        let all = people.iter().map(move |person| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = (app
                .anonymous()
                .request(method, &format!("/post/{post}/like")))
            .insert_header(("Authorization", format!("Bearer {}", person.token)));
            app.send(request)
        });
        join_all(all)
    };
    for answer in calls("PUT").await {
        answer.expect_empty(204);
    }
    assert_eq!(counted(&app, post).await, 100);
    // Each twice, while the author edits.
    let path = format!("/post/{post}");
    let (first, second, edit) = futures_util::join!(
        calls("PUT"),
        calls("DELETE"),
        ann.patch(&path, json!({ "title": "Edited" }))
    );
    edit.expect(200);
    for answer in first.into_iter().chain(second) {
        answer.expect_empty(204);
    }
    all_is_right(&app);
    let stored: i64 = app
        .database
        .with(|conn| post_like::table.count().get_result(conn).unwrap());
    assert_eq!(counted(&app, post).await, stored);
}

async fn likes_are_what_a_naive_model_says(app: TestApp) {
    let mut people = Vec::new();
    for name in ["ann", "bob", "eve"] {
        people.push(app.user(name).await);
    }
    let mut posts = Vec::new();
    for author in &people {
        posts.push(author.publish("Title", "Text").await);
    }
    let mut chance = Random::new(71);
    let mut truth = std::collections::BTreeSet::new();
    for _ in 0..150 {
        let who = chance.below(people.len());
        let post = *chance.pick(&posts);
        if chance.percent(60) {
            like(&people[who], post).await.expect_empty(204);
            truth.insert((who, post));
        } else {
            unlike(&people[who], post).await.expect_empty(204);
            truth.remove(&(who, post));
        }
        let likes = truth.iter().filter(|(_, liked)| *liked == post).count();
        let read = app
            .anonymous()
            .get(&format!("/post/{post}"))
            .await
            .expect(200);
        assert_eq!(read["post"]["likes"], likes);
        let query: Vec<String> = posts.iter().map(|post| format!("post={post}")).collect();
        let path = format!("/user/me/likes?{}", query.join("&"));
        let own: Vec<i64> = (posts.iter().copied())
            .filter(|post| truth.contains(&(who, *post)))
            .collect();
        assert_eq!(
            people[who].get(&path).await.expect(200)["likes"],
            json!(own)
        );
    }
    all_is_right(&app);
}

/// Writes likes of a post by so many users, who are made here, by SQL.
fn insert_many(conn: &mut Conn, post: i64, from: i64, number: i64) {
    let time = "'2026-06-01 00:00:00'";
    let users: Vec<i64> = (from..from + number).collect();
    for some in users.chunks(1000) {
        let people: Vec<String> = some
            .iter()
            .map(|n| format!("({n}, 'm{n}', 'm{n}', 'm{n}', '', 'user', 1, 0, 0, {time}, {time})"))
            .collect();
        conn.batch_execute(&format!(
            "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
             mobile_verified, created, updated) VALUES {}",
            people.join(", ")
        ))
        .unwrap();
        let likes: Vec<String> = (some.iter())
            .map(|n| format!("({post}, {n}, {time})"))
            .collect();
        conn.batch_execute(&format!(
            "INSERT INTO post_like (post_id, user_id, created) VALUES {}",
            likes.join(", ")
        ))
        .unwrap();
    }
    conn.batch_execute(&format!(
        "INSERT INTO post_stat (post_id, kind, slot, number) VALUES ({post}, 2, 9, {number})"
    ))
    .unwrap();
}

async fn likes_of_a_deleted_post_are_deleted_in_pieces(app: TestApp) {
    let ann = app.user("ann").await;
    let (post, other) = (
        ann.publish("Title", "x").await,
        ann.publish("Other", "x").await,
    );
    app.database
        .with(move |conn| insert_many(conn, post, 1000, 1100));
    like(&ann, other).await.expect_empty(204);
    assert_eq!(counted(&app, post).await, 1100);
    ann.delete(&format!("/post/{post}")).await.expect_empty(204);
    let stored = |app: &TestApp| -> i64 {
        app.database
            .with(|conn| post_like::table.count().get_result(conn).unwrap())
    };
    assert_eq!(stored(&app), 1101);
    all_is_right(&app);
    app.work().await;
    assert_eq!(stored(&app), 1);
    let stats: Vec<i64> = app.database.with(|conn| {
        post_stat::table
            .select(post_stat::post_id)
            .load(conn)
            .unwrap()
    });
    assert_eq!(stats, [other]);
    all_is_right(&app);
}

async fn likes_of_who_leaves_are_taken_back(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    // More than are taken back at once.
    app.database.with(|conn| {
        let values: Vec<String> = (100..550)
            .map(|n| {
                let time = "'2026-06-01 00:00:00'";
                format!("({n}, 1, 'Title', {time}, {time}, 1, {n}, '')")
            })
            .collect();
        conn.batch_execute(&format!(
            "INSERT INTO post (post_id, author_id, title, date, updated, published, place, tags) VALUES {}",
            values.join(", ")
        ))
        .unwrap();
        conn.batch_execute(
            "INSERT INTO content (post_id, body) SELECT post_id, 'Text' FROM post;
             INSERT INTO post_like (post_id, user_id, created) SELECT post_id, 2, date FROM post;
             INSERT INTO post_stat (post_id, kind, slot, number) SELECT post_id, 2, 0, 1 FROM post",
        )
        .unwrap();
    });
    assert_eq!((ann.user_id, bob.user_id), (1, 2));
    like(&ann, 100).await.expect_empty(204);
    for (post, likes) in [(100, 2), (549, 1)] {
        let read = app
            .anonymous()
            .get(&format!("/post/{post}"))
            .await
            .expect(200);
        assert_eq!(read["post"]["likes"], likes);
    }
    bob.call(
        Method::DELETE,
        "/user/me",
        json!({ "current_password": PASSWORD }),
    )
    .await
    .expect_empty(204);
    all_is_right(&app);
    app.work().await;
    for (post, likes) in [(100, 1), (549, 0)] {
        let read = app
            .anonymous()
            .get(&format!("/post/{post}"))
            .await
            .expect(200);
        assert_eq!(read["post"]["likes"], likes);
    }
    all_is_right(&app);
}

async fn an_export_has_the_likes(app: TestApp) {
    let ann = app.user("ann").await;
    let (first, second) = (
        ann.publish("First", "x").await,
        ann.publish("Second", "x").await,
    );
    for post in [second, first] {
        like(&ann, post).await.expect_empty(204);
    }
    let export = ann.get("/user/me/export").await.expect(200);
    let ids: Vec<&Value> = export["likes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|like| &like["post_id"])
        .collect();
    assert_eq!(ids, [&json!(first), &json!(second)]);
    assert_eq!(export["comments"], json!([]));
}

/// At a hundred thousand likes of one post, what asks for or changes some of them reads no more.
fn likes_are_found_along_an_index(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    let conn = &mut conn;
    insert_many(conn, 1, 1, 100_000);
    let now = "2026-06-02T00:00:00".parse().unwrap();
    for round in 0..2 {
        let before = rows_read(conn);
        let statements = all_statements(conn, |conn| {
            assert_eq!(rows::find_of(conn, 99_000, &[1, 2, 3]).unwrap(), [1]);
            assert_eq!(rows::load_of(conn, 99_000, 0, 100).unwrap().len(), 1);
            assert!(rows::delete(conn, 1, 50_000 + round).unwrap());
            assert!(rows::insert(conn, 1, 50_000 + round, now).unwrap());
            assert_eq!(rows::delete_some_of_post(conn, 1, 500).unwrap(), 500);
            assert_eq!(rows::load_some(conn, (1, 60_000), 10).unwrap().len(), 10);
            assert_eq!(leftovers::claim(conn).unwrap(), None);
        });
        let read = rows_read(conn) - before;
        assert!(read < 3000, "{read}");
        let is_judged = |sql: &&String| {
            // The first of a table is read, whatever it holds.
            !sql.starts_with("INSERT") && !sql.contains("post_leftover")
        };
        for sql in statements.iter().filter(is_judged) {
            assert_eq!(faults(conn, sql), Vec::<String>::new(), "{sql}");
        }
        let analyze = match &conn {
            Conn::Sqlite(_) => "ANALYZE",
            Conn::Mysql(_) => "ANALYZE TABLE post_like",
        };
        conn.batch_execute(analyze).unwrap();
    }
}

#[test]
fn likes_are_found_along_an_index_on_sqlite() {
    likes_are_found_along_an_index(Backend::Sqlite);
}

#[test]
fn likes_are_found_along_an_index_on_mysql() {
    likes_are_found_along_an_index(Backend::Mysql);
}
