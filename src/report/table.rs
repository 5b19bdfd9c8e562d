//! The table for people, made for 80 columns: who asked for what, what only ever failed, and how far to trust it.

use std::io::{self, Write};

use super::grid::{self, name, number, text};
use super::{Style, at_least, client_label, failed_head, list, port_labels, server_label};
use crate::cluster::Cluster;
use crate::connections::{Report, Status};
use crate::coverage::count;

/// As many failed lookups as a glance takes in.
const FAILED: usize = 10;
/// Below this a terminal is narrow.
const NARROW: usize = 100;

/// Writes the table.
pub fn write(
    report: &Report,
    cluster: &Cluster,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    warnings(report, style, out)?;
    connections(report, cluster, style, out)?;
    failed(report, FAILED, style, out)?;
    notes(report, style, out)
}

/// First, because they change how the rest must be read.
pub(super) fn warnings(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for warning in &report.coverage.warnings {
        writeln!(out, "{}", style.warning(warning))?;
    }
    if report.coverage.warnings.is_empty() { Ok(()) } else { writeln!(out) }
}

fn connections(
    report: &Report,
    cluster: &Cluster,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    if report.connections.is_empty() {
        return writeln!(out, "No connections.");
    }
    // Without a snapshot every Service is `not in snapshot`, which says nothing.
    let is_news = |status: &&Status| {
        !(**status == Status::Ok || **status == Status::NotInSnapshot && !cluster.snapshot.given)
    };
    let is_plain =
        report.connections.iter().all(|c| !c.status.iter().any(|status| is_news(&status)));
    // A whole port and how many more say more than two halves.
    let ports = if style.width.is_some_and(|width| width < NARROW) { 1 } else { 2 };
    let mut columns = vec![name("CLIENT"), name("SERVER"), text("PORTS"), number("QUERIES")];
    columns.extend((!is_plain).then_some(text("STATUS")));
    let row = |connection: &crate::connections::Connection| {
        let mut row = vec![
            client_label(&connection.client),
            server_label(&connection.server),
            list(port_labels(&connection.server), ports, ","),
            count(connection.queries),
        ];
        let words = connection.status.iter().filter(is_news).map(|status| status.word().to_owned());
        row.extend((!is_plain).then(|| list(words, usize::MAX, ", ")));
        row
    };
    grid::write(&columns, report.connections.iter().map(row).collect(), style, out)
}

/// The failed lookups that were seen most often.
pub(super) fn failed(
    report: &Report,
    most: usize,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    if report.failed_lookups.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nFailed lookups: {}", failed_head(report))?;
    let mut lookups: Vec<_> = report.failed_lookups.iter().collect();
    lookups.sort_by_key(|lookup| std::cmp::Reverse(lookup.queries));
    let row = |lookup: &&crate::connections::FailedLookup| {
        let queries = at_least(lookup.queries, lookup.lower_bound);
        vec![client_label(&lookup.client), lookup.name.clone(), lookup.rcode.to_owned(), queries]
    };
    let columns = [name("CLIENT"), name("NAME"), text("RCODE"), number("QUERIES")];
    grid::write(&columns, lookups.iter().take(most).map(row).collect(), style, out)?;
    match lookups.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "and {} more: -o wide lists all", count(more as u64)),
    }
}

/// How far to trust it.
pub(super) fn notes(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if !report.coverage.notes.is_empty() {
        writeln!(out)?;
    }
    report.coverage.notes.iter().try_for_each(|note| writeln!(out, "{}", style.wrap(note)))
}
