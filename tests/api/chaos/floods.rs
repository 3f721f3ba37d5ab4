//! Floods of clients.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::seen::{Table, in_words};
use super::world::{EVERYBODY, JSON, Kind, READERS, World};
use super::{FAULT, lasting, pause};
use crate::harness::PASSWORD;
use crate::harness::process::{Process, inkpot, resident};

/// KiB that a flood may leave behind.
const LEFT_MAX: usize = 32 * 1024;
/// KiB that a connection that does nothing may need.
const EACH_MAX: usize = 32;
/// Connections that do nothing.
const IDLE: usize = 5000;
/// How long the server may take to close the last of them: those that have asked once stay for 75
/// seconds.
const CLOSED: Duration = Duration::from_secs(90);

/// Has many clients at once do something again and again until it is over.
fn many(clients: usize, time: Duration, act: impl Fn() + Sync) -> Instant {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    act();
                }
            });
        }
        pause(time);
        is_over.store(true, Ordering::SeqCst);
    });
    Instant::now()
}

/// Logs in from 64 connections at once until it is over.
fn logins(world: &World) -> Instant {
    let body = json!({ "account": "ann@example.org", "password": PASSWORD }).to_string();
    many(64, 2 * FAULT, || {
        let (status, head, _) = (world.server).raw_call("POST", "/user/login", JSON, &body);
        let is_told = status == 200 || status == 503 && head.contains("retry-after: ");
        assert!(is_told, "{status}: {head}");
    })
}

/// Requests that are too large in every way, and how each is refused.
fn oversized() -> [(Vec<u8>, &'static str); 4] {
    let headers = "X: x\r\n".repeat(200);
    let (address, value) = ("a".repeat(100_000), "a".repeat(200_000));
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 16 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let packed = format!(
        "POST /user/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{JSON}\
         Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    );
    let get = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    [
        (
            format!("GET /post/1 {get}{headers}\r\n").into_bytes(),
            "431",
        ),
        (format!("GET /post/{address} {get}\r\n").into_bytes(), "414"),
        (
            format!("GET /post/1 {get}X: {value}\r\n\r\n").into_bytes(),
            "431",
        ),
        ([packed.as_bytes(), &bomb].concat(), "415"),
    ]
}

/// Whether a request is refused so. Who still sends when it is closed may not get the answer.
fn is_refused(server: &Process, request: &[u8], status: &str) -> bool {
    let answer = server.raw(request);
    assert!(
        answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{status}: {answer}"
    );
    !answer.is_empty()
}

/// Headers, paths and bodies that are too large are refused by a rule each. Bodies are taken as they
/// are: one that is compressed is not unpacked, however small it says to be.
#[test]
fn what_is_too_large_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let requests = oversized();
    // What the process needs for the first of each.
    for (request, status) in &requests {
        is_refused(&server, request, status);
    }
    let before = resident(&server);
    for (request, status) in &requests {
        let told = (0..20)
            .filter(|_| is_refused(&server, request, status))
            .count();
        assert!(told > 0, "{status} was never told");
    }
    let left = resident(&server).saturating_sub(before);
    assert!(left < LEFT_MAX, "{left} KiB");
}

pub fn all(world: &World, table: &mut Table) {
    of_logins(world, table);
    of_idlers(world, table);

    let before = resident(&world.server);
    let requests = oversized();
    let seen = world.observe(|| {
        many(16, FAULT, || {
            for (request, status) in &requests {
                is_refused(&world.server, request, status);
            }
        })
    });
    seen.spares(&EVERYBODY);
    let left = resident(&world.server).saturating_sub(before);
    table.row_with(
        "requests that are too large",
        "16 connections send 200 headers, a path of 100 kB, a header of 200 kB, and 16 MB of spaces as gzip, 4 s",
        &seen,
        &format!(". The large: 431, 414, 431, 415. Memory: {} MiB more", left / 1024),
    );
    assert!(left < LEFT_MAX, "{left} KiB");
}

fn of_logins(world: &World, table: &mut Table) {
    let before = resident(&world.server);
    let seen = world.observe_after(3 * FAULT, || logins(world));
    let left = resident(&world.server).saturating_sub(before);
    let (calm, flooded) = seen.calm_and_meanwhile(Kind::KeptRead);
    let more = format!(
        ". The kept post: 99 % within {:.1} times as long as before it ({}). Memory: {} MiB more",
        flooded.as_secs_f64() / calm.as_secs_f64(),
        in_words(calm),
        left / 1024
    );
    table.row_with(
        "a flood of logins",
        "64 connections log in without a pause, `INKPOT_BCRYPT_COST=12`, 8 s",
        &seen,
        &more,
    );
    seen.spares(&READERS);
    assert!(left < LEFT_MAX, "{left} KiB");
}

fn of_idlers(world: &World, table: &mut Table) {
    let before = resident(&world.server);
    let files = open_files(&world.server);
    let (mut idle, mut most) = (Vec::new(), 0);
    let seen = world.observe(|| {
        let come = || {
            for n in 0..IDLE {
                idle.push(idler(&world.server, n));
            }
        };
        lasting(FAULT, come, || most = resident(&world.server))
    });
    let begun = Instant::now();
    while open_files(&world.server) > files + 50 {
        assert!(begun.elapsed() < CLOSED, "idle connections are not closed");
        pause(Duration::from_millis(100));
    }
    let closed = seen.from.elapsed();
    let left = resident(&world.server).saturating_sub(before);
    let more = format!(
        ". The server closed the last of them after {}. Memory: {} MiB more meanwhile, {} MiB after it",
        in_words(closed),
        most.saturating_sub(before) / 1024,
        left / 1024
    );
    seen.spares(&EVERYBODY);
    table.row_with(
        "5,000 connections that do nothing",
        "a quarter have asked once, a quarter have sent half a head, a quarter have closed their side, \
         a quarter say nothing; none leaves",
        &seen,
        &more,
    );
    drop(idle);
    let each = most.saturating_sub(before) / IDLE;
    assert!(each < EACH_MAX, "{each} KiB for each");
}

/// A connection from which nothing more comes.
fn idler(server: &Process, number: usize) -> TcpStream {
    let mut stream = server.connect();
    match number % 4 {
        0 => {
            let request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(request).unwrap();
            let mut answer = [0; 16];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200"));
        }
        1 => stream.write_all(b"GET /livez HTTP/1.1\r\nHost: ").unwrap(),
        2 => stream.shutdown(Shutdown::Write).unwrap(),
        _ => {}
    }
    stream
}

fn open_files(server: &Process) -> usize {
    let files = format!("/proc/{}/fd", server.id());
    std::fs::read_dir(files).unwrap().count()
}
