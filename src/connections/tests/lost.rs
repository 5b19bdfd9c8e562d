//! What the bound on memory gave up, as the join tells of it.

use super::*;
use crate::log::tally::{GivenUp, Lost};

#[test]
fn what_was_lost_makes_failed_counts_a_lower_bound() {
    let mut tally = tally(&[
        "10.1.0.7 db.shop.svc.cluster.local A=1 A/SERVFAIL=1",
        "10.1.0.7 nope.example A/NXDOMAIN=1",
        "10.1.0.9 db.shop.svc.cluster.local A=1",
    ]);
    tally.lost.push(lost(Some("10.1.0.8"), [0, 7, 0], 0));
    tally.lost.push(lost(None, [0, 1, 0], 0));
    let report = join(&tally, &cluster(small()), Options::default());
    expect![[r#"
        CronJob jobs/report [report-1] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
        Deployment shop/web [web-6c-a] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 1 failed, 0 attempts, lower bound
        shop/web failed nope.example NXDOMAIN: at least 1
    "#]]
    .assert_eq(&show(&report));
    assert_eq!(report.totals.lost_clients, ["shop/web"]);
    // Nobody was answered what was given up.
    assert!(report.totals.lost_askers.is_empty());
}

#[test]
fn who_lost_names_of_services_is_named() {
    let beyond = "clients beyond the bound";
    let none: &[&str] = &[];
    for (client, of_cluster, expected) in [
        (Some("10.77.0.9"), 1, &["10.77.0.9"][..]),
        (Some("10.1.0.8"), 1, &["shop/web"]),
        (Some("10.1.0.8"), 0, none),
        (None, 1, &[beyond]),
        (None, 0, none),
    ] {
        let tally = Tally { lost: vec![lost(client, [7, 0, 0], of_cluster)], ..Tally::default() };
        let report = join(&tally, &cluster(small()), Options::default());
        assert_eq!(report.totals.lost_askers, expected, "{client:?} {of_cluster}");
    }
    let lost = vec![lost(Some("10.1.0.8"), [7, 0, 0], 1)];
    let tally = Tally { lost, ..Tally::default() };
    let options = Options { exclude_namespaces: &["shop".into()], ..Options::default() };
    let report = join(&tally, &cluster(small()), options);
    assert_eq!(report.totals.lost_askers, none);
}

#[test]
fn where_not_all_known_clients_were_remembered_each_may_have_lost_names() {
    let mut tally = tally(&[
        "10.1.0.7 db.shop.svc.cluster.local A=1",
        "10.77.0.9 db.shop.svc.cluster.local A=1",
    ]);
    tally.lost.push(lost(None, [1, 0, 0], 0));
    tally.depth.crowded = [false, true];
    let report = join(&tally, &cluster(small()), Options::default());
    assert!(report.totals.lost_clients.is_empty());
    tally.depth.crowded = [true, false];
    let report = join(&tally, &cluster(small()), Options::default());
    assert_eq!(report.totals.lost_clients, ["shop/web"]);
}

pub(super) fn lost(client: Option<&str>, records: [u64; 3], of_cluster: u64) -> Lost {
    let given_up = GivenUp { records, of_cluster };
    Lost { client: client.map(ip), given_up, names: records.iter().sum() }
}

/// 10.1.0.7's workload held 10.1.0.50 until ten o'clock, then did another.
fn handed_on() -> Snapshot {
    let mut snapshot = small();
    let web = owned(pod("shop", "web-6c-z", "10.1.0.50"), "Deployment", "web", "app=web");
    let next = owned(pod("jobs", "next-0", "10.1.0.50"), "StatefulSet", "next", "app=next");
    snapshot.pods.extend([until(since(web, "09:00:00"), "10:00:00"), since(next, "11:00:00")]);
    snapshot
}

fn rows_and_lost() -> Tally {
    let rows = [
        "10.1.0.7 db.shop.svc.cluster.local A=1 @12:00:00-12:10:00",
        "10.1.0.9 db.shop.svc.cluster.local A=1 @12:00:00-12:10:00",
        "10.1.0.50 db.shop.svc.cluster.local A=1 @12:00:00-12:10:00",
    ];
    Tally { lost: vec![lost(Some("10.1.0.50"), [1, 7, 0], 1)], ..tally(&rows) }
}

#[test]
fn whoever_held_an_address_that_lost_names_may_have_lost_them() {
    let (both, one) = (["jobs/next", "shop/web"], ["jobs/next"]);
    let early = Some((at("09:30:00"), at("12:10:00")));
    let late = Some((at("12:00:00"), at("12:10:00")));
    for (within, expected) in [(None, &both[..]), (early, &both), (late, &one)] {
        let options = Options { within, ..Options::default() };
        let report = join(&rows_and_lost(), &cluster(handed_on()), options);
        let marked = report.connections.iter().filter(|of| of.status.contains(&Status::LowerBound));
        let marked: Vec<_> =
            marked.map(|of| format!("{}/{}", of.client.namespace, of.client.name)).collect();
        assert_eq!(marked, expected, "{within:?}");
        assert_eq!(report.totals.lost_clients, expected, "{within:?}");
        assert_eq!(report.totals.lost_askers, expected, "{within:?}");
    }
    // Who is no evidence is no reason either, but the other one still is.
    let exclude_namespaces = &["jobs".into()];
    let options = Options { exclude_namespaces, within: early, ..Options::default() };
    let report = join(&rows_and_lost(), &cluster(handed_on()), options);
    assert_eq!(report.totals.lost_askers, ["shop/web"]);
    // A pod that never had the address lost nothing.
    let options = Options { group_by: GroupBy::Pod, within: early, ..Options::default() };
    let report = join(&rows_and_lost(), &cluster(handed_on()), options);
    let marked = report.connections.iter().filter(|of| of.status.contains(&Status::LowerBound));
    let marked: Vec<_> = marked.map(|of| of.client.name.as_str()).collect();
    assert_eq!(marked, ["next-0"]);
}

#[test]
fn what_was_given_up_of_an_address_that_was_handed_on_is_nobodys() {
    let within = Some((at("09:30:00"), at("12:10:00")));
    let mut tally = rows_and_lost();
    let mut shown = |rows: usize| {
        tally.rows.truncate(rows);
        let asked = lookups::lookups(&tally, &cluster(handed_on()), &[], within);
        let show = |of: &lookups::Lookups| {
            let least = if of.lower_bound { ">=" } else { "" };
            let pods = of.client.pods.join(",");
            format!("{} {pods} {least}{}+{}", of.client.name, of.queries, of.failed)
        };
        asked.iter().map(show).collect::<Vec<_>>()
    };
    assert_eq!(shown(3), ["report report-1 1+0", "next next-0 >=1+0", "web web-6c-a >=1+0"]);
    // Whoever kept no row has not been seen to ask.
    assert_eq!(shown(2), ["report report-1 1+0", "web web-6c-a >=1+0"]);
    // Where no row is left, it is whoever had the address then.
    tally.rows.clear();
    tally.lost = vec![lost(Some("10.1.0.50"), [1, 7, 0], 1)];
    let asked = |within| lookups::lookups(&tally, &cluster(handed_on()), &[], within);
    let names = |within| asked(within).iter().map(|of| of.client.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(Some((at("09:30:00"), at("09:40:00")))), ["web"]);
    assert_eq!(names(Some((at("12:00:00"), at("12:10:00")))), ["next"]);
}
