//! The sentences of the NetworkPolicy documentation, one after the other, each as a case: here what isolates a pod.

mod nearest;
mod peers;
mod ports;

use super::*;
use crate::cluster::model::{Meta, Node, Pod, Snapshot};
use crate::cluster::tests_support::{cluster, container, ip, labels, meta, pod};

/// `shop`, `bank` and, without a Namespace object, `dark`; two nodes.
fn world() -> Cluster {
    let made =
        |namespace: &str, name: &str, address: &str, node: &str, pairs: &str, ports: &str| {
            let mut pod = pod(namespace, name, address);
            (pod.meta.labels, pod.node) = (labels(pairs), node.into());
            pod.containers = vec![container(ports)];
            pod
        };
    let host = Pod {
        host_network: true,
        ..made("kube-system", "agent", "192.168.0.1", "n1", "app=agent", "")
    };
    let named = |name: &str, pairs: &str| Meta { labels: labels(pairs), ..meta("", name) };
    let node = |name: &str, address: &str| Node {
        meta: meta("", name),
        addresses: vec![ip(address)],
        ..Node::default()
    };
    cluster(Snapshot {
        pods: vec![
            made("shop", "web", "10.0.0.1", "n1", "app=web", "http:80"),
            made("shop", "api", "10.0.0.2", "n2", "app=api role=front", "http:8080"),
            made("shop", "db", "10.0.0.3", "n2", "app=db", "sql:5432 metrics:9090 sql:53/UDP"),
            made("bank", "web", "10.0.1.1", "n2", "app=web", "http:81"),
            made("dark", "job", "10.0.2.1", "n2", "app=job", ""),
            made("bank", "six", "fd00::6", "n2", "app=six", ""),
            host,
        ],
        namespaces: vec![
            named("shop", "kubernetes.io/metadata.name=shop team=red"),
            named("bank", "kubernetes.io/metadata.name=bank team=blue"),
            named("kube-system", "kubernetes.io/metadata.name=kube-system"),
        ],
        nodes: vec![node("n1", "192.168.0.1"), node("n2", "192.168.0.2")],
        ..Snapshot::default()
    })
}

fn policies(texts: &[&str]) -> Vec<NetworkPolicy> {
    let read = |(index, text): (usize, &&str)| {
        let (namespace, spec) = text.split_once(": ").unwrap();
        let spec = serde_yaml::from_str(spec).unwrap();
        NetworkPolicy { meta: meta(namespace, &format!("p{index}")), spec }
    };
    texts.iter().enumerate().map(read).collect()
}

fn end(cluster: &Cluster, word: &str) -> End {
    let Some((namespace, name)) = word.split_once('/') else { return End::Address(ip(word)) };
    let is = |pod: &Pod| pod.meta.namespace == namespace && pod.meta.name == name;
    End::Pod(cluster.snapshot.pods.iter().position(is).unwrap())
}

/// Tries are `client server port[/UDP] = yes|no|maybe`.
#[track_caller]
fn check(texts: &[&str], tries: &[&str]) {
    let (cluster, policies) = (world(), policies(texts));
    let mut evaluator = Evaluator::new(&cluster, &policies);
    for text in tries {
        let [client, server, port, _, expected] = text.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("{text}")
        };
        let (number, protocol) = match port.split_once('/') {
            Some((number, "UDP")) => (number, Protocol::Udp),
            Some((number, _)) => (number, Protocol::Sctp),
            None => (port, Protocol::Tcp),
        };
        let at = At { port: number.parse().unwrap(), protocol };
        let outcome = evaluator.outcome(end(&cluster, client), end(&cluster, server), at);
        let got = match outcome.passes() {
            Match::Yes => "yes",
            Match::No => "no",
            Match::Maybe => "maybe",
        };
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn by_default_a_pod_is_isolated_in_no_direction() {
    check(&[], &["bank/web shop/db 5432 = yes", "shop/db 8.8.8.8 443 = yes"]);
    // A policy in another namespace selects nobody here.
    check(&["bank: {podSelector: {}}"], &["shop/web shop/db 5432 = yes"]);
}

#[test]
fn a_policy_that_selects_a_pod_isolates_it_and_an_empty_selector_selects_all() {
    let tries = ["shop/web shop/db 5432 = no", "shop/db bank/web 81 = yes"];
    check(&["shop: {podSelector: {}}"], &tries);
    check(&["shop: {}"], &tries);
    check(&["shop: {podSelector: {matchLabels: {app: db}}}"], &tries);
    check(
        &["shop: {podSelector: {matchLabels: {app: api}}}"],
        &["shop/web shop/db 5432 = yes", "shop/web shop/api 80 = no"],
    );
}

#[test]
fn without_policy_types_it_is_ingress_always_and_egress_if_there_are_egress_rules() {
    let out = "shop/db bank/web 81";
    check(&["shop: {podSelector: {}, egress: []}"], &[&format!("{out} = yes")]);
    check(&["shop: {podSelector: {}, policyTypes: []}"], &["bank/web shop/db 1 = no"]);
    let dns = "egress: [{ports: [{port: 53, protocol: UDP}]}]";
    let all = [format!("{out} = no"), "bank/web shop/db 1 = no".into()];
    check(&[&format!("shop: {{podSelector: {{}}, {dns}}}")], &all.each_ref().map(String::as_str));
    check(
        &["shop: {podSelector: {}, policyTypes: [Egress]}"],
        &["shop/db bank/web 81 = no", "bank/web shop/db 1 = yes"],
    );
    // Rules of a direction that is not among the types do not count.
    check(
        &["shop: {podSelector: {}, policyTypes: [Egress], ingress: [], egress: [{}]}"],
        &["shop/db bank/web 81 = yes", "bank/web shop/db 1 = yes"],
    );
    check(
        &["shop: {podSelector: {}, policyTypes: [Ingress], ingress: [{}], egress: []}"],
        &["shop/db bank/web 81 = yes", "bank/web shop/db 1 = yes"],
    );
}

#[test]
fn for_a_connection_both_the_egress_and_the_ingress_end_must_allow_it() {
    let from = "shop: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: \
                {matchLabels: {app: web}}}]}]}";
    let to = "shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: \
              [{podSelector: {matchLabels: {app: db}}}]}]}";
    let none = "shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}";
    check(&[from, to], &["shop/web shop/db 5432 = yes", "shop/web shop/api 80 = no"]);
    check(&[from, none], &["shop/web shop/db 5432 = no"]);
}

#[test]
fn policies_add_up_whatever_their_order() {
    let deny = "shop: {podSelector: {}}";
    let web = "shop: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: \
               {matchLabels: {app: web}}}]}]}";
    let api = "shop: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: \
               {matchLabels: {app: api}}}]}]}";
    let tries = ["shop/web shop/db 1 = yes", "shop/api shop/db 1 = yes", "bank/web shop/db 1 = no"];
    check(&[deny, web, api], &tries);
    check(&[api, web, deny], &tries);
}

#[test]
fn an_empty_or_missing_list_of_peers_or_ports_means_all() {
    for rule in ["{}", "{from: []}", "{ports: []}", "{from: [], ports: []}"] {
        check(
            &[&format!("shop: {{podSelector: {{}}, ingress: [{rule}]}}")],
            &["bank/web shop/db 7/UDP = yes", "8.8.8.8 shop/db 5432 = yes"],
        );
    }
}
