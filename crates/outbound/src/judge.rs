//! Which addresses are on the public internet.
//!
//! The ranges are those of IANA's special-purpose registries for IPv4 and IPv6 as of 2026, and
//! what else leads somewhere private. IPv6 is judged the other way round: only the global unicast
//! block 2000::/3 can pass, so translations of IPv4 (mapped, NAT64) and everything unassigned fail
//! without being listed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not the public internet: (address, prefix length).
const CLOSED_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10), // carrier-grade NAT; 100.100.100.200 is a metadata service
    (Ipv4Addr::new(127, 0, 0, 0), 8),   // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // a cloud's host agent on an otherwise public address
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local; 169.254.169.254 is a metadata service
    (Ipv4Addr::new(172, 16, 0, 0), 12), // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),  // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),  // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24), // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private
    (Ipv4Addr::new(198, 18, 0, 0), 15), // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24), // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),   // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),   // reserved, and the broadcast address
];

/// The only block of IPv6 that can be public.
const GLOBAL_UNICAST_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks within the global unicast block that are not the public internet.
const CLOSED_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: carries any IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether `address` is on the public internet and may be connected to without being allowed.
#[must_use]
pub fn is_globally_routable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !CLOSED_V4.iter().any(|network| in_v4(address, *network)),
        IpAddr::V6(address) => {
            in_v6(address, GLOBAL_UNICAST_V6)
                && !CLOSED_V6.iter().any(|network| in_v6(address, *network))
                && !ends_in_isatap(address)
        }
    }
}

fn in_v4(address: Ipv4Addr, (network, prefix): (Ipv4Addr, u32)) -> bool {
    let shift = 32 - prefix;
    (address.to_bits() ^ network.to_bits()) >> shift == 0
}

fn in_v6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u32)) -> bool {
    let shift = 128 - prefix;
    (address.to_bits() ^ network.to_bits()) >> shift == 0
}

/// ISATAP puts an IPv4 address behind the interface identifier `0:5efe` under any prefix.
fn ends_in_isatap(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    segments[4] & 0xfdff == 0 && segments[5] == 0x5efe
}
