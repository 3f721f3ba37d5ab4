//! A check of what is kept of posts and users: admins ask for it, a job does it, and everybody who may is told what is
//! wrong.

use std::cell::Cell;

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join_all;
use inkpot::core::db::schema::{consistency_check, job};
use inkpot::core::progress::stopped;
use inkpot::jobs::lease::LEASE;
use inkpot::maintenance::actions::check::{self, Next};
use inkpot::maintenance::types::{Found, Part};
use inkpot::{posts, social};
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, on_both_databases};

on_both_databases![
    a_check_says_what_is_wrong_until_it_is_mended,
    of_each_kind_the_first_are_named,
    a_hundred_who_ask_at_once_ask_for_one_check,
    a_check_whose_worker_is_gone_goes_on_where_it_was,
    a_check_that_was_given_up_is_asked_for_again,
    a_worker_that_comes_too_late_keeps_nothing,
    a_check_that_nobody_waits_for_ends,
];

const PARTS: [&str; 6] = [
    "counts", "tags", "search", "schedule", "comments", "follows",
];

/// Asks for a check, which waits for a worker then.
async fn ask(root: &Client<'_>) -> Value {
    root.post("/check", Value::Null).await.expect(202)["check"].clone()
}

/// The newest check, as an admin is told.
async fn told(root: &Client<'_>) -> Value {
    root.get("/check").await.expect(200)["check"].clone()
}

/// Asks for a check, has it done, and gives its report.
async fn checked(app: &TestApp, root: &Client<'_>) -> Value {
    ask(root).await;
    app.work().await;
    let check = told(root).await;
    assert_eq!(check["state"], "done", "{check}");
    check["report"].clone()
}

fn damage(app: &TestApp, sql: String) {
    app.database
        .with(move |conn| conn.batch_execute(&sql).unwrap());
}

/// What `inkpot check --repair` does.
fn repair(app: &TestApp) {
    let db = app.state.db.clone();
    let mending = std::thread::spawn(move || {
        let found = posts::actions::check::check(&db, &|_, _| {}).unwrap();
        posts::actions::check::repair(&db, &found, &|_| {}).unwrap();
        let said = social::actions::check::check(&db, &|_| {}).unwrap();
        social::actions::check::repair(&db, &said).unwrap();
    });
    mending.join().unwrap();
}

async fn a_check_says_what_is_wrong_until_it_is_mended(app: TestApp) {
    let root = app.admin("root").await;
    let ann = app.user("ann").await;
    let body = json!({ "title": "t", "content": "some words", "tags": ["ink"] });
    let post = ann.post("/post", body).await.expect(201)["post_id"].clone();
    let comment = json!({ "content": "well said" });
    ann.post(&format!("/post/{post}/comments"), comment)
        .await
        .expect(201);
    let never = json!({ "state": "never", "asked": null, "part": null, "last_error": null, "report": null });
    assert_eq!(told(&root).await, never);

    let waiting = ask(&root).await;
    assert_eq!(
        (&waiting["state"], &waiting["part"]),
        (&json!("waiting"), &json!("counts"))
    );
    assert_eq!(waiting["report"], Value::Null);
    app.work().await;
    let check = told(&root).await;
    assert_eq!(
        (&check["state"], &check["part"]),
        (&json!("done"), &Value::Null)
    );
    let report = &check["report"];
    assert_eq!(
        (&report["differences"], &report["findings"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(report["asked"], check["asked"]);
    let read: Vec<(&str, i64)> = (report["parts"].as_array().unwrap().iter())
        .map(|part| {
            (
                part["part"].as_str().unwrap(),
                part["read"].as_i64().unwrap(),
            )
        })
        .collect();
    let expected: Vec<(&str, i64)> = PARTS.into_iter().zip([1, 1, 1, 0, 1, 0]).collect();
    assert_eq!(read, expected);

    let user = ann.user_id;
    damage(
        &app,
        format!(
            "INSERT INTO user_stat (user_id, kind, slot, number) VALUES ({user}, 0, 99, 3);
             INSERT INTO post_stat (post_id, kind, slot, number) VALUES ({post}, 2, 99, 2);
             INSERT INTO post_stat (post_id, kind, slot, number) VALUES (4711, 2, 99, 2);
             DELETE FROM post_words;
             DELETE FROM post_tag"
        ),
    );
    // Every process shows the same.
    let other = app.second(&[]).await;
    let report = checked(&app, &root).await;
    let admin = other.login("root").await;
    let elsewhere = other.client_of(&admin).get("/check").await.expect(200);
    assert_eq!(elsewhere["check"]["report"], report);
    let told: Vec<(&str, &str)> = (report["findings"].as_array().unwrap().iter())
        .map(|finding| {
            (
                finding["kind"].as_str().unwrap(),
                finding["detail"].as_str().unwrap(),
            )
        })
        .collect();
    let untagged = format!("post {post} is not under all of its tags");
    let unfound = format!("post {post} is not found by its words");
    let likes = format!("likes of post {post}: -2");
    let followers = format!("followers of user {user}: -3");
    assert_eq!(
        told,
        [
            ("untagged_post", untagged.as_str()),
            ("unfound_post", &unfound),
            ("post_count", &likes),
            (
                "stray_post",
                "comments or counts of post 4711, which is not there"
            ),
            ("user_count", &followers),
        ]
    );
    assert_eq!(report["differences"], 5);
    let last = &report["findings"][4];
    assert_eq!(
        (&last["user_id"], &last["off_by"], &last["post_id"]),
        (&json!(user), &json!(-3), &Value::Null)
    );

    repair(&app);
    assert_eq!(checked(&app, &root).await["differences"], 0);
}

async fn of_each_kind_the_first_are_named(app: TestApp) {
    let root = app.admin("root").await;
    let rows: Vec<String> = (1..=30).map(|user| format!("({user}, 1, 99, 1)")).collect();
    damage(
        &app,
        format!(
            "INSERT INTO user_stat (user_id, kind, slot, number) VALUES {}",
            rows.join(", ")
        ),
    );
    let report = checked(&app, &root).await;
    assert_eq!(report["differences"], 30);
    assert_eq!(report["findings"].as_array().unwrap().len(), 20);
    assert_eq!(report["findings"][0]["detail"], "following of user 1: -1");
}

/// The jobs of checks: their states, and whether each has its key.
fn jobs(app: &TestApp) -> Vec<(String, bool)> {
    app.database.with(|conn| {
        job::table
            .filter(job::kind.eq("check"))
            .order(job::job_id)
            .select((job::state, job::dedup_key.is_not_null()))
            .load(conn)
            .unwrap()
    })
}

async fn a_hundred_who_ask_at_once_ask_for_one_check(app: TestApp) {
    let root = app.admin("root").await;
    let answers = join_all((0..100).map(|_| root.post("/check", Value::Null))).await;
    for answer in answers {
        assert_eq!(answer.expect(202)["check"]["state"], "waiting");
    }
    assert_eq!(jobs(&app), [("waiting".to_owned(), true)]);
    app.work().await;
    assert_eq!(jobs(&app), [("done".to_owned(), false)]);
    let first = told(&root).await;
    // And then for another one, while the report of the first stays.
    app.clock.advance(chrono::Duration::seconds(1));
    let second = ask(&root).await;
    assert_ne!(second["asked"], first["asked"]);
    assert_eq!(second["report"], first["report"]);
    app.work().await;
    assert_eq!(jobs(&app).len(), 2);
    assert_eq!(told(&root).await["report"]["asked"], second["asked"]);
}

/// The id of the newest check's job.
fn job_id(app: &TestApp) -> i64 {
    app.database.with(|conn| {
        let id = consistency_check::table.select(consistency_check::job_id);
        id.first::<Option<i64>>(conn).unwrap().unwrap()
    })
}

/// Does a part, as a worker does, and gives what was found so far.
fn do_part(app: &TestApp, part: Part, mut found: Found) -> Found {
    let db = app.state.db.clone();
    let doing = std::thread::spawn(move || {
        assert!(check::do_part(&db, part, &mut found, &|_| Ok(())).unwrap());
        found
    });
    doing.join().unwrap()
}

async fn a_check_whose_worker_is_gone_goes_on_where_it_was(app: TestApp) {
    let root = app.admin("root").await;
    ask(&root).await;
    let id = job_id(&app);
    // A worker has done two parts and was killed in the third.
    let now = app.clock.now();
    let leased = now + LEASE;
    app.database.with(move |conn| {
        let taken = (
            job::state.eq("running"),
            job::lease.eq("gone"),
            job::due.eq(leased),
            job::attempts.eq(1),
        );
        diesel::update(job::table.find(id))
            .set(taken)
            .execute(conn)
            .unwrap();
    });
    for _ in 0..2 {
        let Next::Part(part, found) = check::find_next(&app.state.db, id).await.unwrap() else {
            panic!("there is nothing to do");
        };
        let found = do_part(&app, part, found);
        assert_eq!(
            check::keep(&app.state.maintenance, id, part, &found)
                .await
                .unwrap(),
            Some(false)
        );
    }
    app.work().await;
    let check = told(&root).await;
    assert_eq!(
        (&check["state"], &check["part"]),
        (&json!("running"), &json!("search"))
    );
    // Who asks now asks for that one.
    assert_eq!(ask(&root).await, check);
    app.clock.advance(chrono::Duration::seconds(60));
    app.work().await;
    let check = told(&root).await;
    assert_eq!(check["state"], "done", "{check}");
    let parts: Vec<&Value> = (check["report"]["parts"].as_array().unwrap().iter())
        .map(|part| &part["part"])
        .collect();
    assert_eq!(parts, PARTS);
    assert_eq!(jobs(&app).len(), 1);
}

async fn a_check_that_was_given_up_is_asked_for_again(app: TestApp) {
    let root = app.admin("root").await;
    ask(&root).await;
    app.database.with(|conn| {
        let dead = (
            job::state.eq("dead"),
            job::due.eq(None::<NaiveDateTime>),
            job::dedup_key.eq(None::<String>),
            job::last_error.eq("every worker that had it is gone"),
        );
        let checks = job::table.filter(job::kind.eq("check"));
        diesel::update(checks).set(dead).execute(conn).unwrap();
    });
    let check = told(&root).await;
    assert_eq!(
        (&check["state"], &check["part"]),
        (&json!("failed"), &json!("counts"))
    );
    assert_eq!(check["last_error"], "every worker that had it is gone");
    let given_up = job_id(&app);
    assert_eq!(ask(&root).await["state"], "waiting");
    // And the first one, tried again, is no check any more.
    root.post(&format!("/jobs/{given_up}/retry"), Value::Null)
        .await
        .expect(200);
    app.work().await;
    let check = told(&root).await;
    assert_eq!(
        (&check["state"], &check["last_error"]),
        (&json!("done"), &Value::Null)
    );
    let shown = root.get("/jobs/?state=done").await.expect(200);
    let note = shown["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["job_id"] == given_up);
    assert_eq!(note.unwrap()["last_error"], "another check was begun");
    // A row of a job that is not kept any more.
    app.database
        .with(|conn| diesel::delete(job::table).execute(conn).unwrap());
    assert_eq!(told(&root).await["state"], "done");
}

async fn a_worker_that_comes_too_late_keeps_nothing(app: TestApp) {
    let root = app.admin("root").await;
    ask(&root).await;
    let id = job_id(&app);
    let maintenance = &app.state.maintenance;
    let found = do_part(&app, Part::Counts, Found::default());
    assert_eq!(
        check::keep(maintenance, id, Part::Counts, &found)
            .await
            .unwrap(),
        Some(false)
    );
    assert_eq!(
        check::keep(maintenance, id, Part::Counts, &found)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        check::keep(maintenance, id + 1, Part::Tags, &found)
            .await
            .unwrap(),
        None
    );
    app.work().await;
    assert_eq!(
        told(&root).await["report"]["parts"]
            .as_array()
            .unwrap()
            .len(),
        PARTS.len()
    );
    assert!(matches!(
        check::find_next(&app.state.db, id).await.unwrap(),
        Next::End
    ));
}

async fn a_check_that_nobody_waits_for_ends(app: TestApp) {
    let ann = app.user("ann").await;
    for title in ["one", "two"] {
        let body = json!({ "title": title, "content": "c", "tags": ["ink"] });
        let id = ann.post("/post", body).await.expect(201)["post_id"].clone();
        ann.post(&format!("/post/{id}/comments"), json!({ "content": "y" }))
            .await
            .expect(201);
    }
    app.user("bob")
        .await
        .put(&format!("/user/{}/follow", ann.user_id), Value::Null)
        .await;
    for part in Part::ALL.into_iter().filter(|part| *part != Part::Schedule) {
        let db = app.state.db.clone();
        let reading = std::thread::spawn(move || {
            let heard = Cell::new(0);
            let hear = |_| {
                heard.set(heard.get() + 1);
                Err(stopped())
            };
            let is_whole = check::do_part(&db, part, &mut Found::default(), &hear).unwrap();
            (is_whole, heard.get())
        });
        assert_eq!(reading.join().unwrap(), (false, 1), "{part:?}");
    }
}
