//! Report × Cluster → what each workload asked for, on which ports of which peers; and what of it no egress policy can
//! say. Nothing is widened here: a name outside the cluster, a node's address, a lookup that may be another's is named
//! instead, and the policy is incomplete.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::closure::Peer;
use super::evidence::{
    Behind, Evidence, Subject, behind, display, display_server, lead_text, node_addresses, service,
    words,
};
use super::selectors::{is_on_host, present};
use super::{Direction, Options, comment};
use crate::cluster::Cluster;
use crate::cluster::aliases::Lead;
use crate::cluster::backends::{Port, PortSource};
use crate::cluster::endpoints::{Listed, written_by_hand};
use crate::cluster::model::Pod;
use crate::cluster::workloads::WorkloadId;
use crate::connections::{Client, Connection, Proof, Report, ServerKind, Status};

pub(super) const EXTERNAL: &str =
    "it asked for names outside the cluster, which no NetworkPolicy can say";
pub(super) const EXTERNAL_NAME: &str =
    "it asked for an ExternalName, whose answer is outside the cluster";
pub(super) const ALIAS: &str = "it asked for an ExternalName that leads into the cluster, and whoever may write that says where it leads";
const NOT_IN_SNAPSHOT: &str = "it asked for what the snapshot does not have";
const NO_BACKENDS: &str = "it asked for what no pod and no template of the snapshot stands behind";
const NO_POD: &str = "it asked for addresses that no one pod is known to have held";
const NO_PORTS: &str = "no ports are known of what it asked for";
const EXTERNAL_IPS: &str = "it asked for a Service with externalIPs";
const FOREIGN: &str = "it asked for a Service with endpoints that are not its own pods";
const ENDPOINTS: &str =
    "it asked for a Service without selector, and no peer can be made of these endpoints";
const NO_ENDPOINTS: &str =
    "it asked for a Service without selector, and the snapshot has no endpoints of it";
const ON_HOST: &str =
    "it asked for pods on hostNetwork, whose nodes' addresses no selector matches";
const OUTCOME_UNKNOWN: &str = "the log does not say whether it was answered; it asked for";
const SHARED: &str = "an address of its pods was also held by other pods, and lines have no times; one of them asked for";
const AMBIGUOUS: &str = "it may be one of several that asked for";
const LOST: &str = "names that it asked for were given up; raise --max-names";
const ELSEWHERE: &str = "its lookups need not reach the cluster's DNS";
const CACHE: &str = "a DNS cache asks for the pods of their node; capture the caches' own logs";
const TRANSLATED: &str = "addresses that stand for pods asked, on the nodes";

/// Goes through the report once.
pub(super) fn gather(report: &Report, cluster: &Cluster) -> Evidence {
    let mut evidence = Evidence::default();
    let mut endpoints: BTreeMap<usize, Endpoints> = BTreeMap::new();
    for connection in &report.connections {
        let client = &connection.client;
        let shared = connection.status.contains(&Status::SharedAddress);
        if shared {
            for id in holders(client, cluster) {
                evidence.lacks(id, SHARED, display_server(&connection.server));
            }
        }
        for id in &client.candidates {
            evidence.lacks(*id, AMBIGUOUS, display_server(&connection.server));
        }
        if let Some(id) = client.workload {
            let subject = evidence.subjects.entry(id).or_default();
            subject.asked(connection, cluster, &mut |index| {
                let of = || Endpoints::of(index, cluster);
                endpoints.entry(index).or_insert_with(of).clone()
            });
            if connection.status.contains(&Status::LowerBound) {
                subject.lacks(LOST, String::new());
            }
        }
    }
    for lookup in report.failed_lookups.iter().filter(|lookup| lookup.lower_bound) {
        for id in lookup.client.workload.iter().chain(&lookup.client.candidates) {
            evidence.lacks(*id, LOST, String::new());
        }
    }
    let behind_nodes = behind_nodes(report, cluster);
    for (&id, subject) in &mut evidence.subjects {
        let pods = &cluster.workloads.get(id).pods;
        for pod in pods.iter().filter_map(|pod| cluster.snapshot.pods.get(*pod)) {
            if matches!(pod.dns_policy.as_str(), "Default" | "None") {
                subject.lacks(ELSEWHERE, format!("dnsPolicy {}", pod.dns_policy));
            }
            if pod.istio_dns {
                subject.lacks(ELSEWHERE, "ISTIO_META_DNS_CAPTURE".into());
            }
            for (words, node) in &behind_nodes {
                // A cache's link-local address does not say which node's it is.
                if pod.node == *node || node.parse::<IpAddr>().is_ok() {
                    subject.lacks(words, node.clone());
                }
            }
        }
    }
    evidence
}

impl Evidence {
    fn lacks(&mut self, id: WorkloadId, words: &str, what: String) {
        self.subjects.entry(id).or_default().lacks(words, what);
    }
}

impl Subject {
    fn lacks(&mut self, words: &str, what: String) {
        let list = self.unsaid.entry(words.into()).or_default();
        list.extend(Some(what).filter(|what| !what.is_empty()));
    }

    /// What one connection of this client gives.
    fn asked(
        &mut self,
        connection: &Connection,
        cluster: &Cluster,
        endpoints: &mut dyn FnMut(usize) -> Endpoints,
    ) {
        let server = &connection.server;
        let shown = display_server(server);
        if connection.status.contains(&Status::OutcomeUnknown) {
            return self.lacks(OUTCOME_UNKNOWN, shown);
        }
        if connection.status.contains(&Status::SharedAddress) {
            self.lacks(SHARED, shown.clone());
        }
        match server.kind {
            ServerKind::External => return self.lacks(EXTERNAL, server.name.clone()),
            // No report by workload has one.
            ServerKind::Namespace => return,
            ServerKind::Pod | ServerKind::Service => {}
        }
        // Without proof it is a shared address's, and said above.
        let Some(proof) = &connection.proof else { return };
        let found = service(server, cluster);
        if let Some((index, service)) = server.service.zip(found) {
            match cluster.leads_to(index) {
                None => {}
                Some(Lead::Outside) => return self.lacks(EXTERNAL_NAME, shown),
                Some(lead) => {
                    return self.lacks(ALIAS, format!("{shown}, to {}", lead_text(lead, cluster)));
                }
            }
            if !service.external_ips.is_empty() {
                return self.lacks(EXTERNAL_IPS, shown);
            }
            if service.selector.is_empty() {
                return self.asked_for_endpoints(connection, proof, endpoints(index));
            }
            let foreign = cluster.backends.get(index).is_some_and(|b| !b.foreign.is_empty());
            if foreign {
                self.lacks(FOREIGN, shown.clone());
            }
        }
        let behind = match (behind(server, cluster), server.kind) {
            (Ok(behind), _) => behind,
            (Err(_), ServerKind::Pod) => return self.lacks(NO_POD, shown),
            (Err(_), _) if found.is_some() => return self.lacks(NO_BACKENDS, shown),
            (Err(_), _) => return self.lacks(NOT_IN_SNAPSHOT, shown),
        };
        for (id, ports) in &behind.workloads {
            let ports = behind.asked_for(ports, proof);
            if is_on_host(cluster, *id) {
                self.lacks(ON_HOST, display(*id, cluster));
            } else if ports.is_empty() {
                self.lacks(NO_PORTS, shown.clone());
            } else {
                self.allow(Peer::Workload(*id), connection, proof, ports, &behind);
            }
        }
    }

    fn asked_for_endpoints(
        &mut self,
        connection: &Connection,
        proof: &Proof,
        endpoints: Endpoints,
    ) {
        let shown = display_server(&connection.server);
        if endpoints.peers.is_empty() && endpoints.others.is_empty() {
            return self.lacks(NO_ENDPOINTS, shown);
        }
        for other in endpoints.others {
            self.lacks(ENDPOINTS, format!("{other} of {shown}"));
        }
        let source = words(PortSource::EndpointSlice);
        let behind = Behind { workloads: Vec::new(), source, word: None };
        for (peer, ports) in endpoints.peers {
            let ports: Vec<Port> = ports.into_iter().collect();
            let ports = behind.asked_for(&ports, proof);
            if ports.is_empty() {
                self.lacks(NO_PORTS, shown.clone());
            } else {
                self.allow(peer, connection, proof, ports, &behind);
            }
        }
    }
}

/// What somebody wrote down as the endpoints of a Service without selector.
#[derive(Clone, Debug, Default)]
struct Endpoints {
    /// Each with the ports of its own slices.
    peers: BTreeMap<Peer, BTreeSet<Port>>,
    /// Addresses that no peer can be made of.
    others: BTreeSet<String>,
}

impl Endpoints {
    fn of(index: usize, cluster: &Cluster) -> Endpoints {
        let mut all = Endpoints::default();
        for (address, listed) in written_by_hand(cluster, index) {
            match peer(address, &listed, cluster) {
                Some(peer) => all.peers.entry(peer).or_default().extend(listed.ports),
                None => _ = all.others.insert(address.to_string()),
            }
        }
        all
    }
}

/// A pod's address stands for its workload, since the pod's next address is another one; any other is an address
/// outside the pods' network. None: a pod's that the snapshot does not have, or has no longer; or no pod could reach it.
fn peer(address: IpAddr, listed: &Listed, cluster: &Cluster) -> Option<Peer> {
    if listed.was_held || !listed.pods.is_empty() {
        let of = |pod: &usize| cluster.workloads.of_pod.get(*pod).copied();
        let workloads: BTreeSet<WorkloadId> = listed.pods.iter().filter_map(of).collect();
        let one = workloads.first().filter(|id| workloads.len() == 1 && !is_on_host(cluster, **id));
        return one.copied().map(Peer::Workload);
    }
    let mut ranges = cluster.snapshot.nodes.iter().flat_map(|node| &node.pod_cidrs);
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let odd = link_local
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unspecified()
        || ranges.any(|range| range.contains(&address));
    (!odd).then_some(Peer::Endpoint(address))
}

/// Every workload that ever held an address of this client, but the client itself.
fn holders(client: &Client, cluster: &Cluster) -> BTreeSet<WorkloadId> {
    let ips: BTreeSet<IpAddr> = client.ips.iter().map(IpAddr::to_canonical).collect();
    let pods = cluster.snapshot.pods.iter().zip(&cluster.workloads.of_pod);
    let has = |pod: &Pod| pod.addresses.iter().any(|ip| ips.contains(&ip.to_canonical()));
    let held =
        pods.filter(|(pod, _)| !pod.host_network && (has(pod) || pod.former.iter().any(has)));
    held.map(|(_, id)| *id).filter(|id| Some(*id) != client.workload).collect()
}

/// The nodes (or addresses) that asked for pods which the log therefore does not show, and how.
fn behind_nodes(report: &Report, cluster: &Cluster) -> BTreeSet<(&'static str, String)> {
    let clients = report.connections.iter().map(|connection| &*connection.client);
    // A pod's owner may be of any kind.
    let clients = clients.filter(|client| client.workload.is_none());
    let behind = |client: &Client| match client.kind.as_str() {
        "DNSCache" => Some((CACHE, client.name.clone())),
        "Node" => {
            let own = node_addresses(&client.name, cluster);
            let mut pods = cluster.snapshot.pods.iter();
            // Its own address is that of its hostNetwork pods, if it has any.
            let explained = client.ips.iter().all(|ip| own.contains(&ip.to_canonical()))
                && pods.any(|pod| pod.host_network && pod.node == client.name);
            (!explained).then(|| (TRANSLATED, client.name.clone()))
        }
        _ => None,
    };
    clients.filter_map(behind).collect()
}

/// Why a workload is never the subject of an egress policy.
pub(super) fn unfit(id: WorkloadId, cluster: &Cluster) -> Option<String> {
    if cluster.is_dns_workload(id) {
        return Some("DNS pods ask servers outside the cluster, which no lookup shows".into());
    }
    let on_host = is_on_host(cluster, id);
    on_host.then(|| "its pods use hostNetwork, where a NetworkPolicy has no effect".into())
}

/// Whom no egress policy is for, and whose lookups nobody can be named for: lower-case fragments.
pub(super) fn notes(
    report: &Report,
    cluster: &Cluster,
    evidence: &Evidence,
    options: &Options<'_>,
) -> Vec<String> {
    let mut silent: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for (id, workload) in cluster.workloads.iter() {
        let runs = present(cluster, workload).next().is_some();
        if runs
            && !evidence.subjects.contains_key(&id)
            && options.wants(Direction::Egress, id)
            && !cluster.is_dns_workload(id)
        {
            let why = match is_on_host(cluster, id) {
                true => "NetworkPolicies have no effect on hostNetwork".into(),
                false => options.of_evidence("no name was answered to them"),
            };
            let name = format!("{}/{}", workload.kind, workload.name);
            silent.entry((&workload.namespace, why)).or_default().push(name);
        }
    }
    let list = |names: &[String]| comment::list(names.iter().map(String::as_str), comment::SHOWN);
    let mut notes: Vec<String> = silent
        .iter()
        .map(|((namespace, why), names)| {
            format!("no egress policy in {namespace}, since {why}, for: {}", list(names))
        })
        .collect();
    let clients = report.connections.iter().map(|connection| &*connection.client);
    let unknown = clients.filter(|c| c.workload.is_none() && c.kind == "Unknown");
    let unknown: BTreeSet<&str> = unknown.map(|client| client.name.as_str()).collect();
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.into_iter().map(str::to_owned).collect();
        notes.push(format!(
            "clients that the snapshot does not know asked too; in whose egress policy that is missing cannot be \
             said: {}",
            list(&unknown)
        ));
    }
    notes
}
