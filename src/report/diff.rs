//! What is different, for people: a table made for 80 columns, and the same as Markdown. What appeared is first, because
//! that is what somebody must look at.

use std::io::{self, Write};

use super::grid::{self, name, number, text};
use super::markdown::{head, row};
use super::{Style, list, port_label};
use crate::connections::ServerKind;
use crate::coverage::{count, plural};
use crate::diff::{About, Client, Diff, Rate, Row, Server};
use crate::text::{markdown as span, terminal};
use crate::time::seconds;

/// As many ports as a cell of the table holds.
const PORTS: usize = 2;

/// The three kinds of rows, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Appeared,
    Vanished,
    Changed,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Appeared, Kind::Vanished, Kind::Changed];

    fn rows(self, diff: &Diff) -> &[Row] {
        match self {
            Kind::Appeared => &diff.appeared,
            Kind::Vanished => &diff.vanished,
            Kind::Changed => &diff.changed,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Kind::Appeared => "Appeared",
            Kind::Vanished => "Vanished",
            Kind::Changed => "Changed rate",
        }
    }

    fn sign(self, row: &Row) -> &'static str {
        match (self, row.doubtful) {
            (Kind::Appeared, false) => "+",
            (Kind::Appeared, true) => "+?",
            (Kind::Vanished, false) => "-",
            (Kind::Vanished, true) => "-?",
            (Kind::Changed, _) => "~",
        }
    }

    /// What the last column says.
    fn when(self) -> &'static str {
        match self {
            Kind::Appeared => "FIRST SEEN",
            Kind::Vanished => "LAST SEEN",
            Kind::Changed => "RATE",
        }
    }

    fn news(self, row: &Row, rate: Rate) -> String {
        let seen = row.latest().and_then(|sighting| sighting.seen);
        match self {
            Kind::Appeared => seen.map(|(first, _)| seconds(first)).unwrap_or_default(),
            Kind::Vanished => seen.map(|(_, last)| seconds(last)).unwrap_or_default(),
            Kind::Changed => {
                let [old, new] = rate.rates(row.lookups()).map(|value| rate_label(value, rate));
                format!("{old} -> {new}")
            }
        }
    }
}

/// Writes the table.
pub fn table(diff: &Diff, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for kind in Kind::ALL {
        let rows = kind.rows(diff);
        if rows.is_empty() {
            continue;
        }
        let last = if kind == Kind::Changed { number(kind.when()) } else { text(kind.when()) };
        let columns = [text(""), name("CLIENT"), name("SERVER"), text("PORTS"), last];
        let cells = rows.iter().map(|row| {
            vec![
                kind.sign(row).to_owned(),
                client_label(&row.client),
                server_label(&row.server),
                list(ports(row), PORTS, ","),
                kind.news(row, diff.rate),
            ]
        });
        writeln!(out, "{}: {}", kind.title(), count(rows.len() as u64))?;
        grid::write(&columns, cells.collect(), style, out)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", totals(diff))?;
    writeln!(out, "{}\n{}", side("OLD", &diff.old), side("NEW", &diff.new))?;
    diff.cautions.iter().try_for_each(|caution| writeln!(out, "{}", style.warning(caution)))?;
    coverage(diff).try_for_each(|warning| writeln!(out, "{}", style.warning(&warning)))
}

/// Writes the Markdown.
pub fn markdown(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    for kind in Kind::ALL {
        writeln!(out, "## {}\n", kind.title())?;
        let rows = kind.rows(diff);
        if rows.is_empty() {
            writeln!(out, "None.\n")?;
            continue;
        }
        let when = ["First seen", "Last seen", "-Rate"][kind as usize];
        head(&["", "Client", "Server", "Ports", when], out)?;
        for of in rows {
            let ports = ports(of).into_iter().map(|port| span(&port));
            let cells = [
                span(kind.sign(of)),
                span(&client_label(&of.client)),
                span(&server_label(&of.server)),
                list(ports, usize::MAX, ", "),
                kind.news(of, diff.rate),
            ];
            row(&cells, out)?;
        }
        writeln!(out)?;
    }
    // Each line begins with our own sign, so that none of them can end the block.
    writeln!(out, "## Coverage\n\n```text")?;
    let lines = [totals(diff), side("OLD", &diff.old), side("NEW", &diff.new)];
    let warnings = diff.cautions.iter().cloned().chain(coverage(diff));
    let lines = lines.into_iter().chain(warnings.map(|warning| format!("Warning: {warning}")));
    lines.into_iter().try_for_each(|line| writeln!(out, "- {line}"))?;
    writeln!(out, "```")
}

/// The few lines for standard error when the diff itself goes elsewhere.
pub fn summary(diff: &Diff) -> String {
    let warnings = diff.cautions.iter().cloned().chain(coverage(diff));
    let lines = warnings.map(|warning| format!("\nWarning: {warning}")).collect::<String>();
    format!("{}{lines}\n", totals(diff))
}

fn totals(diff: &Diff) -> String {
    let [appeared, vanished, changed] = Kind::ALL.map(|kind| count(kind.rows(diff).len() as u64));
    format!(
        "{appeared} appeared, {vanished} vanished, {changed} changed the rate tenfold or more, {} did not",
        count(diff.unchanged)
    )
}

/// `OLD: before/: 24 connections, 2026-03-12T09:00:06Z to 2026-03-12T10:01:06Z`
fn side(name: &str, of: &About) -> String {
    let seen = match of.seen {
        Some((first, last)) => format!("{} to {}", seconds(first), seconds(last)),
        None if of.is_emptied() => "nothing in the window".to_owned(),
        None => "without times".to_owned(),
    };
    let connections = plural(of.connections, "connection", "connections");
    let kind = if of.is_report { " (report)" } else { "" };
    format!("{name}: {}{kind}: {connections}, {seen}", terminal(&of.path))
}

/// What each side's coverage warns of.
fn coverage(diff: &Diff) -> impl Iterator<Item = String> {
    let of = |name: &'static str, about: &About| {
        let warnings = about.warnings.iter();
        warnings.map(|warning| format!("{name}: {}", terminal(warning))).collect::<Vec<_>>()
    };
    of("OLD", &diff.old).into_iter().chain(of("NEW", &diff.new))
}

/// `namespace/name`, and its kind unless it is a Deployment. Not yet safe to print.
fn client_label(client: &Client) -> String {
    match client {
        Client::Anyone => "(anyone)".into(),
        Client::Unresolved => "(unresolved)".into(),
        Client::Workload { namespace, kind, name } if kind == "Deployment" => {
            format!("{namespace}/{name}")
        }
        Client::Workload { namespace, kind, name } => format!("{namespace}/{name} ({kind})"),
    }
}

fn server_label(server: &Server) -> String {
    let Server { kind, namespace, name } = server;
    match kind {
        ServerKind::Service => format!("{namespace}/{name}"),
        ServerKind::External | ServerKind::Namespace => format!("{name} ({})", kind.word()),
        ServerKind::Pod => format!("{namespace}/{name} (Pod)"),
    }
}

/// The ports as the later side knows them, each once: two names of one port are one.
fn ports(row: &Row) -> Vec<String> {
    let mut labels: Vec<String> =
        row.latest().into_iter().flat_map(|sighting| &sighting.ports).map(port_label).collect();
    labels.dedup();
    labels
}

/// `12/h`, `0.4/h`, `3.1 %`: two digits that count.
fn rate_label(value: f64, rate: Rate) -> String {
    let (value, unit) = match rate {
        Rate::PerHour(_) => (value, "/h"),
        Rate::Share(_) => (value * 100.0, " %"),
    };
    if value >= 10.0 {
        // A rate of lookups fits, and a cast that does not saturates.
        return format!("{}{unit}", count(value.round() as u64));
    }
    if value <= 0.0 {
        return format!("0{unit}");
    }
    let decimals = (0..6).find(|decimals| value * 10_f64.powi(*decimals) >= 1.0).unwrap_or(6);
    let decimals = usize::try_from(decimals).unwrap_or_default() + 1;
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_digits_that_count() {
        let hour = Rate::PerHour([1, 1]);
        let check = |value, expected: &str| assert_eq!(rate_label(value, hour), expected);
        check(12_345.6, "12,346/h");
        check(12.34, "12/h");
        check(1.26, "1.3/h");
        check(0.123, "0.12/h");
        check(0.000_123, "0.00012/h");
        check(0.0, "0/h");
        assert_eq!(rate_label(0.031, Rate::Share([1, 1])), "3.1 %");
    }
}
