//! Frames on a live stream, sound, half sound and not at all.

use std::io::Write;
use std::net::TcpStream;

use super::values;
use super::wire::{End, Patience, parse, read, shown};
use crate::model::random::Random;

/// Codes with which the server closes.
const CODES: &[u16] = &[1000, 1001, 1002, 1007, 1008, 1009, 1013, 4401];

/// Opens a stream, says something on it, and judges what comes back.
pub fn attack(address: &str, token: &str, chance: &mut Random, is_patient: bool) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET /user/online HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let mut said = Vec::new();
    for _ in 0..=chance.below(6) {
        said.extend_from_slice(&frame(chance));
    }
    if chance.percent(10) {
        said = values::broken(chance, &said);
    }
    // Together with the handshake, or behind it.
    let is_together = chance.percent(30);
    let _ = stream.write_all(head.as_bytes());
    if !is_together {
        std::thread::yield_now();
    }
    let _ = stream.write_all(&said);
    let has_closed = chance.percent(50);
    if has_closed {
        let _ = stream.write_all(&sound(0x88, &1000_u16.to_be_bytes()));
    }
    let patience = if is_patient {
        Patience::ToTheEnd
    } else {
        Patience::Moment
    };
    let judged = std::panic::catch_unwind(move || {
        let (received, end) = read(&mut stream, patience, |_| true);
        let (answers, rest) = parse(&received);
        answers.iter().for_each(super::wire::Answer::check);
        if answers.last().is_some_and(|last| last.status == 101) {
            check(rest, end);
        } else {
            assert!(rest.is_empty(), "{}", shown(rest));
        }
    });
    assert!(judged.is_ok(), "that was the answer to {}", shown(&said));
}

/// Sees that these are frames of a server (RFC 6455 §5).
fn check(mut bytes: &[u8], end: End) {
    let mut is_closed = false;
    while let [first, second, rest @ ..] = bytes {
        assert!(!is_closed, "frames behind a close: {}", shown(bytes));
        assert!(matches!(first, 0x81 | 0x88 | 0x89 | 0x8a), "{first:x}");
        let size = match second {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let number =
            |bytes: &[u8]| (bytes.iter()).fold(0, |number, byte| number << 8 | usize::from(*byte));
        let Some(long) = rest.get(..size) else { break };
        let length = if size == 0 {
            usize::from(*second)
        } else {
            number(long)
        };
        let Some(payload) = rest.get(size..size + length) else {
            break;
        };
        match first {
            0x81 => assert!(serde_json::from_slice::<serde_json::Value>(payload).is_ok()),
            0x88 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                assert!(CODES.contains(&code), "{code}");
                is_closed = true;
            }
            _ => assert!(length <= 125),
        }
        bytes = &rest[size + length..];
    }
    // Nothing is cut off when the server ends it by itself.
    assert!(
        end == End::Left || bytes.is_empty() || is_closed,
        "{}",
        shown(bytes)
    );
}

/// A masked frame.
fn sound(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 11, 13, 17];
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 0x7e);
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

fn frame(chance: &mut Random) -> Vec<u8> {
    let byte = |chance: &mut Random| u8::try_from(chance.below(256)).unwrap();
    match chance.below(14) {
        0 => [
            &[byte(chance), 0xff][..],
            &chance.next().to_be_bytes(),
            &[0; 4],
            b"x",
        ]
        .concat(),
        1 => [
            &[0x81, 0xff][..],
            &(1_u64 << 62).to_be_bytes(),
            &[0; 4],
            b"x",
        ]
        .concat(),
        2 => [&[0x81, 0xff][..], &u64::MAX.to_be_bytes()].concat(),
        3 => vec![byte(chance), byte(chance)],
        4 => sound(*chance.pick(&[0x09, 0x08, 0x0a]), b"fragmented"),
        5 => sound(*chance.pick(&[0x89, 0x88, 0x8a]), &[b'x'; 126]),
        6 => sound(
            0x81,
            chance.pick::<&[u8]>(&[
                &b"\xff\xfe"[..],
                b"\xed\xa0\x80",
                b"\xc0\xaf",
                b"\xf4\x90\x80\x80",
            ]),
        ),
        7 => sound(byte(chance), &vec![b'x'; chance.below(200)]),
        8 => vec![0x81, 3, b'a', b'b', b'c'],
        9 => sound(
            0x88,
            chance.pick::<&[u8]>(&[
                &b""[..],
                b"\x03",
                b"\0\0",
                b"\x03\xed",
                b"\xff\xff",
                b"\x03\xe8\xff\xfe",
            ]),
        ),
        10 => [
            sound(0x01, b"a"),
            sound(*chance.pick(&[0x81, 0x01, 0x00, 0x80, 0x89]), b"b"),
        ]
        .concat(),
        11 => sound(0x80, b"of nothing"),
        12 => sound(0x82, &vec![b'x'; chance.below(6000)]),
        _ => sound(0x89, b"ping"),
    }
}
