//! Tally × Cluster → [`Report`]: sorted, owned, serialisable, the one value that every output reads.
//! Pure. It never guesses: what cannot be named is Unknown or Ambiguous, and says so.
//!
//! `clients` says who asked, `servers` what was asked for, `search_path` which failures are only a resolver
//! trying suffixes, `group` and `rows` make the rows of a `view` of it all, [`filter`] chooses among them. Names are
//! compared by their numbers (`names`). [`lookups`] is all that a client asked, connection or not.

mod clients;
pub mod filter;
mod group;
pub mod lookups;
mod names;
mod rows;
mod search_path;
mod servers;
#[cfg(test)]
mod tests;
mod view;

use std::net::IpAddr;
use std::sync::Arc;

use rayon::ThreadPool;

use crate::cluster::Cluster;
use crate::cluster::backends::Port;
use crate::cluster::workloads::WorkloadId;
use crate::coverage::Coverage;
use crate::log::Place;
use crate::log::tally::{Row, Tally};
use crate::threads;
use crate::time::Time;

/// One row per …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// Client workload and server: what JSON, policies, verify and diff always use.
    #[default]
    Workload,
    /// Client by pod.
    Pod,
    /// Both sides by namespace; External by name.
    Namespace,
}

/// What decides what is a connection, beside the tally and the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// One row per …
    pub group_by: GroupBy,
    /// `--min-queries`: fewer lookups between a client workload and a server are no connection, in every view.
    pub min_lookups: u64,
    /// `--exclude-namespace`: the clients of these are no evidence, as if they had not asked.
    pub exclude_namespaces: &'a [String],
    /// The first and the last time of all that was counted; `None`: not known, or some of it has no time.
    pub within: Option<(Time, Time)>,
    /// Only the rows that the filters choose. They are chosen by workload, then grouped; totals do not change.
    pub choice: Option<&'a filter::Choice>,
}

/// The join's result.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Sorted by client namespace, kind, name, then server kind, namespace, name, bytewise.
    pub connections: Vec<Connection>,
    /// Names that only ever failed for a client, search-path attempts collapsed. Sorted by client, then name.
    pub failed_lookups: Vec<FailedLookup>,
    /// Totals of the join, for coverage.
    pub totals: Totals,
    /// What was read and what was not. The join leaves it empty: [`crate::coverage::cover`] makes it.
    pub coverage: Coverage,
}

/// Totals of the join: records, each counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records that were answered, failed, unknown.
    pub records: [u64; 3],
    /// Answered records that make no connection because of their type or form (PTR, probes, other in-zone, root).
    pub not_connections: u64,
    /// Answered records of connections: what is neither in `not_connections` nor left out by `--min-queries` or
    /// `--exclude-namespace`.
    pub connected: u64,
    /// Of these, those whose client is one workload, and whose address nobody else held.
    pub client_resolved: u64,
    /// Of these, those whose server is a Service in the snapshot, a pod that is known, or External.
    pub server_resolved: u64,
    /// Client addresses seen (loopback aside), and of these those that occur in the snapshot.
    pub addresses: u64,
    /// See `addresses`.
    pub addresses_known: u64,
    /// Other cluster domains for which `kubernetes.default.svc.X` was answered, those that the most clients asked for first.
    pub other_domains: Vec<String>,
    /// Records by DNS caches: those that hide the pods behind them.
    pub cache_queries: u64,
    /// Records by nodes, or by what stands for one: hostNetwork pods, and pods whose address was translated.
    pub node_queries: u64,
    /// Records by clients that are Ambiguous.
    pub ambiguous_queries: u64,
    /// Clients that lost names to the bound, or may have, as they are shown; sorted.
    pub lost_clients: Vec<String>,
    /// Those of them of whom answered names that may be a Service's or a pod's were given up: they may have asked for any.
    /// Sorted; those whom the tally does not name are one.
    pub lost_askers: Vec<String>,
}

impl Totals {
    /// Adds what was counted of other rows.
    fn add(&mut self, more: &Totals) {
        for (sum, more) in self.records.iter_mut().zip(more.records) {
            *sum += more;
        }
        self.addresses += more.addresses;
        self.addresses_known += more.addresses_known;
        self.cache_queries += more.cache_queries;
        self.node_queries += more.node_queries;
        self.ambiguous_queries += more.ambiguous_queries;
    }
}

/// Names, each the text that stands in the tally.
pub type Names = Arc<[Arc<str>]>;

/// A client asked for a server, and was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who asked: one value for all connections of one client that show the same addresses and pods.
    pub client: Arc<Client>,
    /// For what: one value for all connections that show the same.
    pub server: Arc<Server>,
    /// The names asked for, sorted, as logged (with search suffix where autopath answered).
    pub names: Names,
    /// Answered records.
    pub queries: u64,
    /// Per row of the tally the larger of its answered A and AAAA counts, plus the other types.
    pub lookups: u64,
    /// Failed records of the same client for `names`.
    pub failed: u64,
    /// Failed search-path attempts that this connection's names explain.
    pub attempts: u64,
    /// First and last time of the tally rows that were answered. A row has one pair of times, so a failed record of the
    /// same name and client counts here.
    pub seen: Option<(Time, Time)>,
    /// Sorted, without repetition; never empty.
    pub status: Vec<Status>,
    /// What of it a policy may rest on; `None`: nothing.
    pub proof: Option<Proof>,
    /// Where the first record stands.
    pub place: Place,
}

/// The part of a connection that was answered, between addresses that nobody else can have held (SEMANTICS 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The names asked for, sorted.
    pub names: Names,
    /// The ports that these names mean, as in [`Server::ports`].
    pub ports: Arc<[Port]>,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    /// Deployment, …, Pod, the custom owner's kind, Node, DNSCache, Loopback, Ambiguous, Unknown; Namespace when
    /// grouped so.
    pub kind: String,
    /// Empty when it has none.
    pub namespace: String,
    /// Its name; an Unknown's IP; of an Ambiguous the candidates' `namespace/kind/name`, joined by `;`.
    pub name: String,
    /// Its addresses as seen in the logs, sorted.
    pub ips: Vec<IpAddr>,
    /// The pods seen, sorted by name.
    pub pods: Vec<String>,
    /// An Ambiguous client's workloads.
    pub candidates: Vec<WorkloadId>,
    /// The workload, when it is exactly one.
    pub workload: Option<WorkloadId>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Which of the three.
    pub kind: ServerKind,
    /// Empty for External.
    pub namespace: String,
    /// A Service's or a pod's name; a pod's address if no pod is known to have held it; an external name.
    pub name: String,
    /// The pods' ports, sorted; those the SRV names ask for if only SRV names were asked.
    pub ports: Arc<[Port]>,
    /// The workloads behind it, sorted.
    pub workloads: Vec<WorkloadId>,
    /// Whether the snapshot has it; `None` for External.
    pub in_snapshot: Option<bool>,
    /// Index in `snapshot.services`.
    pub service: Option<usize>,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the glossary says it")]
pub enum ServerKind {
    External,
    Namespace,
    Pod,
    Service,
}

impl ServerKind {
    /// The word in every output.
    pub fn word(self) -> &'static str {
        match self {
            ServerKind::External => "External",
            ServerKind::Namespace => "Namespace",
            ServerKind::Pod => "Pod",
            ServerKind::Service => "Service",
        }
    }
}

/// What a reader must know of a connection, in the order of SEMANTICS 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Status {
    Ok,
    NotInSnapshot,
    OwnerInferred,
    SelectorInferred,
    OutcomeUnknown,
    ExternalName,
    Widened,
    NoPorts,
    SharedAddress,
    LowerBound,
}

impl Status {
    /// The word in every output.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::NotInSnapshot => "not in snapshot",
            Status::OwnerInferred => "owner inferred",
            Status::SelectorInferred => "selector inferred",
            Status::OutcomeUnknown => "outcome unknown",
            Status::ExternalName => "external name",
            Status::Widened => "widened",
            Status::NoPorts => "no ports",
            Status::SharedAddress => "shared address",
            Status::LowerBound => "lower bound",
        }
    }
}

/// A name that only ever failed for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLookup {
    /// Who asked.
    pub client: Arc<Client>,
    /// As SEMANTICS 3 shows it.
    pub name: String,
    /// The rcode seen most often, `-` for no reply; ties by text.
    pub rcode: &'static str,
    /// Failed records, all attempts together.
    pub queries: u64,
    /// The client lost names to the bound: there were at least this many.
    pub lower_bound: bool,
}

/// Who asked: it must be known of every row before any can be grouped.
fn askers(
    tally: &Tally,
    finder: &clients::Finder<'_>,
    pool: Option<&ThreadPool>,
) -> clients::Askers {
    let threads = pool.map_or(1, ThreadPool::current_num_threads);
    let parts = threads::map(pool, parts(&tally.rows, threads), |rows| {
        let mut askers = clients::Askers::default();
        rows.chunk_by(|a, b| a.client == b.client).for_each(|rows| askers.add(rows, finder));
        askers
    });
    clients::Askers::all(parts, finder)
}

/// So many parts of the rows, or fewer, about as large as each other. A client's rows are in one part.
fn parts(rows: &[Row], number: usize) -> Vec<&[Row]> {
    let size = rows.len().div_ceil(number).max(1);
    let (mut parts, mut rest) = (Vec::with_capacity(number), rows);
    while let Some(last) = rest.get(..size).and_then(<[Row]>::last) {
        let more = rest.iter().skip(size).take_while(|row| row.client == last.client).count();
        let (part, after) = rest.split_at(size + more);
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// Joins a tally with a cluster. Connections are found, and filters hold, by client workload; a view regroups what
/// is left, so that no view shows what another lacks.
pub fn join(tally: &Tally, cluster: &Cluster, options: Options<'_>) -> Report {
    // Fewer rows are done with in less time than it takes to begin a thread.
    const FEW: usize = 20_000;
    let pool = threads::pool(threads::most().min(tally.rows.len() / FEW));
    let pool = pool.as_ref();
    let finder = clients::Finder::new(tally, cluster, options.exclude_namespaces, options.within);
    let (askers, names) = (&askers(tally, &finder, pool), &names::Names::of(tally));
    let is_view = options.group_by != GroupBy::Workload;
    let all = group::Evidence {
        tally,
        cluster,
        names,
        askers,
        pool,
        left_out: None,
        keeps_rows: is_view,
    };
    let mut rows = all.group(GroupBy::Workload);
    let mut totals = askers.totals(tally, names, cluster);
    rows.drop_below(options.min_lookups);
    rows.add_to(&mut totals);
    if let Some(choice) = options.choice {
        rows.choose(choice);
    }
    if is_view {
        let left_out = rows.left_out(tally.rows.len());
        let chosen = group::Evidence { left_out: Some(&left_out), keeps_rows: false, ..all };
        rows = chosen.group(options.group_by);
    }
    let (connections, failed_lookups) = rows.finish();
    Report { connections, failed_lookups, totals, coverage: Coverage::default() }
}
