//! Workload, peers and ports → the NetworkPolicy object and its name. It decides nothing: no rule without peers and
//! ports ever reaches it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Direction;
use super::closure::{At, Peer};
use super::labels::is_subdomain;
use super::selectors::Selector;
use crate::cluster::Cluster;
use crate::cluster::backends::PodPort;
use crate::cluster::workloads::{Workload, WorkloadId};
use crate::text::short_hash;

/// The label that the API server itself sets on every namespace, and that nobody can change.
pub(super) const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// A label's value has room for this much, and so have most tools' columns.
const LONGEST: usize = 63;

/// Peers and the ports between them and the subject; neither is ever empty.
pub(super) type Rule = (Vec<NetworkPolicyPeer>, Vec<NetworkPolicyPort>);

/// The name of every workload's policy in this direction. The names do not depend on who has evidence, so that they stay from run to run.
pub(super) fn names(cluster: &Cluster, direction: Direction) -> BTreeMap<WorkloadId, String> {
    let mut taken: BTreeMap<(&str, String), u32> = BTreeMap::new();
    for (_, workload) in cluster.workloads.iter() {
        *taken.entry((&workload.namespace, name(workload, direction, false))).or_default() += 1;
    }
    let alone = |workload: &Workload, name: &str| {
        taken.get(&(workload.namespace.as_str(), name.into())).is_none_or(|n| *n == 1)
    };
    let mut used = BTreeSet::new();
    let mut names = BTreeMap::new();
    for (id, workload) in cluster.workloads.iter() {
        let plain = name(workload, direction, false);
        let own = if alone(workload, &plain) { plain } else { name(workload, direction, true) };
        if is_subdomain(&own) && used.insert((&workload.namespace, own.clone())) {
            names.insert(id, own);
        }
    }
    names
}

/// `<workload>-<kind>-<direction>`. A hash stands in where that is too long, not legal, or taken.
fn name(workload: &Workload, direction: Direction, hashed: bool) -> String {
    let direction = direction.word();
    let kind: String = workload.kind.to_ascii_lowercase();
    let full = format!("{}-{kind}-{direction}", workload.name);
    if !hashed && full.len() <= LONGEST && is_subdomain(&full) && !kind.contains(['-', '.']) {
        return full;
    }
    let hash = short_hash(&format!("{}/{}", workload.kind, workload.name));
    let kind = clean(&kind, 20);
    let room = LONGEST - "---".len() - direction.len() - hash.len() - kind.len();
    let end = format!("{hash}-{kind}-{direction}");
    match clean(&workload.name, room) {
        name if name.is_empty() => end,
        name => format!("{name}-{end}"),
    }
}

/// At most so many bytes of what is legal in a name.
fn clean(text: &str, room: usize) -> String {
    let legal = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let text: String = text.chars().map(legal).take(room).collect();
    text.trim_matches('-').into()
}

/// The object. Peers with the same ports share a rule; nothing else is merged. `first`: rules that do not come from
/// evidence.
pub(super) fn object(
    direction: Direction,
    (namespace, name): (&str, &str),
    subject: &LabelSelector,
    peers: &BTreeMap<Peer, BTreeSet<At>>,
    selectors: &BTreeMap<WorkloadId, (&str, Selector)>,
    first: &[Rule],
) -> NetworkPolicy {
    let mut rules: BTreeMap<&BTreeSet<At>, Vec<NetworkPolicyPeer>> = BTreeMap::new();
    for (peer, ports) in peers.iter().filter(|(_, ports)| !ports.is_empty()) {
        let Some(item) = item(peer, selectors) else { continue };
        let items = rules.entry(ports).or_default();
        // Two workloads may bear the same labels.
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let rules = rules.into_iter().map(|(at, items)| (items, ports(at)));
    let rules = first.iter().cloned().chain(rules);
    let (mut ingress, mut egress) = (None, None);
    match direction {
        Direction::Ingress => {
            let rule =
                |(from, ports)| NetworkPolicyIngressRule { from: Some(from), ports: Some(ports) };
            ingress = Some(rules.map(rule).collect());
        }
        Direction::Egress => {
            let rule = |(to, ports)| NetworkPolicyEgressRule { to: Some(to), ports: Some(ports) };
            egress = Some(rules.map(rule).collect());
        }
    }
    let kico = BTreeMap::from([("app.kubernetes.io/managed-by".into(), "kico".into())]);
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some(namespace.into()),
            labels: Some(kico),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(subject.clone()),
            ingress,
            egress,
            policy_types: Some(vec![direction.policy_type().into()]),
        }),
    }
}

/// One item of `from` or `to`: namespace *and* labels, or one address.
fn item(
    peer: &Peer,
    selectors: &BTreeMap<WorkloadId, (&str, Selector)>,
) -> Option<NetworkPolicyPeer> {
    match peer {
        Peer::Workload(id) => {
            let (namespace, pods) = selectors.get(id)?;
            Some(pods_of(namespace, &pods.selector))
        }
        Peer::Node(_, address) | Peer::Endpoint(address) => Some(block(*address)),
    }
}

/// Pods of these labels in this namespace: both in one item.
pub(super) fn pods_of(namespace: &str, pods: &LabelSelector) -> NetworkPolicyPeer {
    let labels = BTreeMap::from([(NAMESPACE_LABEL.into(), namespace.into())]);
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(labels),
            match_expressions: None,
        }),
        pod_selector: Some(pods.clone()),
        ip_block: None,
    }
}

/// One address alone.
pub(super) fn block(address: IpAddr) -> NetworkPolicyPeer {
    let length = if address.is_ipv4() { 32 } else { 128 };
    let block = IPBlock { cidr: format!("{address}/{length}"), except: None };
    NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() }
}

pub(super) fn ports(at: &BTreeSet<At>) -> Vec<NetworkPolicyPort> {
    at.iter().map(port).collect()
}

fn port((port, protocol): &At) -> NetworkPolicyPort {
    let port = match port {
        PodPort::Number(number) => IntOrString::Int(i32::from(*number)),
        PodPort::Name(name) => IntOrString::String(name.clone()),
    };
    NetworkPolicyPort { port: Some(port), protocol: Some(protocol.text().into()), end_port: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(kind: &str, name: &str) -> Workload {
        Workload {
            kind: kind.into(),
            namespace: "shop".into(),
            name: name.into(),
            controller: None,
            pods: Vec::new(),
            inferred: false,
        }
    }

    #[test]
    fn names_are_legal_and_at_most_63_long() {
        let long = "a".repeat(80);
        for (kind, name, expected) in [
            ("Deployment", "user-db", "user-db-deployment-ingress"),
            ("StatefulSet", "db.v2", "db.v2-statefulset-ingress"),
            ("Deployment", long.as_str(), ""),
            ("Odd Kind\n", "x", ""),
            ("", "", ""),
            ("Pod", "-.-", ""),
            (long.as_str(), long.as_str(), ""),
        ] {
            let workload = workload(kind, name);
            for direction in [Direction::Ingress, Direction::Egress] {
                let name = super::name(&workload, direction, false);
                assert!(name.len() <= 63 && is_subdomain(&name), "{name}");
                assert!(name.ends_with(direction.word()), "{name}");
            }
            let name = super::name(&workload, Direction::Ingress, false);
            assert!(expected.is_empty() || name == expected, "{name}");
        }
        let name =
            |name: &str| super::name(&workload("Deployment", name), Direction::Ingress, false);
        let one = name(&long);
        let other = name(&format!("{long}b"));
        assert_ne!(one, other);
    }

    #[test]
    fn workloads_whose_names_would_clash_get_a_hash_each() {
        let list = vec![workload("JOB", "x"), workload("Job", "x"), workload("Job", "y")];
        let mut cluster = super::super::tests::cluster();
        cluster.workloads.list = list;
        let names: BTreeSet<_> = names(&cluster, Direction::Ingress).into_values().collect();
        assert_eq!(names.len(), 3);
        assert!(names.contains("y-job-ingress") && !names.contains("x-job-ingress"), "{names:?}");
    }
}
