//! The one host of an address, and its port.

use std::net::Ipv6Addr;

use url::Host;

use super::{AddressError, placeholder};

/// Reads `host`, `host:port`, `[address]` or `[address]:port`.
pub(super) fn host_and_port(text: &str) -> Result<(String, u16), AddressError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| AddressError::Host)?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(AddressError::Host)?),
            };
            (address.to_string(), port)
        }
        None => {
            let (name, port) = match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            (host_name(name)?, port)
        }
    };
    Ok((host, port.map_or(Ok(DEFAULT_PORT), port_number)?))
}

/// The port of whoever names none.
pub(super) const DEFAULT_PORT: u16 = 5432;

/// Reads a host that stands by itself: a name, or an address of either kind.
pub(super) fn host_alone(text: &str) -> Result<String, AddressError> {
    match text.parse::<Ipv6Addr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => host_name(text),
    }
}

/// A port in digits; nothing stands for the usual one.
pub(super) fn port_number(text: &str) -> Result<u16, AddressError> {
    match text {
        "" => Ok(DEFAULT_PORT),
        _ if text.bytes().all(|it| it.is_ascii_digit()) => text
            .parse()
            .ok()
            .filter(|it| *it > 0)
            .ok_or(AddressError::Port),
        // `host:1,host:2` ends up here.
        _ if text.contains(',') => Err(AddressError::Host),
        _ => Err(AddressError::Port),
    }
}

/// A name in small letters, without the dot that ends it and with other scripts in their ASCII form.
fn host_name(text: &str) -> Result<String, AddressError> {
    if placeholder::is_placeholder_host(text) {
        return Err(AddressError::Placeholder("host"));
    }
    let name = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        // What turns out as an address was written to look like something else.
        match Host::parse(text) {
            Ok(Host::Domain(name)) => name,
            _ => return Err(AddressError::Host),
        }
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(AddressError::Host);
    }
    Ok(name.to_owned())
}
