//! Report × Cluster → who asked for which workload, on which of its pods' ports; and what of it no policy can say.
//! Nothing is widened here: a client that is not one workload, a server without pods or ports, is named instead.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::beside::beside;
use super::closure::{At, Peer};
use super::{Options, comment, labels};
use crate::cluster::Cluster;
use crate::cluster::aliases::Lead;
use crate::cluster::backends::{PodPort, Port, PortSource};
use crate::cluster::model::Snapshot;
use crate::cluster::ports::declared;
use crate::cluster::workloads::WorkloadId;
use crate::connections::{Client, Connection, Proof, Report, Server, ServerKind, Status};

/// What gives a snapshot everything that policies need.
pub(super) const KUBECTL: &str = "kubectl get pods,services,namespaces,endpointslices,nodes,replicasets,\
                       deployments,statefulsets,daemonsets,jobs,cronjobs,networkpolicies,\
                       ingresses,configmaps -A -o json";

/// The evidence, by subject.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) subjects: BTreeMap<WorkloadId, Subject>,
    /// What of which servers is no evidence: namespace, `Service shop/legacy`, the reason.
    pub(super) servers: BTreeSet<(String, String, String)>,
}

/// What one workload was asked for.
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub(super) peers: BTreeMap<Peer, BTreeMap<String, Asked>>,
    /// Kind of trouble, a lower-case fragment → the other ends that are in it.
    pub(super) unsaid: BTreeMap<String, BTreeSet<String>>,
}

/// What one peer asked one server for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) names: BTreeSet<String>,
    pub(super) ports: BTreeSet<At>,
    /// How the ports were found: words for the comment.
    pub(super) source: &'static str,
    /// Statuses that a reader of the policy must know.
    pub(super) words: BTreeSet<&'static str>,
}

/// Why a client that was seen is in no policy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsaid {
    Unknown,
    Ambiguous,
    Node,
    DnsCache,
    Loopback,
    Shared,
    OutcomeUnknown,
    NoPorts,
    ExternalIps,
    ByHand,
    Foreign,
    Listed,
    MayBe,
    Alias,
}

/// Whoever lost a Service's name may have asked for any.
const LOST: &str = "names that were answered were given up, and may have led to it; raise --max-names, and give kico tally the snapshot; they asked";

impl Unsaid {
    /// A lower-case fragment, before the clients' names.
    fn words(self) -> &'static str {
        match self {
            Unsaid::Unknown => "clients that the snapshot does not know asked for it",
            Unsaid::Ambiguous => "clients that may be one of several workloads asked for it",
            Unsaid::Node => {
                "nodes (hostNetwork pods, or traffic behind their address) asked for it"
            }
            Unsaid::DnsCache => {
                "pods behind a DNS cache asked for it; capture the caches' own logs"
            }
            Unsaid::Loopback => "a process beside CoreDNS asked for it",
            Unsaid::Shared => {
                "an address was also held by finished pods, and lines have no times; asked for it"
            }
            Unsaid::OutcomeUnknown => {
                "the log does not say whether they were answered; asked for it"
            }
            Unsaid::NoPorts => "no ports are known of what they asked for",
            Unsaid::ExternalIps => "they asked for a Service with externalIPs",
            Unsaid::ByHand => {
                "they asked for a Service without selector, and somebody wrote its pods down as endpoints"
            }
            Unsaid::Foreign => {
                "they asked for a Service that does not select its pods, and somebody wrote those down as endpoints"
            }
            Unsaid::Listed => {
                "they asked for a Service that the snapshot does not have, and whose EndpointSlices list its pods"
            }
            Unsaid::MayBe => {
                "they asked for an address that was its own and others' in turn, and whose it was then is not known"
            }
            Unsaid::Alias => {
                "they asked for an ExternalName that leads to it, and whoever may write that says where it leads"
            }
        }
    }
}

/// What stands behind a server.
pub(super) struct Behind {
    pub(super) workloads: Vec<(WorkloadId, Vec<Port>)>,
    pub(super) source: &'static str,
    /// That it was inferred.
    pub(super) word: Option<&'static str>,
}

/// Goes through the report once.
pub(super) fn gather(report: &Report, cluster: &Cluster, options: &Options<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    // Many connections have one server.
    let mut found: HashMap<*const Server, Found> = HashMap::new();
    for connection in &report.connections {
        let server = &connection.server;
        if !matches!(server.kind, ServerKind::Service | ServerKind::Pod) {
            continue;
        }
        let found = found
            .entry(Arc::as_ptr(server))
            .or_insert_with(|| (behind(server, cluster), beside(server, cluster)));
        let mut refuse = |reason: String| {
            let entry = (server.namespace.clone(), display_server(server), reason);
            evidence.servers.insert(entry);
        };
        let foreign = server.service.and_then(|index| cluster.backends.get(index));
        let foreign = foreign.map(|backends| backends.foreign.as_slice()).unwrap_or_default();
        if !foreign.is_empty() {
            let list = foreign.iter().map(String::as_str);
            let list = comment::list(list, comment::SHOWN);
            refuse(format!("endpoints that are not its own pods are no evidence: {list}"));
        }
        match &found.0 {
            Ok(behind) => {
                for (workload, ports) in &behind.workloads {
                    let subject = evidence.subjects.entry(*workload).or_default();
                    subject.add(connection, ports, behind, cluster, options);
                }
            }
            Err(reason) => refuse(reason.clone()),
        }
        // No right comes of it, and yet these connections would be cut.
        for (workload, trouble) in &found.1 {
            let subject = evidence.subjects.entry(*workload).or_default();
            subject.unsaid(*trouble, &connection.client, cluster);
        }
        for workload in may_be(connection, cluster) {
            let subject = evidence.subjects.entry(workload).or_default();
            subject.unsaid(Unsaid::MayBe, &connection.client, cluster);
        }
    }
    let askers = &report.totals.lost_askers;
    if !askers.is_empty() {
        for subject in evidence.subjects.values_mut() {
            let clients = subject.unsaid.entry(LOST.into()).or_default();
            clients.extend(askers.iter().cloned());
        }
    }
    evidence
}

/// What stands behind a server, and whom asking for it may have led to.
type Found = (Result<Behind, String>, Vec<(WorkloadId, Unsaid)>);

/// Of an address that several pods have held, asked for as `pod` names do: whose it may have been then.
fn may_be(connection: &Connection, cluster: &Cluster) -> BTreeSet<WorkloadId> {
    let server = &connection.server;
    let is_nobodys = server.kind == ServerKind::Pod && server.workloads.is_empty();
    let address = is_nobodys.then(|| server.name.parse().ok()).flatten();
    let held = address.map(|ip| cluster.addresses.may_have_held(ip, connection.seen));
    held.into_iter().flatten().map(|(workload, _)| workload).collect()
}

impl Subject {
    fn add(
        &mut self,
        connection: &Connection,
        ports: &[Port],
        behind: &Behind,
        cluster: &Cluster,
        options: &Options<'_>,
    ) {
        let server = &connection.server;
        let client = &connection.client;
        let is = |status| connection.status.contains(&status);
        let mut unsaid = |trouble: Unsaid| self.unsaid(trouble, client, cluster);
        if is(Status::OutcomeUnknown) {
            return unsaid(Unsaid::OutcomeUnknown);
        }
        // Some of its records may still be proof.
        if is(Status::SharedAddress) {
            unsaid(Unsaid::Shared);
        }
        let peers = match peers(client, cluster, options.allow_nodes) {
            Ok(peers) => peers,
            Err(trouble) => return unsaid(trouble),
        };
        let Some(proof) = &connection.proof else { return unsaid(Unsaid::Shared) };
        if service(server, cluster).is_some_and(|service| !service.external_ips.is_empty()) {
            return unsaid(Unsaid::ExternalIps);
        }
        let ports = behind.asked_for(ports, proof);
        if ports.is_empty() {
            return unsaid(Unsaid::NoPorts);
        }
        for peer in peers {
            self.allow(peer, connection, proof, ports.clone(), behind);
        }
    }

    fn unsaid(&mut self, trouble: Unsaid, client: &Client, cluster: &Cluster) {
        let clients = self.unsaid.entry(trouble.words().into()).or_default();
        clients.insert(display_client(client, cluster));
    }

    /// One peer and one server: what was proven between them.
    pub(super) fn allow(
        &mut self,
        peer: Peer,
        connection: &Connection,
        proof: &Proof,
        ports: BTreeSet<At>,
        behind: &Behind,
    ) {
        let server = display_server(&connection.server);
        let asked = self.peers.entry(peer).or_default().entry(server).or_default();
        asked.names.extend(proof.names.iter().map(|name| name.to_string()));
        asked.ports.extend(ports);
        asked.source = if is_srv(proof) { "as SRV names asked for them" } else { behind.source };
        asked.words.extend(behind.word);
        for status in [Status::OwnerInferred, Status::Widened] {
            let is = connection.status.contains(&status);
            asked.words.extend(is.then_some(status.word()));
        }
    }
}

/// Whether the server was asked for by SRV names alone, which say which ports are meant.
fn is_srv(proof: &Proof) -> bool {
    proof.names.iter().all(|name| name.starts_with('_'))
}

impl Behind {
    /// The ports that were asked for, of those of one workload.
    pub(super) fn asked_for(&self, ports: &[Port], proof: &Proof) -> BTreeSet<At> {
        let asked = ports.iter().filter(|port| !is_srv(proof) || self.names(port, &proof.ports));
        let at = asked.map(|port| (port.port.clone(), port.protocol));
        at.filter(|(port, _)| is_legal(port)).collect()
    }

    /// Whether this port was asked for: by the Service port's name. Where there is no Service no port bears such a name, and
    /// numbers are compared.
    fn names(&self, port: &Port, asked: &[Port]) -> bool {
        let same = |other: &&Port| match self.word {
            None => other.name == port.name,
            Some(_) => other.port == port.port,
        };
        asked.iter().filter(same).any(|other| other.protocol == port.protocol)
    }
}

fn is_legal(port: &PodPort) -> bool {
    match port {
        PodPort::Number(number) => *number != 0,
        PodPort::Name(name) => labels::is_port_name(name),
    }
}

/// The peers that a client is, or what keeps it from being one.
fn peers(client: &Client, cluster: &Cluster, allow_nodes: bool) -> Result<Vec<Peer>, Unsaid> {
    if let Some(workload) = client.workload {
        return Ok(vec![Peer::Workload(workload)]);
    }
    match client.kind.as_str() {
        "Node" if allow_nodes => {
            let own = node_addresses(&client.name, cluster);
            // Only addresses that were seen: a tunnel's or a bridge's stands for pods that are not named here.
            let seen: BTreeSet<IpAddr> = client.ips.iter().map(IpAddr::to_canonical).collect();
            // Nor those of a node that is gone, or that a pod has: whoever has them next would be let in.
            let is_pods = |ip: &IpAddr| cluster.addresses.is_a_pods(*ip);
            let is_own = !seen.is_empty() && seen.is_subset(&own) && !seen.iter().any(is_pods);
            if !is_own || is_gone(&client.name, cluster) {
                return Err(Unsaid::Node);
            }
            Ok(seen.into_iter().map(|ip| Peer::Node(client.name.clone(), ip)).collect())
        }
        "Node" => Err(Unsaid::Node),
        "DNSCache" => Err(Unsaid::DnsCache),
        "Loopback" => Err(Unsaid::Loopback),
        "Ambiguous" => Err(Unsaid::Ambiguous),
        _ => Err(Unsaid::Unknown),
    }
}

/// A node's own addresses: those of its object, and of the hostNetwork pods on it.
pub(super) fn node_addresses(name: &str, cluster: &Cluster) -> BTreeSet<IpAddr> {
    let snapshot = &cluster.snapshot;
    let nodes = snapshot.nodes.iter().filter(|node| node.meta.name == name);
    let pods = snapshot.pods.iter().filter(|pod| pod.host_network && pod.node == name);
    let all = nodes.flat_map(|n| &n.addresses).chain(pods.flat_map(|p| &p.addresses));
    all.map(IpAddr::to_canonical).collect()
}

fn is_gone(node: &str, cluster: &Cluster) -> bool {
    let Snapshot { nodes, moments, .. } = &cluster.snapshot;
    nodes.iter().any(|one| one.meta.name == node && one.is_gone(moments))
}

/// What stands behind a server, or why nothing does that a policy could select.
pub(super) fn behind(server: &Server, cluster: &Cluster) -> Result<Behind, String> {
    if server.kind == ServerKind::Pod {
        if server.workloads.is_empty() {
            let is_a_pods = |ip: IpAddr| cluster.addresses.is_a_pods(ip);
            let why = if server.name.parse().is_ok_and(is_a_pods) {
                "pods of several workloads have held that address, or none did all the time"
            } else {
                "no pod is known to have held that address"
            };
            return Err(why.into());
        }
        let ports = |id: &WorkloadId| (*id, pod_ports(*id, server, cluster));
        let workloads = server.workloads.iter().map(ports).collect();
        return Ok(Behind { workloads, source: words(PortSource::Containers), word: None });
    }
    let Some((index, service)) = server.service.zip(service(server, cluster)) else {
        return inferred(server, cluster);
    };
    match cluster.leads_to(index) {
        None => {}
        Some(Lead::Outside) => {
            return Err("it is an ExternalName: what answers is outside the cluster".into());
        }
        Some(lead) => {
            let end = lead_text(lead, cluster);
            return Err(format!("it is an ExternalName that leads to {end}: that is no evidence"));
        }
    }
    if service.selector.is_empty() {
        return Err("it has no selector: somebody writes its endpoints by hand".into());
    }
    let Some(backends) = cluster.backends.get(index) else {
        return Err("nothing is known to stand behind it".into());
    };
    if backends.workloads.is_empty() {
        return Err("no pod and no template of the snapshot stands behind it".into());
    }
    let workloads = backends.workloads.iter().map(|b| (b.workload, b.ports.clone())).collect();
    Ok(Behind { workloads, source: words(backends.source), word: None })
}

/// A pod's ports, as far as this workload's declare them: pods of two workloads may have borne one name, each in its time.
fn pod_ports(id: WorkloadId, server: &Server, cluster: &Cluster) -> Vec<Port> {
    let mut ports = server.ports.to_vec();
    if server.workloads.len() > 1 {
        let pods = &cluster.workloads.get(id).pods;
        let pods = pods.iter().filter_map(|pod| cluster.snapshot.pods.get(*pod));
        let named = pods.filter(|pod| pod.meta.name == server.name);
        let (own, _) = declared(named.map(|pod| &pod.containers[..]));
        ports.retain(|port| own.contains(port));
    }
    ports
}

/// `Service shop/db`: where an alias leads inside the cluster.
pub(super) fn lead_text(lead: Lead, cluster: &Cluster) -> String {
    match lead {
        Lead::Service(end) => match cluster.snapshot.services.get(end) {
            Some(of) => format!("Service {}/{}", of.meta.namespace, of.meta.name),
            None => String::new(),
        },
        Lead::Outside => "what is outside the cluster".into(),
        Lead::Nowhere => "what the snapshot does not have".into(),
    }
}

/// A Service that only logs know of (DESIGN 3).
fn inferred(server: &Server, cluster: &Cluster) -> Result<Behind, String> {
    let found = cluster.infer_service(&server.namespace, &server.name);
    let found = found.map_err(|reason| format!("{reason}; what policies need: {KUBECTL}"))?;
    let workloads = vec![(found.workload, found.ports)];
    Ok(Behind { workloads, source: words(found.source), word: Some("inferred") })
}

pub(super) fn service<'a>(
    server: &Server,
    cluster: &'a Cluster,
) -> Option<&'a crate::cluster::model::Service> {
    cluster.snapshot.services.get(server.service?)
}

/// How ports were found, after the ports.
pub(super) fn words(source: PortSource) -> &'static str {
    match source {
        PortSource::EndpointSlice => "by EndpointSlice",
        PortSource::TargetPort => "by targetPort",
        PortSource::Containers => "by the containers' ports",
        PortSource::None => "from nowhere",
    }
}

/// `Service shop/db`
pub(super) fn display_server(server: &Server) -> String {
    format!("{} {}/{}", server.kind.word(), server.namespace, server.name)
}

/// `Deployment shop/web`
pub(super) fn display(id: WorkloadId, cluster: &Cluster) -> String {
    let workload = cluster.workloads.get(id);
    format!("{} {}/{}", workload.kind, workload.namespace, workload.name)
}

fn display_client(client: &Client, cluster: &Cluster) -> String {
    match client.workload {
        Some(id) => display(id, cluster),
        None => client.name.clone(),
    }
}
