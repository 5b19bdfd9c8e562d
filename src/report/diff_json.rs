//! What is different as JSON or YAML: `kind: DiffReport`. The keys are a contract, append-only; every one is always
//! there, null if it does not apply.

use std::io::{self, Write};

use serde::Serialize;

use super::json::{PortView, Text, ends, round, some};
use crate::diff::{About, Client, Diff, Rate, Row, Server, Sighting};

/// Writes the JSON, indented, with a newline at its end.
pub fn write(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(diff))?;
    writeln!(out)
}

/// Writes the same as YAML.
pub fn write_yaml(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    super::yaml::serialize(&document(diff), out)
}

fn document(diff: &Diff) -> Document<'_> {
    Document {
        api_version: "kico.dev/v1alpha1",
        kind: "DiffReport",
        old: SideView::of(&diff.old),
        new: SideView::of(&diff.new),
        compared_by: if diff.by_server { "server" } else { "workload" },
        rate: match diff.rate {
            Rate::PerHour(_) => "lookupsPerHour",
            Rate::Share(_) => "shareOfLookups",
        },
        appeared: rows(&diff.appeared, diff.rate),
        vanished: rows(&diff.vanished, diff.rate),
        changed: rows(&diff.changed, diff.rate),
        unchanged: diff.unchanged,
        cautions: diff.cautions.iter().map(|caution| Text(caution)).collect(),
    }
}

fn rows(rows: &[Row], rate: Rate) -> Vec<RowView<'_>> {
    rows.iter().map(|row| RowView::of(row, rate)).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    old: SideView<'a>,
    new: SideView<'a>,
    /// Clients are there by workload, or not at all.
    compared_by: &'static str,
    rate: &'static str,
    appeared: Vec<RowView<'a>>,
    vanished: Vec<RowView<'a>>,
    changed: Vec<RowView<'a>>,
    unchanged: u64,
    cautions: Vec<Text<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SideView<'a> {
    path: Text<'a>,
    kind: &'static str,
    snapshot: bool,
    whole: bool,
    first_seen: Option<String>,
    last_seen: Option<String>,
    connections: u64,
    lookups: u64,
    unresolved_clients: u64,
    warnings: Vec<Text<'a>>,
}

impl<'a> SideView<'a> {
    fn of(of: &'a About) -> SideView<'a> {
        let (first_seen, last_seen) = ends(of.seen);
        SideView {
            path: Text(&of.path),
            kind: if of.is_report { "report" } else { "logs" },
            snapshot: of.snapshot,
            whole: of.whole,
            first_seen,
            last_seen,
            connections: of.connections,
            lookups: of.lookups,
            unresolved_clients: of.unresolved,
            warnings: of.warnings.iter().map(|warning| Text(warning)).collect(),
        }
    }
}

#[derive(Serialize)]
struct RowView<'a> {
    client: ClientView<'a>,
    server: ServerView<'a>,
    old: Option<SightingView<'a>>,
    new: Option<SightingView<'a>>,
    /// NEW's rate over OLD's.
    factor: Option<f64>,
    /// It may be a row of the other side, whose client is no known workload.
    doubtful: bool,
}

impl<'a> RowView<'a> {
    fn of(of: &'a Row, rate: Rate) -> RowView<'a> {
        let [old, new] = rate.rates(of.lookups());
        let both = of.old.is_some() && of.new.is_some() && old > 0.0;
        RowView {
            client: ClientView::of(&of.client),
            server: ServerView::of(&of.server),
            old: of.old.as_ref().map(|sighting| SightingView::of(sighting, old)),
            new: of.new.as_ref().map(|sighting| SightingView::of(sighting, new)),
            factor: both.then(|| round(new / old)),
            doubtful: of.doubtful,
        }
    }
}

/// `Anyone` and `Unresolved` have neither namespace nor name.
#[derive(Serialize)]
struct ClientView<'a> {
    kind: Text<'a>,
    namespace: Option<Text<'a>>,
    name: Option<Text<'a>>,
}

impl<'a> ClientView<'a> {
    fn of(of: &'a Client) -> ClientView<'a> {
        let (kind, namespace, name) = match of {
            Client::Anyone => ("Anyone", "", ""),
            Client::Unresolved => ("Unresolved", "", ""),
            Client::Workload { namespace, kind, name } => {
                (kind.as_str(), namespace.as_str(), name.as_str())
            }
        };
        ClientView { kind: Text(kind), namespace: some(namespace), name: some(name) }
    }
}

#[derive(Serialize)]
struct ServerView<'a> {
    kind: &'static str,
    namespace: Option<Text<'a>>,
    name: Text<'a>,
}

impl<'a> ServerView<'a> {
    fn of(of: &'a Server) -> ServerView<'a> {
        ServerView { kind: of.kind.word(), namespace: some(&of.namespace), name: Text(&of.name) }
    }
}

/// What one side saw.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SightingView<'a> {
    queries: u64,
    lookups: u64,
    rate: f64,
    first_seen: Option<String>,
    last_seen: Option<String>,
    ports: Vec<PortView<'a>>,
    names: Vec<Text<'a>>,
    workloads: Vec<WorkloadView<'a>>,
    /// Whom a row stands for that stands for several.
    clients: Vec<MemberView<'a>>,
    evidence: Evidence<'a>,
}

impl<'a> SightingView<'a> {
    fn of(of: &'a Sighting, rate: f64) -> SightingView<'a> {
        let (first_seen, last_seen) = ends(of.seen);
        let member = |(kind, namespace, name): &'a (String, String, String)| MemberView {
            kind: Text(kind),
            namespace: some(namespace),
            name: Text(name),
        };
        let behind = |(kind, name): &'a (String, String)| WorkloadView {
            kind: Text(kind),
            name: Text(name),
        };
        SightingView {
            queries: of.queries,
            lookups: of.lookups,
            rate: round(rate),
            first_seen,
            last_seen,
            ports: of.ports.iter().map(PortView::of).collect(),
            names: of.names.iter().map(|name| Text(name)).collect(),
            workloads: of.behind.iter().map(behind).collect(),
            clients: of.clients.iter().map(member).collect(),
            evidence: Evidence { path: Text(&of.place.0), line: of.place.1 },
        }
    }
}

#[derive(Serialize)]
struct WorkloadView<'a> {
    kind: Text<'a>,
    name: Text<'a>,
}

#[derive(Serialize)]
struct MemberView<'a> {
    kind: Text<'a>,
    namespace: Option<Text<'a>>,
    name: Text<'a>,
}

#[derive(Serialize)]
struct Evidence<'a> {
    path: Text<'a>,
    line: u64,
}
