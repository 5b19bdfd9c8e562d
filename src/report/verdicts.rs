//! Verdicts for people: what would be denied first, each with its reason on a line of its own beneath; then partly, then
//! unknown, then how many are allowed. As a table for 80 columns, and as Markdown. JSON is in [`super::json::verdicts`].

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Style, client_label, list, server_label};
use crate::cluster::Cluster;
use crate::cluster::model::NetworkPolicy;
use crate::connections::{Connection, Report};
use crate::coverage::plural;
use crate::policy::evaluate::RuleId;
use crate::policy::verify::{Denial, Finding, Row, Verdict, Verdicts};
use crate::text::{markdown, terminal};
use crate::time;

/// All that the writers need.
pub struct View<'a> {
    /// What was said; its rows already chosen by the filters.
    pub verdicts: &'a Verdicts,
    /// What they are about: coverage.
    pub report: &'a Report,
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The policies that were evaluated.
    pub policies: &'a [NetworkPolicy],
    /// The file of each; `None`: the snapshot's own.
    pub files: &'a [Option<String>],
    /// Kinds of policies that were met and are not evaluated.
    pub not_evaluated: &'a BTreeMap<String, u64>,
    /// Whether what is allowed is listed too.
    pub lists_allowed: bool,
}

/// As many names as a line holds.
const NAMES: usize = 3;
/// As wide as a reason is drawn where no terminal says how wide it is.
const WIDTH: usize = 80;

/// Writes the table.
pub fn write(view: &View<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    super::table::warnings(view.report, style, out)?;
    for (kind, count) in view.not_evaluated {
        let what = format!("{kind}: {count} in all are not evaluated, whatever they allow or deny");
        writeln!(out, "{}", style.warning(&terminal(&what)))?;
    }
    let width = style.width.unwrap_or(WIDTH).max(40);
    for verdict in Verdict::ALL {
        let rows: Vec<&Row> = rows(view, verdict).collect();
        if rows.is_empty() || (verdict == Verdict::Allowed && !view.lists_allowed) {
            continue;
        }
        let head = format!("{} {}", verdict.word().to_uppercase(), rows.len());
        writeln!(out, "{}", style.paint(anstyle::Style::new().bold(), head))?;
        for row in rows {
            writeln!(out, "  {}", terminal(&title(row)))?;
            for line in reasons(row, view) {
                wrapped(&terminal(&line), 6, width, out)?;
            }
        }
        writeln!(out)?;
    }
    if !view.verdicts.findings.is_empty() {
        let head = "ABOUT THE POLICIES THEMSELVES";
        writeln!(out, "{}", style.paint(anstyle::Style::new().bold(), head))?;
        for finding in &view.verdicts.findings {
            let (whose, what) = finding_parts(finding, view);
            wrapped(&terminal(&format!("{whose}: {what}")), 2, width, out)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}", summary(view))?;
    view.verdicts.notes.iter().try_for_each(|note| writeln!(out, "{}", terminal(note)))
}

/// Writes the Markdown.
pub fn write_markdown(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Verdicts\n\n{}.", summary(view))?;
    for (kind, count) in view.not_evaluated {
        writeln!(out, "\nNot evaluated: {count} {}.", markdown(kind))?;
    }
    writeln!(out, "\n| Verdict | Client | Server | Queries | Why |")?;
    writeln!(out, "| --- | --- | --- | ---: | --- |")?;
    for verdict in Verdict::ALL {
        if verdict == Verdict::Allowed && !view.lists_allowed {
            continue;
        }
        for row in rows(view, verdict) {
            let why = reasons(row, view).iter().map(|line| markdown(line)).collect::<Vec<_>>();
            writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                verdict.word(),
                markdown(&client_label(&row.connection.client)),
                markdown(&server(row)),
                queries(row),
                why.join("<br>")
            )?;
        }
    }
    if !view.verdicts.findings.is_empty() {
        writeln!(out, "\n## About the policies themselves\n\n| Policy | What |\n| --- | --- |")?;
        for finding in &view.verdicts.findings {
            let (whose, what) = finding_parts(finding, view);
            writeln!(out, "| {} | {} |", markdown(&whose), markdown(&what))?;
        }
    }
    for note in &view.verdicts.notes {
        writeln!(out, "\n{}", markdown(note))?;
    }
    Ok(())
}

/// One line: how many of what, by how many policies.
pub fn summary(view: &View<'_>) -> String {
    let [denied, partly, unknown, allowed] = view.verdicts.counts();
    let policies = plural(view.policies.len() as u64, "policy", "policies");
    format!("{policies}: {denied} denied, {partly} partly, {unknown} unknown, {allowed} allowed")
}

fn rows<'a>(view: &'a View<'_>, verdict: Verdict) -> impl Iterator<Item = &'a Row> {
    view.verdicts.rows.iter().filter(move |row| row.verdict == verdict)
}

fn title(row: &Row) -> String {
    let queries = plural(queries(row), "query", "queries");
    format!("{} -> {}, {queries}", client_label(&row.connection.client), server(row))
}

/// A lookup that failed was one too.
fn queries(row: &Row) -> u64 {
    let Connection { queries, failed, .. } = &row.connection;
    if row.is_dns { queries.saturating_add(*failed) } else { *queries }
}

fn server(row: &Row) -> String {
    let label = server_label(&row.connection.server);
    if row.is_dns { format!("{label}: its lookups") } else { label }
}

/// What stands beneath a row: untrusted text.
fn reasons(row: &Row, view: &View<'_>) -> Vec<String> {
    let mut lines: Vec<String> = row.unknown.iter().cloned().collect();
    lines.extend(row.denials.iter().flat_map(|denial| [denial.why.clone(), by(denial, view)]));
    if row.verdict == Verdict::Partly {
        let names = |all: &[String]| list(all.iter().cloned(), NAMES, ", ");
        lines.extend(row.cut.iter().map(|cut| {
            format!("cut: {} from {} to {}", cut.port, names(&cut.clients), names(&cut.servers))
        }));
    }
    if row.verdict == Verdict::Allowed {
        let rules = row.allowed_by.iter().map(|id| rule(*id, view));
        lines.push(match row.allowed_by.is_empty() {
            true => "no policy isolates either end from the other".into(),
            false => format!("by {}", list(rules, NAMES, ", ")),
        });
    } else {
        lines.extend(seen(row));
    }
    lines
}

/// When it was seen, where the log has times, and a line that shows it.
fn seen(row: &Row) -> Option<String> {
    let Connection { seen, place, .. } = &row.connection;
    let line = (!place.path.is_empty()).then(|| format!("{}:{}", place.path, place.line));
    let times = seen.map(|(first, last)| match (time::seconds(first), time::seconds(last)) {
        (first, last) if first == last => format!("seen {first}"),
        (first, last) => format!("seen {first} to {last}"),
    });
    match (times, line) {
        (Some(times), Some(line)) => Some(format!("{times}, first in {line}")),
        (Some(times), None) => Some(times),
        (None, line) => line.map(|line| format!("seen in {line}")),
    }
}

/// Whose rules these are: `ingress isolated by shop/db; nearest: rule 0`.
fn by(denial: &Denial, view: &View<'_>) -> String {
    let by = list(denial.isolated_by.iter().map(|p| policy(*p, view)), NAMES, ", ");
    let direction = denial.direction.word();
    let nearest = denial.nearest.map(|id| match denial.isolated_by.as_slice() == [id.policy] {
        true => format!("; nearest: rule {}", id.rule),
        false => format!("; nearest: {}", rule(id, view)),
    });
    format!("({direction} isolated by {by}{})", nearest.unwrap_or_default())
}

fn policy(index: usize, view: &View<'_>) -> String {
    let meta = view.policies.get(index).map(|policy| &policy.meta);
    meta.map(|meta| format!("{}/{}", meta.namespace, meta.name)).unwrap_or_default()
}

fn rule(id: RuleId, view: &View<'_>) -> String {
    format!("{} {} rule {}", policy(id.policy, view), id.direction.word(), id.rule)
}

fn finding_parts(finding: &Finding, view: &View<'_>) -> (String, String) {
    let whose = match finding.rule {
        Some(id) => rule(id, view),
        None => policy(finding.policy, view),
    };
    (whose, finding.what.clone())
}

/// Text that is already safe to print, broken at blanks; a word longer than the line stands as it is.
fn wrapped(text: &str, indent: usize, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    let mut margin = " ".repeat(indent);
    for word in text.split(' ') {
        if !line.is_empty() && margin.len() + line.len() + 1 + word.len() > width {
            writeln!(out, "{margin}{line}")?;
            line.clear();
            margin = " ".repeat(indent + 2);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{margin}{line}")
}
