//! A report that was just made → a [`Side`]. The other way to one is a report that was written: `read`.

use std::collections::{BTreeMap, BTreeSet};

use super::{About, Client, Server, Side, Sighting};
use crate::cluster::Cluster;
use crate::cluster::backends::{PodPort, Port};
use crate::connections::{self, Report, ServerKind};
use crate::log::State;
use crate::name::dashed_address;
use crate::text;

impl Side {
    /// What a report holds, by workload. `path` is what the user typed.
    pub fn of(report: &Report, cluster: &Cluster, path: &str) -> Side {
        let coverage = &report.coverage;
        let is_whole = |state: State| matches!(state, State::Complete | State::Grew);
        let about = About {
            path: safe(path),
            is_report: false,
            snapshot: coverage.snapshot,
            whole: coverage.inputs.iter().all(|input| is_whole(input.state))
                && coverage.broken.is_empty()
                && coverage.lost.clients == 0,
            seen: coverage.seen,
            records: coverage.queries.iter().sum::<u64>().saturating_add(coverage.outside),
            untimed: coverage.untimed,
            unsaid: coverage.queries[2],
            outside: coverage.outside,
            warnings: coverage.warnings.clone(),
            ..About::default()
        };
        let of = |connection: &connections::Connection| found(connection, cluster);
        Side::new(about, report.connections.iter().map(of).collect())
    }

    /// Counts what the connections tell of the side.
    pub(super) fn new(about: About, connections: Vec<(Client, Server, Sighting)>) -> Side {
        let mut unresolved = BTreeSet::new();
        let mut lookups = 0_u64;
        for (_, _, sighting) in &connections {
            unresolved.extend(&sighting.clients);
            lookups = lookups.saturating_add(sighting.lookups);
        }
        let (unresolved, number) = (unresolved.len() as u64, connections.len() as u64);
        Side { about: About { connections: number, lookups, unresolved, ..about }, connections }
    }
}

fn found(connection: &connections::Connection, cluster: &Cluster) -> (Client, Server, Sighting) {
    let (of, server) = (&connection.client, server(&connection.server));
    let (client, clients) = client(&of.kind, &of.namespace, &of.name);
    let behind = connection.server.workloads.iter().map(|id| {
        let workload = cluster.workloads.get(*id);
        (safe(&workload.kind), safe(&workload.name))
    });
    let sighting = Sighting {
        lookups: connection.lookups,
        queries: connection.queries,
        seen: connection.seen,
        names: connection.names.iter().map(|name| safe(name)).collect(),
        ports: connection.server.ports.iter().map(port).collect(),
        behind: behind.collect(),
        pods: of.pods.iter().map(|pod| safe(pod)).collect(),
        clients,
        place: (safe(&connection.place.path), connection.place.line),
    };
    (client, server, sighting)
}

/// The server of a connection, as both sides spell it.
pub fn server(of: &connections::Server) -> Server {
    Server { kind: of.kind, namespace: safe(&of.namespace), name: safe(&of.name) }
}

/// A pod as a side without a snapshot knows it: by the address and the namespace in a name that was asked for, each with
/// its names. Of what is no pod nothing.
pub fn by_address<'a>(
    server: &Server,
    names: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<Server, BTreeSet<String>> {
    let mut all: BTreeMap<Server, BTreeSet<String>> = BTreeMap::new();
    for name in names.into_iter().filter(|_| server.kind == ServerKind::Pod) {
        let mut labels = name.split('.');
        let address = labels.next().and_then(dashed_address);
        if let (Some(address), Some(namespace)) = (address, labels.next()) {
            let (namespace, address) = (safe(namespace), address.to_string());
            let server = Server { kind: ServerKind::Pod, namespace, name: address };
            all.entry(server).or_default().insert(safe(name));
        }
    }
    all
}

/// A client by its words, and who stands behind it if it is no workload: every workload has a namespace, and nothing
/// else has one.
pub(super) fn client(
    kind: &str,
    namespace: &str,
    name: &str,
) -> (Client, BTreeSet<(String, String, String)>) {
    let (kind, namespace, name) = (safe(kind), safe(namespace), safe(name));
    if namespace.is_empty() {
        return (Client::Unresolved, BTreeSet::from([(kind, namespace, name)]));
    }
    (Client::Workload { namespace, kind, name }, BTreeSet::new())
}

fn port(of: &Port) -> Port {
    let port = match &of.port {
        PodPort::Number(number) => PodPort::Number(*number),
        PodPort::Name(name) => PodPort::Name(safe(name)),
    };
    Port { port, protocol: of.protocol, name: safe(&of.name) }
}

/// As a report spells it. What is safe stays as it is, so that a name that was read from a report equals one that was not.
pub(super) fn safe(text: &str) -> String {
    text::terminal(text).into_owned()
}
