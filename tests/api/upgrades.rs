//! Upgrades of a database that is in use: from every earlier version, filled, on both
//! databases, broken off again and again and gone on with.
//!
//! `INKPOT_TEST_POSTS` is how many posts there are; `make soak-upgrades` takes a million.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use inkpot::core::db::schema::post;
use inkpot::core::db::{Conn, migrations};
use inkpot::posts::storage::moving;
use inkpot::posts::storage::places::DATED;

use crate::harness::process::{Process, inkpot, output};
use crate::harness::{Backend, SECRET, TestDatabase};

/// Posts without a size in the environment: enough for a kill to strike in the middle.
const POSTS: i64 = 3_000;
/// How often an upgrade is killed before it may end.
const KILLS: usize = 3;

const DIGITS: &str = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
     UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";

fn posts() -> i64 {
    std::env::var("INKPOT_TEST_POSTS").map_or(POSTS, |posts| posts.parse().unwrap())
}

/// Fills a database of the version that has the first `version` migrations with one user
/// and their posts. Before the third a post had neither tags nor a place.
fn fill(conn: &mut Conn, version: usize, posts: i64) {
    let numbers = format!(
        "(SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d AS n \
          FROM {DIGITS} a, {DIGITS} b, {DIGITS} c, {DIGITS} d, {DIGITS} e, {DIGITS} f) numbers \
         WHERE n <= {posts}"
    );
    let mut script = vec![
        "INSERT INTO user (user_id, email, email_key, name, password, role, is_active, email_verified, \
         mobile_verified, created, updated) VALUES (1, 'ann@example.org', 'ann@example.org', 'Ann', 'x', \
         'user', 1, 0, 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            .to_owned(),
    ];
    let (columns, values) = if version < 3 {
        ("", "")
    } else {
        (", published, place, tags", ", 1, n, ''")
    };
    script.push(format!(
        "INSERT INTO post (post_id, author_id, title, date, updated{columns}) \
         SELECT n, 1, 'Title', '2026-01-01 00:00:00', '2026-01-01 00:00:00'{values} FROM {numbers}"
    ));
    script.push(format!(
        "INSERT INTO content (post_id, body) SELECT n, 'some words' FROM {numbers}"
    ));
    if version >= 3 {
        script.push("INSERT INTO post_unindexed (post_id) SELECT post_id FROM post".to_owned());
        for list in ["a", "u1"] {
            for (level, shift) in [(0, 8), (1, 14)] {
                script.push(format!(
                    "INSERT INTO post_count (list, level, block, slot, posts) \
                     SELECT '{list}', {level}, place >> {shift}, 0, COUNT(*) FROM post GROUP BY place >> {shift}"
                ));
            }
        }
    }
    for sql in script {
        conn.batch_execute(&sql).unwrap();
    }
    // Nobody has counted their months and tags, where there is a table that says so.
    let _ = conn.batch_execute("UPDATE count_upkeep SET filled = 0");
}

fn command(database: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", database.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .args(arguments);
    command
}

/// Begins to migrate and is killed as soon as it says that it does.
fn break_off(database: &TestDatabase) {
    let mut child = command(database, &["migrate", "run"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let begun = log.lines().any(|line| line.unwrap().contains("migrating"));
    // It may have ended by itself; then nothing was left to do.
    let _ = child.kill();
    child.wait().unwrap();
    let is_done = database.with(|conn| migrations::status(conn).unwrap().iter().all(|m| m.applied));
    assert!(begun || is_done, "it says what is under way");
}

fn upgrade(backend: Backend, version: usize, is_moved: bool) {
    let Some(database) = TestDatabase::create_empty(backend, false) else {
        return;
    };
    let posts = posts();
    database.with(move |conn| {
        let all = migrations::run(conn).unwrap().len();
        for _ in version..all {
            migrations::revert(conn).unwrap().unwrap();
        }
        fill(conn, version, posts);
    });
    for _ in 0..KILLS {
        break_off(&database);
    }
    let done = output(&mut command(&database, &["migrate", "run"]));
    assert!(done.status.success(), "{version}: {done:?}");
    database.with(move |conn| {
        assert!(migrations::status(conn).unwrap().iter().all(|m| m.applied));
        let places: (i64, Option<i64>) = post::table
            .filter(post::published.eq(true))
            .select((diesel::dsl::count_star(), diesel::dsl::max(post::place)))
            .first(conn)
            .unwrap();
        assert_eq!(places, (posts, Some(posts)), "from {version}");
    });
    let checked = output(&mut command(&database, &["check"]));
    assert!(checked.status.success(), "{version}: {checked:?}");
    if is_moved {
        move_all(&database, version, posts);
    }
}

/// Servers that are killed at once move posts to the places of their dates, then one does to the end.
fn move_all(database: &TestDatabase, version: usize, posts: i64) {
    for _ in 0..KILLS {
        drop(Process::on(database));
    }
    let server = Process::on(database);
    let end = Instant::now() + Duration::from_secs(120);
    while database.with(|conn| moving::count(conn).unwrap()) > 0 {
        assert!(Instant::now() < end, "from {version}");
    }
    drop(server);
    database.with(move |conn| {
        // All are of one date, so they stand in the order of their ids.
        let mut rows: Vec<(i64, i64)> = post::table
            .select((post::place, post::post_id))
            .load(conn)
            .unwrap();
        rows.sort_unstable();
        let ids: Vec<i64> = rows.iter().map(|row| row.1).collect();
        assert_eq!(ids, (1..=posts).collect::<Vec<_>>(), "from {version}");
        assert!(rows[0].0 > DATED);
    });
    let repaired = output(&mut command(database, &["check", "--repair"]));
    assert!(repaired.status.success(), "{version}: {repaired:?}");
    let checked = output(&mut command(database, &["check"]));
    assert!(checked.status.success(), "{version}: {checked:?}");
}

fn from_every_version(backend: Backend) {
    let folder = format!("{}/migrations/sqlite", env!("CARGO_MANIFEST_DIR"));
    let versions = std::fs::read_dir(folder).unwrap().count();
    assert!(versions >= 7);
    for version in 1..versions {
        // From before there were places, from when they were ids, and from the version before.
        let is_moved = [2, 3, versions - 1].contains(&version) && posts() <= POSTS;
        upgrade(backend, version, is_moved);
    }
}

#[test]
fn from_every_version_on_sqlite() {
    from_every_version(Backend::Sqlite);
}

#[test]
fn from_every_version_on_mysql() {
    from_every_version(Backend::Mysql);
}
