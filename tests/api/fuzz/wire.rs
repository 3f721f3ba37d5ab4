//! A connection on which anything may be sent, and a strict reader of what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::LONGEST;

/// How long a client waits that does not know whether its request is whole.
const MOMENT: Duration = Duration::from_millis(100);
/// What a head of an answer may have, however long the request was.
const HEAD_MAX: usize = 8 * 1024;

/// An answer with its head and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether the body is that of a GET, which is not sent.
    is_head_only: bool,
}

/// How a reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    /// The client has waited enough.
    Left,
}

/// Until when a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The request is whole: it has an answer.
    Answered,
    /// Who knows; a moment.
    Moment,
    /// Who knows; to the end, which must come.
    ToTheEnd,
}

/// Sends `bytes` cut at `cuts`, and reads what comes back.
pub fn exchange(
    address: &str,
    bytes: &[u8],
    cuts: &[usize],
    is_half_closed: bool,
    patience: Patience,
) -> (Vec<u8>, End) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        // The server may refuse and close before all is sent.
        if stream.write_all(&bytes[from..to]).is_err() {
            break;
        }
        from = to;
    }
    if is_half_closed {
        let _ = stream.shutdown(Shutdown::Write);
    }
    read(&mut stream, patience, |received| {
        let (answers, rest) = parse(received);
        rest.is_empty() && answers.iter().any(|answer| answer.status >= 200)
    })
}

/// Reads until the connection ends, or what was received is enough and nothing more comes.
pub fn read(
    stream: &mut TcpStream,
    patience: Patience,
    is_enough: impl Fn(&[u8]) -> bool,
) -> (Vec<u8>, End) {
    let (mut received, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let begun = Instant::now();
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (received, End::Closed),
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let is_over = match patience {
                    Patience::Answered => is_enough(&received),
                    Patience::Moment => received.is_empty() || is_enough(&received),
                    Patience::ToTheEnd => false,
                };
                if is_over {
                    return (received, End::Left);
                }
                assert!(
                    begun.elapsed() < LONGEST,
                    "no end; received {}",
                    shown(&received)
                );
            }
            // Reset: what was refused before all was read.
            Err(_) => return (received, End::Closed),
        }
    }
}

/// The whole answers, and what is behind them.
pub fn parse(bytes: &[u8]) -> (Vec<Answer>, &[u8]) {
    let (mut answers, mut rest) = (Vec::new(), bytes);
    while let Some((answer, behind)) = next(rest) {
        let is_upgrade = answer.status == 101;
        answers.push(answer);
        rest = behind;
        if is_upgrade {
            break;
        }
    }
    (answers, rest)
}

fn next(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (head, behind) = bytes.split_at(end);
    assert!(head.len() <= HEAD_MAX, "a long head: {}", shown(head));
    let head = std::str::from_utf8(head).unwrap();
    let mut lines = head.strip_suffix("\r\n\r\n").unwrap().split("\r\n");
    let first = lines.next().unwrap();
    let status = first.strip_prefix("HTTP/1.").and_then(|s| s.get(2..5));
    let status: u16 = status.and_then(|s| s.parse().ok()).expect(first);
    let headers: Vec<(String, String)> = lines.map(header).collect();
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
        is_head_only: false,
    };
    if status < 200 || status == 204 || status == 304 {
        return Some((answer, behind));
    }
    let length = answer.all("content-length");
    if answer.all("transfer-encoding") == ["chunked"] {
        assert!(length.is_empty(), "a length of chunks: {head}");
        if behind.is_empty() || behind.starts_with(b"HTTP/1.") {
            answer.is_head_only = true;
            return Some((answer, behind));
        }
        let (body, behind) = unchunked(behind)?;
        answer.body = body;
        return Some((answer, behind));
    }
    if length.is_empty() {
        // It ends with the connection.
        let is_last = first.starts_with("HTTP/1.0") || answer.all("connection") == ["close"];
        assert!(is_last, "no length: {head}");
        answer.body = behind.to_vec();
        return Some((answer, b""));
    }
    let [length] = length[..] else {
        panic!("not one length: {head}");
    };
    let length: usize = length.parse().unwrap();
    // No body of ours begins like an answer: that one was to HEAD.
    if behind.is_empty() || behind.starts_with(b"HTTP/1.") {
        answer.is_head_only = length > 0;
        return Some((answer, behind));
    }
    if behind.len() < length {
        return None;
    }
    answer.body = behind[..length].to_vec();
    Some((answer, &behind[length..]))
}

/// A chunked body, and what is behind it; `None` when it is not whole.
fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).expect(length);
        let chunk = rest.get(end + 2..end + 2 + length + 2)?;
        assert!(chunk.ends_with(b"\r\n"), "{}", shown(rest));
        body.extend_from_slice(&chunk[..length]);
        rest = &rest[end + 2 + length + 2..];
        if length == 0 {
            return Some((body, rest));
        }
    }
}

fn header(line: &str) -> (String, String) {
    let (name, value) = line.split_once(": ").expect(line);
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    assert!(!name.is_empty() && name.chars().all(is_token), "{line}");
    assert!(!value.chars().any(char::is_control), "{line:?}");
    (name.to_ascii_lowercase(), value.to_owned())
}

impl Answer {
    fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// Sees that it is one that the server may give to anything.
    pub fn check(&self) {
        let Self { status, body, .. } = self;
        assert!((100..600).contains(status));
        if *status < 200 {
            return;
        }
        for name in ["x-request-id", "date", "content-type", "retry-after"] {
            assert!(self.all(name).len() <= 1, "{name} more than once: {self:?}");
        }
        assert_eq!(self.all("x-request-id").len(), 1, "{self:?}");
        assert!(*status < 500 || *status == 503, "{self:?}");
        if *status == 503 {
            assert_eq!(self.all("retry-after").len(), 1, "{self:?}");
        }
        if *status < 400 || self.is_head_only {
            return;
        }
        assert_eq!(self.all("content-type"), ["application/problem+json"]);
        let problem: Value = serde_json::from_slice(body).unwrap();
        let code = problem["code"].as_str().unwrap();
        let row = (inkpot::error::TABLE.iter()).find(|row| row.name == code);
        let row = row.unwrap_or_else(|| panic!("no such code: {problem}"));
        assert_eq!(row.code.status().as_u16(), *status, "{problem}");
        assert_eq!(problem["status"], *status, "{problem}");
    }
}

/// Bytes as a person reads them.
pub fn shown(bytes: &[u8]) -> String {
    let all = bytes.escape_ascii().to_string();
    match all.char_indices().nth(4000) {
        Some((at, _)) => format!("{}… ({} bytes)", &all[..at], bytes.len()),
        None => all,
    }
}
