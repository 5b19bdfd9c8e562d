//! One NetworkPolicy → the spec that says the same to Cilium. It adds nothing; what the two cannot say alike is left
//! out and named, and a shape that kico never writes is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::object::{CidrRule, Ends, Port, PortRule, Rule, Spec};
use crate::cluster::Cluster;
use crate::policy::Direction;
use crate::policy::object::NAMESPACE_LABEL;

/// Where Cilium keeps a pod's namespace, among its labels.
const NAMESPACE: &str = "k8s:io.kubernetes.pod.namespace";
/// Cilium refuses longer lists.
const MOST_PORTS: usize = 40;

/// Keys that Cilium keeps out of identities unless told otherwise (its pkg/labelsfilter), or sets itself. A selector
/// that asks for one matches nothing there; one that asks for its absence matches everything.
const NOT_IDENTITY: &[&str] = &[
    "io.kubernetes",
    "io.cilium",
    "kubernetes.io",
    "k8s.io",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/controller-uid",
    "pod-template-generation",
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "annotation",
    "etcd_node",
];

/// The addresses that are more to Cilium than addresses: its CIDR rules never match them (cilium#20550).
#[derive(Debug, Default)]
pub(super) struct Known {
    nodes: BTreeSet<IpAddr>,
    api_server: BTreeSet<IpAddr>,
}

impl Known {
    pub(super) fn new(cluster: &Cluster) -> Known {
        let snapshot = &cluster.snapshot;
        let on_host = snapshot.pods.iter().filter(|pod| pod.host_network);
        let nodes = snapshot.nodes.iter().flat_map(|node| &node.addresses);
        let nodes = nodes.chain(on_host.flat_map(|pod| &pod.addresses));
        let slices = cluster.service("default", "kubernetes");
        let slices = slices.and_then(|index| cluster.slices.get(index)).into_iter().flatten();
        let slices = slices.filter_map(|index| snapshot.slices.get(*index));
        let api_server = slices.flat_map(|slice| &slice.endpoints).flat_map(|e| &e.addresses);
        Known {
            nodes: nodes.map(IpAddr::to_canonical).collect(),
            api_server: api_server.map(IpAddr::to_canonical).collect(),
        }
    }

    /// The entities that a block stands for, if it is one such address.
    fn entities(&self, block: &IPBlock, direction: Direction) -> Option<&'static [&'static str]> {
        let net: IpNet = block.cidr.parse().ok()?;
        let address = net.addr().to_canonical();
        let link_local = matches!(address, IpAddr::V4(v4) if v4.is_link_local());
        match direction {
            _ if net.prefix_len() != net.max_prefix_len() => None,
            Direction::Egress if self.api_server.contains(&address) => Some(&["kube-apiserver"]),
            // A DNS cache on the pod's own node.
            Direction::Egress if link_local => Some(&["host"]),
            _ if self.nodes.contains(&address) => Some(&["host", "remote-node"]),
            _ => None,
        }
    }
}

/// The spec, and what it leaves out: lower-case fragments. Or why there is none.
pub(super) fn spec(
    object: &NetworkPolicy,
    known: &Known,
) -> Result<(Spec, BTreeSet<String>), String> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let from = object.spec.as_ref().ok_or("it is empty")?;
    let types = from.policy_types.as_deref().unwrap_or_default();
    let mut spec = Spec {
        endpoint_selector: prefixed(
            from.pod_selector.as_ref().unwrap_or(&LabelSelector::default()),
        )?,
        ingress: None,
        egress: None,
    };
    let mut left_out = BTreeSet::new();
    for kind in types {
        let direction = if kind == "Ingress" { Direction::Ingress } else { Direction::Egress };
        let mut made = Vec::new();
        let mut asked = 0;
        let mut convert = |peers: &Option<Vec<_>>, ports: &Option<Vec<_>>| -> Result<(), String> {
            asked += 1;
            let peers = peers.as_deref().unwrap_or_default();
            let ports = ports.as_deref().unwrap_or_default();
            made.extend(rules(peers, ports, namespace, direction, known, &mut left_out)?);
            Ok(())
        };
        match direction {
            Direction::Ingress => {
                let mut rules = from.ingress.iter().flatten();
                rules.try_for_each(|rule| convert(&rule.from, &rule.ports))?;
            }
            Direction::Egress => {
                let mut rules = from.egress.iter().flatten();
                rules.try_for_each(|rule| convert(&rule.to, &rule.ports))?;
            }
        }
        if asked == 0 {
            made.push(Rule::Nothing);
        } else if made.is_empty() {
            let reasons: Vec<_> = left_out.into_iter().collect();
            return Err(format!("nothing of it can be said to Cilium: {}", reasons.join(", ")));
        }
        match direction {
            Direction::Ingress => spec.ingress = Some(made),
            Direction::Egress => spec.egress = Some(made),
        }
    }
    if spec.ingress.is_none() && spec.egress.is_none() {
        return Err("it says no direction".into());
    }
    Ok((spec, left_out))
}

/// One rule → one for each kind of end, all with its ports.
fn rules(
    peers: &[NetworkPolicyPeer],
    ports: &[NetworkPolicyPort],
    namespace: &str,
    direction: Direction,
    known: &Known,
    left_out: &mut BTreeSet<String>,
) -> Result<Vec<Rule>, String> {
    if peers.is_empty() || ports.is_empty() {
        return Err("a rule of it is for everybody, or for all ports".into());
    }
    let ports = ports.iter().map(port).collect::<Result<Vec<_>, _>>()?;
    if direction == Direction::Egress {
        let named = ports.iter().filter(|port| port.port.parse::<u16>().is_err());
        left_out.extend(named.map(|port| {
            format!(
                "Cilium up to 1.19 skips an egress rule whose port has a name if pods give it several numbers \
                 (cilium#30003): {}",
                port.port
            )
        }));
    }
    let ports = split(&ports);
    let (mut endpoints, mut entities, mut cidrs) = (Vec::new(), BTreeSet::new(), Vec::new());
    for peer in peers {
        match &peer.ip_block {
            Some(block) => match known.entities(block, direction) {
                Some(own) => entities.extend(own.iter().copied()),
                None => cidrs.push(CidrRule {
                    cidr: block.cidr.clone(),
                    except: block.except.clone().unwrap_or_default(),
                }),
            },
            None => match endpoint(peer, namespace) {
                Ok(selector) => endpoints.push(selector),
                Err(reason) => _ = left_out.insert(reason),
            },
        }
    }
    let entities = entities.into_iter().collect();
    let all = [
        (!endpoints.is_empty()).then_some(Ends::Endpoints(endpoints)),
        Some(Ends::Entities(entities)).filter(|e| *e != Ends::Entities(Vec::new())),
        (!cidrs.is_empty()).then_some(Ends::Cidrs(cidrs)),
    ];
    let rule = |ends| Rule::Allow { direction, ends, ports: ports.clone() };
    Ok(all.into_iter().flatten().map(rule).collect())
}

/// Namespace and labels in one selector. The namespace always stands there, so that the rule says whom it means wherever
/// it is copied to.
fn endpoint(peer: &NetworkPolicyPeer, own: &str) -> Result<LabelSelector, String> {
    let namespace = match &peer.namespace_selector {
        None => own,
        Some(selector) => {
            let labels = selector.match_labels.iter().flatten().collect::<Vec<_>>();
            let expressions = selector.match_expressions.iter().flatten().count();
            match labels.as_slice() {
                [(key, value)] if *key == NAMESPACE_LABEL && expressions == 0 => value.as_str(),
                _ => return Err("a peer's namespace is not said by its name".into()),
            }
        }
    };
    let pods = peer.pod_selector.clone().unwrap_or_default();
    in_namespace(namespace, &pods)
}

/// Pods of these labels in that namespace.
pub(super) fn in_namespace(namespace: &str, pods: &LabelSelector) -> Result<LabelSelector, String> {
    let mut selector = prefixed(pods).map_err(|reason| {
        let labels =
            pods.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
        let labels = labels.collect::<Vec<_>>().join(",");
        format!("the peer {labels} in {namespace} is not selected: {reason}")
    })?;
    let labels = selector.match_labels.get_or_insert_default();
    labels.insert(NAMESPACE.into(), namespace.into());
    Ok(selector)
}

/// The labels as Cilium has them from Kubernetes: without a prefix they might come from anywhere.
fn prefixed(selector: &LabelSelector) -> Result<LabelSelector, String> {
    let key = |key: &String| match is_identity(key) {
        true => Ok(format!("k8s:{key}")),
        false => Err(format!("Cilium keeps the label {key} out of identities")),
    };
    let labels = selector.match_labels.iter().flatten();
    let labels: BTreeMap<String, String> = labels
        .map(|(name, value)| Ok((key(name)?, value.clone())))
        .collect::<Result<_, String>>()?;
    let mut expressions = selector.match_expressions.clone().unwrap_or_default();
    for requirement in &mut expressions {
        requirement.key = key(&requirement.key)?;
    }
    Ok(LabelSelector {
        match_labels: Some(labels).filter(|labels| !labels.is_empty()),
        match_expressions: Some(expressions).filter(|list| !list.is_empty()),
    })
}

fn is_identity(key: &str) -> bool {
    !NOT_IDENTITY.iter().any(|prefix| key.starts_with(prefix))
        && !key.contains("beta.kubernetes.io")
}

/// Lists that Cilium takes.
pub(super) fn split(ports: &[Port]) -> Vec<PortRule> {
    ports.chunks(MOST_PORTS).map(|ports| PortRule { ports: ports.to_vec(), rules: None }).collect()
}

fn port(port: &NetworkPolicyPort) -> Result<Port, String> {
    let number = match &port.port {
        Some(IntOrString::Int(number)) if (1..=65535).contains(number) => number.to_string(),
        // What Cilium would take for a number is none of Kubernetes' names.
        Some(IntOrString::String(name)) if crate::policy::labels::is_port_name(name) => {
            name.clone()
        }
        _ => return Err("a rule of it does not say its ports one by one".into()),
    };
    if port.end_port.is_some() {
        return Err("a rule of it is for a range of ports".into());
    }
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    match protocol {
        "TCP" | "UDP" | "SCTP" => Ok(Port { port: number, protocol: protocol.into() }),
        _ => Err("a rule of it is for an unknown protocol".into()),
    }
}
