//! One NetworkPolicy → which pods it selects, and its rules with every default made plain. What the API would refuse
//! matches nothing here; [`refused`] says why.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pods::{Bits, Pods};
use crate::cluster::model::{NetworkPolicy, Protocol};

/// A policy, made ready.
pub(super) struct Compiled {
    /// The pods it selects.
    pub(super) subject: Bits,
    /// `None`: it does not bear on this direction. Empty: it denies everything.
    pub(super) egress: Option<Vec<Rule>>,
    pub(super) ingress: Option<Vec<Rule>>,
}

/// A rule.
pub(super) struct Rule {
    /// Indices of peers; `None`: everybody.
    pub(super) peers: Option<Vec<usize>>,
    /// `None`: all ports of all protocols.
    pub(super) ports: Option<Vec<PortRule>>,
}

/// An item of `ports`.
pub(super) struct PortRule {
    /// `None`: one that the API does not know.
    pub(super) protocol: Option<Protocol>,
    pub(super) ports: PortSet,
}

pub(super) enum PortSet {
    All,
    Range(u16, u16),
    Name(String),
}

/// An item of `from` or `to`: the pods that it surely matches, those that it may match (the former among them), and the
/// addresses.
pub(super) struct Peer {
    pub(super) sure: Bits,
    pub(super) may: Bits,
    pub(super) block: Option<Block>,
}

/// `ipBlock`
pub(super) struct Block {
    cidr: IpNet,
    except: Vec<IpNet>,
}

impl Block {
    pub(super) fn read(block: &IPBlock) -> Option<Block> {
        let except = block.except.iter().flatten().map(|text| text.parse().ok());
        Some(Block { cidr: block.cidr.parse().ok()?, except: except.collect::<Option<_>>()? })
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.cidr.contains(&address) && !self.except.iter().any(|net| net.contains(&address))
    }

    /// Whether some of these addresses are in it, exceptions aside.
    pub(super) fn touches(&self, net: &IpNet) -> bool {
        self.cidr.contains(net) || net.contains(&self.cidr)
    }
}

pub(super) fn compile(policy: &NetworkPolicy, pods: &mut Pods<'_>) -> Compiled {
    let (spec, namespace) = (&policy.spec, policy.meta.namespace.as_str());
    let ingress = || {
        let rules = spec.ingress.iter().flatten();
        rules.map(|rule| self::rule(namespace, &rule.from, &rule.ports, pods)).collect::<Vec<_>>()
    };
    let (is_ingress, is_egress) = directions(policy);
    let ingress = is_ingress.then(ingress);
    let egress = is_egress.then(|| {
        let rules = spec.egress.iter().flatten();
        rules.map(|rule| self::rule(namespace, &rule.to, &rule.ports, pods)).collect()
    });
    // A selector that is missing is an empty one: all pods of the namespace.
    let everything = LabelSelector::default();
    let subject = pods.subject(namespace, spec.pod_selector.as_ref().unwrap_or(&everything));
    Compiled { subject, egress, ingress }
}

/// Whether it bears on ingress, on egress. Without `policyTypes`: on ingress always, on egress if it has egress rules.
fn directions(policy: &NetworkPolicy) -> (bool, bool) {
    match policy.spec.policy_types.as_deref() {
        None | Some([]) => (true, policy.spec.egress.iter().flatten().next().is_some()),
        Some(types) => {
            let has = |word: &str| types.iter().any(|one| one == word);
            (has("Ingress"), has("Egress"))
        }
    }
}

/// Lists that are missing and lists that are empty mean the same: everything.
fn rule(
    namespace: &str,
    peers: &Option<Vec<NetworkPolicyPeer>>,
    ports: &Option<Vec<NetworkPolicyPort>>,
    pods: &mut Pods<'_>,
) -> Rule {
    let peers = peers.as_ref().filter(|peers| !peers.is_empty());
    let ports = ports.as_ref().filter(|ports| !ports.is_empty());
    Rule {
        peers: peers.map(|peers| peers.iter().map(|peer| pods.peer(namespace, peer)).collect()),
        ports: ports.map(|ports| ports.iter().map(port).collect()),
    }
}

fn port(port: &NetworkPolicyPort) -> PortRule {
    let number = |n: i32| u16::try_from(n).unwrap_or(0);
    let ports = match &port.port {
        None => PortSet::All,
        Some(IntOrString::Int(first)) => {
            PortSet::Range(number(*first), number(port.end_port.unwrap_or(*first)))
        }
        Some(IntOrString::String(name)) => PortSet::Name(name.clone()),
    };
    PortRule { protocol: protocol(port.protocol.as_deref()), ports }
}

fn protocol(word: Option<&str>) -> Option<Protocol> {
    match word {
        None | Some("TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

/// Why the API would not take a policy, as far as what it allows is concerned: a lower-case fragment.
pub fn refused(policy: &NetworkPolicy) -> Option<String> {
    let spec = &policy.spec;
    let types = spec.policy_types.iter().flatten();
    if let Some(word) = types.clone().find(|word| *word != "Ingress" && *word != "Egress") {
        return Some(format!("policyTypes: {word} is neither Ingress nor Egress"));
    }
    let ingress = spec.ingress.iter().flatten().map(|rule| ("from", &rule.from, &rule.ports));
    let egress = spec.egress.iter().flatten().map(|rule| ("to", &rule.to, &rule.ports));
    let why = spec.pod_selector.as_ref().and_then(bad_selector);
    why.map(|why| format!("podSelector: {why}")).or_else(|| {
        ingress.chain(egress).find_map(|(word, peers, ports)| {
            let peer = peers.iter().flatten().find_map(bad_peer);
            let port = || ports.iter().flatten().find_map(bad_port);
            peer.map(|why| format!("{word}: {why}"))
                .or_else(|| port().map(|why| format!("ports: {why}")))
        })
    })
}

fn bad_peer(peer: &NetworkPolicyPeer) -> Option<String> {
    let selectors = [&peer.namespace_selector, &peer.pod_selector];
    match &peer.ip_block {
        Some(_) if selectors.iter().any(|selector| selector.is_some()) => {
            Some("an item with ipBlock cannot have selectors too".into())
        }
        Some(block) => Block::read(block).is_none().then(|| "ipBlock: no CIDR".into()),
        None if selectors.iter().all(|selector| selector.is_none()) => {
            Some("an item without selector and without ipBlock".into())
        }
        None => selectors.into_iter().flatten().find_map(bad_selector),
    }
}

fn bad_selector(selector: &LabelSelector) -> Option<String> {
    selector.match_expressions.iter().flatten().find_map(|one| {
        let values = one.values.iter().flatten().count();
        match one.operator.as_str() {
            "In" | "NotIn" => (values == 0).then(|| format!("{} needs values", one.operator)),
            "Exists" | "DoesNotExist" => {
                (values > 0).then(|| format!("{} takes no values", one.operator))
            }
            other => Some(format!("{other} is no operator")),
        }
    })
}

fn bad_port(port: &NetworkPolicyPort) -> Option<String> {
    let is_port = |number: i32| (1..=65535).contains(&number);
    if protocol(port.protocol.as_deref()).is_none() {
        return Some("the protocol is none of TCP, UDP, SCTP".into());
    }
    match (&port.port, port.end_port) {
        (Some(IntOrString::Int(number)), _) if !is_port(*number) => {
            Some(format!("{number} is no port"))
        }
        (Some(IntOrString::Int(first)), Some(last)) if !is_port(last) || last < *first => {
            Some(format!("endPort {last} does not fit port {first}"))
        }
        (Some(IntOrString::String(_)) | None, Some(_)) => {
            Some("endPort needs a port that is a number".into())
        }
        _ => None,
    }
}
