//! What is wrong with the policies themselves, whatever was seen: each is a hint for a reader, none a verdict.

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::judge::Judge;
use super::{Finding, Kind};
use crate::cluster::Cluster;
use crate::cluster::model::NetworkPolicy;
use crate::cluster::selector::matches;
use crate::cluster::workloads::WorkloadId;
use crate::coverage::plural;
use crate::policy::evaluate::{Direction, Match, RuleId, refused, selector_text};

/// Whether some workload that has no pod now would make such pods.
fn makes(peer: &NetworkPolicyPeer, cluster: &Cluster) -> bool {
    let labels = cluster.snapshot.controllers.iter().map(|controller| &controller.template_labels);
    peer.pod_selector.as_ref().is_some_and(|selector| {
        labels.filter(|labels| !labels.is_empty()).any(|labels| matches(selector, labels))
    })
}

fn peer_text(peer: &NetworkPolicyPeer) -> String {
    let of = |word: &str, selector: &Option<LabelSelector>| {
        selector.as_ref().map(|selector| format!("{word} {}", selector_text(selector)))
    };
    let both =
        [of("namespaceSelector", &peer.namespace_selector), of("podSelector", &peer.pod_selector)];
    both.into_iter().flatten().collect::<Vec<_>>().join(" with ")
}

/// All of them, by policy, then by rule.
pub(super) fn all(judge: &Judge<'_>, cluster: &Cluster) -> Vec<Finding> {
    let namespaces = namespaces(cluster);
    let mut findings = Vec::new();
    for (policy, object) in judge.evaluator.policies.iter().enumerate() {
        let mut add = |kind, what| findings.push(Finding { policy, rule: None, kind, what });
        if let Some(why) = refused(object) {
            add(Kind::Invalid, format!("the API would refuse it: {why}"));
        }
        if !namespaces.contains(object.meta.namespace.as_str()) {
            let namespace = &object.meta.namespace;
            add(Kind::NoSuchNamespace, format!("the snapshot has no namespace {namespace}"));
            continue;
        }
        subject(judge, cluster, policy, &mut add);
    }
    for rule in judge.evaluator.rules() {
        // Of a policy that is none, nothing more need be said.
        if let Some(policy) = judge.evaluator.policies.get(rule.policy)
            && namespaces.contains(policy.meta.namespace.as_str())
            && refused(policy).is_none()
        {
            let mut add = |kind, what| {
                findings.push(Finding { policy: rule.policy, rule: Some(rule), kind, what });
            };
            of_rule(judge, cluster, policy, rule, &mut add);
        }
    }
    findings.sort_by_key(|finding| (finding.policy, finding.rule, finding.kind));
    findings
}

/// Namespaces that the snapshot has, by object or by what is in them.
fn namespaces(cluster: &Cluster) -> BTreeSet<&str> {
    let snapshot = &cluster.snapshot;
    let objects = snapshot.namespaces.iter().map(|meta| meta.name.as_str());
    let pods = snapshot.pods.iter().map(|pod| pod.meta.namespace.as_str());
    let services = snapshot.services.iter().map(|service| service.meta.namespace.as_str());
    let workloads = cluster.workloads.list.iter().map(|workload| workload.namespace.as_str());
    objects.chain(pods).chain(services).chain(workloads).collect()
}

fn subject(judge: &Judge<'_>, cluster: &Cluster, policy: usize, add: &mut dyn FnMut(Kind, String)) {
    let pods: Vec<usize> = judge.evaluator.subject(policy).collect();
    let object = &judge.evaluator.policies[policy];
    let selector = object.spec.pod_selector.clone().unwrap_or_default();
    // A workload that has no pod now may have one soon.
    let idle = || {
        let own = |controller: &&crate::cluster::model::Controller| {
            controller.meta.namespace == object.meta.namespace
        };
        let mut all = cluster.snapshot.controllers.iter().filter(own);
        all.any(|controller| matches(&selector, &controller.template_labels))
    };
    if pods.is_empty() && !idle() {
        let text = selector_text(&selector);
        add(Kind::SelectsNoPod, format!("podSelector {text} selects no pod"));
    }
    let on_host =
        |pod: &&usize| cluster.is_present(**pod) && cluster.snapshot.pods[**pod].host_network;
    let hosts = pods.iter().filter(on_host).count() as u64;
    if hosts > 0 {
        add(
            Kind::HostNetwork,
            format!(
                "selects {}: most network plugins do not apply policies to those",
                plural(hosts, "hostNetwork pod", "hostNetwork pods")
            ),
        );
    }
}

fn of_rule(
    judge: &Judge<'_>,
    cluster: &Cluster,
    policy: &NetworkPolicy,
    rule: RuleId,
    add: &mut dyn FnMut(Kind, String),
) {
    let peers = peers(policy, rule);
    let has = |wanted: fn(&NetworkPolicyPeer) -> bool| peers.iter().any(wanted);
    if has(|p| p.namespace_selector.is_some() && p.pod_selector.is_none())
        && has(|p| p.namespace_selector.is_none() && p.pod_selector.is_some())
    {
        let own = &policy.meta.namespace;
        add(
            Kind::SplitPeer,
            format!(
                "a namespaceSelector and a podSelector are two items: every pod of those namespaces, or such pods of {own}; \
                 one item with both means such pods of those namespaces"
            ),
        );
    }
    let pods_of = judge.evaluator.peers_of(rule, Match::Maybe);
    let mut lost = 0;
    for (peer, pods) in peers.iter().zip(pods_of.iter().flatten()) {
        if peer.ip_block.is_none() && pods.is_empty() && !makes(peer, cluster) {
            add(Kind::PeerSelectsNoPod, format!("{} selects no pod", peer_text(peer)));
            lost += 1;
        }
    }
    let Some(seen) = judge.used.get(&rule) else {
        // Where no peer selects anything, that says it all.
        if peers.is_empty() || lost < peers.len() {
            add(Kind::MatchedNothing, "matched nothing that was seen".to_owned());
        }
        return;
    };
    let selected: Option<BTreeSet<usize>> = judge
        .evaluator
        .peers_of(rule, Match::Yes)
        .map(|peers| peers.into_iter().flatten().filter(|pod| cluster.is_present(*pod)).collect());
    let everybody = || (0..cluster.snapshot.pods.len()).filter(|pod| cluster.is_present(*pod));
    let selected = selected.unwrap_or_else(|| everybody().collect());
    let workloads = |pods: &mut dyn Iterator<Item = usize>| -> BTreeSet<WorkloadId> {
        pods.filter_map(|pod| cluster.workloads.of_pod.get(pod).copied()).collect()
    };
    let known = workloads(&mut seen.iter().copied());
    let strangers: BTreeSet<WorkloadId> =
        workloads(&mut selected.iter().copied()).difference(&known).copied().collect();
    // More replicas than were seen are no news; other workloads are.
    if !strangers.is_empty() {
        let far = match rule.direction {
            Direction::Egress => "asked for",
            Direction::Ingress => "seen asking",
        };
        let count = plural(selected.len() as u64, "pod", "pods");
        add(
            Kind::WiderThanSeen,
            format!(
                "selects {count}, {} {far}; never: {}",
                selected.iter().filter(|pod| seen.contains(pod)).count(),
                few(&strangers, cluster)
            ),
        );
    }
}

fn peers(policy: &NetworkPolicy, id: RuleId) -> &[NetworkPolicyPeer] {
    let peers = match id.direction {
        Direction::Egress => {
            policy.spec.egress.as_ref().and_then(|all| all.get(id.rule)?.to.as_deref())
        }
        Direction::Ingress => {
            policy.spec.ingress.as_ref().and_then(|all| all.get(id.rule)?.from.as_deref())
        }
    };
    peers.unwrap_or_default()
}

fn few(workloads: &BTreeSet<WorkloadId>, cluster: &Cluster) -> String {
    const SHOWN: usize = 3;
    let name = |id: &WorkloadId| {
        let workload = cluster.workloads.get(*id);
        format!("{}/{}", workload.namespace, workload.name)
    };
    let mut names: Vec<String> = workloads.iter().take(SHOWN).map(name).collect();
    if workloads.len() > SHOWN {
        names.push(format!("and {} more", workloads.len() - SHOWN));
    }
    names.join(", ")
}
