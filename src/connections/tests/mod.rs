//! What a join must not get wrong: each test is a rule of SEMANTICS 3, 4 or 6 on a cluster of a few objects.

mod asked;
mod lost;
mod parts;
mod views;

use expect_test::{Expect, expect};

use super::*;
use crate::cluster::model::{Corefile, Node, Pod, Snapshot};
use crate::cluster::tests_support::*;
use crate::log::record::{Kind, QType, Rcode};
use crate::log::tally::{KindCounts, Numbers, Row, Sighting};

/// `10.1.0.7 NAME A=2 AAAA/NXDOMAIN=1 @10:00:00-10:05:00`: no rcode is NOERROR, no `@` is no time.
fn row(line: usize, text: &str, names: &mut Numbers) -> Row {
    let mut words = text.split_whitespace();
    let (client, name) = (ip(words.next().unwrap()), names.of(words.next().unwrap()));
    let mut row = Row {
        client,
        name,
        counts: KindCounts::new(),
        sighting: Sighting { seen: None, path: 0, line: line as u64 + 1 },
        answered: None,
    };
    for word in words {
        if let Some((first, last)) = word.strip_prefix('@').and_then(|times| times.split_once('-'))
        {
            row.sighting.seen = Some((at(first), at(last)));
            continue;
        }
        let (kind, count) = word.split_once('=').unwrap();
        let (qtype, rcode) = kind.split_once('/').unwrap_or((kind, "NOERROR"));
        let (qtype, rcode) = (QType::of(qtype.as_bytes()), Rcode::of(rcode.as_bytes()));
        row.counts.push((Kind { qtype, rcode }, count.parse().unwrap()));
    }
    row
}

fn tally(rows: &[&str]) -> Tally {
    let mut names = Numbers::default();
    let rows = rows.iter().enumerate().map(|(line, text)| row(line, text, &mut names)).collect();
    let mut paths = Numbers::default();
    paths.of("a.log");
    Tally::of(rows, names, paths)
}

/// `shop/Deployment/web` asks for `shop/db` (5432, 9187) and nobody else lives there but a CronJob in jobs, a node, a
/// headless StatefulSet, an ExternalName.
fn small() -> Snapshot {
    let web = |name, address| owned(pod("shop", name, address), "Deployment", "web", "app=web");
    let db = Pod {
        containers: vec![container("pg:5432 metrics:9187")],
        ..owned(pod("shop", "db-7d-x", "10.1.0.20"), "Deployment", "db", "app=db")
    };
    let peer = |name: &str, address: &str| Pod {
        containers: vec![container("raft:7000")],
        ..owned(pod("data", name, address), "StatefulSet", "store", "app=store")
    };
    let mut mail = service("shop", "mail", "", "");
    mail.kind = "ExternalName".into();
    Snapshot {
        pods: vec![
            web("web-6c-a", "10.1.0.7 fd00:1::7"),
            web("web-6c-b", "10.1.0.8"),
            owned(pod("jobs", "report-1", "10.1.0.9"), "CronJob", "report", "app=report"),
            db,
            peer("store-0", "10.1.0.30"),
            peer("store-1", "10.1.0.31"),
        ],
        services: vec![
            service("shop", "db", "app=db", "pg:5432:5432 metrics:9187:9187"),
            service("data", "store", "app=store", ""),
            service("data", "bare", "app=none", ""),
            mail,
        ],
        nodes: vec![Node {
            addresses: vec![ip("192.168.0.1")],
            meta: meta("", "node-a"),
            ..Node::default()
        }],
        namespaces: vec![meta("", "shop"), meta("", "jobs"), meta("", "data")],
        ..Snapshot::default()
    }
}

fn show(report: &Report) -> String {
    let mut out = String::new();
    for connection in &report.connections {
        let Connection { client, server, queries, lookups, failed, attempts, .. } = connection;
        let pods = client.pods.join(",");
        let status: Vec<_> = connection.status.iter().map(|s| s.word()).collect();
        let ports: Vec<String> = server.ports.iter().map(|p| format!("{:?}", p.port)).collect();
        out += &format!(
            "{} {}/{} [{pods}] -> {} {}/{} {:?} {:?}: {queries} queries, {lookups} lookups, {failed} failed, \
             {attempts} attempts, {}\n",
            client.kind,
            client.namespace,
            client.name,
            server.kind.word(),
            server.namespace,
            server.name,
            ports,
            connection.names,
            status.join("; "),
        );
    }
    for lookup in &report.failed_lookups {
        let FailedLookup { client, name, rcode, queries, lower_bound } = lookup;
        let least = if *lower_bound { "at least " } else { "" };
        out += &format!(
            "{}/{} failed {name} {rcode}: {least}{queries}\n",
            client.namespace, client.name
        );
    }
    out
}

fn check(snapshot: Snapshot, rows: &[&str], expected: Expect) -> Report {
    check_with(snapshot, rows, Options::default(), expected)
}

fn check_with(snapshot: Snapshot, rows: &[&str], options: Options<'_>, expected: Expect) -> Report {
    let report = join(&tally(rows), &cluster(snapshot), options);
    expected.assert_eq(&show(&report));
    report
}

#[test]
fn pods_of_one_workload_are_one_client_and_a_and_aaaa_are_one_lookup() {
    let report = check(
        small(),
        &[
            "10.1.0.7 db.shop.svc.cluster.local A=2 AAAA=3 @10:00:00-10:10:00",
            "10.1.0.8 db.shop.svc.cluster.local A=1 A/SERVFAIL=1 @09:00:00-10:05:00",
            "fd00:1::7 db.shop.svc.cluster.local A/SERVFAIL=1 @08:00:00-08:05:00",
            "10.1.0.9 db.shop.svc.cluster.local A=1",
        ],
        expect![[r#"
            CronJob jobs/report [report-1] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Deployment shop/web [web-6c-a,web-6c-b] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 6 queries, 4 lookups, 2 failed, 0 attempts, ok
        "#]],
    );
    let web = report.connections.last().unwrap();
    // Only answered rows are evidence: the address that failed is not among them.
    assert_eq!(web.client.ips, [ip("10.1.0.7"), ip("10.1.0.8")]);
    assert_eq!(web.seen, Some((at("09:00:00"), at("10:10:00"))));
    assert_eq!(web.place.line, 2);
    assert_eq!(report.totals.records, [7, 2, 0]);
    assert_eq!((report.totals.connected, report.totals.client_resolved), (7, 7));
    assert_eq!((report.totals.addresses, report.totals.addresses_known), (4, 4));
}

#[test]
fn types_that_do_not_ask_for_an_address_and_odd_names_make_no_connection() {
    let report = check(
        small(),
        &[
            "10.1.0.7 7.0.1.10.in-addr.arpa PTR=4 A=1",
            "10.1.0.7 db.shop.svc.cluster.local PTR=1 TXT=2 TXT/NXDOMAIN=9",
            "10.1.0.7 shop.svc.cluster.local A=1",
            "10.1.0.7 . NS=1 A=1",
            "10.1.0.7 1.2.3 HINFO/NXDOMAIN=1",
            "10.1.0.8 db.shop.svc.cluster.local SRV=1 HTTPS=2 TYPE65=3",
        ],
        expect![[r#"
            Deployment shop/web [web-6c-b] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 6 queries, 6 lookups, 0 failed, 0 attempts, ok
        "#]],
    );
    assert_eq!(report.totals.not_connections, 11);
}

#[test]
fn srv_names_alone_ask_for_their_ports_only() {
    check(
        small(),
        &[
            "10.1.0.7 _pg._tcp.db.shop.svc.cluster.local SRV=1",
            "10.1.0.9 _pg._tcp.db.shop.svc.cluster.local SRV=1",
            "10.1.0.9 db.shop.svc.cluster.local A=1",
        ],
        expect![[r#"
            CronJob jobs/report [report-1] -> Service shop/db ["Number(5432)", "Number(9187)"] ["_pg._tcp.db.shop.svc.cluster.local", "db.shop.svc.cluster.local"]: 2 queries, 2 lookups, 0 failed, 0 attempts, ok
            Deployment shop/web [web-6c-a] -> Service shop/db ["Number(5432)"] ["_pg._tcp.db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
        "#]],
    );
}

#[test]
fn every_status_is_said() {
    check(
        small(),
        &[
            "10.1.0.7 store-0.store.data.svc.cluster.local A=1",
            "10.1.0.7 bare.data.svc.cluster.local A=1",
            "10.1.0.7 gone.shop.svc.cluster.local A=1",
            "10.1.0.7 mail.shop.svc.cluster.local A=1",
            "10.1.0.7 api.example.org A=1",
            "10.1.0.7 api.example.net A/NXDOMAIN=2",
        ],
        expect![[r#"
            Deployment shop/web [web-6c-a] -> External /api.example.org [] ["api.example.org"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Deployment shop/web [web-6c-a] -> Service data/bare [] ["bare.data.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, no ports
            Deployment shop/web [web-6c-a] -> Service data/store ["Number(7000)"] ["store-0.store.data.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, widened
            Deployment shop/web [web-6c-a] -> Service shop/gone [] ["gone.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot
            Deployment shop/web [web-6c-a] -> Service shop/mail [] ["mail.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, external name
            shop/web failed api.example.net NXDOMAIN: 2
        "#]],
    );
}

#[test]
fn an_outcome_that_the_log_does_not_say_is_evidence_of_what_the_snapshot_has() {
    check(
        small(),
        &[
            "10.1.0.7 db.shop.svc.cluster.local A/?=3",
            "10.1.0.7 gone.shop.svc.cluster.local A/?=3",
            "10.1.0.7 api.example.org A/?=3 A/NXDOMAIN=1",
            "10.1.0.9 db.shop.svc.cluster.local A=1",
            "10.1.0.9 _pg._tcp.db.shop.svc.cluster.local SRV/?=1",
        ],
        expect![[r#"
            CronJob jobs/report [report-1] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Deployment shop/web [web-6c-a] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 0 queries, 0 lookups, 0 failed, 0 attempts, outcome unknown
        "#]],
    );
}

#[test]
fn pod_names_are_whoever_held_the_address() {
    check(
        small(),
        &[
            "10.1.0.7 10-1-0-20.shop.pod.cluster.local A=1",
            "10.1.0.7 10-1-0-99.shop.pod.cluster.local A=1",
            "10.1.0.7 192-168-0-1.shop.pod.cluster.local A=1",
        ],
        expect![[r#"
            Deployment shop/web [web-6c-a] -> Pod shop/10.1.0.99 [] ["10-1-0-99.shop.pod.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot
            Deployment shop/web [web-6c-a] -> Pod shop/192.168.0.1 [] ["192-168-0-1.shop.pod.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot
            Deployment shop/web [web-6c-a] -> Pod shop/db-7d-x ["Number(5432)", "Number(9187)"] ["10-1-0-20.shop.pod.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
        "#]],
    );
}

#[test]
fn search_path_attempts_are_neither_failures_nor_names() {
    let mut snapshot = small();
    snapshot.pods[0].searches = vec!["corp.example.".into()];
    check(
        snapshot,
        &[
            "10.1.0.7 api.example.org.shop.svc.cluster.local A/NXDOMAIN=1 AAAA/NXDOMAIN=1",
            "10.1.0.7 api.example.org.svc.cluster.local A/NXDOMAIN=1 AAAA/NXDOMAIN=1",
            "10.1.0.7 api.example.org.cluster.local A/NXDOMAIN=1 AAAA/NXDOMAIN=1",
            "10.1.0.7 api.example.org.corp.example A/NXDOMAIN=1 AAAA/NXDOMAIN=1",
            "10.1.0.7 api.example.org A=1 AAAA/SERVFAIL=1",
            "10.1.0.8 cach.shop.svc.cluster.local A/SERVFAIL=1",
            "10.1.0.8 cach.svc.cluster.local A/NXDOMAIN=1",
            "10.1.0.8 cach.cluster.local A/NXDOMAIN=1",
            "10.1.0.8 dbb.data.shop.svc.cluster.local A/NXDOMAIN=2",
            "10.1.0.8 dbb.data.svc.cluster.local A/NXDOMAIN=2",
            "10.1.0.8 slow.example.net A/-=1 A/NXDOMAIN=1",
        ],
        expect![[r#"
            Deployment shop/web [web-6c-a] -> External /api.example.org [] ["api.example.org"]: 1 queries, 1 lookups, 1 failed, 8 attempts, ok
            shop/web failed cach.shop.svc.cluster.local NXDOMAIN: 3
            shop/web failed dbb.data.svc.cluster.local NXDOMAIN: 4
            shop/web failed slow.example.net -: 2
        "#]],
    );
}

#[test]
fn who_is_not_one_workload_is_named_for_what_it_is() {
    let mut snapshot = small();
    let held =
        |name: &str, kind: &str, top: &str| owned(pod("shop", name, "10.1.0.50"), kind, top, "");
    snapshot.pods.push(held("one", "Deployment", "one"));
    snapshot.pods.push(held("two", "Deployment", "two"));
    let report = check(
        snapshot,
        &[
            "10.1.0.50 db.shop.svc.cluster.local A=1",
            "10.9.9.9 db.shop.svc.cluster.local A=1",
            "127.0.0.1 db.shop.svc.cluster.local A=1",
            "192.168.0.1 db.shop.svc.cluster.local A=1",
        ],
        expect![[r#"
            Ambiguous /shop/Deployment/one;shop/Deployment/two [] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Loopback /127.0.0.1 [] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Node /node-a [] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Unknown /10.9.9.9 [] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
        "#]],
    );
    assert_eq!(report.connections[0].client.candidates.len(), 2);
    assert_eq!(report.totals.client_resolved, 0);
    assert_eq!((report.totals.addresses, report.totals.addresses_known), (3, 2));
    assert_eq!((report.totals.node_queries, report.totals.ambiguous_queries), (1, 1));
}

#[test]
fn an_address_that_changed_hands_is_who_held_it_at_that_time() {
    let old = until(
        since(owned(pod("jobs", "old", "10.1.0.60"), "Job", "old", ""), "09:00:00"),
        "09:30:00",
    );
    let new = since(owned(pod("shop", "new", "10.1.0.60"), "Deployment", "new", ""), "10:00:00");
    let mut snapshot = small();
    snapshot.pods.extend([old, new]);
    let report = check(
        snapshot,
        &[
            "10.1.0.60 db.shop.svc.cluster.local A=1 @09:10:00-09:20:00",
            "10.1.0.60 db.shop.svc.cluster.local A=2 @09:40:00-09:41:00",
            "10.1.0.60 db.shop.svc.cluster.local A=8",
            "10.1.0.60 _pg._tcp.db.shop.svc.cluster.local SRV=1 @10:30:00-10:40:00",
            "10.1.0.60 store.data.svc.cluster.local A=1",
        ],
        expect![[r#"
            Unknown /10.1.0.60 [] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 2 queries, 2 lookups, 0 failed, 0 attempts, ok
            Job jobs/old [old] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Deployment shop/new [new] -> Service data/store ["Number(7000)"] ["store.data.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, shared address
            Deployment shop/new [new] -> Service shop/db ["Number(5432)", "Number(9187)"] ["_pg._tcp.db.shop.svc.cluster.local", "db.shop.svc.cluster.local"]: 9 queries, 9 lookups, 0 failed, 0 attempts, shared address
        "#]],
    );
    // What stands on shared addresses alone proves nothing; beside it, what is sure proves only its own ports.
    let proofs: Vec<_> = report.connections.iter().rev().take(2).map(|c| &c.proof).collect();
    let pg = proofs[0].as_ref().unwrap();
    assert_eq!(pg.names[..], ["_pg._tcp.db.shop.svc.cluster.local".into()]);
    assert_eq!(pg.ports.len(), 1);
    assert_eq!(*proofs[1], None);
}

#[test]
fn with_pods_alone_the_one_workload_of_that_name_is_inferred() {
    let snapshot = Snapshot { services: Vec::new(), ..small() };
    check(
        snapshot,
        &["10.1.0.7 db.shop.svc.cluster.local A=1", "10.1.0.7 gone.shop.svc.cluster.local A=1"],
        expect![[r#"
            Deployment shop/web [web-6c-a] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot; selector inferred
            Deployment shop/web [web-6c-a] -> Service shop/gone [] ["gone.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot
        "#]],
    );
}

#[test]
fn another_cluster_domain_is_noticed_and_never_chosen() {
    let mut snapshot = small();
    snapshot.corefiles.push(Corefile {
        namespace: "kube-system".into(),
        name: "coredns".into(),
        text: ". {\n kubernetes cluster.local\n}\n".into(),
    });
    let report = check(
        snapshot,
        &[
            "10.1.0.7 kubernetes.default.svc.corp.internal A=1",
            "10.1.0.7 kubernetes.default.svc.gone.internal A/NXDOMAIN=1",
            "10.1.0.7 kubernetes.default.svc.cluster.local A=1",
        ],
        expect![[r#"
            Deployment shop/web [web-6c-a] -> External /kubernetes.default.svc.corp.internal [] ["kubernetes.default.svc.corp.internal"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            Deployment shop/web [web-6c-a] -> Service default/kubernetes [] ["kubernetes.default.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot
            shop/web failed kubernetes.default.svc.gone.internal NXDOMAIN: 1
        "#]],
    );
    assert_eq!(report.totals.other_domains, ["corp.internal"]);
}

#[test]
fn a_failed_name_is_shown_in_the_domain_that_it_was_asked_for_in() {
    let tally = tally(&[
        "10.1.0.7 gone.shop.svc.corp.internal A/NXDOMAIN=1",
        "10.1.0.7 lost.shop.svc.cluster.local A/NXDOMAIN=1",
    ]);
    let domains = ["cluster.local".to_owned(), "corp.internal".to_owned()];
    let report = join(&tally, &Cluster::new(small(), &domains), Options::default());
    let names: Vec<&str> = report.failed_lookups.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["gone.shop.svc.corp.internal", "lost.shop.svc.cluster.local"]);
}

#[test]
fn the_domain_that_most_clients_ask_for_comes_first() {
    let tally = tally(&[
        "10.1.0.7 kubernetes.default.svc.a.evil.com A=99",
        "10.1.0.7 kubernetes.default.svc.b.evil.com A=99",
        "10.1.0.7 kubernetes.default.svc.z.internal A=1",
        "10.1.0.8 kubernetes.default.svc.z.internal A=1",
    ]);
    let report = join(&tally, &cluster(small()), Options::default());
    assert_eq!(report.totals.other_domains, ["z.internal", "a.evil.com", "b.evil.com"]);
}

proptest::proptest! {
    /// Order of rows decides nothing: whatever the join is given twice, it gives back twice as much.
    #[test]
    fn doubling_every_row_doubles_every_count(picks in proptest::collection::vec(0..ROWS.len(), 1..8)) {
        let mut picks = picks;
        picks.sort_unstable();
        picks.dedup();
        let rows: Vec<&str> = picks.iter().map(|at| ROWS[*at]).collect();
        let made = cluster(small());
        let once = tally(&rows);
        let mut twice = once.clone();
        for row in &mut twice.rows {
            for (_, count) in &mut row.counts {
                *count *= 2;
            }
        }
        let (once, twice) = (join(&once, &made, Options::default()), join(&twice, &made, Options::default()));
        let counts = |report: &Report, factor: u64| {
            let rows = report.connections.iter();
            let rows = rows.map(|c| [c.queries, c.lookups, c.failed, c.attempts].map(|n| n * factor));
            let failed = report.failed_lookups.iter().map(|f| f.queries * factor);
            (rows.collect::<Vec<_>>(), failed.collect::<Vec<_>>())
        };
        proptest::prop_assert_eq!(counts(&once, 2), counts(&twice, 1));
        // Every record has one place.
        let failed: u64 = once.connections.iter().map(|c| c.failed + c.attempts).sum::<u64>()
            + once.failed_lookups.iter().map(|f| f.queries).sum::<u64>();
        proptest::prop_assert_eq!(failed, once.totals.records[1]);
        proptest::prop_assert_eq!(once.totals.connected + once.totals.not_connections, once.totals.records[0]);
    }
}

const ROWS: [&str; 10] = [
    "10.1.0.7 db.shop.svc.cluster.local A=3 A/SERVFAIL=1",
    "10.1.0.8 db.shop.svc.cluster.local A=2 AAAA=2",
    "10.1.0.7 db.svc.cluster.local A/NXDOMAIN=5",
    "10.1.0.7 api.example.org.shop.svc.cluster.local A/NXDOMAIN=2",
    "10.1.0.7 api.example.org.svc.cluster.local A/NXDOMAIN=2",
    "10.1.0.7 api.example.org A=2",
    "10.1.0.9 store-0.store.data.svc.cluster.local A=1",
    "10.1.0.9 nope A/NXDOMAIN=1",
    "10.9.9.9 10-1-0-20.shop.pod.cluster.local A=1 A/NXDOMAIN=1",
    "192.168.0.1 shop.svc.cluster.local A=1",
];
