//! Whom a lookup may have led to beside the Service's own pods: what somebody wrote down, what an alias leads to, what the
//! EndpointSlices of a Service that the snapshot lacks list. None of it is evidence, since whoever may write that says where
//! it leads; but a policy that forgets it would cut what was seen.

use std::collections::BTreeSet;

use super::evidence::Unsaid;
use crate::cluster::Cluster;
use crate::cluster::aliases::Lead;
use crate::cluster::endpoints::{foreign_pods, listed_pods, written_by_hand};
use crate::cluster::workloads::WorkloadId;
use crate::connections::{Server, ServerKind};

/// The workloads, each with how it came about.
pub(super) fn beside(server: &Server, cluster: &Cluster) -> Vec<(WorkloadId, Unsaid)> {
    let Some(service) = server.service else { return listed(server, cluster) };
    let by_hand = written_down(service, cluster).into_iter().map(|id| (id, Unsaid::ByHand));
    let foreign = cluster.workloads.owners(foreign_pods(cluster, service));
    let foreign = foreign.into_iter().filter(|id| !server.workloads.contains(id));
    let foreign = foreign.map(|id| (id, Unsaid::Foreign));
    let by_alias = led_to(service, cluster).into_iter().map(|id| (id, Unsaid::Alias));
    by_hand.chain(foreign).chain(by_alias).collect()
}

/// The workloads whose pods stand in the EndpointSlices of a Service that the snapshot lacks, but for what was inferred.
fn listed(server: &Server, cluster: &Cluster) -> Vec<(WorkloadId, Unsaid)> {
    if server.kind != ServerKind::Service {
        return Vec::new();
    }
    let pods = listed_pods(cluster, &server.namespace, &server.name);
    let owners = cluster.workloads.owners(pods).into_iter();
    owners.filter(|id| !server.workloads.contains(id)).map(|id| (id, Unsaid::Listed)).collect()
}

/// The workloads whose pods somebody wrote down as endpoints of this Service, which selects none.
fn written_down(service: usize, cluster: &Cluster) -> BTreeSet<WorkloadId> {
    let listed = written_by_hand(cluster, service);
    cluster.workloads.owners(listed.into_values().flat_map(|listed| listed.pods))
}

/// The workloads behind the Service that an ExternalName leads to.
fn led_to(service: usize, cluster: &Cluster) -> BTreeSet<WorkloadId> {
    let Some(Lead::Service(end)) = cluster.leads_to(service) else { return BTreeSet::new() };
    let behind = cluster.backends.get(end).into_iter().flat_map(|all| &all.workloads);
    let foreign = cluster.workloads.owners(foreign_pods(cluster, end));
    let own = behind.map(|backend| backend.workload).chain(foreign);
    own.chain(written_down(end, cluster)).collect()
}
