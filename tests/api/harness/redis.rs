//! A real Redis of a test's own, which goes away and comes back when told to: the
//! program `tests/private-redis`. It ends with this process, however that ends.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::left_out;

/// A server on 127.0.0.1 that keeps nothing on the disk.
pub struct Redis {
    keeper: Child,
    orders: RefCell<Option<ChildStdin>>,
    answers: RefCell<BufReader<ChildStdout>>,
    port: u16,
}

impl Redis {
    /// `None` when there is no program for it, which was said loudly then, and fails
    /// the run in CI and where `INKPOT_TEST_REQUIRE_ALL` asks for it.
    pub fn start() -> Option<Self> {
        let mut keeper = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/private-redis"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for us; the keeper tidies up when we are gone.
            .process_group(0)
            .spawn()
            .expect("tests/private-redis can be started");
        let mut redis = Self {
            orders: RefCell::new(keeper.stdin.take()),
            answers: RefCell::new(BufReader::new(keeper.stdout.take().unwrap())),
            keeper,
            port: 0,
        };
        let answer = redis.order("start");
        if answer.is_empty() {
            // 3: there is no server program; anything else is a failure.
            let code = redis.keeper.wait().unwrap().code();
            assert_eq!(code, Some(3), "tests/private-redis does not work");
            left_out::say(
                "every test with Redis.",
                "There is no redis-server or valkey-server here",
            );
            return None;
        }
        redis.port = answer.parse().expect("a private Redis starts");
        Some(redis)
    }

    /// As `REDIS_URL` takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it; nobody answers at its port any more.
    pub fn stop(&self) {
        assert_eq!(self.order("stop"), "stopped");
    }

    /// Starts it again after [`stop`](Self::stop), at the same port, with nothing in it.
    pub fn restart(&self) {
        assert_eq!(self.order("start"), self.port.to_string());
    }

    /// Has it stand still: it takes connections and bytes and answers nothing.
    pub fn pause(&self) {
        assert_eq!(self.order("pause"), "paused");
    }

    /// Has it go on, first with what it was sent meanwhile.
    pub fn resume(&self) {
        assert_eq!(self.order("resume"), "resumed");
    }

    /// A connection to look into it.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_connection().unwrap()
    }

    /// The keeper's answer; empty when there is no keeper any more.
    fn order(&self, order: &str) -> String {
        // Nobody may be there to take it, which the empty answer tells.
        let _ = writeln!(self.orders.borrow_mut().as_mut().unwrap(), "{order}");
        let mut answer = String::new();
        self.answers.borrow_mut().read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.orders.borrow_mut().take();
        let _ = self.keeper.wait();
    }
}

#[test]
fn a_private_redis_obeys() {
    let Some(redis) = Redis::start() else { return };
    let set = |name: &str| redis::cmd("SET").arg(name).arg("x").to_owned();
    set("a").exec(&mut redis.connection()).unwrap();
    redis.stop();
    let client = redis::Client::open(redis.url()).unwrap();
    assert!(client.get_connection().is_err());
    redis.restart();
    let mut connection = redis.connection();
    let count: u64 = redis::cmd("DBSIZE").query(&mut connection).unwrap();
    assert_eq!(count, 0);
    redis.pause();
    let limit = std::time::Duration::from_millis(50);
    connection.set_read_timeout(Some(limit)).unwrap();
    assert!(set("b").exec(&mut connection).unwrap_err().is_timeout());
    redis.resume();
    // What it was sent while it stood still, it has done first.
    let count: u64 = redis::cmd("DBSIZE").query(&mut redis.connection()).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_private_redis_ends_with_its_user_even_while_it_stands_still() {
    let Some(redis) = Redis::start() else { return };
    let client = redis::Client::open(redis.url()).unwrap();
    redis.pause();
    drop(redis);
    assert!(client.get_connection().is_err());
}
