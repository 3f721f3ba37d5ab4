//! A node that is killed and comes back while several publish, delete and log in: nothing that was
//! acknowledged is lost, and no job is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use inkpot::core::db::{Conn, DatabaseUrl, connection};
use serde_json::{Value, json};

use super::{Cluster, JSON, PATIENCE, alone, call, until};
use crate::harness::PASSWORD;
use crate::harness::nginx::free_address;
use crate::harness::process::{Process, inkpot, output, shown};
use crate::harness::redis::Redis;
use crate::process::register;

/// A node of the cluster, by its number.
struct Node {
    number: usize,
    directory: PathBuf,
}

impl Node {
    fn new(number: usize) -> Self {
        let all = std::env::var("INKPOT_TEST_CLUSTER_DIRECTORY").unwrap();
        Self {
            number,
            directory: PathBuf::from(all).join(format!("node{number}")),
        }
    }

    /// As a machine does that loses its power.
    fn kill(&self) {
        let id = std::fs::read_to_string(self.directory.join("pid")).unwrap();
        let killed = Command::new("kill").args(["-KILL", id.trim()]).status();
        assert!(killed.unwrap().success());
    }

    /// Starts it again, for other tests too; returns when it is one of the others again.
    fn restart(&self, cluster: &Cluster) {
        let run = Command::new(self.directory.join("run"))
            .stdin(Stdio::null())
            .spawn();
        // It ends with the cluster.
        drop(run.unwrap());
        let begun = Instant::now();
        while connect(&cluster.urls[self.number])
            .and_then(|mut conn| conn.batch_execute("SELECT 1 FROM installation").ok())
            .is_none()
        {
            let log = || std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{}", log());
            thread::yield_now();
        }
    }
}

fn connect(url: &str) -> Option<Conn> {
    connection::open(&DatabaseUrl::parse(url).unwrap()).ok()
}

/// A real haproxy with `deploy/haproxy.cfg`, as an operator runs it.
struct Haproxy {
    child: Child,
    address: String,
    directory: tempfile::TempDir,
}

impl Haproxy {
    fn before(nodes: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let unpacked = root.join("target/haproxy/usr");
        let mut program = PathBuf::from("haproxy");
        if unpacked.join("sbin/haproxy").exists() {
            program = unpacked.join("sbin/haproxy");
        }
        // Below the name of the machine's kind.
        let libraries = (std::fs::read_dir(unpacked.join("lib"))
            .into_iter()
            .flatten())
        .map(|entry| entry.unwrap().path())
        .find(|path| path.ends_with(format!("{}-linux-gnu", std::env::consts::ARCH)))
        .unwrap_or_default();
        let command = |more: &[&str]| {
            let mut command = Command::new(&program);
            command
                .arg("-f")
                .arg(root.join("deploy/haproxy.cfg"))
                .args(more)
                .env("LD_LIBRARY_PATH", &libraries)
                .env("GALERA_LISTEN", &address)
                .stdin(Stdio::null());
            for (n, node) in nodes.iter().enumerate() {
                command.env(format!("GALERA_{}", n + 1), node);
            }
            command
        };
        let checked = output(&mut command(&["-c"]));
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{said}");
        assert!(!said.contains("[WARNING]"), "{said}");
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child = command(&["-db"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            address,
            directory,
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            shown(&format!("haproxy logged: {}", log.unwrap_or_default()));
        }
    }
}

/// How many posts have a title.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    title: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// What was acknowledged, by everybody who was there.
#[derive(Default)]
struct Seen {
    /// Ids by titles.
    published: Mutex<BTreeMap<String, i64>>,
    deleted: Mutex<BTreeSet<i64>>,
    /// What somebody tried to delete, whatever came of it.
    maybe_deleted: Mutex<BTreeSet<i64>>,
    tokens: Mutex<Vec<String>>,
    /// Posts that were acknowledged.
    answers: AtomicUsize,
    is_over: AtomicBool,
}

/// Publishes, deletes and logs in at a server, until it is over. What is refused is tried again under
/// the same key.
fn use_server(server: &Process, worker: usize, token: &str, seen: &Seen) {
    let mut number = 0;
    let mut own = Vec::new();
    while !seen.is_over.load(Ordering::SeqCst) {
        number += 1;
        let title = format!("w{worker} n{number}");
        let post =
            json!({ "title": title, "content": "text", "tags": [format!("w{worker}"), "all"] });
        let headers = format!(
            "{JSON}authorization: Bearer {token}\r\nidempotency-key: \"{worker}-{number}\"\r\n"
        );
        let id = until(|| {
            let (status, body) = server.call("POST", "/post", &headers, &post.to_string());
            assert!([201, 409, 503].contains(&status), "{status} {body}");
            if status == 201 {
                seen.answers.fetch_add(1, Ordering::SeqCst);
            } else {
                // As a client does that was told to come back.
                thread::park_timeout(Duration::from_millis(50));
            }
            let answer: Value = serde_json::from_str(&body).unwrap();
            (status == 201).then(|| answer["post_id"].as_i64().unwrap())
        });
        seen.published.lock().unwrap().insert(title, id);
        own.push(id);
        if number % 3 == 0 {
            let id = own.swap_remove(number / 3 % own.len());
            seen.maybe_deleted.lock().unwrap().insert(id);
            let path = format!("/post/{id}");
            let (status, body) = call(server, "DELETE", &path, token, &Value::Null);
            assert!([204, 503].contains(&status), "{status} {body}");
            if status == 204 {
                seen.deleted.lock().unwrap().insert(id);
            }
        }
        if number % 4 == 0 {
            let login = json!({ "account": "ann@example.org", "password": PASSWORD });
            let (status, answer) = call(server, "POST", "/user/login", "", &login);
            assert!([200, 503].contains(&status), "{status} {answer}");
            if status == 200 {
                let token = answer["token"].as_str().unwrap().to_owned();
                seen.tokens.lock().unwrap().push(token);
            }
        }
    }
}

impl Seen {
    /// Waits for so many answers more.
    fn go_on(&self, answers: usize) {
        let until_then = self.answers.load(Ordering::SeqCst) + answers;
        until(|| (self.answers.load(Ordering::SeqCst) >= until_then).then_some(()));
    }

    /// All of it is there, at each of these servers, and nothing is there twice.
    fn is_kept(&self, servers: &[Process], cluster: &Cluster, token: &str) {
        let (deleted, maybe) = (
            self.deleted.lock().unwrap(),
            self.maybe_deleted.lock().unwrap(),
        );
        let published = self.published.lock().unwrap();
        assert!(
            published.len() > 20 && deleted.len() > 3,
            "{}",
            published.len()
        );
        for (n, server) in servers.iter().enumerate() {
            until(|| (server.call("GET", "/readyz", "", "").0 == 200).then_some(()));
            for (title, id) in published.iter() {
                let path = format!("/post/{id}");
                let (status, post) = call(server, "GET", &path, token, &Value::Null);
                match (deleted.contains(id), maybe.contains(id)) {
                    (true, _) => assert_eq!(status, 404, "server {n}: {title} is back"),
                    (false, true) => assert!([200, 404].contains(&status), "{title}: {status}"),
                    (false, false) => {
                        assert_eq!(status, 200, "server {n}: {title} is lost");
                        assert_eq!(post["post"]["post_title"], json!(title));
                    }
                }
            }
            for token in self.tokens.lock().unwrap().iter() {
                let (status, _) = call(server, "GET", "/user/me", token, &Value::Null);
                assert_eq!(status, 200, "server {n}: a login is lost");
            }
        }
        for node in 0..cluster.urls.len() {
            let Conn::Mysql(mut conn) = connect(&cluster.urls[node]).unwrap() else {
                unreachable!("a node is no file")
            };
            conn.batch_execute("SET SESSION wsrep_sync_wait = 1")
                .unwrap();
            let twice: Vec<Row> = diesel::sql_query(
                "SELECT title, COUNT(*) AS number FROM post GROUP BY title HAVING COUNT(*) > 1",
            )
            .load(&mut conn)
            .unwrap();
            let twice: Vec<_> = twice.iter().map(|row| (&row.title, row.number)).collect();
            assert!(twice.is_empty(), "node {node}: {twice:?}");
            let checked = output(cluster.command(node, None).arg("check"));
            assert!(checked.status.success(), "node {node}: {checked:?}");
        }
    }
}

/// A server at a node that keeps no answers and says little.
fn quiet(cluster: &Cluster, node: usize, redis: Option<&str>) -> Command {
    let mut command = cluster.command(node, redis);
    command
        .env("INKPOT_CACHE_MB", "0")
        .env("INKPOT_LOG", "warn");
    command
}

/// Uses the servers while `fault` happens, and looks that all is kept.
fn storm(servers: &[Process], cluster: &Cluster, fault: impl FnOnce(&Seen)) {
    let token = register(&servers[0], "ann");
    for server in servers {
        until(|| (call(server, "GET", "/user/me", &token, &Value::Null).0 == 200).then_some(()));
    }
    let seen = Seen::default();
    thread::scope(|scope| {
        for worker in 0..6 {
            let (server, token, seen) = (&servers[worker % servers.len()], &token, &seen);
            scope.spawn(move || use_server(server, worker, token, seen));
        }
        seen.go_on(60);
        fault(&seen);
        seen.go_on(60);
        seen.is_over.store(true, Ordering::SeqCst);
    });
    seen.is_kept(servers, cluster, &token);
}

/// Two servers behind haproxy, which has them write at one node: that one is killed, so another one
/// is written at, and comes back.
#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_writer_that_dies_loses_nothing_and_another_one_takes_over() {
    let _alone = alone();
    let Some(redis) = Redis::start() else { return };
    let cluster = Cluster::create();
    connect(&cluster.urls[0])
        .unwrap()
        .batch_execute(
            "CREATE USER IF NOT EXISTS haproxy@'%' IDENTIFIED VIA mysql_native_password USING ''",
        )
        .unwrap();
    let nodes: Vec<String> = (cluster.urls.iter())
        .map(|url| {
            let (_, rest) = url.split_once('@').unwrap();
            rest.split_once('/').unwrap().0.to_owned()
        })
        .collect();
    let haproxy = Haproxy::before(&nodes);
    let through = cluster.urls[0].replace(&nodes[0], &haproxy.address);
    until(|| connect(&through).map(drop));
    let start = || {
        let mut command = quiet(&cluster, 0, Some(&redis.url()));
        Process::start(command.env("DATABASE_URL", &through))
    };
    let servers = [start(), start()];
    let writer = Node::new(0);
    storm(&servers, &cluster, |seen| {
        writer.kill();
        seen.go_on(60);
        writer.restart(&cluster);
    });
}

/// A server at each node, all of which write: one node is killed and comes back.
#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_node_of_several_writers_that_dies_loses_nothing() {
    let _alone = alone();
    let cluster = Cluster::create();
    // The first one makes the tables.
    let start = |node| Process::start(&mut quiet(&cluster, node, None));
    let first = start(0);
    let servers = [first, start(1), start(2)];
    let node = Node::new(2);
    storm(&servers, &cluster, |seen| {
        node.kill();
        seen.go_on(40);
        node.restart(&cluster);
    });
}

/// `SKIP LOCKED` sees one node only: what two workers take at two nodes at once, one of them gives up
/// at its `COMMIT`.
#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn workers_at_several_nodes_do_no_job_twice() {
    let _shared = super::among_others();
    let cluster = Cluster::create();
    let server = Process::start(cluster.command(0, None).args(["serve", "--no-jobs"]));
    let code = json!({ "channel": "email" });
    for n in 0..40 {
        let token = register(&server, &format!("user{n}"));
        let (status, answer) = call(&server, "POST", "/user/me/verify/send", &token, &code);
        assert_eq!(status, 202, "{answer}");
    }
    let directories: Vec<tempfile::TempDir> =
        (0..6).map(|_| tempfile::tempdir().unwrap()).collect();
    let workers: Vec<Process> = thread::scope(|scope| {
        let start = |(n, directory): (usize, &tempfile::TempDir)| {
            let mut command = inkpot(directory.path());
            command
                .env("DATABASE_URL", &cluster.urls[n % 3])
                .env("INKPOT_JWT_SECRET", crate::harness::SECRET);
            scope.spawn(move || Process::start_worker(&mut command))
        };
        let started: Vec<_> = directories.iter().enumerate().map(start).collect();
        started.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mails = || -> usize {
        let outboxes = directories.iter().map(|one| one.path().join("data/outbox"));
        outboxes
            .filter_map(|one| Some(std::fs::read_dir(one).ok()?.count()))
            .sum()
    };
    until(|| (mails() >= 40).then_some(()));
    let Conn::Mysql(mut conn) = connect(&cluster.urls[0]).unwrap() else {
        unreachable!("a node is no file")
    };
    let mut count = |state: &str| -> i64 {
        let sql =
            format!("SELECT COUNT(*) AS number FROM job WHERE kind = 'mail_code' AND {state}");
        diesel::sql_query(sql)
            .get_result::<Count>(&mut conn)
            .unwrap()
            .number
    };
    until(|| (count("state = 'done'") == 40).then_some(()));
    assert_eq!(count("attempts > 1"), 0);
    assert_eq!(mails(), 40);
    drop(workers);
}
