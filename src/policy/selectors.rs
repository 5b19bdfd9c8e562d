//! Which labels stand for a workload, and whose pods they match. A selector is the controller's own wherever it names
//! the pods and nothing else; it is never empty, and never one that the API would refuse.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::labels;
use crate::cluster::Cluster;
use crate::cluster::lifetimes::Lifetime;
use crate::cluster::model::Pod;
use crate::cluster::selector::matches;
use crate::cluster::workloads::{Workload, WorkloadId};
use crate::name::is_label;

/// How a workload is selected.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    /// Never empty, always legal.
    pub(super) selector: LabelSelector,
    /// Where it is from: words for the comment.
    pub(super) source: &'static str,
    /// The workloads whose pods (those that are still there) it matches in the workload's namespace; the workload itself always.
    pub(super) matched: BTreeSet<WorkloadId>,
    /// Workloads without a pod whose template it matches: they have none now, and may soon.
    pub(super) idle: Vec<WorkloadId>,
}

/// The selectors of a cluster's workloads, each worked out once.
pub(super) struct Selectors<'a> {
    cluster: &'a Cluster,
    /// Namespace → its pods that are still there.
    pods: BTreeMap<&'a str, Vec<usize>>,
    /// Namespace → its workloads that make pods again and again and have none now.
    idle: BTreeMap<&'a str, Vec<WorkloadId>>,
    known: BTreeMap<WorkloadId, Result<Selector, String>>,
}

impl<'a> Selectors<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Selectors<'a> {
        let mut pods: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, pod) in cluster.snapshot.pods.iter().enumerate() {
            if is_present(cluster, index) {
                pods.entry(&pod.meta.namespace).or_default().push(index);
            }
        }
        let mut idle: BTreeMap<&str, Vec<WorkloadId>> = BTreeMap::new();
        for (id, workload) in cluster.workloads.iter() {
            let lasting = workload.controller.is_some() && workload.kind != "Job";
            if lasting && present(cluster, workload).next().is_none() {
                idle.entry(&workload.namespace).or_default().push(id);
            }
        }
        Selectors { cluster, pods, idle, known: BTreeMap::new() }
    }

    /// How this workload is selected, or why it cannot be: a lower-case fragment.
    pub(super) fn of(&mut self, id: WorkloadId) -> Result<&Selector, &str> {
        if !self.known.contains_key(&id) {
            let found = self.work_out(id);
            self.known.insert(id, found);
        }
        match self.known.get(&id) {
            Some(Ok(selector)) => Ok(selector),
            Some(Err(reason)) => Err(reason),
            None => Err("it has no selector"),
        }
    }

    /// Whether this workload's selector fits the labels that another one's pods had, or would have.
    pub(super) fn would_select(&mut self, id: WorkloadId, other: WorkloadId) -> bool {
        let (cluster, workloads) = (self.cluster, &self.cluster.workloads);
        let other = workloads.get(other);
        if workloads.get(id).namespace != other.namespace {
            return false;
        }
        let Ok(Selector { selector, .. }) = self.of(id) else { return false };
        let pods = other.pods.iter().filter_map(|pod| cluster.snapshot.pods.get(*pod));
        let template = other.controller.and_then(|at| cluster.snapshot.controllers.get(at));
        let labels = pods.map(|pod| &pod.meta.labels).chain(template.map(|c| &c.template_labels));
        labels.into_iter().any(|labels| matches(selector, labels))
    }

    fn work_out(&self, id: WorkloadId) -> Result<Selector, String> {
        let workload = self.cluster.workloads.get(id);
        if !is_label(&workload.namespace) {
            return Err("its namespace is no legal name".into());
        }
        let (selector, source) = choose(self.cluster, workload)?;
        let namespace = workload.namespace.as_str();
        let mut matched = BTreeSet::from([id]);
        for &pod in self.pods.get(namespace).into_iter().flatten() {
            let labels = &self.cluster.snapshot.pods[pod].meta.labels;
            if matches(&selector, labels) {
                matched.extend(self.cluster.workloads.of_pod.get(pod));
            }
        }
        let template = |id: &WorkloadId| {
            let index = self.cluster.workloads.get(*id).controller?;
            self.cluster.snapshot.controllers.get(index).map(|c| &c.template_labels)
        };
        let idle = self.idle.get(namespace).into_iter().flatten().copied();
        let idle = idle
            .filter(|other| *other != id && template(other).is_some_and(|t| matches(&selector, t)))
            .collect();
        Ok(Selector { selector, source, matched, idle })
    }
}

/// A workload's pods that have neither ended for good nor gone.
pub(super) fn present<'a>(
    cluster: &'a Cluster,
    workload: &'a Workload,
) -> impl Iterator<Item = &'a Pod> {
    let pods = workload.pods.iter().filter(|pod| is_present(cluster, **pod));
    pods.filter_map(|pod| cluster.snapshot.pods.get(*pod))
}

/// Whether some of its pods are, or would be, on their node's own network: no selector matches those.
pub(super) fn is_on_host(cluster: &Cluster, id: WorkloadId) -> bool {
    let workload = cluster.workloads.get(id);
    let template = workload.controller.and_then(|index| cluster.snapshot.controllers.get(index));
    template.is_some_and(|controller| controller.template_host_network)
        || present(cluster, workload).any(|pod| pod.host_network)
}

/// Whether a workload has no pod now.
pub(super) fn has_ended(cluster: &Cluster, id: WorkloadId) -> bool {
    present(cluster, cluster.workloads.get(id)).next().is_none()
}

fn is_present(cluster: &Cluster, pod: usize) -> bool {
    cluster.lifetimes.get(pod).is_none_or(Lifetime::is_present)
}

/// A Job's own selector is its uid, a CronJob has none, and of bare pods and foreign owners the snapshot shows no
/// selector: there the labels that its pods (or the template) have in common stand for it.
fn choose(cluster: &Cluster, workload: &Workload) -> Result<(LabelSelector, &'static str), String> {
    let controller = workload.controller.and_then(|index| cluster.snapshot.controllers.get(index));
    let own = controller.filter(|c| c.kind != "Job" && c.kind != "CronJob");
    if let Some(selector) = own.and_then(|c| c.selector.as_ref()) {
        return check(selector.clone(), "the controller's own selector");
    }
    let template = controller.map(|c| &c.template_labels).filter(|labels| !labels.is_empty());
    // Without a template, those that have ended say which labels change from run to run: the next one asks too.
    let counts = |pod: &&usize| template.is_none() || is_present(cluster, **pod);
    let pods = workload.pods.iter().filter(counts);
    let pods = pods.filter_map(|pod| Some(&cluster.snapshot.pods.get(*pod)?.meta.labels));
    let source = match template {
        Some(_) => "the labels of its template, less those that change",
        None if workload.kind == "Pod" => "its labels, less those that change",
        None => "the labels that its pods have in common, less those that change",
    };
    let common = labels::common(template.into_iter().chain(pods));
    check(LabelSelector { match_labels: Some(common), match_expressions: None }, source)
}

fn check(
    mut selector: LabelSelector,
    source: &'static str,
) -> Result<(LabelSelector, &'static str), String> {
    if labels::is_empty(&selector) {
        return Err("it has no lasting label to select it by; give its pods one".into());
    }
    if !labels::is_legal(&selector) {
        return Err("its labels are none that Kubernetes would accept".into());
    }
    // An empty list is written by nobody and dropped by the API.
    selector.match_labels = selector.match_labels.filter(|labels| !labels.is_empty());
    selector.match_expressions = selector.match_expressions.filter(|list| !list.is_empty());
    for requirement in selector.match_expressions.iter_mut().flatten() {
        requirement.values = requirement.values.take().filter(|values| !values.is_empty());
    }
    Ok((selector, source))
}
