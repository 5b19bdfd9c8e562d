//! What of the evidence selectors can say without saying more. A selector may match pods of several workloads, on
//! either side: a right stands only if it is evidence for every pair of workloads that it would reach. That is the same
//! for both directions: an ingress policy's subject is the server, an egress policy's the client.
//!
//! The result is the largest part of the evidence with that property, so it does not depend on any order, and less
//! evidence never gives more rights. It drops rights; it never adds one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::cluster::backends::PodPort;
use crate::cluster::model::Protocol;
use crate::cluster::workloads::WorkloadId;

/// The other end: who connects (ingress), or what is connected to (egress).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Workload(WorkloadId),
    /// Ingress, `--allow-nodes`: one address of one node.
    Node(String, IpAddr),
    /// Egress: one endpoint of Services that select no pods (the API server).
    Endpoint(IpAddr),
}

impl Peer {
    /// The workload that selectors stand for; an address needs none.
    pub(super) fn workload(&self) -> Option<WorkloadId> {
        match self {
            Peer::Workload(id) => Some(*id),
            Peer::Node(..) | Peer::Endpoint(_) => None,
        }
    }
}

/// Where it connects to, on the server's pods.
pub(super) type At = (PodPort, Protocol);

/// Subject, peer, port: one thing that a policy allows.
pub(super) type Right = (WorkloadId, Peer, At);

/// Why a right was dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stranger {
    /// The peer's selector matches this workload's pods too.
    OfPeer(WorkloadId),
    /// The subject's selector matches this workload's pods too.
    OfSubject(WorkloadId),
}

/// What stands, and what does not.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) kept: BTreeSet<Right>,
    /// (subject, peer) → the ports that were dropped, and the strangers that stood in the way.
    pub(super) dropped: BTreeMap<(WorkloadId, Peer), (BTreeSet<At>, BTreeSet<Stranger>)>,
}

/// `matched`: the workloads that a workload's selector matches, itself included.
pub(super) fn close(
    evidence: BTreeSet<Right>,
    matched: &BTreeMap<WorkloadId, BTreeSet<WorkloadId>>,
) -> Closed {
    let mut closed = Closed { kept: evidence, dropped: BTreeMap::new() };
    loop {
        let kept = &closed.kept;
        let lost: Vec<_> = kept
            .iter()
            .map(|right| (right.clone(), strangers(right, kept, matched)))
            .filter(|(_, strangers)| !strangers.is_empty())
            .collect();
        if lost.is_empty() {
            return closed;
        }
        for (right, strangers) in lost {
            closed.kept.remove(&right);
            let (subject, peer, at) = right;
            let dropped = closed.dropped.entry((subject, peer)).or_default();
            dropped.0.insert(at);
            dropped.1.extend(strangers);
        }
    }
}

/// The workloads that would get this right, or be opened by it, without evidence.
fn strangers(
    (subject, peer, at): &Right,
    kept: &BTreeSet<Right>,
    matched: &BTreeMap<WorkloadId, BTreeSet<WorkloadId>>,
) -> BTreeSet<Stranger> {
    let peers: Vec<Peer> = match peer.workload().and_then(|id| matched.get(&id)) {
        Some(all) if all.len() > 1 => all.iter().copied().map(Peer::Workload).collect(),
        _ => vec![peer.clone()],
    };
    let own = BTreeSet::from([*subject]);
    let subjects = matched.get(subject).unwrap_or(&own);
    let mut found = BTreeSet::new();
    if peers.len() == 1 && subjects.len() == 1 {
        return found;
    }
    for other in &peers {
        for &opened in subjects {
            if kept.contains(&(opened, other.clone(), at.clone())) {
                continue;
            }
            if opened != *subject {
                found.insert(Stranger::OfSubject(opened));
            } else {
                found.extend(other.workload().map(Stranger::OfPeer));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(subject: u32, peer: u32, port: u16) -> Right {
        let at = (PodPort::Number(port), Protocol::Tcp);
        (WorkloadId(subject), Peer::Workload(WorkloadId(peer)), at)
    }

    fn check(evidence: &[Right], overlaps: &[(u32, &[u32])], expected: &[Right]) -> Closed {
        let matched = overlaps
            .iter()
            .map(|(id, others)| {
                let all = others.iter().chain([id]).copied().map(WorkloadId).collect();
                (WorkloadId(*id), all)
            })
            .collect();
        let closed = close(evidence.iter().cloned().collect(), &matched);
        assert_eq!(closed.kept, expected.iter().cloned().collect());
        closed
    }

    #[test]
    fn without_overlaps_everything_stands() {
        let all = [right(1, 2, 80), right(1, 3, 81)];
        assert!(check(&all, &[], &all).dropped.is_empty());
    }

    #[test]
    fn a_peer_that_matches_a_stranger_goes_and_the_stranger_is_named() {
        let closed = check(&[right(1, 2, 80), right(1, 3, 80)], &[(2, &[9])], &[right(1, 3, 80)]);
        let (ports, strangers) = &closed.dropped[&(WorkloadId(1), Peer::Workload(WorkloadId(2)))];
        assert_eq!(ports.len(), 1);
        assert_eq!(strangers, &BTreeSet::from([Stranger::OfPeer(WorkloadId(9))]));
    }

    #[test]
    fn peers_that_match_each_other_keep_the_ports_that_both_asked_for() {
        check(
            &[right(1, 2, 80), right(1, 2, 81), right(1, 3, 80)],
            &[(2, &[3])],
            &[right(1, 2, 80), right(1, 3, 80)],
        );
    }

    #[test]
    fn subjects_that_match_each_other_keep_the_peers_that_both_have() {
        let closed = check(
            &[right(1, 2, 80), right(1, 3, 80), right(5, 2, 80)],
            &[(1, &[5])],
            &[right(1, 2, 80), right(5, 2, 80)],
        );
        let (_, strangers) = &closed.dropped[&(WorkloadId(1), Peer::Workload(WorkloadId(3)))];
        assert_eq!(strangers, &BTreeSet::from([Stranger::OfSubject(WorkloadId(5))]));
    }

    #[test]
    fn what_rests_on_a_dropped_right_is_dropped() {
        // 2 matches 3, 3 matches a stranger.
        check(&[right(1, 2, 80), right(1, 3, 80)], &[(2, &[3]), (3, &[9])], &[]);
    }
}
