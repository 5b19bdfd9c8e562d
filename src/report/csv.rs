//! One row a connection (DESIGN 5; the columns are a contract, append-only): RFC 4180, LF, UTF-8, header always. No
//! cell, and no item of a list, is a formula to a spreadsheet, whichever sign it splits at.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use memchr::memchr2;

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
    writeln!(out, "{}", COLUMNS.join(","))?;
    let chunks = report.connections.len().div_ceil(CHUNK);
    let pool = threads::pool(threads::most().min(chunks));
    let threads = pool.as_ref().map_or(1, |pool| pool.current_num_threads());
    let mut makers: Vec<Rows<'_>> = (0..threads).map(|_| Rows::default()).collect();
    for connections in report.connections.chunks(CHUNK * threads) {
        // Each thread has its maker on its own stack: beside each other they would slow each other down.
        let work: Vec<_> = makers.into_iter().zip(connections.chunks(CHUNK)).collect();
        makers = threads::map(pool.as_ref(), work, |(maker, rows)| maker.make(rows, cluster));
        makers.iter().try_for_each(|rows| out.write_all(rows.text.as_bytes()))?;
    }
    out.flush()
}

/// Rows as text. Most of a run's time here would else go into making the same cells again.
#[derive(Default)]
struct Rows<'r> {
    text: String,
    /// The last row's client: its first cells, and its last.
    client: (Option<&'r Arc<Client>>, [String; 2]),
    /// By where it stands: a server's cells, and its workloads.
    servers: HashMap<usize, [String; 2]>,
}

impl<'r> Rows<'r> {
    /// The rows of these connections.
    fn make(mut self, connections: &'r [Connection], cluster: &Cluster) -> Rows<'r> {
        let Rows { text, client: (last, ends), servers } = &mut self;
        text.clear();
        for connection in connections {
            let Connection { client, server, .. } = connection;
            if !last.is_some_and(|last| Arc::ptr_eq(last, client)) {
                *last = Some(client);
                fill_client(ends, client, cluster);
            }
            let [first, end] = &*ends;
            let [server, workloads] = servers
                .entry(Arc::as_ptr(server).addr())
                .or_insert_with(|| server_cells(server, cluster));
            let (from, to) = connection.seen.unzip();
            text.push_str(first);
            text.push_str(server);
            list(text, connection.names.iter());
            _ = write!(text, "{},{},", connection.queries, connection.failed);
            cell(text, &from.map(seconds).unwrap_or_default());
            cell(text, &to.map(seconds).unwrap_or_default());
            list(text, connection.status.iter().map(|status| status.word()));
            text.push_str(workloads);
            text.push_str(end);
            text.push('\n');
        }
        self
    }
}

/// A client's cells: those that begin a row, and the one that ends it.
fn fill_client([first, end]: &mut [String; 2], client: &Client, cluster: &Cluster) {
    first.clear();
    cell(first, &client.kind);
    cell(first, &client.namespace);
    cell(first, &client.name);
    ips(first, &client.ips);
    end.clear();
    list(end, client.workload.iter().map(|id| workload_label(*id, cluster)));
    // No comma behind the last.
    end.pop();
}

/// A server's cells, and that of its workloads.
fn server_cells(server: &Server, cluster: &Cluster) -> [String; 2] {
    let [mut cells, mut workloads] = <[String; 2]>::default();
    cell(&mut cells, server.kind.word());
    cell(&mut cells, &server.namespace);
    cell(&mut cells, &server.name);
    list(&mut cells, port_labels(server).iter());
    list(&mut workloads, server.workloads.iter().map(|id| workload_label(*id, cluster)));
    [cells, workloads]
}

/// A cell, and the comma behind it.
fn cell(text: &mut String, content: &str) {
    let start = text.len();
    text.push_str(&csv_cell(content));
    end_cell(text, start);
}

/// A list as one cell. Each item is a cell of its own to a spreadsheet that splits at `;`.
fn list(text: &mut String, items: impl ExactSizeIterator<Item = impl AsRef<str>>) {
    let start = text.len();
    let more = items.len().saturating_sub(ITEMS);
    for (at, item) in items.take(ITEMS).enumerate() {
        text.push_str(if at == 0 { "" } else { ";" });
        text.push_str(&csv_cell(item.as_ref()));
    }
    if more > 0 {
        _ = write!(text, ";+{more}");
    }
    end_cell(text, start);
}

/// A list of addresses: the same bytes as [`list`]'s. Most rows hold several, and an IPv4 address is quickly written.
fn ips(text: &mut String, ips: &[IpAddr]) {
    if ips.len() > ITEMS || ips.iter().any(IpAddr::is_ipv6) {
        return list(text, ips.iter().map(ToString::to_string));
    }
    for (at, ip) in ips.iter().enumerate() {
        text.push_str(if at == 0 { "" } else { ";" });
        let IpAddr::V4(ip) = ip else { continue };
        for (at, octet) in ip.octets().into_iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "." });
            let digits = [octet / 100, octet / 10 % 10, octet % 10];
            let from = if octet < 10 { 2 } else { usize::from(octet < 100) };
            text.extend(digits.iter().skip(from).map(|digit| char::from(b'0' + digit)));
        }
    }
    text.push(',');
}

/// Quotes what stands from `start` on, if need be: it holds no line end, for it is escaped.
fn end_cell(text: &mut String, start: usize) {
    let content = text.get(start..).unwrap_or_default();
    if memchr2(b',', b'"', content.as_bytes()).is_some() {
        let quoted = format!("\"{}\"", content.replace('"', "\"\""));
        text.truncate(start);
        text.push_str(&quoted);
    }
    text.push(',');
}
