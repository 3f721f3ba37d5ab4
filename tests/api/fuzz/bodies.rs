//! JSON as nobody should send it, and bodies that are not framed as they say.

use serde_json::Value;

use super::values;
use crate::model::random::Random;

/// The text of a body that is like `example`, more or less.
pub fn json(chance: &mut Random, example: &Value) -> Vec<u8> {
    let mut members: Vec<(String, String)> = example
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (Value::from(name.as_str()).to_string(), value.to_string()))
        .collect();
    for _ in 0..chance.below(3) {
        if members.is_empty() {
            break;
        }
        let at = chance.below(members.len());
        match chance.below(6) {
            0 => drop(members.remove(at)),
            1 => members.push(members[at].clone()),
            2 => members[at].0 = value(chance),
            3 => members.extend((0..300).map(|n| (format!("\"m{n}\""), n.to_string()))),
            _ => members[at].1 = value(chance),
        }
    }
    let members: Vec<String> = (members.iter())
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    let whole = format!("{{{}}}", members.join(",")).into_bytes();
    match chance.below(24) {
        0 => values::broken(chance, &whole),
        1 => [b"\xEF\xBB\xBF", &whole[..]].concat(),
        2 => [&whole[..], b"x"].concat(),
        3 => [&whole[..], &whole].concat(),
        4 => value(chance).into_bytes(),
        5 => whole.iter().flat_map(|byte| [*byte, 0]).collect(),
        6 => Vec::new(),
        7 => b"[".repeat(1 + chance.below(60_000)),
        8 => b"{\"a\":".repeat(1 + chance.below(12_000)),
        9 => [b" ".repeat(chance.below(60_000)), whole].concat(),
        _ => whole,
    }
}

/// The text of a JSON value, or of what is nearly one.
fn value(chance: &mut Random) -> String {
    const VALUES: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1",
        "1e999999",
        "-1e-999999",
        "123456789012345678901234567890123456789012345678901234567890",
        "0.1e1",
        "01",
        "+1",
        ".5",
        "NaN",
        "Infinity",
        "[]",
        "{}",
        "[null]",
        "[[],{},1,\"x\"]",
        "{\"a\":{\"a\":{\"a\":1}}}",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uD83D\"",
        "\"\\x41\"",
        "\"\\",
        "\"\t\"",
        "'a'",
        "\"a\" /* b */",
        "\"\u{2028}\"",
        "\"\\u202e\"",
        "[\"a\",\"A\",\"a \",\"\"]",
    ];
    match chance.below(8) {
        0..=2 => Value::from(values::text(chance)).to_string(),
        3 => {
            let depth = 1 + chance.below(3000);
            format!("{}{}", "[".repeat(depth), "]".repeat(depth))
        }
        4 => format!("[{}]", vec!["\"tag\""; chance.below(3000)].join(",")),
        _ => (*chance.pick(VALUES)).to_owned(),
    }
}

/// The lines of the head that frame a body, and the body in that frame, soundly.
pub fn framed(chance: &mut Random, body: &[u8]) -> (String, Vec<u8>) {
    if chance.percent(70) {
        return (format!("Content-Length: {}\r\n", body.len()), body.to_vec());
    }
    let mut chunks = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        // Not into crumbs, which are refused.
        let (chunk, behind) = rest.split_at((1 + chance.below(9000)).min(rest.len()));
        let extension = *chance.pick(&["", ";a", ";a=b", " ;a=\"b;c\"", "\t"]);
        let head = match chance.below(3) {
            0 => format!("{:X}{extension}\r\n", chunk.len()),
            1 => format!("00{:x}\r\n", chunk.len()),
            _ => format!("{:x}\r\n", chunk.len()),
        };
        chunks.extend_from_slice(head.as_bytes());
        chunks.extend_from_slice(chunk);
        chunks.extend_from_slice(b"\r\n");
        rest = behind;
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    ("Transfer-Encoding: chunked\r\n".to_owned(), chunks)
}

/// The same, unsoundly.
pub fn misframed(chance: &mut Random, body: &[u8]) -> (String, Vec<u8>) {
    let length = body.len();
    let chunked = "Transfer-Encoding: chunked\r\n".to_owned();
    let chunk = |head: &str| [head.as_bytes(), b"\r\n", body, b"\r\n0\r\n\r\n"].concat();
    match chance.below(22) {
        0 => (format!("Content-Length: {}\r\n", length + 9), body.to_vec()),
        1 => (format!("Content-Length: {}\r\n", length / 2), body.to_vec()),
        2 => (format!("Content-Length: +{length}\r\n"), body.to_vec()),
        3 => (
            format!("Content-Length: {length}, {length}\r\n"),
            body.to_vec(),
        ),
        4 => (
            format!(
                "Content-Length: {length}\r\nContent-Length: {}\r\n",
                length + 1
            ),
            body.to_vec(),
        ),
        5 => (
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            chunk(&format!("{length:x}")),
        ),
        6 => ("Content-Length: -1\r\n".to_owned(), body.to_vec()),
        7 => (
            "Content-Length: 99999999999999999999999\r\n".to_owned(),
            body.to_vec(),
        ),
        8 => (
            "Content-Length: 9223372036854775807\r\n".to_owned(),
            body.to_vec(),
        ),
        9 => (
            "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
            chunk(&format!("{length:x}")),
        ),
        10 => (
            "Transfer-Encoding: chunked, chunked\r\n".to_owned(),
            chunk("5"),
        ),
        11 => (
            "Transfer-Encoding: xchunked\r\n".to_owned(),
            chunk(&format!("{length:x}")),
        ),
        12 => (
            "Transfer-Encoding:\u{b}chunked\r\n".to_owned(),
            chunk(&format!("{length:x}")),
        ),
        13 => (chunked, chunk("ffffffffffffffff")),
        14 => (chunked, chunk("7fffffffffffffff1")),
        15 => (chunked, chunk("-1")),
        16 => (chunked, chunk("0x5")),
        17 => (
            chunked,
            chunk(&format!(
                "{length:x}; {}",
                "x".repeat(chance.below(200_000))
            )),
        ),
        18 => (chunked, b"1\r\nx\r\n".repeat(6000)),
        19 => (
            chunked,
            [&chunk(&format!("{length:x}"))[..], b"X: y\r\n\r\n"].concat(),
        ),
        20 => (chunked, chunk(&format!("{length:x}\n"))),
        _ => {
            let (head, framed) = framed(chance, body);
            (head, values::broken(chance, &framed))
        }
    }
}
