//! Report → the names outside the cluster that a workload asked for, as `toFQDNs`, and what the rule for DNS must
//! have so that Cilium learns their addresses. It invents no port and no pattern: every name is one that was asked and answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::object::{Ends, Fqdn, Lookups, Pattern, Port, PortRule, Rule};
use super::rules::{in_namespace, split};
use crate::cluster::Cluster;
use crate::cluster::backends::PodPort;
use crate::cluster::model::{Protocol, Service};
use crate::cluster::workloads::WorkloadId;
use crate::connections::{Connection, Report, ServerKind, Status};
use crate::name::{self, Shape};
use crate::policy::Direction;
use crate::policy::egress_dns;
use crate::policy::evidence::display;
use crate::policy::selectors::Selectors;

/// What one workload asked for outside the cluster.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Ports (none: not known) → the names.
    names: BTreeMap<Vec<Port>, BTreeSet<String>>,
    /// What cannot be said by name, and why: lower-case fragments.
    pub(super) left_out: BTreeSet<String>,
}

/// By the workload that asked.
pub(super) fn outside(report: &Report, cluster: &Cluster) -> BTreeMap<WorkloadId, Outside> {
    let mut all: BTreeMap<WorkloadId, Outside> = BTreeMap::new();
    for connection in &report.connections {
        let Some(id) = connection.client.workload else { continue };
        let service = connection.server.service.and_then(|i| cluster.snapshot.services.get(i));
        let alias = service.filter(|s| s.kind == "ExternalName" || !s.external_name.is_empty());
        if connection.server.kind != ServerKind::External && alias.is_none() {
            continue;
        }
        let outside = all.entry(id).or_default();
        let found = match alias {
            Some(service) => aliased(connection, service, cluster),
            None => asked(connection).map(|name| (vec![name], Vec::new())),
        };
        match found {
            Ok((names, ports)) => outside.names.entry(ports).or_default().extend(names),
            Err(reason) => {
                let server = &connection.server;
                let shown = match server.kind {
                    ServerKind::External => server.name.clone(),
                    _ => format!("{} {}/{}", server.kind.word(), server.namespace, server.name),
                };
                outside.left_out.insert(format!("{shown} cannot be said by toFQDNs: {reason}"));
            }
        }
    }
    close(&mut all, cluster);
    all
}

/// A selector may match the pods of several workloads: a name stands only if each of them asked for it, with the same ports.
fn close(all: &mut BTreeMap<WorkloadId, Outside>, cluster: &Cluster) {
    let mut selectors = Selectors::new(cluster);
    let mut strangers: Vec<(WorkloadId, Vec<Port>, String, WorkloadId)> = Vec::new();
    for (id, outside) in all.iter() {
        let Ok(selector) = selectors.of(*id) else { continue };
        for other in selector.matched.iter().filter(|other| *other != id) {
            let own = all.get(other).map(|other| &other.names);
            for (ports, names) in &outside.names {
                let same = own.and_then(|own| own.get(ports));
                let lacks = |name: &&String| same.is_none_or(|same| !same.contains(*name));
                let lacking = names.iter().filter(lacks).cloned();
                strangers.extend(lacking.map(|name| (*id, ports.clone(), name, *other)));
            }
        }
    }
    for (id, ports, name, stranger) in strangers {
        let Some(outside) = all.get_mut(&id) else { continue };
        if let Some(names) = outside.names.get_mut(&ports) {
            names.remove(&name);
        }
        outside.names.retain(|_, names| !names.is_empty());
        let stranger = display(stranger, cluster);
        outside.left_out.insert(format!(
            "{name} cannot be said by toFQDNs: the policy's selector also fits pods that did not \
             ask for it, of {stranger}"
        ));
    }
}

/// A name outside the cluster, if it was the one that Cilium would see.
fn asked(connection: &Connection) -> Result<String, String> {
    let proof = proven(connection)?;
    let name = &connection.server.name;
    check(name)?;
    match proof.iter().any(|proven| **proven == **name) {
        true => Ok(name.clone()),
        // cilium#20191
        false => Err(
            "CoreDNS's autopath answers it under another name, which is all that Cilium would see"
                .into(),
        ),
    }
}

/// Of a Service of type ExternalName: Cilium files an answer under the name that was asked, not under those that CNAMEs
/// lead to (cilium#30588), so both stand there. The ports are those that the Service declares.
fn aliased(
    connection: &Connection,
    service: &Service,
    cluster: &Cluster,
) -> Result<(Vec<String>, Vec<Port>), String> {
    let target = service.external_name.trim_end_matches('.').to_ascii_lowercase();
    if name::shape(&target, &cluster.domains) != Shape::External {
        return Err("it leads into the cluster, where names are not looked at".into());
    }
    check(&target)?;
    let mut names = vec![target];
    for name in proven(connection)? {
        check(name)?;
        names.push(name.to_string());
    }
    let ports: BTreeSet<Port> = service
        .ports
        .iter()
        .filter(|port| port.port != 0)
        .map(|port| Port { port: port.port.to_string(), protocol: port.protocol.text().into() })
        .collect();
    Ok((names, ports.into_iter().collect()))
}

fn proven(connection: &Connection) -> Result<&[Arc<str>], String> {
    if connection.status.contains(&Status::OutcomeUnknown) {
        return Err("the log does not say whether it was answered".into());
    }
    let proof = connection.proof.as_ref();
    proof.map(|proof| &*proof.names).ok_or_else(|| {
        "who asked had an address that finished pods also held, and lines have no times".into()
    })
}

/// Whether Cilium takes it for a `matchName` that has addresses.
fn check(name: &str) -> Result<(), String> {
    if name.starts_with('_') {
        return Err("an SRV name has no address, and the log does not say where it leads".into());
    }
    let legal = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    match name.len() <= 253 && name.split('.').all(legal) {
        true => Ok(()),
        false => Err("Cilium takes only letters, digits, - and _ in a name".into()),
    }
}

impl Outside {
    /// Whether nothing can be said by name.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names whose ports are not known.
    pub(super) fn without_ports(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.get(&Vec::new()).into_iter().flatten().map(String::as_str)
    }

    /// Ports as text, and names, for the comment.
    pub(super) fn shown(&self) -> impl Iterator<Item = (String, Vec<&str>)> {
        self.names.iter().map(|(ports, names)| {
            let ports = ports.iter().map(|port| format!("{}/{}", port.port, port.protocol));
            let ports = ports.collect::<Vec<_>>().join(", ");
            (ports, names.iter().map(String::as_str).collect())
        })
    }

    /// One rule for each list of ports. `toFQDNs` stands alone in its rule.
    pub(super) fn rules(&self) -> impl Iterator<Item = Rule> {
        self.names.iter().map(|(ports, names)| Rule::Allow {
            direction: Direction::Egress,
            ends: Ends::Fqdns(names.iter().map(|name| Fqdn { match_name: name.clone() }).collect()),
            ports: split(ports),
        })
    }
}

/// DNS pods: how Cilium would select them, and where they answer lookups.
pub(super) type DnsPods = Vec<(LabelSelector, BTreeSet<Port>)>;

/// Those of the cluster, as the rule for DNS of every egress policy has them.
pub(super) fn dns_pods(cluster: &Cluster) -> DnsPods {
    let mut selectors = Selectors::new(cluster);
    let pods = egress_dns::pods(cluster).into_iter();
    pods.filter_map(|(id, (at, _))| {
        let selector = selectors.of(id).ok()?;
        let namespace = &cluster.workloads.get(id).namespace;
        let port = |(port, protocol): (PodPort, Protocol)| Port {
            port: match port {
                PodPort::Number(number) => number.to_string(),
                PodPort::Name(name) => name,
            },
            protocol: protocol.text().into(),
        };
        let selector = in_namespace(namespace, &selector.selector).ok()?;
        Some((selector, at.into_iter().map(port).collect()))
    })
    .collect()
}

/// Leads the lookups through Cilium's DNS proxy, which is how it learns addresses: those to each of the DNS pods, whichever
/// answers. `false`: no rule is for lookups. The pattern is `*`: a resolver tries its search path first, and a refusal
/// there would end the lookup (cilium#8697, cilium#11034).
pub(super) fn watch_lookups(rules: &mut [Rule], dns_pods: &DnsPods) -> bool {
    // Another rule may lead to the same pods: to their metrics.
    let is_dns = |selector: &LabelSelector, ports: &BTreeSet<Port>| {
        dns_pods.iter().any(|(own, at)| own == selector && at == ports)
    };
    let cache = ["TCP", "UDP"].map(|p| Port { port: "53".into(), protocol: p.into() });
    let cache = BTreeSet::from(cache);
    let (mut to_pods, mut all) = (false, Vec::new());
    for rule in rules {
        let Rule::Allow { ends, ports, .. } = rule else { continue };
        let through = match ends {
            Ends::Endpoints(list) => {
                let flat = flat(ports);
                let through = list.iter().all(|selector| is_dns(selector, &flat));
                to_pods |= through;
                through
            }
            // A cache in front of them, on the pod's own node.
            Ends::Entities(list) => list == &["host"] && flat(ports) == cache,
            Ends::Cidrs(_) => flat(ports) == cache,
            Ends::Fqdns(_) => false,
        };
        if through {
            all.extend(ports);
        }
    }
    for ports in all.into_iter().filter(|_| to_pods) {
        ports.rules = Some(Lookups { dns: vec![Pattern { match_pattern: "*" }] });
    }
    to_pods
}

fn flat(ports: &[PortRule]) -> BTreeSet<Port> {
    ports.iter().flat_map(|rule| rule.ports.iter().cloned()).collect()
}
