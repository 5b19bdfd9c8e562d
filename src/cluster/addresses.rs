//! Address + time → who held it (SEMANTICS 4). Two owners that fit are both named, never guessed between.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::lifetimes::Lifetime;
use super::model::{Node, Pod, Snapshot};
use super::moves;
use super::spans::{Claim, Span, spans};
use super::workloads::{WorkloadId, Workloads};
use crate::time::Time;

/// Who held which address when.
#[derive(Debug, Default)]
pub struct Addresses {
    held: HashMap<IpAddr, Held>,
    /// Whether a NodeLocal DNSCache stands in front of the cluster's DNS.
    dns_cache: bool,
}

#[derive(Debug)]
enum Held {
    Node(NodeHold),
    Pods {
        spans: Vec<Span>,
        /// The times, ascending, at which another set of pods fits.
        changes: Vec<Time>,
        /// Of several snapshots, others have it as a node's.
        node: Option<Shared>,
    },
}

#[derive(Debug)]
struct NodeHold {
    /// The node's name.
    name: String,
    /// Of several snapshots, the time of the last that has it so.
    seen: Option<Time>,
}

/// An address that some snapshots have as a node's, and others as a pod's.
#[derive(Debug)]
struct Shared {
    /// The node's name.
    name: String,
    /// It is surely a pod's from here on: the node is known to be gone.
    until: Time,
}

/// Who an address was, over a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// One workload's pods.
    Workload {
        /// The workload.
        workload: WorkloadId,
        /// The pods that fit, indices in `snapshot.pods`, ascending.
        pods: Vec<usize>,
        /// Untimed, beside finished pods of another workload that held the address too: shown, but evidence for no policy.
        shared: bool,
    },
    /// Pods of several workloads fit: sorted. One alone: it held the address during a part of the stretch, and nobody that
    /// is known during the rest; or a node may have held it instead.
    Ambiguous(Vec<WorkloadId>),
    /// A node, or what stands for it (hostNetwork pods, tunnel and bridge addresses): the node's name.
    Node(String),
    /// A NodeLocal DNSCache: its lookups are forwarding. The node's name, or the address itself.
    DnsCache(String),
    /// CoreDNS itself, or a process beside it.
    Loopback,
    /// Nobody in the snapshot.
    Unknown,
}

impl Addresses {
    /// Indexes the snapshot's pods and nodes. `lifetimes` are those of its pods.
    pub fn new(snapshot: &Snapshot, workloads: &Workloads, lifetimes: &[Lifetime]) -> Addresses {
        let mut held = nodes(snapshot);
        let mut holders: Vec<(IpAddr, Claim)> = Vec::with_capacity(snapshot.pods.len());
        // A hostNetwork pod's address is its node's, which `nodes` has.
        for (index, pod) in snapshot.pods.iter().enumerate().filter(|(_, pod)| !pod.host_network) {
            let workload = workloads.of_pod[index];
            let holds = moves::holds(pod, &lifetimes[index]).into_iter();
            holders.extend(holds.map(|(ip, life)| (ip, Claim { pod: index, workload, life })));
        }
        holders.sort_by_key(|(address, claim)| (*address, claim.pod));
        holders.dedup();
        held.reserve(holders.len());
        let mut claims = Vec::new();
        for of_one in holders.chunk_by(|(one, _), (next, _)| one == next) {
            claims.clear();
            claims.extend(of_one.iter().map(|(_, claim)| *claim));
            let address = of_one[0].0;
            let node = match held.get(&address) {
                Some(Held::Node(node)) if is_on_it(snapshot, node, &claims) => continue,
                Some(Held::Node(node)) => Some(shared(snapshot, node, &claims)),
                _ => None,
            };
            let spans = spans(&claims);
            let bounds = spans.iter().flat_map(|span| [span.begin, span.end]);
            let bounds = bounds.chain(node.as_ref().map(|node| node.until));
            let finite = bounds.filter(|bound| *bound != Time::MIN && *bound != Time::MAX);
            let mut changes: Vec<Time> = finite.collect();
            changes.sort_unstable();
            changes.dedup();
            held.insert(address, Held::Pods { changes, spans, node });
        }
        bridges(snapshot, &mut held);
        Addresses { held, dns_cache: dns_cache(snapshot, workloads) }
    }

    /// Who held `address` over the whole of `seen` (first to last time of a tally row; `None`: the record has no time).
    pub fn holder(&self, address: IpAddr, seen: Option<(Time, Time)>) -> Holder {
        let address = address.to_canonical();
        if address.is_loopback() {
            return Holder::Loopback;
        }
        match self.held.get(&address) {
            Some(Held::Node(node)) => self.node(&node.name),
            Some(Held::Pods { spans, changes, node }) => {
                let holder = match seen {
                    None => untimed(spans),
                    Some((a, b)) => timed(spans, changes, a.min(b), a.max(b)),
                };
                let may_be = |node: &&Shared| seen.is_none_or(|(a, b)| a.min(b) < node.until);
                match (node.as_ref().filter(may_be), holder) {
                    (Some(node), Holder::Unknown) => self.node(&node.name),
                    (Some(_), Holder::Workload { workload, .. }) => {
                        Holder::Ambiguous(vec![workload])
                    }
                    (_, holder) => holder,
                }
            }
            None if self.dns_cache && is_link_local(address) => {
                Holder::DnsCache(address.to_string())
            }
            None => Holder::Unknown,
        }
    }

    fn node(&self, name: &str) -> Holder {
        match self.dns_cache {
            true => Holder::DnsCache(name.to_owned()),
            false => Holder::Node(name.to_owned()),
        }
    }

    /// Every pod that may have held `address` at some moment of `seen` (`None`: ever), and its workload.
    pub fn may_have_held(
        &self,
        address: IpAddr,
        seen: Option<(Time, Time)>,
    ) -> impl Iterator<Item = (WorkloadId, usize)> {
        let spans = match self.held.get(&address.to_canonical()) {
            Some(Held::Pods { spans, .. }) => spans.as_slice(),
            _ => &[],
        };
        let fits = move |span: &&Span| {
            seen.is_none_or(|(first, last)| span.begin <= last && first < span.end)
        };
        spans.iter().filter(fits).map(|span| (span.workload, span.pod))
    }

    /// Whether some pod had this address, at whatever time, and not because it shares its node's.
    pub fn is_a_pods(&self, address: IpAddr) -> bool {
        matches!(self.held.get(&address.to_canonical()), Some(Held::Pods { .. }))
    }

    /// Whether the snapshot has this address at all, at whatever time: a pod's, a node's, a tunnel's or a bridge's.
    /// Loopback says nothing about which cluster this is, and is not known.
    pub fn knows(&self, address: IpAddr) -> bool {
        self.held.contains_key(&address.to_canonical())
    }

    /// When another set of pods fits this address; `None`: the snapshot does not have it.
    pub fn changes_of(&self, address: IpAddr) -> Option<&[Time]> {
        self.held.get(&address.to_canonical()).map(Held::changes)
    }

    /// Every address that the snapshot has, and when another set of pods fits it: a record at a change or later stands
    /// behind it.
    pub fn changes(&self) -> impl Iterator<Item = (IpAddr, &[Time])> {
        self.held.iter().map(|(address, held)| (*address, held.changes()))
    }
}

impl Held {
    fn changes(&self) -> &[Time] {
        match self {
            Held::Node(_) => &[],
            Held::Pods { changes, .. } => changes,
        }
    }
}

/// The addresses of nodes, of their tunnels, and of the pods that share them; and those that they had before.
fn nodes(snapshot: &Snapshot) -> HashMap<IpAddr, Held> {
    let on_host = || snapshot.pods.iter().filter(|pod| pod.host_network);
    let now = snapshot.nodes.iter().flat_map(of_node).chain(on_host().flat_map(of_pod));
    let former_nodes = snapshot.nodes.iter().flat_map(|node| &node.former).flat_map(of_node);
    let former_pods = on_host().flat_map(|pod| &pod.former).flat_map(of_pod);
    let mut held: HashMap<IpAddr, Held> = HashMap::new();
    for (address, name, seen) in now.chain(former_nodes).chain(former_pods) {
        let address = address.to_canonical();
        if let Some(Held::Node(known)) = held.get_mut(&address) {
            known.seen = known.seen.zip(seen).map(|(one, other)| one.max(other));
            continue;
        }
        let name = if name.is_empty() { address.to_string() } else { name.to_owned() };
        held.insert(address, Held::Node(NodeHold { name, seen }));
    }
    held
}

/// Each address that this makes a node's, the node's name, and when it was last seen so.
fn of_node(node: &Node) -> impl Iterator<Item = (IpAddr, &str, Option<Time>)> {
    let all = node.addresses.iter().copied().chain(tunnels(node));
    all.map(|address| (address, node.meta.name.as_str(), node.seen))
}

fn of_pod(pod: &Pod) -> impl Iterator<Item = (IpAddr, &str, Option<Time>)> {
    let seen = pod.seen.map(|(_, last)| last);
    pod.addresses.iter().map(move |address| (*address, pod.node.as_str(), seen))
}

/// Whether a pod that claims a node's address stands on it, and is not believed: the same snapshot has both.
fn is_on_it(snapshot: &Snapshot, node: &NodeHold, claims: &[Claim]) -> bool {
    let has_both = |life: &Lifetime| {
        node.seen.is_some() && life.first_seen <= node.seen && node.seen <= life.last_seen
    };
    snapshot.moments.len() < 2 || claims.iter().any(|claim| has_both(&claim.life))
}

/// A node's address that pods have in other snapshots. It is theirs since one of them surely came after the node, if a
/// later snapshot lists nodes and none has it.
fn shared(snapshot: &Snapshot, node: &NodeHold, claims: &[Claim]) -> Shared {
    let lists = |seen: Time| snapshot.moments.iter().any(|m| m.nodes && m.time > Some(seen));
    let until = node.seen.filter(|seen| lists(*seen)).and_then(|seen| {
        let since = |Claim { life, .. }: &Claim| {
            let first = life.first_seen.filter(|first| *first > seen)?;
            Some(life.made_again.or(life.sure).filter(|sure| *sure > seen).unwrap_or(first))
        };
        claims.iter().filter_map(since).min()
    });
    Shared { name: node.name.clone(), until: until.unwrap_or(Time::MAX) }
}

/// What flannel and Calico write on a node: its tunnel's address, with or without a prefix length.
fn tunnels(node: &Node) -> impl Iterator<Item = IpAddr> {
    let by_cni = |key: &str| {
        key.starts_with("flannel.alpha.coreos.com/") || key.starts_with("projectcalico.org/")
    };
    node.meta.annotations.iter().filter(move |(key, _)| by_cni(key)).filter_map(|(_, value)| {
        value.split_once('/').map_or(value, |(address, _)| address).parse().ok()
    })
}

/// The first two addresses of a node's pod range are its tunnel's (`.0`) and its bridge's (`.1`), unless a pod has one.
fn bridges(snapshot: &Snapshot, held: &mut HashMap<IpAddr, Held>) {
    for node in &snapshot.nodes {
        for range in &node.pod_cidrs {
            let first = range.network();
            let second = match first {
                IpAddr::V4(v4) => IpAddr::V4(v4.to_bits().wrapping_add(1).into()),
                IpAddr::V6(v6) => IpAddr::V6(v6.to_bits().wrapping_add(1).into()),
            };
            for address in [first, second].into_iter().filter(|address| range.contains(address)) {
                held.entry(address).or_insert_with(|| {
                    Held::Node(NodeHold { name: node.meta.name.clone(), seen: node.seen })
                });
            }
        }
    }
}

/// Whether the DNS namespace has the DaemonSet node-local-dns; its pods' owner references are enough to know.
fn dns_cache(snapshot: &Snapshot, workloads: &Workloads) -> bool {
    workloads.list.iter().any(|workload| {
        workload.is_node_local_dns() && snapshot.dns_namespaces.contains(&workload.namespace)
    })
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_link_local())
}

fn timed(spans: &[Span], changes: &[Time], first: Time, last: Time) -> Holder {
    let fits = spans.iter().filter(|span| span.begin <= last && first < span.end);
    let holder = one_workload(fits);
    let nobody_at = |time: Time| !spans.iter().any(|span| span.begin <= time && time < span.end);
    let from = changes.partition_point(|change| *change <= first);
    let to = changes.partition_point(|change| *change <= last);
    match holder {
        // One workload over a part of the stretch, nobody over the rest: whose records these are is not known.
        Holder::Workload { workload, .. }
            if nobody_at(first) || changes[from..to].iter().any(|change| nobody_at(*change)) =>
        {
            Holder::Ambiguous(vec![workload])
        }
        holder => holder,
    }
}

/// A record without a time fits every pod that ever held the address; beside one that is still there, those that
/// finished only make it shared. One that was deleted while it ran is as likely as the one that came after it.
fn untimed(spans: &[Span]) -> Holder {
    if !spans.iter().any(|span| span.running) {
        return one_workload(spans.iter());
    }
    match one_workload(spans.iter().filter(|span| !span.finished)) {
        Holder::Workload { workload, pods, .. } => {
            let shared = spans.iter().any(|span| span.workload != workload);
            Holder::Workload { workload, pods, shared }
        }
        holder => holder,
    }
}

/// Two pods of one workload are one owner.
fn one_workload<'a>(spans: impl Iterator<Item = &'a Span>) -> Holder {
    let (mut workloads, mut pods): (Vec<_>, Vec<_>) =
        spans.map(|span| (span.workload, span.pod)).unzip();
    workloads.sort_unstable();
    workloads.dedup();
    pods.sort_unstable();
    pods.dedup();
    match workloads[..] {
        [] => Holder::Unknown,
        [workload] => Holder::Workload { workload, pods, shared: false },
        _ => Holder::Ambiguous(workloads),
    }
}

#[cfg(test)]
mod tests;
