//! The client's address: text → IP. Refuses everything that is not exactly one address.

use std::net::IpAddr;

/// Reads an address without port, brackets or zone; an IPv4-mapped IPv6 address is the IPv4 address.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}
