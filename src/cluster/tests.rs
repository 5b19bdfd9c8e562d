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
        vec![Node { meta: meta("", "n1"), addresses: vec![ip("192.168.0.1")], pod_cidrs: vec![] }];
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

/// `cargo test --release -- --ignored --nocapture a_large_cluster`
#[test]
#[ignore = "a measurement, not a rule"]
fn a_large_cluster_is_indexed_in_time() {
    let mut snapshot = Snapshot::default();
    for n in 0..20_000 {
        let (namespace, app) = (format!("ns{}", n % 40), format!("app{}", n % 3_000));
        let name = format!("{app}-6f7d-{n}");
        let address = format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255);
        let labels =
            format!("app={app} instance=prod pod-template-hash=6f7d tier=x version=1 team=y");
        let pod =
            owned(pod(&namespace, &name, &address), "ReplicaSet", &format!("{app}-6f7d"), &labels);
        snapshot.pods.push(since(
            Pod { containers: vec![container("http:8080 m:9090")], ..pod },
            "10:00:00",
        ));
    }
    for n in 0..3_000 {
        let (namespace, app) = (format!("ns{}", n % 40), format!("app{n}"));
        let selector = format!("app={app} instance=prod");
        snapshot.services.push(service(&namespace, &app, &selector, "http:80:http m:81:m"));
        snapshot.controllers.push(controller("Deployment", &namespace, &app, &selector));
        let mut replicaset =
            controller("ReplicaSet", &namespace, &format!("{app}-6f7d"), &selector);
        replicaset.meta.owner = owner(&namespace, "Deployment", &app);
        snapshot.controllers.push(replicaset);
    }
    let pods = snapshot.pods.iter();
    let mut endpoints: HashMap<(String, String), Vec<(String, String)>> = HashMap::new();
    for pod in pods {
        let key = (pod.meta.namespace.clone(), pod.meta.labels["app"].clone());
        let endpoint = (pod.addresses[0].to_string(), pod.meta.name.clone());
        endpoints.entry(key).or_default().push(endpoint);
    }
    for ((namespace, app), list) in endpoints {
        let list: Vec<(&str, &str)> = list.iter().map(|(a, p)| (a.as_str(), p.as_str())).collect();
        snapshot.slices.push(slice(&namespace, &app, "http:8080 m:9090", &list));
    }
    let sorted = cluster(snapshot).snapshot;
    let once = || {
        let again = sorted.clone();
        let start = std::time::Instant::now();
        let cluster = Cluster::new(again, &[]);
        assert_eq!(cluster.hands().changes.len(), 20_002);
        start.elapsed()
    };
    eprintln!("{:?} at best", (0..10).map(|_| once()).min());
}
