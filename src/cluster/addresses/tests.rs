use proptest::prelude::*;

use super::super::model::{Controller, Moment, Node, Pod, Snapshot};
use super::super::tests_support::*;
use std::collections::BTreeSet;

use super::*;
use crate::cluster::Cluster;
use crate::time::SECOND;

const ADDRESS: &str = "10.0.0.1";

/// A pod of Deployment `workload` at the one address of these tests.
fn of(workload: &str, name: &str) -> Pod {
    owned(pod("shop", name, ADDRESS), "Deployment", workload, "")
}

fn made(pods: Vec<Pod>, moments: Vec<super::super::model::Moment>) -> Cluster {
    cluster(Snapshot { pods, moments, ..Snapshot::default() })
}

/// A holder in one word: `web`, `web+api` if ambiguous, `web!` if shared, `-` if unknown.
fn word(cluster: &Cluster, holder: Holder) -> String {
    let name = |id: &WorkloadId| cluster.workloads.get(*id).name.clone();
    match holder {
        Holder::Workload { workload, shared, .. } => {
            name(&workload) + if shared { "!" } else { "" }
        }
        Holder::Ambiguous(ids) if ids.len() == 1 => format!("{}+?", name(&ids[0])),
        Holder::Ambiguous(ids) => ids.iter().map(name).collect::<Vec<_>>().join("+"),
        Holder::Node(node) => format!("node {node}"),
        Holder::DnsCache(node) => format!("cache {node}"),
        Holder::Loopback => "loopback".into(),
        Holder::Unknown => "-".into(),
    }
}

#[track_caller]
fn check(cluster: &Cluster, cases: &[(&str, &str)]) {
    for (clock, expected) in cases {
        let holder = cluster.addresses.holder(ip(ADDRESS), Some((at(clock), at(clock))));
        assert_eq!(word(cluster, holder), *expected, "at {clock}");
    }
}

#[track_caller]
fn check_untimed(pods: Vec<Pod>, expected: &str, names: &[&str]) {
    let cluster = made(pods, vec![]);
    let holder = cluster.addresses.holder(ip(ADDRESS), None);
    if let Holder::Workload { pods, .. } = &holder {
        let found: Vec<&str> =
            pods.iter().map(|pod| cluster.snapshot.pods[*pod].meta.name.as_str()).collect();
        assert_eq!(found, names);
    }
    assert_eq!(word(&cluster, holder), expected);
}

#[test]
fn a_pod_holds_its_address_from_start_to_finish_and_five_seconds_around() {
    let cluster = made(vec![until(since(of("web", "a"), "10:00:00"), "11:00:00")], vec![]);
    check(
        &cluster,
        &[
            ("09:59:54", "-"),
            ("09:59:55", "web"),
            ("10:30:00", "web"),
            ("11:00:05", "web"),
            ("11:00:05.000000001", "-"),
        ],
    );
}

#[test]
fn a_pod_without_times_holds_its_address_for_ever() {
    check(&made(vec![of("web", "a")], vec![]), &[("00:00:00", "web"), ("23:59:59", "web")]);
}

#[test]
fn an_extension_does_not_reach_into_what_is_surely_another_pods() {
    // The first finishes; the second starts three seconds later, and surely holds two seconds after that.
    let first = until(since(of("old", "a"), "10:00:00"), "11:00:00");
    let second = since(of("new", "b"), "11:00:02");
    check(
        &made(vec![first.clone(), second], vec![]),
        &[
            ("10:59:59", "old"),
            // Where the extensions overlap, both are candidates.
            ("11:00:00", "new+old"),
            ("11:00:03", "new+old"),
            ("11:00:04", "new"),
        ],
    );
    let much_later = since(of("new", "b"), "12:00:00");
    check(
        &made(vec![first, much_later], vec![]),
        &[("11:00:05", "old"), ("11:00:06", "-"), ("11:59:54", "-"), ("11:59:55", "new")],
    );
}

#[test]
fn a_holder_without_a_known_end_ends_where_the_next_one_surely_holds() {
    let cluster =
        made(vec![since(of("old", "a"), "10:00:00"), since(of("new", "b"), "11:00:00")], vec![]);
    check(
        &cluster,
        &[
            ("10:59:00", "old"),
            ("11:00:00", "new+old"),
            ("11:00:01.9", "new+old"),
            ("11:00:02", "new"),
            ("12:00:00", "new"),
        ],
    );
}

#[test]
fn what_a_later_snapshot_lacks_ended_by_then_and_before_if_the_address_went_on() {
    let (old, other) = (since(of("old", "a"), "10:00:00"), pod("shop", "other", "10.0.0.2"));
    let moments = vec![moment("10:30:00", &[&old]), moment("12:00:00", &[&other])];
    let alone = made(vec![old.clone(), other.clone()], moments.clone());
    check(&alone, &[("11:59:59", "old"), ("12:00:05", "old"), ("12:00:06", "-")]);
    let new = since(of("new", "b"), "11:00:00");
    let mut moments = moments;
    moments[1].pods.get_or_insert_default().insert(new.meta.uid.clone());
    let both = made(vec![old, other, new], moments);
    check(&both, &[("10:59:00", "old"), ("11:00:01", "new+old"), ("11:00:02", "new")]);
}

#[test]
fn a_pod_that_was_seen_after_another_had_finished_came_later_than_it_seems_to() {
    // The node was started again: the pod keeps its start, and got an address that a Job had in between.
    let pods = vec![
        since(of("web", "a"), "09:00:00"),
        until(since(of("job", "b"), "10:00:00"), "10:10:00"),
    ];
    let moments = vec![moment("12:00:00", &[&pods[0], &pods[1]])];
    let cases = [("10:05:00", "job"), ("10:10:03", "job+web"), ("11:00:00", "web")];
    check(&made(pods.clone(), moments), &cases);
    let before = vec![moment("09:30:00", &[&pods[0]]), moment("12:00:00", &[])];
    check(&made(pods, before), &[("10:05:00", "job"), ("11:00:00", "-")]);
}

#[test]
fn two_pods_of_one_workload_are_one_owner() {
    let cluster =
        made(vec![since(of("web", "a"), "10:00:00"), since(of("web", "b"), "11:00:00")], vec![]);
    check(&cluster, &[("11:00:01", "web")]);
    let over = cluster.addresses.holder(ip(ADDRESS), Some((at("10:30:00"), at("12:00:00"))));
    assert!(matches!(over, Holder::Workload { pods, shared: false, .. } if pods == [0, 1]));
}

#[test]
fn a_row_over_a_change_of_hands_is_ambiguous() {
    let cluster =
        made(vec![since(of("old", "a"), "10:00:00"), since(of("new", "b"), "11:00:00")], vec![]);
    let over = |first: &str, last: &str| {
        word(&cluster, cluster.addresses.holder(ip(ADDRESS), Some((at(first), at(last)))))
    };
    assert_eq!(over("10:30:00", "12:00:00"), "new+old");
    assert_eq!(over("12:00:00", "10:30:00"), "new+old");
    assert_eq!(over("11:30:00", "12:00:00"), "new");
    // Before ten nobody that is known held it: whose lookups they were is not known.
    assert_eq!(over("09:00:00", "10:30:00"), "old+?");
    assert_eq!(over("08:00:00", "09:00:00"), "-");
}

#[test]
fn an_untimed_record_fits_every_pod_that_ever_held_the_address() {
    let done =
        |workload: &str, name: &str| until(since(of(workload, name), "10:00:00"), "11:00:00");
    check_untimed(vec![of("web", "a")], "web", &["a"]);
    check_untimed(vec![done("web", "a")], "web", &["a"]);
    check_untimed(vec![done("web", "a"), done("web", "b")], "web", &["a", "b"]);
    check_untimed(vec![done("web", "a"), done("api", "b")], "api+web", &[]);
    check_untimed(vec![of("web", "a"), of("api", "b")], "api+web", &[]);
    // Beside a running pod, finished ones of another workload only make it shared.
    check_untimed(vec![of("web", "a"), done("api", "b")], "web!", &["a"]);
    check_untimed(vec![of("web", "a"), done("web", "b")], "web", &["a"]);
    let evicted = Pod { phase: "Failed".into(), ..of("api", "b") };
    check_untimed(vec![of("web", "a"), evicted], "web!", &["a"]);
    // A pod whose address went on to another was deleted, and its lookups are as likely in the log.
    let (old, new) = (since(of("old", "a"), "10:00:00"), since(of("new", "b"), "11:00:00"));
    check_untimed(vec![old, new], "new+old", &[]);
}

fn node(name: &str, addresses: &str, ranges: &str) -> Node {
    Node {
        meta: meta("", name),
        addresses: addresses.split_whitespace().map(ip).collect(),
        pod_cidrs: ranges.split_whitespace().map(|range| range.parse().unwrap()).collect(),
        ..Node::default()
    }
}

#[track_caller]
fn check_places(cluster: &Cluster, cases: &[(&str, &str)]) {
    for (address, expected) in cases {
        for seen in [None, Some((0, 1))] {
            let holder = cluster.addresses.holder(ip(address), seen);
            assert_eq!(word(cluster, holder), *expected, "{address}");
        }
    }
}

fn with_nodes(controllers: Vec<Controller>) -> Cluster {
    let mut tunnelled = node("n1", "192.168.0.1 fd00::1", "10.1.0.0/24 fd00:1::/64");
    tunnelled.meta.annotations = labels(
        "projectcalico.org/IPv4IPIPTunnelAddr=10.1.0.77 projectcalico.org/IPv4Address=192.168.9.1/24 \
         flannel.alpha.coreos.com/public-ip=192.168.7.1 flannel.alpha.coreos.com/backend-type=vxlan \
         prometheus.io/address=10.9.9.9",
    );
    let on_host = |name: &str, address: &str, node: &str| Pod {
        host_network: true,
        node: node.into(),
        ..pod("kube-system", name, address)
    };
    cluster(Snapshot {
        nodes: vec![tunnelled, node("n2", "192.168.0.2", "10.2.0.0/24 10.3.0.0/32")],
        pods: vec![
            on_host("proxy-1", "192.168.0.1", "n1"),
            on_host("proxy-3", "192.168.0.3", "n3"),
            on_host("proxy-4", "192.168.0.4", ""),
            owned(pod("shop", "first", "10.2.0.1 fd00:2::9"), "Deployment", "web", ""),
            owned(pod("shop", "odd", "192.168.0.2"), "Deployment", "api", ""),
        ],
        controllers,
        ..Snapshot::default()
    })
}

#[test]
fn nodes_their_tunnels_and_their_pod_ranges_first_two_addresses_are_nodes() {
    check_places(
        &with_nodes(vec![]),
        &[
            ("192.168.0.1", "node n1"),
            ("fd00::1", "node n1"),
            ("::ffff:192.168.0.1", "node n1"),
            ("192.168.0.3", "node n3"),
            ("192.168.0.4", "node 192.168.0.4"),
            ("10.1.0.77", "node n1"),
            ("192.168.9.1", "node n1"),
            ("192.168.7.1", "node n1"),
            ("10.1.0.0", "node n1"),
            ("10.1.0.1", "node n1"),
            ("fd00:1::", "node n1"),
            ("fd00:1::1", "node n1"),
            ("10.1.0.2", "-"),
            ("10.2.0.0", "node n2"),
            // A pod holds it.
            ("10.2.0.1", "web"),
            ("fd00:2::9", "web"),
            ("10.3.0.0", "node n2"),
            ("10.3.0.1", "-"),
            // A pod that claims a node's address is not believed.
            ("192.168.0.2", "node n2"),
            ("10.9.9.9", "-"),
            ("127.0.0.1", "loopback"),
            ("127.9.9.9", "loopback"),
            ("::1", "loopback"),
            ("169.254.20.10", "-"),
        ],
    );
}

#[test]
fn with_node_local_dns_in_the_dns_namespace_nodes_are_caches() {
    let cached = with_nodes(vec![controller("DaemonSet", "kube-system", "node-local-dns", "")]);
    check_places(
        &cached,
        &[
            ("192.168.0.1", "cache n1"),
            ("10.1.0.0", "cache n1"),
            ("169.254.20.10", "cache 169.254.20.10"),
            ("10.2.0.1", "web"),
            ("127.0.0.1", "loopback"),
            ("10.1.0.2", "-"),
        ],
    );
    let elsewhere = with_nodes(vec![
        controller("DaemonSet", "shop", "node-local-dns", ""),
        controller("Deployment", "kube-system", "node-local-dns", ""),
    ]);
    check_places(&elsewhere, &[("192.168.0.1", "node n1"), ("169.254.20.10", "-")]);
    // Pods alone tell of it too, whoever's DaemonSet it is.
    for kind in ["DaemonSet", "DaemonSet.apps.kruise.io"] {
        let pods = vec![
            owned(pod("kube-system", "cache-x", ""), kind, "node-local-dns", ""),
            Pod { host_network: true, node: "n1".into(), ..pod("kube-system", "p", "192.168.0.1") },
        ];
        check_places(&made(pods, vec![]), &[("192.168.0.1", "cache n1")]);
    }
}

/// A node that the snapshot of half past ten has at the address, and a pod that the one of noon has there since eleven.
fn node_then_pod(nodes_at_noon: bool) -> Snapshot {
    let noon = at("12:00:00");
    let pod = Pod { seen: Some((noon, noon)), ..since(of("web", "w"), "11:00:00") };
    let first = Moment { nodes: true, ..moment("10:30:00", &[]) };
    let second = Moment { nodes: nodes_at_noon, ..moment("12:00:00", &[&pod]) };
    Snapshot {
        pods: vec![pod],
        nodes: vec![Node { seen: Some(at("10:30:00")), ..node("old", ADDRESS, "") }],
        moments: vec![first, second],
        ..Snapshot::default()
    }
}

#[test]
fn an_address_that_one_snapshot_has_as_a_nodes_and_another_as_a_pods_is_either_ones_until_one_is_gone()
 {
    let before = [("09:00:00", "node old"), ("10:59:56", "web+?"), ("11:00:01", "web+?")];
    let gone = cluster(node_then_pod(true));
    check(&gone, &before);
    check(&gone, &[("11:00:02", "web"), ("23:00:00", "web")]);
    // Nobody has looked for the node since.
    let unknown = cluster(node_then_pod(false));
    check(&unknown, &before);
    check(&unknown, &[("11:00:02", "web+?"), ("23:00:00", "web+?")]);
    let untimed = |cluster: &Cluster| word(cluster, cluster.addresses.holder(ip(ADDRESS), None));
    assert_eq!([untimed(&gone), untimed(&unknown)], ["web+?", "web+?"]);
    let over = gone.addresses.holder(ip(ADDRESS), Some((at("11:00:00"), at("12:00:00"))));
    assert_eq!(word(&gone, over), "web+?");
    // A pod that started before the node was seen came there later than it says.
    let mut early = node_then_pod(true);
    early.pods[0].start = Some(at("09:00:00"));
    early.pods[0].started = Some(at("09:00:02"));
    check(&cluster(early), &[("08:00:00", "node old"), ("11:00:00", "web+?"), ("12:00:00", "web")]);
}

#[test]
fn a_pod_that_a_snapshot_has_at_its_nodes_address_stands_on_it() {
    let mut both = node_then_pod(true);
    both.nodes[0].seen = Some(at("12:00:00"));
    let holder = [("09:00:00", "node old"), ("11:30:00", "node old"), ("13:00:00", "node old")];
    check(&cluster(both), &holder);
    let mut one = node_then_pod(true);
    (one.pods[0].seen, one.nodes[0].seen) = (None, None);
    one.moments.truncate(1);
    check(&cluster(one), &holder);
}

#[test]
fn the_address_that_a_node_had_before_was_a_nodes() {
    let mut snapshot = node_then_pod(true);
    let former = snapshot.nodes.pop().unwrap();
    let now = node("old", "192.168.0.9", "");
    snapshot.nodes = vec![Node { seen: Some(at("12:00:00")), former: vec![former], ..now }];
    check(
        &cluster(snapshot.clone()),
        &[("09:00:00", "node old"), ("11:00:00", "web+?"), ("11:30:00", "web")],
    );
    // And that of a hostNetwork pod.
    snapshot.nodes.clear();
    let time = |clock: &str| Some((at(clock), at(clock)));
    let agent = |address: &str, clock: &str| Pod {
        host_network: true,
        node: "n7".into(),
        seen: time(clock),
        ..pod("kube-system", "agent", address)
    };
    let former = vec![agent(ADDRESS, "10:30:00")];
    snapshot.pods.push(Pod { former, ..agent("192.168.0.9", "12:00:00") });
    check(
        &cluster(snapshot),
        &[("09:00:00", "node n7"), ("11:00:00", "web+?"), ("11:30:00", "web")],
    );
}

#[test]
fn known_is_what_the_snapshot_has() {
    let cluster = with_nodes(vec![]);
    for (address, known) in [
        ("10.2.0.1", true),
        ("192.168.0.3", true),
        ("10.1.0.1", true),
        ("::ffff:10.2.0.1", true),
        ("127.0.0.1", false),
        ("10.2.0.2", false),
    ] {
        assert_eq!(cluster.addresses.knows(ip(address)), known, "{address}");
    }
}

/// Pods of four workloads at one address, with any times, ends and phases, and any two later snapshots.
fn any_cluster() -> impl Strategy<Value = Cluster> {
    let second = || -30..30i64;
    let when = || proptest::option::weighted(0.8, second());
    let pod = (0..4usize, when(), when(), when(), when(), 0..4u8, any::<[bool; 3]>());
    proptest::collection::vec(pod, 1..6).prop_map(|specs| {
        let at = |second: i64| second * SECOND;
        let mut moments = vec![moment("10:00:00", &[]), moment("10:00:00", &[])];
        moments[0].time = Some(at(-10));
        moments[1].time = Some(at(10));
        moments[1].pods_cluster_wide = true;
        let mut pods = Vec::new();
        for (index, (workload, start, ready, ended, gone, phase, seen)) in
            specs.into_iter().enumerate()
        {
            let mut pod = of(["a", "b", "c", "d"][workload], &format!("p{index}"));
            pod.start = start.map(at);
            pod.started = ready.map(at);
            if phase == 0 {
                pod.phase = "Failed".into();
                pod.finished = ended.map(at);
            }
            for (moment, seen) in moments.iter_mut().zip(seen) {
                if seen {
                    moment.pods.get_or_insert_default().insert(pod.meta.uid.clone());
                }
            }
            // One of both snapshots has it elsewhere.
            if seen == [true; 3] {
                let mut first = Pod { seen: Some((at(-10), at(-10))), ..pod.clone() };
                pod.seen = Some((at(10), at(10)));
                let elsewhere = if phase % 2 == 0 { &mut first } else { &mut pod };
                elsewhere.addresses = vec![ip("10.0.0.9")];
                pod.former = vec![first];
            }
            if let (1, Some(gone)) = (phase, gone) {
                moments[1].gone.insert(pod.meta.uid.clone(), at(gone));
            }
            pods.push(pod);
        }
        made(pods, moments)
    })
}

proptest! {
    #[test]
    fn within_one_part_the_holder_is_the_same_at_every_moment(cluster in any_cluster()) {
        let hands = cluster.hands();
        let changes = &hands.changes[&ip(ADDRESS)];
        prop_assert!(changes.is_sorted_by(|a, b| a < b));
        let far = 1000 * SECOND;
        let begins = [-far].into_iter().chain(changes.iter().copied());
        let ends = changes.iter().copied().chain([far]);
        for (begin, end) in begins.zip(ends) {
            let holder = |first, last| cluster.addresses.holder(ip(ADDRESS), Some((first, last)));
            let whole = holder(begin, end - 1);
            prop_assert!(!matches!(&whole, Holder::Ambiguous(ids) if ids.len() == 1));
            let step = ((end - begin) / 7).max(1);
            for time in [begin, begin + step, begin + 3 * step, end - 1] {
                let time = time.min(end - 1);
                prop_assert_eq!(holder(time, time), whole.clone(), "at {}", time);
            }
        }
    }

    #[test]
    fn a_stretch_names_nobody_that_none_of_its_moments_names(
        cluster in any_cluster(),
        first in -60..60i64,
        length in 0..60i64,
    ) {
        let workloads = |first: i64, last: i64| -> BTreeSet<WorkloadId> {
            let seen = Some((first * SECOND, last * SECOND));
            match cluster.addresses.holder(ip(ADDRESS), seen) {
                Holder::Workload { workload, .. } => BTreeSet::from([workload]),
                Holder::Ambiguous(ids) => ids.into_iter().collect(),
                _ => BTreeSet::new(),
            }
        };
        let whole = workloads(first, first + length);
        for moment in first..=first + length {
            prop_assert!(workloads(moment, moment).is_subset(&whole));
        }
    }
}
