//! `inkpot healthcheck`: asks a server of this machine how it is, for containers and others
//! that run a command to know.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::doctor::status_of;
use super::say;
use crate::core::settings::Settings;

/// How long it may take to answer.
const WAIT: Duration = Duration::from_secs(3);

/// Asks `/livez`, or `/readyz` when it is to be `ready`, of the listener for clients or of
/// that `for metrics`, which workers have too. The error is one line: it is not well.
pub fn run(
    ready: bool,
    of_metrics: bool,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), String> {
    let address = if of_metrics {
        (settings.metrics_listen()).ok_or("INKPOT_METRICS_LISTEN is not set")?
    } else {
        settings.listen
    };
    let path = if ready { "readyz" } else { "livez" };
    let url = format!("http://{}/{path}", reachable(address)?);
    match status_of(&url, WAIT) {
        Ok(200) => say(out, &format!("{url} answers 200")),
        Ok(status) => Err(format!("{url} answers {status}")),
        Err(why) => Err(format!("{url}: {why}")),
    }
}

/// Where this machine reaches what listens there.
fn reachable(address: SocketAddr) -> Result<SocketAddr, String> {
    if address.port() == 0 {
        return Err("the server takes any free port: give it one".to_owned());
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:80", Some("127.0.0.1:80")),
            ("[::]:80", Some("[::1]:80")),
            ("10.0.0.1:80", Some("10.0.0.1:80")),
            ("127.0.0.1:0", None),
        ] {
            let found = reachable(listen.parse().unwrap()).ok();
            assert_eq!(found, asked.map(|asked| asked.parse().unwrap()), "{listen}");
        }
    }
}
