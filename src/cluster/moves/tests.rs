use super::super::addresses::Holder;
use super::super::model::{Moment, Pod, Snapshot};
use super::super::tests_support::*;
use crate::cluster::Cluster;
use crate::time::SECOND;

/// `web 09:30-09:30 10.0.0.1`: that workload's pod, seen from when to when at which addresses. Started at 08:00.
fn state(text: &str) -> Pod {
    let (workload, rest) = text.split_once(' ').unwrap();
    let (seen, addresses) = rest.split_once(' ').unwrap_or((rest, ""));
    let seen = seen.split_once('-').unwrap();
    let time = |clock: &str| at(&format!("{clock}:00"));
    let pod = owned(pod("shop", workload, addresses), "Deployment", workload, "");
    Pod { seen: Some((time(seen.0), time(seen.1))), ..since(pod, "08:00:00") }
}

/// A pod by its states, oldest first.
fn moved(states: &[&str]) -> Pod {
    let mut states: Vec<Pod> = states.iter().map(|text| state(text)).collect();
    let last = states.pop().unwrap();
    Pod { former: states, ..last }
}

/// The latest state's network was made at that time, and its containers ran from then on.
fn remade(pod: Pod, clock: &str) -> Pod {
    Pod { network_ready: Some(at(clock)), ..pod }
}

/// Snapshots of half past nine and of noon, both of which hold them all.
fn seen_by_both(pods: Vec<Pod>) -> Cluster {
    let all: Vec<&Pod> = pods.iter().collect();
    let moments: Vec<Moment> = ["09:30:00", "12:00:00"].map(|clock| moment(clock, &all)).into();
    cluster(Snapshot { pods, moments, ..Snapshot::default() })
}

/// The holder in one word: `web+api` if ambiguous, `web+?` if only in part of the time, `-` if nobody.
fn word(cluster: &Cluster, address: &str, clock: &str) -> String {
    let time = at(clock);
    let name = |id| cluster.workloads.get(id).name.clone();
    match cluster.addresses.holder(ip(address), Some((time, time))) {
        Holder::Workload { workload, shared: false, .. } => name(workload),
        Holder::Ambiguous(ids) if ids.len() == 1 => format!("{}+?", name(ids[0])),
        Holder::Ambiguous(ids) => ids.into_iter().map(name).collect::<Vec<_>>().join("+"),
        Holder::Node(node) => format!("node {node}"),
        Holder::Unknown => "-".into(),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check(cluster: &Cluster, address: &str, cases: &[(&str, &str)]) {
    for (clock, expected) in cases {
        assert_eq!(word(cluster, address, clock), *expected, "{address} at {clock}");
    }
}

#[test]
fn an_address_was_the_pods_when_a_snapshot_says_so_and_maybe_until_the_next_one_has_it_elsewhere() {
    let cluster =
        seen_by_both(vec![moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.9"])]);
    let cases = [
        ("07:59:54", "-"),
        ("08:00:00", "web"),
        ("09:30:00", "web"),
        ("11:59:59", "web"),
        ("12:00:05", "web"),
        ("12:00:06", "-"),
    ];
    check(&cluster, "10.0.0.1", &cases);
    let cases = [("09:29:54", "-"), ("09:31:00", "web"), ("12:00:00", "web"), ("23:00:00", "web")];
    check(&cluster, "10.0.0.9", &cases);
}

#[test]
fn pods_that_change_places_are_both_candidates_while_nobody_knows() {
    let cluster = seen_by_both(vec![
        moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.2"]),
        moved(&["api 09:30-09:30 10.0.0.2", "api 12:00-12:00 10.0.0.1"]),
    ]);
    let cases = [
        ("09:00:00", "web"),
        ("09:29:59", "web"),
        ("09:31:00", "api+web"),
        ("11:59:59", "api+web"),
        ("12:00:00", "api"),
    ];
    check(&cluster, "10.0.0.1", &cases);
    let cases = [("09:00:00", "api"), ("11:00:00", "api+web"), ("13:00:00", "web")];
    check(&cluster, "10.0.0.2", &cases);
}

#[test]
fn since_when_the_pod_is_there_is_when_its_network_was_made() {
    let cluster = seen_by_both(vec![
        remade(moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.2"]), "10:01:00"),
        remade(moved(&["api 09:30-09:30 10.0.0.2", "api 12:00-12:00 10.0.0.1"]), "10:02:00"),
    ]);
    let cases = [("09:29:00", "web"), ("10:01:00", "api+web"), ("10:02:00", "api")];
    check(&cluster, "10.0.0.1", &cases);
    // What was made before the pod was last seen elsewhere says nothing.
    let cluster = seen_by_both(vec![
        remade(moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.2"]), "09:00:00"),
        moved(&["api 09:30-09:30 10.0.0.2", "api 12:00-12:00 10.0.0.3"]),
    ]);
    check(
        &cluster,
        "10.0.0.2",
        &[("09:10:00", "api"), ("11:00:00", "api+web"), ("12:00:00", "web")],
    );
}

#[test]
fn a_pod_that_only_the_later_snapshot_has_there_came_later_than_it_says() {
    let late = state("late 12:00-12:00 10.0.0.1");
    let cluster = seen_by_both(vec![
        moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.2"]),
        late.clone(),
    ]);
    let cases = [
        ("09:00:00", "web"),
        ("09:30:00", "late+web"),
        ("11:00:00", "late+web"),
        ("12:00:00", "late"),
    ];
    check(&cluster, "10.0.0.1", &cases);
    // As when the first one was deleted.
    let (old, other) = (state("web 09:30-09:30 10.0.0.1"), state("api 09:30-12:00 10.0.0.3"));
    let moments = vec![moment("09:30:00", &[&old, &other]), moment("12:00:00", &[&late, &other])];
    let pods = vec![old, late, other];
    check(&cluster_of(pods, moments), "10.0.0.1", &cases);
}

fn cluster_of(pods: Vec<Pod>, moments: Vec<Moment>) -> Cluster {
    cluster(Snapshot { pods, moments, ..Snapshot::default() })
}

#[test]
fn a_pod_may_come_back_and_one_of_two_families_may_stay() {
    let pod = moved(&[
        "web 09:00-09:00 10.0.0.1 fd00::1",
        "web 10:00-10:00 10.0.0.2 fd00::1",
        "web 11:00-12:00 10.0.0.1 fd00::1",
    ]);
    let moments: Vec<Moment> =
        ["09:00:00", "10:00:00", "11:00:00", "12:00:00"].map(|clock| moment(clock, &[&pod])).into();
    let cluster = cluster_of(vec![pod], moments);
    check(
        &cluster,
        "10.0.0.1",
        &[("08:30:00", "web"), ("09:59:00", "web"), ("10:30:00", "web"), ("13:00:00", "web")],
    );
    check(
        &cluster,
        "10.0.0.2",
        &[("08:30:00", "-"), ("09:30:00", "web"), ("10:59:00", "web"), ("11:30:00", "-")],
    );
    check(&cluster, "fd00::1", &[("08:30:00", "web"), ("10:00:00", "web"), ("13:00:00", "web")]);
}

#[test]
fn an_evicted_pod_had_its_address_until_it_failed() {
    let mut pod = moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00"]);
    pod.phase = "Failed".into();
    pod.last_transition = Some(at("10:30:00"));
    let cases = [("09:00:00", "web"), ("10:30:00", "web"), ("10:30:06", "-"), ("12:00:00", "-")];
    check(&seen_by_both(vec![pod]), "10.0.0.1", &cases);
}

#[test]
fn where_no_snapshot_is_known_to_be_the_later_one_the_pod_is_a_candidate_at_both_at_all_times() {
    let undated = |mut pod: Pod| {
        pod.seen = None;
        pod
    };
    for pod in [
        moved(&["web 12:00-12:00 10.0.0.1", "web 12:00-12:00 10.0.0.2"]),
        undated(moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.2"])),
    ] {
        let cluster = seen_by_both(vec![pod, state("api 12:00-12:00 10.0.0.1")]);
        check(
            &cluster,
            "10.0.0.1",
            &[("07:00:00", "web"), ("09:00:00", "api+web"), ("13:00:00", "api+web")],
        );
        check(&cluster, "10.0.0.2", &[("07:00:00", "web"), ("13:00:00", "web")]);
    }
}

#[test]
fn a_pod_whose_network_was_made_again_had_it_only_since_where_another_had_the_address_before() {
    let web = moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.2"]);
    let web = Pod { network_ready: Some(at("11:00:02")), ..web };
    // It ran since 10:00, on whatever address, and its node started again with web's.
    let mut api = state("api 12:00-12:00 10.0.0.1");
    api.start = Some(at("10:00:00"));
    api.started = Some(at("10:00:05"));
    api.network_ready = Some(at("11:00:04"));
    let cases = [("09:59:00", "web"), ("10:30:00", "api+web"), ("11:01:00", "api")];
    check(&seen_by_both(vec![web, api]), "10.0.0.1", &cases);
}

#[test]
fn a_record_without_a_time_fits_all_that_ever_were_there() {
    let cluster = seen_by_both(vec![
        moved(&["web 09:30-09:30 10.0.0.1", "web 12:00-12:00 10.0.0.2"]),
        state("api 12:00-12:00 10.0.0.1"),
    ]);
    let holder = |address: &str| cluster.addresses.holder(ip(address), None);
    assert!(matches!(holder("10.0.0.1"), Holder::Ambiguous(ids) if ids.len() == 2));
    assert!(matches!(holder("10.0.0.2"), Holder::Workload { shared: false, .. }));
    let over =
        cluster.addresses.holder(ip("10.0.0.1"), Some((at("09:00:00"), at("09:30:00") - SECOND)));
    assert!(matches!(over, Holder::Workload { .. }));
}
