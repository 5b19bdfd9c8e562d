//! The table with everything: pods, addresses, names, times, evidence. As wide as it needs to be.

use std::io::{self, Write};

use super::grid::{self, name, number, text};
use super::table::{failed, notes, warnings};
use super::{Style, at_least, client_label, list, port_labels, server_label, workload_label};
use crate::cluster::Cluster;
use crate::connections::{Connection, Report, Status};
use crate::coverage::count;
use crate::time::seconds;

/// As many items as a cell holds.
const ITEMS: usize = 5;

/// Writes the wide table. No cell is cut, whatever the terminal's width.
pub fn write(
    report: &Report,
    cluster: &Cluster,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let uncut = Style { width: None, ..style };
    warnings(report, style, out)?;
    if report.connections.is_empty() {
        writeln!(out, "No connections.")?;
    } else {
        let columns = [
            name("CLIENT"),
            text("PODS"),
            text("ADDRESSES"),
            name("SERVER"),
            text("BEHIND IT"),
            text("PORTS"),
            text("NAMES"),
            number("QUERIES"),
            number("FAILED"),
            number("ATTEMPTS"),
            text("FIRST SEEN"),
            text("LAST SEEN"),
            text("STATUS"),
            text("EVIDENCE"),
        ];
        let rows = report.connections.iter().map(|connection| row(connection, cluster)).collect();
        grid::write(&columns, rows, uncut, out)?;
    }
    failed(report, usize::MAX, uncut, out)?;
    notes(report, style, out)
}

fn row(connection: &Connection, cluster: &Cluster) -> Vec<String> {
    let Connection { client, server, place, .. } = connection;
    let lower_bound = connection.status.contains(&Status::LowerBound);
    let time =
        |pick: fn((i64, i64)) -> i64| connection.seen.map(pick).map(seconds).unwrap_or_default();
    vec![
        client_label(client),
        list(client.pods.iter().cloned(), ITEMS, ","),
        list(client.ips.iter().map(|ip| ip.to_string()), ITEMS, ","),
        server_label(server),
        list(server.workloads.iter().map(|id| workload_label(*id, cluster)), ITEMS, ","),
        list(port_labels(server), ITEMS, ","),
        list(connection.names.iter().map(|name| name.to_string()), ITEMS, ","),
        count(connection.queries),
        at_least(connection.failed, lower_bound),
        count(connection.attempts),
        time(|seen| seen.0),
        time(|seen| seen.1),
        list(connection.status.iter().map(|status| status.word().to_owned()), usize::MAX, ", "),
        format!("{}:{}", place.path, place.line),
    ]
}
