//! Clients that send without an end, or do not read what they asked for: each costs the
//! server a bounded piece of memory and of time.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::harness::PASSWORD;
use crate::harness::process::{Process, inkpot};
use crate::process::register;

/// Bytes that a client may get rid of before its connection ends, with what the kernels
/// on both sides hold.
const SENT_MAX: usize = 64 * 1024 * 1024;

/// Sends `head` and then `piece` again and again; gives what was answered before the
/// connection ended, and how much of the pieces was taken.
fn flood(server: &Process, head: &str, piece: &[u8]) -> (String, usize) {
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    });
    let mut sent = 0;
    while sent < 2 * SENT_MAX && stream.write_all(piece).is_ok() {
        sent += piece.len();
    }
    (answer.join().unwrap(), sent)
}

#[test]
fn a_body_without_an_end_ends_with_its_refusal() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 65_536], b"\r\n"].concat();
    let crumbs = b"1\r\nx\r\n".repeat(8192);
    for (path, status, piece) in [
        ("/user/login", "413", &chunk),
        ("/user/logout", "413", &chunk),
        ("/user/login", "400", &crumbs),
        // Refused before the body is looked at.
        ("/post", "401", &chunk),
        ("/nothing", "404", &chunk),
        ("/livez", "405", &crumbs),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let (answer, sent) = flood(&server, &head, piece);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
        assert!(
            answer.to_lowercase().contains("connection: close"),
            "{path}: {answer}"
        );
        assert!(sent < SENT_MAX, "{path}: {sent} bytes were taken");
    }
    assert_eq!(server.call("GET", "/livez", "", "").0, 200);
}

#[test]
fn a_chunked_body_that_ends_keeps_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let mut stream = server.connect();
    for _ in 0..3 {
        let request = "POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                       Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]);
        assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    }
}

/// Kilobytes of memory that a process has.
fn resident(server: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

#[test]
fn answers_that_nobody_reads_share_their_bytes() {
    const READERS: usize = 300;
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let token = register(&server, "ann");
    let headers = format!("Content-Type: application/json\r\nJWT: {token}\r\n");
    // A megabyte that does not become smaller on its way.
    let body = json!({ "title": "large", "content": "x".repeat(1_000_000) }).to_string();
    assert_eq!(server.call("POST", "/post", &headers, &body).0, 201);
    assert_eq!(server.call("GET", "/post/1", "", "").0, 200);
    let before = resident(&server);
    let readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut stream = server.connect();
            let request = b"GET /post/1 HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(request).unwrap();
            let mut first = [0; 16];
            stream.read_exact(&mut first).unwrap();
            assert!(first.starts_with(b"HTTP/1.1 200 OK"));
            stream
        })
        .collect();
    let each = resident(&server).saturating_sub(before) / READERS;
    assert!(
        each < 128,
        "{each} KiB for each of {READERS} who do not read"
    );
    drop(readers);
}

#[test]
fn who_leaves_before_the_answer_is_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    // A hash takes a while here, and the connection is closed before that.
    let server = Process::start(inkpot(directory.path()).env("INKPOT_BCRYPT_COST", "12"));
    register(&server, "ann");
    let body = json!({ "account": "ann@example.org", "password": PASSWORD }).to_string();
    let request = format!(
        "POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    server.connect().write_all(request.as_bytes()).unwrap();
    assert_eq!(server.call("GET", "/livez", "", "").0, 200);
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    let left = log
        .lines()
        .filter(|line| line.contains("status=499"))
        .count();
    assert_eq!(left, 1, "{log}");
}
