//! The posts of those whom one follows: what is in the list, for whom, and that it is right after every
//! write.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::follows::{insert_followers, leave, set_follow, unfollow};
use crate::harness::posts::{self, walk};
use crate::harness::{Client, TestApp, on_both_databases};
use crate::selections::read_all;

on_both_databases![
    it_has_the_posts_of_those_one_follows_and_no_others,
    it_is_right_after_every_write,
    an_author_of_many_posts_is_gone_at_once,
    it_is_refused_where_it_makes_no_sense,
    who_follows_very_many_finds_the_same,
];

const FEED: &str = "/post/?feed=following";

async fn ids(reader: &Client<'_>, path: &str) -> Vec<i64> {
    let answer = reader.get(path).await.expect(200);
    let posts = answer["posts"].as_array().unwrap().iter();
    posts
        .map(|post| post["post_id"].as_i64().unwrap())
        .collect()
}

async fn four(app: &TestApp) -> [Client<'_>; 4] {
    [
        app.user("dan").await,
        app.user("ann").await,
        app.user("bob").await,
        app.user("eve").await,
    ]
}

/// Post `n` is published by author `n % 4`, `n` minutes after the time that is given back; with the tag
/// `third` when 3 divides it, and the word `fifth` when 5 does.
async fn fill(app: &TestApp, authors: &[Client<'_>; 4], number: usize) -> DateTime<Utc> {
    let start = app.clock.now().and_utc();
    for n in 1..=number {
        let time = start + TimeDelta::minutes(i64::try_from(n).unwrap());
        app.clock.advance(time - app.clock.now().and_utc());
        let tags: &[&str] = if n % 3 == 0 {
            &["all", "third"]
        } else {
            &["all"]
        };
        let content = if n % 5 == 0 { "fifth" } else { "other" };
        let body = json!({ "title": "x", "content": content, "tags": tags });
        authors[n % 4].post("/post", body).await.expect(201);
    }
    start
}

/// Which of the numbers a filter takes.
type Fits = fn(i64) -> bool;

/// Reads lists of Dan, who follows Ann and Bob, in every way.
async fn sees_all(dan: &Client<'_>, [ann, bob, eve]: [i64; 3], start: DateTime<Utc>) {
    let time = |minute| {
        let time = start + TimeDelta::minutes(minute);
        time.to_rfc3339_opts(SecondsFormat::Micros, true)
    };
    let cases: [(String, Fits); 11] = [
        (String::new(), |_| true),
        ("&tag=third".to_owned(), |n| n % 3 == 0),
        ("&tag=third&tag=all".to_owned(), |n| n % 3 == 0),
        ("&q=fifth".to_owned(), |n| n % 5 == 0),
        ("&q=fifth&tag=third".to_owned(), |n| n % 15 == 0),
        (format!("&author={ann}"), |n| n % 4 == 1),
        (format!("&author={eve}"), |_| false),
        (format!("&author={bob}&tag=third"), |n| n % 12 == 6),
        (format!("&since={}&until={}", time(7), time(30)), |n| {
            (7..30).contains(&n)
        }),
        (
            format!("&since={}&until={}&tag=third", time(7), time(30)),
            |n| n % 3 == 0 && (7..30).contains(&n),
        ),
        (format!("&since={}&q=fifth", time(20)), |n| {
            n % 5 == 0 && n >= 20
        }),
    ];
    for (filter, fits) in cases {
        let is_followed = |n: &i64| matches!(n % 4, 1 | 2);
        let newest: Vec<i64> = (1..=40).rev().filter(is_followed).collect();
        for sort in ["newest", "oldest"] {
            let mut right = newest.clone();
            right.retain(|n| fits(*n));
            if sort == "oldest" {
                right.reverse();
            }
            for size in [1, 7] {
                let filter = format!("feed=following&sort={sort}{filter}");
                for found in read_all(dan, &filter, size).await {
                    assert_eq!(found, right, "{filter} {size}");
                }
            }
        }
    }
}

async fn it_has_the_posts_of_those_one_follows_and_no_others(app: TestApp) {
    let authors = four(&app).await;
    let start = fill(&app, &authors, 40).await;
    let [dan, ann, bob, eve] = &authors;
    assert_eq!(ids(dan, FEED).await, [0; 0]);
    for whom in [bob, ann] {
        set_follow(dan, whom.user_id).await.expect_empty(204);
    }
    // What Eve follows is nothing to Dan.
    set_follow(eve, dan.user_id).await.expect_empty(204);
    sees_all(dan, [ann.user_id, bob.user_id, eve.user_id], start).await;
    let list = format!("{FEED}&include=content");
    let answer = dan.get(&list).await;
    assert_eq!(answer.expect(200)["posts"][0]["post_content"], "other");
    assert_eq!(answer.header("cache-control"), "no-store");
    let again = (dan.request(actix_web::http::Method::GET, &list))
        .insert_header(("If-None-Match", answer.header("etag")));
    app.send(again).await.expect_empty(304);
}

async fn it_is_right_after_every_write(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let post = ann.publish("title", "text").await;
    let path = format!("/post/{post}");
    assert_eq!(ids(&bob, FEED).await, [0; 0]);
    set_follow(&bob, ann.user_id).await.expect_empty(204);
    assert_eq!(ids(&bob, FEED).await, [post]);
    // Nobody else's.
    assert_eq!(ids(&ann, FEED).await, [0; 0]);
    let newer = ann.publish("newer", "text").await;
    assert_eq!(ids(&bob, FEED).await, [newer, post]);
    ann.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(ids(&bob, FEED).await, [newer]);
    ann.patch(&path, json!({ "status": "published" }))
        .await
        .expect(200);
    assert_eq!(ids(&bob, FEED).await, [newer, post]);
    ann.delete(&path).await.expect_empty(204);
    assert_eq!(ids(&bob, FEED).await, [newer]);
    unfollow(&bob, ann.user_id).await.expect_empty(204);
    assert_eq!(ids(&bob, FEED).await, [0; 0]);
    set_follow(&bob, ann.user_id).await.expect_empty(204);
    assert_eq!(ids(&bob, FEED).await, [newer]);
    leave(&ann).await;
    assert_eq!(ids(&bob, FEED).await, [0; 0]);
}

/// Their posts go piece by piece, and are in no list meanwhile.
async fn an_author_of_many_posts_is_gone_at_once(app: TestApp) {
    let (ann, bob, dan) = (
        app.user("ann").await,
        app.user("bob").await,
        app.user("dan").await,
    );
    app.database.with(|conn| posts::insert_many(conn, 2, 1200));
    for whom in [&ann, &bob] {
        set_follow(&dan, whom.user_id).await.expect_empty(204);
    }
    let list = format!("{FEED}&size=4");
    assert_eq!(ids(&dan, &list).await, [1199, 1198, 1196, 1195]);
    leave(&ann).await;
    let odd = [1199, 1195, 1193, 1189];
    assert_eq!(ids(&dan, &list).await, odd);
    let page = dan.get(&list).await.expect(200);
    assert_eq!(page["pagination"]["count"], 400);
    app.work().await;
    assert_eq!(ids(&dan, &list).await, odd);
}

async fn it_is_refused_where_it_makes_no_sense(app: TestApp) {
    let ann = app.user("ann").await;
    app.anonymous().get(FEED).await.problem("token_missing");
    for (query, name) in [
        ("feed=all", "feed"),
        ("feed=following&feed=following", "feed"),
        ("feed=following&status=draft", "feed"),
        ("feed=following&page=1002&size=1", "page"),
        ("feed=following&sort=relevance", "sort"),
        ("feed=following&before=0", "before"),
    ] {
        let problem = ann.get(&format!("/post/?{query}")).await;
        let problem = problem.problem("query_invalid");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(name), "{query}: {detail}");
    }
    // An empty one is none.
    ann.publish("title", "text").await;
    assert_eq!(ids(&app.anonymous(), "/post/?feed=").await, [1]);
    let last = ann.get("/post/?feed=following&page=1001&size=1").await;
    assert_eq!(last.expect(200)["posts"], json!([]));
}

/// More than a thousand, some of whom publish.
async fn who_follows_very_many_finds_the_same(app: TestApp) {
    let authors = four(&app).await;
    let [dan, ann, bob, eve] = &authors;
    let follower = dan.user_id;
    // They follow Eve, and Dan follows them all.
    let eve_id = eve.user_id;
    app.database.with(move |conn| {
        insert_followers(conn, eve_id, 10_000, 1100);
        conn.batch_execute(&format!(
            "INSERT INTO follow (follower_id, followed_id, created) \
             SELECT {follower}, user_id, created FROM user WHERE user_id >= 10000"
        ))
        .unwrap();
    });
    for whom in [bob, ann] {
        set_follow(dan, whom.user_id).await.expect_empty(204);
    }
    fill(&app, &authors, 24).await;
    let is_followed = |n: &i64| matches!(n % 4, 1 | 2);
    let newest: Vec<i64> = (1..=24).rev().filter(is_followed).collect();
    let by_cursor = async |sort: &str| walk(dan, &format!("{FEED}&sort={sort}"), 5).await;
    assert_eq!(by_cursor("newest").await, newest);
    let oldest: Vec<i64> = newest.iter().rev().copied().collect();
    assert_eq!(by_cursor("oldest").await, oldest);
    let page = dan.get(&format!("{FEED}&size=5")).await.expect(200);
    assert!(page["pagination"].get("count").is_none(), "{page}");
    // Of all that are on one page the number is known.
    let page = dan.get(&format!("{FEED}&size=50")).await.expect(200);
    assert_eq!(page["pagination"]["count"], newest.len());
}
