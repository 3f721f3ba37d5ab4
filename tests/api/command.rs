//! Users from the command line, beside a running server.

use std::io::Write;
use std::process::Stdio;

use diesel::prelude::*;
use inkpot::core::db::schema::{audit, user};
use serde_json::{Value, json};

use crate::harness::jobs;
use crate::harness::process::{Process, inkpot, output};
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};

/// Runs `inkpot user …` with a line on standard input: exit code, output, errors.
fn user(database: &TestDatabase, arguments: &[&str], line: &str) -> (i32, String, String) {
    let mut child = inkpot(database.directory.path())
        .env("DATABASE_URL", database.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .arg("user")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is refused early does not read it.
    let _ = child.stdin.take().unwrap().write_all(line.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        ended.status.code().unwrap(),
        text(ended.stdout),
        text(ended.stderr),
    )
}

fn on_each(test: impl Fn(&TestDatabase)) {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        if let Some(database) = TestDatabase::create(backend) {
            test(&database);
        }
    }
}

/// User, actor, address, action and detail of an entry of the audit.
type Entry = (Option<i64>, Option<i64>, String, String, String);

const CREATE: [&str; 5] = ["create", "--email", "root@example.org", "--name", "Root"];

fn login(server: &Process, account: &str, password: &str) -> (u16, Value) {
    let body = json!({ "account": account, "password": password }).to_string();
    let (status, answer) = server.call(
        "POST",
        "/user/login",
        "Content-Type: application/json\r\n",
        &body,
    );
    (status, serde_json::from_str(&answer).unwrap())
}

#[test]
fn a_fresh_installation_gets_its_first_admin() {
    on_each(|database| {
        let server = Process::on(database);
        let mut create = CREATE.to_vec();
        create.extend(["--username", "the-root", "--admin"]);
        let (code, out, errors) = user(database, &create, &format!("{PASSWORD}\n"));
        assert_eq!(
            (code, out.as_str()),
            (0, "created user 1 with the role admin\n"),
            "{errors}"
        );
        let (status, answer) = login(&server, "the-root", PASSWORD);
        assert_eq!(
            (status, &answer["userinfo"]["role"]),
            (200, &json!("admin"))
        );
        let bearer = format!("JWT: {}\r\n", answer["token"].as_str().unwrap());
        assert_eq!(server.call("GET", "/user/", &bearer, "").0, 200);
        let (_, out, _) = user(database, &["list"], "");
        assert_eq!(out, "1\tadmin\tactive\troot@example.org\tthe-root\tRoot\n");
        // A name that an earlier version took.
        database.with(|conn| {
            let escapes = user::name.eq("Ro\u{1b}[31m\not");
            diesel::update(user::table)
                .set(escapes)
                .execute(conn)
                .unwrap();
        });
        let (_, out, _) = user(database, &["list"], "");
        assert_eq!(
            out,
            "1\tadmin\tactive\troot@example.org\tthe-root\tRo\u{fffd}[31m\u{fffd}ot\n"
        );
    });
}

#[test]
fn a_user_is_shown_and_changed_and_deleted() {
    on_each(|database| {
        let (code, ..) = user(database, &CREATE, &format!("{PASSWORD}\n"));
        assert_eq!(code, 0);
        let mut ann = CREATE
            .map(|word| word.replace("root", "ann").replace("Root", "Ann"))
            .to_vec();
        ann.push("--admin".to_owned());
        let ann: Vec<&str> = ann.iter().map(String::as_str).collect();
        assert_eq!(user(database, &ann, &format!("{PASSWORD}\n")).0, 0);
        for (action, said) in [
            ("promote", "promoted user 1\n"),
            ("demote", "demoted user 1\n"),
            ("deactivate", "deactivated user 1\n"),
            ("activate", "activated user 1\n"),
        ] {
            let (code, out, errors) = user(database, &[action, "root@example.org"], "");
            assert_eq!((code, out.as_str()), (0, said), "{errors}");
        }
        let (_, out, _) = user(database, &["show", "root@example.org"], "");
        for line in [
            "id\t1",
            "name\tRoot",
            "email\troot@example.org, not verified",
            "username\t-",
            "mobile\t-",
            "role\tuser",
            "state\tactive",
        ] {
            assert!(out.lines().any(|shown| shown == line), "{line}: {out}");
        }
        let (code, out, _) = user(database, &["delete", "1"], "");
        assert_eq!(
            (code, out.as_str()),
            (0, "deleted user 1 and all their posts\n")
        );
        for (action, said) in [
            ("show", "no user is called 1"),
            ("delete", "no user is called 1"),
        ] {
            let (code, _, errors) = user(database, &[action, "1"], "");
            assert_eq!(code, 2);
            assert!(errors.contains(said), "{errors}");
        }
        for action in ["demote", "deactivate", "delete"] {
            let (code, _, errors) = user(database, &[action, "ann@example.org"], "");
            assert_eq!(code, 2, "{action}");
            assert!(errors.contains("last active admin"), "{errors}");
        }
    });
}

#[test]
fn no_second_blog_is_made_in_another_directory() {
    let elsewhere = tempfile::tempdir().unwrap();
    for arguments in [&["user", "list"][..], &["jobs", "list"], &["check"]] {
        let ended = output(inkpot(elsewhere.path()).args(arguments));
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{errors}");
        let path = elsewhere.path().join("data/inkpot.db");
        let said = format!("there is no database {}", path.display());
        assert!(
            errors.contains(&said) && errors.contains("INKPOT_DATA_DIR"),
            "{errors}"
        );
        assert!(!path.exists());
    }
}

#[test]
fn a_path_that_is_mistyped_makes_no_folders() {
    let dir = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}/not/there/x.db", dir.path().display());
    let data = dir.path().join("not/there").display().to_string();
    for (name, value) in [("DATABASE_URL", &database), ("INKPOT_DATA_DIR", &data)] {
        for arguments in [&[][..], &["migrate", "run"], &["user", "list"]] {
            let ended = output(inkpot(dir.path()).env(name, value).args(arguments));
            let errors = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {errors}");
            assert!(errors.contains("not/there"), "{errors}");
            assert!(!dir.path().join("not").exists(), "{arguments:?}");
        }
    }
}

#[test]
fn a_start_whose_links_lead_nowhere_warns() {
    let dir = tempfile::tempdir().unwrap();
    let warns = |variables: &[(&str, &str)]| {
        let server = Process::start(inkpot(dir.path()).envs(variables.iter().copied()));
        server.signal("TERM");
        server.wait().1.contains("INKPOT_PUBLIC_URL is not set")
    };
    let worker_warns = |variables: &[(&str, &str)]| {
        let worker = Process::start_worker(inkpot(dir.path()).envs(variables.iter().copied()));
        worker.signal("TERM");
        worker.wait().1.contains("INKPOT_PUBLIC_URL is not set")
    };
    let mail = ("INKPOT_SMTP_URL", "smtp://127.0.0.1:1");
    let from = ("INKPOT_MAIL_FROM", "blog@example.org");
    assert!(!warns(&[]));
    assert!(warns(&[mail, from]));
    assert!(warns(&[("INKPOT_LISTEN", "0.0.0.0:0")]));
    let public = ("INKPOT_PUBLIC_URL", "https://blog.example.org");
    assert!(!warns(&[mail, from, public]));
    assert!(worker_warns(&[mail, from]));
    assert!(!worker_warns(&[mail, from, public]));
    assert!(!worker_warns(&[]));
    // Where people read posts nowhere, feeds lead nowhere.
    let told = |variables: &[(&str, &str)]| {
        let server = Process::start(inkpot(dir.path()).envs(variables.iter().copied()));
        server.signal("TERM");
        server.wait().1.contains("INKPOT_POST_URL is not set")
    };
    let off = ("INKPOT_PAGE", "off");
    assert!(told(&[off]));
    let post_url = ("INKPOT_POST_URL", "https://blog.example.org/p/{slug}");
    assert!(!told(&[off, post_url]));
    assert!(!told(&[]));
}

#[test]
fn what_is_changed_takes_effect_within_a_second() {
    on_each(|database| {
        let server = Process::on(database);
        assert_eq!(
            user(database, &[&CREATE[..], &["--admin"]].concat(), PASSWORD).0,
            0
        );
        let ann = ["create", "--email", "ann@example.org", "--name", "Ann"];
        assert_eq!(user(database, &ann, PASSWORD).0, 0);
        let (_, answer) = login(&server, "ann@example.org", PASSWORD);
        let bearer = format!("JWT: {}\r\n", answer["token"].as_str().unwrap());
        assert_eq!(server.call("GET", "/user/", &bearer, "").0, 403);
        let until = |path: &str, status: u16| {
            let begun = std::time::Instant::now();
            while server.call("GET", path, &bearer, "").0 != status {
                assert!(
                    begun.elapsed().as_millis() < 1000,
                    "{path} is not {status} within a second"
                );
            }
        };
        assert_eq!(
            user(database, &["promote", "ann@example.org"], "").1,
            "promoted user 2\n"
        );
        until("/user/", 200);
        assert_eq!(
            user(database, &["deactivate", "2"], "").1,
            "deactivated user 2\n"
        );
        until("/user/me", 401);
        assert_eq!(login(&server, "ann@example.org", PASSWORD).0, 401);
    });
}

#[test]
fn a_password_is_set_from_standard_input() {
    on_each(|database| {
        let server = Process::on(database);
        assert_eq!(user(database, &CREATE, PASSWORD).0, 0);
        let (_, answer) = login(&server, "root@example.org", PASSWORD);
        let refresh = json!({ "refresh_token": answer["refresh_token"] }).to_string();
        let new = "another horse, another staple";
        let (code, out, _) = user(
            database,
            &["set-password", "root@example.org"],
            &format!("{new}\r\n"),
        );
        assert_eq!(
            (code, out.as_str()),
            (0, "changed the password of user 1\n")
        );
        assert_eq!(login(&server, "root@example.org", PASSWORD).0, 401);
        assert_eq!(login(&server, "root@example.org", new).0, 200);
        let json = "Content-Type: application/json\r\n";
        assert_eq!(server.call("POST", "/user/refresh", json, &refresh).0, 401);
    });
}

#[test]
fn what_the_operator_does_leaves_the_traces_of_what_an_admin_does() {
    on_each(|database| {
        let admin = [&CREATE[..], &["--admin"]].concat();
        assert_eq!(user(database, &admin, PASSWORD).0, 0);
        let ann = ["create", "--email", "ann@example.org", "--name", "Ann"];
        assert_eq!(user(database, &ann, PASSWORD).0, 0);
        assert_eq!(user(database, &["deactivate", "2"], "").0, 0);
        database.with(|conn| {
            diesel::update(user::table.find(2_i64))
                .set(user::email_verified.eq(true))
                .execute(conn)
                .unwrap();
        });
        let new = "another horse, another staple";
        // Of a user who is not active as well.
        assert_eq!(user(database, &["set-password", "2"], new).0, 0);
        let entries: Vec<Entry> = database.with(|conn| {
            audit::table
                .order(audit::audit_id)
                .select((
                    audit::user_id,
                    audit::actor_id,
                    audit::ip,
                    audit::action,
                    audit::detail,
                ))
                .load(conn)
                .unwrap()
        });
        let expected = [
            (1, "registered", ""),
            (1, "role_changed", "user to admin"),
            (2, "registered", ""),
            (2, "deactivated", ""),
            (2, "password_changed", ""),
        ]
        .map(|(user_id, action, detail)| {
            let (ip, action) = ("local".to_owned(), action.to_owned());
            (Some(user_id), None, ip, action, detail.to_owned())
        });
        assert_eq!(entries, expected);
        // The owner is told of the password, and of nothing else.
        let jobs: Vec<Option<i64>> = jobs::rows(database)
            .iter()
            .filter(|job| job.is_mail())
            .map(|job| job.user_id)
            .collect();
        assert_eq!(jobs, [Some(2)]);
    });
}

#[test]
fn mistakes_are_refused_in_a_line() {
    on_each(|database| {
        assert_eq!(
            user(database, &[&CREATE[..], &["--admin"]].concat(), PASSWORD).0,
            0
        );
        for (arguments, line, says) in [
            (
                &CREATE[..],
                PASSWORD,
                "Another account has this e-mail address.",
            ),
            (
                &["create", "--email", "x", "--name", "Root"],
                PASSWORD,
                "--email is not an e-mail address",
            ),
            (
                &["create", "--email", "a@example.org", "--name", " "],
                PASSWORD,
                "--name needs",
            ),
            (
                &[
                    "create",
                    "--email",
                    "a@example.org",
                    "--name",
                    "A\u{1b}[31mnn",
                ],
                PASSWORD,
                "--name holds a control character",
            ),
            (
                &[
                    "create",
                    "--email",
                    "a@example.org",
                    "--name",
                    "Ann",
                    "--username",
                    "x",
                ],
                PASSWORD,
                "--username needs",
            ),
            (
                &["create", "--email", "a@example.org", "--name", "Ann"],
                "short",
                "the password needs at least 8 characters",
            ),
            (
                &["create", "--email", "a@example.org", "--name", "Ann"],
                "",
                "the password needs at least 8 characters",
            ),
            (&["create", "--email", "a@example.org"], PASSWORD, "--name"),
            (
                &["promote", "nobody@example.org"],
                "",
                "no user is called nobody@example.org",
            ),
            (&["deactivate", "99"], "", "no user is called 99"),
            (&["deactivate", "1"], "", "The last active admin"),
            (
                &["set-password", "1"],
                "password1",
                "the password is one of those guessed first",
            ),
        ] {
            let (code, out, errors) = user(database, arguments, line);
            assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {errors}");
            let refusal = errors.lines().last().unwrap();
            assert!(
                refusal.starts_with("inkpot: ") && refusal.contains(says),
                "{arguments:?}: {refusal}"
            );
            assert!(line.is_empty() || !errors.contains(line));
        }
        assert_eq!(user(database, &["list"], "").1.lines().count(), 1);
    });
}
