//! What stands of a workload's evidence → its policy: the object, and the lines above it. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};

use super::around::{existing, looked_for};
use super::closure::{At, Peer};
use super::comment::{self, SHOWN};
use super::egress_dns::Dns;
use super::evidence::{Evidence, display};
use super::object::object;
use super::selectors::{Selector, Selectors};
use super::{Direction, Options, Policy};
use crate::cluster::Cluster;
use crate::cluster::workloads::WorkloadId;

/// What policies are made of, once it is known what each may say.
pub(super) struct Draft<'a, 's> {
    pub(super) direction: Direction,
    pub(super) evidence: &'a Evidence,
    /// Egress: the rules to the cluster's DNS.
    pub(super) first: Option<&'a Dns>,
    pub(super) names: &'a BTreeMap<WorkloadId, String>,
    pub(super) allowed: &'a BTreeMap<WorkloadId, BTreeMap<Peer, BTreeSet<At>>>,
    pub(super) matched: &'a BTreeMap<WorkloadId, BTreeSet<WorkloadId>>,
    pub(super) cluster: &'a Cluster,
    pub(super) options: &'a Options<'a>,
    pub(super) selectors: &'a mut Selectors<'s>,
}

impl Draft<'_, '_> {
    /// `None` cannot be: what is allowed has a name and selectors.
    pub(super) fn policy(
        &mut self,
        id: WorkloadId,
        peers: &BTreeMap<Peer, BTreeSet<At>>,
        reasons: &BTreeSet<String>,
    ) -> Option<Policy> {
        let own = self.selectors.of(id).ok()?.clone();
        let mut selectors = BTreeMap::new();
        for peer in peers.keys() {
            if let Some(other) = peer.workload() {
                let namespace = &self.cluster.workloads.get(other).namespace;
                let selector = self.selectors.of(other).ok()?.clone();
                selectors.insert(other, (namespace.as_str(), selector));
            }
        }
        let mut evidence = Vec::new();
        if self.options.evidence {
            let asked = &self.evidence.subjects.get(&id)?.peers;
            evidence = comment::evidence(asked, peers, self.cluster);
        }
        let workload = self.cluster.workloads.get(id);
        let name = self.names.get(&id)?;
        let first = self.first.map(|dns| dns.rules.as_slice()).unwrap_or_default();
        let place = (workload.namespace.as_str(), name.as_str());
        let mut object = object(self.direction, place, &own.selector, peers, &selectors, first);
        if !reasons.is_empty() {
            let labels = object.metadata.labels.get_or_insert_default();
            labels.insert("kico.dev/incomplete".into(), "true".into());
        }
        if !evidence.is_empty() {
            let annotations = object.metadata.annotations.get_or_insert_default();
            annotations.insert("kico.dev/evidence".into(), comment::annotation(&evidence));
        }
        let idle = selectors.values().flat_map(|(_, selector)| &selector.idle).copied();
        let idle = idle.filter(|other| !selectors.contains_key(other)).collect();
        Some(Policy {
            object,
            cilium: None,
            workload: id,
            comment: self.comment(id, &own, &evidence, idle),
            incomplete: reasons.iter().cloned().collect(),
            peers: selectors.into_keys().collect(),
        })
    }

    fn comment(
        &self,
        id: WorkloadId,
        own: &Selector,
        evidence: &[String],
        idle_peers: BTreeSet<WorkloadId>,
    ) -> Vec<String> {
        let subject = display(id, self.cluster);
        let (first, peer) = match self.direction {
            Direction::Ingress => ("only those who asked for it by name may connect to it", "from"),
            Direction::Egress => {
                ("may connect only to what it asked for by name, and to the cluster's DNS", "to")
            }
        };
        let mut lines = vec![format!("{subject}: {first}")];
        let mut say = |words: &str, list: Vec<&str>| {
            if !list.is_empty() {
                let list = comment::list(list.into_iter(), SHOWN);
                lines.push(format!("{words}: {list}"));
            }
        };
        say("podSelector", vec![own.source]);
        for line in evidence {
            say(peer, vec![line]);
        }
        for line in self.first.iter().flat_map(|dns| &dns.lines) {
            say("to, for DNS", vec![line]);
        }
        let others = self.matched.get(&id).into_iter().flatten().filter(|other| **other != id);
        let others = others.filter_map(|other| self.names.get(other)).map(String::as_str);
        say("these select some of the same pods; apply them together", others.collect());
        let idle: Vec<String> = own.idle.iter().map(|id| display(*id, self.cluster)).collect();
        say("podSelector also fits what has no pod now", idle.iter().map(String::as_str).collect());
        let idle: Vec<String> = idle_peers.iter().map(|id| display(*id, self.cluster)).collect();
        let words = format!("{peer} also fits what has no pod now");
        say(&words, idle.iter().map(String::as_str).collect());
        let existing = existing(self.cluster, self.direction, id, &self.replaced(id));
        say("policies add up, and these select its pods already", existing);
        if self.takes_the_place_of_another(id) {
            let words = "a NetworkPolicy of this name, which kico did not write, is there already";
            say(words, vec!["applied, this one takes its place"]);
        }
        let changed = self.options.changed_evidence.join(" ");
        let changed = Some(changed.as_str()).filter(|flags| !flags.is_empty());
        say("what counts as evidence was changed by", changed.into_iter().collect());
        match self.direction {
            Direction::Ingress => lines.extend(looked_for(self.cluster)),
            Direction::Egress => {
                lines.push("traffic that DNS cannot show was not looked for".into())
            }
        }
        lines
    }

    /// Whether the snapshot has a policy of this one's name that is somebody else's.
    fn takes_the_place_of_another(&self, id: WorkloadId) -> bool {
        let namespace = &self.cluster.workloads.get(id).namespace;
        let mut there = self.cluster.snapshot.policies.iter().map(|policy| &policy.meta);
        there.any(|meta| {
            meta.namespace == *namespace
                && self.names.get(&id) == Some(&meta.name)
                && meta.labels.get("app.kubernetes.io/managed-by") != Some("kico")
        })
    }

    /// The names of this run's policies in a workload's namespace.
    fn replaced(&self, id: WorkloadId) -> BTreeSet<&str> {
        let namespace = |id: WorkloadId| &self.cluster.workloads.get(id).namespace;
        let beside = self.allowed.keys().filter(|other| namespace(**other) == namespace(id));
        beside.filter_map(|other| self.names.get(other)).map(String::as_str).collect()
    }
}
