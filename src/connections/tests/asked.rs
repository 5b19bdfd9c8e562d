//! All that a client asked, whatever became of it.

use super::super::lookups::{Lookups, lookups};
use super::*;
use crate::log::tally::Lost;

fn of(rows: &[&str], lost: &[Lost], exclude: &[&str]) -> Vec<Lookups> {
    let tally = Tally { lost: lost.to_vec(), ..tally(rows) };
    let exclude: Vec<String> = exclude.iter().map(ToString::to_string).collect();
    lookups(&tally, &cluster(small()), &exclude, None)
}

fn shown(rows: &[&str], lost: &[Lost], exclude: &[&str]) -> Vec<String> {
    let show = |of: &Lookups| {
        let Lookups { client, queries, failed, lookups, lower_bound, place, .. } = of;
        let least = if *lower_bound { "at least " } else { "" };
        let line = place.as_ref().map_or(0, |place| place.line);
        let pods = client.pods.join(",");
        format!("{} {pods} {least}{queries}+{failed}, {lookups}, line {line}", client.name)
    };
    of(rows, lost, exclude).iter().map(show).collect()
}

#[test]
fn every_record_of_every_type_counts_answered_or_not() {
    let rows = [
        "10.1.0.7 db.shop.svc.cluster.local A=2 AAAA=3 @10:00:00-10:10:00",
        "10.1.0.8 7.0.1.10.in-addr.arpa PTR=4 @09:00:00-09:05:00",
        "10.1.0.8 gone.example A/NXDOMAIN=2 TXT/-=1 @10:00:00-10:05:00",
        "10.1.0.9 gone.example A/NXDOMAIN=5",
        "10.1.0.20 lost.example A/?=1",
        "10.9.9.9 db.shop.svc.cluster.local A=1",
    ];
    let (web, report) = ("web web-6c-a,web-6c-b 9+3, 7, line 2", "report report-1 0+5, 0, line 4");
    let (db, unknown) = ("db db-7d-x 1+0, 0, line 5", "10.9.9.9  1+0, 1, line 6");
    assert_eq!(shown(&rows, &[], &[]), [unknown, report, db, web]);
    assert_eq!(shown(&rows, &[], &["shop"]), [unknown, report]);
    let web = &of(&rows, &[], &["jobs"])[2];
    assert_eq!(web.seen, Some((at("09:00:00"), at("10:10:00"))));
    assert_eq!(web.client.ips, [ip("10.1.0.7"), ip("10.1.0.8")]);
}

#[test]
fn a_client_all_of_whose_names_were_given_up_has_asked() {
    let lost = |client: &str, records| super::lost::lost(Some(client), records, 0);
    let rows = ["10.1.0.7 7.0.1.10.in-addr.arpa PTR=4"];
    let lost = [lost("10.1.0.7", [1, 2, 3]), lost("10.1.0.9", [0, 7, 0])];
    let expected =
        ["report report-1 at least 0+7, 0, line 0", "web web-6c-a at least 8+2, 4, line 1"];
    assert_eq!(shown(&rows, &lost, &[]), expected);
}
