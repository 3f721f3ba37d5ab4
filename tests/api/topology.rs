//! What `deploy/compose.mysql.yaml` starts, on this machine without containers: two servers, a
//! worker, the database, Redis, and nginx with `deploy/nginx.conf` in front.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::browser::browse;
use crate::harness::nginx::{Nginx, free_address};
use crate::harness::process::{Process, inkpot};
use crate::harness::redis::Redis;
use crate::harness::socket::Socket;
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Clients of the load.
const CLIENTS: usize = 4;
/// Answers that each step of a restart takes place among.
const BETWEEN: usize = 40;

struct Topology {
    // In this order they end.
    nginx: Nginx,
    servers: Vec<Process>,
    worker: Process,
    addresses: Vec<String>,
    redis: Redis,
    database: TestDatabase,
}

/// A part's directory: servers of several machines have nothing in common.
fn directory(database: &TestDatabase, part: &str) -> PathBuf {
    let path = database.directory.path().join(part);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn command(database: &TestDatabase, redis: &Redis, part: &str) -> std::process::Command {
    let mut command = inkpot(&directory(database, part));
    command
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("INKPOT_JWT_SECRET", SECRET)
        .env("INKPOT_TRUSTED_PROXIES", "127.0.0.1")
        .env("INKPOT_PROXY_HEADER", "x-forwarded-for");
    command
}

impl Topology {
    /// `None` where a part is missing, which was said loudly.
    fn start() -> Option<Self> {
        let database = TestDatabase::create(Backend::Mysql)?;
        let redis = Redis::start()?;
        let addresses = vec![free_address(), free_address()];
        let nginx = Nginx::before(&[&addresses[0], &addresses[1]])?;
        let worker = Process::start_worker(&mut command(&database, &redis, "worker"));
        let mut topology = Self {
            nginx,
            servers: Vec::new(),
            worker,
            addresses,
            redis,
            database,
        };
        for number in 0..2 {
            let server = topology.start_server(number);
            topology.servers.push(server);
        }
        Some(topology)
    }

    fn start_server(&self, number: usize) -> Process {
        let part = format!("server-{number}");
        let server = Process::start(
            command(&self.database, &self.redis, &part)
                .args(["serve", "--no-jobs"])
                .env("INKPOT_LISTEN", &self.addresses[number])
                .env("INKPOT_PUBLIC_URL", self.nginx.url()),
        );
        assert_eq!(server.call("GET", "/readyz", "", "").0, 200);
        server
    }

    fn client(&self) -> Client {
        let authority = Certificate::from_pem(&self.nginx.authority()).unwrap();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[authority]))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build()
            .into();
        Client {
            agent,
            url: self.nginx.url(),
            token: None,
        }
    }
}

struct Client {
    agent: Agent,
    url: String,
    token: Option<String>,
}

struct Answer {
    status: u16,
    head: Response<()>,
    body: String,
}

impl Answer {
    #[track_caller]
    fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:?} {}", self.head, self.body);
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        let value = self.head.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    /// The answer; a connection that fails is a failure of the test.
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let sent = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).unwrap())
            }
            None => self.agent.run(request.body(()).unwrap()),
        };
        let answer = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let (parts, mut body) = answer.into_parts();
        let body = body.read_to_string().unwrap();
        Answer {
            status: parts.status.as_u16(),
            head: Response::from_parts(parts, ()),
            body,
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body))
    }

    fn register(&mut self, name: &str) {
        let email = format!("{name}@example.org");
        let body = json!({ "email": email, "name": name, "password": PASSWORD });
        let answer = self.post("/user/reg", &body).expect(201);
        self.token = Some(answer["token"].as_str().unwrap().to_owned());
    }

    fn publish(&self, title: &str) -> i64 {
        let post = json!({ "title": title, "content": "text", "tags": ["all"] });
        let answer = self.post("/post", &post).expect(201);
        answer["post"]["post_id"].as_i64().unwrap()
    }

    /// Reads until an answer is as wanted.
    fn until(&self, path: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.get(path);
            if is_so(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{path}: {}", answer.body);
        }
    }
}

/// The tour of the README, through everything.
async fn tour(topology: &Topology) {
    let mut ann = topology.client();
    ann.register("ann");
    let login = json!({ "account": "ann@example.org", "password": PASSWORD });
    let answer = ann.post("/user/login", &login).expect(200);
    ann.token = Some(answer["token"].as_str().unwrap().to_owned());
    assert_eq!(ann.get("/user/me").expect(200)["userinfo"]["name"], "ann");
    let id = ann.publish("The first");
    let path = format!("/post/{id}");
    // Nothing is kept for who is logged in.
    for _ in 0..4 {
        let post = ann.get(&path);
        assert_eq!(post.expect(200)["post"]["post_title"], "The first");
        assert_eq!(post.header("x-cache"), "BYPASS");
    }
    let stranger = topology.client();
    let listed = |answer: &Answer| answer.expect(200)["pagination"]["count"] == 1;
    stranger.until("/post/", listed);

    // What nginx keeps is the servers' answer, and it is asked for anew by its ETag.
    let kept = stranger.until(&path, |answer| answer.header("x-cache") == "HIT");
    assert_eq!(kept.expect(200)["post"]["post_title"], "The first");
    assert!(!kept.header("etag").is_empty());
    let again = stranger.until(&path, |answer| answer.header("x-cache") == "REVALIDATED");
    assert_eq!(again.header("etag"), kept.header("etag"));
    let change = json!({ "title": "Changed" });
    ann.send("PATCH", &path, Some(&change)).expect(200);
    // The other server hears of it in a moment.
    for reader in [&ann, &stranger] {
        reader.until(&path, |answer| {
            answer.expect(200)["post"]["post_title"] == "Changed"
        });
    }
    // Neither what a person sees, nor refusals, nor what is not to be kept.
    for path in ["/user/me", "/post/999", "/readyz", "/livez"] {
        for _ in 0..3 {
            let answer = stranger.get(path);
            assert_ne!(answer.header("x-cache"), "HIT", "{path}");
            assert_ne!(answer.body, "", "{path}");
        }
    }

    // Both servers know who asks by what nginx says, whatever the client says of itself.
    let sessions = ann.get("/user/me/sessions").expect(200);
    assert_eq!(sessions["sessions"][0]["ip"], "127.0.0.1", "{sessions}");
    // Without TLS everybody is sent to where it is.
    let plain = Client {
        url: format!("http://{}", topology.nginx.plain_address),
        ..topology.client()
    };
    let moved = plain.get("/post/1");
    assert_eq!(moved.status, 308);
    assert!(moved.header("location").starts_with("https://127.0.0.1"));
    assert!(
        !ann.get("/livez")
            .header("strict-transport-security")
            .is_empty()
    );

    // A socket sees who joins by the other server too.
    let authority = topology.nginx.authority();
    let token = ann.token.clone().unwrap();
    let mut socket = Socket::secure(&topology.nginx.address, &authority, &token).await;
    let mut bob = topology.client();
    bob.register("bob");
    let bobs = bob.token.clone().unwrap();
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(Socket::secure(&topology.nginx.address, &authority, &bobs).await);
    }
    socket.until_online(&[1, 2]).await;
    ann.post("/user/logout", &json!({})).expect(204);
    assert_eq!(socket.close_code().await, Some(4401));
    // The other server hears of it by the bus, perhaps a moment later than the one with the socket.
    let begun = Instant::now();
    while ann.get("/user/me").status != 401 {
        assert!(
            begun.elapsed() < PATIENCE,
            "the other server does not hear of it"
        );
    }
}

/// What the load has counted.
#[derive(Default)]
struct Load {
    answers: AtomicUsize,
    published: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Publishes and reads; whatever is not as it is without a restart is a failure.
    fn run(&self, client: &Client, stranger: &Client, name: usize) {
        for n in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let title = format!("{name}-{n}");
            let id = client.publish(&title);
            self.published.fetch_add(1, Ordering::SeqCst);
            let path = format!("/post/{id}");
            assert_eq!(client.get(&path).expect(200)["post"]["post_title"], *title);
            stranger.get("/post/?size=3").expect(200);
            let change = json!({ "content": "changed" });
            client.send("PATCH", &path, Some(&change)).expect(200);
            client.get("/user/me").expect(200);
            self.answers.fetch_add(5, Ordering::SeqCst);
        }
    }

    /// Returns when so many more answers have come; fails where none come.
    fn go_on(&self) {
        let (begun, before) = (Instant::now(), self.answers.load(Ordering::SeqCst));
        while self.answers.load(Ordering::SeqCst) < before + BETWEEN {
            let is_over = self.is_over.load(Ordering::SeqCst);
            assert!(
                !is_over && begun.elapsed() < PATIENCE,
                "the load stands still"
            );
            std::thread::yield_now();
        }
    }
}

/// Ends the load also where a test fails.
struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

fn rolling_restart(topology: &mut Topology) {
    let mut client = topology.client();
    client.register("cleo");
    let load = Load::default();
    std::thread::scope(|scope| {
        let over = Over(&load);
        for name in 0..CLIENTS {
            let own = Client {
                token: client.token.clone(),
                ..topology.client()
            };
            let (stranger, load) = (topology.client(), &load);
            scope.spawn(move || {
                let _over = Over(load);
                load.run(&own, &stranger, name);
            });
        }
        for _ in 0..2 {
            for number in 0..2 {
                load.go_on();
                topology.servers[number].signal("TERM");
                let (code, log) = topology.servers.remove(number).wait();
                assert_eq!(code, Some(0), "{log}");
                assert!(!log.contains("ERROR"), "{log}");
                load.go_on();
                let server = topology.start_server(number);
                topology.servers.insert(number, server);
            }
        }
        load.go_on();
        drop(over);
    });
    let count = |answer: &Answer| {
        let list: Value = serde_json::from_str(&answer.body).unwrap();
        list["pagination"]["count"].as_u64().unwrap()
    };
    // Each was published once.
    let list = client.get("/post/?author=3&tag=all");
    let published = load.published.load(Ordering::SeqCst);
    assert_eq!(count(&list), u64::try_from(published).unwrap());
    assert_eq!(topology.nginx.log().matches("[crit]").count(), 0);
}

#[actix_web::test]
async fn the_tour_and_a_rolling_restart_work_behind_nginx() {
    let Some(mut topology) = Topology::start() else {
        return;
    };
    tour(&topology).await;
    rolling_restart(&mut topology);
    // The worker has done what there was to do.
    topology.worker.signal("TERM");
    for server in topology.servers.drain(..) {
        server.signal("TERM");
        assert_eq!(server.wait().0, Some(0));
    }
    // Nobody answers, and who asks is told so as always.
    let answer = topology.client().get("/post/?page=7");
    let problem = answer.expect(503);
    assert_eq!(problem["code"], "unavailable");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("retry-after"), "1");
}

#[test]
fn people_do_it_at_two_servers_as_well() {
    let (Some(database), Some(redis)) = (TestDatabase::create(Backend::Mysql), Redis::start())
    else {
        return;
    };
    let start = || {
        Process::start(
            inkpot(database.directory.path())
                .env("DATABASE_URL", database.url())
                .env("INKPOT_JWT_SECRET", SECRET)
                .env("REDIS_URL", redis.url()),
        )
    };
    let (one, two) = (start(), start());
    let url = database.url();
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("INKPOT_JWT_SECRET", SECRET),
    ];
    browse(
        "journeys.mjs",
        &[&one, &two],
        database.directory.path(),
        &environment,
    );
}
