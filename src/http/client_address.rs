//! Whom a request comes from: the peer of its connection, or, behind proxies that
//! are trusted, whom the outermost of them saw.

use std::future::ready;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

use super::handler::{self, Extract};
use crate::core::settings::{ProxyHeader, Settings};
use crate::error::Error;

/// RFC 7239.
const FORWARDED: &str = "forwarded";
/// What most proxies send instead.
const X_FORWARDED_FOR: &str = "x-forwarded-for";
/// What some send instead: one address.
const X_REAL_IP: &str = "x-real-ip";

/// The client's address; an IPv4 address that came as IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Of a request whose connection comes from `peer`. Headers count only as far as
    /// proxies of the `trusted` networks vouch for them.
    /// With `named` only that header counts.
    pub fn of(
        peer: IpAddr,
        headers: &HeaderMap,
        trusted: &[IpNet],
        named: Option<ProxyHeader>,
    ) -> Self {
        let peer = peer.to_canonical();
        if let Some(named) = named {
            let hops = match named {
                ProxyHeader::Forwarded => hops(headers, FORWARDED, forwarded),
                ProxyHeader::XForwardedFor => hops(headers, X_FORWARDED_FOR, x_forwarded_for),
                ProxyHeader::XRealIp => hops(headers, X_REAL_IP, x_forwarded_for),
            };
            return Self(hops.map_or(peer, |hops| walk(peer, &hops, trusted)));
        }
        let [standard, usual] = [
            hops(headers, FORWARDED, forwarded),
            hops(headers, X_FORWARDED_FOR, x_forwarded_for),
        ]
        .map(|hops| hops.map(|hops| walk(peer, &hops, trusted)));
        // A proxy writes one of the two and passes the other on as the client forged
        // it. Which one is not known, so where they differ neither is believed.
        Self(match (standard, usual) {
            (Some(standard), Some(usual)) if standard != usual => peer,
            (Some(address), _) | (None, Some(address)) => address,
            (None, None) => peer,
        })
    }
}

impl Extract for ClientAddress {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(of_request(request))
    }
}

/// The same outside of a handler's arguments.
pub fn of_request(request: &HttpRequest) -> Result<ClientAddress, Error> {
    let settings = handler::part::<Settings>(request)?;
    // Without a connection, as in tests, it is the machine itself that calls.
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip());
    Ok(ClientAddress::of(
        peer,
        request.headers(),
        &settings.trusted_proxies,
        settings.proxy_header,
    ))
}

/// From the server outwards: each trusted hop vouches for the next one, up to the
/// first that is not trusted. One that cannot be read ends the way before it.
fn walk(peer: IpAddr, hops: &[Option<IpAddr>], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for hop in hops.iter().rev() {
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
        let Some(address) = hop else { break };
        client = *address;
    }
    client
}

/// The hops of all lines of a header in their order, those that cannot be read as
/// `None`; `None` where there is no such header.
fn hops(
    headers: &HeaderMap,
    name: &str,
    parse: fn(&str) -> Vec<Option<IpAddr>>,
) -> Option<Vec<Option<IpAddr>>> {
    headers.contains_key(name).then(|| {
        headers
            .get_all(name)
            .flat_map(|line| line.to_str().map_or_else(|_| vec![None], parse))
            .collect()
    })
}

fn x_forwarded_for(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',')
        .map(str::trim)
        // RFC 9110 §5.6.1: a list may have empty elements, which mean nothing.
        .filter(|element| !element.is_empty())
        .map(node)
        .collect()
}

/// RFC 7239 §4. A line is read whole or not at all: in one with a quote too many it
/// is not known where the client's forgery ends and the proxy's element begins.
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    elements(line).unwrap_or_else(|| vec![None])
}

fn elements(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut found = Vec::new();
    let mut rest = line.trim_start();
    // Of the present element: whether it has any pair, and its `for`.
    let (mut is_empty, mut client) = (true, None);
    loop {
        if !rest.is_empty() && !rest.starts_with([',', ';']) {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = value(after)?;
            let is_client = name.eq_ignore_ascii_case("for");
            // §4: each parameter stands once in an element.
            if !is_token(name) || (is_client && client.is_some()) {
                return None;
            }
            if is_client {
                client = Some(node(&value));
            }
            is_empty = false;
            rest = after.trim_start();
        }
        match rest.chars().next() {
            Some(';') => {}
            Some(',') | None => {
                if !is_empty {
                    found.push(client.flatten());
                }
                (is_empty, client) = (true, None);
            }
            Some(_) => return None,
        }
        if rest.is_empty() {
            return Some(found);
        }
        rest = rest[1..].trim_start();
    }
}

/// A token or a quoted string at the beginning, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Brackets and colons would need quotes, but not all proxies know it.
        let end = text
            .find(|c: char| matches!(c, ',' | ';' | '"' | '\\') || c.is_whitespace())
            .unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// An address with or without a port; `unknown` and hidden names are none.
fn node(text: &str) -> Option<IpAddr> {
    let address: IpAddr = if let Ok(address) = text.parse() {
        address
    } else if let Ok(with_port) = text.parse::<SocketAddr>() {
        with_port.ip()
    } else if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_hidden) {
            return None;
        }
        IpAddr::V6(address.parse().ok()?)
    } else {
        let (address, port) = text.split_once(':')?;
        if !is_hidden(port) {
            return None;
        }
        IpAddr::V4(address.parse().ok()?)
    };
    Some(address.to_canonical())
}

/// RFC 7239 §6.3: a name that tells nothing.
fn is_hidden(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(is_token)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::core::settings::trusted_proxies::network;

    const PROXIES: [&str; 2] = ["10.0.0.0/8", "fd00::/8"];

    /// Whom a request comes from, as text.
    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        client_by(None, peer, lines)
    }

    /// The same where the proxies write one header only.
    fn client_by(named: Option<ProxyHeader>, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        let trusted = PROXIES.map(|text| network(text).unwrap());
        ClientAddress::of(peer.parse().unwrap(), &headers, &trusted, named)
            .0
            .to_string()
    }

    fn forwarded_for(line: &str) -> String {
        client("10.0.0.1", &[(FORWARDED, line)])
    }

    fn x_forwarded(line: &str) -> String {
        client("10.0.0.1", &[(X_FORWARDED_FOR, line)])
    }

    #[test]
    fn without_headers_it_is_the_peer() {
        assert_eq!(client("192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn a_peer_that_is_not_trusted_vouches_for_nobody() {
        for name in [FORWARDED, X_FORWARDED_FOR] {
            for line in ["198.51.100.7", "for=198.51.100.7", "for=10.0.0.1"] {
                assert_eq!(client("192.0.2.1", &[(name, line)]), "192.0.2.1");
                assert_eq!(client("2001:db8::1", &[(name, line)]), "2001:db8::1");
            }
        }
    }

    #[test]
    fn the_rightmost_hop_that_is_not_trusted_is_the_client() {
        for (line, expected) in [
            ("198.51.100.7", "198.51.100.7"),
            ("1.1.1.1, 198.51.100.7", "198.51.100.7"),
            ("1.1.1.1, 198.51.100.7, 10.2.3.4", "198.51.100.7"),
            ("10.9.9.9, 198.51.100.7, 10.2.3.4", "198.51.100.7"),
            ("1.1.1.1,198.51.100.7,fd00::5,10.2.3.4", "198.51.100.7"),
            // All of them are ours: the outermost has called by itself.
            ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
            ("198.51.100.7:4711", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            (" , 198.51.100.7 ,, ", "198.51.100.7"),
        ] {
            assert_eq!(x_forwarded(line), expected, "{line}");
        }
    }

    #[test]
    fn a_hop_that_cannot_be_read_ends_the_way() {
        for (line, expected) in [
            ("", "10.0.0.1"),
            ("198.51.100.7, nonsense", "10.0.0.1"),
            ("198.51.100.7, unknown, 10.2.3.4", "10.2.3.4"),
            ("198.51.100.7, 999.1.1.1", "10.0.0.1"),
            ("198.51.100.7, 10.1", "10.0.0.1"),
            ("198.51.100.7, 10.2.3.4:x", "10.0.0.1"),
            ("198.51.100.7, 10.2.3.4:99999", "10.0.0.1"),
            ("198.51.100.7, [10.2.3.4]", "10.0.0.1"),
            ("198.51.100.7, [fd00::1", "10.0.0.1"),
            ("198.51.100.7, fe80::1%eth0", "10.0.0.1"),
            ("198.51.100.7 10.2.3.4", "10.0.0.1"),
            ("198.51.100.7, \u{e4}", "10.0.0.1"),
        ] {
            assert_eq!(x_forwarded(line), expected, "{line}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [
            (X_FORWARDED_FOR, "1.1.1.1"),
            (X_FORWARDED_FOR, "198.51.100.7, 10.4.4.4"),
            (X_FORWARDED_FOR, "10.2.3.4"),
        ];
        assert_eq!(client("10.0.0.1", &lines), "198.51.100.7");
        assert_eq!(client("fd00::1", &lines), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &lines), "198.51.100.7");
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes_brackets_and_ports() {
        for (line, expected) in [
            ("for=198.51.100.7", "198.51.100.7"),
            ("For=\"198.51.100.7\"", "198.51.100.7"),
            ("FOR=198.51.100.7:4711", "198.51.100.7"),
            ("for=\"198.51.100.7:_hidden\"", "198.51.100.7"),
            ("for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"),
            ("for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=\"[2001:db8:cafe::17]:_p\"", "2001:db8:cafe::17"),
            // Without the quotes that they need.
            ("for=[2001:db8:cafe::17]:4711", "2001:db8:cafe::17"),
            ("for=2001:db8:cafe::17", "2001:db8:cafe::17"),
            ("for=\"[::ffff:198.51.100.7]\"", "198.51.100.7"),
            (
                "proto=https;for=198.51.100.7;by=203.0.113.43",
                "198.51.100.7",
            ),
            ("for=198.51.100.7 ; host=\"a,b;c\"", "198.51.100.7"),
            (
                "for=198.51.100.7;host=\"a\\\", for=1.1.1.1\"",
                "198.51.100.7",
            ),
            (
                "for=1.1.1.1, for=198.51.100.7;proto=http, for=10.2.3.4",
                "198.51.100.7",
            ),
            (", for=198.51.100.7,,", "198.51.100.7"),
        ] {
            assert_eq!(forwarded_for(line), expected, "{line}");
        }
    }

    #[test]
    fn what_hides_the_client_or_cannot_be_read_ends_the_way_there_too() {
        for (line, expected) in [
            ("", "10.0.0.1"),
            ("for=unknown", "10.0.0.1"),
            ("for=1.1.1.1, for=_hidden", "10.0.0.1"),
            (
                "for=1.1.1.1, for=\"_gazonk\", for=10.2.3.4;by=_x",
                "10.2.3.4",
            ),
            ("for=1.1.1.1, proto=https", "10.0.0.1"),
            ("for=", "10.0.0.1"),
            ("for=\"\"", "10.0.0.1"),
            ("for", "10.0.0.1"),
            ("198.51.100.7", "10.0.0.1"),
            ("for = 198.51.100.7", "10.0.0.1"),
            ("for=198.51.100.7;for=1.1.1.1", "10.0.0.1"),
            ("for=198.51.100.7 for=1.1.1.1", "10.0.0.1"),
            ("for=\"198.51.100.7\"x", "10.0.0.1"),
            ("f\u{f6}r=198.51.100.7", "10.0.0.1"),
        ] {
            assert_eq!(forwarded_for(line), expected, "{line}");
        }
    }

    #[test]
    fn a_quote_that_is_left_open_hides_no_forgery() {
        // What a client sends, and what its proxy adds to the line.
        for forged in [
            "for=\"",
            "for=1.1.1.1, for=\"",
            "for=1.1.1.1;x=\"",
            "for=1.1.1.1;x=\"\\",
        ] {
            for added in [
                "for=198.51.100.7",
                "for=\"[2001:db8::7]\"",
                "for=\"[2001:db8::7]\";by=\"[fd00::1]\"",
            ] {
                let line = format!("{forged}, {added}");
                assert_eq!(forwarded_for(&line), "10.0.0.1", "{line}");
                // A line of the proxy's own is not touched by it.
                let lines = [(FORWARDED, forged), (FORWARDED, "for=198.51.100.7")];
                assert_eq!(client("10.0.0.1", &lines), "198.51.100.7", "{line}");
            }
        }
    }

    #[test]
    fn of_two_headers_that_differ_neither_is_believed() {
        let with = |standard, usual| {
            client(
                "10.0.0.1",
                &[(FORWARDED, standard), (X_FORWARDED_FOR, usual)],
            )
        };
        assert_eq!(with("for=198.51.100.7", "198.51.100.7"), "198.51.100.7");
        assert_eq!(with("for=1.1.1.1", "198.51.100.7"), "10.0.0.1");
        assert_eq!(with("for=198.51.100.7", "1.1.1.1"), "10.0.0.1");
        assert_eq!(with("", "1.1.1.1"), "10.0.0.1");
    }

    #[test]
    fn of_the_headers_only_the_one_counts_that_the_proxy_writes() {
        let forged = [
            (FORWARDED, "for=6.6.6.6"),
            (X_FORWARDED_FOR, "192.0.2.7"),
            (X_REAL_IP, "192.0.2.8"),
        ];
        let by = |named, peer| client_by(Some(named), peer, &forged);
        assert_eq!(by(ProxyHeader::XForwardedFor, "10.0.0.1"), "192.0.2.7");
        assert_eq!(by(ProxyHeader::XRealIp, "10.0.0.1"), "192.0.2.8");
        assert_eq!(by(ProxyHeader::Forwarded, "10.0.0.1"), "6.6.6.6");
        // Who is no proxy vouches for nobody, and a proxy that is silent for itself.
        assert_eq!(
            by(ProxyHeader::XForwardedFor, "198.51.100.1"),
            "198.51.100.1"
        );
        let silent = [(FORWARDED, "for=6.6.6.6")];
        let named = Some(ProxyHeader::XForwardedFor);
        assert_eq!(client_by(named, "10.0.0.1", &silent), "10.0.0.1");
    }
}
