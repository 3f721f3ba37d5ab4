//! The setting that names proxies in front of the server.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// An address or a network in CIDR notation, as settings have them.
pub fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            "a proxy is an address or a network such as 10.0.0.7 or 10.0.0.0/8".to_owned()
        })?;
    // Addresses are compared as IPv4 where they can be, so networks are as well.
    Ok(match (network, network.addr().to_canonical()) {
        (IpNet::V6(_), IpAddr::V4(address)) if network.prefix_len() >= 96 => {
            Ipv4Net::new(address, network.prefix_len() - 96).map_or(network, IpNet::V4)
        }
        _ => network,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_given_by_address_or_by_network() {
        for (text, inside, outside) in [
            ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("10.0.0.7/8", "10.200.0.1", "11.0.0.1"),
            (" 0.0.0.0/0 ", "1.2.3.4", "::1"),
            ("fd00::1", "fd00::1", "fd00::2"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::ffff:10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("::ffff:10.0.0.0/104", "10.200.0.1", "11.0.0.1"),
        ] {
            let network = network(text).unwrap();
            assert!(
                network.contains(&inside.parse::<IpAddr>().unwrap()),
                "{text}"
            );
            assert!(
                !network.contains(&outside.parse::<IpAddr>().unwrap()),
                "{text}"
            );
        }
        for text in [
            "",
            "proxy.example.org",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.1:80",
            "*",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
