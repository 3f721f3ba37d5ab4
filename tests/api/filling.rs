//! Posts from before there were slugs and summaries, and posts that a program of before writes
//! beside this one: they get both, in pieces, while others write, whatever is killed meanwhile.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use inkpot::core::db::schema::post;
use inkpot::posts::actions::fill;
use serde_json::json;

use crate::harness::process::{Process, inkpot, output};
use crate::harness::{Backend, SECRET, TestApp, TestDatabase, on_both_databases};

on_both_databases![
    posts_of_before_get_slugs_and_summaries,
    who_fill_at_once_fill_each_post_once,
    a_filling_that_cannot_begin_drops_no_kept_answer,
];

/// As a program of before wrote them: without what it did not know.
const FORGET: &str = "UPDATE post SET slug = NULL, summary = NULL, own_summary = 0";

type Filled = (i64, Option<String>, Option<String>, bool);

fn filled(database: &TestDatabase) -> Vec<Filled> {
    database.with(|conn| {
        post::table
            .order(post::post_id)
            .select((post::post_id, post::slug, post::summary, post::published))
            .load(conn)
            .unwrap()
    })
}

#[track_caller]
fn assert_filled(rows: &[Filled]) {
    let mut slugs: Vec<&str> = Vec::new();
    for (id, slug, summary, published) in rows {
        assert_eq!(slug.is_some(), *published, "{id}");
        assert!(summary.is_some(), "{id}");
        slugs.extend(slug.as_deref());
    }
    let all = slugs.len();
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), all, "a slug is one post's");
}

/// As while the database is away, when what is kept is all that there is.
async fn a_filling_that_cannot_begin_drops_no_kept_answer(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("Kept", "text").await;
    let kept = app.anonymous().get("/post/1").await.expect(200)["post"].clone();
    app.database.with(|conn| {
        conn.batch_execute("ALTER TABLE post RENAME TO gone")
            .unwrap();
    });
    let (db, bus) = (app.state.housekeeping.clone(), app.state.bus.clone());
    let filling =
        tokio::task::spawn_blocking(move || fill::fill_and_announce(&db, &bus, 0, &|_| ()));
    assert!(filling.await.unwrap().is_err());
    let again = app.anonymous().get("/post/1").await;
    assert_eq!(again.expect(200)["post"], kept);
}

async fn posts_of_before_get_slugs_and_summaries(app: TestApp) {
    let ann = app.user("ann").await;
    ann.publish("Über Straßen", "# Head\n\nSome *text*.").await;
    ann.publish("Same", "one").await;
    ann.publish("Same", "two").await;
    let draft = json!({ "title": "Draft", "content": "hush", "status": "draft" });
    ann.post("/post", draft).await.expect(201);
    app.database
        .with(|conn| conn.batch_execute(FORGET).unwrap());
    let reader = app.second(&[]).await;
    let before = reader.anonymous().get("/post/1").await.expect(200)["post"].clone();
    assert_eq!(before["slug"], json!(null));

    let told = std::sync::Mutex::new(0);
    let db = reader.state.housekeeping.clone();
    let pass = tokio::task::spawn_blocking(move || {
        let pass = fill::fill_after(&db, 0, &|filled| *told.lock().unwrap() = filled).unwrap();
        assert_eq!(fill::count_unfilled(&db).unwrap(), 0);
        pass
    });
    assert_eq!(pass.await.unwrap().filled, 4);
    assert_filled(&filled(&app.database));
    let after = app.second(&[]).await;
    let post = after
        .anonymous()
        .get("/post/uber-strassen")
        .await
        .expect(200)["post"]
        .clone();
    assert_eq!(post["summary"], "Head Some text.");
    assert_eq!(post["updated"], before["updated"], "nobody has changed it");
    after.anonymous().get("/post/same-2").await.expect(200);
}

async fn who_fill_at_once_fill_each_post_once(app: TestApp) {
    let ann = app.user("ann").await;
    for n in 0..260 {
        ann.publish(if n % 3 == 0 { "Same" } else { "Other" }, "text")
            .await;
    }
    app.database
        .with(|conn| conn.batch_execute(FORGET).unwrap());
    let apps = [
        app.second(&[]).await,
        app.second(&[]).await,
        app.second(&[]).await,
    ];
    let passes = apps.iter().map(|app| {
        let db = app.state.housekeeping.clone();
        tokio::task::spawn_blocking(move || fill::fill_after(&db, 0, &|_| {}).unwrap().filled)
    });
    let passes = futures_util::future::join_all(passes).await;
    let filled_by_all: usize = passes.into_iter().map(Result::unwrap).sum();
    assert_eq!(filled_by_all, 260);
    assert_filled(&filled(&app.database));
}

fn by_processes_that_are_killed(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let insert = |from: i64, to: i64| {
        move |conn: &mut inkpot::core::db::Conn| {
            let mut rows = Vec::new();
            let mut texts = Vec::new();
            for n in from..to {
                rows.push(format!(
                    "({n}, 1, 'Title {}', '2026-01-01 00:00:00', '2026-01-01 00:00:00', {}, {n}, '')",
                    n % 50,
                    u8::from(n % 7 != 0)
                ));
                texts.push(format!("({n}, 'some *words*')"));
            }
            conn.batch_execute(&format!(
                "INSERT INTO post (post_id, author_id, title, date, updated, published, place, tags) VALUES {}",
                rows.join(", ")
            ))
            .unwrap();
            let sql = format!(
                "INSERT INTO content (post_id, body) VALUES {}",
                texts.join(", ")
            );
            conn.batch_execute(&sql).unwrap();
        }
    };
    database.with(move |conn| {
        conn.batch_execute(
            "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
             mobile_verified, created, updated) VALUES (1, 'ann@example.org', 'ann@example.org', 'Ann', 'x', \
             'user', 1, 0, 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        )
        .unwrap();
        insert(1, 1_500)(conn);
    });
    for _ in 0..3 {
        // Dropped as soon as it serves: killed in the middle.
        drop(Process::on(&database));
    }
    let status = || {
        let mut command = inkpot(database.directory.path());
        command
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET)
            .args(["migrate", "status"]);
        String::from_utf8(output(&mut command).stdout).unwrap()
    };
    let is_due = |said: &str| said.contains("posts have no slug or no summary yet");
    database.with(insert(1_500, 1_600));
    assert!(is_due(&status()), "{}", status());
    let server = Process::on(&database);
    let end = Instant::now() + Duration::from_secs(60);
    while is_due(&status()) {
        assert!(Instant::now() < end, "{}", status());
    }
    // A program of before goes on beside it.
    database.with(insert(1_600, 1_700));
    while is_due(&status()) {
        assert!(Instant::now() < end, "{}", status());
    }
    drop(server);
    let rows = filled(&database);
    assert_eq!(rows.len(), 1_699);
    assert_filled(&rows);
}

#[test]
fn processes_that_are_killed_fill_all_on_sqlite() {
    by_processes_that_are_killed(Backend::Sqlite);
}

#[test]
fn processes_that_are_killed_fill_all_on_mysql() {
    by_processes_that_are_killed(Backend::Mysql);
}
