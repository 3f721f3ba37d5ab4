//! A user who leaves with more posts than are deleted at once: gone for everybody in one
//! short transaction, and the rest is deleted in pieces while others read and write.

use actix_web::http::Method;
use chrono::TimeDelta;
use diesel::prelude::*;
use inkpot::accounts::actions::deletion::{self, PIECE};
use inkpot::accounts::jobs::delete_user::DeleteUser;
use inkpot::accounts::types::{Action, DELETED};
use inkpot::core::clock::Clock;
use inkpot::core::db::Conn;
use inkpot::core::db::schema::{
    audit, content, idempotency, post, post_tag, post_unindexed, session, user,
};
use inkpot::jobs::handler::JobHandler;
use inkpot::jobs::lease::LEASE;
use inkpot::jobs::storage::queue;
use inkpot::jobs::{JobStatus, Queue};
use inkpot::posts::storage::check;
use serde_json::{Value, json};

use crate::harness::{Client, PASSWORD, TestApp, jobs, on_both_databases, posts};

on_both_databases![
    an_author_of_many_posts_is_gone_at_once,
    what_is_left_is_deleted_in_pieces,
    a_process_that_dies_between_two_pieces_is_followed,
    what_no_job_deletes_the_sweep_does,
    a_user_of_many_keys_and_sessions_leaves_none,
    the_audit_forgets_addresses_in_time,
    nobody_is_deleted_by_a_job_who_was_not_before,
];

fn present() -> chrono::NaiveDateTime {
    Clock::system().now()
}

/// Numbers of which two thirds are posts; those of bob are odd, those of ann even.
const NUMBERS: i64 = 1200;
/// Posts of each.
const EACH: usize = 400;

/// Two authors whose posts lie between each other's; the first will leave.
async fn two_authors(app: &TestApp) -> (Client<'_>, Client<'_>) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    assert_eq!((ann.user_id, bob.user_id), (1, 2));
    app.database
        .with(|conn| posts::insert_many(conn, 2, NUMBERS));
    (ann, bob)
}

async fn leave(user: &Client<'_>) {
    let body = json!({ "current_password": PASSWORD });
    user.call(Method::DELETE, "/user/me", body)
        .await
        .expect_empty(204);
}

/// Ids of the posts of a user, the newest first.
fn ids_of(parity: i64) -> Vec<i64> {
    let mut ids: Vec<i64> = (1..=NUMBERS)
        .filter(|n| n % 3 != 0 && n % 2 == parity)
        .collect();
    ids.reverse();
    ids
}

fn ids(answer: &Value) -> Vec<i64> {
    let posts = answer["posts"].as_array().unwrap();
    posts
        .iter()
        .map(|post| post["post_id"].as_i64().unwrap())
        .collect()
}

/// The posts of a list, by its pages; all of them say the same count.
async fn by_pages(app: &TestApp, filter: &str) -> Vec<i64> {
    let mut all = Vec::new();
    for page in 1.. {
        let path = format!("/post/?page={page}&size=100&{filter}");
        let answer = app.anonymous().get(&path).await.expect(200);
        all.extend(ids(&answer));
        if answer["pagination"]["next"].is_null() {
            assert_eq!(answer["pagination"]["count"], all.len(), "{path}");
            return all;
        }
    }
    unreachable!()
}

/// The posts of a list, by its cursor.
async fn by_cursor(app: &TestApp, filter: &str) -> Vec<i64> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/post/?before={before}&size=100&{filter}");
        let answer = app.anonymous().get(&path).await.expect(200);
        all.extend(ids(&answer));
        match answer["pagination"]["next"].as_str() {
            Some(next) => next.clone_into(&mut before),
            None => return all,
        }
    }
}

/// Every list has bob's posts alone, in both ways of paging, with the right counts; and the
/// kept counts agree with what is stored.
async fn only_bob_is_seen(app: &TestApp, bobs: &[i64]) {
    let sevenths: Vec<i64> = bobs.iter().copied().filter(|n| n % 7 == 0).collect();
    for (filter, expected) in [
        ("", bobs),
        ("tag=all", bobs),
        ("author=2", bobs),
        ("author=2&tag=all", bobs),
        ("q=seventh", &sevenths),
        ("q=seventh&tag=all", &sevenths),
        ("q=%22word+seventh%22", &sevenths),
        ("tag=even", &[]),
        ("author=1", &[]),
        ("author=1&tag=all", &[]),
        ("author=1&q=word", &[]),
    ] {
        assert_eq!(by_pages(app, filter).await, expected, "{filter}");
        assert_eq!(by_cursor(app, filter).await, expected, "{filter}");
    }
    let feed = app.anonymous().get("/feed.json").await.expect(200);
    let authors: Vec<&str> = (feed["items"].as_array().unwrap().iter())
        .map(|item| item["authors"][0]["name"].as_str().unwrap())
        .collect();
    assert_eq!(authors, ["bob"; 20]);
    let feed = app.anonymous().get("/feed.json?author=1").await.expect(200);
    assert_eq!(feed["items"], json!([]));
    let missing = on_thread(app, |conn| check::missing_counts(conn, &|_| Ok(())));
    assert_eq!(missing, []);
}

fn on_thread<T: Send + 'static>(
    app: &TestApp,
    work: impl Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
) -> T {
    app.database.with(move |conn| work(conn).unwrap())
}

/// Posts of ann that are still stored.
fn stored(app: &TestApp) -> usize {
    let count: i64 = on_thread(app, |conn| {
        post::table
            .filter(post::author_id.eq(1))
            .count()
            .get_result(conn)
    });
    usize::try_from(count).unwrap()
}

/// Nothing of ann is stored any more, and all of bob is.
async fn all_is_deleted(app: &TestApp, users: i64) {
    let bobs = i64::try_from(EACH).unwrap();
    let left = on_thread(app, |conn| {
        Ok((
            post::table.count().get_result::<i64>(conn)?,
            content::table.count().get_result::<i64>(conn)?,
            post_tag::table.count().get_result::<i64>(conn)?,
            user::table.count().get_result::<i64>(conn)?,
            post_unindexed::table.count().get_result::<i64>(conn)?,
        ))
    });
    assert_eq!(left, (bobs, bobs, bobs, users, 0));
    assert_eq!(words(app), bobs);
    only_bob_is_seen(app, &ids_of(1)).await;
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// Posts that the search can find.
fn words(app: &TestApp) -> i64 {
    let sql = "SELECT COUNT(*) AS number FROM post_words";
    let row: Number = on_thread(app, move |conn| match conn {
        Conn::Sqlite(conn) => diesel::sql_query(sql).get_result(conn),
        Conn::Mysql(conn) => diesel::sql_query(sql).get_result(conn),
    });
    row.number
}

async fn an_author_of_many_posts_is_gone_at_once(app: TestApp) {
    let (ann, bob) = two_authors(&app).await;
    let root = app.admin("root").await;
    // What is kept of before must not be given any more.
    by_pages(&app, "").await;
    app.anonymous().get("/post/8").await.expect(200);
    leave(&ann).await;
    assert_eq!(stored(&app), EACH - PIECE);

    for id in ids_of(0) {
        let path = format!("/post/{id}");
        app.anonymous().get(&path).await.problem("post_not_found");
        if id % 50 == 0 {
            root.get(&path).await.problem("post_not_found");
            root.delete(&path).await.problem("post_not_found");
            let change = json!({ "title": "x" });
            root.patch(&path, change).await.problem("post_not_found");
        }
    }
    only_bob_is_seen(&app, &ids_of(1)).await;

    ann.get("/user/me").await.problem("session_ended");
    ann.get("/user/me/export").await.problem("session_ended");
    let new = json!({ "title": "x", "content": "y" });
    ann.post("/post", new).await.problem("session_ended");
    app.anonymous()
        .get("/user/1")
        .await
        .problem("user_not_found");
    for account in ["ann@example.org", "#1", ""] {
        let body = json!({ "account": account, "password": PASSWORD });
        let answer = app.anonymous().post("/user/login", body).await;
        assert!([401, 422].contains(&answer.status.as_u16()), "{account}");
    }
    root.patch("/user/1", json!({ "is_active": true }))
        .await
        .problem("user_not_found");
    root.delete("/user/1").await.problem("user_not_found");
    let users = root.get("/user").await.expect(200);
    assert_eq!(users["pagination"]["count"], 2);
    assert_eq!(users["users"].as_array().unwrap().len(), 2);
    let audit = root.get("/audit?user=1").await.expect(200);
    assert_eq!(audit["audit"][0]["action"], Action::Deleted.name());
    for entry in audit["audit"].as_array().unwrap() {
        assert_eq!(entry["ip"], "", "{entry}");
    }

    // Who takes the address is somebody else.
    let again = app.user("ann").await;
    assert!(again.user_id > 3);
    let id = again.publish("New", "by another ann").await;
    app.anonymous()
        .get(&format!("/post/{id}"))
        .await
        .expect(200);
    again.delete(&format!("/post/{id}")).await.expect_empty(204);
    leave(&again).await;
    bob.get("/user/me").await.expect(200);
    app.work().await;
    assert_eq!(stored(&app), 0);
    all_is_deleted(&app, 2).await;
}

async fn what_is_left_is_deleted_in_pieces(app: TestApp) {
    let (ann, bob) = two_authors(&app).await;
    app.work().await;
    leave(&ann).await;
    let mut left = EACH - PIECE;
    let mut published = Vec::new();
    while left > 0 {
        assert_eq!(stored(&app), left);
        let piece = on_thread(&app, |conn| {
            conn.transaction(|conn| deletion::go_on(conn, 1, present()))
        });
        assert_eq!(piece.unwrap().posts, PIECE.min(left));
        left -= PIECE.min(left);
        // Between two pieces others write.
        published.insert(0, bob.publish("Between", "word").await);
        let newest = ids(&app.anonymous().get("/post/?size=5").await.expect(200));
        assert_eq!(newest[..published.len()], published);
    }
    for id in published {
        bob.delete(&format!("/post/{id}")).await.expect_empty(204);
    }
    app.work().await;
    let jobs = jobs::rows(&app.database);
    let job = jobs.iter().find(|job| job.kind == DeleteUser::KIND.name);
    assert!(job.unwrap().is(JobStatus::Done), "{jobs:?}");
    all_is_deleted(&app, 1).await;
    // Once more, as after a crash between the last piece and its record.
    let again = on_thread(&app, |conn| {
        conn.transaction(|conn| deletion::go_on(conn, 1, present()))
    });
    assert_eq!(again, None);
}

async fn a_process_that_dies_between_two_pieces_is_followed(app: TestApp) {
    let (ann, _) = two_authors(&app).await;
    app.work().await;
    leave(&ann).await;
    let now = app.clock.now();
    let claimed = on_thread(&app, move |conn| {
        let free = Queue::ALL.map(|queue| (queue, queue.concurrency()));
        conn.transaction(|conn| queue::settle_and_claim(conn, "of the dead", &[], &free, now))
    });
    assert!(claimed.iter().any(|job| job.kind == DeleteUser::KIND.name));
    // It deletes a piece and is killed in the middle of the next.
    on_thread(&app, |conn| {
        conn.transaction(|conn| deletion::go_on(conn, 1, present()))
    });
    on_thread(&app, |conn| {
        let broken: QueryResult<()> = conn.transaction(|conn| {
            deletion::go_on(conn, 1, present())?;
            Err(diesel::result::Error::RollbackTransaction)
        });
        assert!(broken.is_err());
        Ok(())
    });
    let second = app.second(&[]).await;
    second.work().await;
    assert_eq!(on_thread(&app, deleted_users), [1]);
    only_bob_is_seen(&second, &ids_of(1)).await;
    app.clock
        .advance(TimeDelta::from_std(LEASE).unwrap() + TimeDelta::seconds(1));
    second.work().await;
    all_is_deleted(&second, 1).await;
}

fn deleted_users(conn: &mut Conn) -> QueryResult<Vec<i64>> {
    user::table
        .filter(user::role.eq(DELETED))
        .select(user::user_id)
        .load(conn)
}

async fn what_no_job_deletes_the_sweep_does(app: TestApp) {
    let (ann, _) = two_authors(&app).await;
    leave(&ann).await;
    on_thread(&app, |conn| {
        use inkpot::core::db::schema::job;
        diesel::delete(job::table.filter(job::kind.eq(DeleteUser::KIND.name))).execute(conn)
    });
    app.work().await;
    assert_eq!(on_thread(&app, deleted_users), [1]);
    let state = app.state.clone();
    std::thread::spawn(move || {
        let worker = state.worker(state.notifier().unwrap());
        worker.enqueue_periodic().unwrap();
    })
    .join()
    .unwrap();
    app.work().await;
    assert!(on_thread(&app, deleted_users).is_empty());
    all_is_deleted(&app, 1).await;
    // It repeats itself.
    app.leave_jobs();
}

async fn the_audit_forgets_addresses_in_time(app: TestApp) {
    app.leave_jobs();
    let app = TestApp::start(app.database, &["--audit-addresses", "1d"]).await;
    let register = async |name: &str| {
        let email = format!("{name}@example.org");
        let body = json!({ "email": email, "name": name, "password": PASSWORD });
        let home = app.anonymous().at("192.0.2.1");
        home.post("/user/reg", body).await.expect(201);
    };
    let addresses = || -> Vec<String> {
        on_thread(&app, |conn| {
            let rows = audit::table.order(audit::audit_id);
            rows.select(audit::ip).load(conn)
        })
    };
    let state = app.state.clone();
    std::thread::spawn(move || {
        let worker = state.worker(state.notifier().unwrap());
        worker.enqueue_periodic().unwrap();
    })
    .join()
    .unwrap();
    register("ann").await;
    app.clock.advance(TimeDelta::hours(13));
    register("bob").await;
    app.work().await;
    assert_eq!(addresses(), ["192.0.2.1", "192.0.2.1"]);
    app.clock.advance(TimeDelta::hours(13));
    register("cat").await;
    app.work().await;
    assert_eq!(addresses(), ["", "192.0.2.1", "192.0.2.1"]);
    // It goes on where it was.
    on_thread(&app, |conn| {
        let rows = diesel::update(audit::table.find(1_i64));
        rows.set(audit::ip.eq("not read again")).execute(conn)
    });
    app.clock.advance(TimeDelta::hours(13));
    app.work().await;
    assert_eq!(addresses(), ["not read again", "", "192.0.2.1"]);
    // However many entries there are, in pieces.
    on_thread(&app, |conn| {
        let rows: Vec<_> = (0..2500)
            .map(|_| {
                (
                    audit::at.eq(chrono::DateTime::UNIX_EPOCH.naive_utc()),
                    audit::action.eq("logged_in"),
                    audit::ip.eq("192.0.2.9"),
                    audit::request_id.eq(""),
                    audit::detail.eq(""),
                )
            })
            .collect();
        rows.iter().try_for_each(|row| {
            diesel::insert_into(audit::table)
                .values(*row)
                .execute(conn)
                .map(drop)
        })
    });
    app.clock.advance(TimeDelta::hours(24));
    app.work().await;
    assert!(addresses().iter().skip(1).all(String::is_empty));
    app.leave_jobs();
}

async fn a_user_of_many_keys_and_sessions_leaves_none(app: TestApp) {
    let (ann, now) = (app.user("ann").await, app.clock.now());
    ann.publish("One", "post").await;
    for _ in 0..3 {
        let draft = json!({ "title": "x", "content": "y", "status": "draft", "tags": ["t"] });
        ann.post("/post", draft).await.expect(201);
    }
    on_thread(&app, move |conn| {
        for n in 0..2 * PIECE {
            diesel::insert_into(session::table)
                .values((
                    session::user_id.eq(1),
                    session::remembered.eq(true),
                    session::nonce.eq(""),
                    session::generation.eq(0),
                    session::refresh_hash.eq(""),
                    session::user_agent.eq(""),
                    session::ip.eq(""),
                    session::created.eq(now),
                    session::rotated.eq(now),
                    session::expires.eq(now + TimeDelta::days(1)),
                ))
                .execute(conn)?;
            diesel::insert_into(idempotency::table)
                .values((
                    idempotency::user_id.eq(1),
                    idempotency::idempotency_key.eq(format!("key {n}")),
                    idempotency::request_hash.eq(""),
                    idempotency::post_id.eq(0),
                    idempotency::etag.eq(""),
                    idempotency::answer.eq(Vec::new()),
                    idempotency::created.eq(now),
                ))
                .execute(conn)?;
        }
        Ok(())
    });
    leave(&ann).await;
    let rows = |app: &TestApp| {
        on_thread(app, |conn| {
            Ok((
                session::table.count().get_result::<i64>(conn)?,
                idempotency::table.count().get_result::<i64>(conn)?,
                user::table.count().get_result::<i64>(conn)?,
                post::table.count().get_result::<i64>(conn)?,
            ))
        })
    };
    let left = i64::try_from(PIECE).unwrap();
    assert_eq!(rows(&app), (left + 1, left, 1, 0));
    ann.get("/user/me").await.problem("session_ended");
    app.work().await;
    assert_eq!(rows(&app), (0, 0, 0, 0));
}

async fn nobody_is_deleted_by_a_job_who_was_not_before(app: TestApp) {
    let ann = app.user("ann").await;
    let id = ann.publish("x", "y").await;
    let piece = on_thread(&app, |conn| {
        conn.transaction(|conn| deletion::go_on(conn, 1, present()))
    });
    assert_eq!(piece, None);
    app.anonymous()
        .get(&format!("/post/{id}"))
        .await
        .expect(200);
}
