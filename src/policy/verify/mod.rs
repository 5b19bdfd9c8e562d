//! Report × Cluster × NetworkPolicies → verdicts: what these policies would do to every connection that was seen
//! (SEMANTICS 8), and what is wrong with the policies themselves. Pure. It says nothing of what was not seen.
//!
//! `ends` names the pods and ports of both ends, `dns` makes a connection of every client's lookups, `judge` decides,
//! `cache` what a NodeLocal DNSCache makes of that, `findings` looks at the policies. What a policy *means* is for [`super::evaluate`].

mod cache;
mod dns;
mod ends;
mod findings;
mod judge;
#[cfg(test)]
mod tests;

use crate::cluster::Cluster;
use crate::cluster::model::NetworkPolicy;
use crate::connections::lookups::Lookups;
use crate::connections::{Connection, Report};
use crate::policy::evaluate::{Direction, Evaluator, RuleId};
use judge::Judge;

/// What the policies would do to what was seen.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// One a connection, in the report's order; those of the lookups themselves stand behind the client's others.
    pub rows: Vec<Row>,
    /// What is wrong with the policies themselves, by policy.
    pub findings: Vec<Finding>,
    /// What a reader must know of all of it: lower-case fragments of untrusted text.
    pub notes: Vec<String>,
}

/// In the order in which a reader wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Some client pod reaches no backing pod on any possible port.
    Denied,
    /// Some pods or ports are cut off.
    Partly,
    /// It cannot be said.
    Unknown,
    /// Every pair of pods, on every possible port.
    Allowed,
}

impl Verdict {
    /// All of them, in order.
    pub const ALL: [Verdict; 4] =
        [Verdict::Denied, Verdict::Partly, Verdict::Unknown, Verdict::Allowed];

    /// The word in every output.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Denied => "denied",
            Verdict::Partly => "partly",
            Verdict::Unknown => "unknown",
            Verdict::Allowed => "allowed",
        }
    }
}

/// One connection's verdict.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was seen. Of the lookups themselves: the DNS Service, and all that the client asked, of every type. Its
    /// `queries` are then those that did not fail.
    pub connection: Connection,
    /// Whether these are the client's lookups themselves.
    pub is_dns: bool,
    /// What would become of it.
    pub verdict: Verdict,
    /// The rules that let it pass, ascending. Allowed and empty: no policy isolates either end from the other.
    pub allowed_by: Vec<RuleId>,
    /// Why it does not pass: at most one a direction.
    pub denials: Vec<Denial>,
    /// Which pods and ports are cut off.
    pub cut: Vec<Cut>,
    /// Why it cannot be said: a lower-case fragment of untrusted text.
    pub unknown: Option<String>,
}

/// Why one side of a connection does not let it pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The client's side or the server's.
    pub direction: Direction,
    /// The policies that isolate that end: indices, ascending.
    pub isolated_by: Vec<usize>,
    /// The rule that missed by least; `None`: they have no rule.
    pub nearest: Option<RuleId>,
    /// By what it missed: a lower-case fragment of untrusted text.
    pub why: String,
}

/// What is cut off of a connection: these clients from these servers on this port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// `8080/TCP`
    pub port: String,
    /// Pods, or a node's addresses.
    pub clients: Vec<String>,
    /// Pods, or addresses.
    pub servers: Vec<String>,
}

/// Something wrong with a policy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index of the policy.
    pub policy: usize,
    /// The rule that it is about, if it is about one.
    pub rule: Option<RuleId>,
    /// What it is.
    pub kind: Kind,
    /// What was found: a lower-case fragment of untrusted text.
    pub what: String,
}

/// What can be wrong with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Kind {
    Invalid,
    NoSuchNamespace,
    SelectsNoPod,
    HostNetwork,
    SplitPeer,
    PeerSelectsNoPod,
    MatchedNothing,
    WiderThanSeen,
}

impl Kind {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::NoSuchNamespace => "noSuchNamespace",
            Kind::SelectsNoPod => "selectsNoPod",
            Kind::HostNetwork => "hostNetwork",
            Kind::SplitPeer => "splitPeer",
            Kind::PeerSelectsNoPod => "peerSelectsNoPod",
            Kind::MatchedNothing => "matchedNothing",
            Kind::WiderThanSeen => "widerThanSeen",
        }
    }
}

/// Judges every connection of an unfiltered report, and every client's lookups, by these policies.
pub fn verify(
    report: &Report,
    lookups: &[Lookups],
    cluster: &Cluster,
    policies: &[NetworkPolicy],
) -> Verdicts {
    let mut judge = Judge::new(Evaluator::new(cluster, policies), cluster);
    let connections = report.connections.iter();
    let mut rows: Vec<Row> =
        connections.map(|connection| judge.row(connection.clone(), false)).collect();
    let mut notes = Vec::new();
    let dns = dns::servers(cluster);
    if dns.is_empty() {
        notes.push(format!(
            "the snapshot has no DNS Service and no DNS pods with their ports in {}: whether lookups would still pass \
             is not known",
            cluster.snapshot.dns_namespaces.join(", ")
        ));
    }
    let named = lookups.iter().filter(|lookups| dns::is_named(&lookups.client));
    rows.extend(named.filter_map(|lookups| judge.lookups(lookups, &dns)));
    rows.sort_by(|a, b| a.order().cmp(&b.order()));
    let findings = findings::all(&judge, cluster);
    Verdicts { rows, findings, notes }
}

impl Row {
    fn order(&self) -> (&str, &str, &str, bool) {
        let client = &self.connection.client;
        (&client.namespace, &client.kind, &client.name, self.is_dns)
    }
}

impl Verdicts {
    /// How many rows there are of each verdict, in the order of [`Verdict::ALL`].
    pub fn counts(&self) -> [u64; 4] {
        Verdict::ALL
            .map(|verdict| self.rows.iter().filter(|row| row.verdict == verdict).count() as u64)
    }
}
