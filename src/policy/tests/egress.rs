//! Egress: what a client may connect to. Each way to be wider that has an egress side, and what is listed instead.

use super::*;
use crate::cluster::model::{
    Endpoint, EndpointPort, EndpointSlice, Labels as Selector, ServicePort, TargetPort,
};
use crate::connections::FailedLookup;

fn egress() -> Options<'static> {
    Options { directions: &[Direction::Egress], ..options() }
}

fn named(name: &str, number: u16, protocol: Protocol) -> Port {
    Port { port: PodPort::Number(number), protocol, name: name.into() }
}

impl World {
    /// CoreDNS, which listens on that port.
    fn dns(&mut self, port: u16) -> WorkloadId {
        let dns = self.deployment("kube-system/coredns", "k8s-app=kube-dns");
        let (udp, tcp) = (named("dns", port, Protocol::Udp), named("dns-tcp", port, Protocol::Tcp));
        let metrics = named("metrics", 9153, Protocol::Tcp);
        let service = self.service("kube-system/kube-dns", &[dns], &[udp, tcp, metrics]);
        let own = [
            ("dns", 53, Protocol::Udp),
            ("dns-tcp", 53, Protocol::Tcp),
            ("metrics", 9153, Protocol::Tcp),
        ];
        let own = own.map(|(name, port, protocol)| ServicePort {
            name: name.into(),
            port,
            protocol,
            target: TargetPort::Name(name.into()),
        });
        self.cluster.snapshot.services[service].ports = own.into();
        self.cluster.snapshot.services[service].cluster_ips = vec!["10.96.0.10".parse().unwrap()];
        self.cluster.dns_services = vec![service];
        dns
    }

    /// A Service whose endpoints somebody wrote down.
    fn by_hand(&mut self, name: &str, slices: &[(&[&str], u16)]) -> usize {
        let service = self.service(name, &[], &[]);
        self.cluster.snapshot.services[service].selector = Selector::new();
        self.cluster.slices.resize(service + 1, Vec::new());
        for (addresses, port) in slices {
            self.cluster.slices[service].push(self.cluster.snapshot.slices.len());
            let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
            self.cluster.snapshot.slices.push(EndpointSlice {
                endpoints: vec![Endpoint { addresses, ..Endpoint::default() }],
                ports: vec![EndpointPort { port: Some(*port), ..EndpointPort::default() }],
                ..EndpointSlice::default()
            });
        }
        service
    }

    fn asked_outside(&mut self, client: WorkloadId, name: &str) {
        let service = self.cluster.snapshot.services.len() - 1;
        let connection = self.asked(client, service);
        let server = Server {
            kind: ServerKind::External,
            namespace: String::new(),
            name: name.into(),
            ..connection.server.clone()
        };
        connection.server = Server {
            service: None,
            workloads: Vec::new(),
            ports: Vec::new(),
            in_snapshot: None,
            ..server
        };
    }

    /// The one egress policy, and whether it is complete.
    #[track_caller]
    fn one(&self) -> (Value, Vec<String>) {
        let policies = self.build_with(&egress());
        let all = [policies.complete, policies.incomplete].concat();
        assert_eq!(all.len(), 1, "{:?}", policies.refused);
        (read(&all[0]), all[0].incomplete.clone())
    }

    #[track_caller]
    fn lacks(&self, part: &str) {
        let (_, reasons) = self.one();
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{reasons:?}");
    }

    #[track_caller]
    fn refuses_egress(&self, part: &str) {
        let policies = self.build_with(&egress());
        assert_eq!((policies.complete, policies.incomplete), (vec![], vec![]));
        assert!(policies.refused.iter().any(|r| r.reason.contains(part)), "{:?}", policies.refused);
    }
}

/// The rules, as `app=x 80/TCP` and `10.0.0.1/32 443/TCP`.
fn rules(policy: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.as_u64().unwrap().to_string(),
    };
    let mut lines = Vec::new();
    for rule in policy["spec"]["egress"].as_sequence().unwrap() {
        let ports = rule["ports"].as_sequence().unwrap().iter();
        let ports = ports.map(|p| format!("{}/{}", text(&p["port"]), text(&p["protocol"])));
        let ports = ports.collect::<Vec<_>>().join(",");
        for item in rule["to"].as_sequence().unwrap() {
            let peer = match item["ipBlock"]["cidr"].as_str() {
                Some(cidr) => cidr.to_owned(),
                None => {
                    let namespace = &item["namespaceSelector"]["matchLabels"];
                    let namespace = text(&namespace["kubernetes.io/metadata.name"]);
                    let labels = item["podSelector"]["matchLabels"].as_mapping().unwrap().iter();
                    let labels = labels.map(|(k, v)| format!("{}={}", text(k), text(v)));
                    format!("{namespace}:{}", labels.collect::<Vec<_>>().join(","))
                }
            };
            lines.push(format!("{peer} {ports}"));
        }
    }
    lines
}

const DNS: &str = "kube-system:k8s-app=kube-dns 53/TCP,53/UDP";

fn shop() -> (World, WorkloadId, WorkloadId, usize) {
    let (mut world, user, db, service) = sock_shop();
    world.dns(53);
    (world, user, db, service)
}

#[test]
fn a_client_may_reach_what_it_asked_for_and_dns() {
    let (policy, reasons) = shop().0.one();
    assert_eq!(reasons, [""; 0]);
    assert_eq!(policy["metadata"]["name"], "user-deployment-egress");
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"]["app"], "user");
    assert_eq!(rules(&policy), [DNS, "sock-shop:app=user-db 27017/TCP"]);
}

#[test]
fn both_directions_are_two_policies() {
    let both = Options { directions: &[Direction::Ingress, Direction::Egress], ..options() };
    let policies = shop().0.build_with(&both);
    let names: Vec<_> =
        policies.complete.iter().map(|p| p.object.metadata.name.as_deref()).collect();
    assert_eq!(names, [Some("user-db-deployment-ingress"), Some("user-deployment-egress")]);
    let directions: Vec<_> = policies.complete.iter().map(Policy::direction).collect();
    assert_eq!(directions, [Direction::Ingress, Direction::Egress]);
}

#[test]
fn w02_egress_without_a_peer_there_is_no_policy() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    world.dns(53);
    world.asked_outside(web, "api.example.org");
    world.refuses_egress("nothing that it asked for can be a peer");
    world.refuses_egress("api.example.org");
}

#[test]
fn w03_egress_a_peer_without_lasting_labels_is_left_out() {
    let (mut world, user, ..) = shop();
    let odd = world.orphan("Widget", "shop/odd", "pod-template-hash=1");
    let service = world.service("shop/odd", &[odd], &[tcp(80)]);
    world.asked(user, service);
    world.lacks("it asked for Widget shop/odd: it has no lasting label");
}

#[test]
fn w09_egress_without_known_ports_there_is_no_peer() {
    let (mut world, user, ..) = shop();
    let api = world.deployment("shop/api", "app=api");
    let service = world.service("shop/api", &[api], &[]);
    world.asked(user, service);
    world.lacks("no ports are known of what it asked for: Service shop/api");
    assert_eq!(rules(&world.one().0).len(), 2);
}

#[test]
fn w10_w11_egress_ports_are_the_peers_own_and_a_name_only_where_its_pods_disagree() {
    let (mut world, user, ..) = shop();
    let api = world.deployment("shop/api", "app=api");
    let port = Port { port: PodPort::Name("http".into()), ..named("web", 0, Protocol::Tcp) };
    let service = world.service("shop/api", &[api], &[port]);
    world.asked(user, service);
    assert_eq!(rules(&world.one().0)[2], "shop:app=api http/TCP");
}

#[test]
fn w13_egress_policy_types_say_egress_and_nothing_else() {
    let (policy, _) = shop().0.one();
    assert_eq!(policy["spec"]["policyTypes"], Value::from(vec!["Egress"]));
    assert!(policy["spec"].get("ingress").is_none());
}

#[test]
fn w14_w24_egress_hand_written_endpoints_are_single_addresses_with_their_own_ports() {
    let (mut world, user, ..) = shop();
    let slices: [(&[&str], u16); 2] =
        [(&["192.0.2.7", "::ffff:192.0.2.8"], 6443), (&["2001:db8::1"], 443)];
    let api = world.by_hand("default/kubernetes", &slices);
    world.asked(user, api);
    let (policy, reasons) = world.one();
    assert_eq!(reasons, [""; 0]);
    let expected =
        [DNS, "2001:db8::1/128 443/TCP", "192.0.2.7/32 6443/TCP", "192.0.2.8/32 6443/TCP"];
    assert_eq!(rules(&policy)[..4], expected);
    let comment = world.build_with(&egress()).complete[0].comment.join("\n");
    assert!(comment.contains("6443/TCP by EndpointSlice; unstable"), "{comment}");
}

#[test]
fn w24_egress_endpoints_that_are_no_lasting_address_are_left_out() {
    let (mut world, user, db, _) = shop();
    world.pod(db).addresses = vec!["10.1.0.9".parse().unwrap()];
    world.cluster.snapshot.nodes.push(crate::cluster::model::Node {
        pod_cidrs: vec!["10.1.0.0/24".parse().unwrap()],
        ..Default::default()
    });
    let addresses: [(&[&str], u16); 1] =
        [(&["10.1.0.9", "10.1.0.77", "127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"], 80)];
    let service = world.by_hand("shop/leader", &addresses);
    world.asked(user, service);
    let (policy, reasons) = world.one();
    // A pod's address stands for its workload.
    let expected = [DNS, "sock-shop:app=user-db 80/TCP,27017/TCP"];
    assert_eq!(rules(&policy), expected);
    for address in ["10.1.0.77", "127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"] {
        assert!(reasons[0].contains(address), "{reasons:?}");
    }
    // Of a pod that is gone: whoever has the address next was not asked for.
    world.finish(db);
    assert!(world.one().1.iter().any(|reason| reason.contains("10.1.0.9")));
}

#[test]
fn w24_egress_what_no_policy_can_say_is_listed_and_never_widened() {
    type Change = fn(&mut World, usize);
    let cases: [(Change, &str); 5] = [
        (|w, s| w.cluster.snapshot.services[s].kind = "ExternalName".into(), "ExternalName"),
        (
            |w, s| w.cluster.snapshot.services[s].external_ips = vec!["192.0.2.1".into()],
            "externalIPs",
        ),
        (|w, s| w.cluster.backends[s].foreign = vec!["10.9.9.9".into()], "not its own pods"),
        (|w, s| w.cluster.backends[s].workloads.clear(), "no pod and no template"),
        (|w, s| w.cluster.snapshot.services[s].selector.clear(), "has no endpoints of it"),
    ];
    for (change, part) in cases {
        let (mut world, user, ..) = shop();
        let api = world.deployment("shop/api", "app=api");
        let service = world.service("shop/api", &[api], &[tcp(80)]);
        world.asked(user, service);
        change(&mut world, service);
        world.lacks(part);
        let rules = rules(&world.one().0);
        assert!(!rules.iter().any(|rule| rule.contains('/') && rule.contains("/32")), "{rules:?}");
    }
    let (mut world, user, ..) = shop();
    world.asked_outside(user, "api.example.org");
    world.lacks("outside the cluster, which no NetworkPolicy can say: api.example.org");
    assert_eq!(rules(&world.one().0).len(), 2);
}

#[test]
fn w15_egress_servers_and_clients_on_host_network_have_none() {
    let (mut world, user, ..) = shop();
    let agent = world.deployment("shop/agent", "app=agent");
    world.pod(agent).host_network = true;
    let service = world.service("shop/agent", &[agent], &[tcp(80)]);
    world.asked(user, service);
    world.lacks(
        "pods on hostNetwork, whose nodes' addresses no selector matches: Deployment shop/agent",
    );
    world.control(user).template_host_network = true;
    world.refuses_egress("its pods use hostNetwork");
}

#[test]
fn w16_egress_lookups_through_a_cache_or_elsewhere_leave_it_incomplete() {
    let (mut world, user, _, service) = shop();
    world.pod(user).node = "n1".into();
    world.asked_as("DNSCache", "n2", service);
    assert_eq!(world.one().1, [""; 0]);
    world.asked_as("DNSCache", "n1", service);
    world.lacks("a DNS cache asks for the pods of their node; capture the caches' own logs: n1");
    for (policy, istio) in [("Default", false), ("None", false), ("ClusterFirst", true)] {
        let (mut world, user, ..) = shop();
        let pod = world.pod(user);
        (pod.dns_policy, pod.istio_dns) = (policy.into(), istio);
        world.lacks("its lookups need not reach the cluster's DNS");
    }
}

#[test]
fn w17_egress_who_may_have_asked_for_more_has_an_incomplete_policy() {
    let (mut world, user, _, service) = shop();
    world.asked_as("Ambiguous", "a;b", service).client.candidates = vec![user];
    world.lacks("it may be one of several that asked for: Service sock-shop/user-db");

    // Untimed, from an address that a finished pod of somebody else held too: both may need it.
    let (mut world, user, _, service) = shop();
    let front = world.deployment("sock-shop/front", "app=front");
    let api = world.service("sock-shop/api", &[user], &[tcp(80)]);
    let address: IpAddr = "10.1.0.4".parse().unwrap();
    world.pod(user).addresses = vec![address];
    let shared = world.asked(front, service);
    (shared.client.ips, shared.status, shared.proof) =
        (vec![address], vec![Status::SharedAddress], None);
    world.asked(front, api);
    let policies = world.build_with(&egress());
    assert_eq!((policies.complete.len(), policies.incomplete.len()), (0, 2));
}

#[test]
fn lost_names_leave_an_egress_policy_incomplete() {
    let (mut world, user, ..) = shop();
    world.report.connections[0].status = vec![Status::LowerBound];
    world.lacks("names that it asked for were given up");
    world.report.connections[0].status = vec![Status::Ok];
    let mut client = world.report.connections[0].client.clone();
    client.workload = Some(user);
    world.report.failed_lookups.push(FailedLookup {
        client,
        name: "x".into(),
        rcode: "NXDOMAIN",
        queries: 1,
        lower_bound: true,
    });
    world.lacks("names that it asked for were given up");
}

#[test]
fn w18_egress_a_peer_or_subject_whose_labels_fit_strangers_is_refused_and_they_are_named() {
    let (mut world, ..) = shop();
    world.deployment("sock-shop/other", "app=user-db,track=canary");
    world.refuses_egress(
        "its labels also fit pods that were not asked for, of Deployment sock-shop/other",
    );
    let (mut world, ..) = shop();
    world.deployment("sock-shop/other", "app=user,track=canary");
    world.refuses_egress("the policy's selector also fits pods that did not ask for it");
}

#[test]
fn w19_egress_ports_of_one_peer_are_not_given_to_another() {
    let (mut world, user, ..) = shop();
    let api = world.deployment("shop/api", "app=api");
    let service = world.service("shop/api", &[api], &[tcp(80)]);
    world.asked(user, service);
    let expected = [DNS, "shop:app=api 80/TCP", "sock-shop:app=user-db 27017/TCP"];
    assert_eq!(rules(&world.one().0), expected);
}

#[test]
fn w21_egress_policies_that_select_the_client_already_are_named() {
    use crate::cluster::model::NetworkPolicy as Deployed;
    let (mut world, ..) = shop();
    for (name, kind) in [("in", "Ingress"), ("out", "Egress")] {
        let mut policy = Deployed::default();
        (policy.meta.namespace, policy.meta.name) = ("sock-shop".into(), name.into());
        policy.spec.policy_types = Some(vec![kind.into()]);
        world.cluster.snapshot.policies.push(policy);
    }
    let comment = world.build_with(&egress()).complete[0].comment.join("\n");
    assert!(comment.contains("select its pods already: out"), "{comment}");
}

#[test]
fn w22_egress_a_service_that_no_snapshot_has_is_left_out() {
    let (mut world, user, _, service) = shop();
    let server = &mut world.asked(user, service).server;
    (server.name, server.service, server.in_snapshot) = ("gone".into(), None, Some(false));
    server.workloads.clear();
    world.lacks("it asked for what the snapshot does not have: Service sock-shop/gone");
}

#[test]
fn w25_egress_an_unknown_outcome_is_no_evidence() {
    let (mut world, ..) = shop();
    world.report.connections[0].status = vec![Status::OutcomeUnknown];
    world.refuses_egress("the log does not say whether it was answered");
}

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
    let port = |name: &str, port, protocol| ContainerPort { name: name.into(), port, protocol };
    let ports = vec![port("dns", 5353, Protocol::Udp), port("metrics", 9153, Protocol::Tcp)];
    world.pod(dns).containers = vec![Container { name: "main".into(), ports }];
    assert_eq!(rules(&world.one().0)[0], "kube-system:k8s-app=kube-dns 5353/TCP,5353/UDP");
}

#[test]
fn w31_egress_dns_whose_labels_fit_strangers_is_refused() {
    let mut world = sock_shop().0;
    let dns = world.dns(53);
    let service = world.cluster.dns_services[0];
    // By labels that another workload of the namespace bears too; it is known by its Service alone.
    world.control(dns).selector.as_mut().unwrap().match_labels = Some(labels("role=net"));
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

#[test]
fn egress_filters_choose_clients_and_change_no_policy() {
    let (mut world, user, ..) = shop();
    let front = world.deployment("sock-shop/front", "app=front");
    let service = world.service("sock-shop/user", &[user], &[tcp(80)]);
    world.asked(front, service);
    let all = world.build_with(&egress());
    let some = world.build_with(&Options { clients: &|id| id == user, ..egress() });
    assert_eq!(all.complete.len(), 2);
    assert_eq!(some.complete, all.complete[1..]);
}

#[test]
fn who_asked_for_nothing_is_named() {
    let (mut world, ..) = shop();
    world.asked_as("Unknown", "10.9.9.9", 0);
    let notes = world.build_with(&egress()).notes.join("\n");
    let silent = "no egress policy in sock-shop, since no name was answered to them, for: Deployment/user-db";
    assert!(notes.contains(silent) && notes.contains("10.9.9.9"), "{notes}");
    assert!(!notes.contains("since nobody asked"), "{notes}");
}
