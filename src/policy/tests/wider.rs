//! Every way in which an ingress policy can be wider than its evidence (POLICY_RULES 2), each by its number.

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

use super::*;
use crate::cluster::model::NetworkPolicy;

fn items(policy: &Value) -> Vec<&Value> {
    let rules = policy["spec"]["ingress"].as_sequence().unwrap();
    rules.iter().flat_map(|rule| rule["from"].as_sequence().unwrap()).collect()
}

fn ports(policy: &Value) -> Vec<String> {
    let rules = policy["spec"]["ingress"].as_sequence().unwrap();
    let ports = rules.iter().flat_map(|rule| rule["ports"].as_sequence().unwrap());
    ports
        .map(|port| {
            assert_eq!(
                port.as_mapping().unwrap().len(),
                2,
                "port and protocol, no range: {port:?}"
            );
            let number = match &port["port"] {
                Value::Number(number) => number.to_string(),
                name => name.as_str().unwrap().into(),
            };
            format!("{number}/{}", port["protocol"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn w01_a_subject_without_labels_is_refused() {
    for labels in ["", "pod-template-hash=1,controller-revision-hash=2"] {
        let mut world = World::new();
        let web = world.deployment("shop/web", "app=web");
        let db = world.orphan("Pod", "shop/db", labels);
        let service = world.service("shop/db", &[db], &[tcp(80)]);
        world.asked(web, service);
        world.refuses("no lasting label");
    }
}

#[test]
fn w01_a_controller_that_selects_everything_is_refused() {
    let (mut world, _, db, _) = sock_shop();
    world.control(db).selector = Some(LabelSelector::default());
    world.refuses("no lasting label");
}

#[test]
fn w02_without_a_peer_there_is_no_policy() {
    let (mut world, ..) = sock_shop();
    world.report.connections.clear();
    let policies = world.build();
    assert_eq!(
        (policies.complete, policies.incomplete, policies.refused),
        (vec![], vec![], vec![])
    );
    world.asked_as("Unknown", "10.9.9.9", 0);
    world.refuses("10.9.9.9");
}

#[test]
fn w03_a_peer_without_lasting_labels_is_refused() {
    let (mut world, _, _, service) = sock_shop();
    let bare = world.orphan("Pod", "sock-shop/debug", "pod-template-hash=1");
    world.asked(bare, service);
    let policy = world.leaves_out("Pod sock-shop/debug asked for it: it has no lasting label");
    assert_eq!(items(&policy).len(), 1);
}

#[test]
fn w04_w05_w06_w07_w08_each_peer_is_one_item_of_namespace_name_and_labels() {
    let (mut world, _, _, service) = sock_shop();
    let other = world.deployment("billing/user", "app=user");
    world.asked(other, service);
    let policy = world.only();
    let mut namespaces = Vec::new();
    for item in items(&policy) {
        assert_eq!(item.as_mapping().unwrap().len(), 2, "one item holds both selectors");
        let namespace = item["namespaceSelector"]["matchLabels"].as_mapping().unwrap();
        assert_eq!(namespace.len(), 1);
        namespaces.push(namespace["kubernetes.io/metadata.name"].as_str().unwrap());
        assert_eq!(item["podSelector"]["matchLabels"]["app"], "user");
    }
    assert_eq!(namespaces, ["sock-shop", "billing"]);
}

#[test]
fn w09_without_known_ports_there_is_no_peer() {
    let (mut world, _, db, _) = sock_shop();
    let headless = world.service("sock-shop/headless", &[db], &[]);
    let web = world.deployment("sock-shop/web", "app=web");
    world.asked(web, headless);
    let policy =
        world.leaves_out("no ports are known of what they asked for: Deployment sock-shop/web");
    assert_eq!((items(&policy).len(), ports(&policy)), (1, vec!["27017/TCP".into()]));
    world.report.connections.remove(0);
    world.refuses("no ports are known");
}

#[test]
fn w10_w11_ports_are_this_workloads_own_and_a_name_only_where_its_pods_disagree() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let old = world.deployment("shop/old", "app=old");
    let new = world.deployment("shop/new", "app=new");
    let service = world.service("shop/api", &[old, new], &[]);
    let named =
        Port { port: PodPort::Name("http".into()), protocol: Protocol::Tcp, name: String::new() };
    world.cluster.backends[service].workloads[0].ports = vec![tcp(8080)];
    world.cluster.backends[service].workloads[1].ports = vec![named.clone()];
    world.cluster.backends[service].ports = vec![tcp(8080), named];
    world.asked(web, service);
    let policies = world.build();
    let found: Vec<_> = policies.complete.iter().map(|policy| ports(&read(policy))).collect();
    assert_eq!(found, [["http/TCP"], ["8080/TCP"]]);
}

#[test]
fn w10_srv_names_narrow_the_ports() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.deployment("shop/db", "app=db");
    let named = |number, name: &str| Port { name: name.into(), ..tcp(number) };
    let service = world.service("shop/db", &[db], &[named(5432, "sql"), named(9187, "metrics")]);
    world.asked(web, service);
    world.renamed("_sql._tcp.db.shop.svc.cluster.local").ports.truncate(1);
    assert_eq!(ports(&world.only()), ["5432/TCP"]);
    assert!(world.build().complete[0].comment.iter().any(|line| line.contains("SRV")));
}

#[test]
fn w12_the_protocol_always_stands_there_and_no_range_does() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.deployment("shop/db", "app=db");
    let udp = Port { protocol: Protocol::Udp, ..tcp(8080) };
    let sctp = Port { protocol: Protocol::Sctp, ..tcp(8082) };
    let service = world.service("shop/db", &[db], &[tcp(8080), tcp(8081), udp, sctp]);
    world.asked(web, service);
    assert_eq!(ports(&world.only()), ["8080/TCP", "8080/UDP", "8081/TCP", "8082/SCTP"]);
}

#[test]
fn w12_a_port_that_no_pod_can_have_is_none() {
    for port in [PodPort::Number(0), PodPort::Name("8080".into()), PodPort::Name("a\nb".into())] {
        let (mut world, ..) = sock_shop();
        let port = Port { port, ..tcp(1) };
        world.cluster.backends[0].workloads[0].ports = vec![port];
        world.refuses("no ports are known");
    }
}

#[test]
fn w13_policy_types_say_ingress_and_nothing_else() {
    let policy = sock_shop().0.only();
    let types: Vec<_> = policy["spec"]["policyTypes"].as_sequence().unwrap().iter().collect();
    assert_eq!(types, ["Ingress"]);
    assert!(policy["spec"].get("egress").is_none());
}

fn with_node(addresses: &[&str]) -> (World, usize) {
    let (mut world, _, _, service) = sock_shop();
    world.cluster.snapshot.nodes.push(crate::cluster::model::Node {
        meta: Meta { name: "worker-1".into(), ..Meta::default() },
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        pod_cidrs: Vec::new(),
    });
    (world, service)
}

#[test]
fn w14_a_node_is_one_address_and_only_when_asked_for() {
    for (address, cidr) in [("10.0.0.7", "10.0.0.7/32"), ("fd00::7", "fd00::7/128")] {
        let (mut world, service) = with_node(&["10.0.0.7", "fd00::7", "203.0.113.9"]);
        world.asked_as("Node", "worker-1", service).client.ips = vec![address.parse().unwrap()];
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
    world.asked_as("Node", "worker-1", service).client.ips = ips;
    let policies = world.build_with(&Options { allow_nodes: true, ..options() });
    let text = yaml::document(&policies.complete[0], yaml::Place::File).unwrap();
    assert!(text.contains("cidr: 10.0.0.7/32"), "{text}");
}

#[test]
fn w15_a_tunnels_address_is_no_peer_even_with_allow_nodes() {
    let (mut world, service) = with_node(&["10.0.0.7"]);
    let ips = vec!["10.244.1.0".parse().unwrap()];
    world.asked_as("Node", "worker-1", service).client.ips = ips;
    let policies = world.build_with(&Options { allow_nodes: true, ..options() });
    assert!(policies.complete.is_empty());
    assert_eq!(items(&read(&policies.incomplete[0])).len(), 1);
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
fn w18_a_peer_whose_labels_fit_strangers_is_refused_and_they_are_named() {
    let (mut world, _, _, service) = sock_shop();
    let web = world.deployment("sock-shop/web", "tier=front");
    let shop = world.deployment("sock-shop/shop", "tier=front,app=shop");
    world.asked(web, service);
    let policy = world.leaves_out("of Deployment sock-shop/shop");
    assert_eq!(items(&policy).len(), 1);
    // Somebody else's pods in another namespace are no strangers.
    world.pod(shop).meta.namespace = "elsewhere".into();
    assert!(world.build().incomplete.is_empty());
    // Nor are pods that have ended.
    world.pod(shop).meta.namespace = "sock-shop".into();
    world.finish(shop);
    assert!(world.build().incomplete.is_empty());
}

#[test]
fn w18_a_stranger_that_asked_too_is_none_on_the_same_ports() {
    let (mut world, _, db, service) = sock_shop();
    let web = world.deployment("sock-shop/web", "tier=front");
    let shop = world.deployment("sock-shop/shop", "tier=front,app=shop");
    world.asked(web, service);
    world.asked(shop, service);
    assert_eq!(items(&world.only()).len(), 3);
    // On a port that the other did not ask for, it is one.
    let admin = world.service("sock-shop/admin", &[db], &[tcp(9000)]);
    world.asked(web, admin);
    let policy = world.leaves_out("Deployment sock-shop/web on 9000/TCP");
    assert_eq!((items(&policy).len(), ports(&policy)), (3, vec!["27017/TCP".into()]));
}

#[test]
fn w18_a_subject_whose_labels_fit_strangers_is_refused_and_they_are_named() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.deployment("shop/db", "tier=back");
    world.deployment("shop/cache", "tier=back,app=cache");
    let service = world.service("shop/db", &[db], &[tcp(80)]);
    world.asked(web, service);
    world.refuses("of Deployment shop/cache");
}

#[test]
fn w19_ports_of_one_peer_are_not_given_to_another() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let job = world.deployment("shop/job", "app=job");
    let db = world.deployment("shop/db", "app=db");
    let sql = world.service("shop/db", &[db], &[tcp(5432)]);
    let admin = world.service("shop/admin", &[db], &[tcp(9000)]);
    world.asked(web, sql);
    world.asked(web, admin);
    world.asked(job, sql);
    let policy = world.only();
    let rules = policy["spec"]["ingress"].as_sequence().unwrap();
    let shape: Vec<_> = rules
        .iter()
        .map(|rule| {
            (rule["from"].as_sequence().unwrap().len(), rule["ports"].as_sequence().unwrap().len())
        })
        .collect();
    assert_eq!(shape, [(1, 1), (1, 2)]);
}

#[test]
fn w20_workloads_behind_one_service_have_their_own_selectors() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let stable = world.deployment("shop/api", "app=api,track=stable");
    let canary = world.deployment("shop/api-canary", "app=api,track=canary");
    let service = world.service("shop/api", &[stable, canary], &[tcp(80)]);
    world.asked(web, service);
    let policies = world.build();
    let tracks: Vec<_> = policies
        .complete
        .iter()
        .map(|p| {
            read(p)["spec"]["podSelector"]["matchLabels"]["track"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(tracks, ["canary", "stable"]);
}

#[test]
fn w20_the_controllers_expressions_are_kept() {
    let (mut world, _, db, _) = sock_shop();
    let requirement = LabelSelectorRequirement {
        key: "track".into(),
        operator: "NotIn".into(),
        values: Some(vec!["canary".into()]),
    };
    world.control(db).selector = Some(LabelSelector {
        match_labels: Some(labels("app=user-db")),
        match_expressions: Some(vec![requirement]),
    });
    let policy = world.only();
    let requirement = &policy["spec"]["podSelector"]["matchExpressions"][0];
    assert_eq!(requirement["key"], "track");
    assert_eq!(requirement["operator"], "NotIn");
    assert_eq!(requirement["values"][0], "canary");
}

#[test]
fn w21_policies_that_select_the_pods_already_are_named() {
    let (mut world, ..) = sock_shop();
    let mut policy = |namespace: &str, name: &str, selector: &str, types: Option<&str>| {
        world.cluster.snapshot.policies.push(NetworkPolicy {
            meta: Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() },
            spec: NetworkPolicySpec {
                pod_selector: Some(LabelSelector {
                    match_labels: Some(labels(selector)),
                    match_expressions: None,
                }),
                policy_types: types.map(|kind| vec![kind.into()]),
                ..NetworkPolicySpec::default()
            },
        });
    };
    policy("sock-shop", "allow-all", "", None);
    policy("sock-shop", "db", "app=user-db", Some("Ingress"));
    policy("sock-shop", "egress", "app=user-db", Some("Egress"));
    policy("sock-shop", "others", "app=user", Some("Ingress"));
    policy("billing", "elsewhere", "", Some("Ingress"));
    // What this run replaces adds nothing; what an earlier one left there does.
    policy("sock-shop", "user-db-deployment-ingress", "app=user-db", Some("Ingress"));
    policy("sock-shop", "user-deployment-ingress", "app=user-db", Some("Ingress"));
    let comment = &world.build().complete[0].comment;
    let line = comment.iter().find(|line| line.contains("add up")).unwrap();
    assert!(line.ends_with("already: allow-all, db, user-deployment-ingress"), "{line}");
}

#[test]
fn w22_a_service_that_no_snapshot_has_is_refused() {
    let (mut world, ..) = sock_shop();
    let server = &mut world.report.connections[0].server;
    (server.service, server.in_snapshot) = (None, Some(false));
    server.name = "user-db-typo".into();
    world.cluster.snapshot.given = true;
    world.refuses("kubectl get pods,services,namespaces,endpointslices");
}

#[test]
fn w23_an_endpoints_name_opens_its_whole_service_and_says_so() {
    let (mut world, ..) = sock_shop();
    world.renamed("db-0.user-db.sock-shop.svc.cluster.local");
    world.report.connections[0].status = vec![Status::Widened];
    let comment = &world.build().complete[0].comment;
    assert!(comment.iter().any(|line| line.ends_with("; widened")), "{comment:?}");
}

#[test]
fn w24_servers_that_are_not_their_own_pods_are_refused() {
    let (mut world, ..) = sock_shop();
    world.cluster.snapshot.services[0].kind = "ExternalName".into();
    world.refuses("ExternalName");
    let (mut world, ..) = sock_shop();
    world.cluster.snapshot.services[0].selector.clear();
    world.refuses("no selector");
    let (mut world, ..) = sock_shop();
    world.cluster.snapshot.services[0].external_ips = vec!["203.0.113.7".into()];
    world.refuses("externalIPs");
    let (mut world, ..) = sock_shop();
    world.cluster.backends[0].workloads.clear();
    world.refuses("stands behind it");
}

#[test]
fn w24_endpoints_that_are_foreign_are_named_and_open_nothing() {
    let (mut world, ..) = sock_shop();
    let foreign = "10.244.0.9, Pod kube-system/etcd".to_owned();
    world.cluster.backends[0].foreign.push(foreign);
    let policies = world.build();
    assert_eq!(policies.complete.len(), 1);
    assert!(policies.refused[0].reason.contains("Pod kube-system/etcd"), "{:?}", policies.refused);
}

#[test]
fn w25_an_unknown_outcome_is_no_evidence() {
    let (mut world, ..) = sock_shop();
    let connection = &mut world.report.connections[0];
    (connection.status, connection.proof) = (vec![Status::OutcomeUnknown], None);
    world.refuses("does not say whether");
}

#[test]
fn w26_a_threshold_is_said_in_the_comment() {
    let world = sock_shop().0;
    let changed = vec!["--min-queries 3".into(), "--since 2026-01-02".into()];
    let policies = world.build_with(&Options { changed_evidence: changed, ..options() });
    let comment = &policies.complete[0].comment;
    assert!(comment.iter().any(|l| l.ends_with("by: --min-queries 3 --since 2026-01-02")));
}

#[test]
fn w29_what_was_left_out_is_said_where_the_policies_are() {
    let (mut world, _, _, service) = sock_shop();
    let bare = world.orphan("Pod", "sock-shop/bare", "");
    let lost = world.service("sock-shop/lost", &[bare], &[tcp(80)]);
    world.asked(bare, service);
    world.asked(bare, lost);
    let mut out = Vec::new();
    write::stream(&world.build(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("---\n# INCOMPLETE: Pod sock-shop/bare asked for it"), "{text}");
    assert!(text.contains("\n# refused: Pod sock-shop/bare: it has no lasting label"), "{text}");
}

#[test]
fn w30_a_cluster_that_enforces_no_policy_is_named_and_host_network_is_refused() {
    let (mut world, _, db, _) = sock_shop();
    world.controller("DaemonSet", "kube-flannel/kube-flannel-ds", "app=flannel");
    assert!(world.build().notes[0].contains("flannel"));
    world.pod(db).host_network = true;
    world.refuses("hostNetwork");
    world.pod(db).host_network = false;
    world.control(db).template_host_network = true;
    world.refuses("hostNetwork");
}
