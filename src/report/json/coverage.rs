//! The document's `coverage`: first the keys of the contract, in its order, then what was added.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{Text, ends, round, texts};
use crate::connections::Report;
use crate::log::{Input, Reason};
use crate::text;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Coverage<'a> {
    lines: Lines,
    inputs: Vec<InputView<'a>>,
    first_seen: Option<String>,
    last_seen: Option<String>,
    queries: Queries,
    shares: Shares,
    addresses: Addresses,
    not_connections: u64,
    replicas: Option<Replicas<'a>>,
    lost: Lost<'a>,
    other_domains: Vec<Text<'a>>,
    snapshot: Option<Snapshot<'a>>,
    warnings: &'a [String],
    notes: &'a [String],
}

impl<'a> Coverage<'a> {
    pub(super) fn of(report: &'a Report) -> Coverage<'a> {
        let (of, totals) = (&report.coverage, &report.totals);
        let (first_seen, last_seen) = ends(of.seen);
        let [answered, failed, unknown] = of.queries;
        let snapshot = || Snapshot {
            skipped: of
                .skipped
                .iter()
                .map(|(kind, count)| (text::terminal(kind).into_owned(), *count))
                .collect(),
            broken: texts(&of.broken),
        };
        Coverage {
            lines: Lines::of(&of.lines),
            inputs: of.inputs.iter().map(InputView::of).collect(),
            first_seen,
            last_seen,
            queries: Queries {
                answered,
                failed,
                unknown,
                outside_window: of.outside,
                without_time: of.untimed,
            },
            shares: Shares {
                client_resolved: share(totals.client_resolved, totals.connected),
                server_resolved: share(totals.server_resolved, totals.connected),
                addresses_known: share(totals.addresses_known, totals.addresses),
            },
            addresses: Addresses { seen: totals.addresses, known: totals.addresses_known },
            not_connections: totals.not_connections,
            replicas: of.replicas.as_ref().map(|replicas| Replicas {
                logged: texts(&replicas.logged),
                missing: texts(&replicas.missing),
            }),
            lost: Lost {
                clients: of.lost.clients,
                queries: of.lost.records.iter().sum(),
                names: of.lost.names,
                lower_bound: texts(&totals.lost_clients),
            },
            other_domains: texts(&totals.other_domains),
            snapshot: of.snapshot.then(snapshot),
            warnings: &of.warnings,
            notes: &of.notes,
        }
    }
}

/// A share, to four decimals; null of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| round(part as f64 / whole as f64))
}

#[derive(Serialize)]
struct Lines {
    total: u64,
    queries: u64,
    other: u64,
    rejected: Rejected,
    fragments: u64,
}

impl Lines {
    fn of(of: &crate::log::Lines) -> Lines {
        let rejected = Rejected(of.rejected);
        Lines {
            total: of.total,
            queries: of.queries,
            other: of.other,
            rejected,
            fragments: of.fragments,
        }
    }
}

/// Lines by the reason for which they could not be read: every reason, in their order.
struct Rejected([u64; 5]);

impl Serialize for Rejected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Reason::ALL.iter().map(|reason| reason.word()).zip(self.0))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputView<'a> {
    path: Text<'a>,
    kind: &'static str,
    bytes: u64,
    lines: u64,
    queries: u64,
    state: &'static str,
    problem: Option<Text<'a>>,
    rejected: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

impl<'a> InputView<'a> {
    fn of(of: &'a Input) -> InputView<'a> {
        let (first_seen, last_seen) = ends(of.seen);
        InputView {
            path: Text(&of.path),
            kind: if of.is_log { "log" } else { "not a query log" },
            bytes: of.bytes,
            lines: of.lines.total,
            queries: of.answered + of.failed + of.unknown,
            state: of.state.word(),
            problem: of.problem.as_deref().map(Text),
            rejected: of.lines.rejected.iter().sum(),
            first_seen,
            last_seen,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Queries {
    answered: u64,
    failed: u64,
    unknown: u64,
    outside_window: u64,
    without_time: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shares {
    client_resolved: Option<f64>,
    server_resolved: Option<f64>,
    addresses_known: Option<f64>,
}

#[derive(Serialize)]
struct Addresses {
    seen: u64,
    known: u64,
}

/// CoreDNS pods; null as a whole if no input's path names one.
#[derive(Serialize)]
struct Replicas<'a> {
    logged: Vec<Text<'a>>,
    missing: Vec<Text<'a>>,
}

/// What the bound on unbounded names gave up.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lost<'a> {
    clients: u64,
    queries: u64,
    names: u64,
    /// The clients whose failed counts are a lower bound.
    lower_bound: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    skipped: BTreeMap<String, u64>,
    broken: Vec<Text<'a>>,
}
