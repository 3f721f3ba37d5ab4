//! A server under use, and what its clients meet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::seen::Seen;
use super::{CALM, WELL, pause};
use crate::harness::SECRET;
use crate::harness::process::{Process, inkpot};
use crate::process::register;

/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(15);
pub const JSON: &str = "Content-Type: application/json\r\n";

/// Who uses the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Liveness,
    /// A post that is in memory.
    KeptRead,
    /// Somebody whose session is known, and whose request ends before the database.
    KnownSession,
    /// Somebody's own data, which are read each time.
    Read,
    /// Somebody who publishes.
    Write,
}

/// All of them, with their names in the table.
pub const KINDS: [(Kind, &str); 5] = [
    (Kind::Liveness, "`/livez`"),
    (Kind::KeptRead, "a kept post"),
    (Kind::KnownSession, "a known session"),
    (Kind::Read, "reads"),
    (Kind::Write, "publications"),
];

/// Those who need no database.
pub const WITHOUT_DATABASE: [Kind; 3] = [Kind::Liveness, Kind::KeptRead, Kind::KnownSession];

/// Those who write nothing.
pub const READERS: [Kind; 4] = [
    Kind::Liveness,
    Kind::KeptRead,
    Kind::KnownSession,
    Kind::Read,
];

pub const EVERYBODY: [Kind; 5] = [
    Kind::Liveness,
    Kind::KeptRead,
    Kind::KnownSession,
    Kind::Read,
    Kind::Write,
];

/// One request.
pub struct Sample {
    pub kind: Kind,
    pub begun: Instant,
    pub took: Duration,
    pub status: u16,
}

impl Sample {
    pub fn is_well(&self) -> bool {
        self.status < 500
    }
}

/// The publication that comes next.
#[derive(Clone, Copy, Default)]
struct Next {
    number: usize,
    /// How often it was refused.
    tries: usize,
}

/// What goes with the server's life.
pub struct World {
    pub server: Process,
    token: String,
    samples: Mutex<Vec<Sample>>,
    /// Keys of publications that were acknowledged.
    published: Mutex<BTreeSet<String>>,
    /// A key is used for one post, in whichever observation: what is repeated is only read.
    next: Mutex<Next>,
    /// Bytes of the contents that are published.
    size: usize,
}

impl World {
    /// A server that reaches its database at this URL, with one post.
    pub fn start(directory: &Path, url: &str, size: usize) -> Self {
        let server = Process::start(
            inkpot(directory)
                .env("DATABASE_URL", url)
                .env("INKPOT_JWT_SECRET", SECRET)
                .env("INKPOT_BCRYPT_COST", "12"),
        );
        let token = register(&server, "ann");
        let world = Self {
            server,
            token,
            samples: Mutex::default(),
            published: Mutex::default(),
            next: Mutex::default(),
            size,
        };
        let bearer = world.bearer();
        let post = r#"{"title": "kept", "content": "x"}"#;
        assert_eq!(world.server.call("POST", "/post", &bearer, post).0, 201);
        world
    }

    pub fn bearer(&self) -> String {
        format!("{JSON}Authorization: Bearer {}\r\n", self.token)
    }

    /// Asks again and again until it is told to stop.
    fn ask(&self, kind: Kind, stop: &Receiver<()>) {
        let bearer = self.bearer();
        let content = "x".repeat(self.size);
        while stop.recv_timeout(PACE).is_err() {
            let begun = Instant::now();
            let call = |method: &str, path: &str, headers: &str, body: &str| {
                self.server.raw_call(method, path, headers, body)
            };
            let Next { number, tries } = *self.next.lock().unwrap();
            let key = format!("k{number}");
            let (answer, expected, shows) = match kind {
                Kind::Liveness => (call("GET", "/livez", "", ""), 200, ""),
                Kind::KeptRead => (call("GET", "/post/1", "", ""), 200, "\"kept\""),
                Kind::KnownSession => (call("POST", "/post", &bearer, "{}"), 422, ""),
                Kind::Read => {
                    let answer = call("GET", "/user/me", &bearer, "");
                    (answer, 200, "ann@example.org")
                }
                Kind::Write => {
                    let headers = format!("{bearer}Idempotency-Key: {key}\r\n");
                    let body = json!({ "title": key, "content": content, "tags": ["chaos"] });
                    let answer = call("POST", "/post", &headers, &body.to_string());
                    (answer, 201, key.as_str())
                }
            };
            let (status, head, body) = answer;
            // 409: the first try of this publication is still under way.
            let is_told = status == expected && body.contains(shows)
                || status == 503 && head.contains("retry-after: ")
                || status == 409 && tries > 0 && body.contains("idempotency");
            assert!(is_told, "{kind:?}: {status} {head} {body}");
            if kind == Kind::Write {
                let mut next = self.next.lock().unwrap();
                if status == 201 {
                    self.published.lock().unwrap().insert(key);
                    *next = Next {
                        number: number + 1,
                        tries: 0,
                    };
                } else {
                    next.tries += 1;
                }
            }
            let status = if status == 409 { 503 } else { status };
            self.samples.lock().unwrap().push(Sample {
                kind,
                begun,
                took: begun.elapsed(),
                status,
            });
        }
    }

    /// Has all kinds of clients at work while `fault` is made. Between its beginning and its
    /// end it is there; it returns when that end was.
    pub fn observe(&self, fault: impl FnOnce() -> Instant) -> Seen {
        self.observe_after(CALM, fault)
    }

    /// The same, after they were at work for so long without it.
    pub fn observe_after(&self, calm: Duration, fault: impl FnOnce() -> Instant) -> Seen {
        self.samples.lock().unwrap().clear();
        let (from, to) = std::thread::scope(|scope| {
            let mut stops = Vec::new();
            for (kind, _) in KINDS {
                let (stop, stopped) = channel();
                stops.push(stop);
                scope.spawn(move || self.ask(kind, &stopped));
            }
            pause(calm);
            let from = Instant::now();
            let to = fault();
            pause(WELL + CALM);
            for stop in stops {
                // Has ended already where it has failed.
                let _ = stop.send(());
            }
            (from, to)
        });
        Seen {
            samples: std::mem::take(&mut self.samples.lock().unwrap()),
            from,
            to,
        }
    }

    /// What was acknowledged is there, each once; and nothing else, but one whose answer
    /// nobody has waited for.
    pub fn is_kept(&self) {
        let published = self.published.lock().unwrap();
        assert!(published.len() > 20, "{}", published.len());
        let (mut seen, mut before) = (BTreeMap::new(), String::new());
        loop {
            let path = format!("/post/?tag=chaos&size=10&before={before}");
            let (status, list) = self.server.call("GET", &path, "", "");
            assert_eq!(status, 200, "{list}");
            let list: Value = serde_json::from_str(&list).unwrap();
            for post in list["posts"].as_array().unwrap() {
                let title = post["post_title"].as_str().unwrap().to_owned();
                *seen.entry(title).or_insert(0) += 1;
            }
            let Some(next) = list["pagination"]["next"].as_str() else {
                break;
            };
            next.clone_into(&mut before);
        }
        for key in published.iter() {
            assert_eq!(seen.remove(key), Some(1), "{key}");
        }
        assert!(seen.len() <= 1, "{seen:?}");
    }
}
