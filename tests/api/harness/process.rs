//! The real program, started as its operator would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{SECRET, TestDatabase};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program with a clean environment, its data in `directory`. What is measured is measured of
/// an optimized one, `INKPOT_TEST_PROGRAM`.
pub fn inkpot(directory: &Path) -> Command {
    let program = std::env::var_os("INKPOT_TEST_PROGRAM");
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_inkpot").into());
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("INKPOT_LISTEN", "127.0.0.1:0")
        .env("INKPOT_BCRYPT_COST", "4")
        // Tests log in more often than people; the limits have tests of their own.
        .env("INKPOT_RATE_LIMITS", "off")
        // A database that is away is what the test wants, or a fault.
        .env("INKPOT_DB_WAIT", "0")
        .env("INKPOT_DATA_DIR", directory.join("data"))
        .stdin(Stdio::null());
    command
}

/// KiB of memory that a process has.
pub fn resident(server: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

/// Runs a command that ends by itself.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Has the test runner show something of a test that fails.
#[allow(clippy::print_stderr)]
pub fn shown(text: &str) {
    eprintln!("{text}");
}

/// A running server or worker; killed when dropped, and what it logged is shown when the
/// test fails.
pub struct Process {
    child: Child,
    /// What it printed up to the line that says it is ready.
    pub banner: Vec<String>,
    /// `127.0.0.1:port`; nothing of a worker.
    pub address: String,
    /// What it logged, once it has ended.
    log: Option<Mutex<Receiver<String>>>,
}

impl Process {
    /// Starts the server on `database`.
    pub fn on(database: &TestDatabase) -> Self {
        let mut command = inkpot(database.directory.path());
        command
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET);
        Self::start(&mut command)
    }

    /// Starts `command`, which serves, and waits for its address.
    pub fn start(command: &mut Command) -> Self {
        Self::start_until(command, "listening on http://")
    }

    /// Starts `command` as a worker and waits until it works.
    pub fn start_worker(command: &mut Command) -> Self {
        Self::start_until(command.arg("worker"), "taking jobs")
    }

    /// Waits for the line that begins with `ready`; what follows is the address.
    fn start_until(command: &mut Command, ready: &str) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = child.stderr.take().unwrap();
        // Read all the time, or a full pipe would stop the server.
        let (ended, log) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            // Nobody may ask.
            let _ = ended.send(text);
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else {
                panic!("it did not start: {}", log.recv().unwrap());
            };
            let line = line.unwrap();
            let address = line.strip_prefix(ready).map(str::to_owned);
            banner.push(line);
            if let Some(address) = address {
                break address;
            }
        };
        Self {
            child,
            banner,
            address,
            log: Some(Mutex::new(log)),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes as they are on a connection of their own and reads until the
    /// server closes it.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may refuse and close before all is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a request and reads its answer: status and body.
    pub fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let (status, _, body) = self.raw_call(method, path, headers, body);
        (status, body)
    }

    /// [`call`](Self::call), with the head of the answer in small letters.
    pub fn raw_call(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, String, String) {
        let length = body.len();
        let answer = self.raw(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n{headers}\r\n{body}"
            )
            .as_bytes(),
        );
        let status = answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        (status, head.to_lowercase(), body.to_owned())
    }

    /// [`call`](Self::call) of a server that may be killed meanwhile: `None` without a
    /// whole answer.
    pub fn call_if_alive(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Option<(u16, String)> {
        let length = body.len();
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.get(9..12)?.parse().ok()?;
        let announced = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        (announced == Some(body.len())).then(|| (status, body.to_owned()))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as TERM.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Stops it where it is, until it gets CONT; returns when all its threads stand. On
    /// a busy machine that is long after the signal was sent.
    pub fn pause(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.id());
        let stands = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
            // The name before it may have anything in it. One that has ended has no file.
            stat.map_or(true, |stat| {
                stat.rsplit_once(')').unwrap().1.starts_with(" T")
            })
        };
        while !std::fs::read_dir(&tasks).unwrap().all(stands) {
            std::thread::yield_now();
        }
    }

    /// Waits for the end: exit code, and everything it logged.
    pub fn wait(mut self) -> (Option<i32>, String) {
        // The system closes its output when it ends.
        let log = self.log.as_ref().unwrap().lock().unwrap();
        let logged = log.recv_timeout(PATIENCE);
        drop(log);
        let logged = logged.expect("the process ends");
        let status = self.child.wait().unwrap();
        (status.code(), logged)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Has ended already where the test waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking()
            && let Some(log) = self.log.take()
        {
            shown(&format!(
                "a process logged: {}",
                log.into_inner().unwrap().recv().unwrap_or_default()
            ));
        }
    }
}
