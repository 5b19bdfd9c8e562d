//! One client's pieces of evidence for one server → one [`Connection`]; its failures → [`FailedLookup`]s.

use std::collections::{BTreeMap, BTreeSet};

use super::clients::{Asker, join_times};
use super::group::{Entry, Evidence, Failure, Piece, Who, sum};
use super::servers::{Servers, Shown, is_asked};
use super::{Client, Connection, FailedLookup, Proof, Server, ServerKind, Status, search_path};
use crate::cluster::backends::Port;
use crate::log::Place;
use crate::log::record::{Outcome, Rcode};
use crate::log::tally::Row;
use crate::time::Time;

/// [`Row::evidence`]
type Sighting<'a> = (Option<(Time, Time)>, &'a Place);

impl Evidence<'_> {
    /// The connection that these pieces make, with the rows it comes from. `None` if nothing was answered, and what
    /// the log does not say the outcome of is not in the snapshot either.
    pub(super) fn connection(
        &self,
        who: &Who,
        shown: &[Shown],
        servers: &Servers<'_>,
        pieces: &[Piece<'_, '_>],
    ) -> Option<(Connection, Vec<usize>)> {
        let answered = pieces.iter().any(|piece| piece.counts.answered > 0);
        let is_evidence = |piece: &&Piece<'_, '_>| match answered {
            true => piece.counts.answered > 0,
            false => piece.counts.unknown > 0 && servers.is_known(piece.server),
        };
        let evidence = || pieces.iter().filter(is_evidence);
        // Sorted, because the pieces are.
        let mut names: Vec<String> = evidence().map(|piece| piece.name.to_owned()).collect();
        names.dedup();
        let is_named = |piece: &&Piece<'_, '_>| {
            names.binary_search_by(|name| (**name).cmp(piece.name)).is_ok()
        };
        let failed = pieces.iter().filter(is_named).map(|piece| piece.counts.failed).sum();

        let is_used = |entry: &&Entry<'_>| match answered {
            true => entry.counts.answered > 0,
            false => entry.counts.unknown > 0,
        };
        let entries: Vec<&Entry<'_>> = evidence().flat_map(Piece::kept).filter(is_used).collect();
        // When and where it was answered: a failure before that is no evidence.
        let sightings = || {
            let rows = entries.iter().filter_map(|entry| self.tally.rows.get(entry.row));
            rows.map(Row::evidence)
        };
        let place = sightings().min_by(|a, b| order(*a).cmp(&order(*b)))?.1.clone();

        let Shown { mut server, mut status } = merged(shown, evidence().map(|piece| piece.server))?;
        let had_ports = !server.ports.is_empty();
        let proof = self.proof(&server, servers, evidence());
        keep_meant(&mut server.ports, server.kind, evidence());
        let mut push = |is: bool, word| status.extend(is.then_some(word));
        let inferred =
            who.client.workload.is_some_and(|id| self.cluster.workloads.get(id).inferred);
        push(had_ports && server.ports.is_empty(), Status::NoPorts);
        push(inferred, Status::OwnerInferred);
        push(!answered, Status::OutcomeUnknown);
        push(evidence().any(|piece| piece.widened), Status::Widened);
        push(self.askers_of(&entries).any(Asker::is_shared), Status::SharedAddress);
        push(who.lost, Status::LowerBound);
        if status.is_empty() {
            status.push(Status::Ok);
        }
        status.sort();
        status.dedup();
        let connection = Connection {
            client: self.client(who, &entries),
            server,
            queries: evidence().map(|piece| piece.counts.answered).sum(),
            lookups: evidence().map(|piece| piece.counts.lookups).sum(),
            failed,
            attempts: evidence().map(|piece| piece.attempts).sum(),
            seen: sightings().fold(None, |seen, (when, _)| join_times(seen, when)),
            status,
            proof,
            place,
            names,
        };
        // With every row of these names, so that a view that leaves the connection out leaves out its failures too.
        let rows = evidence().flat_map(Piece::kept).map(|entry| entry.row).collect();
        Some((connection, rows))
    }

    /// What of it a policy may rest on: what was answered, between addresses that nobody else can have held.
    fn proof<'p>(
        &self,
        server: &Server,
        servers: &Servers<'_>,
        pieces: impl Iterator<Item = &'p Piece<'p, 'p>>,
    ) -> Option<Proof> {
        let is_proven = |piece: &&Piece<'_, '_>| {
            let mut kept = piece.kept().filter(|entry| entry.counts.answered > 0);
            let own = |row| self.askers.of(row).is_some_and(|asker| !asker.is_shared());
            !servers.is_shared(piece.server) && kept.any(|entry| own(entry.row))
        };
        let proven: Vec<&Piece<'_, '_>> = pieces.filter(is_proven).collect();
        let mut names: Vec<String> = proven.iter().map(|piece| piece.name.to_owned()).collect();
        names.dedup();
        let mut ports = server.ports.clone();
        keep_meant(&mut ports, server.kind, proven.iter().copied());
        (!proven.is_empty()).then_some(Proof { names, ports })
    }

    /// The failed lookups, sorted by client and name. What is shown by the same name is one.
    pub(super) fn failed(
        &self,
        clients: &[Who],
        failures: Vec<Failure<'_, '_>>,
        namespaces: &BTreeSet<String>,
    ) -> Vec<(FailedLookup, Vec<usize>)> {
        let mut of_name: BTreeMap<(u32, String), Vec<&Entry<'_>>> = BTreeMap::new();
        for failure in failures.into_iter().filter(|failure| !failure.entries.is_empty()) {
            let is_namespace = |name: &str| namespaces.contains(name);
            let domain = self.cluster.domains.first();
            let name = search_path::shown(failure.base, failure.namespace, domain, is_namespace);
            of_name.entry((failure.client, name)).or_default().extend(failure.entries);
        }
        let row = |((client, name), entries): ((u32, String), Vec<&Entry<'_>>)| {
            let who = clients.get(client as usize)?;
            let lookup = FailedLookup {
                client: self.client(who, &entries),
                name,
                rcode: self.rcode(&entries).text(),
                queries: sum(entries.iter().copied()).failed,
                lower_bound: who.lost,
            };
            Some((lookup, entries.iter().map(|entry| entry.row).collect()))
        };
        of_name.into_iter().filter_map(row).collect()
    }

    /// The rcode that these failed with most often; of several the first by text.
    fn rcode(&self, entries: &[&Entry<'_>]) -> Rcode {
        let mut rcodes: BTreeMap<Rcode, u64> = BTreeMap::new();
        for (kind, count) in
            entries.iter().filter_map(|e| self.tally.rows.get(e.row)).flat_map(|r| &r.counts)
        {
            if kind.qtype.asks_for_address() && kind.rcode.outcome() == Outcome::Failed {
                *rcodes.entry(kind.rcode).or_default() += count;
            }
        }
        let most = rcodes.iter().rev().max_by_key(|(_, count)| **count);
        most.map_or(Rcode::NO_REPLY, |(rcode, _)| *rcode)
    }

    /// The client with the addresses and pods behind these entries.
    fn client(&self, who: &Who, entries: &[&Entry<'_>]) -> Client {
        let mut client = who.client.clone();
        let mut pods: Vec<&usize> = Vec::new();
        for asker in self.askers_of(entries) {
            client.ips.push(asker.ip);
            pods.extend(asker.pods());
        }
        client.ips.sort();
        client.ips.dedup();
        pods.sort();
        pods.dedup();
        let pods = pods.into_iter().filter_map(|pod| self.cluster.snapshot.pods.get(*pod));
        client.pods = pods.map(|pod| pod.meta.name.clone()).collect();
        client.pods.sort();
        client.pods.dedup();
        client
    }

    fn askers_of<'e>(&'e self, entries: &'e [&Entry<'_>]) -> impl Iterator<Item = &'e Asker> {
        entries.iter().filter_map(|entry| self.askers.of(entry.row))
    }
}

impl<'a, 'e> Piece<'a, 'e> {
    /// The entries that are evidence in this view.
    pub(super) fn kept(&self) -> impl Iterator<Item = &'e Entry<'a>> {
        self.entries.iter().filter(|entry| !entry.left_out)
    }
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

/// If only SRV names were asked for, the ports that they name are those that were meant.
fn keep_meant<'p>(
    ports: &mut Vec<Port>,
    kind: ServerKind,
    pieces: impl Iterator<Item = &'p Piece<'p, 'p>> + Clone,
) {
    if kind == ServerKind::Service && pieces.clone().all(|piece| piece.port.is_some()) {
        ports.retain(|port| {
            pieces.clone().filter_map(|piece| piece.port.as_ref()).any(|srv| is_asked(port, srv))
        });
    }
}

/// First by time, then by place; those without a time last.
fn order((seen, place): Sighting<'_>) -> (bool, Option<Time>, &Place) {
    (seen.is_none(), seen.map(|(first, _)| first), place)
}
