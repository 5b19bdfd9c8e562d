//! NetworkPolicies → CiliumNetworkPolicies (`cilium.io/v2`) that allow the same, and what only Cilium can say: names
//! outside the cluster. It decides nothing about evidence, and what has no equal it names and leaves out.
//!
//! What is different there, and what is done about it:
//!
//! - A pod's labels come from several sources, and its namespace is a label: `k8s:app`,
//!   `k8s:io.kubernetes.pod.namespace`. The namespace always stands beside a peer's labels.
//! - Labels that Cilium keeps out of identities (`kubernetes.io/…`, `k8s.io/…`) match nothing there, and their absence matches
//!   everything: a peer that needs one is left out, a subject that needs one is refused.
//! - CIDR rules never match nodes or pods (cilium#20550). A node's address becomes the entities `host` and
//!   `remote-node`, which are *all* nodes; the comment says so. The API server's becomes `kube-apiserver`.
//! - A rule with ports and without ends is for everybody, and a rule without ports for all ports: neither is written.
//!   A direction isolates by being there; `{}`, the rule that allows nothing, is written only for a default deny.
//! - At most 40 ports stand in one list.
//!
//! # Names outside the cluster
//!
//! The log says which name was asked, not which port was used, nor which addresses came back. `toFQDNs` needs no addresses;
//! but without `toPorts` it opens every port of them, which is wider than the evidence (rule W9). To refuse would leave the
//! policy cutting what was seen, with nothing to start from; a guess (443) would be an invention. So the rule is written
//! without ports, and the policy is *incomplete*: it goes to `incomplete/`, its first lines ask for the ports, and
//! `--strict` refuses it. The ports of a Service of type ExternalName are declared, and such a rule has them. HTTPS
//! lookups (type 65) would hint at 443, but whoever makes them asks A as well, and may use either answer.

mod fqdn;
mod object;
mod rules;

use std::collections::BTreeMap;

use self::fqdn::{DnsPods, Outside};
pub use self::object::CiliumNetworkPolicy;
use self::object::{Ends, Rule, Spec};
use self::rules::Known;
use super::around::UNLABELLED;
use super::build::build_and;
use super::comment::{SHOWN, annotation, list};
use super::egress::{ALIAS, EXTERNAL, EXTERNAL_NAME};
use super::{Direction, Options, Policies, Policy, Refusal};
use crate::cluster::Cluster;
use crate::cluster::workloads::WorkloadId;
use crate::connections::Report;

const EVIDENCE: &str = "kico.dev/evidence";
/// The label of what leaves something out.
const INCOMPLETE: &str = "kico.dev/incomplete";

/// One policy a direction and workload that was asked for, in Cilium's words, or the reason why there is none.
pub fn build(report: &Report, cluster: &Cluster, options: &Options<'_>) -> Policies {
    // What is incomplete to Kubernetes may be complete to Cilium; `--strict` is about the result.
    let lenient = Options { strict: false, ..options.clone() };
    let outside = fqdn::outside(report, cluster);
    let named = outside.iter().filter(|(_, outside)| !outside.is_empty());
    let named = named.map(|(id, _)| *id).collect();
    convert(&build_and(report, cluster, &lenient, &named), report, cluster, options)
}

/// The same policies for Cilium: same names, same places, same comments. `report` is the one that they were built from.
pub fn convert(
    policies: &Policies,
    report: &Report,
    cluster: &Cluster,
    options: &Options<'_>,
) -> Policies {
    let translation = Translation {
        known: Known::new(cluster),
        outside: fqdn::outside(report, cluster),
        dns_pods: fqdn::dns_pods(cluster),
        strict: options.strict,
        evidence: options.evidence,
    };
    let mut out = Policies {
        refused: policies.refused.clone(),
        notes: notes(&policies.notes, cluster),
        ..Policies::default()
    };
    for policy in policies.complete.iter().chain(&policies.incomplete) {
        match translation.policy(policy) {
            Ok(policy) if policy.incomplete.is_empty() => out.complete.push(policy),
            Ok(policy) => out.incomplete.push(policy),
            Err(reason) => {
                let (namespace, name) = key(policy);
                out.refused.push(Refusal {
                    namespace: namespace.unwrap_or_default().into(),
                    object: format!(
                        "CiliumNetworkPolicy {}/{}",
                        namespace.unwrap_or_default(),
                        name.unwrap_or_default()
                    ),
                    reason,
                    workload: Some(policy.workload),
                    direction: Some(policy.direction()),
                });
            }
        }
    }
    out.incomplete.sort_by(|a, b| key(a).cmp(&key(b)));
    out.refused.sort();
    out
}

fn key(policy: &Policy) -> (Option<&str>, Option<&str>) {
    let meta = &policy.object.metadata;
    (meta.namespace.as_deref(), meta.name.as_deref())
}

/// What holds for all policies of a run.
struct Translation {
    known: Known,
    outside: BTreeMap<WorkloadId, Outside>,
    dns_pods: DnsPods,
    strict: bool,
    evidence: bool,
}

impl Translation {
    fn policy(&self, policy: &Policy) -> Result<Policy, String> {
        let (mut spec, left_out) = rules::spec(&policy.object, &self.known)?;
        let mut policy = policy.clone();
        policy.comment = policy.comment.iter().map(|line| comment(line)).collect();
        // Cilium knows a pod's namespace without a label.
        policy.incomplete.retain(|reason| !reason.starts_with(UNLABELLED));
        policy.incomplete.extend(left_out);
        if policy.direction() == Direction::Egress
            && let Some(outside) = self.outside.get(&policy.workload)
        {
            // Said below, by name.
            let said = |reason: &String| {
                [ALIAS, EXTERNAL, EXTERNAL_NAME].iter().any(|words| reason.starts_with(words))
            };
            policy.incomplete.retain(|reason| !said(reason));
            self.add(outside, &mut spec, &mut policy);
        }
        if self.strict && !policy.incomplete.is_empty() {
            return Err(format!("incomplete, and --strict: {}", policy.incomplete.join("; ")));
        }
        if lets_nodes(&spec) {
            policy.comment.push(
                "Cilium knows a node by no address: host and remote-node are all nodes, and every \
                 hostNetwork pod on them"
                    .into(),
            );
        }
        policy.incomplete.sort();
        policy.incomplete.dedup();
        let mut metadata = policy.object.metadata.clone();
        let labels = metadata.labels.get_or_insert_default();
        match policy.incomplete.is_empty() {
            true => labels.remove(INCOMPLETE),
            false => labels.insert(INCOMPLETE.into(), "true".into()),
        };
        policy.cilium = Some(CiliumNetworkPolicy::new(metadata, spec));
        Ok(policy)
    }

    /// The names outside the cluster, behind everything else.
    fn add(&self, outside: &Outside, spec: &mut Spec, policy: &mut Policy) {
        policy.incomplete.extend(outside.left_out.iter().cloned());
        if outside.is_empty() {
            return;
        }
        let rules = spec.egress.get_or_insert_default();
        if !fqdn::watch_lookups(rules, &self.dns_pods) {
            policy.incomplete.push(
                "names outside the cluster were asked for, and no rule leads to DNS pods: toFQDNs \
                 works only on lookups that Cilium sees"
                    .into(),
            );
            return;
        }
        rules.extend(outside.rules());
        if self.evidence {
            evidence(outside, policy);
        }
        policy.comment.push(
            "toFQDNs: whatever else stands at the addresses of these names is let through too"
                .into(),
        );
        policy.comment.push(
            "rules.dns: Cilium learns addresses from lookups that pass its proxy; all may pass, \
             since a refused search-path lookup would end the search"
                .into(),
        );
        if outside.without_ports().next().is_some() {
            let names = list(outside.without_ports(), SHOWN);
            policy.incomplete.push(format!(
                "DNS does not say which ports were used: every port is open to {names}; write \
                 toPorts beside these toFQDNs"
            ));
        }
    }
}

/// What was asked for outside, in the comment and the annotation.
fn evidence(outside: &Outside, policy: &mut Policy) {
    let lines: Vec<String> = (outside.shown())
        .map(|(ports, names)| {
            let ports = if ports.is_empty() { "ports unknown" } else { ports.as_str() };
            format!("External: {}; {ports}", list(names.into_iter(), SHOWN))
        })
        .collect();
    policy.comment.extend(lines.iter().map(|line| format!("toFQDNs: {line}")));
    let annotations = policy.object.metadata.annotations.get_or_insert_default();
    let own = annotations.remove(EVIDENCE).unwrap_or_default();
    let all: Vec<String> = own.lines().map(str::to_owned).chain(lines).collect();
    annotations.insert(EVIDENCE.into(), annotation(&all));
}

fn lets_nodes(spec: &Spec) -> bool {
    let mut rules = spec.ingress.iter().chain(&spec.egress).flatten();
    rules.any(|rule| {
        matches!(rule, Rule::Allow { ends: Ends::Entities(list), .. } if list.contains(&"remote-node"))
    })
}

/// The words of the other API that a comment uses.
fn comment(line: &str) -> String {
    match line.strip_prefix("podSelector") {
        Some(rest) => format!("endpointSelector{rest}"),
        None => line.to_owned(),
    }
}

/// What is to be known of all of them. Cilium has to be there.
fn notes(notes: &[String], cluster: &Cluster) -> Vec<String> {
    let mut notes = notes.to_vec();
    let controllers = &cluster.snapshot.controllers;
    let mut sets = controllers.iter().filter(|c| c.kind == "DaemonSet").peekable();
    if sets.peek().is_some() && !sets.any(|set| set.meta.name.contains("cilium")) {
        notes.push(
            "the snapshot shows no Cilium: without it nothing takes a CiliumNetworkPolicy".into(),
        );
    }
    notes
}
