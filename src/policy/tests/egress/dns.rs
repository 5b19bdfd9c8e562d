//! The rule to the cluster's own DNS (POLICY_RULES 2, W31), and whom it is not for.

use super::*;

#[test]
fn w31_egress_to_dns_is_the_pods_own_labels_and_ports_by_both_protocols() {
    let (mut world, ..) = sock_shop();
    world.dns(5353);
    assert_eq!(rules(&world.one().0)[0], "kube-system:k8s-app=kube-dns 5353/TCP,5353/UDP");
}

#[test]
fn w31_egress_without_dns_pods_in_the_snapshot_there_is_none() {
    sock_shop().0.refuses_egress("kubectl get pods");
    // A tenant's resolver is none.
    let (mut world, ..) = shop();
    world.cluster.dns_services.clear();
    world.cluster.snapshot.dns_namespaces.clear();
    world.refuses_egress("no DNS pods");
}

#[test]
fn w31_egress_dns_pods_alone_are_known_by_their_label_and_ports() {
    let (mut world, ..) = shop();
    world.cluster.dns_services.clear();
    let dns = world.cluster.workloads.iter().find(|(_, w)| w.name == "coredns").unwrap().0;
    world.refuses_egress("no DNS pods");
    let port = |name: &str, port, protocol| ContainerPort {
        name: name.into(),
        port,
        protocol,
        host_port: None,
    };
    let ports = vec![port("dns", 5353, Protocol::Udp), port("metrics", 9153, Protocol::Tcp)];
    world.pod(dns).containers = vec![Container { name: "main".into(), ports }];
    assert_eq!(rules(&world.one().0)[0], "kube-system:k8s-app=kube-dns 5353/TCP,5353/UDP");
}

#[test]
fn w31_egress_dns_in_a_namespace_without_the_label_leaves_a_policy_incomplete() {
    let (mut world, ..) = shop();
    assert!(world.one().1.is_empty());
    let lacking = Meta { name: "kube-system".into(), ..Meta::default() };
    world.cluster.snapshot.namespaces.push(lacking);
    world.lacks("label kubernetes.io/metadata.name, which is lacking: kube-system");
}

#[test]
fn w31_egress_dns_whose_labels_fit_strangers_is_refused() {
    let mut world = sock_shop().0;
    let dns = world.dns(53);
    let service = world.cluster.dns_services[0];
    // By labels that another workload of the namespace bears too; it is known by its Service alone.
    world.control(dns).selector.as_mut().unwrap().match_labels = Some(labels("role=net").to_map());
    world.pod(dns).meta.labels = labels("role=net");
    world.cluster.backends[service].workloads[0].pods =
        world.cluster.workloads.get(dns).pods.clone();
    world.deployment("kube-system/proxy", "role=net");
    world.refuses_egress("its labels also fit pods of Deployment kube-system/proxy");
    let (mut world, ..) = shop();
    let dns = world.cluster.workloads.iter().find(|(_, w)| w.name == "coredns").unwrap().0;
    world.pod(dns).host_network = true;
    world.refuses_egress("answers DNS on hostNetwork");
}

#[test]
fn w31_egress_a_node_local_cache_adds_its_addresses_and_says_that_they_are_assumed() {
    let (mut world, ..) = shop();
    let cache =
        world.controller("DaemonSet", "kube-system/node-local-dns", "k8s-app=node-local-dns");
    world.pod(cache).host_network = true;
    let cache = ["10.96.0.10/32 53/TCP,53/UDP", "169.254.20.10/32 53/TCP,53/UDP"];
    assert_eq!(rules(&world.one().0)[..3], [DNS, cache[0], cache[1]]);
    let comment = world.build_with(&egress()).complete[0].comment.join("\n");
    assert!(comment.contains("10.96.0.10, 169.254.20.10; 53/TCP, 53/UDP; assumed"), "{comment}");
}

#[test]
fn dns_pods_have_no_egress_policy() {
    let (mut world, _, _, service) = sock_shop();
    let dns = world.dns(53);
    world.report.connections.clear();
    world.asked(dns, service);
    world.refuses_egress("DNS pods ask servers outside the cluster");
}
