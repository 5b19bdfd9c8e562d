//! One row a connection (DESIGN 5; the columns are a contract, append-only): RFC 4180, LF, UTF-8, header always. No
//! cell, and no item of a list, is a formula to a spreadsheet, whichever sign it splits at.

use std::io::{self, Write};

use super::{list, port_label, workload_label};
use crate::cluster::Cluster;
use crate::connections::{Connection, Report};
use crate::text::csv_cell;
use crate::time::seconds;

/// The header.
pub const COLUMNS: [&str; 16] = [
    "client_kind",
    "client_namespace",
    "client_name",
    "client_ips",
    "server_kind",
    "server_namespace",
    "server_name",
    "ports",
    "names",
    "queries",
    "failed",
    "first_seen",
    "last_seen",
    "status",
    "server_workloads",
    "client_workload",
];

/// As many items as a list holds.
const ITEMS: usize = 100;

/// Writes the CSV.
pub fn write(report: &Report, cluster: &Cluster, out: &mut dyn Write) -> io::Result<()> {
    let mut csv =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::Any(b'\n')).from_writer(out);
    csv.write_record(COLUMNS)?;
    for connection in &report.connections {
        csv.write_record(row(connection, cluster))?;
    }
    csv.flush()
}

fn row(connection: &Connection, cluster: &Cluster) -> [String; 16] {
    let Connection { client, server, .. } = connection;
    let cell = |text: &str| csv_cell(text).into_owned();
    let items =
        |items: &mut dyn Iterator<Item = String>| list(items.map(|item| cell(&item)), ITEMS, ";");
    let mut ports: Vec<String> = server.ports.iter().map(port_label).collect();
    ports.dedup();
    [
        cell(&client.kind),
        cell(&client.namespace),
        cell(&client.name),
        items(&mut client.ips.iter().map(ToString::to_string)),
        cell(server.kind.word()),
        cell(&server.namespace),
        cell(&server.name),
        items(&mut ports.into_iter()),
        items(&mut connection.names.iter().cloned()),
        connection.queries.to_string(),
        connection.failed.to_string(),
        connection.seen.map(|(first, _)| seconds(first)).unwrap_or_default(),
        connection.seen.map(|(_, last)| seconds(last)).unwrap_or_default(),
        items(&mut connection.status.iter().map(|status| status.word().to_owned())),
        items(&mut server.workloads.iter().map(|id| workload_label(*id, cluster))),
        client.workload.map(|id| cell(&workload_label(id, cluster))).unwrap_or_default(),
    ]
}
