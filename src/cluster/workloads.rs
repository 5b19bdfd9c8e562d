//! Pod → workload: the controller chain (SEMANTICS 4), from references only; what is inferred from a name is marked.
//! An owner counts only in the pod's own namespace, as the API has it: no reference reaches into another one.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::model::{Controller, Meta, Owner, Pod, Snapshot};
use crate::time::{SECOND, Time};

/// Index of a workload in [`Workloads::list`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId(pub u32);

/// A workload: the top of a pod's controller chain, or the bare pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob, Pod, or the custom owner's kind; with its API group
    /// behind it where the kind alone says another one: `StatefulSet.apps.kruise.io`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its index in `snapshot.controllers`, if the snapshot has it.
    pub controller: Option<usize>,
    /// Its pods: indices in `snapshot.pods`, ascending. Finished ones included.
    pub pods: Vec<usize>,
    /// Whether some pod's CronJob was inferred from the name of a Job that the snapshot lacks (status `owner inferred`).
    pub inferred: bool,
}

impl Workload {
    /// Whether it is the cache in front of the cluster's DNS, if it is in a DNS namespace: it runs on every node, whoever's
    /// DaemonSet it is.
    pub fn is_node_local_dns(&self) -> bool {
        let kind = self.kind.split_once('.').map_or(self.kind.as_str(), |(kind, _)| kind);
        kind == "DaemonSet" && self.name == "node-local-dns"
    }
}

/// All workloads, sorted by namespace, kind, name; those without pods too.
#[derive(Clone, Debug, Default)]
pub struct Workloads {
    /// Sorted by namespace, kind, name.
    pub list: Vec<Workload>,
    /// Pod index → its workload.
    pub of_pod: Vec<WorkloadId>,
}

impl Workloads {
    /// The workloads of a snapshot. Two objects of one namespace, API group, kind and name are one workload, whatever their
    /// uids: it was deleted and made again.
    pub fn new(snapshot: &Snapshot) -> Workloads {
        let controllers = Controllers::new(&snapshot.controllers);
        let tops: Vec<Top> = snapshot.pods.iter().map(|pod| controllers.top_of(pod)).collect();
        let mut found: HashMap<Key<'_>, Workload> = HashMap::new();
        for (index, controller) in snapshot.controllers.iter().enumerate() {
            if steps_up(&controller.kind) && controller.meta.owner.is_some() {
                continue;
            }
            let Meta { namespace, name, .. } = &controller.meta;
            let workload = entry(&mut found, (namespace, &controller.kind, name, ""));
            let newer =
                |old: usize| snapshot.controllers[old].meta.created <= controller.meta.created;
            if workload.controller.is_none_or(newer) {
                workload.controller = Some(index);
            }
        }
        for (index, (pod, top)) in snapshot.pods.iter().zip(&tops).enumerate() {
            let key = (pod.meta.namespace.as_str(), top.kind, top.name, top.group);
            let workload = entry(&mut found, key);
            workload.pods.push(index);
            workload.inferred |= top.inferred;
        }
        let list = listed(found);
        let mut of_pod = vec![WorkloadId(0); snapshot.pods.len()];
        for (id, workload) in (0..).map(WorkloadId).zip(&list) {
            for &pod in &workload.pods {
                of_pod[pod] = id;
            }
        }
        Workloads { list, of_pod }
    }

    /// Whose these pods are.
    pub fn owners(&self, pods: impl IntoIterator<Item = usize>) -> BTreeSet<WorkloadId> {
        pods.into_iter().filter_map(|pod| self.of_pod.get(pod).copied()).collect()
    }

    /// The workload of this id.
    pub fn get(&self, id: WorkloadId) -> &Workload {
        &self.list[id.0 as usize]
    }

    /// All workloads with their ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = (WorkloadId, &Workload)> {
        (0..).map(WorkloadId).zip(&self.list)
    }
}

/// Namespace, kind, name and group: what makes a workload.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str);

/// All of them, sorted. Those that would be shown alike, custom kinds of two groups, say their groups.
fn listed(found: HashMap<Key<'_>, Workload>) -> Vec<Workload> {
    let mut all: Vec<(Key<'_>, Workload)> = found.into_iter().collect();
    all.sort_unstable_by_key(|(key, _)| *key);
    let mut is_alike = vec![false; all.len()];
    for (at, pair) in all.windows(2).enumerate() {
        let [(a, _), (b, _)] = pair else { continue };
        if (a.0, a.1, a.2) == (b.0, b.1, b.2) {
            is_alike[at..at + 2].fill(true);
        }
    }
    let mut list = Vec::with_capacity(all.len());
    for (((_, kind, _, group), workload), is_alike) in all.into_iter().zip(is_alike) {
        let kind = match group {
            group if is_alike && !group.is_empty() => format!("{kind}.{group}"),
            _ => workload.kind,
        };
        list.push(Workload { kind, ..workload });
    }
    list.sort_by(|a, b| shown(a).cmp(&shown(b)));
    list
}

fn shown(workload: &Workload) -> (&str, &str, &str) {
    (&workload.namespace, &workload.kind, &workload.name)
}

fn entry<'m, 'a>(found: &'m mut HashMap<Key<'a>, Workload>, key: Key<'a>) -> &'m mut Workload {
    let (namespace, kind, name, _) = key;
    found.entry(key).or_insert_with(|| Workload {
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
        controller: None,
        pods: Vec::new(),
        inferred: false,
    })
}

/// In the place of a group: the static pods of a name, less their nodes', are not the bare pod of that name.
const STATIC: &str = "static";

/// What stands at the top of a pod's chain.
#[derive(Clone, Copy)]
struct Top<'a> {
    kind: &'a str,
    group: &'a str,
    name: &'a str,
    inferred: bool,
}

impl<'a> Top<'a> {
    /// One of a kind that kico knows.
    fn known(kind: &'a str, name: &'a str) -> Top<'a> {
        Top { kind, group: "", name, inferred: false }
    }

    /// An owner as it stands.
    fn of(owner: &'a Owner) -> Top<'a> {
        Top { kind: &owner.kind, group: &owner.group, name: &owner.name, inferred: false }
    }
}

/// The snapshot's controllers by namespace, kind and name.
struct Controllers<'a> {
    by_name: HashMap<(&'a str, &'a str, &'a str), Vec<&'a Controller>>,
}

impl<'a> Controllers<'a> {
    fn new(controllers: &'a [Controller]) -> Controllers<'a> {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for c in controllers {
            let key = (c.meta.namespace.as_str(), c.kind.as_str(), c.meta.name.as_str());
            by_name.entry(key).or_default().push(c);
        }
        Controllers { by_name }
    }

    /// By uid; by name only where one side has no uid: a ReplicaSet that was made again under the old name is another one.
    fn find(&self, namespace: &str, owner: &Owner) -> Option<&'a Controller> {
        let named = self.by_name.get(&(namespace, owner.kind.as_str(), owner.name.as_str()))?;
        let same = named.iter().find(|c| c.meta.uid == owner.uid);
        let either = || named.iter().find(|c| owner.uid.is_empty() || c.meta.uid.is_empty());
        same.or_else(either).copied()
    }

    fn top_of(&self, pod: &'a Pod) -> Top<'a> {
        let Some(direct) = &pod.meta.owner else {
            return Top::known("Pod", &pod.meta.name);
        };
        if direct.kind == "Node" {
            let name = static_name(pod, &direct.name);
            return Top { group: STATIC, ..Top::known("Pod", name) };
        }
        let mut owner = direct;
        // A chain of honest objects has two steps. One that is longer goes in a circle, and stands for nothing.
        for _ in 0..8 {
            if !steps_up(&owner.kind) {
                return Top::of(owner);
            }
            let Some(controller) = self.find(&pod.meta.namespace, owner) else {
                return absent(pod, owner);
            };
            match &controller.meta.owner {
                Some(next) => owner = next,
                None => return Top::of(owner),
            }
        }
        Top::of(direct)
    }
}

/// The two kinds that are made by others to be thrown away. Everything else is a workload even if something owns it: a
/// StatefulSet of an operator is what people look for, and has the selector.
fn steps_up(kind: &str) -> bool {
    kind == "ReplicaSet" || kind == "Job"
}

/// A ReplicaSet or Job that the snapshot lacks: what its name and the pod say of its owner.
fn absent<'a>(pod: &'a Pod, owner: &'a Owner) -> Top<'a> {
    let stands = Top::of(owner);
    if owner.kind == "Job" {
        return match owner.name.rsplit_once('-') {
            Some((name, digits)) if !name.is_empty() && scheduled_near(digits, pod) => {
                Top { inferred: true, ..Top::known("CronJob", name) }
            }
            _ => stands,
        };
    }
    let less_hash = |label: &str| {
        let hash = pod.meta.labels.get(label).filter(|hash| !hash.is_empty())?;
        let name = owner.name.strip_suffix(hash)?.strip_suffix('-')?;
        Some(name).filter(|name| !name.is_empty())
    };
    if let Some(name) = less_hash("rollouts-pod-template-hash") {
        return Top::known("Rollout", name);
    }
    match less_hash("pod-template-hash") {
        Some(name) => Top::known("Deployment", name),
        None => stands,
    }
}

/// Whether a CronJob's controller may have written these digits: minutes (8) or seconds (10) since 1970, within a day of
/// the pod's creation. Other numbers are the user's own.
fn scheduled_near(digits: &str, pod: &Pod) -> bool {
    let unit: Time = match digits.len() {
        8 => 60,
        10 => 1,
        _ => return false,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let (Ok(count), Some(created)) = (digits.parse::<Time>(), pod.meta.created) else {
        return false;
    };
    let away = (count * unit).abs_diff(created.div_euclid(SECOND));
    away <= 24 * 60 * 60
}

/// A static pod's name is its manifest's with the node's behind it: the same manifest on every node is one workload.
fn static_name<'a>(pod: &'a Pod, node: &str) -> &'a str {
    let name = &pod.meta.name;
    let less_node = name.strip_suffix(node).and_then(|rest| rest.strip_suffix('-'));
    less_node.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests;
