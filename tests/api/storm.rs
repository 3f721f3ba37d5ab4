//! A server that is used by many at once and told to stop, or killed: what it acknowledged is
//! there afterwards, and of one that was told to stop no request is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::socket::Socket;
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};
use crate::process::register;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many answers there are before the end.
const ANSWERS: usize = 150;

const JSON: &str = "Content-Type: application/json\r\n";

/// A client that keeps its connection for as long as the server does, or takes a new one
/// for each request.
struct Client<'a> {
    address: &'a str,
    keeps: bool,
    /// Whether the server may be killed in the middle of a request.
    is_tolerant: bool,
    stream: Option<BufReader<TcpStream>>,
}

impl<'a> Client<'a> {
    fn new(address: &'a str, keeps: bool, is_tolerant: bool) -> Self {
        Self {
            address,
            keeps,
            is_tolerant,
            stream: None,
        }
    }

    /// Status and body; `None` when nobody takes connections any more. A request that was
    /// sent and has no answer is a failure, unless the server may be killed.
    fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Option<(u16, String)> {
        if self.stream.is_none() {
            match TcpStream::connect(self.address) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    self.stream = Some(BufReader::new(stream));
                }
                Err(error) => {
                    let is_over = error.kind() == ErrorKind::ConnectionRefused;
                    assert!(is_over || self.is_tolerant, "no connection: {error}");
                    return None;
                }
            }
        }
        let connection = if self.keeps { "keep-alive" } else { "close" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        match self.exchange(&request) {
            Ok((status, is_last, body)) => {
                if is_last {
                    self.stream = None;
                }
                Some((status, body))
            }
            Err(error) => {
                assert!(self.is_tolerant, "{method} {path} was lost: {error}");
                None
            }
        }
    }

    /// Status, whether the server closes now, body.
    fn exchange(&mut self, request: &str) -> std::io::Result<(u16, bool, String)> {
        let stream = self.stream.as_mut().unwrap();
        stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut is_last, mut length) = (0, false, 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            if status == 0 {
                status = line[9..12].parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line == "connection: close" {
                is_last = true;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((status, is_last, String::from_utf8(body).unwrap()))
    }
}

/// What the clients know.
#[derive(Default)]
struct Ledger {
    answers: AtomicUsize,
    /// Titles of posts that were acknowledged, by id.
    published: Mutex<BTreeMap<i64, String>>,
    deleted: Mutex<BTreeSet<i64>>,
    /// Their deletion was sent, and no answer came.
    perhaps_deleted: Mutex<BTreeSet<i64>>,
    perhaps_published: AtomicUsize,
    tokens: Mutex<Vec<String>>,
}

impl Ledger {
    fn answered(&self) {
        self.answers.fetch_add(1, Ordering::SeqCst);
    }

    /// Publishes, and deletes every second post, until nobody answers.
    fn publish(&self, mut client: Client<'_>, token: &str, name: &str) {
        let headers = format!("{JSON}Authorization: Bearer {token}\r\n");
        for n in 0.. {
            let title = format!("{name} {n}");
            let body = json!({ "title": title, "content": title, "tags": ["storm", name] });
            let Some((status, answer)) = client.call("POST", "/post", &headers, &body.to_string())
            else {
                let perhaps = usize::from(client.is_tolerant);
                self.perhaps_published.fetch_add(perhaps, Ordering::SeqCst);
                return;
            };
            assert_eq!(status, 201, "{answer}");
            self.answered();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let id = answer["post"]["post_id"].as_i64().unwrap();
            self.published.lock().unwrap().insert(id, title);
            if n % 2 == 0 {
                continue;
            }
            match client.call("DELETE", &format!("/post/{id}"), &headers, "") {
                Some((status, answer)) => {
                    assert_eq!(status, 204, "{answer}");
                    self.answered();
                    self.deleted.lock().unwrap().insert(id);
                }
                // One that does not tolerate it was refused, and has sent nothing.
                None if client.is_tolerant => {
                    self.perhaps_deleted.lock().unwrap().insert(id);
                    return;
                }
                None => return,
            }
        }
    }

    /// Logs in, and asks for mails, until nobody answers.
    fn log_in(&self, mut client: Client<'_>) {
        let login = json!({ "account": "ann@example.org", "password": PASSWORD }).to_string();
        let forgot = json!({ "account": "ann@example.org" }).to_string();
        while let Some((status, answer)) = client.call("POST", "/user/login", JSON, &login) {
            assert_eq!(status, 200, "{answer}");
            self.answered();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let token = answer["token"].as_str().unwrap().to_owned();
            self.tokens.lock().unwrap().push(token);
            let asked = client.call("POST", "/user/password/forgot", JSON, &forgot);
            let Some((status, answer)) = asked else {
                return;
            };
            assert_eq!(status, 202, "{answer}");
            self.answered();
        }
    }

    /// Reads until nobody answers.
    fn read(&self, mut client: Client<'_>) {
        while let Some((status, answer)) = client.call("GET", "/post/?size=5", "", "") {
            assert_eq!(status, 200, "{answer}");
            self.answered();
        }
    }

    /// All of it at once, until nobody answers; `end` is done when there were answers enough.
    fn storm(&self, server: &Process, token: &str, is_tolerant: bool, end: impl FnOnce()) {
        let enough = self.answers.load(Ordering::SeqCst) + ANSWERS;
        std::thread::scope(|scope| {
            for keeps in [true, false] {
                let client = || Client::new(&server.address, keeps, is_tolerant);
                let name = if keeps { "kept" } else { "new" };
                let (one, two, three) = (client(), client(), client());
                scope.spawn(move || self.publish(one, token, name));
                scope.spawn(move || self.log_in(two));
                scope.spawn(move || self.read(three));
            }
            let begun = Instant::now();
            while self.answers.load(Ordering::SeqCst) < enough {
                assert!(begun.elapsed() < PATIENCE, "the storm stands still");
                std::thread::yield_now();
            }
            end();
        });
    }

    /// What was acknowledged is there, whole.
    fn is_kept(&self, server: &Process) {
        let published = self.published.lock().unwrap();
        let deleted = self.deleted.lock().unwrap();
        let perhaps_deleted = self.perhaps_deleted.lock().unwrap();
        let mut client = Client::new(&server.address, true, false);
        for (id, title) in published.iter() {
            let (status, answer) = client.call("GET", &format!("/post/{id}"), "", "").unwrap();
            if deleted.contains(id) {
                assert_eq!(status, 404, "{answer}");
            } else if !(status == 404 && perhaps_deleted.contains(id)) {
                assert_eq!(status, 200, "{title} is lost: {answer}");
                let post: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(post["post"]["post_title"], *title);
                assert_eq!(post["post"]["post_content"], *title);
            }
        }
        let (_, list) = client.call("GET", "/post/?tag=storm", "", "").unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        let count = usize::try_from(list["pagination"]["count"].as_u64().unwrap()).unwrap();
        let most = published.len() - deleted.len() + self.perhaps_published.load(Ordering::SeqCst);
        let least = published.len() - deleted.len() - perhaps_deleted.len();
        assert!(
            (least..=most).contains(&count),
            "{count}: {least} to {most}"
        );
        for token in self.tokens.lock().unwrap().iter() {
            let headers = format!("Authorization: Bearer {token}\r\n");
            let (status, answer) = client.call("GET", "/user/me", &headers, "").unwrap();
            assert_eq!(status, 200, "{answer}");
        }
    }
}

/// What a command prints.
fn said(database: &TestDatabase, arguments: &[&str]) -> String {
    let ended = output(
        inkpot(database.directory.path())
            .args(arguments)
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET),
    );
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{arguments:?}: {said}");
    said
}

fn counts_are_right(database: &TestDatabase) {
    let right = "the counts, the tags and the search are right\n";
    assert_eq!(said(database, &["check"]), right);
}

/// Opens sockets on a thread of their own, which ends when they were told that the server
/// stops.
fn sockets(address: &str, token: &str) -> std::thread::JoinHandle<()> {
    let (address, token) = (address.to_owned(), token.to_owned());
    let (opened, are_open) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let mut sockets = Vec::new();
            for _ in 0..2 {
                sockets.push(Socket::open(&address, &token).await);
            }
            opened.send(()).unwrap();
            for socket in &mut sockets {
                assert_eq!(socket.close_code().await, Some(1001));
            }
        });
    });
    are_open.recv().expect("open sockets");
    thread
}

fn stopped_in_a_storm(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let ledger = Ledger::default();
    let mut server = Process::on(&database);
    let token = register(&server, "ann");
    for _ in 0..2 {
        let sockets = sockets(&server.address, &token);
        ledger.storm(&server, &token, false, || server.signal("TERM"));
        sockets.join().unwrap();
        let (code, log) = server.wait();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
        // Each is done or waits: nobody has to wait for the end of a lease.
        let running = said(&database, &["jobs", "list", "--state", "running", "--json"]);
        let running: Value = serde_json::from_str(&running).unwrap();
        assert_eq!(running["jobs"], json!([]));
        server = Process::on(&database);
    }
    ledger.is_kept(&server);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    counts_are_right(&database);
}

#[test]
fn stopped_in_a_storm_on_sqlite() {
    stopped_in_a_storm(Backend::Sqlite);
}

#[test]
fn stopped_in_a_storm_on_mysql() {
    stopped_in_a_storm(Backend::Mysql);
}

fn killed_in_a_storm(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let ledger = Ledger::default();
    let mut server = Process::on(&database);
    let token = register(&server, "ann");
    for _ in 0..3 {
        ledger.storm(&server, &token, true, || server.signal("KILL"));
        server.wait();
        server = Process::on(&database);
        ledger.is_kept(&server);
    }
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    counts_are_right(&database);
}

#[test]
fn killed_in_a_storm_on_sqlite() {
    killed_in_a_storm(Backend::Sqlite);
}

#[test]
fn killed_in_a_storm_on_mysql() {
    killed_in_a_storm(Backend::Mysql);
}
