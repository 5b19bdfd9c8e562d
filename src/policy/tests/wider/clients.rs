//! Clients that are no peer: nodes, addresses that stand for many, what the log does not prove.

use super::*;
use crate::cluster::model::{Moment, Node};
use crate::cluster::tests_support::{self, at, moment};

fn with_node(addresses: &[&str]) -> (World, usize) {
    let (mut world, _, _, service) = sock_shop();
    world.cluster.snapshot.nodes.push(Node {
        meta: Meta { name: "worker-1".into(), ..Meta::default() },
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        ..Node::default()
    });
    (world, service)
}

#[test]
fn w14_a_node_is_one_address_and_only_when_asked_for() {
    for (address, cidr) in [("10.0.0.7", "10.0.0.7/32"), ("fd00::7", "fd00::7/128")] {
        let (mut world, service) = with_node(&["10.0.0.7", "fd00::7", "203.0.113.9"]);
        let node = world.asked_as("Node", "worker-1", service);
        Arc::make_mut(&mut node.client).ips = vec![address.parse().unwrap()];
        let without = world.leaves_out("nodes (hostNetwork pods");
        assert!(items(&without).iter().all(|item| item.get("ipBlock").is_none()));
        let with = world.build_with(&Options { allow_nodes: true, ..options() });
        let policy = &with.complete[0];
        let blocks = items(&read(policy))
            .iter()
            .filter_map(|i| i.get("ipBlock").cloned())
            .collect::<Vec<_>>();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0]["cidr"], cidr);
        assert!(
            policy.comment.iter().any(|line| line.contains("unstable")),
            "{:?}",
            policy.comment
        );
    }
}

#[test]
fn w14_a_mapped_address_is_the_ipv4_address() {
    let (mut world, service) = with_node(&["10.0.0.7"]);
    let ips = vec!["::ffff:10.0.0.7".parse().unwrap()];
    Arc::make_mut(&mut world.asked_as("Node", "worker-1", service).client).ips = ips;
    let policies = world.build_with(&Options { allow_nodes: true, ..options() });
    let text = yaml::document(&policies.complete[0], yaml::Place::File).unwrap();
    assert!(text.contains("cidr: 10.0.0.7/32"), "{text}");
}

#[test]
fn w15_a_tunnels_address_is_no_peer_even_with_allow_nodes() {
    let (mut world, service) = with_node(&["10.0.0.7"]);
    let ips = vec!["10.244.1.0".parse().unwrap()];
    Arc::make_mut(&mut world.asked_as("Node", "worker-1", service).client).ips = ips;
    let policies = world.build_with(&Options { allow_nodes: true, ..options() });
    assert!(policies.complete.is_empty());
    assert_eq!(items(&read(&policies.incomplete[0])).len(), 1);
}

#[test]
fn w15_a_node_that_a_later_snapshot_lacks_is_no_peer_even_with_allow_nodes() {
    for (last, peers) in [("10:00:00", 1), ("12:00:00", 2)] {
        let (mut world, service) = with_node(&["10.0.0.7"]);
        world.cluster.snapshot.nodes[0].seen = Some(at(last));
        let listing = |clock| Moment { nodes: true, ..moment(clock, &[]) };
        world.cluster.snapshot.moments = vec![listing("10:00:00"), listing("12:00:00")];
        let ips = vec!["10.0.0.7".parse().unwrap()];
        Arc::make_mut(&mut world.asked_as("Node", "worker-1", service).client).ips = ips;
        let policies = world.build_with(&Options { allow_nodes: true, ..options() });
        let policy = policies.complete.first().or(policies.incomplete.first()).unwrap();
        assert_eq!((items(&read(policy)).len(), policies.complete.len()), (peers, peers - 1));
    }
}

#[test]
fn w15_an_address_that_a_pod_has_is_no_nodes_even_with_allow_nodes() {
    let (mut world, service) = with_node(&["10.0.0.7"]);
    let mut snapshot = world.cluster.snapshot.clone();
    snapshot.nodes[0].seen = Some(at("10:00:00"));
    let new = tests_support::pod("shop", "new-1", "10.0.0.7");
    snapshot.pods.push(Pod { seen: Some((at("12:00:00"), at("12:00:00"))), ..new });
    snapshot.moments = vec![moment("10:00:00", &[]), moment("12:00:00", &[])];
    world.cluster.addresses = tests_support::cluster(snapshot).addresses;
    let ips = vec!["10.0.0.7".parse().unwrap()];
    Arc::make_mut(&mut world.asked_as("Node", "worker-1", service).client).ips = ips;
    let policies = world.build_with(&Options { allow_nodes: true, ..options() });
    assert_eq!((policies.complete.len(), items(&read(&policies.incomplete[0])).len()), (0, 1));
}

#[test]
fn w16_an_address_that_stands_for_many_is_no_peer() {
    for kind in ["DNSCache", "Loopback", "Unknown", "Ambiguous", "Node"] {
        let (mut world, _, _, service) = sock_shop();
        world.asked_as(kind, "somebody", service);
        let policy = world.leaves_out("somebody");
        assert_eq!(items(&policy).len(), 1, "{kind}");
    }
}

#[test]
fn w17_an_address_that_finished_pods_held_too_is_no_evidence() {
    let (mut world, _, _, service) = sock_shop();
    let web = world.deployment("sock-shop/web", "app=web");
    let connection = world.asked(web, service);
    (connection.status, connection.proof) = (vec![Status::SharedAddress], None);
    let policy = world.leaves_out("finished pods");
    assert_eq!(items(&policy).len(), 1);
}

#[test]
fn w17_what_was_asked_from_an_address_of_its_own_stands() {
    let (mut world, _, _, service) = sock_shop();
    let web = world.deployment("sock-shop/web", "app=web");
    world.asked(web, service).status = vec![Status::SharedAddress];
    let policy = world.leaves_out("finished pods");
    assert_eq!(items(&policy).len(), 2);
}

#[test]
fn w25_an_unknown_outcome_is_no_evidence() {
    let (mut world, ..) = sock_shop();
    let connection = &mut world.report.connections[0];
    (connection.status, connection.proof) = (vec![Status::OutcomeUnknown], None);
    world.refuses("does not say whether");
}
