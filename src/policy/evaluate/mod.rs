//! What NetworkPolicies allow, exactly as the API documents them: the union of all policies that select an end, both
//! ends, nothing inferred. Pure, and apart from what writes policies, so that one mistake cannot hide another.
//! <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
//!
//! It is three-valued. What a rule would do to a hostNetwork pod is not defined by the API, and what a selector says of a
//! namespace whose labels the snapshot lacks is not known: such a match is a *maybe*, never a yes or a no.
//!
//! Every distinct peer is resolved to a set of pods once; pods that no policy can tell apart form a class, and what one
//! of a class may do is worked out once.

mod compile;
mod nearest;
mod pods;
mod refused;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::rc::Rc;

use hashbrown::HashMap;
use ipnet::IpNet;

use crate::cluster::Cluster;
use crate::cluster::addresses::Holder;
use crate::cluster::model::{NetworkPolicy, Protocol};
use compile::{Compiled, Peer, PortRule, PortSet, Rule};
pub use nearest::{Miss, selector_text};
pub use refused::refused;

/// Which of the two sides of a connection a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Direction {
    Egress,
    Ingress,
}

impl Direction {
    /// The word in every output.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Egress => "egress",
            Direction::Ingress => "ingress",
        }
    }
}

/// A rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// Index of the policy, in the list that the evaluator was given.
    pub policy: usize,
    /// Whether it is one of `spec.ingress` or of `spec.egress`.
    pub direction: Direction,
    /// Its index there.
    pub rule: usize,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Index in `snapshot.pods`.
    Pod(usize),
    /// Something that is no pod: a node, or what stands outside the cluster.
    Address(IpAddr),
}

/// The port that is connected to, as the server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// Its number.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Match {
    #[default]
    No,
    Maybe,
    Yes,
}

/// What the policies say of one side of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Whether it may pass.
    pub passes: Match,
    /// The rules that match, ascending. Empty and passing: no policy isolates that pod from the other end, or none can.
    pub rules: Vec<RuleId>,
}

/// What the policies say of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The client's side.
    pub egress: Side,
    /// The server's side.
    pub ingress: Side,
}

impl Outcome {
    /// Both sides must let it pass.
    pub fn passes(&self) -> Match {
        self.egress.passes.min(self.ingress.passes)
    }
}

/// Policies, made ready to be asked about the pods of one cluster.
pub struct Evaluator<'a> {
    cluster: &'a Cluster,
    /// As given.
    pub policies: &'a [NetworkPolicy],
    compiled: Vec<Compiled>,
    peers: Vec<Peer>,
    /// Pod index → the policies that isolate it, ascending.
    egress_of: Vec<Vec<usize>>,
    ingress_of: Vec<Vec<usize>>,
    /// Pod index → its class; none: hostNetwork, where it counts on which node it is.
    classes: Vec<Option<u32>>,
    known: HashMap<(u32, u32, At), Rc<Outcome>>,
}

const PASSES: Side = Side { passes: Match::Yes, rules: Vec::new() };

impl<'a> Evaluator<'a> {
    /// Resolves every selector.
    pub fn new(cluster: &'a Cluster, policies: &'a [NetworkPolicy]) -> Evaluator<'a> {
        let mut pods = pods::Pods::new(cluster);
        let compiled: Vec<Compiled> =
            policies.iter().map(|policy| compile::compile(policy, &mut pods)).collect();
        let mut egress_of = vec![Vec::new(); cluster.snapshot.pods.len()];
        let mut ingress_of = egress_of.clone();
        for (policy, compiled) in compiled.iter().enumerate() {
            for pod in compiled.subject.iter() {
                for (of, rules) in
                    [(&mut egress_of, &compiled.egress), (&mut ingress_of, &compiled.ingress)]
                {
                    // Rules for pods of the host's network are accepted and, as a rule, have no effect.
                    if rules.is_some() && !cluster.snapshot.pods[pod].host_network {
                        of[pod].push(policy);
                    }
                }
            }
        }
        let peers = pods.finish();
        let classes = pods::classes(cluster, &peers, &egress_of, &ingress_of);
        let known = HashMap::new();
        Evaluator { cluster, policies, compiled, peers, egress_of, ingress_of, classes, known }
    }

    /// Whether a connection passes both ends. The first time for two classes of pods it is worked out.
    pub fn outcome(&mut self, client: End, server: End, at: At) -> Rc<Outcome> {
        let key = match (self.class(client), self.class(server)) {
            (Some(c), Some(s)) if client != server => Some((c, s, at)),
            _ => None,
        };
        if let Some(outcome) = key.and_then(|key| self.known.get(&key)) {
            return Rc::clone(outcome);
        }
        let outcome = Rc::new(self.work_out(client, server, at));
        if let Some(key) = key {
            self.known.insert(key, Rc::clone(&outcome));
        }
        outcome
    }

    /// Pods that no policy can tell apart have one class. `None`: an end whose node counts.
    pub fn class(&self, end: End) -> Option<u32> {
        match end {
            End::Pod(pod) => self.classes.get(pod).copied().flatten(),
            End::Address(_) => None,
        }
    }

    /// The policies that isolate a pod in this direction: everything that none of their rules allows is denied.
    pub fn isolating(&self, direction: Direction, pod: usize) -> &[usize] {
        let of = match direction {
            Direction::Egress => &self.egress_of,
            Direction::Ingress => &self.ingress_of,
        };
        of.get(pod).map_or(&[], Vec::as_slice)
    }

    /// Pods that a policy selects: finished ones and those of the host's network too, ascending.
    pub fn subject(&self, policy: usize) -> impl Iterator<Item = usize> {
        self.compiled.get(policy).into_iter().flat_map(|compiled| compiled.subject.iter())
    }

    /// All rules of all policies that count in their direction.
    pub fn rules(&self) -> impl Iterator<Item = RuleId> {
        self.compiled.iter().enumerate().flat_map(|(policy, compiled)| {
            let of = |direction, rules: &Option<Vec<Rule>>| {
                let count = rules.as_ref().map_or(0, Vec::len);
                (0..count).map(move |rule| RuleId { policy, direction, rule })
            };
            of(Direction::Egress, &compiled.egress).chain(of(Direction::Ingress, &compiled.ingress))
        })
    }

    /// The pods that each of a rule's peers matches, ascending, surely or also maybe: `None` if it names no peers, which
    /// means everybody.
    pub fn peers_of(&self, id: RuleId, least: Match) -> Option<Vec<Vec<usize>>> {
        let pods = |peer: &usize| {
            let peer = self.peers.get(*peer)?;
            Some(if least == Match::Yes { &peer.sure } else { &peer.may }.iter().collect())
        };
        let peers = self.rule(id)?.peers.as_ref()?;
        Some(peers.iter().map(|peer| pods(peer).unwrap_or_default()).collect())
    }

    /// Whether a rule is for everybody.
    pub fn is_for_all(&self, id: RuleId) -> bool {
        self.rule(id).is_some_and(|rule| rule.peers.is_none())
    }

    /// Whether a rule has peers by address.
    pub fn has_block(&self, id: RuleId) -> bool {
        let peers = self.rule(id).and_then(|rule| rule.peers.as_ref());
        let is_block = |peer: &usize| self.peers.get(*peer).is_some_and(|p| p.block.is_some());
        peers.is_some_and(|peers| peers.iter().any(is_block))
    }

    /// Whether a rule lets anything of this network pass on this port, by address; exceptions aside.
    pub fn touches(&self, id: RuleId, net: &IpNet, at: At) -> bool {
        let Some(rule) = self.rule(id) else { return false };
        let server = End::Address(net.network());
        let is_port =
            rule.ports.as_ref().is_none_or(|all| all.iter().any(|p| self.is_port(p, server, at)));
        let peers = rule.peers.iter().flatten().filter_map(|peer| self.peers.get(*peer));
        is_port && peers.filter_map(|peer| peer.block.as_ref()).any(|block| block.touches(net))
    }

    /// Whether a rule says which ports it is about.
    pub fn has_ports(&self, id: RuleId) -> bool {
        self.rule(id).is_some_and(|rule| rule.ports.is_some())
    }

    fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.of(id.policy, id.direction).get(id.rule)
    }

    fn of(&self, policy: usize, direction: Direction) -> &[Rule] {
        let compiled = self.compiled.get(policy);
        let rules = compiled.and_then(|compiled| match direction {
            Direction::Egress => compiled.egress.as_ref(),
            Direction::Ingress => compiled.ingress.as_ref(),
        });
        rules.map_or(&[], Vec::as_slice)
    }

    fn work_out(&self, client: End, server: End, at: At) -> Outcome {
        // A pod cannot block access to itself.
        if client == server {
            return Outcome { egress: PASSES, ingress: PASSES };
        }
        let side = |direction, subject, other| match subject {
            // A pod and its own node always reach each other, whatever rules match as well.
            End::Pod(pod) if self.is_own_node(pod, other) => {
                Side { passes: Match::Yes, ..self.side(direction, pod, other, server, at) }
            }
            End::Pod(pod) => self.side(direction, pod, other, server, at),
            // What is no pod has no policies.
            End::Address(_) => PASSES,
        };
        Outcome {
            egress: side(Direction::Egress, client, server),
            ingress: side(Direction::Ingress, server, client),
        }
    }

    fn side(&self, direction: Direction, pod: usize, other: End, server: End, at: At) -> Side {
        let policies = self.isolating(direction, pod);
        if policies.is_empty() {
            return PASSES;
        }
        let mut side = Side::default();
        for &policy in policies {
            for (index, rule) in self.of(policy, direction).iter().enumerate() {
                let matches = self.matches(rule, other, server, at);
                side.passes = side.passes.max(matches);
                if matches == Match::Yes {
                    side.rules.push(RuleId { policy, direction, rule: index });
                }
            }
        }
        side
    }

    /// A rule matches what matches both its peers and its ports; either, empty or missing, matches everything.
    fn matches(&self, rule: &Rule, other: End, server: End, at: At) -> Match {
        if rule.ports.as_ref().is_some_and(|all| !all.iter().any(|p| self.is_port(p, server, at))) {
            return Match::No;
        }
        let Some(peers) = &rule.peers else { return Match::Yes };
        let peers = peers.iter().filter_map(|peer| self.peers.get(*peer));
        peers.map(|peer| is_peer(peer, other)).max().unwrap_or(Match::No)
    }

    /// A port is the server's own. A name is looked up among the pod's container ports.
    fn is_port(&self, rule: &PortRule, server: End, at: At) -> bool {
        if rule.protocol != Some(at.protocol) {
            return false;
        }
        match (&rule.ports, server) {
            (PortSet::All, _) => true,
            (PortSet::Range(first, last), _) => (*first..=*last).contains(&at.port),
            (PortSet::Name(_), End::Address(_)) => false,
            (PortSet::Name(name), End::Pod(pod)) => {
                let pod = self.cluster.snapshot.pods.get(pod);
                let mut ports = pod.iter().flat_map(|pod| &pod.containers).flat_map(|c| &c.ports);
                ports.any(|p| p.name == *name && p.port == at.port && p.protocol == at.protocol)
            }
        }
    }

    /// Whether the other end is the node that the pod runs on, or a pod that shares its network.
    fn is_own_node(&self, pod: usize, other: End) -> bool {
        let pods = &self.cluster.snapshot.pods;
        let Some(node) = pods.get(pod).map(|pod| pod.node.as_str()) else { return false };
        !node.is_empty()
            && match other {
                End::Pod(other) => {
                    pods.get(other).is_some_and(|p| p.host_network && p.node == node)
                }
                End::Address(address) => match self.cluster.addresses.holder(address, None) {
                    Holder::Node(name) | Holder::DnsCache(name) => name == node,
                    _ => false,
                },
            }
    }
}

fn is_peer(peer: &Peer, end: End) -> Match {
    match end {
        End::Pod(pod) if peer.sure.has(pod) => Match::Yes,
        End::Pod(pod) if peer.may.has(pod) => Match::Maybe,
        End::Pod(_) => Match::No,
        End::Address(address) => match &peer.block {
            Some(block) if block.has(address) => Match::Yes,
            // Labels are a pod's: they say nothing of an address.
            _ => Match::No,
        },
    }
}
