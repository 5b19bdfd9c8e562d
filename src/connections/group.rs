//! Rows of the tally → pieces of evidence → rows of a view. The tally is sorted by client and name, so everything
//! here is a walk over runs of equals.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::clients::{Askers, Interner, Key, index};
use super::filter::Choice;
use super::servers::{Servers, Target};
use super::{Client, Connection, FailedLookup, GroupBy, ServerKind, Status, Totals, search_path};
use crate::cluster::Cluster;
use crate::log::record::{Outcome, QType};
use crate::log::tally::{Row, Tally};
use crate::threads;

/// What rows are made of.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) tally: &'a Tally,
    pub(super) cluster: &'a Cluster,
    pub(super) askers: &'a Askers,
    /// Rows of the tally that are no evidence in this view: their connection by workload was left out.
    pub(super) left_out: Option<&'a [bool]>,
}

/// The rows of a view, each with the rows of the tally that it comes from.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) connections: Vec<(Connection, Vec<usize>)>,
    pub(super) failed: Vec<(FailedLookup, Vec<usize>)>,
    dropped: Vec<usize>,
    not_connections: u64,
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
pub(super) struct Entry<'a> {
    client: u32,
    pub(super) row: usize,
    name: &'a str,
    pub(super) counts: Counts,
    pub(super) left_out: bool,
}

/// What one name adds to one connection.
pub(super) struct Piece<'a, 'e> {
    client: u32,
    /// Its number in [`Servers`].
    pub(super) server: u32,
    pub(super) name: &'a str,
    /// An SRV name's port and protocol.
    pub(super) port: Option<(String, String)>,
    pub(super) widened: bool,
    pub(super) entries: &'e [Entry<'a>],
    /// Of the entries that are evidence in this view.
    pub(super) counts: Counts,
    pub(super) attempts: u64,
}

impl<'a, 'e> Piece<'a, 'e> {
    fn of(entries: &'e [Entry<'a>], server: u32, attempts: u64) -> Option<Piece<'a, 'e>> {
        let Entry { client, name, .. } = *entries.first()?;
        let counts = sum(entries.iter().filter(|entry| !entry.left_out));
        Some(Piece { client, server, name, port: None, widened: false, entries, counts, attempts })
    }
}

/// Failed names of one client that are one lookup.
pub(super) struct Failure<'a, 'e> {
    pub(super) client: u32,
    pub(super) base: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) entries: Vec<&'e Entry<'a>>,
}

impl Evidence<'_> {
    /// Groups the rows by client and server.
    pub(super) fn group(&self, group_by: GroupBy) -> Groups {
        // Fewer rows are done with in less time than it takes to begin a thread.
        const FEW: usize = 20_000;
        let pool = threads::pool(threads::most().min(self.tally.rows.len() / FEW));
        let (clients, of_asker) = self.clients(group_by);
        let (mut entries, mut not_connections) = self.entries(&of_asker);
        // Stable: the rows come in long sorted runs, one for each address.
        let order = |a: &Entry<'_>, b: &Entry<'_>| (a.client, a.name).cmp(&(b.client, b.name));
        match &pool {
            Some(pool) => pool.install(|| entries.par_sort_by(order)),
            None => entries.sort_by(order),
        }
        let mut servers = Servers::new(self.cluster);
        let mut namespaces = known_namespaces(self.cluster);
        let mut pieces = Vec::new();
        let mut failures = Vec::new();
        for entries in entries.chunk_by(|a, b| a.client == b.client) {
            let Some(who) = entries.first().and_then(|e| clients.get(e.client as usize)) else {
                continue;
            };
            let attempts = self.collapse(who, entries, &mut failures);
            let namespace = who.key.namespace(self.cluster);
            for (entries, attempts) in entries.chunk_by(|a, b| a.name == b.name).zip(attempts) {
                let all = sum(entries);
                let Some(name) = entries.first().map(|entry| entry.name) else { continue };
                if all.answered + all.unknown == 0 {
                    continue;
                }
                match servers.target(name, namespace) {
                    Target::Nothing => not_connections += all.answered,
                    Target::Server { id, port, widened } => {
                        if let Some(namespace) = servers.namespace(id).filter(|_| all.answered > 0)
                            && !namespaces.contains(namespace)
                        {
                            namespaces.insert(namespace.into());
                        }
                        let piece = Piece::of(entries, id, attempts);
                        pieces.extend(piece.map(|piece| Piece { port, widened, ..piece }));
                    }
                    // Who held the address is a question for each row's own time.
                    Target::Pod { address, namespace } => {
                        for (at, entries) in entries.chunks(1).enumerate() {
                            let row = entries.first().and_then(|e| self.tally.rows.get(e.row));
                            let server =
                                servers.pod(address, &namespace, row.and_then(|row| row.seen));
                            pieces.extend(Piece::of(
                                entries,
                                server,
                                if at == 0 { attempts } else { 0 },
                            ));
                        }
                    }
                }
            }
        }
        let (shown, places) = servers.shown(group_by);
        let place = |piece: &Piece<'_, '_>| places.get(piece.server as usize).copied();
        pieces.sort_by(|a, b| (a.client, place(a), a.name).cmp(&(b.client, place(b), b.name)));
        let runs = pieces.chunk_by(|a, b| a.client == b.client && place(a) == place(b));
        let runs: Vec<&[Piece<'_, '_>]> = runs.collect();
        let connection = |pieces: &&[Piece<'_, '_>]| {
            let who = clients.get(pieces.first()?.client as usize)?;
            self.connection(who, &shown, &servers, pieces)
        };
        let connections = match &pool {
            Some(pool) => pool.install(|| runs.par_iter().filter_map(connection).collect()),
            None => runs.iter().filter_map(connection).collect(),
        };
        let failed = self.failed(&clients, failures, &namespaces);
        Groups { connections, failed, dropped: Vec::new(), not_connections }
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

    /// Every row that asks for an address, in the tally's order; and the answered records that do not.
    fn entries(&self, of_asker: &[Option<u32>]) -> (Vec<Entry<'_>>, u64) {
        let mut entries = Vec::with_capacity(self.tally.rows.len());
        let mut others = 0;
        for (at, (row, asker)) in self.tally.rows.iter().zip(&self.askers.of_row).enumerate() {
            let Some(client) = of_asker.get(*asker as usize).copied().flatten() else { continue };
            let (counts, other) = counts(row);
            others += other;
            if counts != Counts::default() {
                let left_out =
                    self.left_out.is_some_and(|rows| rows.get(at).copied().unwrap_or(false));
                entries.push(Entry { client, row: at, name: &row.name, counts, left_out });
            }
        }
        (entries, others)
    }

    /// Tells search-path attempts from failures: for each name of one client the attempts that it explains. What
    /// nothing explains goes to `failures`.
    fn collapse<'e, 'a>(
        &'e self,
        who: &'e Who,
        entries: &'e [Entry<'a>],
        failures: &mut Vec<Failure<'a, 'e>>,
    ) -> Vec<u64>
    where
        'e: 'a,
    {
        let runs: Vec<&'e [Entry<'a>]> = entries.chunk_by(|a, b| a.name == b.name).collect();
        let mut attempts = vec![0; runs.len()];
        let names: Vec<search_path::Name<'a>> = (runs.iter())
            .filter_map(|run| {
                let (all, text) = (sum(*run), run.first()?.name);
                let failed = all.failed > 0 && all.answered + all.unknown == 0;
                Some(search_path::Name { text, answered: all.answered > 0, failed })
            })
            .collect();
        if !names.iter().any(|name| name.failed) {
            return attempts;
        }
        let domains = &self.cluster.domains;
        let namespace = match who.key {
            Key::Unknown(_) => search_path::namespace(&names, domains),
            _ => who.key.namespace(self.cluster),
        };
        let suffixes = search_path::suffixes(namespace, domains, &self.searches(entries));
        for group in search_path::collapse(&names, &suffixes) {
            let rows =
                group.failed.iter().filter_map(|at| runs.get(*at)).flat_map(|run| run.iter());
            let rows = rows.filter(|entry| !entry.left_out);
            match group.answer.and_then(|at| attempts.get_mut(at)) {
                Some(count) => *count += rows.map(|entry| entry.counts.failed).sum::<u64>(),
                None => {
                    let Some(client) = entries.first().map(|entry| entry.client) else { continue };
                    failures.push(Failure {
                        client,
                        base: group.base,
                        namespace,
                        entries: rows.collect(),
                    });
                }
            }
        }
        attempts
    }

    /// The search suffixes that the pods behind these rows have in their `dnsConfig`.
    fn searches(&self, entries: &[Entry<'_>]) -> Vec<&str> {
        let askers: BTreeSet<u32> =
            entries.iter().filter_map(|e| self.askers.of_row.get(e.row).copied()).collect();
        let askers = askers.into_iter().filter_map(|asker| self.askers.list.get(asker as usize));
        let pods: BTreeSet<usize> = askers.flat_map(|asker| asker.pods()).copied().collect();
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

/// The records of a row that ask for an address, and how many others were answered.
fn counts(row: &Row) -> (Counts, u64) {
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

pub(super) fn sum<'a: 'e, 'e>(entries: impl IntoIterator<Item = &'e Entry<'a>>) -> Counts {
    entries.into_iter().fold(Counts::default(), |sum, entry| Counts {
        answered: sum.answered + entry.counts.answered,
        failed: sum.failed + entry.counts.failed,
        unknown: sum.unknown + entry.counts.unknown,
        lookups: sum.lookups + entry.counts.lookups,
    })
}

impl Groups {
    /// `--min-queries`.
    pub(super) fn drop_below(&mut self, min_lookups: u64) {
        let dropped = &mut self.dropped;
        self.connections.retain(|(connection, rows)| {
            let keep = connection.lookups >= min_lookups;
            if !keep {
                dropped.extend(rows);
            }
            keep
        });
    }

    /// The filters: what they do not choose is not shown.
    pub(super) fn choose(&mut self, choice: &Choice) {
        let dropped = &mut self.dropped;
        self.connections.retain(|(connection, rows)| {
            let keep = choice.connection(connection);
            if !keep {
                dropped.extend(rows);
            }
            keep
        });
        self.failed.retain(|(lookup, rows)| {
            let keep = choice.failed(lookup);
            if !keep {
                dropped.extend(rows);
            }
            keep
        });
    }

    /// Which rows of the tally [`Groups::drop_below`] and [`Groups::choose`] took away.
    pub(super) fn left_out(&self, rows: usize) -> Vec<bool> {
        let mut left_out = vec![false; rows];
        for row in &self.dropped {
            if let Some(slot) = left_out.get_mut(*row) {
                *slot = true;
            }
        }
        left_out
    }

    /// What the connections add to the totals.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        totals.not_connections = self.not_connections;
        for (connection, _) in &self.connections {
            let (client, server) = (&connection.client, &connection.server);
            let shared = connection.status.contains(&Status::SharedAddress);
            let found = server.kind == ServerKind::External || server.in_snapshot == Some(true);
            totals.connected += connection.queries;
            totals.client_resolved +=
                if client.workload.is_some() && !shared { connection.queries } else { 0 };
            totals.server_resolved += if found { connection.queries } else { 0 };
        }
    }

    /// The rows alone, in their order.
    pub(super) fn finish(self) -> (Vec<Connection>, Vec<FailedLookup>) {
        let connections = self.connections.into_iter().map(|(connection, _)| connection);
        (connections.collect(), self.failed.into_iter().map(|(lookup, _)| lookup).collect())
    }
}
