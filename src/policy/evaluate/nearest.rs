//! Why a connection is denied: of the rules of the policies that isolate that end, the one that missed by least, and by
//! what. A misspelt label is nearer than another label, another port nearer than another namespace.

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{At, Direction, End, Evaluator, Match, RuleId, is_peer};
use crate::cluster::model::{Labels, NetworkPolicy};
use crate::cluster::selector::matches;

/// Why a rule does not match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Miss {
    /// By how much: only good for comparing.
    pub distance: usize,
    /// The rule; `None`: the policies have none in that direction.
    pub rule: Option<RuleId>,
    /// A lower-case fragment of untrusted text.
    pub why: String,
}

const PORT: usize = 12;
const MISSING: usize = 20;
const ELSEWHERE: usize = 30;
const NO_LABELS: usize = 60;

impl Evaluator<'_> {
    /// The nearest miss on one side of a connection that is denied there.
    pub fn nearest(&self, direction: Direction, client: End, server: End, at: At) -> Option<Miss> {
        let (subject, other) = match direction {
            Direction::Egress => (client, server),
            Direction::Ingress => (server, client),
        };
        let End::Pod(pod) = subject else { return None };
        let policies = self.isolating(direction, pod);
        if policies.is_empty() {
            return None;
        }
        let mut nearest: Option<Miss> = None;
        for &policy in policies {
            for rule in 0..self.of(policy, direction).len() {
                let id = RuleId { policy, direction, rule };
                if let Some((distance, why)) = self.miss(id, other, server, at)
                    && nearest.as_ref().is_none_or(|best| distance < best.distance)
                {
                    nearest = Some(Miss { distance, rule: Some(id), why });
                }
            }
        }
        let none = || Miss {
            distance: usize::MAX,
            rule: None,
            why: format!("no policy that isolates it has a rule for {}", direction.word()),
        };
        Some(nearest.unwrap_or_else(none))
    }

    fn miss(&self, id: RuleId, other: End, server: End, at: At) -> Option<(usize, String)> {
        let policy = self.policies.get(id.policy)?;
        let (peers, ports) = parts(policy, id)?;
        let who = match id.direction {
            Direction::Egress => "the server",
            Direction::Ingress => "the client",
        };
        let rule = self.rule(id)?;
        let resolved = rule.peers.iter().flatten().filter_map(|peer| self.peers.get(*peer));
        let peer = if peers.is_empty() || resolved.clone().any(|p| is_peer(p, other) != Match::No) {
            None
        } else {
            peers.iter().map(|peer| self.miss_peer(peer, policy, other, who)).min()
        };
        let is_port = rule.ports.iter().flatten().any(|port| self.is_port(port, server, at));
        let port = (!ports.is_empty() && !is_port).then(|| {
            let allowed: Vec<String> = ports.iter().map(port_text).collect();
            let (port, protocol) = (at.port, at.protocol.text());
            (PORT, format!("ports {}: the server has {port}/{protocol}", allowed.join(", ")))
        });
        match (peer, port) {
            (Some((far, peer)), Some((further, port))) => {
                Some((far + further, format!("{peer}; {port}")))
            }
            (one, other) => one.or(other),
        }
    }

    fn miss_peer(
        &self,
        peer: &NetworkPolicyPeer,
        policy: &NetworkPolicy,
        other: End,
        who: &str,
    ) -> (usize, String) {
        let snapshot = &self.cluster.snapshot;
        if let Some(block) = &peer.ip_block {
            let addresses = match other {
                End::Address(address) => vec![address.to_string()],
                End::Pod(pod) => {
                    let pod = snapshot.pods.get(pod);
                    pod.iter().flat_map(|p| &p.addresses).map(ToString::to_string).collect()
                }
            };
            let except = block.except.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
            let but = if except.is_empty() { except } else { format!(" except {except}") };
            let why = format!("ipBlock {}{but}: {who} is {}", block.cidr, addresses.join(", "));
            return (NO_LABELS + 1, why);
        }
        let End::Pod(index) = other else {
            return (
                NO_LABELS,
                format!("selectors match pods only: {who} is a node or an address"),
            );
        };
        let Some(pod) = snapshot.pods.get(index) else { return (NO_LABELS, String::new()) };
        let namespace = pod.meta.namespace.as_str();
        let (mut distance, mut why) = (0, Vec::new());
        match &peer.namespace_selector {
            None if namespace != policy.meta.namespace => {
                distance += ELSEWHERE;
                let own = &policy.meta.namespace;
                why.push(format!(
                    "podSelector without namespaceSelector means pods in {own}: {who} is in {namespace}"
                ));
            }
            None => {}
            Some(selector) => {
                let known = snapshot.namespaces.iter().find(|meta| meta.name == namespace);
                if let Some(meta) = known
                    && !matches(selector, &meta.labels)
                {
                    let (by, what) = miss_labels(selector, &meta.labels);
                    distance += ELSEWHERE + by;
                    why.push(format!(
                        "namespaceSelector {}: {who}'s namespace {namespace} {what}",
                        selector_text(selector)
                    ));
                } else if known.is_none() {
                    distance += ELSEWHERE;
                    let selector = selector_text(selector);
                    why.push(format!("namespaceSelector {selector}: {who} is in {namespace}"));
                }
            }
        }
        if let Some(selector) = &peer.pod_selector
            && !matches(selector, &pod.meta.labels)
        {
            let (by, what) = miss_labels(selector, &pod.meta.labels);
            distance += by;
            why.push(format!("podSelector {}: {who} {what}", selector_text(selector)));
        }
        (distance, why.join("; "))
    }
}

fn parts(
    policy: &NetworkPolicy,
    id: RuleId,
) -> Option<(&[NetworkPolicyPeer], &[NetworkPolicyPort])> {
    let (peers, ports) = match id.direction {
        Direction::Egress => {
            let rule = policy.spec.egress.as_ref()?.get(id.rule)?;
            (&rule.to, &rule.ports)
        }
        Direction::Ingress => {
            let rule = policy.spec.ingress.as_ref()?.get(id.rule)?;
            (&rule.from, &rule.ports)
        }
    };
    Some((peers.as_deref().unwrap_or_default(), ports.as_deref().unwrap_or_default()))
}

/// By how much these labels miss the selector, and by which: `has app=user`.
fn miss_labels(selector: &LabelSelector, labels: &Labels) -> (usize, String) {
    let (mut distance, mut has) = (0, Vec::new());
    let mut miss = |key: &str, nearest: Option<usize>| match labels.get(key) {
        Some(value) => {
            distance += nearest.unwrap_or(MISSING).clamp(1, MISSING);
            has.push(format!("has {key}={value}"));
        }
        None => {
            distance += MISSING;
            has.push(format!("has no label {key}"));
        }
    };
    for (key, wanted) in selector.match_labels.iter().flatten() {
        let value = labels.get(key);
        if value != Some(wanted) {
            miss(key, value.map(|value| strsim::levenshtein(value, wanted)));
        }
    }
    for one in selector.match_expressions.iter().flatten() {
        let alone =
            LabelSelector { match_labels: None, match_expressions: Some(vec![one.clone()]) };
        if !matches(&alone, labels) {
            let values = one.values.iter().flatten();
            let nearest = labels
                .get(&one.key)
                .filter(|_| one.operator == "In")
                .and_then(|value| values.map(|wanted| strsim::levenshtein(value, wanted)).min());
            miss(&one.key, nearest);
        }
    }
    has.dedup();
    (distance, has.join(" and "))
}

/// A selector on one line: `app=web,tier in (a, b)`; an empty one is `{}`.
pub fn selector_text(selector: &LabelSelector) -> String {
    let expression = |one: &LabelSelectorRequirement| {
        let values = one.values.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        match one.operator.as_str() {
            "In" => format!("{} in ({values})", one.key),
            "NotIn" => format!("{} notin ({values})", one.key),
            "Exists" => one.key.clone(),
            "DoesNotExist" => format!("!{}", one.key),
            other => format!("{} {other} ({values})", one.key),
        }
    };
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let all = equal.chain(selector.match_expressions.iter().flatten().map(expression));
    match all.collect::<Vec<_>>().join(",") {
        text if text.is_empty() => "{}".into(),
        text => text,
    }
}

fn port_text(port: &NetworkPolicyPort) -> String {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    match (&port.port, port.end_port) {
        (None, _) => protocol.into(),
        (Some(IntOrString::Int(first)), Some(last)) => format!("{first}-{last}/{protocol}"),
        (Some(IntOrString::Int(number)), None) => format!("{number}/{protocol}"),
        (Some(IntOrString::String(name)), _) => format!("{name}/{protocol}"),
    }
}
