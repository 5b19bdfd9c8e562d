//! Tally rows → who asked (SEMANTICS 4). Each stretch of each address is asked for once, however many names it asked.

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
}

/// Everybody who asked.
pub(super) struct Askers {
    pub(super) list: Vec<Asker>,
    /// Row of the tally → index in `list`.
    pub(super) of_row: Vec<u32>,
    /// Client addresses, and of these those that occur in the snapshot.
    addresses: (u64, u64),
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

/// Finds out who asked, for every row. Rows are sorted by client.
pub(super) fn askers(tally: &Tally, cluster: &Cluster, exclude: &[String]) -> Askers {
    let changes: HashMap<IpAddr, &[Time]> = cluster.addresses.changes().collect();
    let mut all = Askers { list: Vec::new(), of_row: Vec::new(), addresses: (0, 0) };
    all.of_row.reserve(tally.rows.len());
    let lost: BTreeSet<IpAddr> = tally.lost.iter().filter_map(|l| l.client).collect();

    let push = |list: &mut Vec<Asker>, ip, seen| {
        let holder = cluster.addresses.holder(ip, seen);
        let excluded = is_excluded(&holder, cluster, exclude);
        list.push(Asker { ip, holder, excluded, lost: lost.contains(&ip) });
    };
    for rows in tally.rows.chunk_by(|a, b| a.client == b.client) {
        let Some(ip) = rows.first().map(|row| row.client) else { continue };
        let bounds = changes.get(&ip).copied().unwrap_or_default();
        let parts = parts(rows, bounds);
        let first = all.list.len();
        for (_, seen) in &parts {
            push(&mut all.list, ip, *seen);
        }
        for rows in rows.chunk_by(|a, b| part(a, bounds) == part(b, bounds)) {
            let part = rows.first().and_then(|row| part(row, bounds));
            let at = parts.partition_point(|(other, _)| *other < part);
            all.of_row.extend(repeat_n(index(first + at), rows.len()));
        }
        let askers = all.list.get(first..).unwrap_or_default();
        if askers.iter().all(|a| a.holder == Holder::Loopback) {
            continue;
        }
        let known = cluster.addresses.knows(ip);
        all.addresses.0 += 1;
        all.addresses.1 += u64::from(known);
    }
    // An address all of whose names were given up: whose it is must still be known.
    let kept: BTreeSet<IpAddr> = all.list.iter().map(|a| a.ip).collect();
    for ip in lost.difference(&kept) {
        push(&mut all.list, *ip, None);
    }
    all
}

/// A stretch in which an address does not change hands: the bounds before its first and its last moment. `None`, no
/// time, is a part of its own.
type Part = Option<(usize, usize)>;

fn part(row: &Row, bounds: &[Time]) -> Part {
    let at = |time: Time| bounds.partition_point(|bound| *bound <= time);
    row.seen.map(|(first, last)| (at(first), at(last)))
}

/// The parts of one address's rows, sorted, each with its first and last time.
fn parts(rows: &[Row], bounds: &[Time]) -> Vec<(Part, Option<(Time, Time)>)> {
    let mut parts: BTreeMap<Part, Option<(Time, Time)>> = BTreeMap::new();
    for rows in rows.chunk_by(|a, b| part(a, bounds) == part(b, bounds)) {
        let Some(part) = rows.first().map(|row| part(row, bounds)) else { continue };
        let seen = parts.entry(part).or_default();
        *seen = rows.iter().fold(*seen, |seen, row| join_times(seen, row.seen));
    }
    parts.into_iter().collect()
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
        let mut totals = Totals {
            addresses: self.addresses.0,
            addresses_known: self.addresses.1,
            ..Totals::default()
        };
        let domains: Vec<Option<&str>> =
            names.all().iter().map(|name| other_domain(name, &cluster.domains)).collect();
        let mut answered = BTreeSet::new();
        for (at, row) in tally.rows.iter().enumerate() {
            let mut records = [0; 3];
            for (kind, count) in &row.counts {
                if let Some(sum) = records.get_mut(kind.rcode.outcome() as usize) {
                    *sum += count;
                }
            }
            for (sum, more) in totals.records.iter_mut().zip(records) {
                *sum += more;
            }
            let all: u64 = records.iter().sum();
            match self.of(at).map(|asker| &asker.holder) {
                Some(Holder::DnsCache(_)) => totals.cache_queries += all,
                Some(Holder::Node(_)) => totals.node_queries += all,
                Some(Holder::Ambiguous(_)) => totals.ambiguous_queries += all,
                _ => {}
            }
            let domain = names.of_row(at).and_then(|name| *domains.get(name as usize)?);
            answered.extend(domain.filter(|_| records[0] > 0));
        }
        totals.other_domains = answered.into_iter().map(String::from).collect();
        let lost = self.list.iter().filter(|asker| asker.lost);
        let shown: BTreeSet<String> = lost
            .map(|asker| {
                let client = Key::of(asker, GroupBy::Workload, cluster).client(cluster);
                let slash = if client.namespace.is_empty() { "" } else { "/" };
                format!("{}{slash}{}", client.namespace, client.name)
            })
            .collect();
        totals.lost_clients = shown.into_iter().collect();
        totals
    }
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
