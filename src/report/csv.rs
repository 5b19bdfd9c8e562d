//! One row a connection (DESIGN 5; the columns are a contract, append-only): RFC 4180, LF, UTF-8, header always. No
//! cell, and no item of a list, is a formula to a spreadsheet, whichever sign it splits at.

use std::io::{self, Write};
use std::sync::Arc;

use super::{port_labels, workload_label};
use crate::cluster::Cluster;
use crate::connections::{Client, Connection, Report};
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
    let csv =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::Any(b'\n')).from_writer(out);
    let mut rows = Rows { csv, list: String::new(), ips: (None, String::new()) };
    rows.csv.write_record(COLUMNS)?;
    for connection in &report.connections {
        rows.write(connection, cluster)?;
    }
    rows.csv.flush()
}

/// The file, and a buffer for lists: most of a run's time here would else go into making strings. A client's addresses
/// stay for its next connection.
struct Rows<'o, 'r> {
    csv: ::csv::Writer<&'o mut dyn Write>,
    list: String,
    ips: (Option<&'r Arc<Client>>, String),
}

impl<'r> Rows<'_, 'r> {
    fn write(&mut self, connection: &'r Connection, cluster: &Cluster) -> ::csv::Result<()> {
        let Connection { client, server, .. } = connection;
        self.text(&client.kind)?;
        self.text(&client.namespace)?;
        self.text(&client.name)?;
        if !self.ips.0.is_some_and(|before| Arc::ptr_eq(before, client)) {
            fill(&mut self.ips.1, client.ips.iter().map(ToString::to_string));
            self.ips.0 = Some(client);
        }
        self.csv.write_field(&self.ips.1)?;
        self.text(server.kind.word())?;
        self.text(&server.namespace)?;
        self.text(&server.name)?;
        self.list(port_labels(server).iter())?;
        self.list(connection.names.iter())?;
        self.text(&connection.queries.to_string())?;
        self.text(&connection.failed.to_string())?;
        self.text(&connection.seen.map(|(first, _)| seconds(first)).unwrap_or_default())?;
        self.text(&connection.seen.map(|(_, last)| seconds(last)).unwrap_or_default())?;
        self.list(connection.status.iter().map(|status| status.word()))?;
        self.list(server.workloads.iter().map(|id| workload_label(*id, cluster)))?;
        self.list(client.workload.iter().map(|id| workload_label(*id, cluster)))?;
        self.csv.write_record(None::<&[u8]>)
    }

    fn text(&mut self, text: &str) -> ::csv::Result<()> {
        self.csv.write_field(csv_cell(text).as_bytes())
    }

    fn list(&mut self, items: impl ExactSizeIterator<Item = impl AsRef<str>>) -> ::csv::Result<()> {
        fill(&mut self.list, items);
        self.csv.write_field(&self.list)
    }
}

/// A list as one cell. Each item is a cell of its own to a spreadsheet that splits at `;`.
fn fill(cell: &mut String, items: impl ExactSizeIterator<Item = impl AsRef<str>>) {
    let more = items.len().saturating_sub(ITEMS);
    cell.clear();
    for (at, item) in items.take(ITEMS).enumerate() {
        cell.push_str(if at == 0 { "" } else { ";" });
        cell.push_str(&csv_cell(item.as_ref()));
    }
    if more > 0 {
        cell.push_str(&format!(";+{more}"));
    }
}
