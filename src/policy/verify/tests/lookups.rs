//! The lookups of every client: who answers them, and whether a policy lets it.

use super::*;

/// The verdict over the lookups of `web-0`, and why it is not known.
#[track_caller]
fn check_lookups(cluster: &Cluster, spec: &str, expected: &str) {
    let found = verdicts_in(cluster, &[spec], &[("web:web-0", "db")]);
    let rows: Vec<&Row> = found.rows.iter().filter(|row| row.is_dns).collect();
    assert_eq!(rows.len(), 1);
    let why = rows[0].unknown.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
    let found = format!("{}{why}", rows[0].verdict.word());
    assert!(
        found == expected || (found.starts_with(expected) && expected.contains(';')),
        "{found}"
    );
}

#[test]
fn every_clients_lookups_are_a_connection_to_the_dns_pods_own_ports() {
    let found = |spec: &str| {
        let found = verdicts(&[spec], &[("web:web-0", "db"), ("Unknown:10.9.9.9", "db")]);
        let rows: Vec<&Row> = found.rows.iter().filter(|row| row.is_dns).collect();
        assert_eq!(rows.len(), 1, "the unknown client's lookups say nothing");
        let ports: Vec<(PodPort, Protocol)> = rows[0]
            .connection
            .server
            .ports
            .iter()
            .map(|Port { port, protocol, .. }| (port.clone(), *protocol))
            .collect();
        let number = PodPort::Number(5353);
        assert_eq!(ports, [(number.clone(), Protocol::Tcp), (number, Protocol::Udp)]);
        rows[0].verdict
    };
    let to = |ports: &str| {
        format!(
            "{{policyTypes: [Egress], egress: [{{to: [{{namespaceSelector: {{}}}}], ports: [{ports}]}}]}}"
        )
    };
    assert_eq!(found("{policyTypes: [Egress]}"), Verdict::Denied);
    // The Service's own number is not the pods'.
    assert_eq!(found(&to("{port: 53, protocol: UDP}, {port: 53}")), Verdict::Denied);
    assert_eq!(found(&to("{port: 5353, protocol: UDP}, {port: 5353}")), Verdict::Allowed);
    assert_eq!(found(&to("{port: 5353, protocol: UDP}")), Verdict::Partly);
}

/// `world` without its Services, or with more in its DNS namespace.
fn world_with(change: impl FnOnce(&mut Snapshot)) -> Cluster {
    let mut snapshot = world().snapshot;
    change(&mut snapshot);
    cluster(snapshot)
}

fn egress(rules: &str) -> String {
    format!("{{policyTypes: [Egress], egress: [{rules}]}}")
}

/// A rule for the pods of the DNS namespace with these labels.
fn to_dns(labels: &str, port: u16) -> String {
    format!(
        "{{to: [{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{{labels}}}}}}}], \
         ports: [{{port: {port}, protocol: UDP}}, {{port: {port}}}]}}"
    )
}

/// A rule for addresses on the port of lookups.
fn to_blocks(cidrs: &str) -> String {
    let blocks: Vec<String> =
        cidrs.split_whitespace().map(|cidr| format!("{{ipBlock: {{cidr: '{cidr}'}}}}")).collect();
    format!("{{to: [{}], ports: [{{port: 53, protocol: UDP}}, {{port: 53}}]}}", blocks.join(", "))
}

#[test]
fn without_a_dns_service_the_dns_pods_are_found_by_label() {
    let cluster = world_with(|snapshot| snapshot.services.clear());
    check_lookups(&cluster, "{policyTypes: [Egress]}", "denied");
    check_lookups(&cluster, &egress(&to_dns("k8s-app: kube-dns", 5353)), "allowed");
    check_lookups(&cluster, &egress(&to_dns("k8s-app: kube-dns", 53)), "denied");
    let found = verdicts_in(&cluster, &[], &[("web:web-0", "db")]);
    let server = &found.rows.iter().find(|row| row.is_dns).unwrap().connection.server;
    assert_eq!((server.name.as_str(), server.in_snapshot), ("dns", Some(false)));
}

#[test]
fn without_dns_pods_the_namespaces_that_were_looked_at_are_named() {
    let mut cluster = world_with(|snapshot| {
        snapshot.services.clear();
        snapshot.pods.retain(|pod| pod.meta.namespace == "shop");
    });
    cluster.snapshot.dns_namespaces = vec!["kube-system".into(), "names".into()];
    let found = verdicts_in(&cluster, &[], &[("web:web-0", "db")]);
    assert!(found.rows.iter().all(|row| !row.is_dns));
    assert!(found.notes[0].contains(" in kube-system, names:"), "{:?}", found.notes);
}

#[test]
fn two_dns_services_that_are_not_treated_alike_leave_lookups_unknown() {
    let cluster = world_with(|snapshot| {
        let other =
            owned(pod("kube-system", "core-0", "10.0.9.8"), "Deployment", "core", "k8s-app=core");
        snapshot.pods.push(Pod { containers: vec![container("dns:53/UDP dns-tcp:53")], ..other });
        let ports = "dns:53:dns/UDP dns-tcp:53:dns-tcp";
        snapshot.services.push(service("kube-system", "coredns", "k8s-app=core", ports));
        // Another name of the first one.
        snapshot.services.push(service("kube-system", "dns-default", "k8s-app=kube-dns", ports));
    });
    let (one, other) = (to_dns("k8s-app: kube-dns", 5353), to_dns("k8s-app: core", 53));
    check_lookups(&cluster, &egress(&format!("{one}, {other}")), "allowed");
    check_lookups(&cluster, "{policyTypes: [Egress]}", "denied");
    check_lookups(&cluster, &egress(&one), "unknown; which of the cluster's DNS Services");
    check_lookups(&cluster, &egress(&other), "unknown; which of the cluster's DNS Services");
}

#[test]
fn with_a_cache_on_the_node_lookups_are_known_only_if_both_ways_are_alike() {
    let cluster = world_with(|snapshot| {
        let cache = owned(
            pod("kube-system", "cache-0", "192.168.0.1"),
            "DaemonSet",
            "node-local-dns",
            "k8s-app=node-local-dns",
        );
        snapshot.pods.push(Pod { host_network: true, node: "n1".into(), ..cache });
        for service in &mut snapshot.services {
            if service.meta.name == "kube-dns" {
                service.cluster_ips = vec![ip("10.96.0.10")];
            }
        }
    });
    let pods = to_dns("k8s-app: kube-dns", 5353);
    let both = to_blocks("10.96.0.10/32 169.254.20.10/32");
    let check =
        |rules: &[&str], expected| check_lookups(&cluster, &egress(&rules.join(", ")), expected);
    let maybe =
        "unknown; the cache node-local-dns may answer on its node, on 10.96.0.10, 169.254.20.10 or";
    check(&["{}"], "allowed");
    // What kico itself writes.
    check(&[&pods, &both], "allowed");
    check(&[], "denied");
    check(&[&to_blocks("10.9.0.0/16")], "denied");
    check(&["{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}"], "denied");
    check(&[&pods], maybe);
    check(&[&pods, &to_blocks("169.254.20.10/32")], maybe);
    check(&[&pods, &to_blocks("10.96.0.10/32")], maybe);
    check(&[&both], maybe);
    // One that was told to listen elsewhere.
    check(&[&to_blocks("169.254.25.10/32")], maybe);
    check(&[&to_blocks("fd00::10/128")], maybe);
    // What the cache does not know it asks the DNS pods, by its node's address.
    let to_dns = |rules: &str| {
        format!(
            "kube-system {{podSelector: {{matchLabels: {{k8s-app: kube-dns}}}}, ingress: [{rules}]}}"
        )
    };
    check_lookups(&cluster, &to_dns(""), "denied");
    check_lookups(&cluster, &to_dns("{from: [{namespaceSelector: {}}]}"), maybe);
    check_lookups(&cluster, &to_dns("{}"), "allowed");
    let node = "{from: [{namespaceSelector: {}}, {ipBlock: {cidr: 192.168.0.0/24}}]}";
    check_lookups(&cluster, &to_dns(node), "allowed");
    check_lookups(&cluster, &to_dns("{from: [{ipBlock: {cidr: 192.168.0.0/24}}]}"), maybe);
    // The rule for the cache is of use.
    let found =
        verdicts_in(&cluster, &[&egress(&format!("{pods}, {both}"))], &[("web:web-0", "db")]);
    assert!(found.findings.iter().all(|finding| finding.kind != Kind::MatchedNothing));
}
