//! Servers on a Galera cluster of three nodes that takes writes at every node, each at a node of its
//! own, or all at one behind haproxy. `make test-cluster` starts the cluster; without one these tests
//! are not run.

mod storm;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use inkpot::core::db::{DatabaseUrl, connection};
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::redis::Redis;
use crate::harness::{PASSWORD, SECRET};
use crate::process::register;
use crate::replica::metric;

const JSON: &str = "content-type: application/json\r\n";

/// Held by who needs all nodes, and alone by who kills one.
static NODES: RwLock<()> = RwLock::new(());

/// The cluster for this test and others.
fn among_others() -> RwLockReadGuard<'static, ()> {
    NODES.read().unwrap_or_else(PoisonError::into_inner)
}

/// The cluster for this test alone.
fn alone() -> RwLockWriteGuard<'static, ()> {
    NODES.write().unwrap_or_else(PoisonError::into_inner)
}

/// A database of its own in the cluster.
struct Cluster {
    /// Of the database, by way of each node.
    urls: Vec<String>,
    directory: tempfile::TempDir,
}

impl Cluster {
    fn create() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let nodes = std::env::var("INKPOT_TEST_CLUSTER_URLS")
            .expect("make test-cluster says where the cluster is");
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("inkpot_c{}_{number}", std::process::id());
        let nodes: Vec<&str> = nodes.split(',').collect();
        let first = format!("{}information_schema", nodes[0]);
        let mut conn = connection::open(&DatabaseUrl::parse(&first).unwrap()).unwrap();
        let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
        conn.batch_execute(&create).unwrap();
        Self {
            urls: nodes.iter().map(|node| format!("{node}{name}")).collect(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, node: usize, redis: Option<&str>) -> std::process::Command {
        let mut command = inkpot(self.directory.path());
        command
            .env("DATABASE_URL", &self.urls[node])
            .env("INKPOT_METRICS_LISTEN", "127.0.0.1:0")
            .env("INKPOT_JWT_SECRET", SECRET);
        if let Some(redis) = redis {
            command.env("REDIS_URL", redis);
        }
        command
    }

    /// A server at each of two nodes, started at once.
    fn start(&self, redis: Option<&str>) -> [Process; 2] {
        thread::scope(|scope| {
            let start = |node| scope.spawn(move || Process::start(&mut self.command(node, redis)));
            let (one, other) = (start(0), start(1));
            [one.join().unwrap(), other.join().unwrap()]
        })
    }
}

fn call(server: &Process, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let headers = format!("{JSON}authorization: Bearer {token}\r\n");
    let (status, body) = server.call(method, path, &headers, &body.to_string());
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// How long anything may take until it is so.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was just committed at another node may still be on its way here.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come so");
        thread::yield_now();
    }
}

fn publish(server: &Process, token: &str, title: &str) -> i64 {
    let post = json!({ "title": title, "content": "text", "tags": ["a", "b"] });
    let (status, answer) = call(server, "POST", "/post", token, &post);
    assert_eq!(status, 201, "{answer}");
    answer["post_id"].as_i64().unwrap()
}

/// Tags that are changed at two nodes at once: each post stays whole, and the lists agree.
#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn tags_that_change_at_two_nodes_at_once_stay_whole() {
    let _shared = among_others();
    let cluster = Cluster::create();
    let servers = cluster.start(None);
    let token = register(&servers[0], "ann");
    until(|| (call(&servers[1], "GET", "/user/me", &token, &Value::Null).0 == 200).then_some(()));
    let posts: Vec<i64> = (0..5)
        .map(|_| publish(&servers[0], &token, "title"))
        .collect();
    thread::scope(|scope| {
        for (worker, server) in servers.iter().cycle().take(6).enumerate() {
            let (posts, token) = (&posts, &token);
            scope.spawn(move || {
                for round in 0..40 {
                    let post = posts[(round + worker) % posts.len()];
                    let tags = json!({ "tags": [format!("t{}", round % 3), format!("w{worker}")] });
                    let path = format!("/post/{post}");
                    let (status, answer) = call(server, "PATCH", &path, token, &tags);
                    assert!([200, 503].contains(&status), "{status} {answer}");
                }
            });
        }
    });
    for server in &servers {
        for post in &posts {
            let (status, answer) = call(
                server,
                "GET",
                &format!("/post/{post}"),
                &token,
                &Value::Null,
            );
            assert_eq!(status, 200, "{answer}");
        }
        for tag in ["t0", "t1", "t2", "w0", "w5", "a"] {
            let path = format!("/post/?tag={tag}");
            let (status, answer) = call(server, "GET", &path, &token, &Value::Null);
            assert_eq!(status, 200, "{answer}");
        }
    }
    let checked = output(cluster.command(0, None).arg("check"));
    assert!(checked.status.success(), "{checked:?}");
    // The cluster has refused some, which were done again.
    let conflicts = "inkpot_database_retries_total{reason=\"conflict\"}";
    let retried: f64 = servers.iter().map(|server| metric(server, conflicts)).sum();
    assert!(retried >= 1.0, "{retried}");
}

/// The bus is faster than replication: what is read too early must not be kept.
#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_post_that_is_deleted_at_one_node_does_not_stay_at_the_other() {
    let _shared = among_others();
    let Some(redis) = Redis::start() else { return };
    let cluster = Cluster::create();
    let servers = cluster.start(Some(&redis.url()));
    let token = register(&servers[0], "ann");
    until(|| (call(&servers[1], "GET", "/user/me", &token, &Value::Null).0 == 200).then_some(()));
    for round in 0..40 {
        let id = publish(&servers[0], &token, &format!("post {round}"));
        let path = format!("/post/{id}");
        let get = |server: &Process| call(server, "GET", &path, &token, &Value::Null).0;
        until(|| (get(&servers[1]) == 200).then_some(()));
        thread::scope(|scope| {
            // Somebody asks all the time.
            let reader = scope.spawn(|| until(|| (get(&servers[1]) != 200).then_some(())));
            let (status, answer) = call(&servers[0], "DELETE", &path, &token, &Value::Null);
            assert_eq!(status, 204, "{answer}");
            reader.join().unwrap();
        });
        assert_eq!(get(&servers[1]), 404);
        let listed = call(&servers[1], "GET", "/post/", &token, &Value::Null).1;
        assert_eq!(listed["pagination"]["count"], 0, "{round}");
    }
}

/// Row locks end at the node; the row that both change does not.
#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn two_admins_who_demote_each_other_at_two_nodes_leave_one() {
    let _shared = among_others();
    let cluster = Cluster::create();
    let servers = cluster.start(None);
    let run = |arguments: &[&str]| output(cluster.command(0, None).args(arguments));
    // The admin whom the round before has left.
    let mut last: Option<String> = None;
    for round in 0..12 {
        let names = [format!("ann{round}"), format!("ben{round}")];
        let people: Vec<(String, i64)> = names
            .iter()
            .map(|name| {
                let token = register(&servers[0], name);
                let email = format!("{name}@example.org");
                let promoted = run(&["user", "promote", &email]);
                assert!(promoted.status.success(), "{promoted:?}");
                let own = call(&servers[0], "GET", "/user/me", &token, &Value::Null).1;
                (token, own["userinfo"]["user_id"].as_i64().unwrap())
            })
            .collect();
        // The only two from now on.
        if let Some(email) = last.take() {
            let gone = run(&["user", "deactivate", &email]);
            assert!(gone.status.success(), "{gone:?}");
        }
        let demote = |n: usize| {
            let (token, _) = &people[n];
            let path = format!("/user/{}", people[1 - n].1);
            let is_admin = || call(&servers[n], "GET", "/audit/", token, &Value::Null).0 == 200;
            until(|| is_admin().then_some(()));
            call(
                &servers[n],
                "PATCH",
                &path,
                token,
                &json!({ "role": "user" }),
            )
            .0
        };
        let statuses = thread::scope(|scope| {
            let (one, other) = (scope.spawn(|| demote(0)), scope.spawn(|| demote(1)));
            [one.join().unwrap(), other.join().unwrap()]
        });
        let left: Vec<usize> = (0..2)
            .filter(|n| call(&servers[0], "GET", "/audit/", &people[*n].0, &Value::Null).0 == 200)
            .collect();
        assert!(!left.is_empty(), "{round}: {statuses:?} left none");
        let emails: Vec<String> = (left.iter())
            .map(|n| format!("{}@example.org", names[*n]))
            .collect();
        for email in &emails[1..] {
            let gone = run(&["user", "deactivate", email]);
            assert!(gone.status.success(), "{gone:?}");
        }
        last = emails.into_iter().next();
    }
}

/// Somebody who logs in at one node is known at the other at once.
#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_login_at_one_node_is_known_at_the_other() {
    let _shared = among_others();
    let cluster = Cluster::create();
    let servers = cluster.start(None);
    register(&servers[0], "ann");
    let login = json!({ "account": "ann@example.org", "password": PASSWORD });
    for _ in 0..40 {
        let (status, answer) = call(&servers[0], "POST", "/user/login", "", &login);
        assert_eq!(status, 200, "{answer}");
        let token = answer["token"].as_str().unwrap();
        let (status, answer) = call(&servers[1], "GET", "/user/me", token, &Value::Null);
        assert_eq!(status, 200, "{answer}");
    }
}
