//! What somebody wrote down as the endpoints of a Service: which address, whose it is, on which ports.
//! It says what is written and who holds it; what may be made of it is for others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Cluster;
use super::model::{EndpointSlice, Service};
use super::ports::{PodPort, Port};

/// One address, in all of a Service's slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The pods that hold it and are still there, but for those of the host's network: indices, ascending.
    pub pods: Vec<usize>,
    /// Whether a pod that is gone, or has ended, held it.
    pub was_held: bool,
    /// Of the ports of its slices those that the Service declares: numbers, sorted, without repetition. A headless one
    /// may declare none; then all.
    pub ports: Vec<Port>,
}

/// The endpoints of a Service that selects no pods, by address. Of any other Service none: there the control plane
/// writes, and [`super::backends`] says what of it counts.
pub fn written_by_hand(cluster: &Cluster, service: usize) -> BTreeMap<IpAddr, Listed> {
    let mut found: BTreeMap<IpAddr, Listed> = BTreeMap::new();
    let Some(of) = cluster.snapshot.services.get(service) else { return found };
    if !of.selector.is_empty() || of.kind == "ExternalName" {
        return found;
    }
    let slices = cluster.slices.get(service).into_iter().flatten();
    for slice in slices.filter_map(|index| cluster.snapshot.slices.get(*index)) {
        let ports = declared(of, slice);
        for address in slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses) {
            found.entry(address.to_canonical()).or_default().ports.extend(ports.iter().cloned());
        }
    }
    if found.is_empty() {
        return found;
    }
    for (index, pod) in cluster.snapshot.pods.iter().enumerate().filter(|(_, p)| !p.host_network) {
        for address in &pod.addresses {
            let Some(listed) = found.get_mut(&address.to_canonical()) else { continue };
            match cluster.is_present(index) {
                true if listed.pods.last() != Some(&index) => listed.pods.push(index),
                true => {}
                false => listed.was_held = true,
            }
        }
    }
    for listed in found.values_mut() {
        listed.ports.sort();
        listed.ports.dedup();
    }
    found
}

/// The pods that stand in the slices of a Service that has a selector, and are not its own: indices of pods that are still
/// there and hold such an address, but for those of the host's network. Somebody wrote them down.
pub fn foreign_pods(cluster: &Cluster, service: usize) -> BTreeSet<usize> {
    let Some(behind) = cluster.backends.get(service).filter(|all| !all.foreign.is_empty()) else {
        return BTreeSet::new();
    };
    let slices = cluster.slices.get(service).into_iter().flatten();
    let slices = slices.filter_map(|index| cluster.snapshot.slices.get(*index));
    let own: BTreeSet<usize> = behind.workloads.iter().flat_map(|b| &b.pods).copied().collect();
    holders(cluster, slices).difference(&own).copied().collect()
}

/// The pods that stand in the slices of a Service that the snapshot lacks, likewise.
pub fn listed_pods(cluster: &Cluster, namespace: &str, service: &str) -> BTreeSet<usize> {
    let slices = cluster.snapshot.slices.iter();
    holders(cluster, slices.filter(|s| s.service == service && s.meta.namespace == namespace))
}

/// The pods that are still there and hold an address of these slices, but for those of the host's network.
fn holders<'a>(
    cluster: &Cluster,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> BTreeSet<usize> {
    let addresses: BTreeSet<IpAddr> = slices
        .flat_map(|slice| &slice.endpoints)
        .flat_map(|endpoint| &endpoint.addresses)
        .map(IpAddr::to_canonical)
        .collect();
    if addresses.is_empty() {
        return BTreeSet::new();
    }
    let pods = cluster.snapshot.pods.iter().enumerate();
    let listed = pods.filter(|(index, pod)| {
        !pod.host_network
            && cluster.is_present(*index)
            && pod.addresses.iter().any(|address| addresses.contains(&address.to_canonical()))
    });
    listed.map(|(index, _)| index).collect()
}

/// A slice's ports, as far as its Service has them.
fn declared(service: &Service, slice: &EndpointSlice) -> Vec<Port> {
    let is_own = |port: &Port| {
        let mut own = service.ports.iter();
        service.ports.is_empty()
            || own.any(|own| own.name == port.name && own.protocol == port.protocol)
    };
    let ports = slice.ports.iter().filter_map(|port| {
        let number = PodPort::Number(port.port?);
        Some(Port { port: number, protocol: port.protocol, name: port.name.clone() })
    });
    ports.filter(is_own).collect()
}
