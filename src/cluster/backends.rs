//! What stands behind a Service: workloads, pods, and the pods' ports (SEMANTICS 3, 7; POLICY_RULES 1.5).

use super::model::Protocol;
use super::workloads::WorkloadId;

/// A port as a pod has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPort {
    /// All pods agree on the number.
    Number(u16),
    /// The pods disagree: the name, which each pod resolves itself.
    Name(String),
}

/// One of a Service's ports, as the pods have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The pods' port.
    pub port: PodPort,
    /// Its protocol.
    pub protocol: Protocol,
    /// The Service port's name (what an SRV name asks for); empty if it has none.
    pub name: String,
}

/// How the ports were found: the words that a policy's comment uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortSource {
    /// An EndpointSlice lists them.
    EndpointSlice,
    /// The Service's targetPort, resolved on the pods.
    TargetPort,
    /// The Service declares none: the containers' ports.
    Containers,
    /// Nothing declares any.
    #[default]
    None,
}

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
