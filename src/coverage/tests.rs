//! What a reader must be told, and in which order.

use super::*;
use crate::cluster::model::{Meta, Snapshot};
use crate::cluster::tests_support::{at, cluster, labels, pod};
use crate::log::tally::GivenUp;

fn input(path: &str, answered: u64, failed: u64) -> Input {
    Input {
        path: path.into(),
        is_log: true,
        bytes: 2048,
        lines: Lines { total: answered + failed, queries: answered + failed, ..Lines::default() },
        answered,
        failed,
        unknown: 0,
        outside: 0,
        untimed: 0,
        seen: Some((at("09:00:00"), at("10:00:00"))),
        state: State::Complete,
        problem: None,
        id: 0,
    }
}

fn made() -> Cluster {
    let dns = |name: &str, app: &str| Pod {
        meta: Meta { labels: labels(app), ..pod("kube-system", name, "").meta },
        ..pod("kube-system", name, "")
    };
    cluster(Snapshot {
        pods: vec![
            dns("coredns-5dd-aaaaa", "k8s-app=kube-dns"),
            dns("coredns-5dd-bbbbb", "k8s-app=kube-dns"),
            dns("node-local-dns-x", "k8s-app=node-local-dns"),
            Pod { phase: "Succeeded".into(), ..dns("coredns-5dd-ccccc", "k8s-app=kube-dns") },
        ],
        ..Snapshot::default()
    })
}

/// Every warning must begin as `expected` says, in that order.
fn check(inputs: &[Input], totals: &Totals, lost: &[Lost], expected: &[&str]) -> Coverage {
    let coverage = cover(inputs, totals, lost, &made());
    let fits =
        coverage.warnings.iter().zip(expected).all(|(warning, start)| warning.starts_with(start));
    assert!(fits && coverage.warnings.len() == expected.len(), "{:#?}", coverage.warnings);
    coverage
}

#[test]
fn nothing_odd_is_no_warning_and_the_sums_are_right() {
    let logs = [input("b/coredns-5dd-bbbbb.txt", 10, 1), input("a/coredns-5dd-aaaaa.txt", 5, 0)];
    let coverage = check(&logs, &Totals::default(), &[], &[]);
    assert_eq!(coverage.queries, [15, 1, 0]);
    assert_eq!(coverage.lines.total, 16);
    assert_eq!(coverage.inputs[0].path, "a/coredns-5dd-aaaaa.txt");
    assert_eq!(coverage.seen, Some((at("09:00:00"), at("10:00:00"))));
    let logged = ["coredns-5dd-aaaaa".to_owned(), "coredns-5dd-bbbbb".to_owned()];
    assert_eq!(coverage.replicas, Some(Replicas { logged: logged.into(), missing: Vec::new() }));
}

#[test]
fn the_worst_comes_first() {
    let unknown = Lines { total: 3, rejected: [0, 0, 0, 0, 3], ..Lines::default() };
    let inputs = [
        Input { lines: unknown, state: State::Changed, ..input("coredns-5dd-aaaaa.log", 0, 7) },
        Input { state: State::Grew, ..input("z", 0, 0) },
    ];
    let totals = Totals {
        addresses: 100,
        addresses_known: 4,
        other_domains: vec!["corp.internal".into()],
        cache_queries: 1,
        lost_clients: vec!["shop/web".into()],
        ..Totals::default()
    };
    let lost =
        [Lost { client: None, given_up: GivenUp { records: [1, 2, 3], of_cluster: 0 }, names: 5 }];
    check(
        &inputs,
        &totals,
        &lost,
        &[
            "logs and snapshot may be of different clusters: of 100 client addresses only 4 are",
            "no lookup succeeded (7 failed)",
            "kubernetes.default.svc.corp.internal was answered",
            "coredns-5dd-aaaaa.log is changed",
            "1 CoreDNS replica without a log among the inputs, and what was asked there is not in this report: \
             coredns-5dd-bbbbb",
            "1 query is from NodeLocal DNSCaches",
            "3 lines of CoreDNS are in a format",
            "1 client asked for more names than --max-names keeps: 6 queries are of about 5 names in sums only \
             (shop/web)",
        ],
    );
}

#[test]
fn what_could_not_be_read_was_not_read() {
    let gone = Input { bytes: 0, state: State::Unreadable, ..input("gone.txt", 0, 0) };
    let notes = cover(&[input("a", 1, 0), gone], &Totals::default(), &[], &made()).notes;
    assert!(notes[0].starts_with("Read 1 log (2.0 KiB): 1 line, "), "{notes:?}");
}

/// Whoever owns a wildcard domain chooses what is answered: no command that is to be copied holds it as it stands.
#[test]
fn a_made_up_domain_stands_in_no_command() {
    let warned = |domains: &[&str]| {
        let other_domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        let totals = Totals { other_domains, ..Totals::default() };
        cover(&[input("a", 1, 0)], &totals, &[], &made()).warnings
    };
    for odd in [
        "$(rm -rf ~).evil.com",
        "a`id`.evil.com",
        "x;id",
        "-x.evil.com",
        "a..b",
        r"a\032b",
        "a|b.c",
    ] {
        assert_eq!(
            warned(&[odd, "corp.internal", "b\u{7f}"]),
            [
                "kubernetes.default.svc.corp.internal was answered: if corp.internal is this cluster's domain, say so \
                 with --cluster-domain corp.internal"
                    .to_owned(),
                format!(
                    "kubernetes.default.svc.X was answered for an X that can be no cluster's domain: {odd}, and 1 more \
                     like it"
                ),
            ],
        );
    }
    let many: Vec<String> = (0..300).map(|n| format!("x{n}.evil.com")).collect();
    let many = warned(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(many.len(), 4, "{many:#?}");
    assert!(many[0].ends_with("--cluster-domain x0.evil.com"), "{many:#?}");
    assert_eq!(many[3], "kubernetes.default.svc.X was answered for 297 more domains");
    assert_eq!(warned(&["a.b", "c.d", "e.f"]).len(), 3);
}

#[test]
fn five_percent_of_the_addresses_are_enough() {
    let totals = Totals { addresses: 100, addresses_known: 5, ..Totals::default() };
    check(&[input("a", 1, 0)], &totals, &[], &[]);
    let none = Totals { addresses: 3, ..Totals::default() };
    let warned = check(&[input("a", 1, 0)], &none, &[], &["logs and snapshot may be"]);
    assert!(warned.warnings[0].contains("none is"), "{:?}", warned.warnings);
    // Without a snapshot nothing can be of another cluster.
    let bare = Cluster::new(Snapshot::default(), &[]);
    assert!(cover(&[input("a", 1, 0)], &none, &[], &bare).warnings.is_empty());
}

#[test]
fn replicas_are_known_only_if_a_path_names_one() {
    let coverage = check(&[input("all.txt", 1, 0)], &Totals::default(), &[], &[]);
    assert_eq!(coverage.replicas, None);
    assert!(coverage.notes.iter().any(|note| note.starts_with("CoreDNS replicas: not known")));
}

#[test]
fn a_path_names_a_pod_as_a_whole_word() {
    for path in
        ["coredns-a.txt", "x/coredns-a/0.log", "kube-system_coredns-a_uid/0.log", "coredns-a"]
    {
        assert!(names(path, "coredns-a"), "{path}");
    }
    for path in ["coredns-ab.txt", "my-coredns-a.txt", "coredns-a-1.txt", "coredns", ""] {
        assert!(!names(path, "coredns-a"), "{path}");
    }
}

#[test]
fn two_logs_of_one_pod_over_one_time_are_said() {
    let later = Some((at("10:00:00"), at("11:00:00")));
    let inside = Some((at("09:30:00"), at("09:40:00")));
    let both = [input("x/coredns-5dd-aaaaa.txt", 1, 0), input("y/coredns-5dd-aaaaa.txt", 1, 0)];
    let replica = "1 CoreDNS replica without";
    let warned =
        check(&both, &Totals::default(), &[], &[replica, "x/coredns-5dd-aaaaa.txt and y/"]);
    assert!(warned.warnings[1].contains("inflated"));
    let [first, second] = both;
    let second = Input { seen: inside, ..second };
    check(&[first.clone(), second.clone()], &Totals::default(), &[], &[replica, "x/"]);
    let second = Input { seen: later, ..second };
    check(&[first.clone(), second.clone()], &Totals::default(), &[], &[replica]);
    // A log without times may overlap or not: not known, not said.
    check(&[first, Input { seen: None, ..second }], &Totals::default(), &[], &[replica]);
}

#[test]
fn logs_without_times_say_how_to_get_them() {
    let untimed = Input { seen: None, untimed: 1, ..input("a", 1, 0) };
    let coverage = cover(&[untimed], &Totals::default(), &[], &made());
    assert!(coverage.notes.iter().any(|note| note.contains("kubectl logs --timestamps")));
}

#[test]
fn numbers_are_for_people() {
    let shares = [(0, 3), (1, 100_000), (2, 3), (99_999, 100_000), (3, 3), (0, 0)];
    let shown: Vec<String> = shares.iter().map(|(part, whole)| percent(*part, *whole)).collect();
    assert_eq!(shown, ["0 %", "0.1 %", "66.6 %", "99.9 %", "100 %", "100 %"]);
    assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    assert_eq!(
        [0, 1023, 1024, 1_500_000, u64::MAX].map(size),
        ["0 B", "1023 B", "1.0 KiB", "1.4 MiB", "16777215.9 TiB"]
    );
}
