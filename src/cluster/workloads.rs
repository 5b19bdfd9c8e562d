//! Pod → workload: the controller chain (SEMANTICS 4), from references only; what is inferred from a name is marked.

/// Index of a workload in [`Workloads::list`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId(pub u32);

/// A workload: the top of a pod's controller chain, or the bare pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob, Pod, or the custom owner's kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its index in `snapshot.controllers`, if the snapshot has it.
    pub controller: Option<usize>,
    /// Its pods: indices in `snapshot.pods`, ascending. Finished ones included.
    pub pods: Vec<usize>,
    /// Whether some step of the chain was inferred from a name (status `owner inferred`).
    pub inferred: bool,
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
    /// The workload of this id.
    pub fn get(&self, id: WorkloadId) -> &Workload {
        &self.list[id.0 as usize]
    }
}
