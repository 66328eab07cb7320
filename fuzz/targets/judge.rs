//! The operator's list, and what it and the judge make of URLs and hosts.
//!
//! The input is a list, a line end, and a URL or a host.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use stoa_outbound::{AddressPolicy, Outbound, is_globally_routable};
use url::{Host, Url};

fuzz_target!(|text: &str| {
    let (list, target) = text.split_once('\n').unwrap_or((text, text));
    let policy = AddressPolicy::parse(list).unwrap_or_default();
    let written = policy.to_string();
    let read = AddressPolicy::parse(&written).expect("what is written is read");
    assert_eq!(read.to_string(), written);

    if let Ok(address) = target.parse::<IpAddr>() {
        for port in [1, 443, 5432] {
            let permitted = policy.permits(target, address, port);
            assert_eq!(permitted, read.permits(target, address, port));
            assert!(permitted || !is_globally_routable(address));
        }
        let closed = AddressPolicy::default();
        assert_eq!(
            closed.permits(target, address, 1),
            is_globally_routable(address)
        );
    }
    let Ok(url) = target.parse::<Url>() else {
        return;
    };
    let judged = Outbound::new(AddressPolicy::default()).judge(&url);
    let literal: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    if let Ok(port) = judged {
        assert!(matches!(url.scheme(), "http" | "https"));
        assert!(url.username().is_empty() && url.password().is_none());
        assert_eq!(Some(port), url.port_or_known_default());
        assert!(literal.is_none_or(is_globally_routable));
        // What is left to the resolver is a name in fact.
        if let Some(Host::Domain(name)) = url.host() {
            assert!(name.parse::<IpAddr>().is_err());
        }
    }
});
