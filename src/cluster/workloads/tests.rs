use super::super::tests_support::*;
use super::*;

/// `lines`: the pods' workloads.
#[track_caller]
fn check(pods: Vec<Pod>, controllers: Vec<Controller>, expected: &[&str]) {
    let names: Vec<String> = pods.iter().map(|pod| pod.meta.name.clone()).collect();
    let cluster = cluster(Snapshot { pods, controllers, ..Snapshot::default() });
    let owners: Vec<String> = names.iter().map(|name| cluster.owner_of(name)).collect();
    assert_eq!(owners, expected);
}

fn with_owner(mut controller: Controller, kind: &str, name: &str) -> Controller {
    controller.meta.owner = owner(&controller.meta.namespace, kind, name);
    controller
}

fn rs(name: &str) -> Controller {
    controller("ReplicaSet", "shop", name, "app=web")
}

fn of(kind: &str, name: &str) -> Pod {
    owned(pod("shop", "p", "10.0.0.1"), kind, name, "")
}

#[test]
fn the_chain_goes_from_replicaset_and_job_to_their_owners() {
    let cases = [
        (
            of("ReplicaSet", "web-6f"),
            with_owner(rs("web-6f"), "Deployment", "web"),
            "Deployment/web",
        ),
        (of("ReplicaSet", "web-6f"), with_owner(rs("web-6f"), "Rollout", "web"), "Rollout/web"),
        (of("ReplicaSet", "web-6f"), rs("web-6f"), "ReplicaSet/web-6f"),
        (
            of("Job", "dump-x"),
            with_owner(controller("Job", "shop", "dump-x", ""), "CronJob", "dump"),
            "CronJob/dump",
        ),
        (of("Job", "dump-x"), controller("Job", "shop", "dump-x", ""), "Job/dump-x"),
        (of("StatefulSet", "db"), rs("other"), "StatefulSet/db"),
        (of("Kafka", "events"), rs("other"), "Kafka/events"),
    ];
    for (pod, controller, expected) in cases {
        check(vec![pod], vec![controller], &[&format!("shop/{expected}")]);
    }
}

#[test]
fn a_statefulset_that_an_operator_owns_is_the_workload() {
    let db = with_owner(controller("StatefulSet", "shop", "db", ""), "PostgresCluster", "db");
    check(vec![of("StatefulSet", "db")], vec![db], &["shop/StatefulSet/db"]);
}

#[test]
fn an_owner_is_found_by_uid_and_by_name_only_where_a_uid_is_missing() {
    let replicaset = with_owner(rs("web-6f"), "Deployment", "web");
    let mut elsewhere = of("ReplicaSet", "web-6f");
    elsewhere.meta.owner.as_mut().unwrap().uid = "another".into();
    check(vec![elsewhere.clone()], vec![replicaset.clone()], &["shop/ReplicaSet/web-6f"]);
    elsewhere.meta.owner.as_mut().unwrap().uid = String::new();
    check(vec![elsewhere], vec![replicaset.clone()], &["shop/Deployment/web"]);
    let mut by_hand = replicaset.clone();
    by_hand.meta.uid = String::new();
    check(vec![of("ReplicaSet", "web-6f")], vec![by_hand.clone()], &["shop/Deployment/web"]);
    // Of two, the one with the uid.
    let other = with_owner(rs("web-6f"), "Deployment", "wrong");
    let other = Controller { meta: Meta { uid: String::new(), ..other.meta }, ..other };
    let both = vec![other, replicaset];
    check(vec![of("ReplicaSet", "web-6f")], both, &["shop/Deployment/web"]);
}

#[test]
fn no_reference_reaches_into_another_namespace() {
    let theirs = with_owner(controller("ReplicaSet", "bank", "web-6f", ""), "Deployment", "web");
    let mut forged = of("ReplicaSet", "web-6f");
    forged.meta.owner = owner("bank", "ReplicaSet", "web-6f");
    check(vec![forged], vec![theirs], &["shop/ReplicaSet/web-6f"]);
}

#[test]
fn an_absent_replicaset_named_with_the_pods_hash_stands_for_its_deployment_or_rollout() {
    for (owner, labels, expected) in [
        ("web-6f7d", "pod-template-hash=6f7d", "Deployment/web"),
        ("web-6f7d", "rollouts-pod-template-hash=6f7d", "Rollout/web"),
        ("web-6f7d", "pod-template-hash=7777", "ReplicaSet/web-6f7d"),
        ("web-6f7d", "app=web", "ReplicaSet/web-6f7d"),
        ("web6f7d", "pod-template-hash=6f7d", "ReplicaSet/web6f7d"),
        ("-6f7d", "pod-template-hash=6f7d", "ReplicaSet/-6f7d"),
        ("web-", "pod-template-hash=", "ReplicaSet/web-"),
    ] {
        let pod = owned(pod("shop", "p", "10.0.0.1"), "ReplicaSet", owner, labels);
        let cluster = cluster(Snapshot { pods: vec![pod], ..Snapshot::default() });
        assert_eq!(cluster.owner_of("p"), format!("shop/{expected}"), "{owner} {labels}");
        assert!(!cluster.workloads.list[0].inferred);
    }
}

#[test]
fn an_absent_job_named_for_its_minute_stands_for_its_cronjob_and_is_marked() {
    let seconds = at("10:00:00") / SECOND;
    let minute = |offset: Time| format!("dump-{}", seconds / 60 + offset);
    for (job, expected) in [
        (minute(0), "CronJob/dump".to_string()),
        (minute(-24 * 60), "CronJob/dump".to_string()),
        (minute(24 * 60), "CronJob/dump".to_string()),
        (minute(-24 * 60 - 1), format!("Job/{}", minute(-24 * 60 - 1))),
        (format!("dump-{}", seconds - 7), "CronJob/dump".to_string()),
        ("dump-12345678".to_string(), "Job/dump-12345678".to_string()),
        ("dump-7".to_string(), "Job/dump-7".to_string()),
        ("-29585400".to_string(), "Job/-29585400".to_string()),
        ("dump-+9585400".to_string(), "Job/dump-+9585400".to_string()),
    ] {
        let mut pod = of("Job", &job);
        pod.meta.created = Some(at("10:00:00"));
        let made = cluster(Snapshot { pods: vec![pod.clone()], ..Snapshot::default() });
        assert_eq!(made.owner_of("p"), format!("shop/{expected}"));
        assert_eq!(made.workloads.list[0].inferred, expected.starts_with("CronJob"));
        pod.meta.created = None;
        let made = cluster(Snapshot { pods: vec![pod], ..Snapshot::default() });
        assert_eq!(made.owner_of("p"), format!("shop/Job/{job}"), "nothing to hold it against");
    }
}

#[test]
fn a_job_that_is_there_without_an_owner_is_no_cronjobs() {
    let job = format!("dump-{}", at("10:00:00") / SECOND / 60);
    let mut pod = of("Job", &job);
    pod.meta.created = Some(at("10:00:00"));
    let there = controller("Job", "shop", &job, "");
    check(vec![pod], vec![there], &[&format!("shop/Job/{job}")]);
}

#[test]
fn a_static_pod_is_its_name_less_its_node_and_a_bare_pod_itself() {
    let on = |name: &str, node: &str| owned(pod("kube-system", name, ""), "Node", node, "");
    let pods = vec![
        on("kube-proxy-n1", "n1"),
        on("kube-proxy-n2", "n2"),
        on("odd", "n1"),
        pod("shop", "shell", "10.0.0.9"),
    ];
    check(
        pods,
        vec![],
        &[
            "kube-system/Pod/kube-proxy",
            "kube-system/Pod/kube-proxy",
            "kube-system/Pod/odd",
            "shop/Pod/shell",
        ],
    );
}

#[test]
fn a_bare_pod_is_not_the_static_pod_of_its_name() {
    let fixed = owned(pod("shop", "tool-n1", ""), "Node", "n1", "");
    check(
        vec![fixed.clone(), pod("shop", "tool-x", "")],
        vec![],
        &["shop/Pod/tool", "shop/Pod/tool-x"],
    );
    check(vec![pod("shop", "tool", ""), fixed], vec![], &["shop/Pod/tool", "shop/Pod.static/tool"]);
}

#[test]
fn workloads_without_pods_are_listed_but_no_replicaset_or_job_that_has_an_owner() {
    let controllers = vec![
        controller("Deployment", "shop", "idle", ""),
        controller("CronJob", "shop", "yearly", ""),
        with_owner(rs("idle-1"), "Deployment", "idle"),
        with_owner(controller("Job", "shop", "yearly-1", ""), "CronJob", "yearly"),
        controller("Job", "shop", "once", ""),
    ];
    let cluster = cluster(Snapshot { controllers, ..Snapshot::default() });
    let words: Vec<String> = cluster.workloads.iter().map(|(id, _)| cluster.word(id)).collect();
    assert_eq!(words, ["shop/CronJob/yearly", "shop/Deployment/idle", "shop/Job/once"]);
    assert!(cluster.workloads.list.iter().all(|w| w.controller.is_some()));
}

#[test]
fn two_objects_of_one_name_are_one_workload_with_the_newer_controller() {
    let made = |uid: &str, clock: &str| {
        let mut c = controller("Deployment", "shop", "web", "");
        (c.meta.uid, c.meta.created) = (uid.into(), Some(at(clock)));
        c
    };
    let controllers = vec![made("new", "11:00:00"), made("old", "10:00:00")];
    let cluster = cluster(Snapshot { controllers, ..Snapshot::default() });
    assert_eq!(cluster.workloads.list.len(), 1);
    let index = cluster.workloads.list[0].controller.unwrap();
    assert_eq!(cluster.snapshot.controllers[index].meta.uid, "new");
}

#[test]
fn a_group_makes_another_workload_and_is_shown_where_the_kind_is_not_enough() {
    let by = |name: &str, kind: &str, group: &str| {
        let mut pod = owned(pod("shop", name, ""), kind, "db", "");
        pod.meta.owner.as_mut().unwrap().group = group.into();
        pod
    };
    let pods = vec![
        by("a", "StatefulSet", ""),
        by("b", "StatefulSet.apps.kruise.io", ""),
        by("c", "Cluster", "pg.example"),
        by("d", "Cluster", "pg.example"),
    ];
    let controllers = || vec![controller("StatefulSet", "shop", "db", "app=db")];
    let alone = ["shop/StatefulSet/db", "shop/StatefulSet.apps.kruise.io/db"];
    check(
        pods.clone(),
        controllers(),
        &[&alone[..], &["shop/Cluster/db", "shop/Cluster/db"]].concat(),
    );
    // Another object's pods are nobody's but its own.
    let made =
        cluster(Snapshot { pods: pods.clone(), controllers: controllers(), ..Snapshot::default() });
    let own: Vec<_> = made.workloads.list.iter().map(|w| w.controller.is_some()).collect();
    assert_eq!(own, [false, true, false]);
    let more = [by("e", "Cluster", "mysql.example"), by("f", "Cluster", "")];
    check(
        pods.into_iter().chain(more).collect(),
        controllers(),
        &[
            &alone[..],
            &["shop/Cluster.pg.example/db", "shop/Cluster.pg.example/db"],
            &["shop/Cluster.mysql.example/db", "shop/Cluster/db"],
        ]
        .concat(),
    );
}

#[test]
fn a_job_of_another_group_is_no_cronjobs_and_steps_nowhere() {
    let job = format!("dump-{}", at("10:00:00") / SECOND / 60);
    let mut pod = of("Job.batch.volcano.sh", &job);
    pod.meta.created = Some(at("10:00:00"));
    let there = with_owner(controller("Job", "shop", &job, ""), "CronJob", "dump");
    check(vec![pod], vec![there], &[&format!("shop/Job.batch.volcano.sh/{job}")]);
}

#[test]
fn owners_in_a_circle_survive() {
    let controllers = vec![
        with_owner(rs("a"), "ReplicaSet", "b"),
        with_owner(rs("b"), "ReplicaSet", "a"),
        with_owner(rs("self"), "ReplicaSet", "self"),
    ];
    let pods = vec![of("ReplicaSet", "a"), owned(pod("shop", "q", ""), "ReplicaSet", "self", "")];
    check(pods, controllers, &["shop/ReplicaSet/a", "shop/ReplicaSet/self"]);
}
