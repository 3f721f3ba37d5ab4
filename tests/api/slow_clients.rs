//! Clients that send without an end, or do not read what they asked for: each costs the
//! server a bounded piece of memory and of time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::PASSWORD;
use crate::harness::process::{Process, inkpot, resident};
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

/// A megabyte of a post, announced and not sent to its end.
fn begin_long_post(server: &Process, token: &str) -> TcpStream {
    let mut stream = server.connect();
    let head = format!(
        "POST /post HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {MEGABYTE}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b' '; 100_000]).unwrap();
    stream
}

const MEGABYTE: usize = 1024 * 1024;

#[test]
fn long_bodies_that_do_not_end_have_a_bound() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let token = register(&server, "ann");
    let streams: Vec<_> = (0..80).map(|_| begin_long_post(&server, &token)).collect();
    let (says, answers) = mpsc::channel();
    for stream in &streams {
        let (mut stream, says) = (stream.try_clone().unwrap(), says.clone());
        std::thread::spawn(move || {
            let mut status = [0; 12];
            if stream.read_exact(&mut status).is_ok() {
                let _ = says.send(String::from_utf8_lossy(&status).into_owned());
            }
        });
    }
    drop(says);
    // An address has room for 64 of them.
    for refused in answers.iter().take(16) {
        assert_eq!(refused, "HTTP/1.1 503");
    }
    let headers = format!("content-type: application/json\r\nauthorization: Bearer {token}\r\n");
    let publish = |content: &str| {
        let body = json!({"title": "Short", "content": content}).to_string();
        server.call("POST", "/post", &headers, &body).0
    };
    assert_eq!(publish("What is short needs no room."), 201);
    assert!(
        answers.try_recv().is_err(),
        "more were refused than had no room"
    );
    for stream in streams {
        stream.shutdown(Shutdown::Both).unwrap();
    }
    // Whoever has gone leaves its room.
    let long = "x".repeat(MEGABYTE / 2);
    let begun = Instant::now();
    while publish(&long) != 201 {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
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
    // A hash takes longer here than the moment that who has closed their side is waited for.
    let server = Process::start(inkpot(directory.path()).env("INKPOT_BCRYPT_COST", "15"));
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

/// As `printf … | nc -N` does.
#[test]
fn who_closes_their_side_still_gets_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    register(&server, "ann");
    let body = json!({ "account": "ann@example.org", "password": PASSWORD }).to_string();
    let login = format!(
        "POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for request in [
        "GET /livez HTTP/1.0\r\n\r\n",
        "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /post/?size=7 HTTP/1.1\r\nHost: x\r\n\r\n",
        &login,
    ] {
        let mut client = server.connect();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer[..13].ends_with(" 200 "), "{request}: {answer}");
        assert!(answer.ends_with('}'), "{request}: {answer}");
    }
}

#[test]
fn what_is_no_request_is_counted_in_the_log() {
    const TIMES: usize = 20;
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(inkpot(directory.path()).env("INKPOT_WORKERS", "1"));
    let headers = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(150_000)
    );
    let name = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}: y\r\n\r\n",
        "x".repeat(65_536)
    );
    let unreadable: [(&[u8], &str); 6] = [
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
            "what came is TLS",
        ),
        (b"GET / HTTP/9.9\r\n\r\n", "malformed_request"),
        (b"\0\0\0\0\r\n\r\n", "malformed_request"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
            "malformed_request",
        ),
        (headers.as_bytes(), "headers_too_large"),
        (name.as_bytes(), "headers_too_large"),
    ];
    // That can be read, but not to its end.
    let chunk = b"POST /user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                  Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n";
    for _ in 0..TIMES {
        for (bytes, words) in unreadable {
            let answer = server.raw(bytes);
            // Who sends on while it is refused may not get to read that.
            assert!(answer.is_empty() || answer.contains(words), "{answer}");
        }
        let answer = server.raw(chunk);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    let counts: Vec<usize> = (log.lines())
        .filter(|line| line.contains("could not read what was sent"))
        .map(|line| {
            let number = line.split("requests=").nth(1).unwrap();
            let number = number.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            number.parse().unwrap()
        })
        .collect();
    assert_eq!(counts, [1, TIMES * unreadable.len() - 1], "{log}");
}

/// What is sent behind a request takes its answer away from nobody.
#[test]
fn who_sends_nonsense_behind_a_request_still_gets_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    for nonsense in [
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let request = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
        let answer = server.raw(format!("{request}{nonsense}").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("\"malformed_request\""), "{answer}");
    }
}

/// Of an unknown length it ends with the connection, and says nothing else.
#[test]
fn an_answer_to_who_takes_no_chunks_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let token = register(&server, "ann");
    for (version, header) in [("1.0", "X: y"), ("1.1", "Upgrade: websocket")] {
        let request = format!(
            "GET /user/me/export HTTP/{version}\r\nHost: x\r\nJWT: {token}\r\n{header}\r\n\r\n"
        );
        let answer = server.raw(request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head[..13].ends_with(" 200 "), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        assert!(!head.contains("content-length"), "{head}");
        assert!(
            serde_json::from_str::<serde_json::Value>(body).is_ok(),
            "{body}"
        );
    }
}

/// Who was refused and neither goes on nor closes is not waited for.
#[test]
fn a_refused_body_that_never_comes_ends_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let framings = [
        "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        "Content-Length: 9\r\n\r\nab",
    ];
    let mut clients = Vec::new();
    for framing in framings {
        for path in ["/nothing", "/post", "/livez"] {
            let mut client = server.connect();
            let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{framing}");
            client.write_all(request.as_bytes()).unwrap();
            clients.push((path, framing, client));
        }
    }
    for (path, framing, mut client) in clients {
        let mut answer = String::new();
        let read = client.read_to_string(&mut answer);
        assert!(read.is_ok(), "{path}, {framing}: never closed");
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
}

#[test]
fn what_is_sent_behind_the_last_request_takes_no_answer_away() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let more = "x".repeat(100_000);
    let request =
        format!("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n{more}");
    for _ in 0..20 {
        let answer = server.raw(request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
    }
}

#[test]
fn what_a_crowd_held_is_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(directory.path()));
    let crowd = || -> Vec<TcpStream> {
        let comes = |_| {
            let mut stream = server.connect();
            let request = b"GET /post HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(request).unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            stream
        };
        (0..500).map(comes).collect()
    };
    let here = crowd();
    let meanwhile = resident(&server);
    drop(here);
    let begun = Instant::now();
    // Without a request that has the server do anything.
    while resident(&server) > meanwhile - 4096 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{meanwhile} KiB with a crowd, {} after it",
            resident(&server)
        );
        std::thread::yield_now();
    }
}
