//! The command line as programs and shells use it: JSON, completions, the files it leaves.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};

/// Runs `inkpot … --json`: exit code, and the one value that it printed.
#[track_caller]
fn json_of(database: &TestDatabase, arguments: &[&str]) -> (i32, Value) {
    let ended = output(
        inkpot(database.directory.path())
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET)
            .args(arguments)
            .arg("--json"),
    );
    let printed = serde_json::from_slice(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);
    let value = printed.unwrap_or_else(|why| panic!("{arguments:?}: {why}: {errors}"));
    (ended.status.code().unwrap(), value)
}

/// The names of an object's members, as `docs/running.md` has them.
fn members(value: &Value) -> String {
    let names: Vec<&str> = (value.as_object().unwrap().keys())
        .map(String::as_str)
        .collect();
    names.join(" ")
}

fn register(server: &Process, name: &str) {
    let body = json!({
        "email": format!("{name}@example.org"), "name": name, "password": PASSWORD,
    });
    let json = "Content-Type: application/json\r\n";
    let (status, answer) = server.call("POST", "/user/reg", json, &body.to_string());
    assert_eq!(status, 201, "{answer}");
}

#[test]
fn what_is_shown_is_shown_to_programs_as_one_value() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        assert_eq!(
            json_of(&database, &["user", "list"]),
            (0, json!({"users": []}))
        );
        let server = Process::on(&database);
        // More than are read at once.
        for number in 0..101 {
            register(&server, &format!("ann{number}"));
        }
        drop(server);
        let (_, shown) = json_of(&database, &["user", "show", "ann7@example.org"]);
        let userinfo = &shown["userinfo"];
        assert_eq!(
            members(userinfo),
            "bio created email email_verified image is_active mobile mobile_verified name role \
             updated user_id username"
        );
        assert_eq!(
            [
                &userinfo["role"],
                &userinfo["is_active"],
                &userinfo["username"]
            ],
            [&json!("user"), &json!(true), &Value::Null]
        );
        let (_, listed) = json_of(&database, &["user", "list"]);
        let users = listed["users"].as_array().unwrap();
        assert_eq!(users.len(), 101);
        assert!(users.contains(userinfo));

        let (_, jobs) = json_of(&database, &["jobs", "list"]);
        assert_eq!(
            members(&jobs["jobs"][0]),
            "attempts created due finished job_id kind last_error state user_id"
        );
        assert_eq!(jobs["has_more"], json!(false));
        let (_, first) = json_of(&database, &["jobs", "list", "--limit", "1"]);
        assert_eq!(first["jobs"][0], jobs["jobs"][0]);
        let (_, dead) = json_of(&database, &["jobs", "list", "--state", "dead"]);
        assert_eq!(dead, json!({"jobs": [], "has_more": false}));

        let (_, keys) = json_of(&database, &["keys", "list"]);
        let key = &keys["keys"][0];
        assert_eq!(
            members(key),
            "alg created kid kind signs_from use verifies_until"
        );
        assert_eq!(
            [&key["alg"], &key["use"], &key["created"]],
            [&json!("HS256"), &json!("signs"), &Value::Null]
        );

        let (_, migrations) = json_of(&database, &["migrate", "status"]);
        let migrations = migrations["migrations"].as_array().unwrap();
        assert!(!migrations.is_empty());
        assert!(
            migrations
                .iter()
                .all(|m| m["applied"] == json!(true) && m["name"].is_string())
        );
    }
}

#[test]
fn a_check_tells_programs_what_is_wrong() {
    use diesel::prelude::*;
    use inkpot::core::db::schema::post_tag;
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        let right = json!({
            "differences": 0, "mended": false, "unindexed": 0, "counts": [], "stray_tags": [],
            "untagged_posts": [], "unfound_posts": [], "stray_words": [], "post_counts": [],
            "stray_posts": [], "user_counts": [], "unplanned_posts": [],
        });
        assert_eq!(json_of(&database, &["check"]), (0, right));
        let server = Process::on(&database);
        register(&server, "ann");
        let json = "Content-Type: application/json\r\n";
        let body = json!({"account": "ann@example.org", "password": PASSWORD}).to_string();
        let (_, answer) = server.call("POST", "/user/login", json, &body);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let headers = format!("{json}JWT: {}\r\n", answer["token"].as_str().unwrap());
        let body = json!({"title": "T", "content": "c", "tags": ["news"]}).to_string();
        assert_eq!(server.call("POST", "/post", &headers, &body).0, 201);
        drop(server);
        database.with(|conn| diesel::delete(post_tag::table).execute(conn).unwrap());
        let (code, found) = json_of(&database, &["check"]);
        assert_eq!((code, &found["differences"]), (2, &json!(1)), "{found}");
        assert_eq!(found["untagged_posts"], json!([1]));
        let (code, mended) = json_of(&database, &["check", "--repair"]);
        assert_eq!((code, &mended["mended"]), (0, &json!(true)), "{mended}");
        assert_eq!(json_of(&database, &["check"]).1["differences"], json!(0));
    }
}

#[test]
fn shells_complete_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let script = |shell: &str| {
        let ended = output(inkpot(dir.path()).args(["completions", shell]));
        assert!(ended.status.success(), "{shell}");
        String::from_utf8(ended.stdout).unwrap()
    };
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        for word in ["deactivate", "set-password", "trusted-proxies"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
    let path = dir.path().join("inkpot.bash");
    std::fs::write(&path, script("bash")).unwrap();
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _inkpot inkpot \"${{COMP_WORDS[at]}}\" x; echo \"${{COMPREPLY[*]}}\"",
            path.display()
        )
        .replace("[at]", &format!("[{at}]"));
        let ended = output(Command::new("bash").args(["-c", &ask]));
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("inkpot us", 1), "user");
    assert_eq!(complete("inkpot user dea", 2), "deactivate");
    assert_eq!(complete("inkpot jobs list --sta", 3), "--state");
    assert_eq!(
        complete("inkpot user list --da", 3),
        "--database-url --data-dir"
    );
    // Only the settings that make a difference there.
    assert_eq!(complete("inkpot user list --listen", 3), "");
}

/// Modes of all files below a directory, and of itself.
fn modes(directory: &Path) -> Vec<(PathBuf, u32)> {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut all = vec![(directory.to_owned(), mode(directory))];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(modes(&path));
        } else {
            all.push((path.clone(), mode(&path)));
        }
    }
    all
}

/// The program, started by a shell that lets everybody read what is made.
fn openhanded(directory: &Path) -> Command {
    let plain = inkpot(directory);
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    command
}

#[test]
fn what_is_written_is_the_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&mut openhanded(dir.path()));
    register(&server, "ann");
    let json = "Content-Type: application/json\r\n";
    let body = json!({"account": "ann@example.org"}).to_string();
    assert_eq!(
        server.call("POST", "/user/password/forgot", json, &body).0,
        202
    );
    let data = dir.path().join("data");
    let outbox = data.join("outbox");
    let begun = std::time::Instant::now();
    while !std::fs::read_dir(&outbox).is_ok_and(|mut all| all.next().is_some()) {
        assert!(begun.elapsed().as_secs() < 30, "no mail is written");
        std::thread::yield_now();
    }
    // While the server runs: SQLite takes its log away at the end.
    let all = modes(&data);
    for name in [
        "inkpot.db",
        "inkpot.db-wal",
        "inkpot.db-shm",
        "inkpot.db-served",
        "jwt-secret",
    ] {
        assert!(
            all.iter().any(|(path, _)| path.ends_with(name)),
            "{name}: {all:?}"
        );
    }
    for (path, mode) in all {
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    drop(server);

    let other = tempfile::tempdir().unwrap();
    let ended = output(openhanded(other.path()).args(["migrate", "run"]));
    assert!(ended.status.success());
    for (path, mode) in modes(&other.path().join("data")) {
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

#[test]
fn a_database_that_others_can_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    set(dir.path(), 0o755);
    let is_told = || {
        let server = Process::start(&mut inkpot(dir.path()));
        server.signal("TERM");
        server
            .wait()
            .1
            .contains("can be read by others of this machine")
    };
    assert!(!is_told());
    set(&dir.path().join("data"), 0o755);
    set(&dir.path().join("data/inkpot.db"), 0o644);
    assert!(is_told());
}
