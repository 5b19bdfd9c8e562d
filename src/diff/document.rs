//! A report that `kico analyze -o json` wrote → a [`Side`]. Strict about what it is; what later versions add is skipped.
//! It is a file like any other, so its text is made safe again, and its numbers are believed only as numbers.

use anyhow::{Result, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::side::{client, safe};
use super::{About, Client, Server, Side, Sighting};
use crate::cluster::backends::{PodPort, Port};
use crate::cluster::model::Protocol;
use crate::connections::ServerKind;
use crate::time::{self, Time};

const API_VERSION: &str = "kico.dev/v1alpha1";
const KIND: &str = "ConnectionReport";

/// Whether a file that begins so is something that kico wrote as JSON or YAML. Reports begin with their version,
/// whoever formatted them since.
pub fn is_report(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let json = after(head, b"{")
        .and_then(|text| after(text, b"\"apiVersion\""))
        .and_then(|text| after(text, b":"))
        .and_then(|text| after(text, b"\"kico.dev/"));
    json.or_else(|| after(head, b"apiVersion: kico.dev/")).is_some()
}

fn after<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(word)
}

/// Reads a report. `path` is what the user typed.
pub fn read(bytes: &[u8], path: &str) -> Result<Side> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii_start().starts_with(b"apiVersion:") {
        bail!("{path}: a report in YAML; diff reads those in JSON (kico analyze -o json)");
    }
    let head: Head = match serde_json::from_slice(bytes) {
        Ok(head) => head,
        Err(error) if error.is_eof() => bail!("{path}: the report is cut short: {error}"),
        Err(error) => bail!("{path}: not a report in JSON: {error}"),
    };
    let (version, kind) =
        (head.api_version.as_deref().unwrap_or("-"), head.kind.as_deref().unwrap_or("-"));
    if version != API_VERSION {
        bail!("{path}: a report of version {version}; this kico reads {API_VERSION}");
    }
    if kind != KIND {
        bail!("{path}: a {kind}; diff reads a {KIND}, as kico analyze -o json writes it");
    }
    let document: Document = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => bail!("{path}: not as kico analyze -o json writes it: {error}"),
    };
    document.side(path)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    coverage: Coverage,
    connections: Vec<Connection>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Coverage {
    inputs: Vec<Input>,
    first_seen: Option<String>,
    last_seen: Option<String>,
    queries: Queries,
    lost: Lost,
    snapshot: Option<Snapshot>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Input {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queries {
    answered: u64,
    failed: u64,
    unknown: u64,
    outside_window: u64,
    without_time: u64,
}

#[derive(Deserialize)]
struct Lost {
    clients: u64,
}

#[derive(Deserialize)]
struct Snapshot {
    broken: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    client: ClientView,
    server: ServerView,
    names: Vec<String>,
    queries: u64,
    lookups: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
    evidence: Evidence,
}

#[derive(Deserialize)]
struct ClientView {
    kind: String,
    namespace: Option<String>,
    name: String,
    pods: Vec<String>,
}

#[derive(Deserialize)]
struct ServerView {
    kind: String,
    namespace: Option<String>,
    name: String,
    ports: Vec<PortView>,
    workloads: Vec<Behind>,
}

#[derive(Deserialize)]
struct PortView {
    port: NumberOrName,
    name: Option<String>,
    protocol: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrName {
    Number(u16),
    Name(String),
}

#[derive(Deserialize)]
struct Behind {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct Evidence {
    path: String,
    line: u64,
}

impl Document {
    fn side(self, path: &str) -> Result<Side> {
        let Coverage { inputs, queries, lost, snapshot, .. } = &self.coverage;
        let is_whole = |input: &Input| matches!(input.state.as_str(), "complete" | "grew");
        let is_read = snapshot.as_ref().is_none_or(|snapshot| snapshot.broken.is_empty());
        let records = [queries.answered, queries.failed, queries.unknown, queries.outside_window];
        let about = About {
            path: safe(path),
            is_report: true,
            snapshot: snapshot.is_some(),
            whole: inputs.iter().all(is_whole) && is_read && lost.clients == 0,
            seen: seen(&self.coverage.first_seen, &self.coverage.last_seen, path)?,
            records: records.into_iter().fold(0, u64::saturating_add),
            untimed: queries.without_time,
            unsaid: queries.unknown,
            outside: queries.outside_window,
            warnings: self.coverage.warnings.iter().map(|warning| safe(warning)).collect(),
            ..About::default()
        };
        let connections: Result<Vec<_>> =
            self.connections.into_iter().map(|connection| connection.found(path)).collect();
        Ok(Side::new(about, connections?))
    }
}

impl Connection {
    fn found(self, path: &str) -> Result<(Client, Server, Sighting)> {
        let seen = seen(&self.first_seen, &self.last_seen, path)?;
        let of = &self.client;
        let (client, clients) =
            client(&of.kind, of.namespace.as_deref().unwrap_or_default(), &of.name);
        let kind = match self.server.kind.as_str() {
            "External" => ServerKind::External,
            "Pod" => ServerKind::Pod,
            "Service" => ServerKind::Service,
            other => bail!("{path}: a server of kind {other}, which this kico does not know"),
        };
        let server = Server {
            kind,
            namespace: self.server.namespace.as_deref().map(safe).unwrap_or_default(),
            name: safe(&self.server.name),
        };
        let ports: Result<_> = self.server.ports.iter().map(|port| port.read(path)).collect();
        let sighting = Sighting {
            lookups: self.lookups,
            queries: self.queries,
            seen,
            names: self.names.iter().map(|name| safe(name)).collect(),
            ports: ports?,
            behind: self.server.workloads.iter().map(|w| (safe(&w.kind), safe(&w.name))).collect(),
            pods: of.pods.iter().map(|pod| safe(pod)).collect(),
            clients,
            place: (safe(&self.evidence.path), self.evidence.line),
        };
        Ok((client, server, sighting))
    }
}

impl PortView {
    fn read(&self, path: &str) -> Result<Port> {
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let Some(protocol) = protocols.into_iter().find(|known| known.text() == self.protocol)
        else {
            bail!("{path}: a port of protocol {}, which this kico does not know", self.protocol);
        };
        let port = match &self.port {
            NumberOrName::Number(number) => PodPort::Number(*number),
            NumberOrName::Name(name) => PodPort::Name(safe(name)),
        };
        Ok(Port { port, protocol, name: self.name.as_deref().map(safe).unwrap_or_default() })
    }
}

/// Both ends or none.
fn seen(first: &Option<String>, last: &Option<String>, path: &str) -> Result<Option<(Time, Time)>> {
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    match (time::parse(first), time::parse(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Some((first, last))),
        _ => bail!("{path}: from {first} to {last} is no time"),
    }
}
