//! One client's pieces of evidence for one server → one [`Connection`]; its failures → [`FailedLookup`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;

use super::clients::{Asker, join_times};
use super::group::{Entry, Evidence, Failure, Piece, Who, sum};
use super::servers::{Shown, is_asked};
use super::{
    Client, Connection, FailedLookup, Names, Proof, Server, ServerKind, Status, search_path,
};
use crate::cluster::backends::Port;
use crate::log::record::{Outcome, Rcode};
use crate::log::tally::Row;

/// One client as its rows show it, by the askers behind them: most of its rows show the same.
#[derive(Default)]
pub(super) struct Shared(HashMap<Vec<u32>, Arc<Client>>);

impl Evidence<'_> {
    /// The connection that these pieces make, with the rows it comes from. `None` if nothing was answered, and what
    /// the log does not say the outcome of is not in the snapshot either.
    pub(super) fn connection(
        &self,
        who: &Who,
        shown: &[Shown],
        pieces: &[Piece<'_>],
        shared: &mut Shared,
    ) -> Option<(Connection, Vec<u32>)> {
        let answered = pieces.iter().any(|piece| piece.counts.answered > 0);
        let is_evidence = |piece: &&Piece<'_>| match answered {
            true => piece.counts.answered > 0,
            false => {
                piece.counts.unknown > 0
                    && shown.get(piece.server as usize).is_some_and(|server| server.is_known)
            }
        };
        let evidence = || pieces.iter().filter(is_evidence);
        let named = numbers(evidence());
        let is_named = |piece: &&Piece<'_>| named.binary_search(&piece.name).is_ok();
        let failed = pieces.iter().filter(is_named).map(|piece| piece.counts.failed).sum();

        let is_used = |entry: &&Entry| match answered {
            true => entry.counts.answered > 0,
            false => entry.counts.unknown > 0,
        };
        let entries = || evidence().flat_map(Piece::kept).filter(is_used);
        // When and where it was answered: a failure before that is no evidence.
        let sightings = || {
            let rows = entries().filter_map(|entry| self.tally.rows.get(entry.row as usize));
            rows.map(Row::evidence)
        };
        let place = self.tally.place(sightings().min_by_key(|sighting| sighting.order())?);
        let askers = self.askers.behind(entries());

        let Shown { mut server, mut status, .. } =
            merged(shown, evidence().map(|piece| piece.server))?;
        let names = self.texts(&named);
        let proof = self.proof(&server, shown, evidence(), (&named, &names));
        let ports = meant(&server, evidence());
        let mut push = |is: bool, word| status.extend(is.then_some(word));
        let inferred =
            who.client.workload.is_some_and(|id| self.cluster.workloads.get(id).inferred);
        push(ports.as_ref().is_some_and(|ports| ports.is_empty()), Status::NoPorts);
        push(inferred, Status::OwnerInferred);
        push(!answered, Status::OutcomeUnknown);
        push(evidence().any(|piece| piece.widened), Status::Widened);
        push(self.numbered(&askers).any(Asker::is_shared), Status::SharedAddress);
        push(who.lost, Status::LowerBound);
        if status.is_empty() {
            status.push(Status::Ok);
        }
        status.sort_unstable();
        status.dedup();
        if let Some(ports) = ports {
            Arc::make_mut(&mut server).ports = ports;
        }
        let connection = Connection {
            client: self.client(who, askers, shared),
            server,
            queries: evidence().map(|piece| piece.counts.answered).sum(),
            lookups: evidence().map(|piece| piece.counts.lookups).sum(),
            failed,
            attempts: evidence().map(|piece| piece.attempts).sum(),
            seen: sightings().fold(None, |seen, more| join_times(seen, more.seen)),
            status,
            proof,
            place,
            names,
        };
        // With every row of these names, so that a view that leaves the connection out leaves out its failures too.
        let rows = evidence().filter(|_| self.keeps_rows).flat_map(Piece::kept);
        Some((connection, rows.map(|entry| entry.row).collect()))
    }

    /// What of it a policy may rest on: what was answered, between addresses that nobody else can have held. `all`: the
    /// numbers and texts of the connection's names.
    fn proof<'p>(
        &self,
        server: &Server,
        shown: &[Shown],
        pieces: impl Iterator<Item = &'p Piece<'p>> + Clone,
        all: (&[u32], &Names),
    ) -> Option<Proof> {
        let is_proven = |piece: &&Piece<'_>| {
            let mut kept = piece.kept().filter(|entry| entry.counts.answered > 0);
            let own =
                |row: u32| self.askers.of(row as usize).is_some_and(|asker| !asker.is_shared());
            let shared = shown.get(piece.server as usize).is_some_and(|server| server.is_shared);
            !shared && kept.any(|entry| own(entry.row))
        };
        let proven = pieces.filter(is_proven);
        let named = numbers(proven.clone());
        let names = if named == all.0 { Arc::clone(all.1) } else { self.texts(&named) };
        let ports = || meant(server, proven).unwrap_or_else(|| Arc::clone(&server.ports));
        (!named.is_empty()).then(|| Proof { names, ports: ports() })
    }

    /// The failed lookups, sorted by name. What is shown by the same name is one.
    pub(super) fn failed(
        &self,
        who: &Who,
        failures: &[Failure<'_>],
        namespaces: &BTreeSet<String>,
        shared: &mut Shared,
    ) -> Vec<(FailedLookup, Vec<u32>)> {
        let mut of_name: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
        for failure in failures.iter().filter(|failure| !failure.entries.is_empty()) {
            let is_namespace = |name: &str| namespaces.contains(name);
            let Failure { base, namespace, domain, .. } = *failure;
            let name = search_path::shown(base, namespace, domain, is_namespace);
            of_name.entry(name).or_default().extend(&failure.entries);
        }
        let row = |(name, entries): (String, Vec<&Entry>)| {
            let lookup = FailedLookup {
                client: self.client(who, self.askers.behind(entries.iter().copied()), shared),
                name,
                rcode: self.rcode(&entries).text(),
                queries: sum(entries.iter().copied()).failed,
                lower_bound: who.lost,
            };
            let rows = entries.iter().filter(|_| self.keeps_rows).map(|entry| entry.row);
            (lookup, rows.collect())
        };
        of_name.into_iter().map(row).collect()
    }

    /// The rcode that these failed with most often; of several the first by text.
    fn rcode(&self, entries: &[&Entry]) -> Rcode {
        let mut rcodes: BTreeMap<Rcode, u64> = BTreeMap::new();
        let rows = entries.iter().filter_map(|entry| self.tally.rows.get(entry.row as usize));
        for (kind, count) in rows.flat_map(|row| &row.counts) {
            if kind.qtype.asks_for_address() && kind.rcode.outcome() == Outcome::Failed {
                *rcodes.entry(kind.rcode).or_default() += count;
            }
        }
        let most = rcodes.iter().rev().max_by_key(|(_, count)| **count);
        most.map_or(Rcode::NO_REPLY, |(rcode, _)| *rcode)
    }

    /// The client with the addresses and pods of these askers.
    fn client(&self, who: &Who, askers: Vec<u32>, shared: &mut Shared) -> Arc<Client> {
        if let Some(client) = shared.0.get(&askers) {
            return Arc::clone(client);
        }
        let mut client = who.client.clone();
        let mut pods: Vec<usize> = Vec::new();
        for asker in self.numbered(&askers) {
            client.ips.push(asker.ip);
            pods.extend(asker.pods());
        }
        client.ips.sort();
        client.ips.dedup();
        pods.sort_unstable();
        pods.dedup();
        let pods = pods.into_iter().filter_map(|pod| self.cluster.snapshot.pods.get(pod));
        client.pods = pods.map(|pod| pod.meta.name.clone()).collect();
        client.pods.sort();
        client.pods.dedup();
        let client = Arc::new(client);
        shared.0.insert(askers, Arc::clone(&client));
        client
    }

    /// The askers of these numbers.
    fn numbered<'s>(&'s self, askers: &'s [u32]) -> impl Iterator<Item = &'s Asker> {
        askers.iter().filter_map(|asker| self.askers.list.get(*asker as usize))
    }

    /// The texts of these names.
    fn texts(&self, names: &[u32]) -> Names {
        names.iter().filter_map(|name| self.names.text(*name)).map(Arc::clone).collect()
    }
}

impl<'e> Piece<'e> {
    /// The entries that are evidence in this view.
    pub(super) fn kept(&self) -> impl Iterator<Item = &'e Entry> {
        self.entries.iter().filter(|entry| !entry.left_out)
    }
}

/// The names of pieces, sorted because they are.
fn numbers<'p>(pieces: impl Iterator<Item = &'p Piece<'p>>) -> Vec<u32> {
    let mut names: Vec<u32> = pieces.map(|piece| piece.name).collect();
    names.dedup();
    names
}

/// The servers of these numbers, as the one that the view shows. Nearly always there is one.
fn merged(shown: &[Shown], servers: impl Iterator<Item = u32>) -> Option<Shown> {
    let mut servers: Vec<u32> = servers.collect();
    servers.sort_unstable();
    servers.dedup();
    let mut servers = servers.into_iter().filter_map(|server| shown.get(server as usize));
    let mut all = servers.next()?.clone();
    servers.for_each(|more| all.merge(more));
    Some(all)
}

/// If only SRV names were asked for, the ports that they name are those that were meant. `None`: all of the server's.
fn meant<'p>(
    server: &Server,
    pieces: impl Iterator<Item = &'p Piece<'p>> + Clone,
) -> Option<Arc<[Port]>> {
    if server.kind != ServerKind::Service || pieces.clone().any(|piece| piece.port.is_none()) {
        return None;
    }
    let is_meant = |port: &&Port| {
        pieces.clone().filter_map(|piece| piece.port.as_deref()).any(|srv| is_asked(port, srv))
    };
    let ports: Arc<[Port]> = server.ports.iter().filter(is_meant).cloned().collect();
    (ports.len() < server.ports.len()).then_some(ports)
}
