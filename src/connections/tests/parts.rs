//! The rows are looked at in parts: in how many must not matter.

use super::*;

#[test]
fn however_many_threads_look_at_the_rows_they_see_the_same() {
    let tally = tally(&[
        "10.1.0.7 a.example.org A=1",
        "10.1.0.7 b.example.org A/NXDOMAIN=2",
        "10.1.0.8 a.example.org A=4",
        "10.1.0.20 b.example.org A=8",
        "10.9.9.9 a.example.org A=16",
        "127.0.0.1 c.example.org A=32",
        "192.168.0.1 kubernetes.default.svc.west.example A=64",
    ]);
    let cluster = cluster(small());
    let finder = clients::Finder::new(&tally, &cluster, &[], None);
    let look = |threads| {
        let askers = askers(&tally, &finder, threads::pool(threads).as_ref());
        let ips: Vec<_> = askers.list.iter().map(|asker| asker.ip).collect();
        let totals = askers.totals(&tally, &names::Names::of(&tally), &cluster);
        (ips, askers.of_row, totals)
    };
    let one = look(1);
    assert_eq!(one.2.records, [125, 2, 0]);
    assert_eq!((one.2.addresses, one.2.addresses_known, one.2.node_queries), (5, 4, 64));
    assert_eq!(one.2.other_domains, ["west.example"]);
    for threads in 2..9 {
        assert_eq!(look(threads), one);
    }
    for number in 1..9 {
        let parts = parts(&tally.rows, number);
        assert_eq!(parts.concat(), tally.rows);
        assert!(parts.windows(2).all(|two| {
            two[0].last().map(|row| row.client) != two[1].first().map(|row| row.client)
        }));
    }
}
