//! The cluster as the snapshots show it: who held an address when, what a name means, which workload, which pods and
//! ports stand behind a Service. Reads files in [`snapshot`] only; everything else is pure.

pub mod addresses;
pub mod aliases;
pub mod backends;
pub mod corefile;
pub mod dns;
pub mod endpoints;
pub mod exposure;
pub mod infer;
pub mod labels;
pub mod lifetimes;
pub mod model;
pub mod moves;
pub mod names;
pub mod objects;
pub mod ports;
pub mod rewrites;
pub mod selector;
pub mod snapshot;
pub mod spans;
#[cfg(test)]
pub(crate) mod tests_support;
pub mod workloads;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;
use lifetimes::Lifetime;
use model::Snapshot;
use rewrites::Rewrite;

/// Snapshots, joined and indexed: the one value that everything downstream asks.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The joined objects.
    pub snapshot: Snapshot,
    /// The cluster domains, without dots at their ends.
    pub domains: Vec<String>,
    /// Whether CoreDNS walks the search path itself, and logs only the first name of it.
    pub autopath: bool,
    /// Where names outside the cluster are rewritten to, by its Corefiles.
    pub rewrites: Vec<rewrites::Rewrite>,
    /// Every workload, and whose pods are whose.
    pub workloads: workloads::Workloads,
    /// Pod index → when it held its addresses, and whether it is still there.
    pub lifetimes: Vec<Lifetime>,
    /// Who held which address when.
    pub addresses: addresses::Addresses,
    /// (namespace, name) → index in `snapshot.services`. Of two Services of one name the newer.
    pub services: BTreeMap<(String, String), usize>,
    /// Service index → its slices, indices in `snapshot.slices`.
    pub slices: Vec<Vec<usize>>,
    /// Service index → what stands behind it.
    pub backends: Vec<backends::Backends>,
    /// The Services through which pods reach the cluster's DNS: indices in `snapshot.services`, ascending.
    pub dns_services: Vec<usize>,
}

impl Cluster {
    /// Indexes joined snapshots. `domains` are those of `--cluster-domain`; none: the Corefile's, else `cluster.local`.
    pub fn new(snapshot: Snapshot, domains: &[String]) -> Cluster {
        let corefiles: Vec<corefile::Directives> =
            snapshot.corefiles.iter().map(|file| corefile::read(&file.text)).collect();
        let workloads = workloads::Workloads::new(&snapshot);
        let lifetimes = lifetimes::lifetimes(&snapshot);
        let addresses = addresses::Addresses::new(&snapshot, &workloads, &lifetimes);
        let slices = slices_of(&snapshot);
        let backends = backends::all(&snapshot, &workloads, &lifetimes, &slices);
        let domains = dns::domains(&corefiles, domains);
        let rewrites = snapshot.corefiles.iter().zip(&corefiles).flat_map(|(file, read)| {
            let object = format!("ConfigMap {}/{}", file.namespace, file.name);
            let lead = |rule| Rewrite::new(object.clone(), rule, &domains);
            read.rewrites.iter().filter_map(lead).collect::<Vec<_>>()
        });
        Cluster {
            rewrites: rewrites.collect(),
            domains,
            autopath: corefiles.iter().any(|file| file.autopath),
            services: services_by_name(&snapshot),
            dns_services: dns::services(&snapshot),
            workloads,
            lifetimes,
            addresses,
            slices,
            backends,
            snapshot,
        }
    }

    /// The index of a Service in `snapshot.services`.
    pub fn service(&self, namespace: &str, name: &str) -> Option<usize> {
        self.services.get(&(namespace.to_string(), name.to_string())).copied()
    }

    /// Whether a pod is still there, as far as the snapshots know: neither finished nor found missing since.
    pub fn is_present(&self, pod: usize) -> bool {
        self.lifetimes.get(pod).is_some_and(Lifetime::is_present)
    }

    /// What the log stage must know. A record at a change, or later, stands behind it. Loopback is known without a snapshot's
    /// word, so that CoreDNS's own lookups are not bounded with those of strangers.
    pub fn hands(&self) -> crate::log::Hands {
        let mut changes = HashMap::new();
        if self.snapshot.given {
            changes.extend(self.addresses.changes().map(|(ip, times)| (ip, times.to_vec())));
            changes.insert(Ipv4Addr::LOCALHOST.into(), Vec::new());
            changes.insert(Ipv6Addr::LOCALHOST.into(), Vec::new());
        }
        crate::log::Hands { changes, domains: self.domains.clone(), snapshot: self.snapshot.given }
    }
}

fn services_by_name(snapshot: &Snapshot) -> BTreeMap<(String, String), usize> {
    let mut services = BTreeMap::new();
    let mut by_age: Vec<usize> = (0..snapshot.services.len()).collect();
    by_age.sort_by_key(|index| snapshot.services[*index].meta.created);
    for index in by_age {
        let meta = &snapshot.services[index].meta;
        services.insert((meta.namespace.clone(), meta.name.clone()), index);
    }
    services
}

fn slices_of(snapshot: &Snapshot) -> Vec<Vec<usize>> {
    let mut by_service: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (index, slice) in snapshot.slices.iter().enumerate() {
        let key = (slice.meta.namespace.as_str(), slice.service.as_str());
        by_service.entry(key).or_default().push(index);
    }
    let of = |meta: &model::Meta| {
        by_service.get(&(meta.namespace.as_str(), meta.name.as_str())).cloned().unwrap_or_default()
    };
    snapshot.services.iter().map(|service| of(&service.meta)).collect()
}

#[cfg(test)]
mod tests;
