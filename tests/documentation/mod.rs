//! The sentences of the NetworkPolicy documentation, each as a case for the independent evaluator.

use std::collections::BTreeMap;

use serde_yaml::Value;

use crate::evaluator::{Attempt, Labels, Pod, Verdict, egress, ingress};

#[test]
fn the_evaluator_reads_policies_as_the_documentation_does() {
    let labels = |text: &str| -> Labels {
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs.filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    };
    let pod = |namespace: &str, text: &str, address: &str| Pod {
        namespace: namespace.into(),
        labels: labels(text),
        address: address.parse().ok(),
        ports: vec![("web".into(), 8080, "TCP".into()), ("dns".into(), 53, "UDP".into())],
    };
    let db = pod("default", "role=db", "172.17.0.2");
    let clients = [
        ("frontend", pod("default", "role=frontend", "172.17.0.3")),
        ("other", pod("default", "role=other", "172.17.1.4")),
        ("alice", pod("alice", "role=client", "10.0.0.5")),
        ("alice-other", pod("alice", "role=other", "10.0.0.6")),
        ("six", pod("bob", "", "fd00::6")),
    ];
    let namespaces = BTreeMap::from([
        ("default".to_owned(), labels("kubernetes.io/metadata.name=default")),
        ("alice".to_owned(), labels("kubernetes.io/metadata.name=alice,user=alice")),
        ("bob".to_owned(), labels("kubernetes.io/metadata.name=bob")),
    ]);
    let everybody = "frontend other alice alice-other six";
    let rule =
        |rule: &str| format!("{{podSelector: {{}}, policyTypes: [Ingress], ingress: [{rule}]}}");
    let from = |peers: &str| rule(&format!("{{from: [{peers}]}}"));
    let to = |ports: &str| rule(&format!("{{ports: [{ports}]}}"));
    let check = |sentence: &str, specs: &[&str], (port, protocol): (u16, &str), expected: &str| {
        let policies: Vec<Value> = specs
            .iter()
            .map(|spec| {
                let text = format!("{{metadata: {{namespace: default}}, spec: {spec}}}");
                serde_yaml::from_str(&text).expect("YAML")
            })
            .collect();
        let reaches = clients.iter().filter(|(_, client)| {
            let attempt = Attempt { client, server: &db, port, protocol };
            ingress(&policies, &namespaces, attempt) != Verdict::Denied
        });
        let reaches: Vec<_> = reaches.map(|(name, _)| *name).collect();
        assert_eq!(reaches.join(" "), expected, "{sentence}");
    };
    let web = (8080, "TCP");

    check("a pod that no policy selects is open", &[], web, everybody);
    check(
        "one that is selected for ingress is shut",
        &["{podSelector: {}, policyTypes: [Ingress]}"],
        web,
        "",
    );
    check("without policyTypes Ingress is set", &["{podSelector: {}}"], web, "");
    check("an empty list of rules allows nothing", &[&rule("")], web, "");
    check(
        "a policy for egress alone isolates nothing",
        &["{podSelector: {}, policyTypes: [Egress]}"],
        web,
        everybody,
    );
    check(
        "others are not selected",
        &["{podSelector: {matchLabels: {role: web}}}"],
        web,
        everybody,
    );
    check("an empty rule allows everything", &[&rule("{}")], web, everybody);
    check("an empty from is every source", &[&from("")], web, everybody);
    check(
        "podSelector: the policy's own namespace",
        &[&from("{podSelector: {matchLabels: {role: other}}}")],
        web,
        "other",
    );
    check(
        "an empty podSelector is all pods there",
        &[&from("{podSelector: {}}")],
        web,
        "frontend other",
    );
    check(
        "namespaceSelector: all pods of those namespaces",
        &[&from("{namespaceSelector: {matchLabels: {user: alice}}}")],
        web,
        "alice alice-other",
    );
    check("an empty one is all namespaces", &[&from("{namespaceSelector: {}}")], web, everybody);
    check(
        "both in one item: pods of these labels in those namespaces",
        &[&from(
            "{namespaceSelector: {matchLabels: {user: alice}}, podSelector: {matchLabels: {role: client}}}",
        )],
        web,
        "alice",
    );
    check(
        "in two items: either",
        &[&from(
            "{namespaceSelector: {matchLabels: {user: alice}}}, {podSelector: {matchLabels: {role: other}}}",
        )],
        web,
        "other alice alice-other",
    );
    check(
        "ipBlock, less its exceptions",
        &[&from("{ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}}")],
        web,
        "frontend",
    );
    check("ipBlock of IPv6", &[&from("{ipBlock: {cidr: 'fd00::/8'}}")], web, "six");
    check(
        "of everything, in one family",
        &[&from("{ipBlock: {cidr: 0.0.0.0/0}}")],
        web,
        "frontend other alice alice-other",
    );
    check("an empty list of ports is all ports", &[&to("")], (1, "SCTP"), everybody);
    check("a port is TCP if nothing is said", &[&to("{port: 8080}")], web, everybody);
    check("and then no other", &[&to("{port: 8080}")], (8080, "UDP"), "");
    check("a protocol alone is all its ports", &[&to("{protocol: UDP}")], (9, "UDP"), everybody);
    check("endPort ends a range", &[&to("{port: 8000, endPort: 8080}")], web, everybody);
    check("which ends there", &[&to("{port: 8000, endPort: 8079}")], web, "");
    check("a named port is the pod's own", &[&to("{port: web}")], web, everybody);
    check("of that protocol", &[&to("{port: dns}")], (53, "TCP"), "");
    check(
        "from and ports must both match",
        &[&rule("{from: [{podSelector: {}}], ports: [{port: 1}]}")],
        web,
        "",
    );
    check(
        "policies add up",
        &[
            &from("{podSelector: {matchLabels: {role: other}}}"),
            &from("{podSelector: {matchLabels: {role: frontend}}}"),
        ],
        web,
        "frontend other",
    );
    for (operator, values, expected) in [
        ("In", ", values: [other, x]", "other"),
        ("NotIn", ", values: [other]", "frontend"),
        ("Exists", "", "frontend other"),
        ("DoesNotExist", "", ""),
    ] {
        let peer = format!(
            "{{podSelector: {{matchExpressions: [{{key: role, operator: {operator}{values}}}]}}}}"
        );
        check(operator, &[&from(&peer)], web, expected);
    }

    // The other direction: the same words, read from the client's side.
    let out =
        |rule: &str| format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{rule}]}}");
    let reaches =
        |sentence: &str, specs: &[&str], (port, protocol): (u16, &str), expected: &str| {
            let policies: Vec<Value> = specs
                .iter()
                .map(|spec| {
                    let text = format!("{{metadata: {{namespace: default}}, spec: {spec}}}");
                    serde_yaml::from_str(&text).expect("YAML")
                })
                .collect();
            let reached = clients.iter().filter(|(_, server)| {
                let attempt = Attempt { client: &db, server, port, protocol };
                egress(&policies, &namespaces, attempt) != Verdict::Denied
            });
            let reached: Vec<_> = reached.map(|(name, _)| *name).collect();
            assert_eq!(reached.join(" "), expected, "{sentence}");
        };
    reaches("a pod that no policy selects reaches all", &[], web, everybody);
    let shut = "{podSelector: {}, policyTypes: [Egress]}";
    reaches("one that is selected for egress reaches nothing", &[shut], web, "");
    reaches("ingress alone isolates no egress", &["{podSelector: {}}"], web, everybody);
    let unsaid = "{podSelector: {}, egress: [{ports: [{port: 1}]}]}";
    reaches("egress rules without policyTypes are of type Egress too", &[unsaid], web, "");
    let other = "{podSelector: {matchLabels: {role: db2}}, policyTypes: [Egress]}";
    reaches("others are not selected", &[other], web, everybody);
    reaches("an empty rule allows everything", &[&out("{}")], web, everybody);
    let own = "{to: [{podSelector: {matchLabels: {role: other}}}]}";
    reaches("podSelector: the policy's own namespace", &[&out(own)], web, "other");
    let both = "{to: [{namespaceSelector: {matchLabels: {user: alice}}, podSelector: {matchLabels: {role: client}}}]}";
    reaches("both in one item: both must match", &[&out(both)], web, "alice");
    let block = "{to: [{ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}}]}";
    reaches("ipBlock, less its exceptions", &[&out(block)], web, "frontend");
    reaches("a named port is the server's", &[&out("{ports: [{port: web}]}")], web, everybody);
    reaches("and no other", &[&out("{ports: [{port: web}]}")], (80, "TCP"), "");
}
