//! Every client's lookups are themselves a connection: to the DNS pods. A policy that cuts it cuts everything. It never
//! guesses which of several a client asks: what they do not agree on is for `judge` to call unknown.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::cluster::backends::{Port, PortSource};
use crate::cluster::workloads::WorkloadId;
use crate::connections::lookups::Lookups;
use crate::connections::{Client, Connection, Server, ServerKind, Status};
use crate::log::Place;
use crate::policy::closure::At;
use crate::policy::egress_dns::by_labels;

/// CoreDNS's own lookups, those of a cache, and those of nobody known say nothing here.
pub(super) fn is_named(client: &Client) -> bool {
    client.workload.is_some() || client.kind == "Node"
}

/// One client's lookups, to one of [`servers`].
pub(super) fn connection(of: &Lookups, server: &Arc<Server>) -> Connection {
    Connection {
        client: of.client.clone().into(),
        server: Arc::clone(server),
        names: [].into(),
        queries: of.queries,
        lookups: of.lookups,
        failed: of.failed,
        attempts: 0,
        seen: of.seen,
        status: vec![if of.lower_bound { Status::LowerBound } else { Status::Ok }],
        proof: None,
        place: of.place.clone().unwrap_or(Place { path: "".into(), line: 0 }),
    }
}

/// What may answer lookups, with those of its ports that do: the DNS Services that have pods; without one, what is a DNS
/// workload by its labels, as the rule of egress policies has it; without that, a Service that has no pods. Those before
/// the same pods are one.
pub(super) fn servers(cluster: &Cluster) -> Vec<Arc<Server>> {
    let of_services = cluster.dns_services.iter().filter_map(|index| service(*index, cluster));
    let (mut found, empty): (Vec<Server>, Vec<Server>) = of_services.partition(|server| {
        let backends = server.service.and_then(|index| cluster.backends.get(index));
        let mut behind = backends.into_iter().flat_map(|backends| &backends.workloads);
        !server.ports.is_empty() && behind.any(|workload| !workload.pods.is_empty())
    });
    if found.is_empty() {
        found = by_workload(cluster);
    }
    if found.is_empty() {
        found.extend(empty.into_iter().next());
    }
    let mut all: Vec<Arc<Server>> = Vec::new();
    for server in found {
        if !all.iter().any(|known| same_pods(known, &server)) {
            all.push(server.into());
        }
    }
    all
}

fn same_pods(a: &Server, b: &Server) -> bool {
    let ports = |of: &Server| -> Vec<_> {
        of.ports.iter().map(|port| (port.port.clone(), port.protocol)).collect()
    };
    a.workloads == b.workloads && ports(a) == ports(b)
}

fn service(index: usize, cluster: &Cluster) -> Option<Server> {
    let service = cluster.snapshot.services.get(index)?;
    let backends = cluster.backends.get(index)?;
    let answers = |port: &&Port| {
        let of =
            service.ports.iter().filter(|p| p.name == port.name && p.protocol == port.protocol);
        of.into_iter().any(|p| p.port == 53)
    };
    Some(Server {
        kind: ServerKind::Service,
        namespace: service.meta.namespace.clone(),
        name: service.meta.name.clone(),
        ports: backends.ports.iter().filter(answers).cloned().collect(),
        workloads: backends.workloads.iter().map(|b| b.workload).collect(),
        in_snapshot: Some(true),
        service: Some(index),
    })
}

/// Each stands for the Service before it, which the snapshot lacks, and bears the workload's name.
fn by_workload(cluster: &Cluster) -> Vec<Server> {
    let server = |(id, (ports, _)): (WorkloadId, (BTreeSet<At>, PortSource))| {
        let workload = cluster.workloads.get(id);
        let port = |(port, protocol)| Port { port, protocol, name: String::new() };
        Server {
            kind: ServerKind::Service,
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
            ports: ports.into_iter().map(port).collect(),
            workloads: vec![id],
            in_snapshot: Some(false),
            service: None,
        }
    };
    by_labels(cluster).into_iter().map(server).collect()
}
