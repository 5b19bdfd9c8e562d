//! Rows of the tally → pieces of evidence → rows of a view. Each client's rows are a list of its own, sorted by numbers
//! that stand for names; only what the names mean is found out for all clients together, each name once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use rayon::ThreadPool;

use super::clients::{Asker, Askers, Interner, Key, index};
use super::names::Names;
use super::rows::Shared;
use super::servers::{Servers, Srv, Target};
use super::view::View;
use super::{Client, GroupBy, search_path};
use crate::cluster::Cluster;
use crate::log::record::{Outcome, QType};
use crate::log::tally::{Row, Tally};
use crate::threads;

/// What rows are made of.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) tally: &'a Tally,
    pub(super) cluster: &'a Cluster,
    pub(super) names: &'a Names<'a>,
    pub(super) askers: &'a Askers,
    pub(super) pool: Option<&'a ThreadPool>,
    /// Rows of the tally that are no evidence in this view: their connection by workload was left out.
    pub(super) left_out: Option<&'a [bool]>,
    /// Whether [`View::left_out`] will be asked for: each row of the view then says what it comes from.
    pub(super) keeps_rows: bool,
}

/// A client of a view.
pub(super) struct Who {
    pub(super) key: Key,
    pub(super) client: Client,
    /// Some address of it lost names to the bound on memory.
    pub(super) lost: bool,
}

impl Who {
    fn order(&self) -> (&str, &str, &str, &Key) {
        (&self.client.namespace, &self.client.kind, &self.client.name, &self.key)
    }
}

/// The records of a row that ask for an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    pub(super) lookups: u64,
}

/// One row of the tally, as one client's.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Its number in [`Names`].
    pub(super) name: u32,
    pub(super) row: u32,
    pub(super) counts: Counts,
    pub(super) left_out: bool,
}

/// What one client asked.
struct Asked<'a> {
    /// Sorted by name, then row.
    entries: Vec<Entry>,
    /// For each name the failed attempts that it explains.
    attempts: Vec<u64>,
    failures: Vec<Failure<'a>>,
    /// Answered records that do not ask for an address.
    others: u64,
}

/// What one name adds to one connection.
pub(super) struct Piece<'e> {
    /// Its number in [`Servers`].
    pub(super) server: u32,
    /// Its number in [`Names`].
    pub(super) name: u32,
    /// An SRV name's.
    pub(super) port: Option<Arc<Srv>>,
    pub(super) widened: bool,
    pub(super) entries: &'e [Entry],
    /// Of the entries that are evidence in this view.
    pub(super) counts: Counts,
    pub(super) attempts: u64,
}

impl<'e> Piece<'e> {
    fn of(entries: &'e [Entry], server: u32, attempts: u64) -> Option<Piece<'e>> {
        let name = entries.first()?.name;
        let counts = sum(entries.iter().filter(|entry| !entry.left_out));
        Some(Piece { server, name, port: None, widened: false, entries, counts, attempts })
    }
}

/// Failed names of one client that are one lookup.
pub(super) struct Failure<'a> {
    pub(super) base: &'a str,
    pub(super) namespace: Option<&'a str>,
    /// The cluster domain that it was asked for under; under none, the first.
    pub(super) domain: Option<&'a String>,
    pub(super) entries: Vec<Entry>,
}

impl Evidence<'_> {
    /// Groups the rows by client and server.
    pub(super) fn group(&self, group_by: GroupBy) -> View {
        let pool = self.pool;
        let (clients, of_asker) = self.clients(group_by);
        let rows = self.rows_of(clients.len(), &of_asker);
        let clients: Vec<_> = clients.iter().zip(rows).collect();
        let clients = threads::map(pool, clients, |(who, rows)| (who, self.asked(who, rows)));

        let mut servers = Servers::new(self.cluster);
        let mut not_connections = 0;
        let mut pieces: Vec<(&Who, &Asked<'_>, Vec<Piece<'_>>)> = Vec::with_capacity(clients.len());
        for (who, asked) in &clients {
            not_connections += asked.others;
            let pieces_of = self.pieces(who, asked, &mut servers, &mut not_connections);
            pieces.push((who, asked, pieces_of));
        }

        let (shown, places) = servers.shown(group_by);
        let mut namespaces = known_namespaces(self.cluster);
        namespaces.extend(servers.answered_namespaces());
        // Their names' meanings make room for the connections.
        drop(servers);
        let place = |piece: &Piece<'_>| places.get(piece.server as usize).copied();
        let groups = threads::map(pool, pieces, |(who, asked, mut pieces)| {
            pieces.sort_by_key(|piece| (place(piece), piece.name));
            let mut shared = Shared::default();
            let runs = pieces.chunk_by(|a, b| place(a) == place(b));
            let mut connections = Vec::with_capacity(runs.clone().count());
            connections
                .extend(runs.filter_map(|run| self.connection(who, &shown, run, &mut shared)));
            (connections, self.failed(who, &asked.failures, &namespaces, &mut shared))
        });
        let mut all = View::new(not_connections);
        all.connections
            .reserve_exact(groups.iter().map(|(connections, _)| connections.len()).sum());
        all.failed.reserve_exact(groups.iter().map(|(_, failed)| failed.len()).sum());
        for (connections, failed) in groups {
            all.connections.extend(connections);
            all.failed.extend(failed);
        }
        all
    }

    /// The clients of a view in their order, and for each asker which one it is; `None`: excluded.
    fn clients(&self, group_by: GroupBy) -> (Vec<Who>, Vec<Option<u32>>) {
        let mut keys = Interner::new();
        let of_asker: Vec<Option<u32>> = (self.askers.list.iter())
            .map(|asker| (!asker.excluded).then(|| keys.id(Key::of(asker, group_by, self.cluster))))
            .collect();
        let mut clients: Vec<(usize, Who)> = (keys.list.into_iter().enumerate())
            .map(|(id, key)| (id, Who { client: key.client(self.cluster), key, lost: false }))
            .collect();
        for (asker, id) in self.askers.list.iter().zip(&of_asker) {
            if let Some((_, who)) = id.and_then(|id| clients.get_mut(id as usize)) {
                who.lost |= asker.lost;
            }
        }
        clients.sort_by(|(_, a), (_, b)| a.order().cmp(&b.order()));
        let mut rank = vec![0; clients.len()];
        for (at, (id, _)) in clients.iter().enumerate() {
            if let Some(slot) = rank.get_mut(*id) {
                *slot = index(at);
            }
        }
        let ranked = |id: u32| rank.get(id as usize).copied();
        let of_asker = of_asker.into_iter().map(|id| id.and_then(ranked)).collect();
        (clients.into_iter().map(|(_, who)| who).collect(), of_asker)
    }

    /// For each client of a view the rows that are its own: of one asker each, as they stand.
    fn rows_of(&self, clients: usize, of_asker: &[Option<u32>]) -> Vec<Vec<Range<usize>>> {
        let mut rows: Vec<Vec<Range<usize>>> = vec![Vec::new(); clients];
        let mut at = 0;
        for run in self.askers.of_row.chunk_by(|a, b| a == b) {
            let range = at..at + run.len();
            at = range.end;
            let client = run.first().and_then(|asker| *of_asker.get(*asker as usize)?);
            if let Some(rows) = client.and_then(|client| rows.get_mut(client as usize)) {
                rows.push(range);
            }
        }
        rows
    }

    /// What one client asked in these rows.
    fn asked<'e>(&'e self, who: &'e Who, rows: Vec<Range<usize>>) -> Asked<'e> {
        let mut entries = Vec::with_capacity(rows.iter().map(ExactSizeIterator::len).sum());
        let (mut askers, mut others) = (Vec::new(), 0);
        for rows in rows {
            let (first, before) = (rows.start, entries.len());
            for at in rows {
                let Some(row) = self.tally.rows.get(at) else { continue };
                let (counts, other) = counts(row);
                others += other;
                if counts != Counts::default() {
                    let left_out =
                        self.left_out.is_some_and(|rows| rows.get(at).copied().unwrap_or(false));
                    entries.push(Entry { name: row.name, row: index(at), counts, left_out });
                }
            }
            askers.extend(self.askers.of(first).filter(|_| entries.len() > before));
        }
        // The rows ascend, and within each address the names do: to merge such runs is quick.
        entries.sort_by_key(|entry| entry.name);
        let (attempts, failures) = self.collapse(who, &askers, &entries);
        Asked { entries, attempts, failures, others }
    }

    /// What each of a client's names adds to which server. What is no connection is added to `not_connections`.
    fn pieces<'e>(
        &'e self,
        who: &'e Who,
        asked: &'e Asked<'_>,
        servers: &mut Servers<'e>,
        not_connections: &mut u64,
    ) -> Vec<Piece<'e>> {
        let mut pieces = Vec::new();
        let namespace = who.key.namespace(self.cluster);
        for (entries, attempts) in by_name(&asked.entries).zip(&asked.attempts) {
            let all = sum(entries);
            let Some(name) = entries.first().map(|entry| entry.name) else { continue };
            let Some(text) = self.names.spelled(name) else { continue };
            if all.answered + all.unknown == 0 {
                continue;
            }
            match servers.target(name, text, namespace) {
                Target::Nothing => *not_connections += all.answered,
                Target::Server { id, port, widened } => {
                    let (id, port, widened) = (*id, port.clone(), *widened);
                    if all.answered > 0 {
                        servers.answer(id);
                    }
                    let piece = Piece::of(entries, id, *attempts);
                    pieces.extend(piece.map(|piece| Piece { port, widened, ..piece }));
                }
                // Who held the address is a question for each row's own time.
                Target::Pod { address, namespace } => {
                    let (address, namespace) = (*address, Arc::clone(namespace));
                    for (at, entries) in entries.chunks(1).enumerate() {
                        let row = entries.first().and_then(|e| self.tally.rows.get(e.row as usize));
                        let server =
                            servers.pod(address, &namespace, row.and_then(|row| row.sighting.seen));
                        let attempts = if at == 0 { *attempts } else { 0 };
                        pieces.extend(Piece::of(entries, server, attempts));
                    }
                }
            }
        }
        pieces
    }

    /// Tells search-path attempts from failures: for each name of one client the attempts that it explains, and what
    /// nothing explains. `askers`: who asked for them.
    fn collapse<'e>(
        &'e self,
        who: &'e Who,
        askers: &[&Asker],
        entries: &[Entry],
    ) -> (Vec<u64>, Vec<Failure<'e>>) {
        let runs: Vec<&[Entry]> = by_name(entries).collect();
        let mut attempts = vec![0; runs.len()];
        let mut failures = Vec::new();
        let names: Vec<search_path::Name<'_>> = (runs.iter())
            .filter_map(|run| {
                let (all, text) = (sum(*run), self.names.spelled(run.first()?.name)?);
                let failed = all.failed > 0 && all.answered + all.unknown == 0;
                Some(search_path::Name { text, answered: all.answered > 0, failed })
            })
            .collect();
        if !names.iter().any(|name| name.failed) {
            return (attempts, failures);
        }
        let domains = &self.cluster.domains;
        let namespace = match who.key {
            Key::Unknown(_) => search_path::namespace(&names, domains),
            _ => who.key.namespace(self.cluster),
        };
        let suffixes = search_path::suffixes(namespace, domains, &self.searches(askers));
        for group in search_path::collapse(&names, &suffixes) {
            let rows =
                group.failed.iter().filter_map(|at| runs.get(*at)).flat_map(|run| run.iter());
            let rows = rows.filter(|entry| !entry.left_out);
            match group.answer.and_then(|at| attempts.get_mut(at)) {
                Some(count) => *count += rows.map(|entry| entry.counts.failed).sum::<u64>(),
                None => {
                    let (base, entries) = (group.base, rows.copied().collect());
                    let asked = || group.failed.iter().filter_map(|at| names.get(*at));
                    let is_under = |z: &&String| {
                        let mut left =
                            asked().filter_map(|name| name.text.strip_suffix(z.as_str()));
                        left.any(|left| left.ends_with('.'))
                    };
                    let domain = domains.iter().find(is_under).or(domains.first());
                    failures.push(Failure { base, namespace, domain, entries });
                }
            }
        }
        (attempts, failures)
    }

    /// The search suffixes that these askers' pods have in their `dnsConfig`.
    fn searches(&self, askers: &[&Asker]) -> Vec<&str> {
        let pods: BTreeSet<usize> = askers.iter().flat_map(|asker| asker.pods()).copied().collect();
        let pods = pods.into_iter().filter_map(|pod| self.cluster.snapshot.pods.get(pod));
        let mut all = Vec::new();
        for search in pods.flat_map(|pod| &pod.searches) {
            let search = search.trim_end_matches('.');
            if !search.is_empty() && !all.contains(&search) {
                all.push(search);
            }
        }
        all
    }
}

/// Namespaces of which the snapshot shows anything.
fn known_namespaces(cluster: &Cluster) -> BTreeSet<String> {
    let snapshot = &cluster.snapshot;
    let named = snapshot.namespaces.iter().map(|meta| &meta.name);
    let pods = snapshot.pods.iter().map(|pod| &pod.meta.namespace);
    let services = snapshot.services.iter().map(|service| &service.meta.namespace);
    let mut all = BTreeSet::new();
    for namespace in named.chain(pods).chain(services) {
        if !all.contains(namespace) {
            all.insert(namespace.clone());
        }
    }
    all
}

/// A client's entries, name by name.
fn by_name(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    entries.chunk_by(|a, b| a.name == b.name)
}

/// The records of a row that ask for an address, and how many others were answered.
pub(super) fn counts(row: &Row) -> (Counts, u64) {
    let mut sum = Counts::default();
    let (mut a, mut aaaa, mut other) = (0, 0, 0);
    for (kind, count) in &row.counts {
        match (kind.rcode.outcome(), kind.qtype.asks_for_address()) {
            (Outcome::Answered, true) => {
                sum.answered += count;
                match kind.qtype {
                    QType::A => a += count,
                    QType::AAAA => aaaa += count,
                    _ => sum.lookups += count,
                }
            }
            (Outcome::Failed, true) => sum.failed += count,
            (Outcome::Unknown, true) => sum.unknown += count,
            (Outcome::Answered, false) => other += count,
            _ => {}
        }
    }
    // A client that wants an address asks for both families at once.
    sum.lookups += a.max(aaaa);
    (sum, other)
}

pub(super) fn sum<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Counts {
    entries.into_iter().fold(Counts::default(), |sum, entry| Counts {
        answered: sum.answered + entry.counts.answered,
        failed: sum.failed + entry.counts.failed,
        unknown: sum.unknown + entry.counts.unknown,
        lookups: sum.lookups + entry.counts.lookups,
    })
}
