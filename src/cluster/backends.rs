//! What stands behind a Service: workloads, pods, and the pods' ports (SEMANTICS 3, 7; POLICY_RULES 1.5).
//! An endpoint that somebody else could have written down is never taken for one of the Service's own pods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::HashMap;

use super::lifetimes::Lifetime;
use super::model::{Container, Endpoint, EndpointSlice, Pod, Service, Snapshot};
use super::ports::{self, Member};
pub use super::ports::{PodPort, Port, PortSource};
use super::selector::LabelIndex;
use super::workloads::{WorkloadId, Workloads};

/// What stands behind one Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backends {
    /// The workloads, sorted, each with its own pods and ports.
    pub workloads: Vec<Backend>,
    /// All ports over all workloads, sorted, without repetition.
    pub ports: Vec<Port>,
    /// How they were found.
    pub source: PortSource,
    /// Endpoints that do not count (SEMANTICS 7): address and pod, as lower-case fragments. Evidence for no ingress policy.
    pub foreign: Vec<String>,
}

/// One workload behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The workload.
    pub workload: WorkloadId,
    /// Its pods behind this Service: indices in `snapshot.pods`. Empty: only its template matches.
    pub pods: Vec<usize>,
    /// The Service's ports on this workload's pods, sorted.
    pub ports: Vec<Port>,
}

/// What stands behind each Service, in the order of `snapshot.services`; `slices` are each Service's own.
pub(super) fn all(
    snapshot: &Snapshot,
    workloads: &Workloads,
    lifetimes: &[Lifetime],
    slices: &[Vec<usize>],
) -> Vec<Backends> {
    let present = snapshot.pods.iter().enumerate().filter(|(i, _)| lifetimes[*i].is_present());
    let pods = present.map(|(i, pod)| (i, pod.meta.namespace.as_str(), &pod.meta.labels));
    let made = workloads.iter().filter(|(id, _)| makes_pods(workloads, *id, lifetimes));
    let templates = made.filter_map(|(id, workload)| {
        let template = &snapshot.controllers[workload.controller?].template_labels;
        Some((id.0 as usize, workload.namespace.as_str(), template))
    });
    let index = Index {
        snapshot,
        workloads,
        pods: LabelIndex::new(&snapshot.services, pods),
        templates: LabelIndex::new(&snapshot.services, templates),
    };
    let services = snapshot.services.iter().zip(slices);
    services.map(|(service, slices)| behind(&index, service, slices)).collect()
}

struct Index<'a> {
    snapshot: &'a Snapshot,
    workloads: &'a Workloads,
    /// Pods that are still there.
    pods: LabelIndex<'a>,
    /// Workloads by the labels of the pods they make.
    templates: LabelIndex<'a>,
}

/// Whether a workload may still make pods: a Job whose pods have all ended will not.
fn makes_pods(workloads: &Workloads, id: WorkloadId, lifetimes: &[Lifetime]) -> bool {
    let workload = workloads.get(id);
    workload.kind != "Job"
        || workload.pods.is_empty()
        || workload.pods.iter().any(|pod| lifetimes[*pod].is_present())
}

fn behind<'a>(index: &Index<'a>, service: &'a Service, slices: &[usize]) -> Backends {
    if service.kind == "ExternalName" {
        return Backends::default();
    }
    let slices: Vec<&EndpointSlice> = slices.iter().map(|i| &index.snapshot.slices[*i]).collect();
    let matching = index.pods.matching(service);
    let (seats, foreign) = seats(&slices, &matching, &index.snapshot.pods);
    let mut found: BTreeMap<WorkloadId, Behind> = BTreeMap::new();
    for &(pod, slice) in &seats {
        found.entry(index.workloads.of_pod[pod]).or_default().add(index.snapshot, pod, Some(slice));
    }
    // One that no slice lists yet is behind the Service soon, and may have another number for a named port.
    let is_seated = |pod: &usize| seats.binary_search_by_key(pod, |(pod, _)| *pod).is_ok();
    for pod in matching.iter().filter(|pod| !is_seated(pod)) {
        if let Some(behind) = found.get_mut(&index.workloads.of_pod[*pod]) {
            let containers = &index.snapshot.pods[*pod].containers;
            behind.members.push(Member { containers, slice: None });
        }
    }
    if found.is_empty() {
        for pod in matching {
            found.entry(index.workloads.of_pod[pod]).or_default().add(index.snapshot, pod, None);
        }
        for id in index.templates.matching(service) {
            let Ok(id) = u32::try_from(id).map(WorkloadId) else { continue };
            let containers = template(index, id);
            let made =
                || Behind { pods: vec![], members: vec![Member { containers, slice: None }] };
            found.entry(id).or_insert_with(made);
        }
    }
    let everything: Vec<Member> = found.values().flat_map(|b| b.members.iter().copied()).collect();
    let (ports, source) = match service.selector.is_empty() {
        // Nobody's pods: what was written by hand is all there is.
        true => ports::listed(slices.into_iter()),
        false => ports::resolve(service, &everything),
    };
    let backend = |(workload, behind): (WorkloadId, Behind)| Backend {
        workload,
        pods: behind.pods,
        ports: ports::resolve(service, &behind.members).0,
    };
    Backends { workloads: found.into_iter().map(backend).collect(), ports, source, foreign }
}

/// One workload's part in a Service.
#[derive(Default)]
struct Behind<'a> {
    pods: Vec<usize>,
    members: Vec<Member<'a>>,
}

impl<'a> Behind<'a> {
    fn add(&mut self, snapshot: &'a Snapshot, pod: usize, slice: Option<&'a EndpointSlice>) {
        // Pods come in ascending order; one that stands in two slices comes twice in a row.
        if self.pods.last() != Some(&pod) {
            self.pods.push(pod);
        }
        self.members.push(Member { containers: &snapshot.pods[pod].containers, slice });
    }
}

fn template<'a>(index: &Index<'a>, id: WorkloadId) -> &'a [Container] {
    let controller = index.workloads.get(id).controller;
    controller.map_or(&[], |controller| &index.snapshot.controllers[controller].template_containers)
}

/// The endpoints that count, as (pod, its slice), ascending by pod; and the others. An endpoint counts only if its pod is
/// in the Service's namespace, holds that address and matches the selector, all of which `matching` pods but for the address do.
fn seats<'a>(
    slices: &[&'a EndpointSlice],
    matching: &[usize],
    pods: &[Pod],
) -> (Vec<(usize, &'a EndpointSlice)>, Vec<String>) {
    if slices.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut holders: HashMap<IpAddr, Vec<usize>> = HashMap::new();
    for &pod in matching {
        for address in &pods[pod].addresses {
            holders.entry(*address).or_default().push(pod);
        }
    }
    let (mut seats, mut foreign) = (Vec::new(), BTreeSet::new());
    for slice in slices {
        for endpoint in &slice.endpoints {
            for address in &endpoint.addresses {
                let holds = holders.get(address).map_or(&[][..], Vec::as_slice);
                let own = holds.iter().filter(|pod| is_target(endpoint, &pods[**pod]));
                let before = seats.len();
                seats.extend(own.map(|pod| (*pod, *slice)));
                if seats.len() == before {
                    foreign.insert(fragment(*address, endpoint));
                }
            }
        }
    }
    seats.sort_by_key(|(pod, _)| *pod);
    (seats, foreign.into_iter().collect())
}

/// Whether an endpoint means this pod. One that names no pod means whoever holds its address.
pub(super) fn is_target(endpoint: &Endpoint, pod: &Pod) -> bool {
    let Some((namespace, name, uid)) = &endpoint.pod else { return true };
    let same_uid = *uid == pod.meta.uid || uid.is_empty() || pod.meta.uid.is_empty();
    *namespace == pod.meta.namespace && *name == pod.meta.name && same_uid
}

fn fragment(address: IpAddr, endpoint: &Endpoint) -> String {
    match &endpoint.pod {
        Some((namespace, name, _)) => format!("{address} (pod {namespace}/{name})"),
        None => format!("{address} (no pod)"),
    }
}

#[cfg(test)]
mod tests;
