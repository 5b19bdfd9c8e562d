//! One small report in every format: what a reader of each of them gets.

mod document;

use std::io;
use std::sync::Arc;

use expect_test::{Expect, expect};

use super::*;
use crate::cluster::backends::{PodPort, Port};
use crate::cluster::model::{Protocol, Snapshot};
use crate::cluster::tests_support::{at, cluster, ip, owned, pod};
use crate::connections::{Connection, FailedLookup, Status, Totals};
use crate::coverage::cover;
use crate::log::{Input, Lines, Place, State};

type Write = fn(&Report, &Cluster, &mut dyn io::Write) -> io::Result<()>;

const TABLE: Write = |report, cluster, out| table::write(report, cluster, Style::default(), out);
const WIDE: Write = |report, cluster, out| wide::write(report, cluster, Style::default(), out);

fn written(write: Write, report: &Report) -> String {
    let mut out = Vec::new();
    write(report, &small(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn check(write: Write, report: &Report, expected: Expect) {
    expected.assert_eq(&written(write, report));
}

/// Workloads 0 and 1: `jobs/CronJob/export` and `shop/Deployment/db`.
fn small() -> Cluster {
    cluster(Snapshot {
        pods: vec![
            owned(pod("jobs", "export-1", "10.1.0.7"), "CronJob", "export", ""),
            owned(pod("shop", "db-x", "10.1.0.9"), "Deployment", "db", ""),
        ],
        ..Snapshot::default()
    })
}

fn client(kind: &str, namespace: &str, name: &str) -> Client {
    Client {
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
        ips: vec![ip("10.1.0.7"), ip("fd00::7")],
        pods: vec!["export-1".into()],
        candidates: Vec::new(),
        workload: Some(WorkloadId(0)),
    }
}

fn server(kind: ServerKind, namespace: &str, name: &str) -> Server {
    Server {
        kind,
        namespace: namespace.into(),
        name: name.into(),
        ports: [].into(),
        workloads: Vec::new(),
        in_snapshot: None,
        service: None,
    }
}

fn connection(client: Client, server: Server, name: &str, status: Status) -> Connection {
    Connection {
        client: client.into(),
        server: server.into(),
        names: [name.into()].into(),
        queries: 1200,
        lookups: 600,
        failed: 1,
        attempts: 8,
        seen: None,
        proof: None,
        status: vec![status],
        place: Place { path: "logs/a.txt".into(), line: 17 },
    }
}

fn report() -> Report {
    let unknown = Client {
        ips: vec![ip("10.9.9.9")],
        pods: Vec::new(),
        workload: None,
        ..client("Unknown", "", "10.9.9.9")
    };
    let port = |port, name: &str| Port { port, protocol: Protocol::Tcp, name: name.into() };
    let db = Server {
        ports: [
            port(PodPort::Number(5432), ""),
            port(PodPort::Number(9187), "metrics"),
            port(PodPort::Name("admin".into()), "admin"),
        ]
        .into(),
        workloads: vec![WorkloadId(1)],
        in_snapshot: Some(true),
        service: Some(0),
        ..server(ServerKind::Service, "shop", "db")
    };
    let external = server(ServerKind::External, "", "=cmd|x.example.org");
    let to_db = "db.shop.svc.cluster.local";
    let lines = Lines { total: 10, queries: 8, other: 1, rejected: [1, 0, 0, 0, 0], fragments: 0 };
    let input = |path: &str| Input {
        path: path.into(),
        is_log: true,
        bytes: 1234,
        lines,
        answered: 7,
        failed: 1,
        unknown: 0,
        outside: 0,
        untimed: 2,
        seen: Some((at("09:00:00"), at("10:00:00"))),
        state: State::Complete,
        problem: None,
        id: 1,
    };
    let torn =
        Input { state: State::Truncated, problem: Some("ends early".into()), ..input("logs/b.gz") };
    let totals = Totals {
        connected: 3,
        client_resolved: 2,
        server_resolved: 3,
        addresses: 2,
        addresses_known: 1,
        ..Totals::default()
    };
    let coverage = cover(&[torn, input("logs/a.txt")], &totals, &[], &small());
    Report {
        connections: vec![
            connection(unknown.clone(), db.clone(), to_db, Status::NoPorts),
            Connection {
                seen: Some((at("09:00:00") + 5, at("10:00:00"))),
                ..connection(
                    client("CronJob", "jobs", "export"),
                    external,
                    "=cmd|x.example.org",
                    Status::Ok,
                )
            },
            Connection {
                status: vec![Status::Widened, Status::LowerBound],
                ..connection(client("CronJob", "jobs", "export"), db, to_db, Status::Ok)
            },
        ],
        failed_lookups: vec![FailedLookup {
            client: unknown.into(),
            name: "dbb.shop.svc.cluster.local".into(),
            rcode: "NXDOMAIN",
            queries: 3,
            lower_bound: true,
        }],
        totals,
        coverage,
    }
}

#[test]
fn table_in_a_pipe_is_whole() {
    check(
        TABLE,
        &report(),
        expect![[r#"
            Warning: logs/b.gz is truncated: what follows is missing (ends early)

            CLIENT                  SERVER                          PORTS                  QUERIES   STATUS
            10.9.9.9 (Unknown)      shop/db                         5432/TCP,9187/TCP,+1     1,200   no ports
            jobs/export (CronJob)   =cmd|x.example.org (External)   -                        1,200   -
            jobs/export (CronJob)   shop/db                         5432/TCP,9187/TCP,+1     1,200   widened, lower bound

            Failed lookups: 1 name only ever failed
            CLIENT               NAME                         RCODE      QUERIES
            10.9.9.9 (Unknown)   dbb.shop.svc.cluster.local   NXDOMAIN       >=3

            Read 2 logs (2.4 KiB): 20 lines, 16 with queries, 2 other, 2 rejected (malformed 2)
            From 2026-04-02T09:00:00Z to 2026-04-02T10:00:00Z; 4 queries have no time
            Client known for 66.6 % of the queries behind all connections, server for 100 %; 1 of 2 client addresses in the snapshot
            CoreDNS replicas: not known (no input's path names a CoreDNS pod of the snapshot)
        "#]],
    );
}

#[test]
fn table_on_a_terminal_fits_and_keeps_both_ends_of_a_name() {
    let write: Write = |report, cluster, out| {
        table::write(report, cluster, Style { width: Some(80), color: false }, out)
    };
    let mut report = report();
    for connection in &mut report.connections {
        let server = Arc::make_mut(&mut connection.server);
        server.name = format!("a-{}-z", server.name.repeat(6));
    }
    let text = written(write, &report);
    let grid: Vec<&str> = text.split("\n\n").nth(1).unwrap().lines().collect();
    assert!(grid.iter().all(|line| line.chars().count() <= 80), "{text}");
    expect![[r#"
        CLIENT                 SERVER                 PORTS        QUERIES  STATUS
        10.9.9.9 (Unknown)     shop/a-dbdbdbdbdbdb-z  5432/TCP,+2    1,200  no ports
        jobs/export (CronJob)  a-=cm…rg-z (External)  -              1,200  -
        jobs/export (CronJob)  shop/a-dbdbdbdbdbdb-z  5432/TCP,+2    1,200  widene…bound
    "#]]
    .assert_eq(&(grid.join("\n") + "\n"));
}

#[test]
fn colour_is_ours_alone_and_only_if_asked_for() {
    let write: Write = |report, cluster, out| {
        table::write(report, cluster, Style { width: None, color: true }, out)
    };
    let plain = written(TABLE, &report());
    let coloured = written(write, &report());
    assert!(!plain.contains('\u{1b}'));
    let codes = ["\u{1b}[1m", "\u{1b}[33m", "\u{1b}[0m"];
    assert_eq!(codes.iter().fold(coloured, |text, code| text.replace(code, "")), plain);
}

#[test]
fn wide_has_everything() {
    check(
        WIDE,
        &report(),
        expect![[r#"
            Warning: logs/b.gz is truncated: what follows is missing (ends early)

            CLIENT                  PODS       ADDRESSES          SERVER                          BEHIND IT       PORTS                         NAMES                       QUERIES   FAILED   ATTEMPTS   FIRST SEEN             LAST SEEN              STATUS                 EVIDENCE
            10.9.9.9 (Unknown)      -          10.9.9.9           shop/db                         Deployment/db   5432/TCP,9187/TCP,admin/TCP   db.shop.svc.cluster.local     1,200        1          8   -                      -                      no ports               logs/a.txt:17
            jobs/export (CronJob)   export-1   10.1.0.7,fd00::7   =cmd|x.example.org (External)   -               -                             =cmd|x.example.org            1,200        1          8   2026-04-02T09:00:00Z   2026-04-02T10:00:00Z   ok                     logs/a.txt:17
            jobs/export (CronJob)   export-1   10.1.0.7,fd00::7   shop/db                         Deployment/db   5432/TCP,9187/TCP,admin/TCP   db.shop.svc.cluster.local     1,200      >=1          8   -                      -                      widened, lower bound   logs/a.txt:17

            Failed lookups: 1 name only ever failed
            CLIENT               NAME                         RCODE      QUERIES
            10.9.9.9 (Unknown)   dbb.shop.svc.cluster.local   NXDOMAIN       >=3

            Read 2 logs (2.4 KiB): 20 lines, 16 with queries, 2 other, 2 rejected (malformed 2)
            From 2026-04-02T09:00:00Z to 2026-04-02T10:00:00Z; 4 queries have no time
            Client known for 66.6 % of the queries behind all connections, server for 100 %; 1 of 2 client addresses in the snapshot
            CoreDNS replicas: not known (no input's path names a CoreDNS pod of the snapshot)
        "#]],
    );
}

#[test]
fn csv_is_the_contract() {
    check(
        csv::write,
        &report(),
        expect![[r#"
            client_kind,client_namespace,client_name,client_ips,server_kind,server_namespace,server_name,ports,names,queries,failed,first_seen,last_seen,status,server_workloads,client_workload
            Unknown,,10.9.9.9,10.9.9.9,Service,shop,db,5432/TCP;9187/TCP;admin/TCP,db.shop.svc.cluster.local,1200,1,,,no ports,Deployment/db,
            CronJob,jobs,export,10.1.0.7;fd00::7,External,,'=cmd|x.example.org,,'=cmd|x.example.org,1200,1,2026-04-02T09:00:00Z,2026-04-02T10:00:00Z,ok,,CronJob/export
            CronJob,jobs,export,10.1.0.7;fd00::7,Service,shop,db,5432/TCP;9187/TCP;admin/TCP,db.shop.svc.cluster.local,1200,1,,,widened;lower bound,Deployment/db,CronJob/export
        "#]],
    );
}

#[test]
fn csv_reads_back_and_long_lists_are_cut() {
    let mut report = report();
    report.connections[0].names =
        (0..103).map(|i| format!("-{i},\"x\".example.org").into()).collect();
    let text = written(csv::write, &report);
    let mut csv = ::csv::Reader::from_reader(text.as_bytes());
    assert_eq!(csv.headers().unwrap(), &csv::COLUMNS[..]);
    let rows: Vec<::csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    let names: Vec<&str> = rows[0].get(8).unwrap().split(';').collect();
    assert_eq!((names.len(), names[0], names[100]), (101, "'-0,\"x\".example.org", "+3"));
}

#[test]
fn a_csv_of_many_rows_is_whole_and_in_order() {
    let mut report = report();
    let of = |octets: [u8; 4]| Client { ips: vec![octets.into()], ..client("Node", "", "a,\"b") };
    let clients = [of([0, 9, 10, 99]), of([100, 101, 200, 255])].map(Arc::new);
    let first = report.connections.remove(0);
    report.connections = (0..5_000)
        .map(|queries| Connection {
            client: Arc::clone(&clients[queries % 2]),
            queries: queries as u64,
            ..first.clone()
        })
        .collect();
    let text = written(csv::write, &report);
    let mut again = ::csv::Writer::from_writer(Vec::new());
    let mut read = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for (at, row) in read.records().map(Result::unwrap).enumerate() {
        again.write_record(&row).unwrap();
        if let Some(number) = at.checked_sub(1) {
            assert_eq!(row[9], number.to_string());
            assert_eq!(row[3], clients[number % 2].ips[0].to_string());
        }
    }
    assert_eq!(String::from_utf8(again.into_inner().unwrap()).unwrap(), text);
    assert_eq!(text.lines().count(), 5_001);
}

#[test]
fn yaml_is_the_same_value() {
    let report = report();
    let yaml: serde_json::Value = serde_yaml::from_str(&written(yaml::write, &report)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&written(json::write, &report)).unwrap();
    assert_eq!(yaml, json);
    let head: String =
        written(yaml::write, &report).lines().take(12).map(|l| format!("{l}\n")).collect();
    expect![[r#"
        apiVersion: kico.dev/v1alpha1
        kind: ConnectionReport
        coverage:
          lines:
            total: 20
            queries: 16
            other: 2
            rejected:
              malformed: 2
              no-client: 0
              bad-address: 0
              too-long: 0
    "#]]
    .assert_eq(&head);
}

#[test]
fn markdown_is_tables_and_one_block() {
    check(
        markdown::write,
        &report(),
        expect![[r#"
            ## Connections

            | Client | Server | Behind it | Ports | Queries | Failed | Last seen | Status |
            | --- | --- | --- | --- | ---: | ---: | --- | --- |
            | `10.9.9.9 (Unknown)` | `shop/db` | `Deployment/db` | `5432/TCP`, `9187/TCP`, `admin/TCP` | 1,200 | 1 |  | no ports |
            | `jobs/export (CronJob)` | `=cmd\x7cx.example.org (External)` |  |  | 1,200 | 1 | 2026-04-02T10:00:00Z | ok |
            | `jobs/export (CronJob)` | `shop/db` | `Deployment/db` | `5432/TCP`, `9187/TCP`, `admin/TCP` | 1,200 | >=1 |  | widened, lower bound |

            ## Failed lookups

            1 name only ever failed.

            | Client | Name | Rcode | Queries |
            | --- | --- | --- | ---: |
            | `10.9.9.9 (Unknown)` | `dbb.shop.svc.cluster.local` | NXDOMAIN | >=3 |

            ## Coverage

            ```text
            - Warning: logs/b.gz is truncated: what follows is missing (ends early)
            - Read 2 logs (2.4 KiB): 20 lines, 16 with queries, 2 other, 2 rejected (malformed 2)
            - From 2026-04-02T09:00:00Z to 2026-04-02T10:00:00Z; 4 queries have no time
            - Client known for 66.6 % of the queries behind all connections, server for 100 %; 1 of 2 client addresses in the snapshot
            - CoreDNS replicas: not known (no input's path names a CoreDNS pod of the snapshot)
            ```
        "#]],
    );
}

#[test]
fn an_empty_report_is_still_one() {
    let report = Report::default();
    check(
        TABLE,
        &report,
        expect![[r#"
            No connections.
        "#]],
    );
    check(
        markdown::write,
        &report,
        expect![[r#"
            ## Connections

            None.
        "#]],
    );
    assert_eq!(written(csv::write, &report), csv::COLUMNS.join(",") + "\n");
    let json: serde_json::Value = serde_json::from_str(&written(json::write, &report)).unwrap();
    assert_eq!(json["connections"], serde_json::json!([]));
    assert!(json.as_object().unwrap().contains_key("convergence"));
}

#[test]
fn summary_says_what_to_distrust_and_what_to_do() {
    expect![[r#"
        3 connections of 2 clients from 16 queries
        1 client is not one workload of the snapshot; 66.6 % of the queries come from clients that are
        1 name only ever failed
        Warning: logs/b.gz is truncated: what follows is missing (ends early)
        2 lines looked like a query and could not be read: --rejects FILE lists them
    "#]]
    .assert_eq(&summary(&report()));
}

#[test]
fn no_format_prints_what_a_terminal_would_obey() {
    let nasty = "a\u{1b}[2J\u{202e}\r\nb\u{7f}\u{9b}|`<x>";
    let mut report = report();
    for connection in &mut report.connections {
        let client = Arc::make_mut(&mut connection.client);
        client.name = nasty.into();
        client.kind = nasty.into();
        client.pods = vec![nasty.into()];
        let server = Arc::make_mut(&mut connection.server);
        server.name = nasty.into();
        connection.names = [nasty.into()].into();
        connection.place.path = nasty.into();
        server.ports = [Port {
            port: PodPort::Name(nasty.into()),
            protocol: Protocol::Udp,
            name: nasty.into(),
        }]
        .into();
    }
    report.failed_lookups[0].name = nasty.into();
    report.totals.other_domains = vec![nasty.into()];
    report.coverage.inputs[0].path = nasty.into();
    report.coverage.inputs[0].problem = Some(nasty.into());
    report.coverage.broken = vec![nasty.into()];
    report.coverage.skipped.insert(nasty.into(), 1);
    let (inputs, totals) = (report.coverage.inputs.clone(), report.totals.clone());
    report.coverage.warnings = cover(&inputs, &totals, &[], &small()).warnings;
    for write in [TABLE, WIDE, csv::write, json::write, yaml::write, markdown::write] {
        let text = written(write, &report);
        assert!(text.bytes().all(|b| b == b'\n' || (0x20..=0x7e).contains(&b)), "{text}");
    }
}

#[test]
fn a_workload_of_any_kind_says_its_namespace() {
    for (kind, namespace, name, expected) in [
        ("Deployment", "shop", "web", "shop/web"),
        ("Namespace", "shop", "shop", "shop"),
        ("Namespace", "shop", "bank", "shop/bank (Namespace)"),
        ("Ambiguous", "", "a/Pod/x;b/Pod/y", "a/Pod/x or b/Pod/y (Ambiguous)"),
        ("Ambiguous", "shop", "x", "shop/x (Ambiguous)"),
        ("StatefulSet.apps.kruise.io", "shop", "db", "shop/db (StatefulSet.apps.kruise.io)"),
    ] {
        let client = Client { candidates: vec![WorkloadId(0); 2], ..client(kind, namespace, name) };
        assert_eq!(client_label(&client), expected);
    }
}
