//! DNS names: the one spelling that kico gives each, and what a name says by its labels alone.
//! It knows no cluster: whether a Service of that name exists is for `cluster::names` to say. It never unescapes.

use std::borrow::Cow;
use std::net::IpAddr;

/// The one spelling of a name (SEMANTICS 2): lower case, bytes outside 0x21-0x7e as `\DDD` (an escaped blank
/// stays `\ `), a bare first `'` as `\'`, without the final dot; the root is `.`. Idempotent.
pub fn spelling(raw: &[u8]) -> Cow<'_, str> {
    let _ = raw;
    todo!()
}

/// What a name says by its labels alone, read from the right against the cluster domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// `SVC.NS.svc.Z`
    Service { service: &'a str, namespace: &'a str },
    /// `_PORT._PROTO.SVC.NS.svc.Z`; port and protocol without their underscores.
    Srv { port: &'a str, protocol: &'a str, service: &'a str, namespace: &'a str },
    /// `EP.SVC.NS.svc.Z`
    Endpoint { endpoint: &'a str, service: &'a str, namespace: &'a str },
    /// `10-244-0-9.NS.pod.Z`
    Pod { address: IpAddr, namespace: &'a str },
    /// Under a cluster domain, but none of the above: counted, never a connection.
    OtherInZone,
    /// Under `arpa`, which is no connection.
    Reverse,
    /// `.`
    Root,
    /// Outside the cluster domains.
    External,
}

/// Reads a spelling against the cluster domains (each without dots at its ends, lower case).
pub fn shape<'a>(name: &'a str, domains: &[String]) -> Shape<'a> {
    let _ = (name, domains);
    todo!()
}

/// Whether this is a legal DNS label: 1 to 63 of `[a-z0-9-]`, no hyphen at either end.
pub fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(plain)
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}
