//! What cannot be read: objects that are named, files that are refused.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::documents;
use super::*;

/// Changes a Service; the rest of the file is read all the same.
#[track_caller]
fn check_broken(spec: &str, expected: &str) {
    let service = format!(
        r#"{{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "s", "namespace": "a"}}, {spec}}}"#
    );
    let text = format!("{service}\n{}", pod("a", "web", "10.0.0.1"));
    let snapshot = read(&text);
    assert_eq!(snapshot.broken, [format!("pods.json: Service a/s: {expected}")]);
    assert!(snapshot.services.is_empty());
    assert_eq!(names(&snapshot), ["web"]);
}

#[test]
fn a_broken_object_is_named_and_the_rest_is_kept() {
    check_broken(r#""spec": 5"#, "spec: invalid type: integer, expected a map");
    check_broken(r#""spec": {"type": 7}"#, "spec: invalid type: integer, expected a string");
    check_broken(
        r#""spec": {"selector": {"app": 7}}"#,
        "spec: invalid type: integer, expected a string",
    );
    check_broken(
        r#""spec": {"selector": {"app": null}}"#,
        "spec: invalid type: null, expected a string",
    );
    check_broken(
        r#""spec": {"selector": {"app": "x", "app": "y"}}"#,
        "spec: a key stands there twice",
    );
    check_broken(r#""spec": {"ports": [], "ports": []}"#, "spec: duplicate field `ports`");
    check_broken(r#""spec": {}, "spec": {}"#, "the key `spec` stands there twice");
    check_broken(
        r#""spec": {"ports": [{"port": 70000}]}"#,
        "spec: invalid value: integer, expected a nonzero u16",
    );
    check_broken(r#""spec": {"ports": [{}]}"#, "spec: missing field `port`");
    check_broken(
        r#""spec": {"ports": [{"port": 1, "targetPort": true}]}"#,
        "spec: invalid type: boolean, expected a port's number or name",
    );
    check_broken(
        r#""spec": {"ports": [{"port": 1, "targetPort": 70000}]}"#,
        "spec: invalid value: integer, expected a port's number or name",
    );
    check_broken(
        r#""spec": {"ports": [{"port": 1, "protocol": "tcp"}]}"#,
        "spec: unknown variant, expected one of `TCP`, `UDP`, `SCTP`",
    );
}

#[test]
fn an_object_must_have_a_name_and_a_kind_and_true_times() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut broken = pod("a", "x", "10.0.0.1");
        change(&mut broken);
        let snapshot = read(&list(&[broken, pod("a", "web", "10.0.0.2")]));
        let expected = format!("pods.json: {expected}");
        assert_eq!(snapshot.broken, [crate::text::terminal(&expected)]);
        assert_eq!(names(&snapshot), ["web"]);
    };
    check(|pod| pod["metadata"]["name"] = json!(""), "Pod without a name: it has no name");
    check(|pod| pod["metadata"] = json!(null), "Pod without a name: it has no name");
    check(|pod| pod["kind"] = json!(null), "object a/x: it has no kind");
    check(
        |pod| pod["metadata"]["creationTimestamp"] = json!("yesterday"),
        "Pod a/x: metadata: invalid value: string, expected a time such as 2026-03-14T23:59:55Z",
    );
    check(
        |pod| {
            pod["metadata"]["name"] = json!("x\u{1b}[2J");
            pod["spec"] = json!([]);
        },
        "Pod a/x\u{1b}[2J: spec: invalid type: sequence, expected a map",
    );
}

#[test]
fn what_could_not_be_read_may_hide_pods_in_its_namespace_or_anywhere() {
    for (kind, expected) in [
        ("Pod", Some((Some("a"), true))),
        ("StatefulSet", Some((Some("a"), true))),
        ("Service", Some((Some("a"), true))),
        ("Namespace", Some((Some("x"), true))),
        ("EndpointSlice", Some((None, true))),
        ("Endpoints", Some((None, true))),
        ("", Some((None, true))),
        ("Ingress", Some((Some("a"), false))),
        ("HTTPRoute", Some((None, false))),
        ("ServiceMonitor", Some((None, false))),
        ("Node", None),
        ("NetworkPolicy", None),
    ] {
        let meta = json!({"name": "x", "namespace": "a", "labels": 7});
        let snapshot = read(&list(&[json!({"kind": kind, "metadata": meta})]));
        assert_eq!(snapshot.broken.len(), 1, "{kind}");
        let hidden = snapshot.hidden.first();
        let said = hidden.map(|hidden| (hidden.namespace.as_deref(), hidden.pods));
        assert_eq!(said, expected, "{kind}");
    }
}

#[test]
fn an_address_that_is_none_is_named_and_dropped() {
    let mut web = pod("a", "web", "10.0.0.1");
    web["status"]["podIPs"] = json!([{"ip": "10.0.0.1"}, {"ip": "10.0.0.256"}, {"ip": ""}, {}]);
    let mut node = object("v1", "Node", "", "n", json!({"podCIDRs": ["10.0.0.0/33"]}));
    node["status"] = json!({"addresses": [{"type": "InternalIP", "address": "n.example"}]});
    let snapshot = read(&list(&[web, node]));
    let expected = [
        "pods.json: Pod a/web: status.podIPs: invalid address, ignored",
        "pods.json: Node n: status.addresses: invalid address, ignored",
        "pods.json: Node n: spec.podCIDRs: invalid network, ignored",
    ];
    assert_eq!(snapshot.broken, expected);
    assert_eq!(snapshot.pods[0].addresses.len(), 1);
}

#[test]
fn a_policy_that_says_two_things_is_not_read_as_either() {
    let text = r#"{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"},
        "spec": {"podSelector": {"matchLabels": {"app": "x", "app": "y"}}}}"#;
    let snapshot = read(text);
    assert!(snapshot.policies.is_empty());
    assert_eq!(snapshot.broken, ["pods.json: NetworkPolicy p: spec: a key stands there twice"]);
}

#[test]
fn a_yaml_label_without_quotes_is_no_text() {
    let check = |value: &str, ok: bool| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  labels:\n    version: {value}\n"
        );
        let snapshot = read(&text);
        assert_eq!(snapshot.pods.len() == 1, ok, "{value}");
        assert_eq!(snapshot.broken.is_empty(), ok, "{value}");
    };
    for value in ["1.10", "7", "true", "1e3", "0x1f", "null", "~", ".inf", "[a]"] {
        check(value, false);
    }
    for value in ["'1.10'", "\"7\"", "yes", "on", "v1", "1_000", "!!str 7", "|-\n      7"] {
        check(value, true);
    }
}

#[track_caller]
pub(super) fn check_refused(bytes: &[u8], expected: &str) {
    match try_read(&[("x", bytes)]) {
        Ok(_) => panic!("read: {}", String::from_utf8_lossy(bytes)),
        Err(error) => {
            let expected = format!("x: {expected}");
            assert!(error.starts_with(&expected), "{error}");
            assert!(error.contains("; a snapshot is what"), "{error}");
        }
    }
}

#[test]
fn a_file_that_is_no_snapshot_is_refused_by_what_it_is() {
    let log = "[INFO] 10.0.0.1:47 - 1 \"A IN web.a.svc.cluster.local. udp 41 false 512\" NOERROR qr 9 0.1s\n";
    let docker = json!({"log": log, "stream": "stdout"}).to_string();
    check_refused(log.as_bytes(), "is a CoreDNS log: give it as an input");
    check_refused(docker.as_bytes(), "is a CoreDNS log: give it as an input");
    check_refused(b"NAME  READY  STATUS\nx  1/1  Running\n", "is kubectl's table: add `-o json`");
    check_refused(b"Error from server (Forbidden): no\n", "is kubectl's error message");
    check_refused(b"apiVersion: v1\nkind: Config\nclusters: []\n", "is a kubeconfig");
    check_refused(br#"{"kind": "Status", "apiVersion": "v1"}"#, "is an error of the API server");
    check_refused(b"", "is empty");
    check_refused(b" \n", "is empty");
    check_refused(b"\xff\xfe{\0}\0", "is UTF-16");
    check_refused(b"{\0}\0", "is UTF-16");
    check_refused(b"\xfd7zXZ\0\0", "is compressed with xz");
    check_refused(b"{\"apiVersion\": \"\xff\"}", "is no UTF-8 text at byte 16");
    check_refused(b"{}", "is JSON or YAML, but no Kubernetes object: it has no `kind`");
    check_refused(
        b"[[], 5]",
        "holds no Kubernetes object at line 1 column 6: invalid type: integer",
    );
    check_refused(
        br#"{"kind": "youtube#video"}"#,
        "is JSON or YAML, but no Kubernetes object: it has no `apiV",
    );
    check_refused(b"just words\n", "is neither JSON nor YAML of Kubernetes objects");
    check_refused(b"\0\0\0\0", "is neither JSON nor YAML of Kubernetes objects");
    check_refused(b"{\"a\": 1,}", "is no JSON at line 1 column 9");
    check_refused(b"# apiVersion\n", "holds no Kubernetes object");
    #[cfg(unix)]
    {
        let error = super::super::read(&["/dev/zero".into()], &[]).unwrap_err().to_string();
        assert!(error.starts_with("/dev/zero: is a device"), "{error}");
    }
    let error = super::super::read(&["/no/such/file".into()], &[]).unwrap_err().to_string();
    assert!(error.starts_with("/no/such/file: No such file"), "{error}");
    let error = super::super::read(&["-".into()], &[]).unwrap_err().to_string();
    assert!(error.contains("name a file, or `<(kubectl"), "{error}");
}

#[test]
fn a_cut_file_is_refused_wherever_it_is_cut() {
    let all =
        [pod("a", "web", "10.0.0.1"), config("a", "c", "x", "---\n- apiVersion\n  kind: List\n")];
    let json = list(&all);
    for end in 1..json.len() - 2 {
        let Err(fault) = documents::read(&json[..end], &[]) else { panic!("{}", &json[..end]) };
        let error = format!("{fault:?}");
        assert!(error.contains("ends in the middle of a value at line"), "{end}: {error}");
    }
    let yaml = yaml_list(&all);
    let complete = yaml.find("kind: List\nmeta").unwrap() + "kind: List".len();
    for end in 1..=complete {
        assert!(documents::read(&yaml[..end], &[]).is_err(), "{}", &yaml[..end]);
    }
    let gzip = gzip(json.as_bytes());
    for end in [20, gzip.len() / 2, gzip.len() - 1] {
        let error = try_read(&[("x", &gzip[..end])]).map(|_| ()).unwrap_err();
        assert!(error.contains("ends too early"), "{end}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused_and_costs_little() {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let head = r#""apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}"#;
    let files = [
        deep("[", "]"),
        deep("{\"items\":[", "]}"),
        format!("apiVersion: v1\nkind: Pod\nspec: {}\n", "[{a: ".repeat(100_000)),
        format!("apiVersion: v1\nkind: Pod\nspec: {}\n", "[\"]\", ".repeat(100_000)),
        format!("{{{head}, \"spec\": {}}}", deep("[", "]")),
        format!(
            "{{{head}, \"status\": {{\"x\": {}1{}}}}}",
            "{\"a\":".repeat(100_000),
            "}".repeat(100_000)
        ),
        format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{}]}}", deep("[", "]")),
        format!("apiVersion: v1\nkind: Pod\nspec: {}\n", deep("[", "]")),
        format!("apiVersion: v1\nkind: Pod\nspec: {}1\n", "- ".repeat(100_000)),
    ];
    for file in files {
        let start = Instant::now();
        let error = try_read(&[("x", file.as_bytes())]).map(|_| ()).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(5), "{error}");
    }
    let error = try_read(&[("x", deep("[", "]").as_bytes())]).unwrap_err();
    assert!(error.contains("is nested deeper than any Kubernetes object"), "{error}");
    // A bracket in a text nests nothing.
    let mut harmless = pod("a", "web", "10.0.0.1");
    harmless["status"]["message"] = json!("[\\\"".repeat(200));
    assert_eq!(read(&list(&[harmless])).pods.len(), 1);
}

#[test]
fn yaml_aliases_are_followed_but_do_not_explode() {
    let aliased =
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: &n web\nspec:\n  selector: {app: *n}\n";
    assert_eq!(read(aliased).services[0].selector.get("app"), Some("web"));

    let mut bomb = "apiVersion: v1\nkind: Pod\na: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        bomb.push_str(&format!("b{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")));
    }
    let start = Instant::now();
    let error = try_read(&[("x", bomb.as_bytes())]).unwrap_err();
    assert!(error.starts_with("x: is no YAML: "), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));

    let merge = "apiVersion: v1\nkind: Pod\nmetadata: &m {name: x}\nspec:\n  <<: *m\n";
    check_refused(merge.as_bytes(), "is no YAML: ");
    let second = format!("{aliased}---\n{merge}");
    check_refused(second.as_bytes(), "in the part that begins at line 7, is no YAML: ");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = documents::read(&text, &[]).is_ok();
    }

    #[test]
    fn no_change_of_a_true_file_panics(
        at in 0usize..2000, insert in "[\\[\\]{}:,\"\\\\0-9a-z\n &*<|>#%-]{0,5}", remove in 0usize..40, yaml: bool,
    ) {
        let items = [pod("a", "web", "10.0.0.1"), config("kube-system", "c", "Corefile", "x {\n y\n}\n")];
        let mut text = if yaml { yaml_list(&items) } else { list(&items) };
        let at = at % text.len();
        let end = (at + remove).min(text.len());
        text.replace_range(at..end, &insert);
        let _ = documents::read(&text, &[]).is_ok();
    }
}
