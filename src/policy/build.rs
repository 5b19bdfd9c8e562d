//! Evidence → policies. Everything is worked out for all workloads first; which policies were asked for is looked at
//! last, so that a filter changes no policy.

use std::collections::{BTreeMap, BTreeSet};

use super::around::{exposed, hidden, notes, unfit, unlabelled};
use super::closure::{self, At, Closed, Peer, Stranger};
use super::comment::SHOWN;
use super::draft::Draft;
use super::egress_dns::{Dns, dns};
use super::evidence::{Evidence, Subject, display, gather};
use super::selectors::{Selectors, has_ended, is_on_host};
use super::{Direction, Options, Policies, Policy, Refusal, comment, egress, object};
use crate::cluster::Cluster;
use crate::cluster::workloads::WorkloadId;
use crate::connections::Report;

/// One policy a direction and workload that was asked for, or the reason why there is none.
pub fn build(report: &Report, cluster: &Cluster, options: &Options<'_>) -> Policies {
    build_and(report, cluster, options, &BTreeSet::new())
}

/// The same; the workloads of `dns_alone` get an egress policy even if it leads to the cluster's DNS and nowhere else.
pub(super) fn build_and(
    report: &Report,
    cluster: &Cluster,
    options: &Options<'_>,
    dns_alone: &BTreeSet<WorkloadId>,
) -> Policies {
    let mut selectors = Selectors::new(cluster);
    let mut policies = Policies::default();
    let wanted = |direction| options.directions.contains(&direction);
    if wanted(Direction::Ingress) {
        let evidence = gather(report, cluster, options);
        policies.notes = notes(cluster, &evidence, options);
        let side = Side { direction: Direction::Ingress, evidence, first: None, dns_alone };
        side.build(&mut policies, &mut selectors, cluster, options);
    } else {
        // Those about ingress subjects are not asked for; the rest holds for every policy.
        let nobody = Options { subjects: &|_| false, ..options.clone() };
        policies.notes = notes(cluster, &Evidence::default(), &nobody);
    }
    if wanted(Direction::Egress) {
        match dns(cluster, &mut selectors) {
            Ok(dns) => {
                let evidence = egress::gather(report, cluster);
                policies.notes.extend(egress::notes(report, cluster, &evidence, options));
                let side =
                    Side { direction: Direction::Egress, evidence, first: Some(dns), dns_alone };
                side.build(&mut policies, &mut selectors, cluster, options);
            }
            Err(reason) => policies.refused.push(Refusal {
                namespace: String::new(),
                object: "every egress policy".into(),
                reason,
                workload: None,
                direction: Some(Direction::Egress),
            }),
        }
    }
    for list in [&mut policies.complete, &mut policies.incomplete] {
        list.sort_by(|a, b| key(a).cmp(&key(b)));
    }
    policies.refused.sort();
    policies
}

/// Everything about one direction.
struct Side<'a> {
    direction: Direction,
    evidence: Evidence,
    /// Egress: the rules to the cluster's DNS.
    first: Option<Dns>,
    /// Who needs no other peer.
    dns_alone: &'a BTreeSet<WorkloadId>,
}

impl Side<'_> {
    fn build(
        &self,
        policies: &mut Policies,
        selectors: &mut Selectors<'_>,
        cluster: &Cluster,
        options: &Options<'_>,
    ) {
        let (direction, evidence) = (self.direction, &self.evidence);
        let names = object::names(cluster, direction);
        let mut refused: BTreeMap<WorkloadId, String> = BTreeMap::new();
        let mut reasons: BTreeMap<WorkloadId, BTreeSet<String>> = BTreeMap::new();
        let mut rights = BTreeSet::new();
        for (&id, subject) in &evidence.subjects {
            let unfit = match direction {
                Direction::Ingress => unfit(id, cluster),
                Direction::Egress => egress::unfit(id, cluster),
            };
            let why = unfit.or_else(|| selectors.of(id).err().map(str::to_owned)).or_else(|| {
                (!names.contains_key(&id)).then(|| "its policy's name is taken".into())
            });
            if let Some(why) = why {
                refused.insert(id, why);
                continue;
            }
            let reasons = reasons.entry(id).or_default();
            reasons.extend(unsaid(subject));
            for (peer, asked) in &subject.peers {
                if let Some(other) = peer.workload()
                    && let Err(why) = selectors.of(other)
                {
                    let other = display(other, cluster);
                    reasons.insert(match direction {
                        Direction::Ingress => format!("{other} asked for it: {why}"),
                        Direction::Egress => format!("it asked for {other}: {why}"),
                    });
                    continue;
                }
                let ports = asked.values().flat_map(|asked| &asked.ports);
                rights.extend(ports.map(|at| (id, peer.clone(), at.clone())));
            }
        }

        let matched = matched(&rights, selectors);
        let closed = closure::close(rights, &matched);
        for ((id, peer), (ports, strangers)) in &closed.dropped {
            let reason = stranger_reason(direction, peer, ports, strangers, cluster);
            reasons.entry(*id).or_default().insert(reason);
        }
        let allowed = allowed(&closed);
        if direction == Direction::Ingress {
            let exposed = exposed(cluster).into_iter();
            for (id, exposed) in exposed.filter(|(id, _)| allowed.contains_key(id)) {
                reasons.entry(id).or_default().extend(exposed);
            }
        }
        let dns = self.first.iter().flat_map(|dns| &dns.workloads);
        let nothing = BTreeMap::new();
        let alone = self.dns_alone.iter().filter(|id| {
            direction == Direction::Egress
                && reasons.contains_key(*id)
                && !allowed.contains_key(*id)
        });
        let alone: Vec<_> = alone.map(|id| (id, &nothing)).collect();
        for (id, peers) in allowed.iter().chain(alone) {
            let others = peers.keys().filter_map(Peer::workload).chain(dns.clone().copied());
            let namespaces =
                others.map(|id| cluster.workloads.get(id).namespace.as_str()).collect();
            let own = &cluster.workloads.get(*id).namespace;
            let reasons = reasons.entry(*id).or_default();
            reasons.extend(unlabelled(cluster, &namespaces));
            reasons.extend(hidden(cluster, direction, own, &namespaces));
        }
        together(self, &allowed, &matched, &names, &mut reasons, (selectors, cluster));

        let mut draft = Draft {
            direction,
            evidence,
            first: self.first.as_ref(),
            names: &names,
            allowed: &allowed,
            matched: &matched,
            cluster,
            options,
            selectors,
        };
        for (&id, reasons) in &reasons {
            let alone = direction == Direction::Egress && self.dns_alone.contains(&id);
            match allowed.get(&id).or_else(|| alone.then_some(&nothing)) {
                None => {
                    let list = join(reasons.iter().map(String::as_str));
                    let nobody = match direction {
                        Direction::Ingress => "nobody who asked can be a peer",
                        Direction::Egress => "nothing that it asked for can be a peer",
                    };
                    refused.insert(id, format!("{nobody}: {list}"));
                }
                Some(_) if options.strict && !reasons.is_empty() => {
                    let list = reasons.iter().map(String::as_str);
                    refused.insert(id, format!("incomplete, and --strict: {}", join(list)));
                }
                Some(peers) if options.wants(direction, id) => {
                    let Some(policy) = draft.policy(id, peers, reasons) else { continue };
                    match reasons.is_empty() {
                        true => policies.complete.push(policy),
                        false => policies.incomplete.push(policy),
                    }
                }
                Some(_) => {}
            }
        }
        policies.refused.extend(self.refusals(refused, cluster, options));
    }

    fn refusals(
        &self,
        refused: BTreeMap<WorkloadId, String>,
        cluster: &Cluster,
        options: &Options<'_>,
    ) -> Vec<Refusal> {
        // With both directions, what is refused in one may be allowed in the other.
        let is_alone = options.directions.len() == 1;
        let asked = refused.into_iter().filter(|(id, _)| options.wants(self.direction, *id));
        let workloads = asked.map(|(id, reason)| Refusal {
            namespace: cluster.workloads.get(id).namespace.clone(),
            object: display(id, cluster),
            reason: match self.direction {
                Direction::Ingress if is_alone => reason,
                direction => format!("no {} policy: {reason}", direction.word()),
            },
            workload: Some(id),
            direction: Some(self.direction),
        });
        let servers = self.evidence.servers.iter().map(|(namespace, object, reason)| Refusal {
            namespace: namespace.clone(),
            object: object.clone(),
            reason: match is_alone {
                true => reason.clone(),
                false => format!("for {}: {reason}", self.direction.word()),
            },
            workload: None,
            direction: Some(self.direction),
        });
        workloads.chain(servers).collect()
    }
}

fn key(policy: &Policy) -> (Option<&str>, Option<&str>) {
    let meta = &policy.object.metadata;
    (meta.namespace.as_deref(), meta.name.as_deref())
}

/// The other ends that were seen and cannot be said, one line a kind of trouble.
fn unsaid(subject: &Subject) -> impl Iterator<Item = String> {
    subject.unsaid.iter().map(|(trouble, others)| match others.is_empty() {
        true => trouble.clone(),
        false => {
            let others = comment::list(others.iter().map(String::as_str), SHOWN);
            format!("{trouble}: {others}")
        }
    })
}

fn matched(
    rights: &BTreeSet<closure::Right>,
    selectors: &mut Selectors<'_>,
) -> BTreeMap<WorkloadId, BTreeSet<WorkloadId>> {
    let mut matched = BTreeMap::new();
    for (subject, peer, _) in rights {
        for id in peer.workload().into_iter().chain([*subject]) {
            if !matched.contains_key(&id)
                && let Ok(selector) = selectors.of(id)
            {
                matched.insert(id, selector.matched.clone());
            }
        }
    }
    matched
}

fn stranger_reason(
    direction: Direction,
    peer: &Peer,
    ports: &BTreeSet<At>,
    strangers: &BTreeSet<Stranger>,
    cluster: &Cluster,
) -> String {
    let mut of_peer = Vec::new();
    let mut of_subject = Vec::new();
    for stranger in strangers {
        match stranger {
            Stranger::OfPeer(id) => of_peer.push(display(*id, cluster)),
            Stranger::OfSubject(id) => of_subject.push(display(*id, cluster)),
        }
    }
    let mut reason = format!("{} on {}", comment::peer_text(peer, cluster), comment::at(ports));
    let (other_peer, other_subject) = match direction {
        Direction::Ingress => (
            "its labels also fit pods that did not ask for this",
            "the policy's selector also fits pods that it did not ask for",
        ),
        Direction::Egress => (
            "its labels also fit pods that were not asked for",
            "the policy's selector also fits pods that did not ask for it",
        ),
    };
    for (words, list) in [(other_peer, of_peer), (other_subject, of_subject)] {
        if !list.is_empty() {
            let list = comment::list(list.iter().map(String::as_str), SHOWN);
            reason = format!("{reason}: {words}, of {list}");
        }
    }
    reason
}

/// What stands, by subject and peer.
fn allowed(closed: &Closed) -> BTreeMap<WorkloadId, BTreeMap<Peer, BTreeSet<At>>> {
    let mut allowed: BTreeMap<_, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
    for (subject, peer, at) in &closed.kept {
        let peers = allowed.entry(*subject).or_default();
        peers.entry(peer.clone()).or_default().insert(at.clone());
    }
    allowed
}

/// Who would be cut by whose policy: from → to, where what `from` lacks makes the policy of `to` incomplete.
#[derive(Default)]
struct Beside {
    edges: BTreeMap<WorkloadId, BTreeSet<WorkloadId>>,
    /// Those of them that have no pod now.
    ended: BTreeSet<WorkloadId>,
}

/// Policies that select the same pods are incomplete together: one alone would cut what only the other allows. So is one
/// that would select the pods of a workload that has none now, where something was seen of that: a CronJob between its
/// runs, a chart's hook.
fn together(
    side: &Side<'_>,
    allowed: &BTreeMap<WorkloadId, BTreeMap<Peer, BTreeSet<At>>>,
    matched: &BTreeMap<WorkloadId, BTreeSet<WorkloadId>>,
    names: &BTreeMap<WorkloadId, String>,
    reasons: &mut BTreeMap<WorkloadId, BTreeSet<String>>,
    (selectors, cluster): (&mut Selectors<'_>, &Cluster),
) {
    let mut beside = Beside::default();
    for id in allowed.keys() {
        for other in matched.get(id).into_iter().flatten().filter(|other| *other != id) {
            beside.edges.entry(*id).or_default().insert(*other);
            beside.edges.entry(*other).or_default().insert(*id);
        }
    }
    let subjects = side.evidence.subjects.keys().copied();
    for ended in subjects.filter(|id| has_ended(cluster, *id) && !is_on_host(cluster, *id)) {
        for id in allowed.keys().filter(|id| **id != ended) {
            if selectors.would_select(*id, ended) {
                beside.edges.entry(ended).or_default().insert(*id);
                beside.ended.insert(ended);
            }
        }
    }
    let lacks = |id: &WorkloadId| {
        reasons.get(id).is_some_and(|r| !r.is_empty())
            || (beside.ended.contains(id) && !allowed.contains_key(id))
    };
    let mut waiting: Vec<WorkloadId> = beside.edges.keys().copied().filter(lacks).collect();
    let mut reached: BTreeSet<WorkloadId> = waiting.iter().copied().collect();
    while let Some(id) = waiting.pop() {
        for &other in beside.edges.get(&id).into_iter().flatten() {
            if reached.insert(other) {
                waiting.push(other);
            }
        }
    }
    for (from, to) in &beside.edges {
        let reason = match (beside.ended.contains(from), names.get(from)) {
            (true, _) => format!(
                "it would also select the pods of {}, which has none now, and not all that was seen of it is allowed",
                display(*from, cluster)
            ),
            (false, Some(name)) => {
                format!("{name}, which selects some of the same pods, is incomplete")
            }
            (false, None) => continue,
        };
        let is_reached = |id: &&WorkloadId| reached.contains(id) && allowed.contains_key(id);
        for id in to.iter().filter(is_reached).filter(|_| reached.contains(from)) {
            reasons.entry(*id).or_default().insert(reason.clone());
        }
    }
}

fn join<'a>(list: impl Iterator<Item = &'a str>) -> String {
    list.collect::<Vec<_>>().join("; ")
}
