//! Which private addresses the operator has allowed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

use crate::judge::is_globally_routable;

/// The operator's list of private hosts and networks that clients may use. Empty by default.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allow: Vec<AllowedHost>,
}

/// One entry of the list: a name, an address or a network, on every port or on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    place: Place,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Name(String),
    Network(IpNet),
}

/// The list of allowed hosts cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{entry}` is not a host, an address or a network in CIDR form, each with an optional :port"
)]
pub struct PolicyError {
    /// The entry that is wrong.
    pub entry: String,
}

impl AddressPolicy {
    /// A policy with these entries.
    #[must_use]
    pub fn new(allow: Vec<AllowedHost>) -> Self {
        Self { allow }
    }

    /// Reads a comma-separated list such as `db.internal:5432, 10.0.0.0/8, [fd00::1]:5432`.
    ///
    /// # Errors
    ///
    /// Names the first entry that is none of the three forms.
    pub fn parse(list: &str) -> Result<Self, PolicyError> {
        list.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(AllowedHost::parse)
            .collect::<Result<_, _>>()
            .map(Self::new)
    }

    /// A policy that allows this machine's loopback addresses, for a demonstration or a test.
    #[must_use]
    pub fn loopback() -> Self {
        Self::new(vec![
            AllowedHost::network(IpNet::from(IpAddr::from([127, 0, 0, 0])), 8),
            AllowedHost::network(IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)), 128),
        ])
    }

    /// Whether a connection to `address` may be made for somebody who asked for `host` on `port`.
    #[must_use]
    pub fn permits(&self, host: &str, address: IpAddr, port: u16) -> bool {
        is_globally_routable(address)
            || self.allow.iter().any(|entry| {
                entry.port.is_none_or(|allowed| allowed == port)
                    && match &entry.place {
                        Place::Name(name) => name.eq_ignore_ascii_case(normal(host)),
                        Place::Network(network) => network.contains(&address),
                    }
            })
    }

    /// Whether the operator's list speaks of `host` itself, which then may be reached without TLS.
    ///
    /// A name counts when it is listed; a literal address when a listed network contains it;
    /// `localhost` when loopback is listed. Other names are not resolved for this.
    #[must_use]
    pub fn lists(&self, host: &str, port: u16) -> bool {
        let host = normal(host);
        let address = if host.eq_ignore_ascii_case("localhost") {
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        } else {
            literal(host)
        };
        self.allow.iter().any(|entry| {
            entry.port.is_none_or(|allowed| allowed == port)
                && match &entry.place {
                    Place::Name(name) => name.eq_ignore_ascii_case(host),
                    Place::Network(network) => address.is_some_and(|it| network.contains(&it)),
                }
        })
    }
}

impl AllowedHost {
    /// Reads one entry.
    ///
    /// # Errors
    ///
    /// When it is neither a name nor an address nor a network.
    pub fn parse(entry: &str) -> Result<Self, PolicyError> {
        let wrong = || PolicyError {
            entry: entry.to_owned(),
        };
        if let Some(place) = Place::parse(entry) {
            return Ok(Self { place, port: None });
        }
        let (host, digits) = entry.rsplit_once(':').ok_or_else(wrong)?;
        // Digits alone: a number's own `parse` takes `+80` as well. Port 0 is nobody's.
        let port = match digits.parse() {
            Ok(port) if port > 0 && digits.bytes().all(|it| it.is_ascii_digit()) => port,
            _ => return Err(wrong()),
        };
        // An IPv6 address or network needs its brackets before a port, or `::1` would have one.
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .or_else(|| inner.contains("]/").then_some(inner))
                .ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let place = Place::parse(&host.replace("]/", "/")).ok_or_else(wrong)?;
        Ok(Self {
            place,
            port: Some(port),
        })
    }

    fn network(address: IpNet, prefix: u8) -> Self {
        let network = IpNet::new(address.addr(), prefix).unwrap_or(address);
        Self {
            place: Place::Network(network),
            port: None,
        }
    }
}

/// As [`AddressPolicy::parse`] reads it.
impl fmt::Display for AddressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.allow.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{entry}")?;
        }
        Ok(())
    }
}

/// As [`AllowedHost::parse`] reads it.
impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Name(name) => name.clone(),
            Place::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().to_string()
            }
            Place::Network(network) => network.to_string(),
        };
        match self.port {
            None => f.write_str(&place),
            Some(port) if place.contains(':') => write!(f, "[{place}]:{port}"),
            Some(port) => write!(f, "{place}:{port}"),
        }
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(network) = text.parse::<IpNet>() {
            return Some(Self::Network(network.trunc()));
        }
        if let Some(address) = literal(text) {
            return Some(Self::Network(IpNet::from(address)));
        }
        let text = normal(text);
        let is_name = !text.is_empty()
            && text.len() <= 253
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
            && !ends_in_a_number(text);
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

/// Whether some resolvers would take a name for an address: `10.0.0`, `2130706433` or `0x7f.1`.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|it| it.is_ascii_hexdigit()),
        None => last.bytes().all(|it| it.is_ascii_digit()),
    }
}

/// A literal address, with or without the brackets of an IPv6 host in a URL.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(host);
    inner.parse().ok()
}

/// A name without the dot of the root zone: `localhost.` is `localhost`.
fn normal(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}
