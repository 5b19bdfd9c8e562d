//! One NetworkPolicy → which pods it selects, and its rules with every default made plain. No rule of a policy that the API
//! would refuse matches anything: it must not make anything allowed.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pods::{Bits, Pods};
use super::refused::refused;
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
    /// Indices of peers; `None`: everybody; none: nobody.
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
    let is_refused = refused(policy).is_some();
    let mut rule = |peers: &_, ports: &_| match is_refused {
        true => Rule { peers: Some(Vec::new()), ports: None },
        false => self::rule(namespace, peers, ports, pods),
    };
    let (is_ingress, is_egress) = directions(policy);
    let ingress = is_ingress.then(|| {
        let rules = spec.ingress.iter().flatten();
        rules.map(|one| rule(&one.from, &one.ports)).collect::<Vec<_>>()
    });
    let egress = is_egress.then(|| {
        let rules = spec.egress.iter().flatten();
        rules.map(|one| rule(&one.to, &one.ports)).collect::<Vec<_>>()
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

pub(super) fn protocol(word: Option<&str>) -> Option<Protocol> {
    match word {
        None | Some("TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}
