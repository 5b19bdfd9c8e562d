//! The cluster as the snapshots show it: who held an address when, what a name means, which workload, which pods and
//! ports stand behind a Service. Reads files in [`snapshot`] only; everything else is pure.

pub mod addresses;
pub mod backends;
pub mod corefile;
pub mod model;
pub mod names;
pub mod objects;
pub mod selector;
pub mod snapshot;
pub mod workloads;

use std::collections::BTreeMap;

use model::Snapshot;

/// Snapshots, joined and indexed: the one value that everything downstream asks.
#[derive(Debug)]
pub struct Cluster {
    /// The joined objects.
    pub snapshot: Snapshot,
    /// The cluster domains, without dots at their ends.
    pub domains: Vec<String>,
    /// Every workload, and whose pods are whose.
    pub workloads: workloads::Workloads,
    /// Who held which address when.
    pub addresses: addresses::Addresses,
    /// (namespace, name) → index in `snapshot.services`.
    pub services: BTreeMap<(String, String), usize>,
    /// Service index → what stands behind it.
    pub backends: Vec<backends::Backends>,
}

impl Cluster {
    /// Indexes joined snapshots. `domains` are those of `--cluster-domain`; none: the Corefile's, else `cluster.local`.
    pub fn new(snapshot: Snapshot, domains: &[String]) -> Cluster {
        let _ = (snapshot, domains);
        todo!()
    }

    /// What the log stage must know.
    pub fn hands(&self) -> crate::log::Hands {
        todo!()
    }
}
