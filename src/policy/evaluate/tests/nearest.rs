//! What the API would refuse, and which rule missed by least.

use super::*;

#[test]
fn what_the_api_would_refuse_is_named() {
    let block = |except: &str| {
        format!(
            "shop: {{ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8, except: [{except}]}}}}]}}]}}"
        )
    };
    let port = |port: &str| format!("shop: {{egress: [{{}}, {{ports: [{{port: {port}}}]}}]}}");
    let labels = |labels: &str| {
        format!("shop: {{egress: [{{to: [{{podSelector: {{matchLabels: {{{labels}}}}}}}]}}]}}")
    };
    for (text, expected) in [
        ("shop: {ingress: [{from: [{}]}]}", "without selector"),
        (
            "shop: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
            "cannot have selectors too",
        ),
        (
            "shop: {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}",
            "spec.ingress[0].from[0].ipBlock.cidr: \"10.0.0.0\" is no CIDR",
        ),
        (&block("0.0.0.0/0, x"), "ipBlock.except[0]: 0.0.0.0/0 is not a part of 10.0.0.0/8"),
        (&block("x"), "ipBlock.except[0]: \"x\" is no CIDR"),
        (&block("10.1.0.0/16, 11.0.0.0/16"), "except[1]: 11.0.0.0/16 is not a part of 10.0.0.0/8"),
        (&block("10.0.0.0/8"), "except[0]: 10.0.0.0/8 is not a part of 10.0.0.0/8"),
        (&block("'fd00::/64'"), "except[0]: fd00::/64 is not a part of 10.0.0.0/8"),
        (&block("10.1.0.0/16, 10.2.3.4/32"), ""),
        (&port("'5432'"), "spec.egress[1].ports[0].port: \"5432\" is text"),
        (&port("Web"), "\"Web\" is no name of a port"),
        (&port("a-name-too-long-for-it"), "is no name of a port"),
        (&port("''"), "\"\" is no name of a port"),
        (&port("web-2"), ""),
        (&port("5432"), ""),
        (&labels("app: 'a b'"), "to[0].podSelector.matchLabels: \"a b\" is no value of a label"),
        (&labels("'a b': x"), "podSelector.matchLabels: \"a b\" is no key of a label"),
        (&labels("A.B/c: x"), "\"A.B/c\" is no key of a label"),
        (&labels("a.b/C_d: ''"), ""),
        (
            "shop: {podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [b, c/d]}]}}",
            "spec.podSelector.matchExpressions[0]: \"c/d\" is no value of a label",
        ),
        (
            "shop: {podSelector: {matchExpressions: [{key: '', operator: Exists}]}}",
            "\"\" is no key of a label",
        ),
        ("shop: {policyTypes: [Ingress, Egress, Egress]}", "at most two"),
        ("Shop: {}", "metadata.namespace: \"Shop\""),
        ("shop: {ingress: [{ports: [{endPort: 9}]}]}", "endPort: it needs a port"),
        ("shop: {ingress: [{ports: [{port: web, endPort: 9}]}]}", "endPort: it needs a port"),
        (
            "shop: {ingress: [{ports: [{port: 10, endPort: 9}]}]}",
            "ports[0].endPort: 9 does not fit port 10",
        ),
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

#[test]
fn no_rule_of_a_policy_that_the_api_would_refuse_matches_anything() {
    let cluster = world();
    let passes = |text: &str| {
        let policies = policies(&[text]);
        let mut evaluator = Evaluator::new(&cluster, &policies);
        let at = At { port: 5432, protocol: Protocol::Tcp };
        let outcome = evaluator.outcome(end(&cluster, "shop/web"), end(&cluster, "shop/db"), at);
        outcome.passes()
    };
    assert_eq!(passes("shop: {ingress: [{from: [{podSelector: {}}]}]}"), Match::Yes);
    for fault in ["ports: [{port: '1'}]", "from: [{}]", "from: [{ipBlock: {cidr: x}}]"] {
        let text = format!("shop: {{ingress: [{{from: [{{podSelector: {{}}}}]}}, {{{fault}}}]}}");
        assert_eq!(passes(&text), Match::No, "{fault}");
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
