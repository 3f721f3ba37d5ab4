//! Deleting a post with many comments and a user with many followers: at once for who looks, and then in pieces, in bounded
//! memory.
//!
//! `INKPOT_TEST_ROWS` is how many there are; `make soak-deletions` takes a hundred thousand and says what it took.

use std::io::Write;
use std::time::Instant;

use actix_web::http::Method;
use diesel::prelude::*;
use inkpot::core::db::schema::{comment, follow};
use inkpot::social::actions::check::{self, Report};
use serde_json::json;

use crate::harness::{PASSWORD, TestApp, on_both_databases};
use crate::{comments, follows};

on_both_databases![
    a_post_with_many_comments_is_deleted,
    a_user_with_many_followers_is_deleted,
];

const ROWS: i64 = 3000;
/// Rows that one transaction deletes at most, of all kinds together.
const AT_ONCE: i64 = 1000;
/// Memory that a deletion may take, in kilobytes, however much is deleted.
const MEMORY: i64 = 64 * 1024;

fn rows() -> i64 {
    std::env::var("INKPOT_TEST_ROWS").map_or(ROWS, |rows| rows.parse().unwrap())
}

/// Kilobytes of this process, now or at most since [`forget_peak`].
fn memory(name: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Does what is left of a deletion until nothing is; `count` gives how much is there.
async fn delete_the_rest(app: &TestApp, what: &str, count: impl Fn(&TestApp) -> i64) {
    let (total, begun) = (rows(), Instant::now());
    forget_peak();
    let before = memory("VmRSS");
    let (mut units, mut runs) = (0, 0);
    let mut left = count(app);
    assert!(left > total - AT_ONCE, "{left} of {total}");
    while left > 0 {
        let started = app.state.db.units();
        app.work().await;
        units += app.state.db.units() - started;
        runs += 1;
        let now = count(app);
        assert!(now < left, "{now} of {left}");
        left = now;
        // Others write meanwhile.
        app.user(&format!("reader-{runs}")).await;
    }
    let taken = begun.elapsed();
    let more = memory("VmHWM") - before;
    let line = format!(
        "{total} {what}: {units} units of work in {runs} runs, {taken:.1?}, {more} kB at most\n"
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
    assert!(i64::try_from(units).unwrap() >= total / AT_ONCE, "{units}");
    // Alone: other tests have memory of their own.
    if total > ROWS {
        assert!(more < MEMORY, "{more} kB");
    }
    let db = app.state.db.clone();
    let checking = std::thread::spawn(move || check::check(&db, &|_| {}));
    assert_eq!(checking.join().unwrap().unwrap(), Report::default());
}

async fn a_post_with_many_comments_is_deleted(app: TestApp) {
    let ann = app.user("ann").await;
    let (post, user) = (ann.publish("Title", "x").await, ann.user_id);
    app.database
        .with(move |conn| comments::insert_many(conn, post, user, rows()));
    ann.delete(&format!("/post/{post}")).await.expect_empty(204);
    let path = format!("/post/{post}/comments");
    app.anonymous().get(&path).await.problem("post_not_found");
    delete_the_rest(&app, "comments", |app| {
        app.database
            .with(|conn| comment::table.count().get_result(conn).unwrap())
    })
    .await;
}

async fn a_user_with_many_followers_is_deleted(app: TestApp) {
    let ann = app.user("ann").await;
    let user = ann.user_id;
    app.database
        .with(move |conn| follows::insert_followers(conn, user, 1000, rows()));
    let body = json!({ "current_password": PASSWORD });
    let left = ann.call(Method::DELETE, "/user/me", body).await;
    left.expect_empty(204);
    let path = format!("/user/{user}/followers");
    app.anonymous().get(&path).await.problem("user_not_found");
    delete_the_rest(&app, "followers", |app| {
        app.database
            .with(|conn| follow::table.count().get_result(conn).unwrap())
    })
    .await;
}
