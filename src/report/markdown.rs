//! Tables for a ticket or a wiki. What came from logs and cluster stands in code spans and one code block, where no
//! renderer takes it for anything but text.

use std::io::{self, Write};

use super::{at_least, client_label, failed_head, list, port_labels, server_label, workload_label};
use crate::cluster::Cluster;
use crate::connections::{Connection, Report};
use crate::coverage::count;
use crate::text::markdown;
use crate::time::seconds;

/// As many items as a cell holds.
const ITEMS: usize = 20;

/// Writes the Markdown.
pub fn write(report: &Report, cluster: &Cluster, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Connections\n")?;
    if report.connections.is_empty() {
        writeln!(out, "None.")?;
    } else {
        let columns = [
            "Client",
            "Server",
            "Behind it",
            "Ports",
            "-Queries",
            "-Failed",
            "Last seen",
            "Status",
        ];
        head(&columns, out)?;
        for connection in &report.connections {
            row(&cells(connection, cluster), out)?;
        }
    }
    if !report.failed_lookups.is_empty() {
        writeln!(out, "\n## Failed lookups\n\n{}.\n", failed_head(report))?;
        head(&["Client", "Name", "Rcode", "-Queries"], out)?;
        for lookup in &report.failed_lookups {
            let queries = at_least(lookup.queries, lookup.lower_bound);
            row(
                &[
                    markdown(&client_label(&lookup.client)),
                    markdown(&lookup.name),
                    lookup.rcode.into(),
                    queries,
                ],
                out,
            )?;
        }
    }
    let coverage = &report.coverage;
    let warnings = coverage.warnings.iter().map(|warning| format!("Warning: {warning}"));
    let lines: Vec<String> = warnings.chain(coverage.notes.iter().cloned()).collect();
    if lines.is_empty() {
        return Ok(());
    }
    // Each line begins with our own sign, so that none of them can end the block.
    writeln!(out, "\n## Coverage\n\n```text")?;
    lines.iter().try_for_each(|line| writeln!(out, "- {line}"))?;
    writeln!(out, "```")
}

fn cells(connection: &Connection, cluster: &Cluster) -> [String; 8] {
    let Connection { client, server, .. } = connection;
    let lower_bound = connection.status.contains(&crate::connections::Status::LowerBound);
    let workloads = server.workloads.iter().map(|id| markdown(&workload_label(*id, cluster)));
    [
        markdown(&client_label(client)),
        markdown(&server_label(server)),
        list(workloads, ITEMS, ", "),
        list(port_labels(server).iter().map(|port| markdown(port)), ITEMS, ", "),
        count(connection.queries),
        at_least(connection.failed, lower_bound),
        connection.seen.map(|(_, last)| seconds(last)).unwrap_or_default(),
        list(connection.status.iter().map(|status| status.word().to_owned()), usize::MAX, ", "),
    ]
}

/// A table's head; a `-` before a column's name says that it holds numbers.
pub(super) fn head(columns: &[&str], out: &mut dyn Write) -> io::Result<()> {
    row(
        &columns.iter().map(|column| column.trim_start_matches('-').to_owned()).collect::<Vec<_>>(),
        out,
    )?;
    let rule = |column: &&str| if column.starts_with('-') { "---:" } else { "---" }.to_owned();
    row(&columns.iter().map(rule).collect::<Vec<_>>(), out)
}

pub(super) fn row(cells: &[String], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| {} |", cells.join(" | "))
}
