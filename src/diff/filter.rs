//! Filters for rows that two sides have in common: by the words of the row, so that they mean the same on both, and on a
//! report, whose cluster is not there to ask; and by what a cluster said of servers that the other side has no words for.

use std::collections::BTreeSet;

use super::side::by_address;
use super::{Client, Row, Server, Sighting};
use crate::connections::ServerKind;
use crate::connections::filter::{Filters, full_kind};

/// What was asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// As typed; `exclude_namespaces` works on clients here, because a report's evidence is gone.
    pub filters: Filters,
    /// The servers that `--pod` is behind, on whichever side knows the pod.
    pub of_pods: BTreeSet<Server>,
    /// The same of `--workload`: a side without a snapshot does not say what is behind a server.
    pub of_workloads: BTreeSet<Server>,
    /// The same of `--to`.
    pub of_to: BTreeSet<Server>,
}

impl Words {
    /// Whether a row is shown. Values of one flag are alternatives, different flags must all hold.
    pub(super) fn choose(&self, row: &Row) -> bool {
        let (filters, server) = (&self.filters, &row.server);
        let any = |values: &[String], fits: &dyn Fn(&str) -> bool| {
            values.is_empty() || values.iter().any(|value| fits(value))
        };
        any(&filters.namespaces, &|namespace| server.namespace == namespace)
            && any(&filters.services, &|name| {
                server.kind == ServerKind::Service && server.name == name
            })
            && (any(&filters.workloads, &|value| is_behind(row, value))
                || is_looked_up(row, &self.of_workloads))
            && (any(&filters.to, &|value| is_to(row, value)) || is_looked_up(row, &self.of_to))
            && any(&filters.from, &|value| is_from(row, value))
            && (filters.pods.is_empty() || is_server(row, |server| self.of_pods.contains(server)))
            && !is_excluded(row, &filters.exclude_namespaces)
    }
}

fn sightings(row: &Row) -> impl Iterator<Item = &Sighting> {
    row.old.iter().chain(&row.new)
}

fn is_behind(row: &Row, value: &str) -> bool {
    let Some((kind, name)) = value.split_once('/') else { return false };
    let kind = full_kind(kind);
    let mut behind = sightings(row).flat_map(|sighting| &sighting.behind);
    behind.any(|(k, n)| k.eq_ignore_ascii_case(&kind) && n == name)
}

/// By what is shown, or any other address of the same pod.
fn is_server(row: &Row, fits: impl Fn(&Server) -> bool) -> bool {
    let by_server = row.client == Client::Anyone;
    let names = sightings(row).filter(|_| by_server).flat_map(|sighting| &sighting.names);
    fits(&row.server) || by_address(&row.server, names.map(String::as_str)).keys().any(fits)
}

/// Where a side knows no workloads, what the other one's cluster says counts. Two sides that know them speak for themselves.
fn is_looked_up(row: &Row, servers: &BTreeSet<Server>) -> bool {
    row.client == Client::Anyone && is_server(row, |server| servers.contains(server))
}

fn is_to(row: &Row, value: &str) -> bool {
    let (namespace, name) = split(value);
    let is_name = |name: &str| {
        is_server(row, |server| server.name == name)
            || sightings(row).flat_map(|sighting| &sighting.behind).any(|(_, n)| n == name)
    };
    row.server.namespace == namespace && name.is_none_or(is_name)
}

fn is_from(row: &Row, value: &str) -> bool {
    let Client::Workload { namespace: of, name: own, .. } = &row.client else { return false };
    let (namespace, name) = split(value);
    let is_name = |name: &str| own == name || sightings(row).any(|s| s.pods.contains(name));
    of == namespace && name.is_none_or(is_name)
}

/// In logs these clients are no evidence at all; this is for reports.
fn is_excluded(row: &Row, namespaces: &[String]) -> bool {
    matches!(&row.client, Client::Workload { namespace, .. } if namespaces.contains(namespace))
}

fn split(value: &str) -> (&str, Option<&str>) {
    match value.split_once('/') {
        Some((namespace, name)) => (namespace, Some(name)),
        None => (value, None),
    }
}
