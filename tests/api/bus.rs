//! Two processes on one database and one Redis, which goes away and comes back: what is
//! written in one is soon new in the other, whatever becomes of Redis.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot};
use crate::harness::proxy::Cut;
use crate::harness::redis::Redis;
use crate::harness::socket::Socket;
use crate::harness::{Backend, SECRET, TestApp, TestDatabase};
use crate::outage::{by_proxy, unavailable};
use crate::process::register;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A second by the contract, and what a busy machine needs.
const SOON: Duration = Duration::from_secs(5);

/// A Redis and a database that processes share.
struct Shared {
    redis: Redis,
    database: TestDatabase,
}

impl Shared {
    fn new() -> Option<Self> {
        Some(Self {
            redis: Redis::start()?,
            database: TestDatabase::create(Backend::Mysql)?,
        })
    }

    /// Starts another process.
    fn process(&self) -> Process {
        let mut command = inkpot(self.database.directory.path());
        command
            .env("DATABASE_URL", self.database.url())
            .env("REDIS_URL", self.redis.url())
            .env("INKPOT_JWT_SECRET", SECRET)
            .env("INKPOT_WORKERS", "1")
            .env("INKPOT_DB_POOL", "4");
        Process::start(&mut command)
    }

    /// Two processes that hear each other.
    fn two(&self) -> [Process; 2] {
        let two = [self.process(), self.process()];
        for process in &two {
            until_ready(process, "ok");
        }
        two
    }
}

/// Asks until the answer is as wanted; how long that took.
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never {what}");
        std::thread::yield_now();
    }
    begun.elapsed()
}

/// Waits until a process says that it hears others, or does not: it is ready always.
fn until_ready(process: &Process, wanted: &str) {
    until(wanted, || {
        let (status, answer) = process.call("GET", "/readyz", "", "");
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let redis = if wanted == "ok" { "ok" } else { "away" };
        assert_eq!(answer["redis"] == redis, answer["status"] == wanted);
        answer["status"] == wanted
    });
}

fn headers(token: &str) -> String {
    format!("Content-Type: application/json\r\nJWT: {token}\r\n")
}

fn send(process: &Process, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let (status, answer) = process.call(method, path, &headers(token), &body.to_string());
    assert!((200..300).contains(&status), "{method} {path}: {answer}");
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

fn get(process: &Process, path: &str) -> String {
    process.call("GET", path, "", "").1
}

/// Waits until a process shows something at a path; from then on it always does.
fn until_shown(process: &Process, path: &str, text: &str, is_shown: bool) -> Duration {
    let taken = until(text, || get(process, path).contains(text) == is_shown);
    for _ in 0..20 {
        let is_now = get(process, path).contains(text);
        assert_eq!(is_now, is_shown, "{path} went back about {text}");
    }
    taken
}

#[test]
fn what_is_written_in_one_is_soon_new_in_the_other() {
    let Some(shared) = Shared::new() else { return };
    let two = shared.two();
    let token = register(&two[0], "ann");
    for (n, [here, there]) in [[&two[0], &two[1]], [&two[1], &two[0]]]
        .into_iter()
        .enumerate()
    {
        let title = format!("title {n}");
        get(there, "/post/");
        let post = json!({ "title": title, "content": "x" });
        let id = send(here, "POST", "/post", &token, &post)["post_id"].clone();
        let path = format!("/post/{id}");
        assert!(until_shown(there, "/post/", &title, true) < SOON);
        assert!(get(there, &path).contains(&title));
        let changed = format!("changed {n}");
        send(here, "PATCH", &path, &token, &json!({ "title": changed }));
        assert!(until_shown(there, &path, &changed, true) < SOON);
        assert!(until_shown(there, "/post/", &changed, true) < SOON);
        send(here, "DELETE", &path, &token, &json!({}));
        assert!(until_shown(there, &path, &changed, false) < SOON);
        assert!(until_shown(there, "/post/", &changed, false) < SOON);
    }
}

#[actix_web::test]
async fn sessions_that_end_in_one_close_the_sockets_of_the_other() {
    let Some(shared) = Shared::new() else { return };
    let two = shared.two();
    let (ann, ben) = (register(&two[0], "ann"), register(&two[0], "ben"));
    let mut anns = Socket::open(&two[1].address, &ann).await;
    let mut bens = Socket::open(&two[0].address, &ben).await;
    for socket in [&mut anns, &mut bens] {
        socket.until_online(&[1, 2]).await;
    }
    send(
        &two[0],
        "PATCH",
        "/user/me",
        &ann,
        &json!({ "name": "Ann II" }),
    );
    bens.until("renamed", |socket| socket.view[&1].0 == "Ann II")
        .await;
    let begun = Instant::now();
    send(&two[0], "POST", "/user/logout", &ann, &json!({}));
    assert_eq!(anns.close_code().await, Some(4401));
    bens.until_online(&[2]).await;
    assert!(begun.elapsed() < SOON);
    // A process that stops takes its users with it, and they do not come back.
    let cid = register(&two[1], "cid");
    let mut cids = Socket::open(&two[1].address, &cid).await;
    bens.until_online(&[2, 3]).await;
    two[1].signal("TERM");
    assert_eq!(cids.close_code().await, Some(1001));
    bens.until_online(&[2]).await;
    let [_first, second] = two;
    assert_eq!(second.wait().0, Some(0));
    assert!(bens.view.keys().eq(&[2]));
}

/// What happens to a Redis, and the reverse.
type Gap = (&'static str, fn(&Redis), fn(&Redis));

#[actix_web::test]
async fn nothing_is_stale_after_redis_was_away() {
    let gaps: [Gap; 2] = [
        ("killed", Redis::stop, Redis::restart),
        ("paused", Redis::pause, Redis::resume),
    ];
    let Some(shared) = Shared::new() else { return };
    // Away from the start: the servers work on.
    shared.redis.stop();
    let two = [shared.process(), shared.process()];
    for process in &two {
        until_ready(process, "degraded");
    }
    let (ann, ben) = (register(&two[0], "ann"), register(&two[1], "ben"));
    let post = json!({ "title": "first", "content": "x" });
    send(&two[0], "POST", "/post", &ann, &post);
    let mut anns = Socket::open(&two[0].address, &ann).await;
    let mut bens = Socket::open(&two[1].address, &ben).await;
    assert!(
        anns.is_partial && anns.view.keys().eq(&[1]),
        "{:?}",
        anns.view
    );
    assert!(
        bens.is_partial && bens.view.keys().eq(&[2]),
        "{:?}",
        bens.view
    );
    shared.redis.restart();
    let whole = |socket: &Socket| !socket.is_partial && socket.view.keys().eq(&[1, 2]);
    for socket in [&mut anns, &mut bens] {
        socket.until("whole again", whole).await;
    }
    for (how, begin, end) in gaps {
        until_shown(&two[1], "/post/1", "title", true);
        begin(&shared.redis);
        for (process, socket) in two.iter().zip([&mut anns, &mut bens]) {
            until_ready(process, "degraded");
            let alone = |socket: &Socket| socket.is_partial && socket.view.len() == 1;
            socket.until("alone", alone).await;
        }
        let list = get_with(&two[0], "/user/online", &ann);
        assert_eq!(
            (&list["partial"], &list["total"]),
            (&json!(true), &json!(1))
        );
        send(&two[0], "PATCH", "/post/1", &ann, &json!({ "title": how }));
        assert!(until_shown(&two[1], "/post/1", how, true) < SOON);
        // The name of who has a socket in the other process.
        let name = format!("Ben {how}");
        send(&two[0], "PATCH", "/user/me", &ben, &json!({ "name": name }));
        let last = format!("last {how}");
        send(&two[0], "PATCH", "/post/1", &ann, &json!({ "title": last }));
        end(&shared.redis);
        for (process, socket) in two.iter().zip([&mut anns, &mut bens]) {
            until_ready(process, "ok");
            socket.until("whole again", whole).await;
            socket
                .until("told the new name", |socket| socket.view[&2].0 == name)
                .await;
            until_shown(process, "/post/1", &last, true);
        }
        let list = get_with(&two[1], "/user/online", &ann);
        assert_eq!(
            (&list["partial"], &list["total"]),
            (&Value::Null, &json!(2))
        );
    }
    drop((anns, bens));
    for process in two {
        process.signal("TERM");
        let (code, log) = process.wait();
        assert_eq!(code, Some(0), "{log}");
        let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        let (away, back) = (lines("is away"), lines("is back"));
        // Once each time, and a machine that is very busy may be deaf once more.
        assert!((3..=5).contains(&away) && away == back, "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}

/// Connections are made, and nothing can be said on them.
#[test]
fn a_redis_that_carries_nothing_is_away_and_stays_so() {
    let Some(redis) = Redis::start() else { return };
    let mut connection = redis.connection();
    let mut order = redis::cmd("ACL");
    order.arg("SETUSER").arg("mute").arg("on").arg(">hunter22");
    order.arg("~*").arg("&*").arg("+@all").arg("-publish");
    order.exec(&mut connection).unwrap();
    let mut connections = || {
        let stats: String = redis::cmd("INFO")
            .arg("stats")
            .query(&mut connection)
            .unwrap();
        let mut lines = stats.lines();
        let line = lines.find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let mut command = inkpot(dir.path());
    let url = redis.url().replace("://", "://mute:hunter22@");
    let server = Process::start(command.env("REDIS_URL", url));
    let before = connections();
    until("tried again", || connections() > before + 6);
    let (status, ready) = server.call("GET", "/readyz", "", "");
    assert!(status == 200 && ready.contains("degraded"), "{ready}");
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!((lines("is away"), lines("is back")), (1, 0), "{log}");
    assert!(!log.contains("hunter22"), "{log}");
}

/// A worker shows nobody who is online, so nobody waits for its list.
#[test]
fn a_list_is_whole_beside_a_worker() {
    let Some(redis) = Redis::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let with_redis = || {
        let mut command = inkpot(dir.path());
        command.env("REDIS_URL", redis.url());
        command
    };
    let server = Process::start(&mut with_redis());
    let ann = register(&server, "ann");
    let worker = Process::start_worker(&mut with_redis());
    // The channel of all, and one of each.
    let mut connection = redis.connection();
    until("both on the bus", || {
        let mut order = redis::cmd("PUBSUB");
        order.arg("CHANNELS").arg("inkpot:*");
        order.query::<Vec<String>>(&mut connection).unwrap().len() == 3
    });
    let whole = |process: &Process| get_with(process, "/user/online", &ann)["partial"].is_null();
    until("whole", || whole(&server));
    let other = Process::start(&mut with_redis());
    until("whole in a server that came later", || whole(&other));
    drop(worker);
}

/// What a process writes and reads, as programs of all versions do: two may share a Redis
/// while an installation is renewed.
#[test]
fn the_wire_stays_as_it_is() {
    let Some(redis) = Redis::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(inkpot(dir.path()).env("REDIS_URL", redis.url()));
    until_ready(&server, "ok");
    let ann = register(&server, "ann");
    let (mut listening, mut speaking) = (redis.connection(), redis.connection());
    let mut channels = listening.as_pubsub();
    channels.psubscribe("inkpot:*").unwrap();
    channels.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hear = |said: &str| {
        loop {
            let message = channels.get_message().unwrap();
            let mut heard: Value = serde_json::from_slice(message.get_payload_bytes()).unwrap();
            let from = heard["from"].take();
            let is_said = heard["said"] == said || heard["event"] == said;
            if is_said && from != "other" {
                return (message.get_channel_name().to_owned(), from, heard);
            }
        }
    };
    let (all, process, heard) = hear("beat");
    assert_eq!(heard, json!({ "from": null, "said": "beat", "version": 0 }));
    let mut say = |channel: &str, said: Value| {
        let order = redis::cmd("PUBLISH")
            .arg(channel)
            .arg(said.to_string())
            .clone();
        order.exec(&mut speaking).unwrap();
    };
    // Who is online elsewhere.
    say(
        &all,
        json!({ "from": "other", "said": "beat", "version": 3 }),
    );
    let (others, _, heard) = hear("ask");
    assert_eq!(
        (others, &heard["said"]),
        (format!("{all}:other"), &json!("ask"))
    );
    let users = json!([{
        "user_id": 7, "name": "Ben", "since": "2026-11-21T09:30:00.123456Z", "sockets": 2,
    }]);
    let own = format!("{all}:{}", process.as_str().unwrap());
    say(
        &own,
        json!({ "from": "other", "said": "list", "version": 3, "users": users }),
    );
    let online = || get_with(&server, "/user/online", &ann)["total"].clone();
    until("online elsewhere", || online() == 1);
    let delta = json!({ "came": [], "went": [7] });
    say(
        &all,
        json!({ "from": "other", "said": "presence", "version": 4, "delta": delta }),
    );
    until("offline elsewhere", || online() == 0);
    // Who is online here, for one and for all who ask.
    for (channel, of) in [(&own, process.clone()), (&all, Value::Null)] {
        say(channel, json!({ "from": "other", "said": "ask", "of": of }));
        let (channel, _, heard) = hear("list");
        assert_eq!(channel, format!("{all}:other"));
        let list = json!({ "from": null, "said": "list", "version": 0, "users": [] });
        assert_eq!(heard, list);
    }
    // An event of each side.
    let post = json!({ "title": "old", "content": "x", "tags": ["a"] });
    let answer = send(&server, "POST", "/post", &ann, &post);
    let date: DateTime<Utc> = answer["post"]["date"].as_str().unwrap().parse().unwrap();
    // Microseconds since the year 1.
    let position = date.timestamp_micros() + 62_135_596_800_000_000;
    let (channel, _, heard) = hear("post_changed");
    let states = json!([{
        "post_id": 1, "author_id": 1, "published": true, "tags": ["a"], "slug": "old", "position": position,
    }]);
    let event = json!({ "from": null, "said": "event", "event": "post_changed", "states": states });
    assert_eq!((channel, heard), (all.clone(), event));
    send(&server, "POST", "/user/logout", &ann, &json!({}));
    let (_, _, heard) = hear("session_ended");
    assert_eq!(heard["said"], "event");
    assert_eq!(
        (&heard["user_id"], &heard["session_id"]),
        (&json!(1), &json!(1))
    );
    say(
        &all,
        json!({ "from": "other", "said": "event", "event": "job_written" }),
    );
    say(&all, json!({ "from": "other", "said": "bye" }));
    server.signal("TERM");
    let (channel, _, heard) = hear("bye");
    assert_eq!(
        (channel, heard),
        (all, json!({ "from": null, "said": "bye" }))
    );
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
}

fn get_with(process: &Process, path: &str, token: &str) -> Value {
    let (status, answer) = process.call("GET", path, &headers(token), "");
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

/// A service with its transport under way.
async fn carried(app: TestApp) -> TestApp {
    let state = app.state.clone();
    // It asks the database, which an async task must not.
    let transport = std::thread::spawn(move || state.transport().unwrap().unwrap());
    actix_web::rt::spawn(transport.join().unwrap().run());
    until_up(&app, true).await;
    app
}

/// Waits until a service hears others, or does not.
async fn until_up(app: &TestApp, is_up: bool) {
    let waiting = async {
        while app.state.bus.is_connected() != is_up {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waiting).await;
    in_time.expect("Redis is noticed");
}

#[actix_web::test]
async fn while_others_are_heard_answers_are_kept_until_they_change() {
    let Some(shared) = Shared::new() else { return };
    let url = shared.redis.url();
    let flags = ["--redis-url", url.as_str()];
    let first = carried(TestApp::start(shared.database.shared(), &flags).await).await;
    let second = carried(first.second(&flags).await).await;
    let ann = first.user("ann").await;
    let id = ann.publish("old", "x").await;
    let path = format!("/post/{id}");
    let reader = second.anonymous();
    let queries = async |text: &str| {
        // Longer than answers live unheard, and all of it less than a process may be silent.
        second.clock.advance(chrono::Duration::milliseconds(1100));
        let before = second.state.db.units();
        let answer = reader.get(&path).await.expect(200);
        assert_eq!(answer["post"]["post_title"], text);
        second.state.db.units() - before
    };
    // An event that is still on its way may have it read once more.
    let is_kept = async |text: &str| {
        for _ in 0..4 {
            if queries(text).await == 0 {
                return true;
            }
        }
        false
    };
    assert!(is_kept("old").await, "kept for longer than a second");
    ann.patch(&path, json!({ "title": "new" }))
        .await
        .expect(200);
    let is_new = async || {
        let answer = reader.get(&path).await.expect(200);
        answer["post"]["post_title"] == "new"
    };
    let begun = Instant::now();
    while !is_new().await {
        assert!(begun.elapsed() < SOON, "an old answer");
        // The transports run on this thread, too.
        tokio::task::yield_now().await;
    }
    assert!(is_kept("new").await, "kept anew");
    // Without Redis nothing is kept for longer than a second.
    shared.redis.stop();
    until_up(&second, false).await;
    for _ in 0..3 {
        assert_eq!(queries("new").await, 1);
    }
    shared.redis.restart();
    until_up(&second, true).await;
    assert!(is_kept("new").await, "kept again");
}

/// What may have been written is told as what was.
#[actix_web::test]
async fn others_hear_of_a_commit_that_was_lost() {
    let Some(shared) = Shared::new() else { return };
    let redis = shared.redis.url();
    let (url, proxy) = by_proxy(&shared.database);
    let flags = ["--redis-url", &redis, "--database-url", url.as_str()];
    let first = carried(TestApp::start(shared.database.shared(), &flags).await).await;
    let second = carried(first.second(&["--redis-url", &redis]).await).await;
    let ann = first.user("ann").await;
    let id = ann.publish("old", "x").await;
    let other = ann.publish("other", "x").await;
    let reader = second.anonymous();
    let title = async |id: i64| {
        let answer = reader.get(&format!("/post/{id}")).await.expect(200);
        answer["post"]["post_title"].as_str().unwrap().to_owned()
    };
    // Until the events of the publications have arrived.
    let mut reads = 1;
    while reads > 0 {
        tokio::task::yield_now().await;
        let before = second.state.db.units();
        assert_eq!(
            (title(id).await, title(other).await),
            ("old".to_owned(), "other".to_owned())
        );
        reads = second.state.db.units() - before;
    }
    proxy.cut_at("\u{3}COMMIT", Cut::After);
    let change = json!({ "title": "new" });
    unavailable(&ann.patch(&format!("/post/{id}"), change).await);
    let begun = Instant::now();
    while title(id).await != "new" {
        assert!(begun.elapsed() < SOON, "an old answer");
        tokio::task::yield_now().await;
    }
    let before = second.state.db.units();
    assert_eq!(title(other).await, "other");
    assert_eq!(second.state.db.units(), before, "all was dropped");
}

#[actix_web::test]
async fn a_job_wakes_the_workers_of_other_processes() {
    let Some(shared) = Shared::new() else { return };
    let url = shared.redis.url();
    let flags = ["--redis-url", url.as_str()];
    let first = carried(TestApp::start(shared.database.shared(), &flags).await).await;
    let second = carried(first.second(&flags).await).await;
    let ann = first.user("ann").await;
    let order = json!({ "channel": "email" });
    ann.post("/user/me/verify/send", order).await.expect(202);
    let notified = tokio::time::timeout(PATIENCE, second.state.jobs.notifier.notified()).await;
    assert!(notified.is_ok());
    assert!(second.work().await >= 1);
}
