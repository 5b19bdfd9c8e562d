use std::net::IpAddr;

use super::model::{Node, Pod, Snapshot};
use super::tests_support::*;
use super::*;

#[test]
fn the_log_stage_knows_every_address_of_the_snapshot_and_when_it_changes_hands() {
    let web = |name: &str| owned(pod("shop", name, "10.0.0.1"), "Deployment", name, "");
    let pods = vec![
        since(web("old"), "10:00:00"),
        since(web("new"), "11:00:00"),
        pod("shop", "still", "10.0.0.2 fd00::2"),
        Pod { host_network: true, ..pod("shop", "agent", "192.168.0.7") },
    ];
    let nodes =
        vec![Node { meta: meta("", "n1"), addresses: vec![ip("192.168.0.1")], ..Node::default() }];
    let hands = cluster(Snapshot { pods, nodes, ..Snapshot::default() }).hands();
    let second = crate::time::SECOND;
    let expected = [at("10:00:00") - 5 * second, at("11:00:00"), at("11:00:00") + 2 * second];
    assert_eq!(hands.changes[&ip("10.0.0.1")], expected);
    let mut others: Vec<IpAddr> = hands.changes.keys().copied().collect();
    others.sort();
    let known =
        ["10.0.0.1", "10.0.0.2", "127.0.0.1", "192.168.0.1", "192.168.0.7", "::1", "fd00::2"]
            .map(ip);
    assert_eq!(others, known);
    assert!(others[1..].iter().all(|address| hands.changes[address].is_empty()));
    assert_eq!((hands.snapshot, hands.domains), (true, vec!["cluster.local".to_string()]));
}

#[test]
fn without_a_snapshot_no_address_is_known_and_none_is_a_stranger() {
    let hands = Cluster::new(Snapshot::default(), &[]).hands();
    assert!(!hands.snapshot && hands.changes.is_empty());
    assert_eq!(hands.domains, ["cluster.local"]);
}

#[test]
fn of_two_services_of_one_name_the_newer_counts() {
    let made = |uid: &str, clock: &str| {
        let mut service = service("shop", "db", "app=db", "");
        (service.meta.uid, service.meta.created) = (uid.into(), Some(at(clock)));
        service
    };
    let services = vec![made("a", "11:00:00"), made("b", "10:00:00")];
    let cluster = cluster(Snapshot { services, ..Snapshot::default() });
    let index = cluster.service("shop", "db").unwrap();
    assert_eq!(cluster.snapshot.services[index].meta.uid, "a");
    assert_eq!(cluster.service("shop", "other"), None);
}
