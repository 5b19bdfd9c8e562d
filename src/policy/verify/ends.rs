//! A connection → the pods (or addresses) of both its ends and the ports of each; or why they cannot be named.

use crate::cluster::Cluster;
use crate::cluster::aliases::Lead;
use crate::cluster::backends::{PodPort, Port};
use crate::cluster::endpoints::written_by_hand;
use crate::cluster::model::Pod;
use crate::cluster::workloads::WorkloadId;
use crate::connections::{Client, Server, ServerKind};
use crate::policy::evaluate::{At, End};

/// An end of a connection and its name: untrusted text.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) end: End,
    pub(super) name: String,
}

/// What may answer.
pub(super) enum Servers {
    /// Each with its possible ports, never none.
    Inside(Vec<(Named, Vec<At>)>),
    /// Somewhere outside the cluster, on ports that nobody knows.
    Outside,
}

/// The pods that asked; else the workload's present pods. A node: its addresses.
pub(super) fn clients(client: &Client, cluster: &Cluster) -> Result<Vec<Named>, String> {
    let unknown = |why: &str| Err(why.to_owned());
    let Some(workload) = client.workload else {
        return match client.kind.as_str() {
            "Node" => Ok(client
                .ips
                .iter()
                .map(|ip| Named { end: End::Address(*ip), name: ip.to_string() })
                .collect()),
            "Ambiguous" => unknown("the client may be one of several"),
            "DNSCache" => unknown("a DNS cache asked: the pods behind it are not known"),
            "Loopback" => unknown("a process beside CoreDNS asked"),
            _ => unknown("the snapshot does not know the client"),
        };
    };
    let pods = &cluster.workloads.get(workload).pods;
    let named = |wanted: &dyn Fn(usize, &Pod) -> bool| -> Vec<Named> {
        let all =
            pods.iter().filter_map(|index| Some((*index, cluster.snapshot.pods.get(*index)?)));
        all.filter(|(index, pod)| wanted(*index, pod)).map(|(index, pod)| of(index, pod)).collect()
    };
    let seen = named(&|_, pod| client.pods.binary_search(&pod.meta.name).is_ok());
    if !seen.is_empty() {
        return Ok(seen);
    }
    match named(&|index, _| cluster.is_present(index)) {
        none if none.is_empty() => unknown("the snapshot has no pod of the client"),
        present => Ok(present),
    }
}

fn of(index: usize, pod: &Pod) -> Named {
    Named { end: End::Pod(index), name: pod.meta.name.clone() }
}

/// What may answer, or why that is not known.
pub(super) fn servers(server: &Server, cluster: &Cluster) -> Result<Servers, String> {
    let lead = server.service.and_then(|index| cluster.leads_to(index));
    let found = match server.kind {
        ServerKind::External => return Ok(Servers::Outside),
        ServerKind::Service if lead == Some(Lead::Outside) => return Ok(Servers::Outside),
        ServerKind::Service if lead == Some(Lead::Nowhere) => {
            return Err("the snapshot does not have what this ExternalName leads to".into());
        }
        ServerKind::Service => match (server.service, lead) {
            // The alias itself says no port that counts: each of those at its end may be meant.
            (_, Some(Lead::Service(end))) => {
                let ports = cluster.backends.get(end).map(|b| b.ports.clone());
                behind(end, &ports.unwrap_or_default(), cluster)
            }
            (Some(index), _) => behind(index, &server.ports, cluster),
            (None, _) => inferred(server, cluster),
        },
        ServerKind::Pod => {
            let pods = server.workloads.iter().flat_map(|id| &cluster.workloads.get(*id).pods);
            let is_it = |index: &&usize| {
                let pod = cluster.snapshot.pods.get(**index);
                pod.is_some_and(|pod| pod.meta.name == server.name)
            };
            with_ports(pods.filter(is_it).copied(), &server.ports, cluster)
        }
        ServerKind::Namespace => Vec::new(),
    };
    if server.in_snapshot == Some(false) && found.is_empty() {
        return Err("the snapshot does not have the server".into());
    }
    if found.is_empty() {
        return Err("the snapshot has no pod behind the server".into());
    }
    let open: Vec<_> = found.into_iter().filter(|(_, ports)| !ports.is_empty()).collect();
    if open.is_empty() {
        return Err("no ports are known of the server".into());
    }
    Ok(Servers::Inside(open))
}

/// The pods behind a Service; of one without a selector, what its slices list: a pod where one holds the address.
fn behind(index: usize, asked: &[Port], cluster: &Cluster) -> Vec<(Named, Vec<At>)> {
    let Some(backends) = cluster.backends.get(index) else { return Vec::new() };
    let is_meant =
        |port: &&Port| asked.iter().any(|p| p.name == port.name && p.protocol == port.protocol);
    let mut found = Vec::new();
    for backend in &backends.workloads {
        // A workload's own ports, of those that were asked for.
        let ports: Vec<Port> = backend.ports.iter().filter(is_meant).cloned().collect();
        found.extend(with_ports(backend.pods.iter().copied(), &ports, cluster));
    }
    for (address, listed) in written_by_hand(cluster, index) {
        let ports: Vec<Port> = listed.ports.into_iter().filter(|port| is_meant(&port)).collect();
        if !listed.pods.is_empty() {
            found.extend(with_ports(listed.pods.into_iter(), &ports, cluster));
            continue;
        }
        let number = |port: &Port| match port.port {
            PodPort::Number(number) => Some(At { port: number, protocol: port.protocol }),
            PodPort::Name(_) => None,
        };
        let end = End::Address(address);
        let named = Named { end, name: address.to_string() };
        found.push((named, ports.iter().filter_map(number).collect()));
    }
    found
}

/// A Service that the snapshot lacks, and whose workload was inferred.
fn inferred(server: &Server, cluster: &Cluster) -> Vec<(Named, Vec<At>)> {
    let present = |id: &WorkloadId| {
        let pods = cluster.workloads.get(*id).pods.iter().copied();
        pods.filter(|pod| cluster.is_present(*pod)).collect::<Vec<_>>()
    };
    let pods: Vec<usize> = server.workloads.iter().flat_map(present).collect();
    with_ports(pods.into_iter(), &server.ports, cluster)
}

/// Pods and their ports: a name is what each pod's containers call it.
fn with_ports(
    pods: impl Iterator<Item = usize>,
    ports: &[Port],
    cluster: &Cluster,
) -> Vec<(Named, Vec<At>)> {
    let on = |index: usize| {
        let pod = cluster.snapshot.pods.get(index)?;
        let mut all: Vec<At> = ports.iter().flat_map(|port| numbers(port, pod)).collect();
        all.sort_unstable();
        all.dedup();
        Some((of(index, pod), all))
    };
    pods.filter_map(on).collect()
}

fn numbers(port: &Port, pod: &Pod) -> Vec<At> {
    let protocol = port.protocol;
    match &port.port {
        PodPort::Number(port) => vec![At { port: *port, protocol }],
        PodPort::Name(name) => {
            let all = pod.containers.iter().flat_map(|container| &container.ports);
            let same = all.filter(|p| p.name == *name && p.protocol == protocol);
            same.map(|p| At { port: p.port, protocol }).collect()
        }
    }
}
