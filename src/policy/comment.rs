//! The lines above a policy, and its annotation: who asked for what, by which names, and how ports were found. They hold no
//! counts, times, versions or file names, so that a rerun changes nothing that did not change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::closure::{At, Peer};
use super::evidence::{Asked, display};
use crate::cluster::Cluster;
use crate::cluster::backends::PodPort;
use crate::text;

/// What an annotation may hold.
const ANNOTATION: usize = 4096;
/// Names shown of one peer and server.
const NAMES: usize = 10;
/// Names shown in any other line.
pub(super) const SHOWN: usize = 20;

/// One line a peer and server. `kept`: the ports that the policy allows the peers.
pub(super) fn evidence(
    peers: &BTreeMap<Peer, BTreeMap<String, Asked>>,
    kept: &BTreeMap<Peer, BTreeSet<At>>,
    cluster: &Cluster,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (peer, ports) in kept {
        for asked in peers.get(peer).into_iter().flat_map(BTreeMap::values) {
            let ports: BTreeSet<At> = asked.ports.intersection(ports).cloned().collect();
            if !ports.is_empty() {
                lines.push(line(peer, asked, &ports, cluster));
            }
        }
    }
    lines
}

fn line(peer: &Peer, asked: &Asked, ports: &BTreeSet<At>, cluster: &Cluster) -> String {
    let names = list(asked.names.iter().map(String::as_str), NAMES);
    let mut line = format!("{}: {names}; {} {}", peer_text(peer, cluster), at(ports), asked.source);
    for word in &asked.words {
        _ = write!(line, "; {word}");
    }
    match peer {
        Peer::Workload(_) => {}
        Peer::Node(..) => {
            line.push_str(
                "; unstable: nodes come and go, and every hostNetwork pod on it is let in",
            );
        }
        Peer::Endpoint(_) => line.push_str("; unstable: an address, which others may get later"),
    }
    line
}

/// `Deployment shop/web`, `Node worker-1 (10.0.0.7)`
pub(super) fn peer_text(peer: &Peer, cluster: &Cluster) -> String {
    match peer {
        Peer::Workload(id) => display(*id, cluster),
        Peer::Node(name, address) => format!("Node {name} ({address})"),
        Peer::Endpoint(address) => format!("address {address}"),
    }
}

/// `8080/TCP, http/TCP`
pub(super) fn at(ports: &BTreeSet<At>) -> String {
    let text = ports.iter().map(|(port, protocol)| match port {
        PodPort::Number(number) => format!("{number}/{}", protocol.text()),
        PodPort::Name(name) => format!("{name}/{}", protocol.text()),
    });
    text.collect::<Vec<_>>().join(", ")
}

/// At most `most` of them, then `+N more`.
pub(super) fn list<'a>(all: impl Iterator<Item = &'a str> + Clone, most: usize) -> String {
    let mut text = all.clone().take(most).collect::<Vec<_>>().join(", ");
    let more = all.count().saturating_sub(most);
    if more > 0 {
        _ = write!(text, ", +{more} more");
    }
    text
}

/// The annotation: the lines, as many as fit.
pub(super) fn annotation(lines: &[String]) -> String {
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let line = text::yaml_comment(line);
        let more = format!("+{} more\n", lines.len() - index);
        let rest = if index + 1 == lines.len() { 0 } else { more.len() };
        if out.len() + line.len() + 1 + rest > ANNOTATION {
            out.push_str(&more);
            break;
        }
        out.push_str(&line);
        // Each line ends: a YAML writer then keeps them as lines.
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_holds_at_most_4_kib_and_says_how_many_more() {
        for (count, length) in [(1, 10), (100, 50), (41, 99), (40, 102), (3, 5000), (500, 8)] {
            let lines: Vec<String> = (0..count).map(|_| "x".repeat(length)).collect();
            let text = annotation(&lines);
            assert!(text.len() <= ANNOTATION, "{}", text.len());
            let whole = text.lines().filter(|line| line.starts_with('x')).count();
            let more = text.lines().last().and_then(|line| line.strip_prefix('+'));
            let more = more.and_then(|line| line.strip_suffix(" more"));
            let more: usize = more.map_or(0, |n| n.parse().unwrap());
            assert_eq!(whole + more, count);
        }
    }
}
