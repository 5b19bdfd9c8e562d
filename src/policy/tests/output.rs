//! Bytes: YAML that every reader takes for the same, comments that hold anything, names and evidence beside it.

use super::*;

/// Label values that some reader of YAML takes for something else; most of them are legal.
const ODD: [&str; 26] = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "N",
    "Yes",
    "OFF",
    "null",
    "1e3",
    "0x1f",
    "0123",
    "1_000",
    "true",
    "12345e6",
    "0o7",
    "1.20",
    "685_230.15",
    "2026-01-02",
    "0_7",
    "",
    "~",
    "1:20",
    ".5",
    "- x: {}\n\u{85}#",
];

/// A policy whose selectors hold all of them.
fn odd_policy(values: &[&str]) -> Policy {
    let world = sock_shop().0;
    let mut policy = world.build().complete.remove(0);
    let labels = values.iter().enumerate().map(|(i, value)| (format!("l{i}"), value.to_string()));
    let labels: BTreeMap<_, _> = labels.collect();
    policy.object.metadata.labels = Some(labels.clone());
    let selector = &mut policy.object.spec.as_mut().unwrap().pod_selector;
    selector.as_mut().unwrap().match_labels = Some(labels);
    policy
}

#[test]
fn w28_odd_label_values_are_read_back_as_they_were() {
    let read = read(&odd_policy(&ODD));
    for (i, value) in ODD.iter().enumerate() {
        assert_eq!(read["metadata"]["labels"][format!("l{i}")], *value);
    }
}

#[test]
fn w28_odd_label_values_survive_kubectl() {
    if !has_kubectl() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    let policy = odd_policy(&ODD);
    std::fs::write(&file, yaml::document(&policy, yaml::Place::File).unwrap()).unwrap();
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["label", "--local", "-o", "json", "x=y", "-f"]).arg(&file);
    let output = kubectl.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (i, value) in ODD.iter().enumerate() {
        assert_eq!(read["metadata"]["labels"][format!("l{i}")], *value);
        assert_eq!(read["spec"]["podSelector"]["matchLabels"][format!("l{i}")], *value);
    }
    assert_eq!(read["metadata"]["annotations"]["kico.dev/evidence"], policy.annotation());
    assert_eq!(read["spec"]["ingress"][0]["ports"][0]["port"], 27017);
}

impl Policy {
    fn annotation(&self) -> &str {
        &self.object.metadata.annotations.as_ref().unwrap()["kico.dev/evidence"]
    }
}

proptest::proptest! {
    #[test]
    fn whatever_a_label_holds_is_read_back(
        values in proptest::collection::vec("[-_.0-9a-fxoeEnNyY~:]{0,8}", 1..20)
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let read = read(&odd_policy(&values));
        for (i, value) in values.iter().enumerate() {
            proptest::prop_assert_eq!(&read["metadata"]["labels"][format!("l{i}")], *value);
        }
    }

    #[test]
    fn w28_no_name_breaks_out_of_comment_or_annotation(name in "\\PC{0,200}|[ -~\\n\\r\\u{85}\\u{2028}]{0,200}") {
        let mut world = sock_shop().0;
        world.renamed(&name);
        let policies = world.build();
        let policy = &policies.complete[0];
        let read = read(policy);
        proptest::prop_assert_eq!(read["metadata"]["annotations"]["kico.dev/evidence"].as_str(), Some(policy.annotation()));
        proptest::prop_assert_eq!(read["spec"]["podSelector"]["matchLabels"]["app"].as_str(), Some("user-db"));
    }
}

#[test]
fn nothing_is_written_that_the_api_fills_in_or_drops() {
    let text = yaml::document(&sock_shop().0.build().complete[0], yaml::Place::File).unwrap();
    for word in ["creationTimestamp", "status", "null", "[]", "{}", "egress"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn every_comment_says_what_was_not_looked_for() {
    let world = sock_shop().0;
    for evidence in [true, false] {
        let policies = world.build_with(&Options { evidence, ..options() });
        let text = yaml::document(&policies.complete[0], yaml::Place::File).unwrap();
        let line = "\n# traffic that DNS cannot show was looked for in: pods, Service\n# it was not looked for in \
                    what the snapshot holds none of: Ingress, Gateway, ";
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn no_evidence_drops_it_from_comment_and_annotation() {
    let world = sock_shop().0;
    let policies = world.build_with(&Options { evidence: false, ..options() });
    let text = yaml::document(&policies.complete[0], yaml::Place::File).unwrap();
    assert!(!text.contains("user-db.sock-shop.svc"), "{text}");
    assert!(!text.contains("kico.dev/evidence"), "{text}");
    assert!(text.starts_with(MARK), "{text}");
}

#[test]
fn a_document_reads_like_this() {
    let text = yaml::document(&sock_shop().0.build().complete[0], yaml::Place::File).unwrap();
    expect_test::expect![[r#"
        # kico wrote this from DNS lookups, and replaces or removes files that begin with this line
        # Deployment sock-shop/user-db: only those who asked for it by name may connect to it
        # podSelector: the controller's own selector
        # from: Deployment sock-shop/user: user-db.sock-shop.svc.cluster.local; 27017/TCP by EndpointSlice
        # traffic that DNS cannot show was looked for in: pods, Service
        # it was not looked for in what the snapshot holds none of: Ingress, Gateway, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute, UDPRoute, ServiceMonitor, PodMonitor, ValidatingWebhookConfiguration, MutatingWebhookConfiguration, APIService
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata:
          annotations:
            kico.dev/evidence: |
              Deployment sock-shop/user: user-db.sock-shop.svc.cluster.local; 27017/TCP by EndpointSlice
          labels:
            app.kubernetes.io/managed-by: kico
          name: user-db-deployment-ingress
          namespace: sock-shop
        spec:
          ingress:
          - from:
            - namespaceSelector:
                matchLabels:
                  kubernetes.io/metadata.name: sock-shop
              podSelector:
                matchLabels:
                  app: user
            ports:
            - port: 27017
              protocol: TCP
          podSelector:
            matchLabels:
              app: user-db
          policyTypes:
          - Ingress
    "#]]
    .assert_eq(&text);
}

#[test]
fn more_queries_change_no_byte() {
    let (mut world, _, _, _) = sock_shop();
    let before = world.build();
    let connection = &mut world.report.connections[0];
    (connection.queries, connection.lookups, connection.failed) = (9_999, 5_000, 7);
    connection.seen = Some((1, 2));
    connection.place = Place { path: "other.log".into(), line: 77 };
    assert_eq!(world.build().complete, before.complete);
}
