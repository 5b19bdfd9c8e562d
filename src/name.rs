//! DNS names: the one spelling that kico gives each, and what a name says by its labels alone.
//! It knows no cluster: whether a Service of that name exists is for `cluster::names` to say. It never unescapes.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The one spelling of a name (SEMANTICS 2): lower case, bytes outside 0x21-0x7e as `\DDD` (an escaped blank
/// stays `\ `), a bare first `'` as `\'`, without the final dot; the root is `.`. Idempotent.
pub fn spelling(raw: &[u8]) -> Cow<'_, str> {
    let raw = without_final_dot(raw);
    let canonical = |b: &u8| (0x21..=0x7e).contains(b) && !b.is_ascii_uppercase();
    if raw.iter().all(canonical)
        && raw.first() != Some(&b'\'')
        && let Ok(text) = std::str::from_utf8(raw)
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(spelled_out(raw))
}

/// Drops the one final dot. An escaped dot belongs to its label, and a dot behind another one ends no name: such
/// bytes stay as they are, so that they are never taken for the name without them.
#[inline]
pub(crate) fn without_final_dot(raw: &[u8]) -> &[u8] {
    match raw.strip_suffix(b".") {
        Some(rest) if !rest.is_empty() && !ends_in_escape(rest) && !ends_in_plain_dot(rest) => rest,
        _ => raw,
    }
}

/// Whether the byte that follows would be escaped.
fn ends_in_escape(bytes: &[u8]) -> bool {
    bytes.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

fn ends_in_plain_dot(bytes: &[u8]) -> bool {
    bytes.strip_suffix(b".").is_some_and(|rest| !ends_in_escape(rest))
}

fn spelled_out(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len() + 8);
    let mut escaped = false;
    for &b in raw {
        match b {
            b' ' if escaped => text.push(' '),
            0x21..=0x7e => {
                if b == b'\'' && text.is_empty() {
                    text.push('\\');
                }
                text.push(char::from(b.to_ascii_lowercase()));
            }
            _ => {
                if !escaped {
                    text.push('\\');
                }
                for digit in [b / 100, b / 10 % 10, b % 10] {
                    text.push(char::from(b'0' + digit));
                }
            }
        }
        escaped = b == b'\\' && !escaped;
    }
    text
}

/// What a name says by its labels alone, read from the right against the cluster domains.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each form's labels bear their own names")]
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

/// Reads a spelling against the cluster domains (each without dots at its ends, lower case). The longest domain that
/// the name is under decides.
pub fn shape<'a>(name: &'a str, domains: &[String]) -> Shape<'a> {
    if name.is_empty() || name == "." {
        return Shape::Root;
    }
    let zone = domains
        .iter()
        .filter_map(|domain| Some((domain.len(), below(name, domain)?)))
        .max_by_key(|(length, _)| *length);
    match zone {
        Some((_, labels)) => in_zone(labels).unwrap_or(Shape::OtherInZone),
        None if below(name, "arpa").is_some() => Shape::Reverse,
        None => Shape::External,
    }
}

/// The labels left of `domain`, without the dot between; empty for the domain itself. `None` if the name is not under it:
/// a suffix counts at a label's edge only, and an escaped dot is none.
fn below<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    match name.strip_suffix(domain)? {
        _ if domain.is_empty() => None,
        "" => Some(""),
        rest => rest.strip_suffix('.').filter(|labels| !ends_in_escape(labels.as_bytes())),
    }
}

/// The four forms of the kubernetes plugin. A label that holds an escape is no legal label, so dots need no care here.
fn in_zone(labels: &str) -> Option<Shape<'_>> {
    let mut right = labels.rsplit('.');
    let kind = right.next()?;
    let namespace = right.next().filter(|label| is_label(label))?;
    let first = right.next()?;
    let rest = (right.next(), right.next(), right.next());
    if kind == "pod" && rest.0.is_none() && is_label(first) {
        return dashed_address(first).map(|address| Shape::Pod { address, namespace });
    }
    if kind != "svc" || !is_label(first) {
        return None;
    }
    let service = first;
    match rest {
        (None, ..) => Some(Shape::Service { service, namespace }),
        (Some(endpoint), None, _) if is_label(endpoint) => {
            Some(Shape::Endpoint { endpoint, service, namespace })
        }
        (Some(protocol), Some(port), None) => {
            let protocol = protocol.strip_prefix('_').filter(|label| is_label(label))?;
            let port = port.strip_prefix('_').filter(|label| is_label(label))?;
            Some(Shape::Srv { port, protocol, service, namespace })
        }
        _ => None,
    }
}

/// Whether this is `A.B.svc.X` or `A.B.pod.X`, with more in front or not: what may be a Service's or a pod's name, or one
/// behind which autopath answered for one, whatever the cluster domain turns out to be.
pub fn may_be_of_a_cluster(name: &str) -> bool {
    let has = |kind| name.rsplit_once(kind).is_some_and(|(front, _)| front.contains('.'));
    has(".svc.") || has(".pod.")
}

/// An address with dashes, as endpoint and pod names have it: `10-244-0-9`, `fd00-10-244--9`.
pub fn dashed_address(label: &str) -> Option<IpAddr> {
    if let Ok(v4) = label.replace('-', ".").parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(v4));
    }
    let v6: Ipv6Addr = label.replace('-', ":").parse().ok()?;
    Some(IpAddr::V6(v6).to_canonical())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        for (raw, expected) in [
            (&b"api.shop.svc.cluster.local."[..], "api.shop.svc.cluster.local"),
            (b"api.shop.svc.cluster.local", "api.shop.svc.cluster.local"),
            (b"API.Shop.", "api.shop"),
            (b".", "."),
            (b"", ""),
            (br"old\ fax.example.", r"old\ fax.example"),
            (b"old fax.example.", r"old\032fax.example"),
            (b"caf\xc3\xa9.example.", r"caf\195\169.example"),
            (b"a\x07b.\x7f.", r"a\007b.\127"),
            (b"\\\xff.", r"\255"),
            (br"\\ x.", r"\\\032x"),
            (b"'quoted'.example.", r"\'quoted'.example"),
            (br"\'quoted.example.", r"\'quoted.example"),
            (br"dot\.", r"dot\."),
            (br"backslash\\.", r"backslash\\"),
            (br"torn\", r"torn\"),
            (b"..", ".."),
            (b"empty-label..", "empty-label.."),
            (br"\...", r"\..."),
        ] {
            assert_eq!(spelling(raw), expected, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn what_may_be_of_a_cluster_of_any_domain() {
        for (name, expected) in [
            ("db.shop.svc.cluster.local", true),
            ("_pg._tcp.db.shop.svc.corp.example", true),
            ("10-0-0-7.shop.pod.cluster.local", true),
            ("db.shop.svc.cluster.local.web.svc.cluster.local", true),
            ("shop.svc.db.svc.example", true),
            ("shop.svc.cluster.local", false),
            ("svc.example", false),
            ("api.example", false),
            ("a.b.svc", false),
            (".", false),
        ] {
            assert_eq!(may_be_of_a_cluster(name), expected, "{name}");
        }
    }

    #[test]
    fn a_usual_name_is_borrowed() {
        assert!(matches!(spelling(b"api.shop.svc.cluster.local."), Cow::Borrowed(_)));
        assert!(matches!(spelling(b"API."), Cow::Owned(_)));
    }

    proptest! {
        #[test]
        fn a_spelling_is_its_own_spelling(raw in prop::collection::vec(
            prop_oneof![Just(b'.'), Just(b'\\'), Just(b' '), Just(b'\''), Just(b'A'), any::<u8>()], 0..12,
        )) {
            let once = spelling(&raw).into_owned();
            prop_assert!(once.bytes().all(|b| (0x20..=0x7e).contains(&b)));
            prop_assert!(!once.starts_with('\''));
            prop_assert_eq!(spelling(once.as_bytes()), once.as_str());
        }

        #[test]
        fn no_name_breaks_the_reader(raw in "[a-c_.0-9\\\\-]{0,24}", zone in 0..3usize) {
            let name = format!("{raw}{}", ["", ".svc.cluster.local", ".pod.cluster.local"][zone]);
            shape(&name, &domains());
        }
    }

    fn domains() -> Vec<String> {
        ["cluster.local", "west.cluster.local", "corp.example"].map(String::from).to_vec()
    }

    #[track_caller]
    fn check(name: &str, expected: Shape<'_>) {
        assert_eq!(shape(name, &domains()), expected, "{name}");
    }

    #[test]
    fn the_forms_of_the_kubernetes_plugin_are_read_by_exact_labels() {
        let longest = "l".repeat(63);
        let name = format!("{longest}.{longest}.svc.cluster.local");
        check(&name, Shape::Service { service: &longest, namespace: &longest });
        check("7z.shop.svc.cluster.local", Shape::Service { service: "7z", namespace: "shop" });
        check("db.shop.svc.corp.example", Shape::Service { service: "db", namespace: "shop" });
        check("svc.svc.svc.cluster.local", Shape::Service { service: "svc", namespace: "svc" });
        let (service, namespace) = ("db", "shop");
        for endpoint in ["10-244-0-9", "db-0", "fd00--9", "0"] {
            let name = format!("{endpoint}.db.shop.svc.cluster.local");
            check(&name, Shape::Endpoint { endpoint, service, namespace });
        }
        check(
            "_sql._tcp.db.shop.svc.cluster.local",
            Shape::Srv { port: "sql", protocol: "tcp", service, namespace },
        );
        for (label, address) in [
            ("10-244-0-9", "10.244.0.9"),
            ("fd00-10-244--9", "fd00:10:244::9"),
            ("1-2-3-4-5-6-7-8", "1:2:3:4:5:6:7:8"),
            ("0--ffff-a09-1", "::ffff:10.9.0.1"),
        ] {
            let address = address.parse::<IpAddr>().unwrap().to_canonical();
            let name = format!("{label}.shop.pod.cluster.local");
            check(&name, Shape::Pod { address, namespace });
        }
    }

    #[test]
    fn what_has_no_such_form_is_other_in_zone() {
        for name in [
            "cluster.local",
            "svc.cluster.local",
            "pod.cluster.local",
            "shop.svc.cluster.local",
            "shop.pod.cluster.local",
            "dns-version.cluster.local",
            "node.cluster.local",
            "tcp.db.shop.vc.cluster.local",
            "a.b.db.shop.svc.cluster.local",
            "_sql.db.shop.svc.cluster.local",
            "_sql._tcp._x.shop.svc.cluster.local",
            "_sql.tcp.db.shop.svc.cluster.local",
            "x._sql._tcp.db.shop.svc.cluster.local",
            "_._tcp.db.shop.svc.cluster.local",
            "__sql._tcp.db.shop.svc.cluster.local",
            "*.shop.svc.cluster.local",
            "_db.shop.svc.cluster.local",
            "db-.shop.svc.cluster.local",
            "-db.shop.svc.cluster.local",
            ".shop.svc.cluster.local",
            "db..svc.cluster.local",
            ".db.shop.svc.cluster.local",
            r"d\b.shop.svc.cluster.local",
            r"x\.db.shop.svc.cluster.local",
            r"db.shop\.svc.cluster.local",
            "10-244-0.shop.pod.cluster.local",
            "10-244-0-256.shop.pod.cluster.local",
            "010-244-0-9.shop.pod.cluster.local",
            "x.10-244-0-9.shop.pod.cluster.local",
            "web-0.shop.pod.cluster.local",
        ] {
            check(name, Shape::OtherInZone);
        }
        let long = format!("{}.shop.svc.cluster.local", "l".repeat(64));
        check(&long, Shape::OtherInZone);
    }

    #[test]
    fn a_domain_is_matched_at_labels_only_and_the_longest_decides() {
        for name in [
            "db.shop.svc.evilcluster.local",
            "db.shop.svc.cluster.local.example.org",
            r"db.shop.svc.x\.cluster.local",
            r"x\.cluster.local",
            "local",
            "example.org",
            "cluster.local..",
        ] {
            check(name, Shape::External);
        }
        check(
            "db.shop.svc.west.cluster.local",
            Shape::Service { service: "db", namespace: "shop" },
        );
        check("west.cluster.local", Shape::OtherInZone);
        for name in [".", ""] {
            check(name, Shape::Root);
        }
        for name in ["9.0.244.10.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa", "arpa"] {
            check(name, Shape::Reverse);
        }
        check(r"x\.arpa", Shape::External);
        assert_eq!(shape("db.shop.svc.cluster.local", &[]), Shape::External);
        assert_eq!(shape("a.b", &[String::new()]), Shape::External);
    }
}
