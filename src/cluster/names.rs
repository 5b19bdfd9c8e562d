//! What a name means in this cluster, asked by this client (SEMANTICS 3): by exact labels, checked against the snapshot.

use std::net::IpAddr;

use super::Cluster;

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A Service, whether the snapshot has it or not.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        service: String,
        /// Index in `snapshot.services`; `None`: status `not in snapshot`.
        index: Option<usize>,
        /// An SRV name's port and protocol (`http`, `tcp`).
        port: Option<(String, String)>,
        /// An endpoint's name, which belongs to its Service: status `widened`.
        widened: bool,
    },
    /// A `pod.Z` name.
    Pod {
        /// The address in the name.
        address: IpAddr,
        /// The namespace in the name.
        namespace: String,
    },
    /// Outside the cluster domain, by this name (with autopath: less the search suffix).
    External(String),
    /// In the zone, but no such form; under arpa; the root: never a connection.
    Nothing,
}

impl Cluster {
    /// Reads a name's spelling. `answered`: only an answered name can be External. `namespace`: the client's own, if known,
    /// for autopath.
    pub fn meaning(&self, name: &str, namespace: Option<&str>) -> Meaning {
        let _ = (name, namespace);
        todo!()
    }
}
