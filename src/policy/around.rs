//! What the snapshot says about a policy beside its evidence: workloads that may not be shut, policies that are there
//! already, and what a reader must know of all of them. It adds no peer and removes none.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::evidence::Evidence;
use super::selectors::present;
use super::{Direction, Options, comment, is_other_policy, object};
use crate::cluster::Cluster;
use crate::cluster::exposure::{self, Exposure};
use crate::cluster::model::Meta;
use crate::cluster::selector::matches;
use crate::cluster::workloads::WorkloadId;

/// Cilium needs no such label.
pub(super) const UNLABELLED: &str =
    "pods are selected by their namespace's label kubernetes.io/metadata.name, which is lacking";

const MAY_LEAD: &str = "what could not be read may lead to it";
const MAY_FIT: &str = "its rules may fit or lack pods of what could not be read";

/// Why a workload is never the subject of a policy.
pub(super) fn unfit(id: WorkloadId, cluster: &Cluster) -> Option<String> {
    let workload = cluster.workloads.get(id);
    let template = workload.controller.and_then(|index| cluster.snapshot.controllers.get(index));
    if cluster.is_dns_workload(id) {
        return Some("DNS pods are never shut: every workload needs them".into());
    }
    let on_host = template.is_some_and(|c| c.template_host_network)
        || present(cluster, workload).any(|pod| pod.host_network);
    on_host.then(|| "its pods use hostNetwork, where a NetworkPolicy has no effect".into())
}

/// The policies of the snapshot that select this workload's pods in this direction, less those that this run
/// replaces.
pub(super) fn existing<'a>(
    cluster: &'a Cluster,
    direction: Direction,
    id: WorkloadId,
    replaced: &BTreeSet<&str>,
) -> Vec<&'a str> {
    let workload = cluster.workloads.get(id);
    let template = workload.controller.and_then(|index| cluster.snapshot.controllers.get(index));
    let template = template.map(|controller| &controller.template_labels);
    let pods = present(cluster, workload).map(|pod| &pod.meta.labels);
    let labels: Vec<_> = pods.chain(template).collect();
    let policies = cluster.snapshot.policies.iter();
    let all =
        policies.filter(|policy| policy.meta.namespace == workload.namespace).filter(|policy| {
            let spec = &policy.spec;
            let types = spec.policy_types.as_deref().unwrap_or_default();
            let of_kind = match types {
                [] => direction == Direction::Ingress || spec.egress.is_some(),
                types => types.iter().any(|kind| kind == direction.policy_type()),
            };
            let everything = LabelSelector::default();
            let selector = spec.pod_selector.as_ref().unwrap_or(&everything);
            of_kind && labels.iter().any(|labels| matches(selector, labels))
        });
    all.map(|policy| policy.meta.name.as_str()).filter(|name| !replaced.contains(name)).collect()
}

/// Why an ingress policy is incomplete, by workload: traffic that the snapshot shows and no lookup does.
pub(super) fn exposed(cluster: &Cluster) -> BTreeMap<WorkloadId, Vec<String>> {
    let mut reasons = BTreeMap::new();
    for (id, all) in exposure::exposed(cluster) {
        let mut objects: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
        for Exposure { object, why, needs, .. } in all {
            objects.entry((why, needs)).or_default().push(object);
        }
        let line = |((why, needs), objects): ((&str, String), Vec<String>)| {
            let objects = comment::list(objects.iter().map(String::as_str), comment::SHOWN);
            format!("{why} {objects}; it needs a rule {needs}")
        };
        reasons.insert(id, objects.into_iter().map(line).collect());
    }
    reasons
}

/// The objects that could not be read and may have a part in a policy of a subject in `namespace` with peers in `peers`, as
/// reasons: what may lead to the subject, and what may be pods that its labels or its peers' fit.
pub(super) fn hidden(
    cluster: &Cluster,
    direction: Direction,
    namespace: &str,
    peers: &BTreeSet<&str>,
) -> Vec<String> {
    let here = |own: &str| own == namespace;
    let leads = cluster.snapshot.hidden.iter().filter(|hidden| {
        let in_place = hidden.namespace.as_deref().is_none_or(here);
        direction == Direction::Ingress && !hidden.pods && in_place
    });
    let pods = cluster.snapshot.hidden.iter().filter(|hidden| {
        let near = |own: &str| here(own) || peers.contains(own);
        hidden.pods && hidden.namespace.as_deref().is_none_or(near)
    });
    let reason = |words: &str, objects: BTreeSet<&str>| {
        let list = comment::list(objects.iter().copied(), comment::SHOWN);
        (!objects.is_empty()).then(|| format!("{words}: {list}"))
    };
    let leads = leads.map(|hidden| hidden.object.as_str()).collect();
    let pods = pods.map(|hidden| hidden.object.as_str()).collect();
    let reasons = [reason(MAY_LEAD, leads), reason(MAY_FIT, pods)];
    reasons.into_iter().flatten().collect()
}

/// Which of these namespaces the snapshot shows without the label that selects their pods, as a reason: the rule is right,
/// and matches nothing until the label is there.
pub(super) fn unlabelled(cluster: &Cluster, namespaces: &BTreeSet<&str>) -> Option<String> {
    let lacks = |meta: &&Meta| meta.labels.get(object::NAMESPACE_LABEL) != Some(&meta.name);
    let here = cluster.snapshot.namespaces.iter();
    let lacking = here.filter(|meta| namespaces.contains(meta.name.as_str())).filter(lacks);
    let lacking: Vec<&str> = lacking.map(|meta| meta.name.as_str()).collect();
    let list = comment::list(lacking.iter().copied(), comment::SHOWN);
    (!lacking.is_empty()).then(|| format!("{UNLABELLED}: {list}"))
}

/// What an ingress policy's comment says about traffic without lookups. It changes only with the kinds that the snapshot
/// holds.
pub(super) fn looked_for(cluster: &Cluster) -> Vec<String> {
    let (some, none) = exposure::kinds(cluster);
    let looked = ["pods"].into_iter().chain(some).collect::<Vec<_>>().join(", ");
    let mut lines = vec![format!("traffic that DNS cannot show was looked for in: {looked}")];
    if !none.is_empty() {
        let none = none.join(", ");
        lines.push(format!("it was not looked for in what the snapshot holds none of: {none}"));
    }
    lines
}

/// For all of them: lower-case fragments.
pub(super) fn notes(cluster: &Cluster, evidence: &Evidence, options: &Options<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let snapshot = &cluster.snapshot;
    let has = |part: &str| {
        let mut sets = snapshot.controllers.iter().filter(|c| c.kind == "DaemonSet");
        sets.any(|c| c.meta.name.contains(part))
    };
    if has("flannel")
        && !["calico", "canal", "cilium", "antrea", "kube-router"].iter().any(|n| has(n))
    {
        notes
            .push("the cluster seems to use flannel alone, which enforces no NetworkPolicy".into());
    }
    let others = snapshot.skipped.iter().filter(|(kind, _)| is_other_policy(kind));
    let others: Vec<String> = others.map(|(kind, n)| format!("{kind} {n}")).collect();
    if !others.is_empty() {
        let others = comment::list(others.iter().map(String::as_str), comment::SHOWN);
        notes.push(format!(
            "policies of other kinds were not looked at, and may allow or deny more: {others}"
        ));
    }
    let mut unasked: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (id, workload) in cluster.workloads.iter() {
        let runs = present(cluster, workload).next().is_some();
        if runs && !evidence.subjects.contains_key(&id) && (options.subjects)(id) {
            let name = format!("{}/{}", workload.kind, workload.name);
            unasked.entry(&workload.namespace).or_default().push(name);
        }
    }
    for (namespace, names) in unasked {
        let names = comment::list(names.iter().map(String::as_str), comment::SHOWN);
        let why = options.of_evidence("nobody asked");
        notes.push(format!("no policy in {namespace}, since {why}, for: {names}"));
    }
    notes
}
