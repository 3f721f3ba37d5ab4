//! The program as its operator meets it.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use inkpot::core::db::{Conn, DatabaseUrl, connection};
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};

/// Sees that a start is refused with exit code 2 and one line that says these
/// things.
#[track_caller]
fn refused(command: &mut std::process::Command, says: &[&str]) -> String {
    let ended = output(command);
    let text = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{text}");
    // The log may have warned before; the refusal is the last line.
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("inkpot: "))
        .collect();
    assert_eq!(lines.len(), 1, "{text}");
    for what in says {
        assert!(lines[0].contains(what), "{what:?} is not in {text}");
    }
    text
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn it_starts_on_nothing_and_says_where_it_is() {
    let dir = directory();
    let server = Process::start(&mut inkpot(dir.path()));
    let data = dir.path().join("data");
    assert_eq!(
        server.banner,
        [
            format!("inkpot {}", env!("CARGO_PKG_VERSION")),
            format!("database sqlite:{}", data.join("inkpot.db").display()),
            format!("data in {}", data.display()),
            format!("listening on {}", server.url()),
        ]
    );
    assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
    let secret = data.join("jwt-secret");
    assert_eq!(
        std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::read(&secret).unwrap().len(), 43);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
}

pub fn register(server: &Process, name: &str) -> String {
    let body =
        json!({ "email": format!("{name}@example.org"), "name": name, "password": PASSWORD });
    let json = "Content-Type: application/json\r\n";
    let (status, answer) = server.call("POST", "/user/reg", json, &body.to_string());
    assert_eq!(status, 201, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_restart_keeps_users_posts_and_tokens() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create(backend) else {
            continue;
        };
        let server = Process::on(&database);
        let token = register(&server, "ann");
        let headers = format!("Content-Type: application/json\r\nJWT: {token}\r\n");
        let post = r#"{"title": "kept", "content": "for ever"}"#;
        assert_eq!(server.call("POST", "/post", &headers, post).0, 201);
        // The hardest way to end: what was acknowledged is there.
        server.signal("KILL");
        server.wait();
        let server = Process::on(&database);
        assert_eq!(server.call("GET", "/user/me", &headers, "").0, 200);
        assert!(server.call("GET", "/post/1", "", "").1.contains("for ever"));
        server.signal("INT");
        assert_eq!(server.wait().0, Some(0));
    }
}

#[test]
fn two_processes_share_one_mysql() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let (one, two) = (Process::on(&database), Process::on(&database));
    let token = register(&one, "ann");
    let headers = format!("Content-Type: application/json\r\nJWT: {token}\r\n");
    assert_eq!(
        two.call("POST", "/post", &headers, r#"{"title":"a","content":"b"}"#)
            .0,
        201
    );
    assert_eq!(one.call("GET", "/post/1", "", "").0, 200);
}

#[test]
fn requests_in_flight_end_before_it_stops() {
    let dir = directory();
    let mut command = inkpot(dir.path());
    // Slow enough to be in flight for certain when the signal comes.
    let server = Process::start(command.env("INKPOT_BCRYPT_COST", "12"));
    let body =
        json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD }).to_string();
    let (head, tail) = body.split_at(10);
    let mut stream = server.connect();
    let request = format!(
        "POST /user/reg HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{head}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    // An answer on another connection: the first one's bytes have been read too.
    let idle = server.connect();
    assert_eq!(server.call("GET", "/livez", "", "").0, 200);
    server.signal("TERM");
    stream.write_all(tail.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    drop(idle);
}

#[test]
fn secrets_that_can_be_guessed_are_refused() {
    let dir = directory();
    for (secret, says) in [
        ("short", "at least 32 bytes"),
        (&format!("{SECRET},weak"), "at least 32 bytes"),
        ("Your-256-bit-secret-with-enough-bytes", "is an example"),
        ("x7Qp-CHANGEME-9vLw2nRt8sKf4mJd6hGb3z", "is an example"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "repeats itself"),
        ("01234567890123456789012345678901234567", "repeats itself"),
        ("abcdefghijklmnopqrstuvwxyz0123456789", "repeats itself"),
        ("axmaxxmamxaamxmaxamxxamaxmmaxaxmxama", "too uniform"),
    ] {
        let mut command = inkpot(dir.path());
        let text = refused(command.env("INKPOT_JWT_SECRET", secret), &[says]);
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn starts_that_cannot_be_are_refused_in_one_line() {
    let dir = directory();
    let with = |name: &str, value: &str| {
        let mut command = inkpot(dir.path());
        command.env(name, value);
        command
    };
    for (name, value, says) in [
        ("INKPOT_LISTEN", "nowhere", "INKPOT_LISTEN"),
        ("INKPOT_LISTEN", ":8080", "INKPOT_LISTEN"),
        ("INKPOT_LOG", "verbose", "is no level"),
        ("INKPOT_PROXY_HEADER", "via", "x-forwarded-for"),
        ("INKPOT_LISTN", "127.0.0.1:0", "did you mean INKPOT_LISTEN?"),
        ("INKPOT_TOKEN_TTL", "0", "INKPOT_TOKEN_TTL"),
        ("INKPOT_BCRYPT_COST", "99", "INKPOT_BCRYPT_COST"),
        ("INKPOT_SESSION_TTL", "3599", "at least as long as a token"),
        ("INKPOT_REMEMBER_TTL", "3599", "INKPOT_REMEMBER_TTL"),
        ("INKPOT_SESSION_MAX", "3599", "at least as long as a token"),
        ("INKPOT_KEY_LEAD", "1", "INKPOT_KEY_LEAD"),
        ("INKPOT_MAX_CONTENT", "999999999999", "INKPOT_MAX_CONTENT"),
        ("INKPOT_DB_POOL", "none", "INKPOT_DB_POOL"),
        ("INKPOT_CACHE_MB", "64MB", "INKPOT_CACHE_MB"),
        ("INKPOT_WORKERS", "0", "INKPOT_WORKERS"),
        ("INKPOT_LOG_FORMAT", "xml", "text, json"),
        ("INKPOT_JWT_ALG", "none", "HS256, ES256, EdDSA"),
        ("INKPOT_LOG", "info,=x=y", "INKPOT_LOG"),
        (
            "INKPOT_CORS_ORIGINS",
            "blog.example.org",
            "INKPOT_CORS_ORIGINS",
        ),
        (
            "INKPOT_CORS_ORIGINS",
            "https://a.example/path",
            "https://blog.example.org",
        ),
        (
            "INKPOT_TRUSTED_PROXIES",
            "proxy.example.org",
            "INKPOT_TRUSTED_PROXIES",
        ),
        ("INKPOT_TRUSTED_PROXIES", "10.0.0.0/33", "10.0.0.0/8"),
        (
            "INKPOT_PUBLIC_URL",
            "blog.example.org",
            "https://blog.example.org",
        ),
        (
            "INKPOT_PUBLIC_URL",
            "https://ann:hunter22@example.org",
            "INKPOT_PUBLIC_URL",
        ),
        ("INKPOT_RATE_LIMITS", "maybe", "on, off"),
        ("INKPOT_COLOUR", "red", "INKPOT_COLOUR"),
        (
            "DATABASE_URL",
            "postgres://user:hunter22@host/db",
            "sqlite:PATH or mysql://",
        ),
        ("DATABASE_URL", "mysql://user:hunter22@/db", "host"),
        (
            "DATABASE_URL",
            "mysql://user:hunter22@127.0.0.1:1",
            "database",
        ),
        ("DATABASE_URL", "sqlite:", "path"),
        ("REDIS_URL", "hunter22", "redis://user:password@"),
        ("REDIS_URL", "redis://:hunter22@", "REDIS_URL (--redis-url)"),
        ("REDIS_URL", "http://ann:hunter22@redis", "rediss://"),
        ("REDIS_URL", "redis://redis/hunter22", "REDIS_URL"),
        ("DATABASE_URL", "sqlite:/proc/inkpot/x.db", "/proc/inkpot"),
    ] {
        let text = refused(&mut with(name, value), &[says]);
        assert!(!text.contains("hunter22"), "{text}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    refused(
        &mut with("INKPOT_LISTEN", &taken),
        &["cannot listen on", &taken],
    );
    refused(
        inkpot(dir.path()).arg("--no-such-flag"),
        &["--no-such-flag"],
    );
    refused(inkpot(dir.path()).arg("fly"), &["fly"]);
    let leftovers = std::fs::read_dir(dir.path().join("data"));
    assert!(leftovers.is_err() || !dir.path().join("data/jwt-secret.new").exists());
}

#[test]
fn ways_of_delivery_that_cannot_be_are_refused_without_the_password() {
    let dir = directory();
    for (name, value, says) in [
        (
            "INKPOT_SMTP_URL",
            "smtps://postman:hunter22@",
            "INKPOT_SMTP_URL",
        ),
        (
            "INKPOT_SMTP_URL",
            "smtp://postman:hunter22@mail.example.org?tls=none",
            "everybody on the way",
        ),
        (
            "INKPOT_SMTP_URL",
            "smtps://postman:hunter22@mail.example.org",
            "INKPOT_MAIL_FROM must be given",
        ),
        ("INKPOT_MAIL_FROM", "Inkpot", "Inkpot <blog@example.org>"),
        (
            "INKPOT_SMS_URL",
            "https://ann:hunter22@sms.example.org",
            "INKPOT_SMS_URL",
        ),
        ("INKPOT_SMS_TOKEN", "hunter22 \u{f6}", "INKPOT_SMS_TOKEN"),
        ("INKPOT_CA_FILE", "/proc/inkpot/ca.pem", "No such file"),
    ] {
        let mut command = inkpot(dir.path());
        let text = refused(command.env(name, value), &[says]);
        assert!(!text.contains("hunter22"), "{text}");
    }
}

#[test]
fn settings_that_are_empty_are_not_given() {
    let dir = directory();
    let mut command = inkpot(dir.path());
    for name in [
        "REDIS_URL",
        "INKPOT_SMTP_URL",
        "INKPOT_MAIL_FROM",
        "INKPOT_SMS_URL",
        "INKPOT_SMS_TOKEN",
        "INKPOT_CA_FILE",
    ] {
        command.env(name, "");
    }
    let server = Process::start(&mut command);
    assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
    let mut command = inkpot(dir.path());
    command
        .env("INKPOT_SMTP_URL", "smtp://localhost")
        .env("INKPOT_MAIL_FROM", "");
    refused(&mut command, &["INKPOT_MAIL_FROM must be given"]);
}

#[test]
fn databases_that_cannot_be_used_are_refused_without_the_password() {
    let dir = directory();
    let refuse = |url: &str, says: &[&str]| {
        let mut command = inkpot(dir.path());
        command
            .env("DATABASE_URL", url)
            .env("INKPOT_JWT_SECRET", SECRET);
        let text = refused(&mut command, says);
        assert!(!text.contains("hunter22"), "{text}");
    };
    refuse(
        "mysql://ann:hunter22@127.0.0.1:1/blog",
        &["mysql://ann:***@127.0.0.1:1/blog"],
    );
    refuse(
        "mysql://ann:hunter22@no-such-host.invalid/blog",
        &["no-such-host.invalid"],
    );
    let file = dir.path().join("not-a-database");
    std::fs::write(
        &file,
        "this is not a database, but a text that is long enough",
    )
    .unwrap();
    refuse(&format!("sqlite:{}", file.display()), &["not a database"]);
    if let Some(server) = crate::harness::database::SERVER.as_ref() {
        refuse(&format!("{}inkpot_t_none", server.url), &["inkpot_t_none"]);
        let mut url = url::Url::parse(&format!("{}mysql", server.url)).unwrap();
        url.set_password(Some("hunter22")).unwrap();
        refuse(url.as_str(), &["Access denied"]);
        url.set_query(Some("no_such_parameter=1"));
        refuse(url.as_str(), &["no_such_parameter"]);
    }
}

#[test]
fn mysql_speaks_tls_when_the_url_asks_for_it() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let Some(authority) = database.tls_authority() else {
        // A given server may speak TLS or not; the private one must.
        assert!(
            std::env::var_os("INKPOT_TEST_MYSQL_URL").is_some(),
            "openssl is missing"
        );
        return;
    };
    let refuse = |parameters: &str, says: &str| {
        let dir = directory();
        let mut command = inkpot(dir.path());
        command
            .env("DATABASE_URL", format!("{}?{parameters}", database.url()))
            .env("INKPOT_JWT_SECRET", SECRET);
        refused(&mut command, &[says]);
    };
    let own = format!("require_ssl=true&ssl_ca={authority}&prefer_socket=false");
    refuse("require_ssl=true&prefer_socket=false", "certificate");
    refuse(&own.replace("ca.pem", "none.pem"), "No such file");
    // The driver takes it and verifies the name all the same.
    refuse(&format!("{own}&verify_identity=false"), "tls_name=NAME");
    refuse(&format!("{own}&tls_name=db.example.org"), "certificate");
    for parameters in [own.clone(), format!("{own}&built_in_roots=false")] {
        let server = Process::start(
            inkpot(database.directory.path())
                .env("DATABASE_URL", format!("{}?{parameters}", database.url()))
                .env("INKPOT_JWT_SECRET", SECRET),
        );
        assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
        assert!(!server.banner.concat().contains("ssl_ca"));
    }
    let url = format!("{}?{own}", database.url());
    let cipher = std::thread::spawn(move || {
        let mut conn = connection::open(&DatabaseUrl::parse(&url).unwrap()).unwrap();
        session_cipher(&mut conn)
    });
    assert!(
        cipher.join().unwrap().starts_with("TLS_"),
        "the session is encrypted"
    );
}

fn session_cipher(conn: &mut Conn) -> String {
    #[derive(diesel::QueryableByName)]
    struct Status {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    let Conn::Mysql(conn) = conn else {
        panic!("MySQL");
    };
    let sql = "SELECT CAST(variable_value AS CHAR) AS value FROM information_schema.session_status \
               WHERE variable_name = 'SSL_CIPHER'";
    let status: Status = diesel::RunQueryDsl::get_result(diesel::sql_query(sql), conn).unwrap();
    status.value
}

#[test]
fn mysql_needs_a_secret_that_is_given() {
    let Some(database) = TestDatabase::create(Backend::Mysql) else {
        return;
    };
    let dir = directory();
    let mut command = inkpot(dir.path());
    refused(
        command.env("DATABASE_URL", database.url()),
        &["INKPOT_JWT_SECRET must be given"],
    );
}

#[test]
fn a_secret_may_come_in_a_file() {
    let dir = directory();
    let file = dir.path().join("secret");
    let given = |contents: &str| {
        std::fs::write(&file, contents).unwrap();
        let mut command = inkpot(dir.path());
        command.env("INKPOT_JWT_SECRET_FILE", &file);
        command
    };
    // As editors and `openssl` end files.
    let server = Process::start(&mut given(&format!("{SECRET}\n")));
    let token = register(&server, "ann");
    drop(server);
    assert!(!dir.path().join("data/jwt-secret").exists());
    let new = format!("{}, {SECRET}\n", SECRET.to_uppercase());
    let server = Process::start(&mut given(&new));
    let headers = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(server.call("GET", "/user/me", &headers, "").0, 200);
    drop(server);
    let text = refused(
        &mut given("hunter22"),
        &["INKPOT_JWT_SECRET_FILE", "32 bytes"],
    );
    assert!(!text.contains("hunter22"), "{text}");
    refused(
        given(SECRET).env("INKPOT_JWT_SECRET", SECRET),
        &["both given"],
    );
    std::fs::remove_file(&file).unwrap();
    refused(
        inkpot(dir.path()).env("INKPOT_JWT_SECRET_FILE", &file),
        &["INKPOT_JWT_SECRET_FILE", "No such file"],
    );
}

/// As compose files and shells have them.
#[test]
fn an_empty_variable_is_not_set() {
    let dir = directory();
    let mut command = inkpot(dir.path());
    let help = output(inkpot(dir.path()).arg("--help"));
    let help = String::from_utf8(help.stdout).unwrap();
    let mut names = 0;
    for (_, rest) in help
        .match_indices("[env: ")
        .map(|(at, _)| help[at..].split_at(6))
    {
        let name = rest.split(['=', ']']).next().unwrap();
        let is_given = command.get_envs().any(|(given, _)| given == name);
        if !is_given {
            command.env(name, "");
            names += 1;
        }
    }
    assert!(names > 20, "{names} settings");
    let server = Process::start(&mut command);
    assert_eq!(server.call("GET", "/livez", "", "").0, 200);
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let dir = directory();
    let server = Process::start(&mut inkpot(dir.path()));
    server.signal("TERM");
    server.wait();
    let secret = dir.path().join("data/jwt-secret");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
    refused(
        &mut inkpot(dir.path()),
        &["can be read by others", "chmod 600"],
    );
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&secret, "weak").unwrap();
    refused(&mut inkpot(dir.path()), &["at least 32 bytes"]);
}

#[test]
fn help_documents_every_setting() {
    let dir = directory();
    let help = output(inkpot(dir.path()).arg("--help"));
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for name in [
        "DATABASE_URL",
        "REDIS_URL",
        "INKPOT_LISTEN",
        "INKPOT_PUBLIC_URL",
        "INKPOT_DATA_DIR",
        "INKPOT_JWT_SECRET",
        "INKPOT_JWT_SECRET_FILE",
        "INKPOT_JWT_ALG",
        "INKPOT_TOKEN_TTL",
        "INKPOT_SESSION_TTL",
        "INKPOT_REMEMBER_TTL",
        "INKPOT_SESSION_MAX",
        "INKPOT_KEY_LEAD",
        "INKPOT_BCRYPT_COST",
        "INKPOT_MAX_CONTENT",
        "INKPOT_SMTP_URL",
        "INKPOT_MAIL_FROM",
        "INKPOT_SMS_URL",
        "INKPOT_SMS_TOKEN",
        "INKPOT_CA_FILE",
        "INKPOT_CORS_ORIGINS",
        "INKPOT_TRUSTED_PROXIES",
        "INKPOT_PROXY_HEADER",
        "INKPOT_RATE_LIMITS",
        "INKPOT_CACHE_MB",
        "INKPOT_WORKERS",
        "INKPOT_DB_POOL",
        "INKPOT_LOG",
        "INKPOT_LOG_FORMAT",
    ] {
        assert!(help.contains(name), "{name}");
    }
    for default in [
        "127.0.0.1:8080",
        "./data",
        "3600",
        "1048576",
        "sqlite:inkpot.db",
    ] {
        assert!(help.contains(default), "{default}");
    }
}

#[test]
fn migrations_can_be_run_by_hand() {
    for backend in [Backend::Sqlite, Backend::Mysql] {
        let Some(database) = TestDatabase::create_empty(backend, false) else {
            continue;
        };
        let run = |arguments: &[&str]| {
            let mut command = inkpot(database.directory.path());
            let ended = output(command.env("DATABASE_URL", database.url()).args(arguments));
            assert!(
                ended.status.success(),
                "{}",
                String::from_utf8_lossy(&ended.stderr)
            );
            String::from_utf8(ended.stdout).unwrap()
        };
        assert!(
            run(&["migrate", "status"])
                .lines()
                .all(|line| line.starts_with("pending "))
        );
        assert!(
            run(&["migrate", "run"])
                .lines()
                .all(|line| line.starts_with("applied "))
        );
        assert_eq!(run(&["migrate", "run"]), "nothing to apply\n");
        assert!(
            run(&["migrate", "status"])
                .lines()
                .all(|line| line.starts_with("applied "))
        );
        assert!(run(&["migrate", "revert"]).starts_with("reverted "));
    }
}

#[test]
fn two_processes_on_an_embedded_database_see_each_others_writes() {
    let dir = directory();
    let first = Process::start(&mut inkpot(dir.path()));
    let token = register(&first, "ann");
    let headers = format!("Content-Type: application/json\r\nJWT: {token}\r\n");
    let body = json!({ "title": "0", "content": "x" }).to_string();
    assert_eq!(first.call("POST", "/post", &headers, &body).0, 201);
    let title = |server: &Process| {
        let (_, answer) = server.call("GET", "/post/1", "", "");
        let post: Value = serde_json::from_str(&answer).unwrap();
        post["post"]["post_title"].as_str().unwrap().to_owned()
    };
    // Alone it keeps what it has answered.
    assert_eq!(title(&first), "0");
    let second = Process::start(&mut inkpot(dir.path()));
    for (n, (writer, reader)) in [(&second, &first), (&first, &second)]
        .into_iter()
        .enumerate()
    {
        let new = format!("by {n}");
        let body = json!({ "title": new }).to_string();
        title(reader);
        assert_eq!(writer.call("PATCH", "/post/1", &headers, &body).0, 200);
        let written = Instant::now();
        assert_eq!(title(writer), new);
        while title(reader) != new {
            // A second, and what a busy machine needs to ask once more.
            assert!(written.elapsed() < Duration::from_secs(3), "an old answer");
        }
    }
}

/// A shell gives few to start with, and each client is one.
#[test]
#[cfg(target_os = "linux")]
fn as_many_files_may_be_open_as_the_system_lets_it() {
    let directory = directory();
    let program = inkpot(directory.path());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -Sn 200; exec \"$0\""]);
    shell.arg(program.get_program()).env_clear();
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap());
    }
    let server = Process::start(&mut shell);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    assert_ne!(numbers[0], "200", "{line}");
}

#[test]
fn the_description_is_printed() {
    let dir = directory();
    let printed = output(inkpot(dir.path()).arg("openapi"));
    assert_eq!(
        String::from_utf8(printed.stdout).unwrap(),
        inkpot::openapi::render("").unwrap().yaml
    );
}

#[test]
fn a_fault_is_logged_with_its_request_and_its_place() {
    for format in ["text", "json"] {
        let dir = directory();
        let mut command = inkpot(dir.path());
        let server = Process::start(command.env("INKPOT_LOG_FORMAT", format));
        let url = format!("sqlite:{}", dir.path().join("data/inkpot.db").display());
        connection::open(&DatabaseUrl::parse(&url).unwrap())
            .unwrap()
            .batch_execute("ALTER TABLE content RENAME TO gone")
            .unwrap();
        let (status, _) = server.call("GET", "/post/1", "X-Request-Id: req-7\r\n", "");
        assert_eq!(status, 500);
        server.signal("TERM");
        let (_, log) = server.wait();
        let line = log.lines().find(|line| line.contains("met a fault"));
        let line = line.unwrap_or_else(|| panic!("no fault in the log:\n{log}"));
        // The place is in the code that reads posts.
        for part in ["req-7", "no such table: content", "src/posts/"] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
        if format == "json" {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["request_id"], "req-7");
            let place = line["place"].as_str().unwrap();
            assert!(place.contains(".rs:"), "{place}");
        }
    }
}

#[test]
fn the_log_has_a_line_a_request_and_no_secrets() {
    for format in ["text", "json"] {
        let dir = directory();
        let mut command = inkpot(dir.path());
        command
            .env("INKPOT_LOG_FORMAT", format)
            .env("INKPOT_LOG", "trace");
        let server = Process::start(&mut command);
        let token = register(&server, "ann");
        let json = "Content-Type: application/json\r\nX-Request-Id: req-42\r\n";
        let login = json!({ "account": "ann@example.org", "password": "wrong-but-secret" });
        server.call("POST", "/user/login", json, &login.to_string());
        server.call("GET", "/user/me", &format!("JWT: {token}\r\n"), "");
        server.call("GET", "/user/ann@example.org", "", "");
        server.call("GET", &format!("/post?token={token}"), "", "");
        let secret = std::fs::read_to_string(dir.path().join("data/jwt-secret")).unwrap();
        server.signal("TERM");
        let (_, log) = server.wait();
        for hidden in [
            PASSWORD,
            "wrong-but-secret",
            "ann@example.org",
            &token,
            &secret,
            "$2b$",
        ] {
            assert!(!log.contains(hidden), "{hidden} is in the log:\n{log}");
        }
        let requests: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("inkpot::request"))
            .collect();
        assert_eq!(requests.len(), 5, "{log}");
        if format == "json" {
            let line: Value = serde_json::from_str(requests[2]).unwrap();
            assert_eq!(line["method"], "GET");
            assert_eq!(line["route"], "/user/me");
            assert_eq!(line["status"], 200);
            assert_eq!(line["user_id"], 1);
            assert!(line["duration_us"].is_u64() && line["request_id"].is_string());
            let line: Value = serde_json::from_str(requests[1]).unwrap();
            assert_eq!(line["request_id"], "req-42");
        } else {
            assert!(
                requests[3].contains("route=/user/{id} status=400"),
                "{}",
                requests[3]
            );
        }
    }
}

#[test]
fn whatever_bytes_come_one_problem_goes_back() {
    let dir = directory();
    let server = Process::start(&mut inkpot(dir.path()));
    let long = "x".repeat(200_000);
    for (bytes, status, code) in [
        ("GET /livez HTTP/1.1\r\nHost: x\r\nX: \u{1}\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /livez HTTP/1.1\r\nBad Header: x\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /li vez HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("hello\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned(), 400, "malformed_request"),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414, "uri_too_long"),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", &long[..66_000]), 414, "uri_too_long"),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &long[..60_000]), 404, "not_found"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), 431, "headers_too_large"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", &long[..98_304]), 431, "headers_too_large"),
        (format!("GET /n HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n", &long[..98_000]), 404, "not_found"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(96)), 431, "headers_too_large"),
        (format!("GET /n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", "X: y\r\n".repeat(94)), 404, "not_found"),
        ("POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n".to_owned(), 400, "malformed_request"),
    ] {
        let start: String = bytes.chars().take(60).collect();
        let answer = server.raw(bytes.as_bytes());
        let found: u16 = answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
        assert_eq!(found, status, "{start:?}: {}", answer.chars().take(300).collect::<String>());
        assert!(answer.to_lowercase().contains("content-type: application/problem+json"), "{start:?}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{start:?}: {e}: {answer}"));
        assert_eq!(body["code"], code, "{start:?}");
        assert!(head.to_lowercase().contains("x-request-id: "), "{start:?}: {head}");
    }
    assert_eq!(server.call("GET", "/livez", "", "").0, 200);
}

#[test]
fn a_client_is_asked_for_its_body_when_it_is_wanted() {
    let dir = directory();
    let server = Process::start(&mut inkpot(dir.path()));
    let token = register(&server, "ann");
    let asked = "HTTP/1.1 100 Continue\r\n\r\n";
    let body = "{\"title\": \"x\", \"content\": \"y\"}";
    let head = |path: &str, framing: &str, more: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{framing}\r\n{more}\r\n"
        )
    };
    let json = "Content-Type: application/json\r\n";
    let bearer = format!("{json}Authorization: Bearer {token}\r\n");
    let until = |stream: &mut std::net::TcpStream, ends: &dyn Fn(&str) -> bool| {
        let mut answered = Vec::new();
        while !ends(&String::from_utf8_lossy(&answered)) {
            let mut more = [0; 4096];
            let length = stream.read(&mut more).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&answered));
            answered.extend_from_slice(&more[..length]);
        }
        String::from_utf8_lossy(&answered).into_owned()
    };
    // Who is refused by the head is not asked, and the connection ends.
    let refused = |head: &str, status: &str| {
        let mut stream = server.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let answer = until(&mut stream, &|text: &str| text.ends_with('}'));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains("connection: close"), "{answer}");
    };
    let length = format!("Content-Length: {}", body.len());
    let text = bearer.replace("application/json", "text/plain");
    for framing in [length.as_str(), "Transfer-Encoding: chunked"] {
        for (path, more, status) in [
            ("/post", json, "401"),
            ("/post", text.as_str(), "415"),
            ("/nothing", bearer.as_str(), "404"),
            ("/user/me", bearer.as_str(), "405"),
        ] {
            refused(&head(path, framing, more), status);
        }
    }
    refused(&head("/post", "Content-Length: 999999999", &bearer), "413");
    // Others are asked once, whether they wait for it or not, and also on a connection
    // that is kept.
    let mut stream = server.connect();
    let is_published = |text: &str| text.contains("HTTP/1.1 201 ") && text.ends_with("}}");
    for _ in 0..3 {
        let head = head("/post", &length, &bearer);
        stream.write_all(head.as_bytes()).unwrap();
        let first = until(&mut stream, &|text: &str| text.len() >= asked.len());
        assert_eq!(first, asked);
        stream.write_all(body.as_bytes()).unwrap();
        let answer = until(&mut stream, &is_published);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    let whole = head("/post", &length, &bearer) + body;
    stream.write_all(whole.as_bytes()).unwrap();
    let answer = until(&mut stream, &is_published);
    assert_eq!(answer.matches(asked).count(), 1, "{answer}");
}

#[test]
fn a_body_that_is_too_long_is_answered_not_cut() {
    let dir = directory();
    let server = Process::start(&mut inkpot(dir.path()));
    for length in [70_000, 3_000_000] {
        let body = "x".repeat(length);
        let json = "Content-Type: application/json\r\n";
        let (status, answer) = server.call("POST", "/user/login", json, &body);
        assert_eq!(status, 413, "{length}: {answer}");
        assert!(answer.contains("body_too_large"));
    }
}

#[test]
fn a_head_has_no_body_and_the_length_of_one() {
    let dir = directory();
    let server = Process::start(&mut inkpot(dir.path()));
    let answer = server.raw(b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 15"), "{head}");
    assert_eq!(body, "");
}

#[test]
fn no_path_of_this_machine_is_in_an_answer() {
    let dir = directory();
    let server = Process::start(&mut inkpot(dir.path()));
    let database = Path::new("data/inkpot.db");
    for suffix in ["", "-wal", "-shm"] {
        let file = dir.path().join(format!("{}{suffix}", database.display()));
        // The server keeps its open files; new connections find none.
        let _ = std::fs::remove_file(file);
    }
    // A thread of the server may be making a file anew meanwhile.
    while std::fs::remove_dir_all(dir.path().join("data")).is_err() {
        std::thread::yield_now();
    }
    for _ in 0..3 {
        let (status, body) = server.call("GET", "/post/1", "", "");
        assert!([404, 500, 503].contains(&status), "{status} {body}");
        assert!(!body.contains(dir.path().to_str().unwrap()), "{body}");
    }
}

/// All of them make the schema and the first keys, and none exits.
fn four_first_starts_at_once(backend: Backend) {
    let Some(database) = TestDatabase::create_empty(backend, false) else {
        return;
    };
    let servers: Vec<Process> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    Process::start(
                        inkpot(database.directory.path())
                            .env("DATABASE_URL", database.url())
                            .env("INKPOT_JWT_SECRET", SECRET)
                            .env("INKPOT_JWT_ALG", "EdDSA"),
                    )
                })
            })
            .collect();
        starting
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    let token = register(&servers[0], "ann");
    for server in &servers {
        let headers = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
        assert_eq!(server.call("GET", "/user/me", &headers, "").0, 200);
    }
}

#[test]
fn four_first_starts_at_once_on_sqlite() {
    four_first_starts_at_once(Backend::Sqlite);
}

#[test]
fn four_first_starts_at_once_on_mysql() {
    four_first_starts_at_once(Backend::Mysql);
}
