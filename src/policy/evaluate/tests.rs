//! The sentences of the NetworkPolicy documentation, one after the other, each as a case.

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

#[test]
fn a_pod_selector_alone_means_the_policys_own_namespace() {
    check(
        &["shop: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}"],
        &["shop/web shop/db 1 = yes", "bank/web shop/db 1 = no"],
    );
    check(
        &["shop: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"],
        &["shop/api shop/db 1 = yes", "bank/web shop/db 1 = no", "8.8.8.8 shop/db 1 = no"],
    );
}

#[test]
fn a_namespace_selector_alone_means_all_pods_there_and_an_empty_one_all_namespaces() {
    check(
        &["shop: {ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}"],
        &["bank/web shop/db 1 = yes", "shop/web shop/db 1 = no"],
    );
    check(
        &["shop: {ingress: [{from: [{namespaceSelector: {}}]}]}"],
        &["bank/web shop/db 1 = yes", "shop/web shop/db 1 = yes", "dark/job shop/db 1 = yes"],
    );
}

#[test]
fn both_selectors_in_one_item_are_and_in_two_items_or() {
    let item = "namespaceSelector: {matchLabels: {team: blue}}";
    check(
        &[&format!(
            "shop: {{ingress: [{{from: [{{{item}, podSelector: {{matchLabels: {{app: api}}}}}}]}}]}}"
        )],
        &["bank/web shop/db 1 = no", "shop/api shop/db 1 = no"],
    );
    check(
        &[&format!(
            "shop: {{ingress: [{{from: [{{{item}}}, {{podSelector: {{matchLabels: {{app: api}}}}}}]}}]}}"
        )],
        &["bank/web shop/db 1 = yes", "shop/api shop/db 1 = yes", "shop/web shop/db 1 = no"],
    );
}

#[test]
fn several_namespaces_can_be_named_by_expression() {
    check(
        &[
            "shop: {ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: \
           In, values: [red, green]}]}}]}]}",
        ],
        &["shop/web shop/db 1 = yes", "bank/web shop/db 1 = no"],
    );
    for (operator, web, api) in [
        ("In, values: [front]", "no", "yes"),
        ("NotIn, values: [front]", "yes", "no"),
        ("Exists", "no", "yes"),
        ("DoesNotExist", "yes", "no"),
    ] {
        check(
            &[&format!(
                "shop: {{ingress: [{{from: [{{podSelector: {{matchExpressions: [{{key: role, operator: \
                 {operator}}}]}}}}]}}]}}"
            )],
            &[&format!("shop/web shop/db 1 = {web}"), &format!("shop/api shop/db 1 = {api}")],
        );
    }
}

#[test]
fn a_namespace_can_be_named_by_its_name_even_where_the_snapshot_lacks_it() {
    let by = |key: &str, value: &str| {
        format!(
            "shop: {{ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{{key}: {value}}}}}}}]}}]}}"
        )
    };
    check(&[&by("kubernetes.io/metadata.name", "dark")], &["dark/job shop/db 1 = yes"]);
    check(&[&by("kubernetes.io/metadata.name", "bank")], &["dark/job shop/db 1 = no"]);
    // Its other labels are not known.
    check(&[&by("team", "red")], &["dark/job shop/db 1 = maybe", "bank/web shop/db 1 = no"]);
}

#[test]
fn an_ip_block_is_a_range_less_its_exceptions() {
    check(
        &["shop: {policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 172.17.0.0/16, except: \
           [172.17.1.0/24]}}]}]}"],
        &[
            "shop/db 172.17.2.9 443 = yes",
            "shop/db 172.17.1.9 443 = no",
            "shop/db 172.18.0.1 443 = no",
            "shop/db fd00::6 443 = no",
        ],
    );
    check(
        &["shop: {ingress: [{from: [{ipBlock: {cidr: 'fd00::/64'}}]}]}"],
        &["bank/six shop/db 1 = yes", "bank/web shop/db 1 = no", "fd00:0:0:1::1 shop/db 1 = no"],
    );
    check(
        &["shop: {ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"],
        &["8.8.8.8 shop/db 1 = yes", "bank/six shop/db 1 = no"],
    );
}

#[test]
fn the_protocol_is_tcp_unless_said_and_a_port_without_number_is_all_of_its_protocol() {
    let with = |port: &str| format!("shop: {{ingress: [{{ports: [{port}]}}]}}");
    check(
        &[&with("{port: 53}")],
        &["bank/web shop/db 53 = yes", "bank/web shop/db 53/UDP = no", "bank/web shop/db 54 = no"],
    );
    check(
        &[&with("{protocol: UDP}")],
        &["bank/web shop/db 7/UDP = yes", "bank/web shop/db 7 = no"],
    );
    check(&[&with("{}")], &["bank/web shop/db 7 = yes", "bank/web shop/db 7/UDP = no"]);
    check(&[&with("{port: 7, protocol: SCTP}")], &["bank/web shop/db 7/SCTP = yes"]);
}

#[test]
fn end_port_makes_a_range_with_both_its_ends() {
    check(
        &["shop: {ingress: [{ports: [{port: 8000, endPort: 8002}]}]}"],
        &[
            "bank/web shop/db 7999 = no",
            "bank/web shop/db 8000 = yes",
            "bank/web shop/db 8002 = yes",
            "bank/web shop/db 8003 = no",
        ],
    );
}

#[test]
fn a_named_port_is_looked_up_on_the_server_in_both_directions() {
    check(
        &["shop: {podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: sql}]}]}"],
        &[
            "bank/web shop/db 5432 = yes",
            "bank/web shop/db 9090 = no",
            // The same name, of another protocol.
            "bank/web shop/db 53/UDP = no",
        ],
    );
    check(
        &["shop: {policyTypes: [Egress], egress: [{ports: [{port: http}]}]}"],
        &[
            "shop/db bank/web 81 = yes",
            "shop/db bank/web 80 = no",
            "shop/db shop/api 8080 = yes",
            "shop/db 8.8.8.8 80 = no",
        ],
    );
}

#[test]
fn a_rule_wants_both_a_peer_and_a_port() {
    check(
        &[
            "shop: {ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 1}]}, \
           {from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 2}]}]}",
        ],
        &[
            "shop/web shop/db 1 = yes",
            "shop/web shop/db 2 = no",
            "shop/api shop/db 2 = yes",
            "shop/api shop/db 1 = no",
        ],
    );
}

#[test]
fn a_pod_cannot_block_itself_nor_its_own_node() {
    check(
        &["shop: {policyTypes: [Ingress, Egress]}"],
        &[
            "shop/db shop/db 5432 = yes",
            "192.168.0.2 shop/db 5432 = yes",
            "192.168.0.1 shop/db 5432 = no",
            "shop/web 192.168.0.1 10250 = yes",
            "shop/web kube-system/agent 9100 = yes",
            "kube-system/agent shop/web 80 = yes",
            "kube-system/agent shop/db 80 = no",
        ],
    );
}

#[test]
fn host_network_pods_are_not_isolated_and_only_maybe_selected() {
    check(&["kube-system: {}"], &["shop/db kube-system/agent 1 = yes"]);
    check(&["kube-system: {policyTypes: [Egress]}"], &["kube-system/agent shop/db 5432 = yes"]);
    check(
        &["shop: {ingress: [{from: [{namespaceSelector: {}}]}]}"],
        &["kube-system/agent shop/db 5432 = maybe", "192.168.0.1 shop/db 5432 = no"],
    );
    check(
        &["shop: {ingress: [{from: [{ipBlock: {cidr: 192.168.0.1/32}}]}]}"],
        &["kube-system/agent shop/db 5432 = yes", "192.168.0.1 shop/db 5432 = yes"],
    );
}

#[test]
fn what_the_api_would_refuse_is_named() {
    for (text, expected) in [
        ("shop: {ingress: [{from: [{}]}]}", "without selector"),
        (
            "shop: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
            "cannot have selectors too",
        ),
        ("shop: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}", "no CIDR"),
        ("shop: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [x]}}]}]}", "no CIDR"),
        ("shop: {ingress: [{ports: [{endPort: 9}]}]}", "endPort needs a port"),
        ("shop: {ingress: [{ports: [{port: web, endPort: 9}]}]}", "endPort needs a port"),
        ("shop: {ingress: [{ports: [{port: 10, endPort: 9}]}]}", "endPort 9 does not fit"),
        ("shop: {ingress: [{ports: [{port: 70000}]}]}", "70000 is no port"),
        ("shop: {ingress: [{ports: [{port: 1, protocol: tcp}]}]}", "none of TCP"),
        ("shop: {policyTypes: [ingress]}", "neither Ingress nor Egress"),
        (
            "shop: {podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}",
            "in is no operator",
        ),
        ("shop: {podSelector: {matchExpressions: [{key: a, operator: In}]}}", "In needs values"),
        ("shop: {ingress: [{}], egress: [{to: [{podSelector: {}}]}]}", ""),
    ] {
        let policies = policies(&[text]);
        let got = refused(&policies[0]).unwrap_or_default();
        assert!(got.contains(expected) && got.is_empty() == expected.is_empty(), "{text}: {got}");
    }
}

/// The nearest miss of `client server port`.
#[track_caller]
fn check_miss(texts: &[&str], attempt: (&str, &str, u16), expected: &str) {
    let (cluster, policies) = (world(), policies(texts));
    let evaluator = Evaluator::new(&cluster, &policies);
    let at = At { port: attempt.2, protocol: Protocol::Tcp };
    let (client, server) = (end(&cluster, attempt.0), end(&cluster, attempt.1));
    let miss = [Direction::Egress, Direction::Ingress]
        .into_iter()
        .find_map(|direction| evaluator.nearest(direction, client, server, at));
    assert_eq!(miss.map(|miss| miss.why).unwrap_or_default(), expected);
}

#[test]
fn the_nearest_miss_says_what_to_mend() {
    let from =
        |item: &str| format!("shop: {{ingress: [{{from: [{item}], ports: [{{port: 5432}}]}}]}}");
    let labels = |pairs: &str| format!("{{podSelector: {{matchLabels: {{{pairs}}}}}}}");
    let web = ("shop/web", "shop/db", 5432);
    check_miss(&[&from(&labels("app: wbe"))], web, "podSelector app=wbe: the client has app=web");
    check_miss(&[&from(&labels("ap: web"))], web, "podSelector ap=web: the client has no label ap");
    // A misspelt label is nearer than another one, in whichever policy it stands.
    check_miss(
        &[&from(&labels("app: database")), &from(&labels("app: wbe"))],
        web,
        "podSelector app=wbe: the client has app=web",
    );
    check_miss(
        &[&from(&labels("app: web"))],
        ("bank/web", "shop/db", 5432),
        "podSelector without namespaceSelector means pods in shop: the client is in bank",
    );
    check_miss(
        &[&from(&labels("app: web"))],
        ("shop/web", "shop/db", 9090),
        "ports 5432/TCP: the server has 9090/TCP",
    );
    check_miss(
        &[&from("{namespaceSelector: {matchLabels: {team: green}}}")],
        web,
        "namespaceSelector team=green: the client's namespace shop has team=red",
    );
    check_miss(
        &[&from("{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/24]}}")],
        web,
        "ipBlock 10.0.0.0/8 except 10.0.0.0/24: the client is 10.0.0.1",
    );
    check_miss(&["shop: {}"], web, "no policy that isolates it has a rule for ingress");
    check_miss(
        &[
            "shop: {policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: bd}}}]}]}",
        ],
        web,
        "podSelector app=bd: the server has app=db",
    );
    check_miss(&[], web, "");
}
