//! From which address a request comes, through the proxies that we trust.

use std::net::IpAddr;

use actix_web::HttpRequest;
use ipnet::IpNet;

/// The caller's address: of the connection, or, where that is a trusted proxy's, the last one in
/// `X-Forwarded-For` that is none of ours. What stands before it anybody could have written.
pub(crate) fn of(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    Some(behind(peer, &forwarded, trusted))
}

fn behind(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut known = peer;
    for text in forwarded.iter().rev() {
        if !is_trusted(&known) {
            break;
        }
        let Ok(address) = text.trim().parse::<IpAddr>() else {
            break;
        };
        known = address.to_canonical();
    }
    known
}

/// Who shares an allowance: an IPv4 address, or the IPv6 network that one customer line has.
pub(crate) fn block(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted = [
            "10.0.0.0/8".parse().unwrap(),
            "192.0.2.7/32".parse().unwrap(),
        ];
        behind(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        // A customer can write what they like before what our proxies add.
        assert_eq!(
            seen("10.0.0.1", &["6.6.6.6", "198.51.100.1", " 192.0.2.7"]),
            "198.51.100.1"
        );
        assert_eq!(seen("10.0.0.1", &["198.51.100.1", "junk"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn a_line_with_many_addresses_is_one_block() {
        let block_of = |text: &str| block(text.parse().unwrap());
        assert_eq!(
            block_of("2001:db8:1:2::1"),
            block_of("2001:db8:1:2:ffff::9")
        );
        assert_ne!(block_of("2001:db8:1:2::1"), block_of("2001:db8:1:3::1"));
    }
}
