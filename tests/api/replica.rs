//! A replica that anybody may read from: a real second MariaDB behind a real first one. What is
//! kept at the replica is marked, so each answer says where it was read.

// Samples are whole numbers.
#![allow(clippy::float_cmp)]

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::SECRET;
use crate::harness::mariadb::Mariadb;
use crate::harness::process::{Process, inkpot, output};
use crate::harness::proxy::Proxy;
use crate::harness::redis::Redis;
use crate::metrics::{fetch, watched};
use crate::process::register;

const JSON: &str = "content-type: application/json\r\n";
/// How long anything may take until it is so.
const PATIENCE: Duration = Duration::from_secs(30);
/// In the titles at the replica.
const MARK: &str = "replicated ";

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never was so: {what}");
        thread::yield_now();
    }
}

/// A primary and its replica, and what servers on them need.
struct Pair {
    primary: Mariadb,
    replica: Mariadb,
    directory: tempfile::TempDir,
}

impl Pair {
    fn start() -> Option<Self> {
        let (primary, replica) = Mariadb::start_with_replica()?;
        Some(Self {
            primary,
            replica,
            directory: tempfile::tempdir().unwrap(),
        })
    }

    /// A server that keeps nothing, so that all is read each time, and whose replica may be so old.
    fn command(&self, staleness: &str) -> std::process::Command {
        let mut command = inkpot(self.directory.path());
        command
            .env("DATABASE_URL", Mariadb::url_at(&self.primary.address))
            .env("DATABASE_READ_URL", Mariadb::url_at(&self.replica.address))
            .env("INKPOT_READ_STALENESS", staleness)
            .env("INKPOT_METRICS_LISTEN", "127.0.0.1:0")
            .env("INKPOT_LOG", "warn,inkpot::core::replica=info")
            .env("INKPOT_CACHE_MB", "0")
            .env("INKPOT_JWT_SECRET", SECRET);
        command
    }

    /// Waits until the replica has what the primary has.
    fn catch_up(&self) {
        let position = self.primary.ask("SELECT @@gtid_binlog_pos");
        let wait = format!("SELECT MASTER_GTID_WAIT('{}', 30)", position.trim());
        assert_eq!(self.replica.ask(&wait).trim(), "0");
    }

    /// Marks all that is at the replica now.
    fn mark(&self) {
        self.catch_up();
        let marked = format!("UPDATE inkpot.post SET title = CONCAT('{MARK}', title)");
        self.replica.sql(&marked);
        self.replica
            .sql("UPDATE inkpot.user SET role = 'admin', is_active = 0");
    }
}

fn call(server: &Process, method: &str, path: &str, token: &str, body: &Value) -> (u16, String) {
    let headers = format!("{JSON}authorization: Bearer {token}\r\n");
    server.call(method, path, &headers, &body.to_string())
}

fn publish(server: &Process, token: &str, title: &str) -> i64 {
    let post = json!({ "title": title, "content": "text", "tags": ["a"] });
    let (status, body) = call(server, "POST", "/post", token, &post);
    assert_eq!(status, 201, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["post_id"].as_i64().unwrap()
}

fn read(server: &Process, path: &str) -> String {
    let (status, body) = server.call("GET", path, "", "");
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// How the replica is, by the word of a server that is ready all the same.
fn standing(server: &Process) -> String {
    let answer: Value = serde_json::from_str(&read(server, "/readyz")).unwrap();
    assert_eq!(answer["status"], "ok", "{answer}");
    answer["replica"].as_str().unwrap().to_owned()
}

fn is_standing(server: &Process, expected: &str) {
    until(expected, || standing(server) == expected);
}

/// What a server that is watched tells of itself.
pub fn metric(server: &Process, sample: &str) -> f64 {
    let (_, _, text) = fetch(&watched(server), "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(sample));
    line.unwrap_or_else(|| panic!("no {sample} in {text}"))
        .trim()
        .parse()
        .unwrap()
}

/// Waits until the replica is known to have all that the server knows of.
fn until_read_there(server: &Process) {
    let reads = || metric(server, "inkpot_replica_reads_total{target=\"replica\"}");
    let (before, mut page) = (reads(), 1000);
    until("read at the replica", || {
        page += 1;
        read(server, &format!("/post/?page={page}"));
        reads() > before
    });
}

/// Where posts are shown to anybody, by the number of one.
fn places(post: i64) -> Vec<String> {
    [
        "/post/{}",
        "/post/{}?include=html",
        "/post/",
        "/post/?include=content",
        "/post/?tag=a",
        "/post/?author=1",
        "/post/?q=text",
        "/feed.atom",
        "/feed.json",
        "/",
        "/p/{}",
        "/t/a",
    ]
    .iter()
    .map(|path| path.replace("{}", &post.to_string()))
    .collect()
}

#[test]
fn anybody_reads_at_the_replica_and_who_has_a_token_at_the_primary() {
    let Some(pair) = Pair::start() else { return };
    let server = Process::start(&mut pair.command("60"));
    let ann = register(&server, "ann");
    let post = publish(&server, &ann, "first");
    pair.mark();
    is_standing(&server, "ok");
    for path in places(post) {
        // The heartbeat after the post is on its way.
        until(&path, || read(&server, &path).contains(MARK));
        for token in [
            format!("authorization: Bearer {ann}\r\n"),
            format!("jwt: {ann}\r\n"),
            format!("authorization: Bearer {ann}\r\njwt: {ann}\r\n"),
            "cookie: a=b; __Host-inkpot-refresh=x\r\n".to_owned(),
        ] {
            let (status, body) = server.call("GET", &path, &token, "");
            assert!(status == 200 && !body.contains(MARK), "{path}: {body}");
        }
        let (_, body) = server.call("GET", &path, "cookie: theme=dark\r\n", "");
        assert!(body.contains(MARK), "{path}: {body}");
    }
    assert!(metric(&server, "inkpot_replica_reads_total{target=\"replica\"}") >= 10.0);
    assert_eq!(metric(&server, "inkpot_replica_up"), 1.0);
    assert!(metric(&server, "inkpot_replica_lag_seconds") < 60.0);

    // There everybody is an admin who was deactivated; what decides is the primary's word.
    assert_eq!(call(&server, "GET", "/audit/", &ann, &Value::Null).0, 403);
    let login = json!({ "account": "ann@example.org", "password": crate::harness::PASSWORD });
    assert_eq!(call(&server, "POST", "/user/login", "", &login).0, 200);
    assert_eq!(call(&server, "GET", "/user/me", &ann, &Value::Null).0, 200);
    let draft = json!({ "title": "draft", "content": "text", "status": "draft" });
    let (_, body) = call(&server, "POST", "/post", &ann, &draft);
    let draft: Value = serde_json::from_str(&body).unwrap();
    let path = format!("/post/{}", draft["post_id"]);
    assert_eq!(server.call("GET", &path, "", "").0, 404);
    assert_eq!(call(&server, "GET", &path, &ann, &Value::Null).0, 200);

    // Who serves nobody reads nothing there.
    let worker = Process::start_worker(&mut pair.command("60"));
    let (_, _, told) = fetch(&watched(&worker), "/metrics");
    assert!(!told.contains("inkpot_replica") && told.contains("inkpot_database_up 1"));
    drop(worker);

    // What operators are told.
    let doctor = || {
        let mut command = pair.command("2");
        let told = output(command.args(["doctor", "--quick"]));
        String::from_utf8(told.stdout).unwrap()
    };
    let told = doctor();
    assert!(
        told.contains("ok      replica: it has the newest heartbeat"),
        "{told}"
    );
    assert!(
        told.contains("replica: its tables are those of this version"),
        "{told}"
    );
    pair.replica.sql("STOP SLAVE SQL_THREAD");
    until("three heartbeats", || {
        doctor().contains("heartbeats behind")
    });
    pair.replica.sql("START SLAVE SQL_THREAD");
}

/// With a bound that a replica which stands still does not reach: nothing but what this process
/// has written, or heard of, keeps old answers away.
#[test]
fn what_was_written_is_never_read_at_a_replica_that_lacks_it() {
    let (Some(pair), Some(redis)) = (Pair::start(), Redis::start()) else {
        return;
    };
    let start = |megabytes| {
        let mut command = pair.command("60");
        command.env("REDIS_URL", redis.url());
        let server = Process::start(command.env("INKPOT_CACHE_MB", megabytes));
        until("it hears others", || {
            metric(&server, "inkpot_bus_connected") == 1.0
        });
        server
    };
    let one = start("0");
    let ann = register(&one, "ann");
    let posts: Vec<i64> = (0..3)
        .map(|n| publish(&one, &ann, &format!("no {n}")))
        .collect();
    let [changed, deleted, kept] = posts[..] else {
        unreachable!("three")
    };
    let path = |post: i64| format!("/post/{post}");
    pair.mark();
    // This one keeps what it reads, so it must not read too early.
    let other = start("8");
    for server in [&one, &other] {
        until_read_there(server);
        for post in &posts {
            assert!(read(server, &path(*post)).contains(MARK));
        }
    }
    pair.replica.sql("STOP SLAVE SQL_THREAD");
    for round in 0..5 {
        let title = format!("round {round}");
        let change = json!({ "title": title });
        assert_eq!(call(&one, "PATCH", &path(changed), &ann, &change).0, 200);
        // At once where it was written, in every place; and from when it is heard on elsewhere.
        for place in places(changed) {
            let body = read(&one, &place);
            assert!(
                body.contains(&title) && !body.contains(MARK),
                "{place}: {body}"
            );
        }
        until("heard of", || read(&other, &path(changed)).contains(&title));
        for place in places(changed) {
            let body = read(&other, &place);
            assert!(
                body.contains(&title) && !body.contains(MARK),
                "{place}: {body}"
            );
        }
    }
    // What nobody changed is read there still.
    for server in [&one, &other] {
        assert!(read(server, &path(kept)).contains(MARK));
    }
    let new = publish(&one, &ann, "brand new");
    for server in [&one, &other] {
        // Also before the event of it is heard: what is not at the replica the primary is asked for.
        assert!(read(server, &path(new)).contains("brand new"));
    }
    // The primary has its own time, however much of it the replica took.
    thread::scope(|scope| {
        scope.spawn(|| (pair.primary).sql("LOCK TABLES inkpot.post WRITE; SELECT SLEEP(1.5)"));
        until("locked", || {
            let asleep = "SELECT COUNT(*) FROM information_schema.processlist \
                          WHERE info LIKE 'SELECT SLEEP%'";
            pair.primary.ask(asleep).trim() == "1"
        });
        assert!(read(&one, &path(new)).contains("brand new"));
    });
    assert_eq!(
        call(&one, "DELETE", &path(deleted), &ann, &Value::Null).0,
        204
    );
    assert_eq!(one.call("GET", &path(deleted), "", "").0, 404);
    until("gone", || {
        other.call("GET", &path(deleted), "", "").0 == 404
    });
    assert_eq!(other.call("GET", &path(deleted), "", "").0, 404);
    // What is counted too.
    let comments = format!("/post/{kept}/comments");
    let said = json!({ "content": "hear, hear" });
    assert_eq!(call(&one, "POST", &comments, &ann, &said).0, 201);
    let shown = read(&one, &comments);
    assert!(shown.contains("hear, hear"), "{shown}");
    assert!(!read(&one, &path(kept)).contains(MARK));
    for place in ["/tag/", "/post/archive"] {
        assert_eq!(read(&one, place), read(&other, place), "{place}");
    }
    assert!(read(&one, "/tag/").contains("\"posts\":3"));

    // Once the replica has it all, it is read again.
    pair.replica.sql("START SLAVE SQL_THREAD");
    pair.catch_up();
    pair.replica
        .sql("UPDATE inkpot.post SET title = 'replicated anew'");
    for post in [changed, kept, new] {
        until("anew", || read(&one, &path(post)).contains(MARK));
    }
    for reason in ["overtaken", "absent"] {
        let sample = format!("inkpot_replica_fallbacks_total{{reason=\"{reason}\"}}");
        assert!(metric(&one, &sample) >= 1.0, "{reason}");
    }
}

#[test]
fn a_replica_that_is_behind_or_away_is_not_read_until_it_is_back() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let proxy = Proxy::before(&pair.replica.address);
    let mut command = pair.command("4");
    let address = proxy.address.to_string();
    command.env("DATABASE_READ_URL", Mariadb::url_at(&address));
    let server = Process::start(&mut command);
    let ann = register(&server, "ann");
    let post = publish(&server, &ann, "first");
    pair.mark();
    let path = format!("/post/{post}");
    let is_marked = || read(&server, &path).contains(MARK);
    until("read there", is_marked);

    // Behind: no write is known of that it lacks, but nobody can tell.
    pair.replica.sql("STOP SLAVE SQL_THREAD");
    is_standing(&server, "degraded");
    assert!(!is_marked());
    pair.replica.sql("START SLAVE SQL_THREAD");
    is_standing(&server, "ok");
    until("read there again", is_marked);

    // It says nothing at all.
    proxy.stall();
    until("slow", || !is_marked());
    is_standing(&server, "away");
    assert!(!is_marked());
    proxy.open();
    is_standing(&server, "ok");
    until("read there again", is_marked);

    // It is killed, and a server starts meanwhile.
    proxy.close();
    pair.replica.kill();
    for _ in 0..20 {
        assert!(!is_marked());
    }
    is_standing(&server, "away");
    let late = Process::start(&mut command);
    assert!(!read(&late, &path).contains(MARK));
    pair.replica.restart();
    proxy.open();
    for server in [&server, &late] {
        is_standing(server, "ok");
        until("read there again", || read(server, &path).contains(MARK));
    }
    for reason in ["away", "behind"] {
        let sample = format!("inkpot_replica_fallbacks_total{{reason=\"{reason}\"}}");
        assert!(metric(&server, &sample) >= 1.0, "{reason}");
    }
    // Nobody tells what the other one writes: it is seen at once with a token, and else soon.
    let change = json!({ "title": "second" });
    assert_eq!(call(&server, "PATCH", &path, &ann, &change).0, 200);
    assert!(
        call(&late, "GET", &path, &ann, &Value::Null)
            .1
            .contains("second")
    );
    until("seen", || read(&late, &path).contains("second"));

    // Each time is said once when it goes and once when it is back.
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    let said: Vec<bool> = (log.lines())
        .filter(|line| line.contains("the replica at "))
        .map(|line| line.contains("is read from"))
        .collect();
    assert!(said.len() >= 7 && said[0], "{log}");
    assert!(said.windows(2).all(|two| two[0] != two[1]), "{log}");
}

/// What is read at another database would be anything.
#[test]
fn what_is_no_replica_of_the_database_is_not_read() {
    let (Some(primary), Some(other)) = (Mariadb::start(), Mariadb::start()) else {
        return;
    };
    let pair = Pair {
        primary,
        replica: other,
        directory: tempfile::tempdir().unwrap(),
    };
    let mut stranger = inkpot(pair.directory.path());
    stranger
        .env("DATABASE_URL", Mariadb::url_at(&pair.replica.address))
        .env("INKPOT_JWT_SECRET", SECRET);
    let stranger = Process::start(&mut stranger);
    let eve = register(&stranger, "eve");
    publish(&stranger, &eve, "replicated not");
    pair.replica
        .sql("UPDATE inkpot.replica_heartbeat SET beat = 2");
    let server = Process::start(&mut pair.command("60"));
    let ann = register(&server, "ann");
    let post = publish(&server, &ann, "first");
    is_standing(&server, "away");
    assert!(!read(&server, &format!("/post/{post}")).contains(MARK));
    let told = output(pair.command("60").args(["doctor", "--quick"]));
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("error   replica: it is no replica"), "{told}");
}

#[test]
fn there_is_no_replica_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = inkpot(directory.path());
    let url = "mysql://u:secret@127.0.0.1:1/inkpot";
    let refused = output(command.env("DATABASE_READ_URL", url));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("DATABASE_READ_URL is for MySQL and MariaDB"),
        "{said}"
    );
    let refused = output(command.env("DATABASE_READ_URL", "sqlite:x.db"));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("DATABASE_READ_URL"),
        "{said}"
    );
}
