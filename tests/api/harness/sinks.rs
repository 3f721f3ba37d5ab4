//! Real servers for mails and text messages, which misbehave when told to: the program
//! `tests/sinks`, in which the modes are described.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::left_out;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mail that a server has taken.
#[derive(Clone, Debug, Deserialize)]
pub struct MailTaken {
    /// Seconds since 1970.
    pub at: f64,
    pub message_id: String,
    /// As in the envelope.
    pub to: String,
    /// As in the envelope.
    pub from: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// By their names in lower case, decoded.
    pub headers: HashMap<String, String>,
    /// The name in EHLO.
    pub hello: String,
    /// The number of the connection.
    pub connection: u64,
    pub is_encrypted: bool,
    pub is_authenticated: bool,
}

/// A text message that a gateway has taken.
#[derive(Clone, Debug, Deserialize)]
pub struct TextTaken {
    /// Seconds since 1970.
    pub at: f64,
    pub to: String,
    pub text: String,
    pub path: String,
    pub content_type: String,
    pub idempotency_key: String,
    pub authorization: Option<String>,
    pub traceparent: Option<String>,
}

/// A mail or text message, as far as repeats are told by it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What is the same in every repeat: `Message-ID` or `Idempotency-Key`.
    pub key: String,
    /// Address or number.
    pub to: String,
    /// Seconds since 1970.
    pub at: f64,
}

impl Taken {
    /// The job that sent it.
    pub fn job_id(&self) -> i64 {
        let id = self.key.split('-').nth(1).and_then(|id| id.parse().ok());
        id.expect("a key with the number of a job")
    }
}

#[derive(Default)]
struct Seen {
    mails: Vec<MailTaken>,
    texts: Vec<TextTaken>,
    switched: Vec<String>,
    /// Lines in all, or none any more.
    lines: Option<usize>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    news: Condvar,
}

/// Running servers; they end when dropped.
pub struct Sinks {
    child: Child,
    orders: Mutex<Option<ChildStdin>>,
    ports: HashMap<String, u16>,
    shared: Arc<Shared>,
    directory: tempfile::TempDir,
}

impl Sinks {
    /// Starts them on free ports. `None`, said loudly, where Python's libraries are
    /// missing.
    pub fn start() -> Option<Self> {
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python-venv/bin/python");
        if !python.exists() {
            left_out::say(
                "tests against servers for mails and text messages.",
                "There is no target/python-venv",
            );
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sinks"))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = Mutex::new(child.stdin.take());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let ports = serde_json::from_str(&first).unwrap_or_else(|e| {
            panic!(
                "tests/sinks does not start ({e}); \
                 make it again with: rm -r target/python-venv; tests/python-venv"
            )
        });
        let shared = Arc::new(Shared::default());
        shared.seen.lock().unwrap().lines = Some(0);
        let reader = Arc::clone(&shared);
        std::thread::spawn(move || read(output, &reader));
        Some(Self {
            child,
            orders,
            ports,
            shared,
            directory,
        })
    }

    /// The server that takes mails from everybody, unencrypted.
    pub fn smtp_url(&self) -> String {
        self.mail_url("smtp://", "smtp")
    }

    /// That of a kind, as in `tests/sinks`, on localhost; what goes before the host is
    /// given.
    pub fn mail_url(&self, start: &str, kind: &str) -> String {
        format!("{start}localhost:{}", self.ports[kind])
    }

    /// The gateway for text messages.
    pub fn sms_url(&self) -> String {
        format!("http://127.0.0.1:{}/send", self.ports["sms"])
    }

    /// The same under TLS.
    pub fn smss_url(&self) -> String {
        format!("https://localhost:{}/send", self.ports["smss"])
    }

    /// The authority of the certificates.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Changes how they behave, as in `mail hang`, and waits until it is so.
    pub fn switch(&self, order: &str) {
        let before = self.shared.seen.lock().unwrap().switched.len();
        let mut orders = self.orders.lock().unwrap();
        writeln!(orders.as_mut().unwrap(), "{order}").unwrap();
        drop(orders);
        self.wait_until(|sinks| {
            let seen = sinks.shared.seen.lock().unwrap();
            seen.switched[before..].iter().any(|done| done == order)
        });
    }

    /// All mails that were taken so far.
    pub fn mails(&self) -> Vec<MailTaken> {
        self.shared.seen.lock().unwrap().mails.clone()
    }

    /// All text messages that were taken so far.
    pub fn texts(&self) -> Vec<TextTaken> {
        self.shared.seen.lock().unwrap().texts.clone()
    }

    /// How many mails and text messages were taken so far.
    pub fn count(&self) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.mails.len() + seen.texts.len()
    }

    /// All mails and text messages that were taken so far, the oldest first.
    pub fn taken(&self) -> Vec<Taken> {
        let seen = self.shared.seen.lock().unwrap();
        let mails = seen.mails.iter().map(|mail| Taken {
            key: mail.message_id.clone(),
            to: mail.to.clone(),
            at: mail.at,
        });
        let texts = seen.texts.iter().map(|text| Taken {
            key: text.idempotency_key.clone(),
            to: text.to.clone(),
            at: text.at,
        });
        let mut taken: Vec<Taken> = mails.chain(texts).collect();
        taken.sort_by(|one, other| one.at.total_cmp(&other.at));
        taken
    }

    /// Waits until something is so, looking whenever there is news.
    #[track_caller]
    pub fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        loop {
            let lines = self.shared.seen.lock().unwrap().lines;
            if is_so(self) {
                return;
            }
            assert!(lines.is_some(), "tests/sinks has ended");
            let left = PATIENCE.saturating_sub(begun.elapsed());
            assert!(
                !left.is_zero(),
                "it did not come so within a minute; {} messages were taken",
                self.count()
            );
            let seen = self.shared.seen.lock().unwrap();
            drop(
                self.shared
                    .news
                    .wait_timeout_while(seen, left, |seen| seen.lines == lines)
                    .unwrap(),
            );
        }
    }
}

fn read(output: BufReader<ChildStdout>, shared: &Shared) {
    for line in output.lines().map_while(Result::ok) {
        let news: Value = serde_json::from_str(&line).unwrap();
        let (kind, what) = news.as_object().unwrap().iter().next().unwrap();
        let mut seen = shared.seen.lock().unwrap();
        match kind.as_str() {
            "mail" => seen.mails.push(MailTaken::deserialize(what).unwrap()),
            "sms" => seen.texts.push(TextTaken::deserialize(what).unwrap()),
            _ => seen.switched.push(what.as_str().unwrap().to_owned()),
        }
        seen.lines = seen.lines.map(|lines| lines + 1);
        shared.news.notify_all();
    }
    shared.seen.lock().unwrap().lines = None;
    shared.news.notify_all();
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.orders.lock().unwrap().take();
        let _ = self.child.wait();
    }
}
