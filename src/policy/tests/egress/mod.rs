//! Egress: what a client may connect to. `wider` holds each way to be wider that has an egress side, `unsayable` what no
//! policy can say and is listed instead, `dns` the rule without which there is none.

mod dns;
mod unsayable;
mod wider;

use super::*;
use crate::cluster::model::{
    Endpoint, EndpointPort, EndpointSlice, Labels as Selector, ServicePort, TargetPort,
};

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
        self.cluster.snapshot.services[service].selector = Selector::default();
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
            ..Server::clone(&connection.server)
        };
        connection.server = Arc::new(Server {
            service: None,
            workloads: Vec::new(),
            ports: [].into(),
            in_snapshot: None,
            ..server
        });
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

/// The rules, as `shop:app=x 80/TCP` and `10.0.0.1/32 443/TCP`: what else could stand in one must not.
#[track_caller]
fn rules(policy: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in policy["spec"]["egress"].as_sequence().unwrap() {
        has_only(rule, &["to", "ports"]);
        let ports: Vec<String> = rule["ports"].as_sequence().unwrap().iter().map(port).collect();
        let items = rule["to"].as_sequence().unwrap();
        assert!(!ports.is_empty() && !items.is_empty(), "all ports or everybody: {rule:?}");
        for item in items {
            lines.push(format!("{} {}", peer(item), ports.join(",")));
        }
    }
    lines
}

#[track_caller]
fn peer(item: &Value) -> String {
    if item.get("ipBlock").is_some() {
        has_only(item, &["ipBlock"]);
        has_only(&item["ipBlock"], &["cidr"]);
        return item["ipBlock"]["cidr"].as_str().unwrap().into();
    }
    // Both selectors in one item, and of the namespace nothing but its name.
    has_only(item, &["namespaceSelector", "podSelector"]);
    has_only(&item["namespaceSelector"], &["matchLabels"]);
    let namespace = &item["namespaceSelector"]["matchLabels"];
    has_only(namespace, &["kubernetes.io/metadata.name"]);
    let namespace = namespace["kubernetes.io/metadata.name"].as_str().unwrap();
    format!("{namespace}:{}", selector(&item["podSelector"]))
}

/// `app=x,track NotIn a b`; it is never empty.
#[track_caller]
fn selector(selector: &Value) -> String {
    let labels = selector.get("matchLabels").into_iter().flat_map(|l| l.as_mapping().unwrap());
    let labels = labels.map(|(k, v)| format!("{}={}", k.as_str().unwrap(), v.as_str().unwrap()));
    let list = selector.get("matchExpressions").into_iter();
    let list = list.flat_map(|list| list.as_sequence().unwrap());
    let expressions = list.map(|one| {
        let values = one["values"].as_sequence().into_iter().flatten();
        let words = [&one["key"], &one["operator"]].into_iter().chain(values);
        words.map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
    });
    let all: Vec<String> = labels.chain(expressions).collect();
    assert!(!all.is_empty(), "it selects everything: {selector:?}");
    all.join(",")
}

#[track_caller]
fn port(port: &Value) -> String {
    has_only(port, &["port", "protocol"]);
    let number = match &port["port"] {
        Value::Number(number) => number.to_string(),
        name => name.as_str().unwrap().into(),
    };
    format!("{number}/{}", port["protocol"].as_str().unwrap())
}

#[track_caller]
fn has_only(value: &Value, keys: &[&str]) {
    let mut found: Vec<_> =
        value.as_mapping().unwrap().keys().map(|k| k.as_str().unwrap()).collect();
    let mut keys = keys.to_vec();
    found.sort_unstable();
    keys.sort_unstable();
    assert_eq!(found, keys, "{value:?}");
}

/// Everything that the egress policies of a world say, and nothing else: `shop/web-deployment-egress of app=web`, then `to`,
/// the rules without DNS's; `lacks`, and at the end `refused`.
#[track_caller]
fn check(world: &World, expected: &[&str]) {
    let policies = world.build_with(&egress());
    let mut lines = Vec::new();
    for policy in policies.complete.iter().chain(&policies.incomplete) {
        let object = read(policy);
        let meta = [&object["metadata"]["namespace"], &object["metadata"]["name"]];
        let [namespace, name] = meta.map(|text| text.as_str().unwrap());
        assert_eq!(object["spec"]["policyTypes"], Value::from(vec!["Egress"]));
        lines.push(format!("{namespace}/{name} of {}", selector(&object["spec"]["podSelector"])));
        let rules = rules(&object);
        assert_eq!(rules[0], DNS);
        lines.extend(rules[1..].iter().map(|rule| format!("to {rule}")));
        lines.extend(policy.incomplete.iter().map(|reason| format!("lacks: {reason}")));
    }
    let refused = policies.refused.iter();
    lines.extend(refused.map(|refusal| format!("refused: {}: {}", refusal.object, refusal.reason)));
    assert_eq!(lines, expected);
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
fn a_refusal_beside_the_other_direction_says_which_it_is() {
    let (mut world, user, db, _) = shop();
    let api = world.by_hand("default/kubernetes", &[(&["192.0.2.7"], 6443)]);
    world.asked(user, api);
    world.asked_as("Unknown", "10.9.9.9", api);
    world.pod(db).host_network = true;
    let said = |directions| {
        let refused = world.build_with(&Options { directions, ..options() }).refused;
        let lines = refused.into_iter().map(|r| format!("{}: {}", r.object, r.reason));
        lines.filter(|line| !line.contains("kube-dns")).collect::<Vec<_>>()
    };
    let host = "its pods use hostNetwork, where a NetworkPolicy has no effect";
    let hand = "it has no selector: somebody writes its endpoints by hand";
    let ingress = said(&[Direction::Ingress]);
    let expected = [
        format!("Service default/kubernetes: {hand}"),
        format!("Deployment sock-shop/user-db: {host}"),
    ];
    assert_eq!(ingress, expected);
    // The egress policy leads to those endpoints.
    let both = said(&[Direction::Ingress, Direction::Egress]);
    let expected = [
        format!("Service default/kubernetes: for ingress: {hand}"),
        format!("Deployment sock-shop/user-db: no ingress policy: {host}"),
    ];
    assert_eq!(both, expected);
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
