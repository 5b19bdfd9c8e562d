//! One client's pieces of evidence for one server → one [`Connection`]; its failures → [`FailedLookup`]s.

use std::collections::{BTreeMap, BTreeSet};

use super::clients::{Asker, join_times};
use super::group::{Counts, Entry, Evidence, Failure, Piece, Who, sum};
use super::servers::{Servers, Shown, srv_ports};
use super::{Client, Connection, FailedLookup, Proof, Server, ServerKind, Status, search_path};
use crate::log::record::{Outcome, Rcode};
use crate::log::tally::Row;

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
        let pieces: Vec<(&Piece<'_, '_>, Counts)> =
            pieces.iter().map(|p| (p, p.counts())).collect();
        let answered = pieces.iter().any(|(_, counts)| counts.answered > 0);
        let is_evidence = |piece: &Piece<'_, '_>, counts: &Counts| match answered {
            true => counts.answered > 0,
            false => counts.unknown > 0 && servers.is_known(piece.server),
        };
        let evidence: Vec<&(&Piece<'_, '_>, Counts)> =
            pieces.iter().filter(|(piece, counts)| is_evidence(piece, counts)).collect();
        // Sorted, because the pieces are.
        let mut names: Vec<&str> = evidence.iter().map(|(piece, _)| piece.name).collect();
        names.dedup();
        let failed = pieces.iter().filter(|(piece, _)| names.binary_search(&piece.name).is_ok());
        let failed = failed.map(|(_, counts)| counts.failed).sum();

        let entries: Vec<&Entry<'_>> = evidence
            .iter()
            .flat_map(|(piece, _)| piece.kept())
            .filter(
                |entry| if answered { entry.counts.answered > 0 } else { entry.counts.unknown > 0 },
            )
            .collect();
        let rows = || entries.iter().filter_map(|entry| self.tally.rows.get(entry.row));
        let place = rows().min_by(|a, b| order(a).cmp(&order(b)))?.place.clone();

        let shown = merged(shown, evidence.iter().map(|(piece, _)| piece.server))?;
        let server = meant(&shown.server, evidence.iter().map(|(piece, _)| *piece));
        let mut status = shown.status;
        let mut push = |is: bool, word| status.extend(is.then_some(word));
        let inferred =
            who.client.workload.is_some_and(|id| self.cluster.workloads.get(id).inferred);
        push(server.ports.is_empty() && !shown.server.ports.is_empty(), Status::NoPorts);
        push(inferred, Status::OwnerInferred);
        push(!answered, Status::OutcomeUnknown);
        push(evidence.iter().any(|(piece, _)| piece.widened), Status::Widened);
        push(self.askers_of(&entries).any(Asker::is_shared), Status::SharedAddress);
        push(who.lost, Status::LowerBound);
        if status.is_empty() {
            status.push(Status::Ok);
        }
        status.sort();
        status.dedup();
        let proven = |piece: &&Piece<'_, '_>| {
            let mut kept = piece.kept().filter(|entry| entry.counts.answered > 0);
            let own = |row| self.askers.of(row).is_some_and(|asker| !asker.is_shared());
            !servers.is_shared(piece.server) && kept.any(|entry| own(entry.row))
        };
        let proven: Vec<&Piece<'_, '_>> =
            evidence.iter().map(|(piece, _)| piece).copied().filter(proven).collect();
        let mut proven_names: Vec<String> = proven.iter().map(|p| p.name.to_owned()).collect();
        proven_names.dedup();
        let proof = (!proven.is_empty()).then(|| Proof {
            names: proven_names,
            ports: meant(&shown.server, proven.iter().copied()).ports,
        });
        let connection = Connection {
            proof,
            client: self.client(who, &entries),
            server,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            queries: evidence.iter().map(|(_, counts)| counts.answered).sum(),
            lookups: evidence.iter().map(|(_, counts)| counts.lookups).sum(),
            failed,
            attempts: evidence.iter().map(|(piece, _)| piece.attempts).sum(),
            seen: rows().fold(None, |seen, row| join_times(seen, row.seen)),
            status,
            place,
        };
        // With every row of these names, so that a view that leaves the connection out leaves out its failures too.
        let rows =
            evidence.iter().flat_map(|(piece, _)| piece.kept()).map(|entry| entry.row).collect();
        Some((connection, rows))
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
        let mut pods: BTreeSet<&usize> = BTreeSet::new();
        for asker in self.askers_of(entries) {
            client.ips.push(asker.ip);
            pods.extend(asker.pods());
        }
        client.ips.sort();
        client.ips.dedup();
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
    fn kept(&self) -> impl Iterator<Item = &'e Entry<'a>> {
        self.entries.iter().filter(|entry| !entry.left_out)
    }

    fn counts(&self) -> Counts {
        sum(self.kept())
    }
}

/// The servers of these numbers, as the one that the view shows.
fn merged(shown: &[Shown], servers: impl Iterator<Item = u32>) -> Option<Shown> {
    let servers: BTreeSet<u32> = servers.collect();
    let mut servers = servers.into_iter().filter_map(|server| shown.get(server as usize));
    let mut all = servers.next()?.clone();
    servers.for_each(|more| all.merge(more));
    Some(all)
}

/// The server with the ports that were meant: if only SRV names were asked for, the ports that they name.
fn meant<'p>(server: &Server, pieces: impl Iterator<Item = &'p Piece<'p, 'p>>) -> Server {
    let mut server = server.clone();
    if server.kind == ServerKind::Service {
        let asked: Option<Vec<&(String, String)>> =
            pieces.map(|piece| piece.port.as_ref()).collect();
        if let Some(asked) = asked {
            server.ports = srv_ports(&server.ports, &asked);
        }
    }
    server
}

/// First by time, then by place; rows without a time last.
fn order(row: &Row) -> (bool, Option<crate::time::Time>, &crate::log::Place) {
    (row.seen.is_none(), row.seen.map(|(first, _)| first), &row.place)
}
