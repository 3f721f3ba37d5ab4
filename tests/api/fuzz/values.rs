//! Values that servers have stumbled over, and sound ones that are broken a little.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cases::Caller;
use crate::model::random::Random;

/// Texts for parameters, fields and parts of paths.
pub const TEXTS: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "1",
    "01",
    "1e400",
    "NaN",
    "0x10",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "\0",
    "a\0b",
    "a\r\nX-Injected: yes",
    "\u{feff}x",
    "\u{202e}abc",
    "\u{200b}",
    "\u{ffff}",
    "\u{10ffff}",
    "e\u{301}\u{301}\u{301}\u{301}",
    "ǅ",
    "İı",
    "ß",
    "中文",
    "' OR 1=1 --",
    "\"); DROP TABLE post; --",
    "\\",
    "%",
    "_",
    "%00",
    "%ff",
    "%u0041",
    "../../../etc/passwd",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>",
    "\"",
    "\"\"\"",
    "*",
    "**",
    "a*",
    "\"a b",
    "\"a\" \"a\" \"a\"",
    "NEAR(a b)",
    "AND OR NOT",
    "a:b",
    "+",
    "++++++++",
    "null",
    "true",
    "[]",
    "{}",
    "person1@example.org",
    "a@b",
    "\"a b\"@example.org",
    "a@xn--.org",
    "+4915112345678",
    "2026-02-30T25:61:61Z",
    "draft",
    "published",
    "rust",
];

/// A text of any kind, sometimes very long.
pub fn text(chance: &mut Random) -> String {
    let some = *chance.pick(TEXTS);
    match chance.below(12) {
        0 => some.repeat(1 + chance.below(5000)),
        1 => format!("{some}{}", chance.pick(TEXTS)),
        2 => (0..=chance.below(39))
            .filter_map(|_| char::from_u32(u32::try_from(chance.below(0x11_0000)).unwrap()))
            .collect(),
        _ => some.to_owned(),
    }
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

/// A text as it may stand in a target.
pub fn encoded(chance: &mut Random, text: &str) -> String {
    let raw = chance.percent(10);
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                encoded.push(byte.into());
            }
            0x21..=0x7e if raw && !b"#?".contains(&byte) => encoded.push(byte.into()),
            b' ' if chance.percent(50) => encoded.push('+'),
            byte => encoded.extend(["%", &hex(byte)]),
        }
    }
    match chance.below(30) {
        0 => encoded + "%",
        1 => encoded + "%g0",
        2 => encoded + "%c0%af",
        3 => encoded + "%ed%a0%80",
        _ => encoded,
    }
}

/// Flips, cuts, doubles or inserts bytes.
pub fn broken(chance: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut broken = bytes.to_vec();
    for _ in 0..=chance.below(2) {
        if broken.is_empty() {
            return broken;
        }
        let at = chance.below(broken.len());
        let byte = u8::try_from(chance.below(256)).unwrap();
        match chance.below(6) {
            0 => broken[at] = byte,
            1 => broken.insert(at, byte),
            2 => drop(broken.remove(at)),
            3 => broken.truncate(at),
            4 => {
                let to = (at + 1 + chance.below(20)).min(broken.len());
                let piece = broken[at..to].to_vec();
                broken.splice(at..at, piece.repeat(1 + chance.below(8)));
            }
            _ => broken[at] ^= 1 << chance.below(8),
        }
    }
    broken
}

/// A token of a kind: the caller's, or one that is forged or broken.
pub fn token(chance: &mut Random, caller: &Caller) -> String {
    let own = caller.token.as_str();
    let mut parts: Vec<String> = own.split('.').map(str::to_owned).collect();
    let other = |json: &str| URL_SAFE_NO_PAD.encode(json);
    match chance.below(14) {
        0 => parts[0] = other(r#"{"alg":"none","typ":"JWT"}"#),
        1 => parts[0] = other(r#"{"alg":"HS256","typ":"JWT","crit":["x"],"x":1}"#),
        2 => parts[0] = other(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#),
        3 => parts[0] = other(&"[".repeat(5000)),
        4 => parts[1] = other(r#"{"sub":"1","exp":9e999}"#),
        5 => parts[1] = other(r#"{"exp":-9223372036854775808,"iat":"x","sub":{}}"#),
        6 => parts[2].clear(),
        7 => parts.push("x".to_owned()),
        8 => return ".".repeat(chance.below(5000)),
        9 => parts.truncate(2),
        10 => return caller.refresh.clone(),
        11 => return text(chance).replace(['\r', '\n', '\0'], ""),
        12 => {
            let broken = broken(chance, own.as_bytes());
            let text = String::from_utf8_lossy(&broken);
            return text.chars().filter(|c| !c.is_control()).collect();
        }
        _ => {}
    }
    parts.join(".")
}

/// The value of a header that the server reads, or that others have read wrongly.
pub fn header(chance: &mut Random, caller: &Caller) -> (&'static str, String) {
    const HEADERS: &[&str] = &[
        "If-Match",
        "If-None-Match",
        "Forwarded",
        "X-Forwarded-For",
        "X-Real-IP",
        "Cookie",
        "Accept-Encoding",
        "Accept-Language",
        "Idempotency-Key",
        "X-Request-Id",
        "Origin",
        "Content-Type",
        "Content-Encoding",
        "Expect",
        "Range",
        "Upgrade",
        "Connection",
        "Authorization",
        "JWT",
        "Sec-WebSocket-Protocol",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
        "X-HTTP-Method-Override",
        "Host",
        "TE",
        "Trailer",
        "Date",
        "If-Modified-Since",
        "Max-Forwards",
    ];
    let name = *chance.pick(HEADERS);
    let value = match name {
        "If-Match" | "If-None-Match" => etags(chance),
        "Forwarded" => list(chance, FORWARDED),
        "X-Forwarded-For" | "X-Real-IP" => list(chance, ADDRESSES),
        "Cookie" => cookies(chance, caller),
        "Accept-Encoding" | "Content-Encoding" => list(chance, CODINGS),
        "Accept-Language" => list(chance, LANGUAGES),
        "Authorization" => format!(
            "{} {}",
            chance.pick(&["Bearer", "bearer", "Basic", "", "Bearer "]),
            token(chance, caller)
        ),
        "JWT" => token(chance, caller),
        "Sec-WebSocket-Protocol" => format!("inkpot.v1, bearer.{}", token(chance, caller)),
        "Expect" => (*chance.pick(&["100-continue", "200-ok", ""])).to_owned(),
        "Connection" => (*chance.pick(&["close", "keep-alive", "upgrade", "close, host"])).into(),
        "Upgrade" => (*chance.pick(&["websocket", "h2c", "HTTP/2.0", ""])).to_owned(),
        "Content-Type" => list(chance, TYPES),
        "Origin" | "Host" => list(chance, ORIGINS),
        _ => text(chance),
    };
    // Line ends and the like are for the cases that break heads.
    let value = value.chars().filter(|c| !c.is_control()).take(60_000);
    (name, value.collect())
}

fn list(chance: &mut Random, of: &[&str]) -> String {
    let many = if chance.percent(5) { 800 } else { 4 };
    let items: Vec<&str> = (0..chance.below(many)).map(|_| *chance.pick(of)).collect();
    items.join(*chance.pick(&[",", ", ", ";", " "]))
}

fn etags(chance: &mut Random) -> String {
    list(
        chance,
        &[
            "*", "\"\"", "\"a\"", "W/\"a\"", "w/\"a\"", "\"a", "a\"", "\"a,b\"", "\"a-br\"",
            "\"-br\"", "\"é\"", "W/", "\"\\\"\"",
        ],
    )
}

fn cookies(chance: &mut Random, caller: &Caller) -> String {
    let refresh = match chance.below(3) {
        0 => caller.refresh.clone(),
        1 => String::from_utf8_lossy(&broken(chance, caller.refresh.as_bytes())).into_owned(),
        _ => text(chance),
    };
    let own = format!("__Host-inkpot-refresh={refresh}");
    let others = list(
        chance,
        &[
            "a=b",
            "=",
            "a",
            "a=\"",
            "%00=%ff",
            "__Host-inkpot-refresh=",
            "a=b; Path=/",
        ],
    );
    let mut all = [own, others];
    if chance.percent(50) {
        all.reverse();
    }
    all.join("; ")
}

const FORWARDED: &[&str] = &[
    "for=192.0.2.1",
    "for=\"[2001:db8::1]:4711\"",
    "for=\"[::ffff:192.0.2.1]\"",
    "for=_hidden",
    "for=unknown",
    "for=",
    "for=\"",
    "for=\"\\",
    "for=\"a\\\"b\"",
    "For=\"[::1\"",
    "for=192.0.2.1;for=192.0.2.2",
    "proto=https;by=203.0.113.43",
    "for=\"192.0.2.1:99999999\"",
    ";;;",
    "=",
    "for",
];
const ADDRESSES: &[&str] = &[
    "192.0.2.1",
    "2001:db8::1",
    "[2001:db8::1]:80",
    "[::1",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "1.2.3",
    "1.2.3.4:5",
    "999.1.1.1",
    "unknown",
    "",
    "\"192.0.2.1\"",
];
const CODINGS: &[&str] = &[
    "gzip",
    "br",
    "zstd",
    "*",
    "identity",
    "br;q=0",
    "gzip;q=1e9",
    "gzip;q=-1",
    "*;q=0",
    ";q=1",
    "q",
    "GZIP;Q=0.5",
];
const LANGUAGES: &[&str] = &[
    "de",
    "en-GB",
    "*",
    "de;q=0",
    "x-y-z",
    "de;q=é",
    "",
    "zh-Hant-TW",
];
const TYPES: &[&str] = &[
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=utf-16",
    "application/json;charset=\"",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "/",
    ";;",
];
const ORIGINS: &[&str] = &[
    "https://evil.example",
    "null",
    "http://x",
    "http://",
    "://",
    "x",
    "x:99999",
    "[::1",
    "x@y",
    "http://x:80/path",
];
