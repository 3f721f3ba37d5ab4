//! Follows and profiles: who follows whom, what everybody sees of a user, and what names they may
//! have.

use actix_web::http::Method;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{follow, user_stat};
use inkpot::core::db::{Conn, DatabaseUrl, connection};
use inkpot::core::page::{ListPart, PageRequest};
use inkpot::social::actions::check::{self, Report};
use inkpot::social::storage::follows as rows;
use inkpot::social::types::FollowList;
use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Client, PASSWORD, TestApp, TestDatabase, on_both_databases};
use crate::metrics::Scrape;
use crate::model::random::Random;
use crate::plans::{all_statements, faults, rows_read};

on_both_databases![
    a_user_is_followed_once_however_often,
    nobody_follows_themselves_or_nobody,
    followers_are_paged_by_number_and_by_cursor,
    a_hundred_follow_one_user_at_once,
    one_pair_changes_without_conflicts,
    follows_are_what_a_naive_model_says,
    lists_of_people_are_right_after_every_write,
    a_user_with_many_followers_leaves_in_pieces,
    what_is_wrong_is_found_and_mended,
    an_export_has_whom_one_follows,
    a_profile_has_a_bio_and_an_image,
    bios_and_images_that_do_not_fit_are_refused,
    usernames_are_short_and_long_and_have_dots,
];

pub async fn set_follow(client: &Client<'_>, user: i64) -> Answer {
    let path = format!("/user/{user}/follow");
    client.app().send(client.request(Method::PUT, &path)).await
}

pub async fn unfollow(client: &Client<'_>, user: i64) -> Answer {
    client.delete(&format!("/user/{user}/follow")).await
}

/// Followers and following of a user, as everybody is told.
async fn counted(app: &TestApp, user: i64) -> (i64, i64) {
    let answer = app
        .anonymous()
        .get(&format!("/user/{user}"))
        .await
        .expect(200);
    let number = |name: &str| answer["user"][name].as_i64().unwrap();
    (number("followers"), number("following"))
}

async fn listed(app: &TestApp, user: i64, list: &str) -> Vec<i64> {
    let path = format!("/user/{user}/{list}?size=100");
    let answer = app.anonymous().get(&path).await.expect(200);
    ids(&answer)
}

fn ids(answer: &Value) -> Vec<i64> {
    let users = answer["users"].as_array().unwrap().iter();
    users
        .map(|user| user["user_id"].as_i64().unwrap())
        .collect()
}

#[track_caller]
fn all_is_right(app: &TestApp) {
    assert_eq!(report(app), Report::default());
}

fn report(app: &TestApp) -> Report {
    let db = app.state.db.clone();
    let checking = std::thread::spawn(move || check::check(&db, &|_| {}));
    checking.join().unwrap().unwrap()
}

async fn a_user_is_followed_once_however_often(app: TestApp) {
    let (ann, bob, eve) = (
        app.user("ann").await,
        app.user("bob").await,
        app.user("eve").await,
    );
    for _ in 0..2 {
        set_follow(&bob, ann.user_id).await.expect_empty(204);
        assert_eq!(counted(&app, ann.user_id).await, (1, 0));
        assert_eq!(counted(&app, bob.user_id).await, (0, 1));
    }
    set_follow(&eve, ann.user_id).await.expect_empty(204);
    set_follow(&ann, bob.user_id).await.expect_empty(204);
    assert_eq!(counted(&app, ann.user_id).await, (2, 1));
    // The newest first.
    assert_eq!(
        listed(&app, ann.user_id, "followers").await,
        [eve.user_id, bob.user_id]
    );
    assert_eq!(listed(&app, ann.user_id, "following").await, [bob.user_id]);
    let page = app
        .anonymous()
        .get(&format!("/user/{}/followers", bob.user_id))
        .await;
    let shown = app
        .anonymous()
        .get(&format!("/user/{}", ann.user_id))
        .await
        .expect(200);
    assert_eq!(page.expect(200)["users"], json!([shown["user"]]));
    let not = (app.anonymous().request(Method::GET, &page.path))
        .insert_header(("If-None-Match", page.header("etag")));
    app.send(not).await.expect_empty(304);
    for _ in 0..2 {
        unfollow(&bob, ann.user_id).await.expect_empty(204);
        assert_eq!(counted(&app, ann.user_id).await, (1, 1));
    }
    // Which of some one follows.
    for (query, whom) in [
        (
            format!("?user={}&user={}", bob.user_id, eve.user_id),
            json!([bob.user_id]),
        ),
        (format!("?user={}", ann.user_id), json!([])),
        (String::new(), json!([])),
    ] {
        let answer = ann.get(&format!("/user/me/following{query}")).await;
        assert_eq!(answer.expect(200)["following"], whom);
    }
    let wrong = ann.get("/user/me/following?user=x").await;
    wrong.problem("query_invalid");
    let everybody = ann.get("/user/directory").await.expect(200);
    let of_ann = everybody["users"].as_array().unwrap().iter();
    let of_ann = of_ann
        .clone()
        .find(|user| user["user_id"] == ann.user_id)
        .unwrap();
    assert_eq!(
        (&of_ann["followers"], &of_ann["following"]),
        (&json!(1), &json!(1))
    );
    all_is_right(&app);
}

async fn nobody_follows_themselves_or_nobody(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    set_follow(&ann, ann.user_id).await.problem("follow_self");
    unfollow(&ann, ann.user_id).await.expect_empty(204);
    for answer in [
        set_follow(&ann, 99).await,
        unfollow(&ann, 99).await,
        ann.get("/user/99/followers").await,
        ann.get("/user/99/following").await,
    ] {
        answer.problem("user_not_found");
    }
    set_follow(&app.anonymous(), ann.user_id)
        .await
        .problem("token_missing");
    unfollow(&app.anonymous(), ann.user_id)
        .await
        .problem("token_missing");
    ann.get("/user/0/followers").await.problem("path_invalid");
    let path = format!("/user/{}/followers", ann.user_id);
    ann.get(&format!("{path}?page=1002&size=100"))
        .await
        .problem("query_invalid");
    ann.get(&format!("{path}?q=x"))
        .await
        .problem("query_invalid");
    leave(&bob).await;
    set_follow(&ann, bob.user_id)
        .await
        .problem("user_not_found");
    all_is_right(&app);
}

pub async fn leave(user: &Client<'_>) {
    let body = json!({ "current_password": PASSWORD });
    let left = user.call(Method::DELETE, "/user/me", body).await;
    left.expect_empty(204);
}

/// Writes people with these ids by SQL, who follow `followed`.
pub fn insert_followers(conn: &mut Conn, followed: i64, from: i64, number: i64) {
    let time = "'2026-06-01 00:00:00'";
    let users: Vec<i64> = (from..from + number).collect();
    for some in users.chunks(1000) {
        let rows =
            |row: &dyn Fn(&i64) -> String| some.iter().map(row).collect::<Vec<_>>().join(", ");
        let people = rows(&|n| {
            format!("({n}, 'f{n}', 'f{n}', 'f{n}', '', 'user', 1, 0, 0, {time}, {time})")
        });
        let follows = rows(&|n| format!("({n}, {followed}, {time})"));
        let stats = rows(&|n| format!("({n}, 1, 0, 1)"));
        for sql in [
            format!(
                "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
                 mobile_verified, created, updated) VALUES {people}"
            ),
            format!("INSERT INTO follow (follower_id, followed_id, created) VALUES {follows}"),
            format!("INSERT INTO user_stat (user_id, kind, slot, number) VALUES {stats}"),
        ] {
            conn.batch_execute(&sql).unwrap();
        }
    }
    conn.batch_execute(&format!(
        "INSERT INTO user_stat (user_id, kind, slot, number) VALUES ({followed}, 0, 77, {number})"
    ))
    .unwrap();
}

async fn followers_are_paged_by_number_and_by_cursor(app: TestApp) {
    let ann = app.user("ann").await;
    let user = ann.user_id;
    app.database
        .with(move |conn| insert_followers(conn, user, 1000, 25));
    all_is_right(&app);
    let all: Vec<i64> = (1000..1025).rev().collect();
    let path = format!("/user/{user}/followers");
    let mut found = Vec::new();
    for page in 1..=4 {
        let answer = ann.get(&format!("{path}?page={page}&size=10")).await;
        let body = answer.expect(200);
        found.extend(ids(&body));
        assert_eq!(body["pagination"]["count"], 25);
        assert_eq!(body["pagination"]["pages"], 3);
        let link = answer.header("link");
        assert!(
            link.contains(&format!("<{path}?page=3&size=10>; rel=\"last\"")),
            "{link}"
        );
    }
    assert_eq!(found, all);
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let answer = ann
            .get(&format!("{path}?before={before}&size=10"))
            .await
            .expect(200);
        found.extend(ids(&answer));
        match answer["pagination"]["next"].as_str() {
            Some(next) => next.clone_into(&mut before),
            None => break,
        }
    }
    assert_eq!(found, all);
}

async fn a_hundred_follow_one_user_at_once(app: TestApp) {
    let ann = app.user("ann").await;
    let people = crate::harness::people::insert(&app.database, 100);
    let path = format!("/user/{}/follow", ann.user_id);
    // Who waits for a connection for two seconds, as on a busy machine, is told to come again, and does.
    let calls = |method: Method| {
        let (app, path) = (&app, path.as_str());
        join_all(people.iter().map(move |person| {
            let method = method.clone();
            async move {
                loop {
                    let request = (app.anonymous().request(method.clone(), path))
                        .insert_header(("Authorization", format!("Bearer {}", person.token)));
                    let answer = app.send(request).await;
                    if answer.status != 503 {
                        return answer;
                    }
                    answer.problem("unavailable");
                }
            }
        }))
    };
    for answer in calls(Method::PUT).await {
        answer.expect_empty(204);
    }
    assert_eq!(counted(&app, ann.user_id).await, (100, 0));
    let (first, second, renamed) =
        futures_util::join!(calls(Method::PUT), calls(Method::DELETE), async {
            loop {
                let answer = ann.patch("/user/me", json!({ "bio": "Followed." })).await;
                if answer.status != 503 {
                    return answer;
                }
            }
        });
    renamed.expect(200);
    for answer in first.into_iter().chain(second) {
        answer.expect_empty(204);
    }
    all_is_right(&app);
    let stored: i64 = app
        .database
        .with(|conn| follow::table.count().get_result(conn).unwrap());
    assert_eq!(counted(&app, ann.user_id).await, (stored, 0));
}

/// However many requests of one user come at once: they come one after the other, and none has to be begun anew.
async fn one_pair_changes_without_conflicts(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let path = format!("/user/{}/follow", bob.user_id);
    for _ in 0..10 {
        let both_ways = (0..40).map(|n| {
            let method = [Method::PUT, Method::DELETE][n % 2].clone();
            app.send(ann.request(method, &path))
        });
        for answer in join_all(both_ways).await {
            answer.expect_empty(204);
        }
    }
    all_is_right(&app);
    let scrape = Scrape::of(&app).await;
    scrape.is("inkpot_database_retries_total{reason=\"conflict\"}", 0.0);
}

async fn follows_are_what_a_naive_model_says(app: TestApp) {
    let mut people = Vec::new();
    for name in ["ann", "bob", "eve", "dan"] {
        people.push(app.user(name).await);
    }
    let mut chance = Random::new(72);
    // Follower and followed, in the order in which they came.
    let mut truth: Vec<(i64, i64)> = Vec::new();
    for _ in 0..120 {
        let who = chance.below(people.len());
        let whom = people[chance.below(people.len())].user_id;
        let pair = (people[who].user_id, whom);
        let there = truth.iter().position(|known| *known == pair);
        if chance.percent(60) {
            let answer = set_follow(&people[who], whom).await;
            if pair.0 == pair.1 {
                answer.problem("follow_self");
            } else {
                answer.expect_empty(204);
                if there.is_none() {
                    truth.push(pair);
                }
            }
        } else {
            unfollow(&people[who], whom).await.expect_empty(204);
            there.map(|at| truth.remove(at));
        }
        let newest = |of: fn(&(i64, i64)) -> (i64, i64)| -> Vec<i64> {
            let of_whom = truth.iter().rev().map(of).filter(|(user, _)| *user == whom);
            of_whom.map(|(_, other)| other).collect()
        };
        let (followers, following) = (newest(|p| (p.1, p.0)), newest(|p| (p.0, p.1)));
        assert_eq!(listed(&app, whom, "followers").await, followers);
        assert_eq!(listed(&app, whom, "following").await, following);
        let count = |list: &[i64]| i64::try_from(list.len()).unwrap();
        assert_eq!(
            counted(&app, whom).await,
            (count(&followers), count(&following))
        );
    }
    all_is_right(&app);
}

/// What is kept of a list is made anew when anything that it shows is another.
async fn lists_of_people_are_right_after_every_write(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    set_follow(&bob, ann.user_id).await.expect_empty(204);
    let list = format!("/user/{}/followers", ann.user_id);
    let shown = async || {
        let page = app.anonymous().get(&list).await.expect(200);
        let alone = app.anonymous().get(&format!("/user/{}", bob.user_id)).await;
        // Twice, so that the second is what was kept.
        assert_eq!(app.anonymous().get(&list).await.expect(200), page);
        assert_eq!(page["users"], json!([alone.expect(200)["user"]]));
        page["users"][0].clone()
    };
    assert_eq!(shown().await["posts"], 0);
    let post = bob.publish("title", "text").await;
    assert_eq!(shown().await["posts"], 1);
    let path = format!("/post/{post}");
    bob.patch(&path, json!({ "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(shown().await["posts"], 0);
    bob.patch("/user/me", json!({ "name": "Robert" }))
        .await
        .expect(200);
    assert_eq!(shown().await["name"], "Robert");
    bob.patch("/user/me", json!({ "bio": "Builds." }))
        .await
        .expect(200);
    assert_eq!(shown().await["bio"], "Builds.");
    set_follow(&ann, bob.user_id).await.expect_empty(204);
    assert_eq!(shown().await["followers"], 1);
    unfollow(&ann, bob.user_id).await.expect_empty(204);
    assert_eq!(shown().await["followers"], 0);
    leave(&bob).await;
    assert_eq!(listed(&app, ann.user_id, "followers").await, [0; 0]);
}

async fn a_user_with_many_followers_leaves_in_pieces(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let user = ann.user_id;
    app.database
        .with(move |conn| insert_followers(conn, user, 1000, 450));
    set_follow(&ann, bob.user_id).await.expect_empty(204);
    set_follow(&bob, ann.user_id).await.expect_empty(204);
    assert_eq!(counted(&app, user).await, (451, 1));
    leave(&ann).await;
    app.anonymous()
        .get(&format!("/user/{user}/followers"))
        .await
        .problem("user_not_found");
    // Whom they followed is told at once, those who followed them piece by piece.
    assert_eq!(counted(&app, bob.user_id).await.0, 0);
    assert_eq!(listed(&app, bob.user_id, "followers").await, [0; 0]);
    all_is_right(&app);
    app.work().await;
    let left = app.database.with(|conn| {
        let follows: i64 = follow::table.count().get_result(conn).unwrap();
        let own: i64 = (user_stat::table.filter(user_stat::user_id.eq(1)))
            .count()
            .get_result(conn)
            .unwrap();
        (follows, own)
    });
    assert_eq!((user, left), (1, (0, 0)));
    assert_eq!(counted(&app, bob.user_id).await, (0, 0));
    assert_eq!(counted(&app, 1449).await, (0, 0));
    all_is_right(&app);
}

async fn what_is_wrong_is_found_and_mended(app: TestApp) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    set_follow(&ann, bob.user_id).await.expect_empty(204);
    app.database.with(|conn| {
        conn.batch_execute(
            "INSERT INTO user_stat (user_id, kind, slot, number) VALUES (2, 0, 77, 3), (1, 0, 0, -1)",
        )
        .unwrap();
    });
    let found = report(&app);
    assert_eq!(found.follows, [((1, 0), 1), ((2, 0), -3)]);
    let db = app.state.db.clone();
    std::thread::spawn(move || check::repair(&db, &found))
        .join()
        .unwrap()
        .unwrap();
    all_is_right(&app);
}

async fn an_export_has_whom_one_follows(app: TestApp) {
    let (ann, bob, eve) = (
        app.user("ann").await,
        app.user("bob").await,
        app.user("eve").await,
    );
    set_follow(&ann, eve.user_id).await.expect_empty(204);
    set_follow(&ann, bob.user_id).await.expect_empty(204);
    let export = ann.get("/user/me/export").await.expect(200);
    let following = export["following"].as_array().unwrap().iter();
    let following: Vec<&Value> = following.map(|one| &one["user_id"]).collect();
    assert_eq!(following, [&json!(eve.user_id), &json!(bob.user_id)]);
}

async fn a_profile_has_a_bio_and_an_image(app: TestApp) {
    let ann = app.user("ann").await;
    let path = format!("/user/{}", ann.user_id);
    let shown = app.anonymous().get(&path).await.expect(200);
    assert_eq!(
        (&shown["user"]["bio"], &shown["user"]["image"]),
        (&Value::Null, &Value::Null)
    );
    let change = json!({ "bio": " Two\nlines <b> ", "image": "HTTPS://Example.org/a b.png" });
    let changed = ann.patch("/user/me", change.clone()).await.expect(200);
    for view in [
        &changed["userinfo"],
        &ann.get("/user/me").await.expect(200)["userinfo"],
        &app.anonymous().get(&path).await.expect(200)["user"],
    ] {
        assert_eq!(view["bio"], "Two\nlines <b>");
        assert_eq!(view["image"], "https://example.org/a%20b.png");
    }
    // What is so already changes nothing, and asks for no password.
    let again = ann.patch("/user/me", change).await.expect(200);
    assert_eq!(again, changed);
    for nothing in [Value::Null, json!(""), json!(" ")] {
        ann.patch(
            "/user/me",
            json!({ "bio": "x", "image": "http://a.example/" }),
        )
        .await
        .expect(200);
        let gone = ann
            .patch("/user/me", json!({ "bio": nothing, "image": nothing }))
            .await;
        let gone = gone.expect(200);
        assert_eq!(gone["userinfo"]["bio"], Value::Null);
        assert_eq!(gone["userinfo"]["image"], Value::Null);
    }
    let root = app.admin("root").await;
    assert!(root.user_id > 0);
    let root = app.client_of(&app.login("root").await);
    let audit = root
        .get(&format!("/audit?user={}", ann.user_id))
        .await
        .expect(200);
    assert_eq!(audit["audit"][0]["detail"], "bio, image");
}

async fn bios_and_images_that_do_not_fit_are_refused(app: TestApp) {
    let ann = app.user("ann").await;
    let longest = "é".repeat(1000);
    let answer = ann
        .patch("/user/me", json!({ "bio": longest }))
        .await
        .expect(200);
    assert_eq!(answer["userinfo"]["bio"], longest);
    for (field, value, code) in [
        ("bio", json!("x".repeat(1001)), "bio_too_long"),
        ("bio", json!(1), "field_mistyped"),
        ("bio", json!("a\u{0}"), "control_character"),
        ("bio", json!("a\u{202e}b"), "control_character"),
        ("image", json!("javascript:alert(1)"), "image_invalid"),
        ("image", json!("/a.png"), "image_invalid"),
        ("image", json!("https://u:p@example.org/"), "image_invalid"),
        (
            "image",
            json!("https://example.org/\n"),
            "control_character",
        ),
        (
            "image",
            json!(format!("https://example.org/{}", "a".repeat(2048))),
            "image_invalid",
        ),
    ] {
        let answer = ann.patch("/user/me", json!({ field: value })).await;
        answer.faults(&[(&format!("/{field}"), code)]);
    }
}

async fn usernames_are_short_and_long_and_have_dots(app: TestApp) {
    let ann = app.user("ann").await;
    let longest = "a".repeat(64);
    for name in ["al", "A.b", "x-", "4.2-a", &longest] {
        ann.patch("/user/me", json!({ "username": name }))
            .await
            .expect(200);
        let shown = app
            .anonymous()
            .get(&format!("/user/@{name}"))
            .await
            .expect(200);
        assert_eq!(shown["user"]["username"], name);
        let login = json!({ "account": name.to_uppercase(), "password": PASSWORD });
        app.anonymous().post("/user/login", login).await.expect(200);
    }
    let body = |name: &str| json!({ "email": "bob@example.org", "name": "bob", "password": PASSWORD, "username": name });
    for (name, code) in [
        ("a", "username_invalid"),
        ("1.2", "username_invalid"),
        ("..", "username_invalid"),
        (&"a".repeat(65), "username_invalid"),
        ("me", "username_reserved"),
        ("feed.atom", "username_reserved"),
        ("Robots.txt", "username_reserved"),
    ] {
        let refused = app.anonymous().post("/user/reg", body(name)).await;
        refused.faults(&[("/username", code)]);
    }
    let taken = app
        .anonymous()
        .post("/user/reg", body(&longest.to_uppercase()))
        .await;
    taken.problem("username_taken");
    app.anonymous()
        .post("/user/reg", body("b.ob"))
        .await
        .expect(201);
}

const MANY: i64 = 100_000;

/// At a hundred thousand followers, lists are read and rows changed along an index.
fn follows_are_found_along_an_index(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let mut conn = connection::open(&url).unwrap();
    let conn = &mut conn;
    conn.batch_execute(
        "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
         mobile_verified, created, updated) VALUES (1, 'u', 'u', 'u', '', 'user', 1, 0, 0, \
         '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    )
    .unwrap();
    insert_followers(conn, 1, 2, MANY);
    let page = |page| ListPart::Page(PageRequest { page, size: 20 });
    let below = |position| ListPart::Below { position, size: 20 };
    for analyzed in [false, true] {
        if analyzed {
            let analyze = match &conn {
                Conn::Sqlite(_) => "ANALYZE",
                Conn::Mysql(_) => "ANALYZE TABLE follow, user_stat",
            };
            conn.batch_execute(analyze).unwrap();
        }
        for (part, first, most) in [
            (page(1), MANY + 1, 200),
            (page(5000), 21, MANY + 300),
            (below(Some(50_001)), 50_001, 200),
        ] {
            let before = rows_read(conn);
            let mut found = Vec::new();
            let queries = all_statements(conn, |conn| {
                let followers = (FollowList::Followers, MANY);
                found = rows::load_part(conn, 1, followers, part).unwrap().rows;
                rows::load_part(conn, 7, (FollowList::Following, 1), page(1)).unwrap();
            });
            let read = rows_read(conn) - before;
            assert_eq!(found[0], first);
            assert!(read <= most, "{part:?} read {read}");
            for sql in queries {
                assert_eq!(faults(conn, &sql), Vec::<String>::new(), "{sql}");
            }
        }
    }
    let before = rows_read(conn);
    let statements = all_statements(conn, |conn| {
        assert_eq!(rows::delete_some_of(conn, 1, 200).unwrap().0, 200);
        assert!(rows::delete(conn, 60_000, 1).unwrap());
        assert_eq!(rows::load_following(conn, 9000, 0, 100).unwrap().len(), 1);
    });
    let read = rows_read(conn) - before;
    assert!(read < 3000, "{read}");
    for sql in statements.iter().filter(|sql| !sql.starts_with("INSERT")) {
        assert_eq!(faults(conn, sql), Vec::<String>::new(), "{sql}");
    }
}

#[test]
fn follows_are_found_along_an_index_on_sqlite() {
    follows_are_found_along_an_index(Backend::Sqlite);
}

#[test]
fn follows_are_found_along_an_index_on_mysql() {
    follows_are_found_along_an_index(Backend::Mysql);
}
