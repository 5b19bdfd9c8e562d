//! Every client's lookups are themselves a connection: to the DNS pods. A policy that cuts it cuts everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::cluster::backends::Port;
use crate::cluster::workloads::WorkloadId;
use crate::connections::{Client, Connection, Report, Server, ServerKind, Status};
use crate::log::Place;
use crate::time::Time;

/// One connection a client that can be named. `None`: the snapshot has no DNS Service.
pub(super) fn lookups(report: &Report, cluster: &Cluster) -> Option<Vec<Connection>> {
    let server = server(cluster)?;
    let mut clients: BTreeMap<(&str, &str, &str), Asker> = BTreeMap::new();
    for connection in &report.connections {
        let asker = asker(&mut clients, &connection.client);
        asker.queries += connection.queries;
        asker.failed += connection.failed;
        asker.lookups += connection.lookups;
        asker.seen = join(asker.seen, connection.seen);
        let first = (connection.seen.is_none(), connection.seen.map(|(t, _)| t), &connection.place);
        if asker.first.as_ref().is_none_or(|known| first < *known) {
            asker.first = Some(first);
        }
    }
    for lookup in &report.failed_lookups {
        asker(&mut clients, &lookup.client).failed += lookup.queries;
    }
    let server = Arc::new(server);
    let named = clients.into_values().filter(|asker| asker.is_named());
    Some(named.map(|asker| asker.connection(Arc::clone(&server))).collect())
}

/// A client, and what it asked for in all.
struct Asker<'a> {
    client: Client,
    queries: u64,
    failed: u64,
    lookups: u64,
    seen: Option<(Time, Time)>,
    first: Option<(bool, Option<Time>, &'a Place)>,
}

fn asker<'m, 'a>(
    clients: &'m mut BTreeMap<(&'a str, &'a str, &'a str), Asker<'a>>,
    client: &'a Client,
) -> &'m mut Asker<'a> {
    let key = (client.namespace.as_str(), client.kind.as_str(), client.name.as_str());
    let asker = clients.entry(key).or_insert_with(|| Asker {
        client: client.clone(),
        queries: 0,
        failed: 0,
        lookups: 0,
        seen: None,
        first: None,
    });
    merge(&mut asker.client.pods, &client.pods);
    merge(&mut asker.client.ips, &client.ips);
    asker
}

fn merge<T: Ord + Clone>(mine: &mut Vec<T>, more: &[T]) {
    mine.extend_from_slice(more);
    mine.sort();
    mine.dedup();
}

fn join(a: Option<(Time, Time)>, b: Option<(Time, Time)>) -> Option<(Time, Time)> {
    match (a, b) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (one, other) => one.or(other),
    }
}

impl Asker<'_> {
    /// CoreDNS's own lookups, those of a cache, and those of nobody known say nothing here.
    fn is_named(&self) -> bool {
        self.client.workload.is_some() || self.client.kind == "Node"
    }

    fn connection(self, server: Arc<Server>) -> Connection {
        Connection {
            client: self.client.into(),
            server,
            names: [].into(),
            queries: self.queries,
            lookups: self.lookups,
            failed: self.failed,
            attempts: 0,
            seen: self.seen,
            status: vec![Status::Ok],
            proof: None,
            // One whose lookups all failed has no connection to show.
            place: self
                .first
                .map_or(Place { path: "".into(), line: 0 }, |(_, _, place)| place.clone()),
        }
    }
}

/// The DNS Service, with those of its ports that answer lookups. Of several the first that has pods.
fn server(cluster: &Cluster) -> Option<Server> {
    let has_pods =
        |index: &&usize| cluster.backends[**index].workloads.iter().any(|b| !b.pods.is_empty());
    let index =
        *cluster.dns_services.iter().find(has_pods).or_else(|| cluster.dns_services.first())?;
    let service = cluster.snapshot.services.get(index)?;
    let backends = cluster.backends.get(index)?;
    let answers = |port: &&Port| {
        let of =
            service.ports.iter().filter(|p| p.name == port.name && p.protocol == port.protocol);
        of.into_iter().any(|p| p.port == 53)
    };
    let workloads: Vec<WorkloadId> = backends.workloads.iter().map(|b| b.workload).collect();
    Some(Server {
        kind: ServerKind::Service,
        namespace: service.meta.namespace.clone(),
        name: service.meta.name.clone(),
        ports: backends.ports.iter().filter(answers).cloned().collect(),
        workloads,
        in_snapshot: Some(true),
        service: Some(index),
    })
}
