//! Several snapshots → one: of two states of an object the later snapshot's counts. Pods of one name and another uid
//! are different pods, and all that ever were are kept. Of other objects only one can bear a name at a time: a later
//! one replaces it, whatever its uid.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::{Take, shown};
use crate::cluster::model::{EndpointSlice, Meta, Moment, Node, Pod, Snapshot};
use crate::cluster::objects::Object;
use crate::time::Time;

/// Joins them; the order in which they were given does not matter.
pub(super) fn join(mut takes: Vec<Take>, dns_namespaces: Vec<String>) -> Snapshot {
    takes.sort_by(|a, b| {
        (a.moment.time, a.moment.path.as_str()).cmp(&(b.moment.time, b.moment.path.as_str()))
    });
    let mut all = Snapshot { given: !takes.is_empty(), dns_namespaces, ..Snapshot::default() };
    let (mut pods, mut controllers, mut services) = (Vec::new(), Vec::new(), Vec::new());
    let (mut slices, mut legacy, mut namespaces) = (Vec::new(), Vec::new(), Vec::new());
    let (mut nodes, mut policies, mut entrances) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gateways, mut monitors, mut corefiles) = (Vec::new(), Vec::new(), Vec::new());
    let is_alone = takes.len() == 1;
    if !is_alone {
        takes.iter_mut().for_each(|take| list(&mut take.moment, &take.objects));
        all.undecided = undecided(&takes);
        all.deleted_policies = delete_policies(&mut takes);
    }
    for take in takes {
        let time = take.moment.time;
        all.moments.push(take.moment);
        all.broken.extend(take.broken);
        all.hidden.extend(take.hidden);
        all.ignored.extend(take.ignored);
        for (kind, count) in take.skipped {
            *all.skipped.entry(kind).or_default() += count;
        }
        for object in take.objects {
            match object {
                Object::Pod(mut pod, _) => {
                    pod.seen = time.map(|time| (time, time)).filter(|_| !is_alone);
                    pods.push(pod);
                }
                Object::Controller(controller, _) => controllers.push(controller),
                Object::Service(service) => services.push(service),
                Object::Slice(slice) => slices.push(slice),
                Object::Endpoints(slices) => legacy.push(slices),
                Object::Namespace(namespace) => namespaces.push(namespace),
                Object::Node(mut node, _) => {
                    node.seen = time.filter(|_| !is_alone);
                    nodes.push(node);
                }
                Object::Policy(policy) => policies.push(policy),
                Object::Entrance(entrance) => entrances.push(entrance),
                Object::Gateway(gateway) => gateways.push(gateway),
                Object::Monitor(monitor) => monitors.push(monitor),
                Object::Corefile(corefile) => corefiles.push(corefile),
                Object::Capture(_) | Object::Nothing | Object::Skipped(_) => {}
            }
        }
    }
    all.pods =
        followed(pods, |pod| [&pod.meta.namespace, &pod.meta.name, &pod.meta.uid], follow_pod);
    all.controllers = unboxed(controllers, |c| [&c.meta.namespace, &c.kind, &c.meta.name]);
    all.services = unboxed(services, |service| named(&service.meta));
    all.slices = unboxed(slices, |slice| named(&slice.meta));
    all.namespaces = unboxed(namespaces, named);
    all.nodes = followed(nodes, |node| named(&node.meta), follow_node);
    all.policies = unboxed(policies, |policy| named(&policy.meta));
    all.entrances = unboxed(entrances, |e| [&e.meta.namespace, &e.kind, &e.meta.name]);
    all.gateways = unboxed(gateways, |gateway| named(&gateway.meta));
    all.monitors = unboxed(monitors, |m| [&m.meta.namespace, &m.kind, &m.meta.name]);
    all.corefiles = unboxed(corefiles, |file| [&file.namespace, &file.name, ""]);
    add_legacy(&mut all.slices, legacy);
    all
}

/// Says what a snapshot holds, so that it can be missing in another.
fn list(moment: &mut Moment, objects: &[Object]) {
    let mut uids = HashSet::new();
    for object in objects {
        match object {
            Object::Policy(_) => moment.policies = true,
            Object::Node(..) => moment.nodes = true,
            Object::Pod(pod, _) => {
                let Meta { uid, namespace, .. } = &pod.meta;
                // Without a uid nobody can tell whether a later snapshot lacks it.
                if !uid.is_empty() {
                    uids.insert(uid.clone());
                }
                if !moment.namespaces.contains(namespace) {
                    moment.namespaces.insert(namespace.clone());
                }
            }
            _ => {}
        }
    }
    moment.pods = Some(uids);
}

/// The last of each key, sorted by key, which takes over what the earlier ones say that is not said any more. They are
/// sorted in their boxes, and moved once.
fn followed<T>(
    mut all: Vec<Box<T>>,
    key: impl Fn(&T) -> [&str; 3],
    follow: impl Fn(&mut T, T),
) -> Vec<T> {
    // As kubectl lists them.
    if !all.is_sorted_by(|a, b| key(a) < key(b)) {
        all.sort_by(|a, b| key(a).cmp(&key(b)));
    }
    let mut last: Vec<T> = Vec::with_capacity(all.len());
    for mut one in all {
        if let Some(earlier) = last.pop_if(|earlier| key(earlier) == key(&one)) {
            follow(&mut one, earlier);
        }
        last.push(*one);
    }
    last
}

/// Remembers at which addresses earlier snapshots have the pod. One that has it at none says nothing.
fn follow_pod(pod: &mut Pod, mut earlier: Pod) {
    pod.former = std::mem::take(&mut earlier.former);
    let is_in = |address: &IpAddr, other: &Pod| other.addresses.contains(address);
    if pod.addresses.len() == earlier.addresses.len()
        && pod.addresses.iter().all(|address| is_in(address, &earlier))
    {
        let both = earlier.seen.zip(pod.seen);
        pod.seen = both.map(|((first, _), (_, last))| (first, last));
    } else if !earlier.addresses.is_empty() {
        pod.former.push(earlier);
    }
}

/// Remembers the addresses, its tunnels' included, that earlier snapshots give the node.
fn follow_node(node: &mut Node, mut earlier: Node) {
    node.former = std::mem::take(&mut earlier.former);
    let is_same =
        node.addresses == earlier.addresses && node.meta.annotations == earlier.meta.annotations;
    if !is_same {
        node.former.push(earlier);
    }
}

/// Snapshots of one time, or without one, that say different things of an object: which of them is the later one is decided
/// by their names.
fn undecided(takes: &[Take]) -> Vec<String> {
    let is_tie =
        |one: &Take, next: &Take| one.moment.time.is_none() || one.moment.time == next.moment.time;
    if takes.is_sorted_by(|one, next| !is_tie(one, next)) {
        return Vec::new();
    }
    let mut last: HashMap<[&str; 4], (&Take, &Object)> = HashMap::new();
    let mut differing: BTreeMap<[&str; 2], Vec<[&str; 4]>> = BTreeMap::new();
    for take in takes {
        for object in &take.objects {
            let Some(key) = object.key() else { continue };
            let Some((before, earlier)) = last.insert(key, (take, object)) else { continue };
            if !std::ptr::eq(before, take) && is_tie(before, take) && !earlier.says(object) {
                let both = [before.moment.path.as_str(), take.moment.path.as_str()];
                differing.entry(both).or_default().push(key);
            }
        }
    }
    let said = |([one, other], mut keys): ([&str; 2], Vec<[&str; 4]>)| {
        keys.sort_unstable();
        let [kind, namespace, name, _] = keys.first().copied().unwrap_or_default();
        let slash = if namespace.is_empty() { "" } else { "/" };
        let more = match keys.len() {
            0 | 1 => String::new(),
            all => format!(", +{}", all - 1),
        };
        shown(&format!(
            "nothing says whether {one} or {other} is the later snapshot, and they differ in {kind} {namespace}{slash}{name}\
             {more}: what {other} says counts"
        ))
    };
    differing.into_iter().map(said).collect()
}

/// Drops the NetworkPolicies that a later snapshot lacks, though it lists that namespace's: they allow nothing any more,
/// and forbid nothing. Names them.
fn delete_policies(takes: &mut [Take]) -> Vec<String> {
    // A snapshot without a time may be the latest of all.
    let mut seen: BTreeMap<(String, String), Option<Time>> = BTreeMap::new();
    for take in &*takes {
        for object in &take.objects {
            let Object::Policy(policy) = object else { continue };
            let Meta { namespace, name, .. } = &policy.meta;
            let last = seen.entry((namespace.clone(), name.clone())).or_insert(take.moment.time);
            *last = last.zip(take.moment.time).map(|(one, other)| one.max(other));
        }
    }
    seen.retain(|(namespace, _), last| {
        let lists = |moment: &Moment| moment.time > *last && moment.lists_policies_of(namespace);
        last.is_some() && takes.iter().any(|take| lists(&take.moment))
    });
    if !seen.is_empty() {
        for take in takes {
            take.objects.retain(|object| match object {
                Object::Policy(policy) => {
                    let Meta { namespace, name, .. } = &policy.meta;
                    !seen.contains_key(&(namespace.clone(), name.clone()))
                }
                _ => true,
            });
        }
    }
    seen.into_keys().map(|(namespace, name)| shown(&format!("{namespace}/{name}"))).collect()
}

fn named(meta: &Meta) -> [&str; 3] {
    [&meta.namespace, &meta.name, ""]
}

/// The last of each key, sorted by key. They are sorted in their boxes, and moved once.
fn unboxed<T>(mut all: Vec<Box<T>>, key: impl Fn(&T) -> [&str; 3]) -> Vec<T> {
    latest(&mut all, |one| key(one));
    all.into_iter().map(|one| *one).collect()
}

/// Keeps the last of each key, sorted by key.
fn latest<T>(all: &mut Vec<T>, key: impl Fn(&T) -> [&str; 3]) {
    // As kubectl lists them.
    if all.is_sorted_by(|a, b| key(a) < key(b)) {
        return;
    }
    let mut order: Vec<_> = all.iter().map(key).zip(0..).collect();
    order.sort_unstable();
    order.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = next.1;
        }
        same
    });
    let order: Vec<usize> = order.into_iter().map(|(_, at)| at).collect();
    let mut given: Vec<Option<T>> = all.drain(..).map(Some).collect();
    all.extend(order.into_iter().filter_map(|at| given.get_mut(at)?.take()));
}

/// Endpoints count where no EndpointSlice of that Service does: they say less, and only of the first 1,000 addresses.
fn add_legacy(slices: &mut Vec<EndpointSlice>, mut legacy: Vec<Vec<EndpointSlice>>) {
    legacy.retain(|subsets| !subsets.is_empty());
    latest(&mut legacy, |subsets| subsets.first().map_or([""; 3], |slice| named(&slice.meta)));
    let service = |slice: &EndpointSlice| (slice.meta.namespace.clone(), slice.service.clone());
    let known: BTreeSet<_> = slices.iter().map(service).collect();
    slices.extend(legacy.into_iter().flatten().filter(|slice| !known.contains(&service(slice))));
    slices.sort_by(|a, b| named(&a.meta).cmp(&named(&b.meta)));
}
