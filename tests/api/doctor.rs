//! `inkpot doctor` and `inkpot healthcheck`: what an operator, and a container, is told.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use diesel::prelude::*;
use inkpot::core::db::migrations;
use inkpot::core::db::schema::post_tag;
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::redis::Redis;
use crate::harness::sinks::Sinks;
use crate::harness::{Backend, SECRET, TestDatabase};

fn command(database: &TestDatabase) -> Command {
    // Where the secret is given and mails are not sent, no start makes it.
    let data = database.directory.path().join("data");
    std::fs::create_dir_all(data).unwrap();
    let mut command = inkpot(database.directory.path());
    command
        .env("DATABASE_URL", database.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_BCRYPT_COST", "12")
        .env("INKPOT_RATE_LIMITS", "on");
    command
}

/// What the doctor found: exit code and checks by name, the worst of each.
#[track_caller]
fn examined(command: &mut Command) -> (i32, Vec<Value>) {
    examined_by(command, &[])
}

#[track_caller]
fn examined_by(command: &mut Command, flags: &[&str]) -> (i32, Vec<Value>) {
    let ended = output(command.args(["doctor", "--json"]).args(flags));
    let errors = String::from_utf8_lossy(&ended.stderr);
    let found: Value =
        serde_json::from_slice(&ended.stdout).unwrap_or_else(|why| panic!("{why}: {errors}"));
    let checks = found["checks"].as_array().unwrap().clone();
    let bad = checks
        .iter()
        .filter(|check| check["status"] == "error")
        .count();
    assert_eq!(found["errors"], json!(bad));
    assert_eq!(ended.status.code() == Some(2), bad > 0, "{found}");
    for check in &checks {
        // Whoever is told of something is told what to do.
        assert_eq!(
            check["status"] == "ok",
            check.get("remedy").is_none(),
            "{check}"
        );
    }
    (ended.status.code().unwrap(), checks)
}

/// The status of a check, with what is said of it.
#[track_caller]
fn is(checks: &[Value], check: &str, status: &str, says: &str) {
    let found = checks.iter().any(|one| {
        one["check"] == check
            && one["status"] == status
            && format!("{} {}", one["message"], one["remedy"]).contains(says)
    });
    assert!(found, "{check} {status} {says:?} is not in {checks:#?}");
}

#[test]
fn a_healthy_installation_is_well_and_nothing_is_changed() {
    for (backend, version) in [(Backend::Sqlite, "SQLite 3."), (Backend::Mysql, "10.")] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        drop(Process::on(&database));
        let before = database.with(|conn| migrations::status(conn).unwrap());
        let (code, checks) = examined(&mut command(&database));
        assert_eq!(code, 0, "{checks:#?}");
        let version = if std::env::var("INKPOT_TEST_MYSQL_URL").is_ok() {
            ""
        } else {
            version
        };
        is(&checks, "database", "ok", version);
        is(&checks, "configuration", "ok", "");
        is(&checks, "files", "ok", "");
        is(&checks, "migrations", "ok", "");
        is(&checks, "kept counts", "ok", "");
        is(&checks, "mail", "warning", "INKPOT_SMTP_URL");
        is(&checks, "public URL", "ok", "");
        if backend == Backend::Mysql {
            is(&checks, "character set", "ok", "utf8mb4");
            is(&checks, "time zone", "ok", "UTC");
            is(&checks, "privileges", "ok", "");
            is(&checks, "clock", "ok", "");
        }
        assert_eq!(
            database.with(|conn| migrations::status(conn).unwrap()),
            before
        );
    }
}

#[test]
fn what_is_wrong_with_the_data_is_said() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        let server = Process::on(&database);
        let token = crate::process::register(&server, "ann");
        let headers = format!("Content-Type: application/json\r\nJWT: {token}\r\n");
        let post = r#"{"title": "T", "content": "c", "tags": ["news"]}"#;
        assert_eq!(server.call("POST", "/post", &headers, post).0, 201);
        drop(server);
        database.with(|conn| diesel::delete(post_tag::table).execute(conn).unwrap());
        let (code, checks) = examined(&mut command(&database));
        assert_eq!(code, 2);
        is(&checks, "kept counts", "error", "inkpot check --repair");
        // What reads all posts is left out where there is no time.
        let (code, checks) = examined_by(&mut command(&database), &["--quick"]);
        assert_eq!(code, 0, "{checks:#?}");
        database.with(|conn| migrations::revert(conn).map(drop).unwrap());
        let (_, checks) = examined(&mut command(&database));
        is(&checks, "migrations", "warning", "inkpot migrate run");
    }
}

#[test]
fn a_place_without_anything_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (code, checks) = examined(&mut inkpot(dir.path()));
    assert_eq!(code, 0);
    is(&checks, "files", "warning", "INKPOT_DATA_DIR");
    is(&checks, "database", "warning", "the first start makes it");
    is(&checks, "configuration", "warning", "INKPOT_RATE_LIMITS=on");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn what_cannot_be_reached_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = inkpot(dir.path());
    command
        .env("DATABASE_URL", "mysql://blog:hunter22@127.0.0.1:1/blog")
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("REDIS_URL", "redis://:hunter22@127.0.0.1:1")
        .env("INKPOT_SMTP_URL", "smtp://127.0.0.1:1")
        .env("INKPOT_MAIL_FROM", "blog@example.org")
        .env("INKPOT_PUBLIC_URL", "http://127.0.0.1:1");
    let ended = output(command.args(["doctor", "--mail", "ann@example.org"]));
    assert_eq!(ended.status.code(), Some(2));
    let text = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8_lossy(&ended.stderr);
    for says in [
        "error   database: mysql://",
        "    see that the server runs and can be reached from here",
        "error   redis: redis://",
        "error   mail: none could be sent to ann@example.org",
        "warning public URL: http://127.0.0.1:1/livez cannot be reached",
        "inkpot: 3 checks found what does not work",
    ] {
        assert!(text.contains(says), "{says:?} is not in {text}");
    }
    assert!(!text.contains("hunter22"), "{text}");
}

#[test]
fn files_that_others_can_read_are_named() {
    let Some(database) = TestDatabase::create(Backend::Sqlite) else {
        return;
    };
    drop(Process::start(&mut inkpot(database.directory.path())));
    let data = database.directory.path().join("data");
    let file = data.join("inkpot.db");
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(database.directory.path(), 0o755);
    open(&data, 0o755);
    open(&file, 0o644);
    let (code, checks) = examined(&mut inkpot(database.directory.path()));
    assert_eq!(code, 2);
    is(&checks, "files", "error", "chmod 600");
}

#[test]
fn mails_and_redis_are_tried() {
    let (Some(sinks), Some(redis)) = (Sinks::start(), Redis::start()) else {
        return;
    };
    let database = TestDatabase::create(Backend::Sqlite).unwrap();
    let mut command = command(&database);
    command
        .env("REDIS_URL", redis.url())
        .env("INKPOT_SMTP_URL", sinks.smtp_url())
        .env("INKPOT_MAIL_FROM", "Inkpot <blog@example.org>")
        .env("INKPOT_PUBLIC_URL", "https://127.0.0.1:1");
    let ended = output(command.args(["doctor", "--mail", "ann@example.org", "--json"]));
    let found: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let checks = found["checks"].as_array().unwrap();
    is(checks, "redis", "ok", "answers");
    is(checks, "mail", "ok", "ann@example.org");
    is(checks, "public URL", "warning", "cannot be reached");
    sinks.wait_until(|sinks| sinks.mails().len() == 1);
    let mail = &sinks.mails()[0];
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        ("ann@example.org", "A test of mails")
    );
}

#[test]
fn a_container_learns_whether_its_server_is_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = inkpot(dir.path());
    let server = Process::start(command.env("INKPOT_METRICS_LISTEN", "127.0.0.1:0"));
    let metrics = (server.banner.iter())
        .find_map(|line| {
            line.strip_prefix("metrics at http://")?
                .strip_suffix("/metrics")
        })
        .unwrap()
        .to_owned();
    let address = server.address.clone();
    let asked = |flags: &[&str]| {
        let mut command = inkpot(dir.path());
        command
            .env("INKPOT_LISTEN", &address)
            .env("INKPOT_METRICS_LISTEN", &metrics)
            .arg("healthcheck")
            .args(flags);
        output(&mut command).status.code()
    };
    for flags in [
        &[][..],
        &["--ready"],
        &["--metrics"],
        &["--ready", "--metrics"],
    ] {
        assert_eq!(asked(flags), Some(0), "{flags:?}");
    }
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    for flags in [&[][..], &["--ready"], &["--metrics"]] {
        assert_eq!(asked(flags), Some(1), "{flags:?}");
    }
}
