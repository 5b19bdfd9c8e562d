//! What Cilium says otherwise, and what only Cilium can say. That the rest is the same is for `tests/cilium.rs`.

use super::*;
use crate::cluster::model::{Endpoint, EndpointSlice, Node, ServicePort};
use crate::policy::cilium::{build, convert};

const TO_DNS: &str = "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, \
                      podSelector: {matchLabels: {k8s-app: kube-dns}}}], \
                      ports: [{port: 5353, protocol: TCP}, {port: 5353, protocol: UDP}]}";

/// The sock shop with DNS pods on 5353, and `user` the subject of an egress policy of these rules.
fn egress(rules: &str) -> (World, Policies) {
    let (mut world, user, ..) = sock_shop();
    let dns = world.deployment("kube-system/coredns", "k8s-app=kube-dns");
    dns_service(&mut world, "kube-system/kube-dns", dns, 5353);
    let object = format!(
        "{{metadata: {{name: user-deployment-egress, namespace: sock-shop}}, spec: {{podSelector: {{matchLabels: \
         {{app: user}}}}, policyTypes: [Egress], egress: [{TO_DNS}{rules}]}}}}"
    );
    let policy = Policy {
        object: serde_yaml::from_str(&object).unwrap(),
        cilium: None,
        workload: user,
        comment: vec!["podSelector: its own".into()],
        incomplete: Vec::new(),
        peers: Vec::new(),
    };
    (world, Policies { complete: vec![policy], ..Policies::default() })
}

/// A DNS Service, whose pods answer on that port.
fn dns_service(world: &mut World, name: &str, dns: WorkloadId, number: u16) {
    let port = Port { port: PodPort::Number(number), protocol: Protocol::Udp, name: "dns".into() };
    let service = world.service(name, &[dns], &[port]);
    world.cluster.snapshot.services[service].ports = vec![ServicePort {
        name: "dns".into(),
        port: 53,
        protocol: Protocol::Udp,
        ..ServicePort::default()
    }];
    world.cluster.dns_services.push(service);
}

/// `user` asked for a name outside the cluster.
fn outside(world: &mut World, name: &str) {
    let user = world.cluster.workloads.list.iter().position(|w| w.name == "user").unwrap();
    let connection = world.asked(WorkloadId(user as u32), 0);
    connection.server = Arc::new(Server {
        kind: ServerKind::External,
        namespace: String::new(),
        name: name.into(),
        ports: [].into(),
        workloads: Vec::new(),
        in_snapshot: None,
        service: None,
    });
    connection.proof = Some(Proof { names: [name.into()].into(), ports: [].into() });
}

/// The one policy, converted: its document, and why it is incomplete.
fn made(world: &World, policies: &Policies) -> (Value, Vec<String>) {
    let made = convert(policies, &world.report, &world.cluster, &options());
    let all = [made.complete, made.incomplete].concat();
    assert_eq!(all.len(), 1, "{:?}", made.refused);
    (read(&all[0]), all[0].incomplete.clone())
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[test]
fn a_node_is_host_and_remote_node_since_cidr_rules_never_match_nodes() {
    let (mut world, .., service) = sock_shop();
    let addresses = vec!["192.168.0.1".parse().unwrap()];
    let meta = Meta { name: "node-a".into(), ..Meta::default() };
    world.cluster.snapshot.nodes.push(Node { meta, addresses, ..Node::default() });
    let connection = world.asked_as("Node", "node-a", service);
    Arc::make_mut(&mut connection.client).ips = vec!["192.168.0.1".parse().unwrap()];
    let options = Options { allow_nodes: true, ..options() };
    let policies = world.build_with(&options);
    let made = convert(&policies, &world.report, &world.cluster, &options);
    let document = read(&made.complete[0]);
    let ports = "toPorts: [{ports: [{port: '27017', protocol: TCP}]}]";
    let wanted = yaml(&format!(
        "[{{fromEndpoints: [{{matchLabels: {{'k8s:app': user, 'k8s:io.kubernetes.pod.namespace': sock-shop}}}}], \
           {ports}}}, {{fromEntities: [host, remote-node], {ports}}}]"
    ));
    assert_eq!(document["spec"]["ingress"], wanted);
    assert!(document["spec"]["egress"].is_null());
    let comment = &made.complete[0].comment;
    assert!(comment.iter().any(|line| line.contains("all nodes")), "{comment:?}");
    assert!(comment.iter().any(|line| line.starts_with("endpointSelector:")), "{comment:?}");
}

#[test]
fn the_api_server_is_an_entity_and_other_addresses_are_blocks() {
    let block = |cidr: &str| format!("{{ipBlock: {{cidr: {cidr}}}}}");
    let (mut world, policies) = egress(&format!(
        ", {{to: [{}, {}], ports: [{{port: 6443, protocol: TCP}}]}}, \
           {{to: [{}], ports: [{{port: 53, protocol: UDP}}]}}",
        block("172.16.0.2/32"),
        block("203.0.113.9/32"),
        block("169.254.20.10/32"),
    ));
    let service = world.service("default/kubernetes", &[], &[]);
    world.cluster.services.insert(("default".into(), "kubernetes".into()), service);
    let endpoint =
        Endpoint { addresses: vec!["172.16.0.2".parse().unwrap()], ..Endpoint::default() };
    let slice = EndpointSlice { endpoints: vec![endpoint], ..EndpointSlice::default() };
    world.cluster.snapshot.slices.push(slice);
    world.cluster.slices = vec![Vec::new(); service];
    world.cluster.slices.push(vec![0]);
    let (document, incomplete) = made(&world, &policies);
    let ports = "toPorts: [{ports: [{port: '6443', protocol: TCP}]}]";
    let wanted = yaml(&format!(
        "[{{toEntities: [kube-apiserver], {ports}}}, {{toCIDRSet: [{{cidr: 203.0.113.9/32}}], {ports}}}, \
          {{toEntities: [host], toPorts: [{{ports: [{{port: '53', protocol: UDP}}]}}]}}]"
    ));
    let rules = document["spec"]["egress"].as_sequence().unwrap();
    assert_eq!(&rules[1..], wanted.as_sequence().unwrap().as_slice());
    assert!(rules[0]["toPorts"][0]["rules"].is_null(), "no name, no proxy");
    assert_eq!(incomplete, [""; 0]);
}

#[test]
fn a_name_outside_comes_with_the_proxy_and_asks_for_its_ports() {
    let (mut world, policies) = egress("");
    outside(&mut world, "api.payments.example");
    outside(&mut world, "cdn.example.org");
    let (document, incomplete) = made(&world, &policies);
    let wanted = yaml(
        "[{toEndpoints: [{matchLabels: {'k8s:k8s-app': kube-dns, 'k8s:io.kubernetes.pod.namespace': kube-system}}], \
           toPorts: [{ports: [{port: '5353', protocol: TCP}, {port: '5353', protocol: UDP}], \
                      rules: {dns: [{matchPattern: '*'}]}}]}, \
          {toFQDNs: [{matchName: api.payments.example}, {matchName: cdn.example.org}]}]",
    );
    assert_eq!(document["spec"]["egress"], wanted);
    assert!(incomplete[0].contains("every port is open to api.payments.example"), "{incomplete:?}");
    assert_eq!(document["metadata"]["labels"]["kico.dev/incomplete"], "true");

    let strict = Options { strict: true, ..options() };
    let strict = convert(&policies, &world.report, &world.cluster, &strict);
    assert_eq!((strict.complete, strict.incomplete), (vec![], vec![]));
    assert!(strict.refused[0].reason.contains("--strict"), "{:?}", strict.refused);
}

#[test]
fn lookups_to_every_dns_workload_pass_the_proxy_and_nothing_else_does() {
    let to =
        |app: &str, port: u16| TO_DNS.replace("kube-dns", app).replace("5353", &port.to_string());
    let (second, metrics) = (to("core", 53), to("kube-dns", 9153));
    let (mut world, policies) = egress(&format!(", {second}, {metrics}"));
    let core = world.deployment("kube-system/core", "k8s-app=core");
    dns_service(&mut world, "kube-system/coredns", core, 53);
    outside(&mut world, "api.payments.example");
    let (document, _) = made(&world, &policies);
    let rules = document["spec"]["egress"].as_sequence().unwrap();
    let watched: Vec<bool> = (rules.iter())
        .map(|rule| !rule["toPorts"].is_null() && !rule["toPorts"][0]["rules"].is_null())
        .collect();
    assert_eq!(watched, [true, true, false, false]);
}

#[test]
fn names_of_others_and_ingress_policies_get_no_tofqdns() {
    let (mut world, user, ..) = sock_shop();
    outside(&mut world, "api.payments.example");
    let policies = world.build();
    assert!(policies.complete.iter().all(|policy| policy.workload != user));
    let (document, _) = made(&world, &policies);
    assert!(document["spec"]["egress"].is_null());
}

#[test]
fn names_that_cilium_does_not_take_are_named_instead() {
    for (name, why) in [
        ("a\\032b.example", "letters"),
        ("*.example", "letters"),
        ("b\u{fc}cher.example", "letters"),
        ("a..example", "letters"),
        ("_https._tcp.example", "SRV"),
    ] {
        let (mut world, policies) = egress("");
        outside(&mut world, name);
        let (document, incomplete) = made(&world, &policies);
        assert_eq!(document["spec"]["egress"].as_sequence().unwrap().len(), 1, "{name}");
        assert!(incomplete[0].contains(why), "{incomplete:?}");
    }
}

#[test]
fn what_was_not_surely_asked_is_not_allowed() {
    type Change = fn(&mut World);
    let changes: [(Change, &str); 4] = [
        (|world| world.report.connections[1].proof = None, "finished pods"),
        (|world| world.report.connections[1].status = vec![Status::OutcomeUnknown], "answered"),
        (
            |world| {
                let names = ["a.example.sock-shop.svc.cluster.local".into()].into();
                world.report.connections[1].proof = Some(Proof { names, ports: [].into() });
            },
            "autopath",
        ),
        (|world| world.cluster.dns_services.clear(), "no rule leads to DNS pods"),
    ];
    for (change, why) in changes {
        let (mut world, policies) = egress("");
        outside(&mut world, "a.example");
        change(&mut world);
        let (document, incomplete) = made(&world, &policies);
        assert_eq!(document["spec"]["egress"].as_sequence().unwrap().len(), 1, "{why}");
        assert!(incomplete.iter().any(|line| line.contains(why)), "{incomplete:?}");
    }
}

#[test]
fn an_external_name_has_the_ports_that_its_service_declares() {
    for (target, declared, expected, complete) in [
        (
            "db.rds.example.",
            5432,
            "{toFQDNs: [{matchName: db.rds.example}, {matchName: old.sock-shop.svc.cluster.local}], \
              toPorts: [{ports: [{port: '5432', protocol: TCP}]}]}",
            true,
        ),
        (
            "db.rds.example",
            0,
            "{toFQDNs: [{matchName: db.rds.example}, {matchName: old.sock-shop.svc.cluster.local}]}",
            false,
        ),
        ("user-db.sock-shop.svc.cluster.local", 5432, "null", false),
    ] {
        let (mut world, policies) = egress("");
        let service = world.service("sock-shop/old", &[], &[]);
        let own = &mut world.cluster.snapshot.services[service];
        own.kind = "ExternalName".into();
        own.external_name = target.into();
        own.ports = vec![ServicePort { port: declared, ..ServicePort::default() }];
        world.asked(WorkloadId(0), service);
        let (document, incomplete) = made(&world, &policies);
        assert_eq!(document["spec"]["egress"][1], yaml(expected), "{target}");
        assert_eq!(incomplete.is_empty(), complete, "{incomplete:?}");
    }
}

#[test]
fn whoever_asked_only_for_names_outside_has_a_policy_too() {
    let (mut world, _) = egress("");
    world.report.connections.clear();
    outside(&mut world, "a.example");
    let port = ServicePort {
        name: "dns".into(),
        port: 53,
        protocol: Protocol::Udp,
        ..ServicePort::default()
    };
    world.cluster.snapshot.services[1].ports = vec![port];
    let options = Options { directions: &[Direction::Egress], ..options() };
    let kubernetes = world.build_with(&options);
    assert_eq!((kubernetes.complete.len(), kubernetes.incomplete.len()), (0, 0));
    let cilium = build(&world.report, &world.cluster, &options);
    assert_eq!(cilium.refused, []);
    let document = read(&cilium.incomplete[0]);
    assert_eq!(document["spec"]["egress"][1], yaml("{toFQDNs: [{matchName: a.example}]}"));
    // One reason: that a NetworkPolicy could not say it is no longer one.
    assert_eq!(cilium.incomplete[0].incomplete.len(), 1, "{:?}", cilium.incomplete[0].incomplete);
    let evidence = &document["metadata"]["annotations"]["kico.dev/evidence"];
    assert_eq!(evidence, "External: a.example; ports unknown\n");
}

#[test]
fn w18_a_name_that_a_stranger_would_get_too_is_left_out() {
    let (mut world, policies) = egress("");
    let other = world.deployment("sock-shop/canary", "app=user,track=canary");
    outside(&mut world, "a.example");
    outside(&mut world, "both.example");
    let mut same = world.report.connections.last().unwrap().clone();
    Arc::make_mut(&mut same.client).workload = Some(other);
    world.report.connections.push(same);
    let (document, incomplete) = made(&world, &policies);
    let wanted = yaml("{toFQDNs: [{matchName: both.example}]}");
    assert_eq!(document["spec"]["egress"][1], wanted);
    let said = "a.example cannot be said by toFQDNs: the policy's selector also fits";
    assert!(incomplete.iter().any(|line| line.starts_with(said)), "{incomplete:?}");
}

#[test]
fn a_named_port_of_egress_is_incomplete_since_cilium_may_skip_it() {
    let (world, policies) = egress(
        ", {to: [{podSelector: {matchLabels: {app: x}}}], ports: [{port: web, protocol: TCP}]}",
    );
    let (document, incomplete) = made(&world, &policies);
    assert_eq!(document["spec"]["egress"][1]["toPorts"][0]["ports"][0]["port"], "web");
    assert!(incomplete[0].contains("cilium#30003"), "{incomplete:?}");
}

#[test]
fn the_directory_is_the_same() {
    let (world, ..) = sock_shop();
    let policies = world.build();
    let made = convert(&policies, &world.report, &world.cluster, &options());
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(write::directory(&made, dir.path()).unwrap().policies, 1);
    let path = dir.path().join("sock-shop/user-db-deployment-ingress.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.starts_with(MARK) && text.contains("\nkind: CiliumNetworkPolicy\n"), "{text}");
    assert!(text.contains("kico.dev/evidence: |"), "{text}");
}

#[test]
fn a_namespace_needs_no_label_that_cilium_does_not_look_at() {
    let (world, mut policies) = egress("");
    let mut policy = policies.complete.remove(0);
    policy.incomplete = vec![format!("{}: sock-shop", crate::policy::around::UNLABELLED)];
    policies.incomplete = vec![policy];
    assert!(made(&world, &policies).1.is_empty());
}
