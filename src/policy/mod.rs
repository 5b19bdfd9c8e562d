//! Report × Cluster → NetworkPolicies, each no wider than its evidence, or a refusal with the reason.
//! Ingress of servers, egress of clients. It reads no file and knows no clock; it never widens a selector so that a policy can be written.
//!
//! `evidence` says who asked for which workload, on which ports, `beside` whom else a lookup may have led to, and `egress` the
//! same from the client's side; `egress_dns` is the rule without which no egress policy is written; `selectors` which
//! labels stand for a workload; `closure` what of the evidence those labels can say without saying more; `build` decides who
//! gets a policy, `around` looks at what else the snapshot says, [`deny`] at which namespaces can be shut; `draft`, `object`
//! and `comment` make the object and the lines above it, [`cilium`] says the same to Cilium, [`yaml`] and [`mod@write`] are
//! the bytes. The other way round, [`evaluate`] says what any policies mean, sharing nothing with what writes them, and
//! [`verify`] what they would do to what was seen.
//!
//! # Every way to be wider than the evidence
//!
//! A policy generator can go wrong in thirty-one known ways. Each has a test whose name says the number (`w07_…`; those of
//! egress `w07_egress_…`), in `policy/tests/wider/` and `policy/tests/egress/`, W28 in `policy/tests/output.rs` too, and
//! `tests/policy_property.rs` looks at all of them at once. Where only a part can be tested here, or none:
//!
//! | | |
//! |---|---|
//! | W16 | an address that stands for many (proxy, DNS cache) is named by `cluster::addresses`; here it is no peer |
//! | W17 | who held an address when is for `cluster::addresses`; what it could not tell apart is tested here |
//! | W22 | names are read, from the right, by `name` and `cluster::names`; what is not in the snapshot is tested here |
//! | W25 | which types make a connection is decided in `connections`; what is no evidence is tested here |
//! | W26 | one lookup is a connection (DESIGN 10); that a threshold was set is said in the comment |
//! | W27 | no test can be: whoever may create pods with a peer's labels has its rights: no selector can help, the README says so |

mod around;
mod beside;
mod build;
pub mod cilium;
mod closure;
mod comment;
pub mod deny;
mod draft;
mod egress;
mod egress_dns;
pub mod evaluate;
mod evidence;
mod labels;
mod object;
mod selectors;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod write;
pub mod yaml;

use k8s_openapi::api::networking::v1::NetworkPolicy;

use crate::cluster::workloads::WorkloadId;

pub use build::build;

/// The first comment line of every file that kico writes: how it knows its own files again.
pub const MARK: &str =
    "# kico wrote this from DNS lookups, and replaces or removes files that begin with this line";

/// Which side of a connection a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Its subject is the server: who may connect to it.
    Ingress,
    /// Its subject is the client: what it may connect to.
    Egress,
}

impl Direction {
    /// As in a policy's name.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }

    /// As in `policyTypes`.
    pub fn policy_type(self) -> &'static str {
        match self {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        }
    }
}

/// What decides what policies say, beside the report and the cluster.
#[derive(Clone)]
pub struct Options<'a> {
    /// `--strict`: what would be incomplete is refused.
    pub strict: bool,
    /// `--allow-nodes`: a node that asked becomes a peer, by its address.
    pub allow_nodes: bool,
    /// Whether comment and annotation name the evidence: not with `--no-evidence`.
    pub evidence: bool,
    /// The flags that changed what counts as evidence (`--min-queries 3`): every comment says them.
    pub changed_evidence: Vec<String>,
    /// `--policy-types`: which policies are asked for.
    pub directions: &'a [Direction],
    /// Whose ingress policies are asked for. It chooses among the policies; it changes none.
    pub subjects: &'a dyn Fn(WorkloadId) -> bool,
    /// The same of egress policies.
    pub clients: &'a dyn Fn(WorkloadId) -> bool,
}

impl Options<'_> {
    /// Whether this workload's policy in this direction is asked for.
    fn wants(&self, direction: Direction, id: WorkloadId) -> bool {
        match direction {
            Direction::Ingress => (self.subjects)(id),
            Direction::Egress => (self.clients)(id),
        }
    }

    /// What is true of the evidence, and of no more of the logs than that.
    fn of_evidence(&self, what: &str) -> String {
        match self.changed_evidence.join(" ").as_str() {
            "" => what.into(),
            flags => format!("{what} (what counts as evidence was changed by {flags})"),
        }
    }
}

/// Whether objects of this kind, which kico does not read, are policies too: `CiliumNetworkPolicy`,
/// `AdminNetworkPolicy`, Calico's `NetworkPolicy.projectcalico.org`, `EgressFirewall`.
pub fn is_other_policy(kind: &str) -> bool {
    let bare = kind.split('.').next().unwrap_or(kind);
    bare.ends_with("NetworkPolicy") || bare.ends_with("EgressFirewall")
}

/// What came of the report.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// Policies that allow everything that was seen, sorted by namespace and name.
    pub complete: Vec<Policy>,
    /// Policies that leave out something that was seen, or may have been: each says what.
    pub incomplete: Vec<Policy>,
    /// What got no policy, sorted.
    pub refused: Vec<Refusal>,
    /// What a reader must know of all of them: lower-case fragments of untrusted text.
    pub notes: Vec<String>,
    /// What shuts namespaces, if it was asked for.
    pub denies: deny::Denies,
}

/// One workload's policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The object itself.
    pub object: NetworkPolicy,
    /// What is written instead, where [`cilium::convert`] made it.
    pub cilium: Option<cilium::CiliumNetworkPolicy>,
    /// Whose pods it selects.
    pub workload: WorkloadId,
    /// The lines above it, untrusted text without `# `; [`MARK`] and the reasons for incompleteness not among them.
    pub comment: Vec<String>,
    /// What it leaves out: lower-case fragments of untrusted text, sorted. Empty: it is complete.
    pub incomplete: Vec<String>,
    /// The workloads that it lets in (ingress) or lets its pods reach (egress; the cluster's DNS only if it was asked
    /// for), ascending.
    pub peers: Vec<WorkloadId>,
}

impl Policy {
    /// Each policy is about one direction.
    pub fn direction(&self) -> Direction {
        let types = self.object.spec.as_ref().and_then(|spec| spec.policy_types.as_deref());
        let egress = Direction::Egress.policy_type();
        match types.unwrap_or_default().iter().any(|kind| kind == egress) {
            true => Direction::Egress,
            false => Direction::Ingress,
        }
    }
}

/// Something that was asked for, and for which there is no policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Its namespace.
    pub namespace: String,
    /// What it is: `Deployment shop/web`, `Service shop/legacy`. Untrusted text.
    pub object: String,
    /// Why: a lower-case fragment of untrusted text.
    pub reason: String,
    /// The workload, where it is one: refusals of those not asked for are left out already.
    pub workload: Option<WorkloadId>,
    /// Which of its policies there is none of; `None`: it is about more than one.
    pub direction: Option<Direction>,
}
