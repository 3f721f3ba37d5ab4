//! Who is alone at a MariaDB keeps answers until they change, as on a file of one's own; who is not
//! keeps them for a second. Whoever connects to the server ends it, whatever they are.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::mariadb::Mariadb;
use crate::harness::process::{Process, inkpot};
use crate::harness::{PASSWORD, SECRET};
use crate::metrics::{Scrape, fetch, watched};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// For longer than answers hold beside others.
const LONG: Duration = Duration::from_millis(1500);

struct World {
    database: Mariadb,
    directory: tempfile::TempDir,
    server: Process,
    /// The author's headers.
    ann: String,
    path: String,
}

/// A server, or a worker, on the database.
fn command(database: &Mariadb, directory: &tempfile::TempDir) -> std::process::Command {
    let mut command = inkpot(directory.path());
    command
        .env("DATABASE_URL", Mariadb::url_at(&database.address))
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_METRICS_LISTEN", "127.0.0.1:0");
    command
}

impl World {
    /// A server that is alone, with one post.
    fn start() -> Option<Self> {
        let database = Mariadb::start()?;
        let directory = tempfile::tempdir().unwrap();
        let server = Process::start(&mut command(&database, &directory));
        let json = "content-type: application/json\r\n";
        let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
        let (status, text) = server.call("POST", "/user/reg", json, &body.to_string());
        assert_eq!(status, 201, "{text}");
        let told: Value = serde_json::from_str(&text).unwrap();
        let token = told["token"].as_str().unwrap();
        let ann = format!("{json}authorization: Bearer {token}\r\n");
        let body = json!({ "title": "first", "content": "text" }).to_string();
        let (status, text) = server.call("POST", "/post", &ann, &body);
        assert_eq!(status, 201, "{text}");
        let told: Value = serde_json::from_str(&text).unwrap();
        let path = format!("/post/{}", told["post_id"]);
        let world = Self {
            database,
            directory,
            server,
            ann,
            path,
        };
        world.until_alone(true);
        Some(world)
    }

    fn get(&self, name: &str) -> f64 {
        Scrape::parse(fetch(&watched(&self.server), "/metrics").2).get(name)
    }

    fn is_alone(&self) -> bool {
        self.get("inkpot_response_cache_expires") < 0.5
    }

    #[track_caller]
    fn until_alone(&self, is_alone: bool) {
        let begun = Instant::now();
        while self.is_alone() != is_alone {
            assert!(begun.elapsed() < PATIENCE, "it is alone: {}", !is_alone);
        }
    }

    fn title(&self) -> String {
        let (status, text) = self.server.call("GET", &self.path, "", "");
        assert_eq!(status, 200, "{text}");
        let told: Value = serde_json::from_str(&text).unwrap();
        told["post"]["post_title"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn until_title(&self, title: &str) {
        let begun = Instant::now();
        while self.title() != title {
            assert!(begun.elapsed() < PATIENCE, "{} stays", self.title());
        }
    }

    /// Asks for the post for longer than it would be kept beside others: how often it was made anew.
    fn made_anew(&self) -> f64 {
        self.title();
        let misses = || self.get("inkpot_response_cache_requests_total{result=\"miss\"}");
        let (before, begun) = (misses(), Instant::now());
        while begun.elapsed() < LONG {
            self.title();
        }
        misses() - before
    }

    /// Gives the post a title by a statement that somebody types, who leaves at once.
    fn write_by_hand(&self, title: &str) {
        self.database
            .sql(&format!("UPDATE inkpot.post SET title = '{title}'"));
    }
}

#[test]
fn who_is_alone_keeps_answers_until_they_change() {
    let Some(world) = World::start() else { return };
    // A pool that grows is seen as what it is, or not at all for a moment.
    assert!(world.made_anew() < 1.5, "made anew though nobody came");
    let change = json!({ "title": "second" }).to_string();
    let patched = world.server.call("PATCH", &world.path, &world.ann, &change);
    assert_eq!(patched.0, 200, "{}", patched.1);
    assert_eq!(world.title(), "second");
    world.until_alone(true);
    // Between two looks.
    for title in ["third", "fourth"] {
        assert_ne!(world.title(), title);
        world.write_by_hand(title);
        world.until_title(title);
    }
    world.until_alone(true);
    assert!(world.made_anew() < 1.5, "made anew though nobody came");
}

#[test]
fn whoever_is_connected_has_answers_expire() {
    let Some(world) = World::start() else { return };
    // As root, whom the server's user may not see.
    let mut session = world.database.session("SELECT 1");
    world.until_alone(false);
    assert!(world.made_anew() >= 1.0);
    assert!(!world.is_alone());
    session.kill().unwrap();
    session.wait().unwrap();
    world.until_alone(true);

    let second = Process::start(&mut command(&world.database, &world.directory));
    world.until_alone(false);
    let change = json!({ "title": "by the second" }).to_string();
    let patched = second.call("PATCH", &world.path, &world.ann, &change);
    assert_eq!(patched.0, 200, "{}", patched.1);
    world.until_title("by the second");
    // Killed without leave, and its connections with it.
    second.signal("KILL");
    world.until_alone(true);

    let worker = Process::start_worker(&mut command(&world.database, &world.directory));
    world.until_alone(false);
    drop(worker);
    world.until_alone(true);
}

#[test]
fn who_stood_still_meanwhile_is_not_alone() {
    let Some(world) = World::start() else { return };
    assert_eq!(world.title(), "first");
    world.server.pause();
    let begun = Instant::now();
    world.write_by_hand("second");
    while begun.elapsed() < LONG {
        std::thread::yield_now();
    }
    let mut stream = world.server.connect();
    world.server.signal("CONT");
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        world.path
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.contains("second"), "{answer}");
    world.until_alone(true);
}

/// A server that is killed and comes back has a list of connections that begins anew.
#[test]
fn after_a_fault_of_the_database_nothing_old_is_kept() {
    let Some(mut world) = World::start() else {
        return;
    };
    for title in ["second", "third"] {
        world.until_alone(true);
        assert_ne!(world.title(), title);
        world.database.kill();
        world.database.restart();
        world.write_by_hand(title);
        world.until_title(title);
    }
    world.until_alone(true);
}
