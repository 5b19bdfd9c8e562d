//! Report → bytes: one file a format, pure functions of the report and the cluster. Nothing here decides anything; and
//! nothing prints text that came from a log or a cluster but through [`crate::text`].

pub mod csv;
pub mod diff;
pub mod diff_json;
mod grid;
pub mod json;
pub mod markdown;
pub mod table;
#[cfg(test)]
mod tests;
pub mod verdicts;
pub mod wide;
pub mod yaml;

use std::fmt::Display;

use crate::cluster::Cluster;
use crate::cluster::backends::{PodPort, Port};
use crate::cluster::workloads::WorkloadId;
use crate::connections::{Client, Report, Server, ServerKind};
use crate::coverage::{count, percent, plural};
use crate::log::State;

/// How a table is drawn. The default is for a file or a pipe: whole cells, no colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// The terminal's width, to which long cells are cut; `None`: no terminal, nothing is cut.
    pub width: Option<usize>,
    /// Whether to colour.
    pub color: bool,
}

const WARNING: &str = "Warning:";

impl Style {
    /// Text in a style, if there is to be any.
    fn paint(self, style: anstyle::Style, text: impl Display) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    fn warning(self, text: &str) -> String {
        let yellow = anstyle::AnsiColor::Yellow.on_default();
        let line = self.wrap(&format!("{WARNING} {text}"));
        match line.strip_prefix(WARNING) {
            Some(rest) => format!("{}{rest}", self.paint(yellow.bold(), WARNING)),
            None => line,
        }
    }

    /// A sentence, broken where the terminal ends.
    fn wrap(self, text: &str) -> String {
        self.width.map_or_else(|| text.to_owned(), |width| crate::text::wrap(text, width))
    }
}

/// The few lines for standard error when the report itself goes to files: what was found, what to distrust, and what
/// to do next. Each ends with a newline; safe to print.
pub fn summary(report: &Report) -> String {
    let clients = || report.connections.iter().map(|connection| &*connection.client);
    let unresolved = number(clients().filter(|client| client.workload.is_none()));
    let coverage = &report.coverage;
    let mut lines = vec![format!(
        "{} of {} from {}",
        plural(report.connections.len() as u64, "connection", "connections"),
        plural(number(clients()), "client", "clients"),
        plural(coverage.queries.iter().sum(), "query", "queries"),
    )];
    if unresolved > 0 && coverage.snapshot {
        let (known, all) = (report.totals.client_resolved, report.totals.connected);
        lines.push(format!(
            "{} not one workload of the snapshot; {} of the queries come from clients that are",
            plural(unresolved, "client is", "clients are"),
            percent(known, all),
        ));
    }
    if !report.failed_lookups.is_empty() {
        lines.push(failed_head(report));
    }
    lines.extend(coverage.warnings.iter().map(|warning| format!("Warning: {warning}")));
    let rejected: u64 = coverage.lines.rejected.iter().sum();
    if rejected > 0 {
        let number = plural(rejected, "line", "lines");
        lines.push(format!(
            "{number} looked like a query and could not be read: --rejects FILE lists them"
        ));
    }
    if !coverage.snapshot {
        lines
            .push("Give --snapshot (kubectl get pods,services -A -o json) to see workloads".into());
    }
    let grown = coverage.inputs.iter().filter(|input| input.state == State::Grew).count() as u64;
    if grown > 0 {
        lines.push(format!(
            "{} while being read: run again for the rest",
            plural(grown, "log grew", "logs grew")
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// How many clients these are; rows of one stand together.
fn number<'a>(clients: impl Iterator<Item = &'a Client>) -> u64 {
    let mut before = None;
    let keys = clients.map(|client| (&client.namespace, &client.kind, &client.name));
    keys.filter(|key| before.replace(*key) != Some(*key)).count() as u64
}

/// A client for people: `namespace/name`, and its kind unless it is a Deployment. Not yet safe to print.
fn client_label(client: &Client) -> String {
    let Client { kind, namespace, name, .. } = client;
    match kind.as_str() {
        "Deployment" => format!("{namespace}/{name}"),
        // A pod's owner may be of any kind.
        "Namespace" if name == namespace => name.clone(),
        "Ambiguous" if namespace.is_empty() => {
            // One candidate alone: it, or nobody that the snapshot knows.
            let unknown = if client.candidates.len() == 1 { " or unknown" } else { "" };
            format!("{}{unknown} (Ambiguous)", name.replace(';', " or "))
        }
        _ if namespace.is_empty() => format!("{name} ({kind})"),
        _ => format!("{namespace}/{name} ({kind})"),
    }
}

/// A server for people: `namespace/name`, and its kind unless it is a Service. Not yet safe to print.
fn server_label(server: &Server) -> String {
    let Server { namespace, name, .. } = server;
    match server.kind {
        ServerKind::Service => format!("{namespace}/{name}"),
        ServerKind::Namespace => name.clone(),
        ServerKind::Pod => format!("{namespace}/{name} (Pod)"),
        ServerKind::External => format!("{name} (External)"),
    }
}

/// `8080/TCP`, or `http/TCP` where the pods disagree on the number. Not yet safe to print.
fn port_label(port: &Port) -> String {
    match &port.port {
        PodPort::Number(number) => format!("{number}/{}", port.protocol.text()),
        PodPort::Name(name) => format!("{name}/{}", port.protocol.text()),
    }
}

/// A server's ports, each once: two names of one port are one.
fn port_labels(server: &Server) -> Vec<String> {
    let mut labels: Vec<String> = server.ports.iter().map(port_label).collect();
    labels.dedup();
    labels
}

/// `Deployment/user-db`. Not yet safe to print.
fn workload_label(id: WorkloadId, cluster: &Cluster) -> String {
    let workload = cluster.workloads.get(id);
    format!("{}/{}", workload.kind, workload.name)
}

/// At most `most` of a list, then `+N`, joined.
fn list(items: impl IntoIterator<Item = String>, most: usize, separator: &str) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    if items.len() > most {
        let more = items.len() - most;
        items.truncate(most);
        items.push(format!("+{more}"));
    }
    items.join(separator)
}

/// `3 names only ever failed`
fn failed_head(report: &Report) -> String {
    format!("{} only ever failed", plural(report.failed_lookups.len() as u64, "name", "names"))
}

/// A number of failed records, which is a lower bound if the client lost names.
fn at_least(number: u64, lower_bound: bool) -> String {
    format!("{}{}", if lower_bound { ">=" } else { "" }, count(number))
}
