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
