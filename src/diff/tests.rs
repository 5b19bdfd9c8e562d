//! What a comparison must not get wrong: sides of a few connections, made of words.

use proptest::prelude::*;

use super::*;
use crate::connections::filter::Filters;
use crate::time::parse;

fn at(clock: &str) -> Time {
    parse(&format!("2026-04-02T{clock}Z")).unwrap()
}

/// `shop/api db 12`, `? db 1`: client, Service in `data`, lookups.
fn connection(text: &str) -> (Client, Server, Sighting) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (client, clients) = match words[0].split_once('/') {
        Some((namespace, name)) => side::client("Deployment", namespace, name),
        None => side::client("Unknown", "", words[0]),
    };
    let lookups = words[2].parse().unwrap();
    let server =
        Server { kind: ServerKind::Service, namespace: "data".into(), name: words[1].into() };
    (client, server, Sighting { lookups, queries: 2 * lookups, clients, ..Sighting::default() })
}

/// A side with a snapshot, read whole, over one hour.
fn side(connections: &[&str]) -> Side {
    let about = About {
        path: "logs".into(),
        snapshot: true,
        whole: true,
        seen: Some((at("09:00:00"), at("10:00:00"))),
        records: 100,
        ..About::default()
    };
    Side::new(about, connections.iter().map(|text| connection(text)).collect())
}

fn shown(diff: &Diff) -> Vec<String> {
    let label = |sign: &str, row: &Row| {
        let client = match &row.client {
            Client::Anyone => "*".into(),
            Client::Unresolved => "?".into(),
            Client::Workload { namespace, name, .. } => format!("{namespace}/{name}"),
        };
        let doubt = if row.doubtful { "?" } else { "" };
        format!("{sign}{doubt} {client} {}", row.server.name)
    };
    let appeared = diff.appeared.iter().map(|row| label("+", row));
    let vanished = diff.vanished.iter().map(|row| label("-", row));
    let changed = diff.changed.iter().map(|row| label("~", row));
    appeared.chain(vanished).chain(changed).collect()
}

#[track_caller]
fn check(old: &Side, new: &Side, expected: &[&str]) -> Diff {
    let diff = compare(old.clone(), new.clone(), &Words::default());
    assert_eq!(shown(&diff), expected);
    diff
}

#[track_caller]
fn check_cautions(diff: &Diff, expected: &[&str]) {
    let fits = diff.cautions.iter().zip(expected).all(|(caution, part)| caution.contains(part));
    assert!(fits && diff.cautions.len() == expected.len(), "{:#?}", diff.cautions);
}

#[test]
fn what_only_one_side_has_appeared_or_vanished() {
    let diff = check(
        &side(&["shop/api db 5", "shop/old db 5"]),
        &side(&["shop/api db 5", "shop/new db 5"]),
        &["+ shop/new db", "- shop/old db"],
    );
    assert!(diff.found());
    assert_eq!(diff.unchanged, 1);
    check_cautions(&diff, &[]);
}

#[test]
fn a_rate_has_changed_from_a_factor_of_ten_on() {
    let old = side(&["shop/api db 10"]);
    for (lookups, changed) in [(1, true), (2, false), (10, false), (99, false), (100, true)] {
        let text = format!("shop/api db {lookups}");
        let expected: &[&str] = if changed { &["~ shop/api db"] } else { &[] };
        let diff = check(&old, &side(&[&text]), expected);
        assert!(!diff.found(), "a changed rate alone is no finding");
    }
}

#[test]
fn a_rate_is_by_the_hour_of_its_own_side() {
    let old = side(&["shop/api db 100"]);
    let mut new = side(&["shop/api db 100"]);
    new.about.seen = Some((at("10:00:00"), at("10:06:00")));
    let diff = check(&old, &new, &["~ shop/api db"]);
    assert_eq!(diff.rate.rates([100, 100]), [100.0, 1000.0]);
    check_cautions(&diff, &["NEW covers 6 minutes, OLD 60 minutes: what vanished"]);
}

#[test]
fn without_times_a_rate_is_a_share_of_all_lookups() {
    let old = side(&["shop/api db 10", "shop/web db 10"]);
    let mut new = side(&["shop/api db 100", "shop/web db 100"]);
    check(&old, &new, &["~ shop/api db", "~ shop/web db"]);
    new.about.seen = None;
    check_cautions(&check(&old, &new, &[]), &["NEW has no times"]);
    // A few records without a time do not matter; many do.
    let mut mixed = side(&["shop/api db 100", "shop/web db 100"]);
    mixed.about.untimed = 10;
    check(&old, &mixed, &["~ shop/api db", "~ shop/web db"]);
    mixed.about.untimed = 11;
    check(&old, &mixed, &[]);
}

#[test]
fn what_has_no_lookups_has_no_rate() {
    check(&side(&["shop/api db 0"]), &side(&["shop/api db 50"]), &[]);
}

#[test]
fn clients_that_are_no_workload_are_one_row_a_server() {
    let old = side(&["10.1.0.7 db 4", "10.1.0.8 db 4"]);
    let new = side(&["10.1.0.9 db 7", "10.1.0.9 cache 1"]);
    let diff = check(&old, &new, &["+ ? cache"]);
    check_cautions(&diff, &["one row a server: 2 of OLD, 1 of NEW"]);
    let [row] = diff.appeared.as_slice() else { panic!("one row") };
    let of = row.new.as_ref().map(|sighting| sighting.clients.len());
    assert_eq!(of, Some(1));
}

#[test]
fn a_client_that_may_hide_behind_an_unresolved_one_is_doubtful() {
    let diff = check(
        &side(&["shop/api db 4", "shop/web cache 4"]),
        &side(&["10.1.0.9 db 4"]),
        &["+? ? db", "-? shop/api db", "- shop/web cache"],
    );
    check_cautions(&diff, &["one row a server", "2 rows with a ?"]);
}

#[test]
fn a_side_without_workloads_leaves_the_servers() {
    let mut old = side(&["10.1.0.7 db 4", "10.1.0.7 old 4"]);
    old.about.snapshot = false;
    let new = side(&["shop/api db 2", "shop/web db 2", "shop/web new 1"]);
    let diff = check(&old, &new, &["+ * new", "- * old"]);
    assert!(diff.by_server);
    check_cautions(&diff, &["OLD does not have a snapshot"]);
}

/// Client, namespace, pod, names: asked for four times.
fn pod(client: &str, namespace: &str, name: &str, names: &[&str]) -> (Client, Server, Sighting) {
    let (client, _, mut sighting) = connection(&format!("{client} db 4"));
    sighting.names = names.iter().map(ToString::to_string).collect();
    let server = Server { kind: ServerKind::Pod, namespace: namespace.into(), name: name.into() };
    (client, server, sighting)
}

#[test]
fn without_workloads_two_pods_that_had_an_address_in_turn_are_two() {
    let name = |address: &str| format!("{address}.data.pod.cluster.local");
    let [four, two, three] = ["10-1-0-9", "fd00--2", "fd00--3"].map(name);
    let mut old = side(&[]);
    old.connections = vec![
        pod("shop/x", "data", "b-1", &[&four, &two]),
        pod("shop/y", "data", "c-1", &[&four, &three]),
    ];
    let mut new = side(&[]);
    new.about.snapshot = false;
    let ask = |new: &mut Side, names: &[(&str, &str, u64)]| {
        let of = |(address, name, lookups): &(&str, &str, u64)| {
            let (client, server, sighting) = pod("?", "data", address, &[name]);
            (client, server, Sighting { lookups: *lookups, ..sighting })
        };
        new.connections = names.iter().map(of).collect();
    };
    ask(&mut new, &[("fd00::3", &three, 4)]);
    let diff = check(&old, &new, &["- * 10.1.0.9", "- * fd00::2"]);
    check_cautions(&diff, &["not have a snapshot", "3 addresses were asked for at most"]);
    check(&new, &old, &["+ * 10.1.0.9", "+ * fd00::2"]);
    ask(
        &mut new,
        &[("10.1.0.9", &four, 4), ("fd00::3", &three, 4), ("fd00::4", &name("fd00--4"), 4)],
    );
    check(&old, &new, &["+ * fd00::4", "- * fd00::2"]);
    // How often each was asked for is not known, however much it looks like it.
    ask(&mut new, &[("10.1.0.9", &four, 400), ("fd00::2", &two, 400), ("fd00::3", &three, 4)]);
    for (one, other) in [(&old, &new), (&new, &old)] {
        let diff = check(one, other, &[]);
        assert_eq!((diff.unchanged, diff.uncounted), (0, 3));
        check_cautions(&diff, &["not have a snapshot", "3 addresses were asked for at most"]);
    }
    // By that address alone, it is.
    old.connections =
        vec![pod("shop/x", "data", "b-1", &[&four]), pod("shop/y", "data", "c-1", &[&four])];
    ask(&mut new, &[("10.1.0.9", &four, 80)]);
    assert_eq!(check(&old, &new, &["~ * 10.1.0.9"]).changed[0].lookups(), [8, 80]);
    ask(&mut new, &[]);
    check(&old, &new, &["- * 10.1.0.9"]);
}

#[test]
fn without_workloads_a_pod_is_its_addresses() {
    let (four, six) = ("10-1-0-9.data.pod.cluster.local", "fd00--9.data.pod.cluster.local");
    let mut old = side(&[]);
    old.about.snapshot = false;
    old.connections =
        vec![pod("10.1.0.7", "data", "10.1.0.9", &[four]), pod("?", "data", "fd00::9", &[six])];
    let mut new = side(&[]);
    new.connections = vec![pod("shop/api", "data", "db-0", &[four, six])];
    check(&old, &new, &[]);
    new.connections = vec![pod("shop/api", "data", "db-0", &[four])];
    check(&old, &new, &["- * fd00::9"]);
    // Each by itself on one side, both together on the other.
    let many = |names: &[&str], client, lookups| {
        let (client, server, sighting) = pod(client, "data", "10.1.0.9", names);
        (client, server, Sighting { lookups, ..sighting })
    };
    old.connections = vec![many(&[four], "10.1.0.7", 1), many(&[six], "?", 11)];
    old.connections[1].1.name = "fd00::9".into();
    new.connections = vec![many(&[four, six], "shop/api", 12)];
    new.connections[0].1.name = "db-0".into();
    let diff = check(&old, &new, &[]);
    assert_eq!((diff.unchanged, diff.changed.len()), (1, 0));
    new.connections[0].2.lookups = 120;
    let diff = check(&old, &new, &["~ * 10.1.0.9"]);
    assert_eq!(diff.changed[0].lookups(), [12, 120]);
    for to in ["data/10.1.0.9", "data/fd00::9", "data"] {
        let filters = Filters { to: vec![to.into()], ..Filters::default() };
        let words = Words { filters, ..Words::default() };
        assert_eq!(compare(old.clone(), new.clone(), &words).changed.len(), 1, "{to}");
    }
    // Two sides that know it have its name.
    new.connections = vec![pod("shop/api", "data", "db-0", &[four])];
    let mut before = new.clone();
    before.connections =
        vec![pod("shop/api", "data", "db-0", &["10-1-0-4.data.pod.cluster.local"])];
    check(&before, &new, &[]);
}

#[test]
fn what_no_line_says_was_answered_is_compared_where_both_sides_can_know_it() {
    let unknown = |side: &mut Side, at: usize| {
        let sighting = &mut side.connections[at].2;
        (sighting.lookups, sighting.queries) = (0, 0);
    };
    let mut old = side(&["shop/api db 1", "shop/web cache 1", "shop/web gone 4"]);
    unknown(&mut old, 0);
    let mut new = side(&["10.1.0.7 cache 1"]);
    check(&old, &new, &["+? ? cache", "- shop/api db", "-? shop/web cache", "- shop/web gone"]);
    new.about.snapshot = false;
    for (one, other, gone) in [(&old, &new, "- * gone"), (&new, &old, "+ * gone")] {
        let diff = check(one, other, &[gone]);
        assert_eq!((diff.unanswered, diff.unchanged), (1, 1));
        check_cautions(
            &diff,
            &["not have a snapshot", "1 server of one side is not compared: no line says"],
        );
    }
    // What the other side has was asked for there too.
    unknown(&mut old, 1);
    assert_eq!(check(&old, &new, &["- * gone"]).unanswered, 1);
    old.about.snapshot = false;
    check(&old, &new, &["- * db", "- * gone"]);
}

#[test]
fn what_a_side_without_outcomes_would_not_list_is_not_compared() {
    let external = |side: &mut Side| {
        let (client, _, sighting) = connection("shop/api db 4");
        let server = Server {
            kind: ServerKind::External,
            namespace: String::new(),
            name: "example.com".into(),
        };
        side.connections.push((client, server, sighting));
    };
    let mut old = side(&["shop/api db 4"]);
    external(&mut old);
    let new = |unsaid, snapshot| {
        let mut new = side(&[]);
        (new.about.unsaid, new.about.snapshot) = (unsaid, snapshot);
        (new.about.records, new.about.outside) = (150, 50);
        new
    };
    let not_known = "of NEW succeeded is not known: what vanished may have been answered there";
    // A snapshot lists its own servers, answered or not.
    let diff = check(&old, &new(100, true), &["- shop/api db"]);
    check_cautions(&diff, &[&format!("{not_known}, and 1 row that only OLD has is not compared")]);
    let diff = check(&old, &new(100, false), &[]);
    assert_eq!((diff.unlisted, diff.found()), ([0, 2], false));
    check_cautions(
        &diff,
        &[", and 2 rows that only OLD has are not compared", "NEW does not have"],
    );
    assert_eq!(check(&new(100, false), &old, &[]).unlisted, [2, 0]);
    // Where some say it, what is missing is missing; the others make that doubtful.
    let diff = check(&old, &new(99, true), &["- shop/api example.com", "- shop/api db"]);
    check_cautions(&diff, &[not_known]);
    check_cautions(&check(&old, &new(0, true), &["- shop/api example.com", "- shop/api db"]), &[]);
}

#[test]
fn a_side_that_the_window_emptied_is_not_called_untimed() {
    let new = side(&["shop/api db 10"]);
    let mut old = side(&[]);
    (old.about.seen, old.about.outside) = (None, 100);
    let appeared = &["+ shop/api db"];
    check_cautions(&check(&old, &new, appeared), &["No record of OLD is in the window"]);
    check_cautions(&check(&new, &old, &["- shop/api db"]), &["No record of NEW is in the window"]);
    old.about.untimed = old.about.records;
    check_cautions(&check(&old, &new, appeared), &["OLD has no times to go by: rates are shares"]);
    let mut short = new.clone();
    short.about.seen = Some((at("09:00:00"), at("09:00:00")));
    check_cautions(&check(&short, &new, &[]), &["OLD is all of one second: rates are shares"]);
}

#[test]
fn what_makes_an_absence_doubtful_is_said() {
    let (good, mut bad) = (side(&["shop/api db 4"]), side(&["shop/api db 4"]));
    bad.about.whole = false;
    check_cautions(&check(&bad, &good, &[]), &["OLD was not read whole: what appeared"]);
    check_cautions(&check(&good, &bad, &[]), &["NEW was not read whole: what vanished"]);
    let mut report = good.clone();
    report.about.is_report = true;
    check_cautions(&check(&report, &good, &[]), &["OLD is a report"]);
    let mut early = good.clone();
    early.about.seen = Some((at("07:00:00"), at("08:00:00")));
    check_cautions(&check(&early, &good, &[]), &[]);
    check_cautions(&check(&good, &early, &[]), &["the wrong way round?"]);
}

#[test]
fn filters_choose_rows_by_their_words() {
    let old = side(&["shop/api db 4", "jobs/export db 4", "shop/api cache 4", "10.1.0.7 db 1"]);
    let check = |filters: Filters, expected: &[&str]| {
        let words = Words { filters, ..Words::default() };
        let none = Side { connections: Vec::new(), ..old.clone() };
        assert_eq!(shown(&compare(old.clone(), none, &words)), expected);
    };
    let all = Filters::default;
    let of = |value: &str| vec![value.to_owned()];
    check(Filters { namespaces: of("shop"), ..all() }, &[]);
    check(Filters { from: of("jobs"), ..all() }, &["- jobs/export db"]);
    check(Filters { from: of("shop/api"), services: of("db"), ..all() }, &["- shop/api db"]);
    check(Filters { to: of("data/cache"), ..all() }, &["- shop/api cache"]);
    check(
        Filters { exclude_namespaces: of("shop"), namespaces: of("data"), ..all() },
        &["- ? db", "- jobs/export db"],
    );
    // No side knows a pod that is behind a server.
    check(Filters { pods: of("db-0"), ..all() }, &[]);
}

/// A report in which everything is odd that may be.
const REPORT: &str = r#"{"apiVersion": "kico.dev/v1alpha1", "kind": "ConnectionReport", "later": 1,
 "coverage": {"inputs": [{"state": "complete"}], "firstSeen": "2026-04-02T09:00:00Z", "lastSeen": "2026-04-02T10:00:00Z",
  "queries": {"answered": 9, "failed": 1, "unknown": 2, "outsideWindow": 0, "withoutTime": 0},
  "lost": {"clients": 0}, "snapshot": {"broken": []}, "warnings": ["\u001b[31mred"]},
 "connections": [{"client": {"kind": "Deployment", "namespace": "shop", "name": "a\u202ei", "pods": []},
  "server": {"kind": "Service", "namespace": "data", "name": "db", "workloads": [{"kind": "StatefulSet", "name": "db"}],
   "ports": [{"port": 5432, "name": null, "protocol": "TCP"}, {"port": "http", "name": "web", "protocol": "UDP"}]},
  "names": ["db.data.svc.cluster.local"], "queries": 4, "lookups": 2, "firstSeen": null, "lastSeen": null,
  "evidence": {"path": "a.log", "line": 1}}]}"#;

#[test]
fn a_report_is_read_and_made_safe() {
    assert!(is_report(REPORT.as_bytes()));
    let side = read(REPORT.as_bytes(), "r.json").unwrap();
    assert_eq!(side.about.window(), Some(3600));
    assert!(side.about.whole && side.about.snapshot && side.about.is_report);
    assert_eq!(side.about.warnings, [r"\x1b[31mred"]);
    let (client, _, sighting) = &side.connections[0];
    assert!(matches!(client, Client::Workload { name, .. } if name == r"a\u{202e}i"));
    assert_eq!(sighting.ports.len(), 2);
    assert_eq!((side.about.records, side.about.unsaid, side.about.lookups), (12, 2, 2));
}

#[test]
fn a_report_that_was_not_read_whole_says_so() {
    for (from, to) in [
        (r#""state": "complete""#, r#""state": "truncated""#),
        (r#""state": "complete""#, r#""state": "of a later version""#),
        (r#""lost": {"clients": 0}"#, r#""lost": {"clients": 3}"#),
        (r#""broken": []"#, r#""broken": ["x"]"#),
    ] {
        assert!(!read(REPORT.replace(from, to).as_bytes(), "r").unwrap().about.whole, "{to}");
    }
}

#[test]
fn what_is_no_report_is_refused_with_a_reason() {
    let check = |from: &str, to: &str, expected: &str| {
        let error = read(REPORT.replacen(from, to, 1).as_bytes(), "r.json").unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        "v1alpha1",
        "v2",
        "r.json: a report of version kico.dev/v2; this kico reads kico.dev/v1alpha1",
    );
    check("ConnectionReport", "DiffReport", "r.json: a DiffReport; diff reads a ConnectionReport");
    check(r#""kind": "Connection"#, r#""kind": 7, "x": "Connection"#, "not a report in JSON");
    check(r#""lookups": 2, "#, "", "missing field `lookups`");
    check("TCP", "TCQ", "protocol TCQ");
    check(r#""Service""#, r#""Servant""#, "kind Servant");
    check("09:00:00Z", "11:00:00Z", "no time");
    let cut = &REPORT[..REPORT.len() - 9];
    assert!(read(cut.as_bytes(), "r").unwrap_err().to_string().contains("cut short"));
    let yaml = b"apiVersion: kico.dev/v1alpha1\nkind: ConnectionReport\n";
    assert!(is_report(yaml));
    assert!(read(yaml, "r").unwrap_err().to_string().contains("in YAML"));
}

#[test]
fn what_a_report_begins_with() {
    assert!(is_report(b"{\"apiVersion\":\"kico.dev/v1alpha1\",\"blindSpots\":null"));
    assert!(is_report(b"\xef\xbb\xbf \n{ \"apiVersion\" : \"kico.dev/v7\""));
    for other in
        ["", "{", "{\"apiVersion\":\"v1\"", "apiVersion: v1", "[INFO] 10.1.0.7:4 - 1", "\0"]
    {
        assert!(!is_report(other.as_bytes()), "{other}");
    }
}

fn any_side() -> impl Strategy<Value = Side> {
    let one = ("[ab]/[xy]|[?!]", "[pq]", 0..200_u64);
    let connections = proptest::collection::vec(one, 0..8);
    (connections, any::<bool>(), 0..3_i64, any::<bool>(), any::<bool>()).prop_map(
        |(connections, snapshot, hours, whole, said)| {
            let texts: Vec<String> =
                connections.iter().map(|(c, s, n)| format!("{c} {s} {n}")).collect();
            let mut side = side(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            side.about.snapshot = snapshot;
            side.about.whole = whole;
            side.about.unsaid = if said { 0 } else { side.about.records };
            let end = at("09:00:00") + hours * 3600 * SECOND;
            side.about.seen = (hours > 0).then_some((at("09:00:00"), end));
            side
        },
    )
}

proptest! {
    #[test]
    fn a_side_does_not_differ_from_itself(side in any_side()) {
        let diff = compare(side.clone(), side, &Words::default());
        prop_assert_eq!(shown(&diff), Vec::<String>::new());
    }

    /// Swapped sides tell the same story backwards, whatever the order of connections.
    #[test]
    fn swapped_sides_are_a_mirror(old in any_side(), new in any_side()) {
        let there = compare(old.clone(), new.clone(), &Words::default());
        let (mut old, mut new) = (old, new);
        old.connections.reverse();
        new.connections.reverse();
        let back = compare(new, old, &Words::default());
        let swap = |rows: &[Row]| -> Vec<Row> {
            let swap = |row: &Row| Row { old: row.new.clone(), new: row.old.clone(), ..row.clone() };
            rows.iter().map(swap).collect()
        };
        prop_assert_eq!(&there.appeared, &swap(&back.vanished));
        prop_assert_eq!(&there.vanished, &swap(&back.appeared));
        prop_assert_eq!(&there.changed, &swap(&back.changed));
        prop_assert_eq!(there.unchanged, back.unchanged);
    }

    #[test]
    fn reading_a_report_never_panics(at in 0..REPORT.len(), byte in any::<u8>()) {
        let mut bytes = REPORT.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = read(&bytes, "r").map(|side| compare(side.clone(), side, &Words::default()));
    }
}
