//! The operator's list: what it opens, and how it is read and written.

use std::net::IpAddr;

use proptest::prelude::*;

use super::support::ip;
use crate::{AddressPolicy, AllowedHost};

#[test]
fn the_operators_list_opens_what_it_names_and_nothing_else() {
    let list = "10.1.0.0/16, db.internal:5432, 192.168.1.7:11434, [fd00::/8]:443, fe80::1, ::1";
    let policy = AddressPolicy::parse(list).unwrap();
    for (host, address, port, allowed) in [
        ("x", "10.1.2.3", 1, true),
        ("x", "10.2.2.3", 1, false),
        ("db.internal", "172.16.0.1", 5432, true),
        ("DB.INTERNAL.", "172.16.0.1", 5432, true),
        ("db.internal", "172.16.0.1", 5433, false),
        ("xdb.internal", "172.16.0.1", 5432, false),
        ("x", "192.168.1.7", 11434, true),
        ("x", "192.168.1.7", 80, false),
        ("x", "192.168.1.8", 11434, false),
        ("x", "fd12::1", 443, true),
        ("x", "fd12::1", 444, false),
        ("x", "fe80::1", 9, true),
        ("x", "fe80::2", 9, false),
        ("x", "::1", 9, true),
        ("x", "127.0.0.1", 9, false),
        ("x", "::ffff:10.1.2.3", 9, false),
        ("x", "8.8.8.8", 9, true),
    ] {
        assert_eq!(
            policy.permits(host, ip(address), port),
            allowed,
            "{host} {address} {port}"
        );
    }
    for wrong in [
        "10.0.0.0/33",
        "a b",
        "host:port",
        "host:99999",
        "::1:x",
        "2130706433",
        "h/8",
        "h:+80",
        "h:0",
        "10.0.0.0/8:080x",
        "0x7f.1",
        "db.0x7f000001",
        "[10.0.0.1",
        "::1]:5",
        "bücher.internal",
    ] {
        assert_eq!(AddressPolicy::parse(wrong).unwrap_err().entry, wrong);
    }
    assert!(policy.lists("10.1.0.9", 1) && !policy.lists("localhost", 1));
    assert!(AddressPolicy::loopback().lists("localhost", 1));
    assert!(!AddressPolicy::loopback().lists("localhost.evil.example", 1));
}

/// Any entry that can be written.
fn entries() -> impl Strategy<Value = String> {
    let v4 = (any::<[u8; 4]>(), prop::option::of(0_u8..=32));
    let v6 = (any::<[u8; 16]>(), prop::option::of(0_u8..=128));
    let network = |address: IpAddr, prefix: Option<u8>| match prefix {
        Some(prefix) => format!("{address}/{prefix}"),
        None => address.to_string(),
    };
    let place = prop_oneof![
        "[a-z]([a-z0-9_-]{0,20}\\.){0,3}[a-z]",
        v4.prop_map(move |(address, prefix)| network(address.into(), prefix)),
        v6.prop_map(move |(address, prefix)| network(address.into(), prefix)),
    ];
    (place, prop::option::of(1_u16..)).prop_map(|(place, port)| match port {
        None => place,
        Some(port) if place.contains(':') => format!("[{place}]:{port}"),
        Some(port) => format!("{place}:{port}"),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(entries in prop::collection::vec(entries(), 0..5)) {
        let read: Vec<AllowedHost> = entries.iter().map(|it| AllowedHost::parse(it).unwrap()).collect();
        for entry in &read {
            prop_assert_eq!(&AllowedHost::parse(&entry.to_string()).unwrap(), entry);
        }
        let policy = AddressPolicy::new(read).to_string();
        prop_assert_eq!(AddressPolicy::parse(&policy).unwrap().to_string(), policy);
    }

    #[test]
    fn what_is_read_can_be_written(text in "[0-9a-fx:./\\[\\], -]{0,40}") {
        if let Ok(policy) = AddressPolicy::parse(&text) {
            let written = policy.to_string();
            prop_assert_eq!(AddressPolicy::parse(&written).unwrap().to_string(), written);
        }
    }

    #[test]
    fn the_operators_list_never_makes_it_panic(text in "\\PC*") {
        let _ = AddressPolicy::parse(&text);
    }
}
