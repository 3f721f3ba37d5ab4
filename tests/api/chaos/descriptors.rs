//! More clients than files that the process may have.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::seen::{Table, in_words};
use super::world::JSON;
use crate::harness::SECRET;
use crate::harness::process::{Process, inkpot};
use crate::process::register;

/// One request on a connection that stays.
fn ask(stream: &mut TcpStream, head: &str, body: &str) -> String {
    let length = body.len();
    let request = format!("{head}Host: x\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut buffer = [0; 16_384];
    let length = stream.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Files that the process may have.
const FILES: usize = 300;
/// Publications of who has a connection, while others wait for one.
const POSTS: usize = 100;

/// More clients come than the process may have files: who has a connection goes on, reads,
/// publishes, and is served by files of the database; who comes waits until those who say
/// nothing are closed by their time limit. Gives how long that took.
fn used_up() -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let template = inkpot(directory.path());
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("ulimit -n {FILES} && exec \"$0\"")])
        .arg(template.get_program())
        .env_clear()
        .env("INKPOT_JWT_SECRET", SECRET);
    for (name, value) in template.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let server = Process::start(&mut command);
    let token = register(&server, "ann");
    let mut there = server.connect();
    let publish = format!("POST /post HTTP/1.1\r\nJWT: {token}\r\n{JSON}");
    let mut post = |number: usize| {
        let body = json!({ "title": format!("t{number}"), "content": "x" }).to_string();
        let answer = ask(&mut there, &publish, &body);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        let path = format!("GET /post/?q=t{number} HTTP/1.1\r\n");
        let answer = ask(&mut there, &path, "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    };
    post(0);
    let silent: Vec<TcpStream> = (0..2 * FILES).map(|_| server.connect()).collect();
    let begun = Instant::now();
    for number in 1..POSTS {
        post(number);
    }
    // Nobody of them leaves.
    assert_eq!(server.call("GET", "/post/1", "", "").0, 200);
    let waited = begun.elapsed();
    drop(silent);
    post(POSTS);
    waited
}

#[test]
fn descriptors_that_are_used_up_stop_nobody_who_is_there() {
    used_up();
}

pub fn used_up_in_table(table: &mut Table) {
    let waited = in_words(used_up());
    let seen = format!(
        "who has a connection: {POSTS} publications and searches, all answered. \
         Who comes waits until those who say nothing are closed"
    );
    table.add(
        "no files left for clients",
        "600 connections that say nothing, `ulimit -n 300`; none leaves",
        &seen,
        &waited,
    );
}
