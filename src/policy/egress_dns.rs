//! The rule without which an egress policy cuts everything: to the cluster's own DNS pods, as the snapshot shows them.
//! It is never guessed: their own labels, the ports on those pods, and nothing that only looks like DNS.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::closure::At;
use super::comment::{self, SHOWN};
use super::evidence::{KUBECTL, display, words};
use super::object::{Rule, block, pods_of, ports};
use super::selectors::{Selectors, is_on_host, present};
use crate::cluster::Cluster;
use crate::cluster::backends::{PodPort, PortSource};
use crate::cluster::model::Protocol;
use crate::cluster::workloads::WorkloadId;

/// What clients ask; the pods' own port may be another one.
const PORT: u16 = 53;
/// Where a NodeLocal DNSCache listens unless it was told otherwise, which no snapshot shows.
const CACHE: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));

/// The rules to the cluster's DNS, the same in every egress policy.
#[derive(Debug)]
pub(super) struct Dns {
    pub(super) rules: Vec<Rule>,
    /// To whose pods they lead.
    pub(super) workloads: Vec<WorkloadId>,
    /// One line a peer, for the comment.
    pub(super) lines: Vec<String>,
}

/// The rules, or why there are none: then no egress policy can be written.
pub(super) fn dns(cluster: &Cluster, selectors: &mut Selectors<'_>) -> Result<Dns, String> {
    let found = pods(cluster);
    if found.is_empty() {
        return Err(format!(
            "the snapshot shows no DNS pods with their ports, and without DNS nothing works; they are among: {KUBECTL}"
        ));
    }
    let mut dns = Dns { rules: Vec::new(), workloads: Vec::new(), lines: Vec::new() };
    for (id, (at, source)) in found {
        let name = display(id, cluster);
        if is_on_host(cluster, id) {
            return Err(format!("{name} answers DNS on hostNetwork, where no selector matches it"));
        }
        let selector = selectors.of(id).map_err(|why| format!("{name} answers DNS, and {why}"))?;
        let strangers = selector.matched.iter().filter(|other| !cluster.is_dns_workload(**other));
        let strangers: Vec<String> = strangers.map(|other| display(*other, cluster)).collect();
        if !strangers.is_empty() {
            let list = comment::list(strangers.iter().map(String::as_str), SHOWN);
            return Err(format!("{name} answers DNS, and its labels also fit pods of {list}"));
        }
        let namespace = &cluster.workloads.get(id).namespace;
        dns.lines.push(format!("{name}: {} {}", comment::at(&at), words(source)));
        dns.workloads.push(id);
        dns.rules.push((vec![pods_of(namespace, &selector.selector)], ports(&at)));
    }
    if let Some(addresses) = cache(cluster) {
        let text: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let at = both(PORT);
        dns.lines.push(format!(
            "DaemonSet node-local-dns, on every node: {}; {}; assumed: no snapshot shows where it listens",
            text.join(", "),
            comment::at(&at)
        ));
        dns.rules.push((addresses.into_iter().map(block).collect(), ports(&at)));
    }
    Ok(dns)
}

/// Where a NodeLocal DNSCache is assumed to answer, on port 53 by both protocols; `None`: the cluster has none. It is on
/// its node's network, where no selector matches it.
pub(super) fn cache(cluster: &Cluster) -> Option<BTreeSet<IpAddr>> {
    caches(cluster).next()?;
    let services = cluster.dns_services.iter();
    let services = services.filter_map(|index| cluster.snapshot.services.get(*index));
    let own = services.flat_map(|service| &service.cluster_ips).map(IpAddr::to_canonical);
    Some(own.chain([CACHE]).collect())
}

/// The DaemonSets whose pods are such caches.
pub(super) fn caches(cluster: &Cluster) -> impl Iterator<Item = WorkloadId> {
    let all = cluster.workloads.iter().map(|(id, _)| id);
    all.filter(|id| is_cache(cluster, *id))
}

/// DNS workloads that have pods, their ports, and how those were found.
pub(super) type Found = BTreeMap<WorkloadId, (BTreeSet<At>, PortSource)>;

/// What answers lookups, and on which ports: by the DNS Services, else by labels.
pub(super) fn pods(cluster: &Cluster) -> Found {
    let found = behind_services(cluster);
    if found.is_empty() { by_labels(cluster) } else { found }
}

/// What stands behind the DNS Services, and what their port 53 is there.
fn behind_services(cluster: &Cluster) -> Found {
    let mut found = Found::new();
    for &index in &cluster.dns_services {
        let (Some(service), Some(backends)) =
            (cluster.snapshot.services.get(index), cluster.backends.get(index))
        else {
            continue;
        };
        for behind in backends.workloads.iter().filter(|behind| !behind.pods.is_empty()) {
            let asked = service.ports.iter().filter(|p| p.port == PORT && is_dns(p.protocol));
            let at = asked.flat_map(|asked| {
                let same = behind.ports.iter();
                let same = same.filter(|p| p.name == asked.name && p.protocol == asked.protocol);
                same.map(|port| (port.port.clone(), port.protocol))
            });
            add(&mut found, behind.workload, at, backends.source);
        }
    }
    found
}

/// With pods alone, what their labels say, and the ports that their containers call so.
pub(super) fn by_labels(cluster: &Cluster) -> Found {
    let mut found = Found::new();
    for (id, workload) in cluster.workloads.iter() {
        if !cluster.is_dns_workload(id) || is_cache(cluster, id) {
            continue;
        }
        let containers = present(cluster, workload).flat_map(|pod| &pod.containers);
        let named = containers.flat_map(|container| &container.ports).filter(|port| {
            is_dns(port.protocol)
                && (port.port == PORT || matches!(port.name.as_str(), "dns" | "dns-tcp"))
        });
        let at = named.map(|port| (PodPort::Number(port.port), port.protocol));
        add(&mut found, id, at, PortSource::Containers);
    }
    found
}

/// Every port by both protocols: an answer that is too long for UDP comes by TCP.
fn add(found: &mut Found, id: WorkloadId, at: impl Iterator<Item = At>, source: PortSource) {
    let mut at: BTreeSet<At> = at.collect();
    for (port, _) in at.clone() {
        if let PodPort::Number(number) = port {
            at.extend(both(number));
        }
    }
    if !at.is_empty() {
        found.entry(id).or_insert_with(|| (BTreeSet::new(), source)).0.extend(at);
    }
}

fn both(port: u16) -> BTreeSet<At> {
    [Protocol::Tcp, Protocol::Udp].map(|protocol| (PodPort::Number(port), protocol)).into()
}

fn is_dns(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Udp | Protocol::Tcp)
}

fn is_cache(cluster: &Cluster, id: WorkloadId) -> bool {
    let workload = cluster.workloads.get(id);
    workload.is_node_local_dns() && cluster.snapshot.dns_namespaces.contains(&workload.namespace)
}
