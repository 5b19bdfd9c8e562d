//! The JSON document of `verify`. Every key is always there, null if it does not apply.
//!
//! ```text
//! {"apiVersion": "kico.dev/v1alpha1", "kind": "VerifyReport",
//!  "coverage": {…},                                   as in a ConnectionReport
//!  "summary": {"denied": 1, "partly": 0, "unknown": 2, "allowed": 30},
//!  "policies": [{"namespace": "shop", "name": "db", "file": "policies/db.yaml"}],     file null: the snapshot's own
//!  "verdicts": [{"verdict": "denied", "lookups": false,             lookups: the client's lookups themselves
//!                "connection": {…},                   as in a ConnectionReport; of lookups all that the client asked, of every
//!                                                     type: `queries` did not fail, and `evidence` may be null
//!                "allowedBy": [{"policy": {"namespace": "shop", "name": "db"}, "direction": "ingress", "rule": 0}],
//!                "denials": [{"direction": "ingress", "isolatedBy": [{"namespace": "shop", "name": "db"}],
//!                             "nearest": {…} or null,                 as in allowedBy
//!                             "why": "podSelector app=usr: the client has app=user"}],
//!                "cut": [{"port": "5432/TCP", "clients": ["user-1"], "servers": ["db-0"]}],
//!                "unknown": null}],
//!  "findings": [{"policy": {…}, "direction": "ingress", "rule": 0, "kind": "matchedNothing", "what": "…"}],
//!  "notEvaluated": [{"kind": "CiliumNetworkPolicy", "count": 3}],
//!  "notes": []}
//! ```
//!
//! Rules count from 0, as in the policy's own list. Kinds of findings: invalid, noSuchNamespace, selectsNoPod,
//! hostNetwork, splitPeer, peerSelectsNoPod, matchedNothing, widerThanSeen.

use std::io::{self, Write};

use serde::Serialize;

use super::coverage::Coverage;
use super::{Connection, Text, texts};
use crate::policy::evaluate::RuleId;
use crate::policy::verify;
use crate::report::verdicts::View;

/// Writes the JSON, indented, with a newline at its end.
pub fn write(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(view))?;
    writeln!(out)
}

/// The same as YAML, key for key.
pub fn write_yaml(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    crate::report::yaml::serialize(&document(view), out)
}

fn document<'a>(view: &'a View<'_>) -> Document<'a> {
    let [denied, partly, unknown, allowed] = view.verdicts.counts();
    let files = view.files.iter().map(|file| file.as_deref().map(Text));
    let policies = view.policies.iter().zip(files);
    Document {
        api_version: "kico.dev/v1alpha1",
        kind: "VerifyReport",
        coverage: Coverage::of(view.report),
        summary: Summary { denied, partly, unknown, allowed },
        policies: policies
            .map(|(policy, file)| Policy {
                namespace: Text(&policy.meta.namespace),
                name: Text(&policy.meta.name),
                file,
            })
            .collect(),
        verdicts: view.verdicts.rows.iter().map(|row| Row::of(row, view)).collect(),
        findings: view.verdicts.findings.iter().map(|f| Finding::of(f, view)).collect(),
        not_evaluated: view
            .not_evaluated
            .iter()
            .map(|(kind, count)| NotEvaluated { kind: Text(kind), count: *count })
            .collect(),
        notes: texts(&view.verdicts.notes),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    coverage: Coverage<'a>,
    summary: Summary,
    policies: Vec<Policy<'a>>,
    verdicts: Vec<Row<'a>>,
    findings: Vec<Finding<'a>>,
    not_evaluated: Vec<NotEvaluated<'a>>,
    notes: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct Summary {
    denied: u64,
    partly: u64,
    unknown: u64,
    allowed: u64,
}

#[derive(Serialize)]
struct Policy<'a> {
    namespace: Text<'a>,
    name: Text<'a>,
    file: Option<Text<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    verdict: &'static str,
    lookups: bool,
    connection: Connection<'a>,
    allowed_by: Vec<Rule<'a>>,
    denials: Vec<Denial<'a>>,
    cut: Vec<Cut<'a>>,
    unknown: Option<Text<'a>>,
}

impl<'a> Row<'a> {
    fn of(row: &'a verify::Row, view: &'a View<'_>) -> Row<'a> {
        Row {
            verdict: row.verdict.word(),
            lookups: row.is_dns,
            connection: Connection::of(&row.connection, view.cluster),
            allowed_by: row.allowed_by.iter().map(|id| Rule::of(*id, view)).collect(),
            denials: row
                .denials
                .iter()
                .map(|denial| Denial {
                    direction: denial.direction.word(),
                    isolated_by: denial.isolated_by.iter().map(|p| name(*p, view)).collect(),
                    nearest: denial.nearest.map(|id| Rule::of(id, view)),
                    why: Text(&denial.why),
                })
                .collect(),
            cut: row
                .cut
                .iter()
                .map(|cut| Cut {
                    port: &cut.port,
                    clients: texts(&cut.clients),
                    servers: texts(&cut.servers),
                })
                .collect(),
            unknown: row.unknown.as_deref().map(Text),
        }
    }
}

#[derive(Serialize)]
struct Name<'a> {
    namespace: Text<'a>,
    name: Text<'a>,
}

fn name<'a>(policy: usize, view: &'a View<'_>) -> Option<Name<'a>> {
    let meta = &view.policies.get(policy)?.meta;
    Some(Name { namespace: Text(&meta.namespace), name: Text(&meta.name) })
}

#[derive(Serialize)]
struct Rule<'a> {
    policy: Option<Name<'a>>,
    direction: &'static str,
    rule: usize,
}

impl<'a> Rule<'a> {
    fn of(id: RuleId, view: &'a View<'_>) -> Rule<'a> {
        Rule { policy: name(id.policy, view), direction: id.direction.word(), rule: id.rule }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Denial<'a> {
    direction: &'static str,
    isolated_by: Vec<Option<Name<'a>>>,
    nearest: Option<Rule<'a>>,
    why: Text<'a>,
}

#[derive(Serialize)]
struct Cut<'a> {
    port: &'a str,
    clients: Vec<Text<'a>>,
    servers: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    policy: Option<Name<'a>>,
    direction: Option<&'static str>,
    rule: Option<usize>,
    kind: &'static str,
    what: Text<'a>,
}

impl<'a> Finding<'a> {
    fn of(of: &'a verify::Finding, view: &'a View<'_>) -> Finding<'a> {
        Finding {
            policy: name(of.policy, view),
            direction: of.rule.map(|id| id.direction.word()),
            rule: of.rule.map(|id| id.rule),
            kind: of.kind.word(),
            what: Text(&of.what),
        }
    }
}

#[derive(Serialize)]
struct NotEvaluated<'a> {
    kind: Text<'a>,
    count: u64,
}
