//! Heads that are no heads.

use super::values;
use crate::model::random::Random;

/// Bytes that belong to other protocols, or to none.
pub fn garbage(chance: &mut Random) -> Vec<u8> {
    const OTHERS: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"EHLO x\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\0\0\0\0",
        b"\r\n\r\n\r\n\r\n",
        b"\n",
        b" ",
        b"GET",
        b"GET /\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /  HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET http://x:y/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET ?q HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    match chance.below(4) {
        0 => (0..chance.below(300))
            .map(|_| u8::try_from(chance.below(256)).unwrap())
            .collect(),
        1 => {
            let one = *chance.pick(OTHERS);
            values::broken(chance, one)
        }
        _ => (*chance.pick(OTHERS)).to_vec(),
    }
}

/// The head of a request, whole but for one thing.
pub fn broken(chance: &mut Random, head: &str) -> Vec<u8> {
    let (first, lines) = head.split_once("\r\n").unwrap();
    let with = |line: &str| format!("{first}\r\n{line}\r\n{lines}").into_bytes();
    let long = |chance: &mut Random| "x".repeat(chance.below(150_000));
    match chance.below(24) {
        0 => head.replace("\r\n", "\n").into_bytes(),
        1 => head.replace("\r\n", "\r").into_bytes(),
        2 => with("X: a\r\n b"),
        3 => with(" X: a"),
        4 => with("X : a"),
        5 => with("X"),
        6 => with(": a"),
        7 => with("X: a\0b"),
        8 => with("X: a\rb"),
        9 => with("Host: y"),
        10 => with("Host:"),
        11 => with(&format!("X: {}", long(chance))),
        12 => with(&format!("{}: a", long(chance))),
        13 => with(&vec!["X: a"; chance.below(300)].join("\r\n")),
        14 => head
            .replacen("/ ", &format!("/{} ", long(chance)), 1)
            .into_bytes(),
        15 => head
            .replacen(" /", &format!(" /?{}", long(chance)), 1)
            .into_bytes(),
        16 => head.replacen(" /", " http://evil.example/", 1).into_bytes(),
        17 => head.replacen("HTTP/1.1", "HTTP/1.0", 1).into_bytes(),
        18 => head
            .replacen(
                "HTTP/1.1",
                chance.pick::<&str>(&["HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 "]),
                1,
            )
            .into_bytes(),
        19 => format!("{}{head}", "\r\n".repeat(chance.below(3000))).into_bytes(),
        20 => head.as_bytes()[..chance.below(head.len())].to_vec(),
        21 => [with("X: \u{e9}").as_slice(), b""].concat(),
        22 => {
            let at = head.find(' ').unwrap();
            format!("{}{}", long(chance), &head[at..]).into_bytes()
        }
        _ => values::broken(chance, head.as_bytes()),
    }
}
