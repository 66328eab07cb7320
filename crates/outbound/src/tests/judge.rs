//! The judge against independent statements of the ranges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::{AddressPolicy, is_globally_routable};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Every network that must not be reached, each by its first and last address.
const CLOSED: &[(&str, &str)] = &[
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("::", "::ffff:ffff:ffff"),
    ("64:ff9b::", "64:ff9b::ffff:ffff"),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    ("100::", "100::ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[test]
fn the_edges_of_every_closed_network() {
    for (first, last) in CLOSED {
        assert!(!is_globally_routable(ip(first)), "{first}");
        assert!(!is_globally_routable(ip(last)), "{last}");
    }
    for open in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "168.63.129.15",
        "2000::",
        "2001:200::",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2a00:1450::",
        "3ffe:ffff::",
    ] {
        assert!(is_globally_routable(ip(open)), "{open}");
    }
}

proptest! {
    #[test]
    fn inside_a_closed_network_nothing_is_open(index in 0..CLOSED.len(), part in any::<u128>()) {
        let (first, last) = (ip(CLOSED[index].0), ip(CLOSED[index].1));
        let size = bits(last) - bits(first);
        let offset = if size == u128::MAX { part } else { part % (size + 1) };
        let inside = match first {
            IpAddr::V4(_) => {
                IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits(first) + offset).unwrap()))
            }
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits(first) + offset)),
        };
        prop_assert!(!is_globally_routable(inside), "{}", inside);
    }

    #[test]
    fn no_dress_of_an_ipv4_address_gets_through(bits in any::<u32>()) {
        for address in dresses(bits) {
            let address = Ipv6Addr::from_bits(address);
            prop_assert!(!is_globally_routable(address.into()), "{}", address);
        }
    }

    #[test]
    fn what_the_standard_library_calls_private_is_never_open(bits in any::<u32>()) {
        let address = Ipv4Addr::from_bits(bits);
        let private = address.is_private() || address.is_loopback() || address.is_link_local()
            || address.is_multicast() || address.is_broadcast() || address.is_documentation()
            || address.is_unspecified();
        prop_assert!(!(private && is_globally_routable(address.into())));
    }

    #[test]
    fn the_judge_agrees_with_the_list(near in 0..CLOSED.len(), off in -3_i64..=3, any in any::<u128>()) {
        // Beside the edges, where mistakes are, and anywhere.
        for edge in [CLOSED[near].0, CLOSED[near].1] {
            let beside = match ip(edge) {
                IpAddr::V4(it) => {
                    let off = i32::try_from(off).unwrap();
                    IpAddr::V4(Ipv4Addr::from_bits(it.to_bits().wrapping_add_signed(off)))
                }
                IpAddr::V6(it) => {
                    IpAddr::V6(Ipv6Addr::from_bits(it.to_bits().wrapping_add_signed(off.into())))
                }
            };
            prop_assert_eq!(is_globally_routable(beside), !is_closed(beside), "{}", beside);
        }
        let low = u32::try_from(any & 0xffff_ffff).unwrap();
        let v4 = IpAddr::V4(Ipv4Addr::from_bits(low));
        prop_assert_eq!(is_globally_routable(v4), !is_closed(v4), "{}", v4);
        // One address in eight is in the block that can be public: as many again are put there.
        for bits in [any, any >> 3 | 1 << 125] {
            let v6 = IpAddr::V6(Ipv6Addr::from_bits(bits));
            prop_assert_eq!(is_globally_routable(v6), !is_closed(v6), "{}", v6);
        }
    }

    #[test]
    fn a_closed_ipv4_address_is_closed_to_names_in_every_dress(
        index in 0..CLOSED.len(), part in any::<u32>()
    ) {
        let (IpAddr::V4(first), IpAddr::V4(last)) = (ip(CLOSED[index].0), ip(CLOSED[index].1)) else {
            return Ok(());
        };
        let size = u64::from(last.to_bits() - first.to_bits()) + 1;
        let inside = first.to_bits() + u32::try_from(u64::from(part) % size).unwrap();
        let policy = AddressPolicy::parse("db.internal:5432, 2a00::/16").unwrap();
        let mut dressed = dresses(inside).map(|it| IpAddr::V6(Ipv6Addr::from_bits(it))).to_vec();
        dressed.push(Ipv4Addr::from_bits(inside).into());
        // The last two dresses are in a network that this operator allowed, and so are permitted.
        for address in dressed {
            let allowed = matches!(address, IpAddr::V6(it) if it.segments()[0] == 0x2a00);
            prop_assert_eq!(policy.permits("elsewhere.example", address, 5432), allowed);
        }
    }
}

/// The IPv6 addresses that hold an IPv4 address and may lead to it.
fn dresses(inner: u32) -> [u128; 9] {
    let inner = u128::from(inner);
    [
        inner,                                              // IPv4-compatible
        0xffff << 32 | inner,                               // IPv4-mapped
        0xffff << 48 | inner,                               // IPv4-translated
        0x0064_ff9b << 96 | inner,                          // NAT64
        0x0064_ff9b_0001 << 80 | inner,                     // local NAT64
        0x2002 << 112 | inner << 80 | 1,                    // 6to4
        0x2001_0000 << 96 | (inner ^ 0xffff_ffff),          // Teredo
        0x2a00_1450_u128 << 96 | 0x5efe << 32 | inner,      // ISATAP
        0x2a00_1450_u128 << 96 | 0x0200_5efe << 32 | inner, // ISATAP, global bit
    ]
}

/// The other statement of what is closed, to compare with: the list above, all of IPv6 but 2000::/3,
/// and ISATAP.
fn is_closed(address: IpAddr) -> bool {
    let in_list = CLOSED.iter().any(|(first, last)| {
        let (first, last) = (ip(first), ip(last));
        first.is_ipv4() == address.is_ipv4() && (first..=last).contains(&address)
    });
    let IpAddr::V6(v6) = address else {
        return in_list;
    };
    let text = v6.segments().map(|it| format!("{it:04x}")).join(":");
    let in_block = text.starts_with('2') || text.starts_with('3');
    let is_isatap = ["0000:5efe", "0200:5efe"].contains(&&text[20..29]);
    in_list || !in_block || is_isatap
}
