//! One row a connection (DESIGN 5; the columns are a contract, append-only): RFC 4180, LF, UTF-8, header always. No
//! cell, and no item of a list, is a formula to a spreadsheet, whichever sign it splits at.

use std::io::{self, Write};
use std::sync::Arc;

use ::csv::{Terminator, Writer, WriterBuilder};
use hashbrown::HashMap;

use super::{port_labels, workload_label};
use crate::cluster::Cluster;
use crate::connections::{Client, Connection, Report, Server};
use crate::text::csv_cell;
use crate::threads;
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

/// So many rows one thread makes at a time.
const CHUNK: usize = 1024;

/// Writes the CSV.
pub fn write(report: &Report, cluster: &Cluster, out: &mut dyn Write) -> io::Result<()> {
    let mut header = csv(Vec::new());
    header.write_record(COLUMNS)?;
    out.write_all(&bytes(header)?)?;
    let chunks = report.connections.len().div_ceil(CHUNK);
    let pool = threads::pool(threads::most().min(chunks));
    let threads = pool.as_ref().map_or(1, |pool| pool.current_num_threads());
    let mut makers: Vec<Rows<'_>> = (0..threads).map(|_| Rows::default()).collect();
    for connections in report.connections.chunks(CHUNK * threads) {
        // Each thread has its maker on its own stack: beside each other they would slow each other down.
        let work: Vec<_> = makers.into_iter().zip(connections.chunks(CHUNK)).collect();
        let made = threads::map(pool.as_ref(), work, |(maker, rows)| maker.make(rows, cluster));
        makers = made.into_iter().collect::<io::Result<_>>()?;
        makers.iter().try_for_each(|rows| out.write_all(&rows.bytes))?;
    }
    out.flush()
}

fn csv(bytes: Vec<u8>) -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(bytes)
}

fn bytes(csv: Writer<Vec<u8>>) -> io::Result<Vec<u8>> {
    csv.into_inner().map_err(::csv::IntoInnerError::into_error)
}

/// Rows as bytes. Most of a run's time here would else go into making the same cells again.
#[derive(Default)]
struct Rows<'r> {
    bytes: Vec<u8>,
    client: Option<(&'r Arc<Client>, Cells)>,
    /// By where they stand.
    servers: HashMap<usize, Cells>,
    list: String,
}

/// What one side of a connection says of itself: kind, namespace, name, addresses or ports; and further behind its workloads.
type Cells = ([String; 4], String);

impl<'r> Rows<'r> {
    /// The rows of these connections.
    fn make(mut self, connections: &'r [Connection], cluster: &Cluster) -> io::Result<Rows<'r>> {
        self.bytes.clear();
        let mut csv = csv(std::mem::take(&mut self.bytes));
        for connection in connections {
            self.write(connection, cluster, &mut csv)?;
        }
        self.bytes = bytes(csv)?;
        Ok(self)
    }

    fn write(
        &mut self,
        connection: &'r Connection,
        cluster: &Cluster,
        csv: &mut Writer<Vec<u8>>,
    ) -> ::csv::Result<()> {
        let Connection { client, server, .. } = connection;
        if self.client.as_ref().is_none_or(|(before, _)| !Arc::ptr_eq(before, client)) {
            self.client = Some((client, client_cells(client, cluster)));
        }
        let Rows { client: Some((_, client)), servers, list, .. } = self else { return Ok(()) };
        let server = servers
            .entry(Arc::as_ptr(server).addr())
            .or_insert_with(|| server_cells(server, cluster));
        client.0.iter().chain(&server.0).try_for_each(|cell| csv.write_field(cell))?;
        csv.write_field(fill(list, connection.names.iter()))?;
        csv.write_field(connection.queries.to_string())?;
        csv.write_field(connection.failed.to_string())?;
        let (from, to) = connection.seen.unzip();
        csv.write_field(csv_cell(&from.map(seconds).unwrap_or_default()).as_bytes())?;
        csv.write_field(csv_cell(&to.map(seconds).unwrap_or_default()).as_bytes())?;
        csv.write_field(fill(list, connection.status.iter().map(|status| status.word())))?;
        csv.write_field(&server.1)?;
        csv.write_field(&client.1)?;
        csv.write_record(None::<&[u8]>)
    }
}

fn client_cells(client: &Client, cluster: &Cluster) -> Cells {
    let Client { kind, namespace, name, ips, .. } = client;
    let [kind, namespace, name] = [kind, namespace, name].map(|text| csv_cell(text).into_owned());
    let ips = list(ips.iter().map(ToString::to_string));
    let workload = list(client.workload.iter().map(|id| workload_label(*id, cluster)));
    ([kind, namespace, name, ips], workload)
}

fn server_cells(server: &Server, cluster: &Cluster) -> Cells {
    let texts = [server.kind.word(), &server.namespace, &server.name];
    let [kind, namespace, name] = texts.map(|text| csv_cell(text).into_owned());
    let workloads = list(server.workloads.iter().map(|id| workload_label(*id, cluster)));
    ([kind, namespace, name, list(port_labels(server).iter())], workloads)
}

fn list(items: impl ExactSizeIterator<Item = impl AsRef<str>>) -> String {
    let mut cell = String::new();
    fill(&mut cell, items);
    cell
}

/// A list as one cell. Each item is a cell of its own to a spreadsheet that splits at `;`.
fn fill(cell: &mut String, items: impl ExactSizeIterator<Item = impl AsRef<str>>) -> &str {
    let more = items.len().saturating_sub(ITEMS);
    cell.clear();
    for (at, item) in items.take(ITEMS).enumerate() {
        cell.push_str(if at == 0 { "" } else { ";" });
        cell.push_str(&csv_cell(item.as_ref()));
    }
    if more > 0 {
        cell.push_str(&format!(";+{more}"));
    }
    cell
}
