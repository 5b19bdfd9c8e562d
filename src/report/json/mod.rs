//! The JSON document (DESIGN 5; the keys are a contract, append-only). Every key is always there, null if it does not
//! apply. Text is escaped as for a terminal, so that a report can be looked at, and no two names become one.

mod coverage;
pub mod verdicts;

use std::io::{self, Write};

use coverage::Coverage;
use serde::{Serialize, Serializer};

use crate::cluster::Cluster;
use crate::cluster::backends::{PodPort, Port};
use crate::cluster::workloads::WorkloadId;
use crate::connections::{self, Report};
use crate::text;
use crate::time::{Time, seconds};

/// Writes the JSON, indented, with a newline at its end.
pub fn write(report: &Report, cluster: &Cluster, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(report, cluster))?;
    writeln!(out)
}

/// The value that JSON and YAML write.
pub(super) fn document<'a>(report: &'a Report, cluster: &'a Cluster) -> impl Serialize {
    Document {
        api_version: "kico.dev/v1alpha1",
        kind: "ConnectionReport",
        coverage: Coverage::of(report),
        connections: Each(&report.connections, |c| Connection::of(c, cluster)),
        failed_lookups: Each(&report.failed_lookups, |f| FailedLookup::of(f, cluster)),
        blind_spots: None,
        convergence: None,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, C: Serialize, F: Serialize> {
    api_version: &'static str,
    kind: &'static str,
    coverage: Coverage<'a>,
    connections: C,
    failed_lookups: F,
    /// What DNS cannot show; not looked for yet.
    blind_spots: Option<()>,
    /// Whether the capture was long enough; not computed yet.
    convergence: Option<()>,
}

/// A list of which each item is made when it is written: all of them at once would take several times the report's memory.
struct Each<'a, T, F>(&'a [T], F);

impl<'a, T, U: Serialize, F: Fn(&'a T) -> U> Serialize for Each<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// Untrusted text.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text::terminal(self.0))
    }
}

/// Untrusted text, null if there is none.
pub(super) fn some(text: &str) -> Option<Text<'_>> {
    (!text.is_empty()).then_some(Text(text))
}

fn texts(list: &[impl AsRef<str>]) -> Vec<Text<'_>> {
    list.iter().map(|text| Text(text.as_ref())).collect()
}

pub(super) fn ends(seen: Option<(Time, Time)>) -> (Option<String>, Option<String>) {
    seen.map(|(first, last)| (seconds(first), seconds(last))).unzip()
}

/// To four decimals.
pub(super) fn round(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection<'a> {
    client: Client<'a>,
    server: Server<'a>,
    names: Vec<Text<'a>>,
    queries: u64,
    lookups: u64,
    failed: u64,
    attempts: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
    status: Vec<&'static str>,
    /// Null where `verify` makes one of lookups that all failed.
    evidence: Option<Evidence<'a>>,
}

impl<'a> Connection<'a> {
    fn of(of: &'a connections::Connection, cluster: &'a Cluster) -> Connection<'a> {
        let (first_seen, last_seen) = ends(of.seen);
        Connection {
            client: Client::of(&of.client, cluster),
            server: Server::of(&of.server, cluster),
            names: texts(&of.names),
            queries: of.queries,
            lookups: of.lookups,
            failed: of.failed,
            attempts: of.attempts,
            first_seen,
            last_seen,
            status: of.status.iter().map(|status| status.word()).collect(),
            evidence: (of.place.line > 0)
                .then_some(Evidence { path: Text(&of.place.path), line: of.place.line }),
        }
    }
}

#[derive(Serialize)]
struct Evidence<'a> {
    path: Text<'a>,
    line: u64,
}

#[derive(Serialize)]
struct Client<'a> {
    kind: Text<'a>,
    namespace: Option<Text<'a>>,
    name: Text<'a>,
    ips: Vec<String>,
    pods: Vec<Text<'a>>,
    /// An Ambiguous client's.
    candidates: Option<Vec<Candidate<'a>>>,
}

impl<'a> Client<'a> {
    fn of(of: &'a connections::Client, cluster: &'a Cluster) -> Client<'a> {
        let candidate = |id: &WorkloadId| {
            let workload = cluster.workloads.get(*id);
            let (kind, name) = (Text(&workload.kind), Text(&workload.name));
            Candidate { kind, namespace: Text(&workload.namespace), name }
        };
        let candidates = of.candidates.iter().map(candidate).collect();
        Client {
            kind: Text(&of.kind),
            namespace: some(&of.namespace),
            name: Text(&of.name),
            ips: of.ips.iter().map(ToString::to_string).collect(),
            pods: texts(&of.pods),
            candidates: (!of.candidates.is_empty()).then_some(candidates),
        }
    }
}

#[derive(Serialize)]
struct Candidate<'a> {
    kind: Text<'a>,
    namespace: Text<'a>,
    name: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server<'a> {
    kind: &'static str,
    namespace: Option<Text<'a>>,
    name: Text<'a>,
    ports: Vec<PortView<'a>>,
    workloads: Vec<Behind<'a>>,
    in_snapshot: Option<bool>,
}

impl<'a> Server<'a> {
    fn of(of: &'a connections::Server, cluster: &'a Cluster) -> Server<'a> {
        let behind = |id: &WorkloadId| {
            let workload = cluster.workloads.get(*id);
            Behind { kind: Text(&workload.kind), name: Text(&workload.name) }
        };
        Server {
            kind: of.kind.word(),
            namespace: some(&of.namespace),
            name: Text(&of.name),
            ports: of.ports.iter().map(PortView::of).collect(),
            workloads: of.workloads.iter().map(behind).collect(),
            in_snapshot: of.in_snapshot,
        }
    }
}

#[derive(Serialize)]
struct Behind<'a> {
    kind: Text<'a>,
    name: Text<'a>,
}

#[derive(Serialize)]
pub(super) struct PortView<'a> {
    port: NumberOrName<'a>,
    name: Option<Text<'a>>,
    protocol: &'static str,
}

/// A port's number; its name where the pods disagree on the number.
#[derive(Serialize)]
#[serde(untagged)]
enum NumberOrName<'a> {
    Number(u16),
    Name(Text<'a>),
}

impl<'a> PortView<'a> {
    pub(super) fn of(of: &'a Port) -> PortView<'a> {
        let port = match &of.port {
            PodPort::Number(number) => NumberOrName::Number(*number),
            PodPort::Name(name) => NumberOrName::Name(Text(name)),
        };
        PortView { port, name: some(&of.name), protocol: of.protocol.text() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedLookup<'a> {
    client: Client<'a>,
    name: Text<'a>,
    rcode: &'static str,
    queries: u64,
    lower_bound: bool,
}

impl<'a> FailedLookup<'a> {
    fn of(of: &'a connections::FailedLookup, cluster: &'a Cluster) -> FailedLookup<'a> {
        let (client, name) = (Client::of(&of.client, cluster), Text(&of.name));
        FailedLookup {
            client,
            name,
            rcode: of.rcode,
            queries: of.queries,
            lower_bound: of.lower_bound,
        }
    }
}
