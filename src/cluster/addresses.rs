//! Address + time → who held it (SEMANTICS 4). Two owners that fit are both named, never guessed between.

use std::net::IpAddr;

use super::workloads::WorkloadId;
use crate::time::Time;

/// Who held which address when.
#[derive(Debug, Default)]
pub struct Addresses {}

/// Who an address was, over a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// One workload's pods.
    Workload {
        /// The workload.
        workload: WorkloadId,
        /// The pods that fit, indices in `snapshot.pods`, ascending.
        pods: Vec<usize>,
        /// Untimed, beside finished pods of another workload that held the address too: shown, but evidence for no policy.
        shared: bool,
    },
    /// Pods of several workloads fit: sorted.
    Ambiguous(Vec<WorkloadId>),
    /// A node, or what stands for it (hostNetwork pods, tunnel and bridge addresses): the node's name.
    Node(String),
    /// A NodeLocal DNSCache: its lookups are forwarding. The node's name, or the address itself.
    DnsCache(String),
    /// CoreDNS itself, or a process beside it.
    Loopback,
    /// Nobody in the snapshot.
    Unknown,
}

impl Addresses {
    /// Who held `address` over the whole of `seen` (first to last time of a tally row; `None`: the record has no time).
    pub fn holder(&self, address: IpAddr, seen: Option<(Time, Time)>) -> Holder {
        let _ = (address, seen);
        todo!()
    }
}
