//! Tally rows → who asked (SEMANTICS 4). Each stretch of each address is asked for once, however many names it asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash};
use std::iter::repeat_n;
use std::net::IpAddr;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::group;
use super::names::Names;
use super::{Client, GroupBy, Totals};
use crate::cluster::Cluster;
use crate::cluster::addresses::Holder;
use crate::cluster::workloads::WorkloadId;
use crate::log::record::Outcome;
use crate::log::tally::{Row, Tally};
use crate::time::Time;

/// One address over one stretch of time.
pub(super) struct Asker {
    pub(super) ip: IpAddr,
    pub(super) holder: Holder,
    /// `--exclude-namespace` takes it out.
    pub(super) excluded: bool,
    /// The address lost names to the bound on memory.
    pub(super) lost: bool,
    /// No row is known to be of it: it held an address that lost names, and may have lost them.
    pub(super) guess: bool,
}

/// Everybody who asked.
#[derive(Default)]
pub(super) struct Askers {
    pub(super) list: Vec<Asker>,
    /// Row of the tally → index in `list`.
    pub(super) of_row: Vec<u32>,
    /// What the rows add to the totals: records by who asked, and client addresses.
    totals: Totals,
}

/// What says who asked.
pub(super) struct Finder<'a> {
    cluster: &'a Cluster,
    exclude: &'a [String],
    lost: BTreeSet<IpAddr>,
    within: Option<(Time, Time)>,
    /// Whoever the snapshot knows may have lost names: so many asked that not all of them were remembered.
    crowded: bool,
}

/// What a client is, in one view: what rows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Workload(WorkloadId),
    Pod(usize),
    Namespace(String),
    Ambiguous(Vec<WorkloadId>),
    Node(String),
    DnsCache(String),
    Loopback(IpAddr),
    Unknown(IpAddr),
}

impl<'a> Finder<'a> {
    /// `exclude`: the namespaces whose clients are no evidence. `within`: as in [`super::Options`].
    pub(super) fn new(
        tally: &Tally,
        cluster: &'a Cluster,
        exclude: &'a [String],
        within: Option<(Time, Time)>,
    ) -> Finder<'a> {
        let nameless = tally.lost.iter().any(|lost| lost.client.is_none());
        let [crowded, _] = tally.depth.crowded;
        let lost = tally.lost.iter().filter_map(|lost| lost.client).collect();
        Finder { cluster, exclude, lost, within, crowded: crowded && nameless }
    }

    fn asker(&self, ip: IpAddr, seen: Option<(Time, Time)>) -> Asker {
        let holder = self.cluster.addresses.holder(ip, seen);
        let excluded = is_excluded(&holder, self.cluster, self.exclude);
        let lost = self.lost.contains(&ip) || self.crowded && holder != Holder::Unknown;
        Asker { ip, holder, excluded, lost, guess: false }
    }

    /// What was given up has no time: whoever held the address may have asked for it, also one that kept no row.
    fn guesses(&self) -> impl Iterator<Item = Asker> {
        let of = move |ip: &IpAddr| {
            let ip = *ip;
            let held = self.cluster.addresses.may_have_held(ip, self.within);
            held.map(move |(workload, pod)| {
                let holder = Holder::Workload { workload, pods: vec![pod], shared: false };
                let excluded = is_excluded(&holder, self.cluster, self.exclude);
                Asker { ip, holder, excluded, lost: true, guess: true }
            })
        };
        self.lost.iter().flat_map(of)
    }
}

/// A stretch in which an address does not change hands: the bounds before its first and its last moment. `None`, no
/// time, is a part of its own.
type Part = Option<(usize, usize)>;

fn part(row: &Row, bounds: &[Time]) -> Part {
    let at = |time: Time| bounds.partition_point(|bound| *bound <= time);
    row.sighting.seen.map(|(first, last)| (at(first), at(last)))
}

/// Parts, each with its first and last time.
type Parts = BTreeMap<Part, Option<(Time, Time)>>;

/// Rows of one part that stand together.
struct Run {
    part: Part,
    rows: usize,
    /// Answered, failed, unknown.
    records: [u64; 3],
}

/// One address's rows, and the parts of them.
fn runs(rows: &[Row], bounds: &[Time]) -> (Vec<Run>, Parts) {
    let (mut runs, mut parts) = (Vec::new(), Parts::new());
    for rows in rows.chunk_by(|a, b| part(a, bounds) == part(b, bounds)) {
        let Some(part) = rows.first().map(|row| part(row, bounds)) else { continue };
        let mut run = Run { part, rows: rows.len(), records: [0; 3] };
        let mut seen = None;
        for row in rows {
            seen = join_times(seen, row.sighting.seen);
            for (kind, count) in &row.counts {
                if let Some(sum) = run.records.get_mut(kind.rcode.outcome() as usize) {
                    *sum += count;
                }
            }
        }
        let of_part = parts.entry(part).or_default();
        *of_part = join_times(*of_part, seen);
        runs.push(run);
    }
    (runs, parts)
}

/// The span that covers both.
pub(super) fn join_times(a: Option<(Time, Time)>, b: Option<(Time, Time)>) -> Option<(Time, Time)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (one, other) => one.or(other),
    }
}

fn is_excluded(holder: &Holder, cluster: &Cluster, exclude: &[String]) -> bool {
    let named = |id: &WorkloadId| exclude.contains(&cluster.workloads.get(*id).namespace);
    match holder {
        Holder::Workload { workload, .. } => named(workload),
        Holder::Ambiguous(candidates) => candidates.iter().all(named),
        _ => false,
    }
}

/// Indices are `u32`: a tally of more rows than that does not fit into memory.
pub(super) fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Askers {
    /// Finds out who asked these, all rows of one address.
    pub(super) fn add(&mut self, rows: &[Row], finder: &Finder<'_>) {
        let Some(ip) = rows.first().map(|row| row.client) else { return };
        let bounds = finder.cluster.addresses.changes_of(ip);
        let (runs, parts) = runs(rows, bounds.unwrap_or_default());
        let first = self.list.len();
        self.list.extend(parts.values().map(|seen| finder.asker(ip, *seen)));
        let order: Vec<Part> = parts.into_keys().collect();
        for run in &runs {
            let at = first + order.partition_point(|part| *part < run.part);
            self.of_row.extend(repeat_n(index(at), run.rows));
            let totals = &mut self.totals;
            for (sum, more) in totals.records.iter_mut().zip(run.records) {
                *sum += more;
            }
            let all: u64 = run.records.iter().sum();
            match self.list.get(at).map(|asker| &asker.holder) {
                Some(Holder::DnsCache(_)) => totals.cache_queries += all,
                Some(Holder::Node(_)) => totals.node_queries += all,
                Some(Holder::Ambiguous(_)) => totals.ambiguous_queries += all,
                _ => {}
            }
        }
        let askers = self.list.get(first..).unwrap_or_default();
        if !askers.iter().all(|asker| asker.holder == Holder::Loopback) {
            self.totals.addresses += 1;
            self.totals.addresses_known += u64::from(bounds.is_some());
        }
    }

    /// Those of all rows, which were found part by part.
    pub(super) fn all(parts: Vec<Askers>, finder: &Finder<'_>) -> Askers {
        let mut all = Askers::default();
        all.of_row.reserve_exact(parts.iter().map(|part| part.of_row.len()).sum());
        for part in parts {
            let first = index(all.list.len());
            all.list.extend(part.list);
            all.of_row.extend(part.of_row.into_iter().map(|asker| first + asker));
            all.totals.add(&part.totals);
        }
        // An address all of whose names were given up: whose it was must still be known.
        let kept: BTreeSet<IpAddr> = all.list.iter().map(|asker| asker.ip).collect();
        let gone = finder.lost.difference(&kept);
        all.list.extend(gone.map(|ip| finder.asker(*ip, finder.within)));
        all.list.extend(finder.guesses());
        all
    }

    /// Who asked this row.
    pub(super) fn of(&self, row: usize) -> Option<&Asker> {
        self.list.get(*self.of_row.get(row)? as usize)
    }

    /// Who asked these, sorted, as indices in `list`.
    pub(super) fn behind<'e>(&self, entries: impl Iterator<Item = &'e group::Entry>) -> Vec<u32> {
        let asker = |entry: &group::Entry| self.of_row.get(entry.row as usize).copied();
        let mut askers: Vec<u32> = entries.filter_map(asker).collect();
        askers.sort_unstable();
        askers.dedup();
        askers
    }

    /// The totals that need no connection.
    pub(super) fn totals(&self, tally: &Tally, names: &Names<'_>, cluster: &Cluster) -> Totals {
        let mut totals = self.totals.clone();
        totals.other_domains = other_domains(tally, names, &cluster.domains);
        let lost = self.list.iter().filter(|asker| asker.lost);
        let shown: BTreeSet<String> = lost.map(|asker| asker.shown(cluster)).collect();
        totals.lost_clients = shown.into_iter().collect();
        totals.lost_askers = self.lost_askers(tally, cluster);
        totals
    }

    /// A tally made without this snapshot kept no Service's names for clients that this one knows.
    fn lost_askers(&self, tally: &Tally, cluster: &Cluster) -> Vec<String> {
        let may = tally.lost.iter().filter(|lost| lost.given_up.of_cluster > 0);
        let may: BTreeSet<Option<IpAddr>> = may.map(|lost| lost.client).collect();
        let of_them = |asker: &&Asker| may.contains(&Some(asker.ip)) && !asker.excluded;
        let named = self.list.iter().filter(of_them).map(|asker| asker.shown(cluster));
        let beyond = may.contains(&None).then(|| "clients beyond the bound".to_owned());
        named.chain(beyond).collect::<BTreeSet<String>>().into_iter().collect()
    }
}

/// Other cluster domains for which `kubernetes.default.svc.X` was answered: those that the most rows name come first, so
/// that somebody who makes up hundreds does not hide the one that all clients ask for.
fn other_domains(tally: &Tally, names: &Names<'_>, domains: &[String]) -> Vec<String> {
    let others: HashMap<u32, &str> = (0..)
        .zip(names.all_spelled())
        .filter_map(|(number, name)| Some((number, other_domain(name, domains)?)))
        .collect();
    // Mostly there is none, and the rows need not be looked at.
    if others.is_empty() {
        return Vec::new();
    }
    let answered = tally.rows.iter().filter_map(|row| {
        let other = others.get(&row.name)?;
        (row.count(Outcome::Answered) > 0).then_some(*other)
    });
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    answered.for_each(|other| *rows.entry(other).or_default() += 1);
    let mut answered: Vec<(Reverse<usize>, &str)> =
        rows.into_iter().map(|(other, rows)| (Reverse(rows), other)).collect();
    answered.sort_unstable();
    answered.into_iter().map(|(_, other)| other.to_owned()).collect()
}

/// The X of an answered `kubernetes.default.svc.X`, unless it is, or ends in, one of ours.
fn other_domain<'a>(name: &'a str, domains: &[String]) -> Option<&'a str> {
    let other = name.strip_prefix("kubernetes.default.svc.")?;
    let ours = |z: &String| {
        other.strip_suffix(z.as_str()).is_some_and(|b| b.is_empty() || b.ends_with('.'))
    };
    (!other.is_empty() && !domains.iter().any(ours)).then_some(other)
}

impl Key {
    /// What this asker is in this view.
    pub(super) fn of(asker: &Asker, group_by: GroupBy, cluster: &Cluster) -> Key {
        let namespace = |id: &WorkloadId| cluster.workloads.get(*id).namespace.clone();
        match (&asker.holder, group_by) {
            (Holder::Workload { workload, .. }, GroupBy::Namespace) => {
                Key::Namespace(namespace(workload))
            }
            (Holder::Workload { pods, workload, .. }, GroupBy::Pod) => match pods.as_slice() {
                [pod] => Key::Pod(*pod),
                // Pods of one workload that handed the address on: which of them asked is not known.
                _ => Key::Workload(*workload),
            },
            (Holder::Workload { workload, .. }, GroupBy::Workload) => Key::Workload(*workload),
            (Holder::Ambiguous(candidates), _) => match common_namespace(candidates, cluster) {
                Some(one) if group_by == GroupBy::Namespace => Key::Namespace(one.into()),
                _ => Key::Ambiguous(candidates.clone()),
            },
            (Holder::Node(name), _) => Key::Node(name.clone()),
            (Holder::DnsCache(name), _) => Key::DnsCache(name.clone()),
            (Holder::Loopback, _) => Key::Loopback(asker.ip),
            (Holder::Unknown, _) => Key::Unknown(asker.ip),
        }
    }

    /// The client's own namespace, if it is known.
    pub(super) fn namespace<'a>(&'a self, cluster: &'a Cluster) -> Option<&'a str> {
        match self {
            Key::Workload(id) => Some(&cluster.workloads.get(*id).namespace),
            Key::Pod(pod) => cluster.snapshot.pods.get(*pod).map(|pod| pod.meta.namespace.as_str()),
            Key::Namespace(name) => Some(name),
            Key::Ambiguous(candidates) => common_namespace(candidates, cluster),
            _ => None,
        }
    }

    /// The client as every row of it shows it; addresses and pods are the rows' own.
    pub(super) fn client(&self, cluster: &Cluster) -> Client {
        let named = |kind: &str, namespace: &str, name: &str| Client {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            ips: Vec::new(),
            pods: Vec::new(),
            candidates: Vec::new(),
            workload: None,
        };
        match self {
            Key::Workload(id) => {
                let of = cluster.workloads.get(*id);
                Client { workload: Some(*id), ..named(&of.kind, &of.namespace, &of.name) }
            }
            Key::Pod(pod) => {
                let meta = cluster.snapshot.pods.get(*pod).map(|pod| &pod.meta);
                let (namespace, name) = meta.map_or(("", ""), |m| (&m.namespace, &m.name));
                let workload = cluster.workloads.of_pod.get(*pod).copied();
                Client { workload, ..named("Pod", namespace, name) }
            }
            Key::Namespace(name) => named("Namespace", name, name),
            Key::Ambiguous(candidates) => {
                let names: Vec<String> =
                    candidates.iter().map(|id| full_name(*id, cluster)).collect();
                Client {
                    candidates: candidates.clone(),
                    ..named("Ambiguous", "", &names.join(";"))
                }
            }
            Key::Node(name) => named("Node", "", name),
            Key::DnsCache(name) => named("DNSCache", "", name),
            Key::Loopback(ip) => named("Loopback", "", &ip.to_string()),
            Key::Unknown(ip) => named("Unknown", "", &ip.to_string()),
        }
    }
}

impl Asker {
    /// `namespace/name`, or the name of what has no namespace.
    fn shown(&self, cluster: &Cluster) -> String {
        let client = Key::of(self, GroupBy::Workload, cluster).client(cluster);
        let slash = if client.namespace.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", client.namespace, client.name)
    }

    /// The pods that fit, indices in `snapshot.pods`.
    pub(super) fn pods(&self) -> &[usize] {
        if let Holder::Workload { pods, .. } = &self.holder { pods } else { &[] }
    }

    /// Whether finished pods of another workload held the address too.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.holder, Holder::Workload { shared: true, .. })
    }
}

/// `namespace/kind/name`.
fn full_name(id: WorkloadId, cluster: &Cluster) -> String {
    let of = cluster.workloads.get(id);
    format!("{}/{}/{}", of.namespace, of.kind, of.name)
}

fn common_namespace<'a>(candidates: &[WorkloadId], cluster: &'a Cluster) -> Option<&'a str> {
    let mut namespaces = candidates.iter().map(|id| cluster.workloads.get(*id).namespace.as_str());
    let first = namespaces.next()?;
    namespaces.all(|other| other == first).then_some(first)
}

/// Interns values: each gets the next number when first seen.
pub(super) struct Interner<T> {
    pub(super) list: Vec<T>,
    /// Numbers, found by what they stand for.
    ids: HashTable<u32>,
    state: DefaultHashBuilder,
}

impl<T: Eq + Hash> Interner<T> {
    pub(super) fn new() -> Interner<T> {
        let state = DefaultHashBuilder::default();
        Interner { list: Vec::new(), ids: HashTable::new(), state }
    }

    pub(super) fn id(&mut self, value: T) -> u32 {
        let Interner { list, ids, state } = self;
        let of = |id: &u32| list.get(*id as usize);
        let hash = |id: &u32| of(id).map_or(0, |value| state.hash_one(value));
        match ids.entry(state.hash_one(&value), |id| of(id) == Some(&value), hash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let id = index(list.len());
                new.insert(id);
                list.push(value);
                id
            }
        }
    }
}
