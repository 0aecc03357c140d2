//! Which addresses are public.
//!
//! The tables follow IANA's special-purpose address registries (RFC 6890;
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and `…/iana-ipv6-special-registry`, read
//! in November 2026). What carries IPv4 inside IPv6 is refused whatever it carries: no receiver needs
//! it, and its route depends on who translates. `is_global` of the standard library isn't stable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address isn't public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// `0.0.0.0/8`, `::`: this host.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// Networks of one's own.
    Private,
    /// `100.64.0.0/10`: between a carrier and its customers.
    CarrierGrade,
    /// One link only.
    LinkLocal,
    /// `fc00::/7`.
    UniqueLocal,
    /// Where clouds hand out credentials.
    Metadata,
    /// To many, or to all.
    Multicast,
    /// For documents.
    Documentation,
    /// For measuring devices.
    Benchmark,
    /// IPv4 in IPv6: mapped, translated or compatible.
    Mapped,
    /// Translated to IPv4 on the way.
    Nat64,
    /// IPv4 in IPv6, by a relay.
    SixToFour,
    /// IPv4 in IPv6, by a tunnel.
    Teredo,
    /// Not given out, or with a meaning of its own.
    Reserved,
}

impl AddressClass {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierGrade => "carrier_grade",
            Self::LinkLocal => "link_local",
            Self::UniqueLocal => "unique_local",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Mapped => "mapped",
            Self::Nat64 => "nat64",
            Self::SixToFour => "6to4",
            Self::Teredo => "teredo",
            Self::Reserved => "reserved",
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> u32 {
    Ipv4Addr::new(a, b, c, d).to_bits()
}

/// The first bits, how many of them count, and what they say. The first row that fits holds.
const V4: [(u32, u32, AddressClass); 22] = [
    (v4(0, 0, 0, 0), 8, AddressClass::Unspecified),
    (v4(10, 0, 0, 0), 8, AddressClass::Private),
    // Alibaba's, inside the next.
    (v4(100, 100, 100, 200), 32, AddressClass::Metadata),
    (v4(100, 64, 0, 0), 10, AddressClass::CarrierGrade),
    (v4(127, 0, 0, 0), 8, AddressClass::Loopback),
    // Azure's, although the address is a public one.
    (v4(168, 63, 129, 16), 32, AddressClass::Metadata),
    (v4(169, 254, 169, 254), 32, AddressClass::Metadata),
    (v4(169, 254, 0, 0), 16, AddressClass::LinkLocal),
    (v4(172, 16, 0, 0), 12, AddressClass::Private),
    (v4(192, 0, 0, 192), 32, AddressClass::Metadata),
    (v4(192, 0, 0, 0), 24, AddressClass::Reserved),
    (v4(192, 0, 2, 0), 24, AddressClass::Documentation),
    (v4(192, 31, 196, 0), 24, AddressClass::Reserved),
    (v4(192, 52, 193, 0), 24, AddressClass::Reserved),
    (v4(192, 88, 99, 0), 24, AddressClass::SixToFour),
    (v4(192, 168, 0, 0), 16, AddressClass::Private),
    (v4(192, 175, 48, 0), 24, AddressClass::Reserved),
    (v4(198, 18, 0, 0), 15, AddressClass::Benchmark),
    (v4(198, 51, 100, 0), 24, AddressClass::Documentation),
    (v4(203, 0, 113, 0), 24, AddressClass::Documentation),
    (v4(224, 0, 0, 0), 4, AddressClass::Multicast),
    (v4(240, 0, 0, 0), 4, AddressClass::Reserved),
];

const fn v6(segments: [u16; 8]) -> u128 {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Addr::new(a, b, c, d, e, f, g, h).to_bits()
}

const V6: [(u128, u32, AddressClass); 20] = [
    (v6([0; 8]), 128, AddressClass::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1]), 128, AddressClass::Loopback),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0]), 96, AddressClass::Mapped),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0]), 96, AddressClass::Mapped),
    (v6([0; 8]), 96, AddressClass::Mapped),
    (
        v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]),
        96,
        AddressClass::Nat64,
    ),
    (
        v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]),
        48,
        AddressClass::Nat64,
    ),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 32, AddressClass::Teredo),
    (
        v6([0x2001, 2, 0, 0, 0, 0, 0, 0]),
        48,
        AddressClass::Benchmark,
    ),
    (
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0]),
        23,
        AddressClass::Reserved,
    ),
    (
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]),
        32,
        AddressClass::Documentation,
    ),
    (
        v6([0x2002, 0, 0, 0, 0, 0, 0, 0]),
        16,
        AddressClass::SixToFour,
    ),
    (
        v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0]),
        48,
        AddressClass::Reserved,
    ),
    (
        v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]),
        20,
        AddressClass::Documentation,
    ),
    // AWS's and Google's, inside the next.
    (
        v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
        128,
        AddressClass::Metadata,
    ),
    (
        v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
        128,
        AddressClass::Metadata,
    ),
    (
        v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]),
        7,
        AddressClass::UniqueLocal,
    ),
    (
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]),
        10,
        AddressClass::LinkLocal,
    ),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10, AddressClass::Private),
    (
        v6([0xff00, 0, 0, 0, 0, 0, 0, 0]),
        8,
        AddressClass::Multicast,
    ),
];

/// All that is given out for the public so far: `2000::/3`.
const GLOBAL_UNICAST: (u128, u32) = (v6([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3);

/// Why this address isn't public; none if it is.
pub(crate) fn class(address: IpAddr) -> Option<AddressClass> {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let fits = |(base, length): (u32, u32)| (bits ^ base).leading_zeros() >= length;
            V4.iter()
                .find(|(base, length, _)| fits((*base, *length)))
                .map(|(_, _, class)| *class)
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let fits = |(base, length): (u128, u32)| (bits ^ base).leading_zeros() >= length;
            V6.iter()
                .find(|(base, length, _)| fits((*base, *length)))
                .map(|(_, _, class)| *class)
                .or_else(|| (!fits(GLOBAL_UNICAST)).then_some(AddressClass::Reserved))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last address of a network, and its neighbours.
    #[test]
    fn a_network_ends_where_the_registry_says() {
        for (inside, outside) in [
            (
                ["10.0.0.0", "10.255.255.255"],
                ["9.255.255.255", "11.0.0.0"],
            ),
            (
                ["100.64.0.0", "100.127.255.255"],
                ["100.63.255.255", "100.128.0.0"],
            ),
            (
                ["127.0.0.0", "127.255.255.255"],
                ["126.255.255.255", "128.0.0.0"],
            ),
            (
                ["169.254.0.0", "169.254.255.255"],
                ["169.253.255.255", "169.255.0.0"],
            ),
            (
                ["172.16.0.0", "172.31.255.255"],
                ["172.15.255.255", "172.32.0.0"],
            ),
            (
                ["192.168.0.0", "192.168.255.255"],
                ["192.167.255.255", "192.169.0.0"],
            ),
            (
                ["198.18.0.0", "198.19.255.255"],
                ["198.17.255.255", "198.20.0.0"],
            ),
            (
                ["224.0.0.0", "255.255.255.255"],
                ["223.255.255.255", "1.0.0.0"],
            ),
            (["2001::", "2001:1ff:ffff::"], ["2000:ffff::", "2001:200::"]),
            (["2002::", "2002:ffff:ffff::"], ["2001:ffff::", "2003::"]),
            (["3fff::", "3fff:fff::"], ["3ffe:ffff::", "3fff:1000::"]),
            (["4000::", "1fff::"], ["2606:4700::1111", "2a00:1450::1"]),
        ] {
            for address in inside {
                assert!(class(address.parse().unwrap()).is_some(), "{address}");
            }
            for address in outside {
                assert_eq!(class(address.parse().unwrap()), None, "{address}");
            }
        }
    }

    #[test]
    fn the_class_is_the_most_telling_one() {
        for (address, expected) in [
            ("0.0.0.0", AddressClass::Unspecified),
            ("169.254.169.254", AddressClass::Metadata),
            ("100.100.100.200", AddressClass::Metadata),
            ("168.63.129.16", AddressClass::Metadata),
            ("fd00:ec2::254", AddressClass::Metadata),
            ("fd00::1", AddressClass::UniqueLocal),
            ("255.255.255.255", AddressClass::Reserved),
            ("::", AddressClass::Unspecified),
            ("::1", AddressClass::Loopback),
            ("::7f00:1", AddressClass::Mapped),
            ("::ffff:8.8.8.8", AddressClass::Mapped),
            ("::ffff:0:8.8.8.8", AddressClass::Mapped),
            ("64:ff9b::7f00:1", AddressClass::Nat64),
            ("64:ff9b:1::a00:1", AddressClass::Nat64),
            ("2002:7f00:1::", AddressClass::SixToFour),
            ("2001:0:4136:e378::", AddressClass::Teredo),
            ("2001:2::1", AddressClass::Benchmark),
            ("2001:db8::1", AddressClass::Documentation),
            ("fe80::1", AddressClass::LinkLocal),
            ("ff02::1", AddressClass::Multicast),
            ("5f00::1", AddressClass::Reserved),
            ("100::1", AddressClass::Reserved),
        ] {
            assert_eq!(class(address.parse().unwrap()), Some(expected), "{address}");
        }
    }
}
