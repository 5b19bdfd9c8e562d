//! `--default-deny`: what shuts a namespace to whatever no other policy lets in. It shuts unasked only where everything
//! that was seen is allowed, and never what the whole cluster leans on; what it leaves without an allow, it names.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::around::{existing, looked_for, unfit};
use super::comment::{self, SHOWN};
use super::evidence::display;
use super::selectors::present;
use super::{Direction, Options, Policies, Policy};
use crate::cluster::Cluster;
use crate::cluster::exposure::called_by_the_api_server;
use crate::cluster::workloads::{Workload, WorkloadId};
use crate::name::is_label;

/// The name of every one of them.
const NAME: &str = "default-deny-ingress";

/// Which namespaces are to be shut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `--default-deny`: those that can be without cutting what was seen.
    pub safe: bool,
    /// `--default-deny=NS`: these, whatever they hold.
    pub named: BTreeSet<String>,
}

/// The namespaces that are shut, and what must be known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Denies {
    /// One a namespace, sorted.
    pub list: Vec<Deny>,
    /// What is not shut and why, and who is left without an allow: lower-case fragments of untrusted text.
    pub said: Vec<String>,
}

/// What shuts one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Deny {
    /// The object itself.
    pub object: NetworkPolicy,
    /// The lines above it, untrusted text without `# `; [`super::MARK`] not among them.
    pub comment: Vec<String>,
}

/// What the policies of this run make possible. Policies that were not asked for are none: they are not applied either.
pub fn denies(
    policies: &Policies,
    cluster: &Cluster,
    options: &Options<'_>,
    wanted: &Wanted,
) -> Denies {
    let run = Run::new(policies, cluster, options);
    let mut denies = Denies::default();
    for (namespace, workloads) in &run.namespaces {
        let named = wanted.named.contains(*namespace);
        let subjects = workloads.iter().any(|(id, _)| (options.subjects)(*id));
        if !(named || wanted.safe && subjects) {
            continue;
        }
        let why = if named { run.impossible(namespace) } else { run.unsafe_reasons(namespace) };
        if !why.is_empty() {
            denies.said.push(format!("no default-deny in {namespace}: {}", why.join("; ")));
            continue;
        }
        let left = workloads.iter().filter_map(|(id, workload)| {
            let why = run.without_allow(*id, workload)?;
            Some((display(*id, cluster), why))
        });
        let left: Vec<(String, String)> = left.collect();
        for (who, why) in &left {
            denies
                .said
                .push(format!("default-deny in {namespace} leaves {who} without an allow: {why}"));
        }
        denies
            .list
            .push(Deny { object: object(namespace), comment: run.comment(namespace, &left) });
    }
    denies
}

/// The only policy whose empty selector is right.
fn object(namespace: &str) -> NetworkPolicy {
    let kico = BTreeMap::from([("app.kubernetes.io/managed-by".into(), "kico".into())]);
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            namespace: Some(namespace.into()),
            labels: Some(kico),
            ..ObjectMeta::default()
        },
        // No `ingress`: the API would drop an empty one, and tools would see a change for ever.
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: None,
            egress: None,
        }),
    }
}

struct Run<'a> {
    policies: &'a Policies,
    cluster: &'a Cluster,
    options: &'a Options<'a>,
    /// Namespace → its workloads that have pods, or will have some.
    namespaces: BTreeMap<&'a str, Vec<(WorkloadId, &'a Workload)>>,
    complete: BTreeSet<WorkloadId>,
    incomplete: BTreeSet<WorkloadId>,
    /// Namespaces of Services that the API server calls.
    called: BTreeMap<&'a str, BTreeSet<String>>,
}

impl<'a> Run<'a> {
    fn new(policies: &'a Policies, cluster: &'a Cluster, options: &'a Options<'a>) -> Run<'a> {
        let known = cluster.snapshot.namespaces.iter().map(|meta| meta.name.as_str());
        let served = cluster.snapshot.services.iter().map(|s| s.meta.namespace.as_str());
        let mut namespaces: BTreeMap<&str, Vec<_>> =
            known.chain(served).map(|name| (name, Vec::new())).collect();
        for (id, workload) in cluster.workloads.iter() {
            let list = namespaces.entry(&workload.namespace).or_default();
            let makes_pods = workload.controller.is_some() && workload.kind != "Job";
            if makes_pods || present(cluster, workload).next().is_some() {
                list.push((id, workload));
            }
        }
        Run {
            policies,
            cluster,
            options,
            namespaces,
            complete: policies.complete.iter().filter(is_ingress).map(|p| p.workload).collect(),
            incomplete: policies.incomplete.iter().filter(is_ingress).map(|p| p.workload).collect(),
            called: called_by_the_api_server(cluster),
        }
    }

    fn workloads(&self, namespace: &str) -> &[(WorkloadId, &'a Workload)] {
        self.namespaces.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Why a namespace cannot be shut, not even by name.
    fn impossible(&self, namespace: &str) -> Vec<String> {
        let mut why = Vec::new();
        if !is_label(namespace) {
            why.push("its name is no legal one".into());
        }
        let taken = |policy: &Policy| {
            let meta = &policy.object.metadata;
            meta.name.as_deref() == Some(NAME) && meta.namespace.as_deref() == Some(namespace)
        };
        if self.policies.complete.iter().chain(&self.policies.incomplete).any(taken) {
            why.push(format!("a workload's policy is called {NAME} there"));
        }
        why
    }

    /// Why a namespace is not shut unless it is named.
    fn unsafe_reasons(&self, namespace: &str) -> Vec<String> {
        let mut why = self.impossible(namespace);
        if namespace == "kube-system" {
            why.push("it is the cluster's own".into());
        }
        let dns = self.workloads(namespace).iter();
        if dns.clone().any(|(id, _)| self.cluster.is_dns_workload(*id)) {
            why.push("it holds the cluster's DNS".into());
        }
        if let Some(objects) = self.called.get(namespace) {
            let objects = comment::list(objects.iter().map(String::as_str), SHOWN);
            why.push(format!("the API server calls Services in it, by {objects}"));
        }
        let open = self.workloads(namespace).iter().filter_map(|(id, workload)| {
            let why = self.without_allow(*id, workload)?;
            Some(format!("{}/{} ({why})", workload.kind, workload.name))
        });
        let open: Vec<String> = open.collect();
        if !open.is_empty() {
            let open = comment::list(open.iter().map(String::as_str), SHOWN);
            why.push(format!("these have no complete policy: {open}"));
        }
        why
    }

    /// Why nothing that is applied without a choice lets anybody in.
    fn without_allow(&self, id: WorkloadId, workload: &Workload) -> Option<String> {
        if self.complete.contains(&id) {
            return None;
        }
        let refusals = &mut self.policies.refused.iter();
        let why = if self.incomplete.contains(&id) {
            "its policy is incomplete, and apart".into()
        } else if self.cluster.is_dns_workload(id) {
            "it answers the cluster's lookups, which every workload needs".into()
        } else if let Some(why) = unfit(id, self.cluster) {
            why
        } else if !(self.options.subjects)(id) {
            "its policy was not asked for".into()
        } else if refusals.any(|refusal| {
            refusal.workload == Some(id) && refusal.direction == Some(Direction::Ingress)
        }) {
            "its policy is refused".into()
        } else if !self.options.directions.contains(&Direction::Ingress) {
            "no ingress policy was asked for".into()
        } else if present(self.cluster, workload).next().is_none() {
            self.options.of_evidence("nobody asked for it, and it has no pod now")
        } else {
            self.options.of_evidence("nobody asked for it")
        };
        Some(why)
    }

    fn comment(&self, namespace: &str, left: &[(String, String)]) -> Vec<String> {
        let mut lines = vec![
            format!("Namespace {namespace}: nobody may connect to its pods but by another policy"),
            "apply it last, after the policies that let somebody in".into(),
        ];
        for (who, why) in left {
            lines.push(format!("left without an allow: {who}: {why}"));
        }
        for (id, workload) in self.workloads(namespace) {
            let policies = existing(self.cluster, Direction::Ingress, *id, &BTreeSet::from([NAME]));
            if !self.complete.contains(id) && !policies.is_empty() {
                let policies = comment::list(policies.into_iter(), SHOWN);
                let who = format!("{}/{}", workload.kind, workload.name);
                lines.push(format!("the cluster's own policies select {who} already: {policies}"));
            }
        }
        let mut theirs = self.cluster.snapshot.policies.iter().map(|policy| &policy.meta);
        if theirs.any(|meta| meta.namespace == namespace && meta.name == NAME) {
            lines.push("it replaces the policy of this name that the cluster has".into());
        }
        let changed = self.options.changed_evidence.join(" ");
        if !changed.is_empty() {
            lines.push(format!("what counts as evidence was changed by: {changed}"));
        }
        lines.extend(looked_for(self.cluster));
        lines
    }
}

fn is_ingress(policy: &&Policy) -> bool {
    let types = policy.object.spec.as_ref().and_then(|spec| spec.policy_types.as_ref());
    types.is_none_or(|types| types.iter().any(|kind| kind == "Ingress"))
}
