//! kubectl reads every policy back as it was written: `kubectl label --local` parses, labels and prints it without a cluster.
//! What YAML readers disagree about would be changed on the way, and nobody would see it.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

const SAMPLE: [&str; 3] = ["testdata/sock-shop/logs", "-S", "testdata/sock-shop/pods.json"];

/// Whether kubectl can be asked. In CI it must be.
#[expect(clippy::print_stderr, reason = "cargo test shows it")]
fn has_kubectl() -> bool {
    let found = Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "kubectl must be on the PATH");
    if !found {
        eprintln!("not tested: kubectl is not installed");
    }
    found
}

/// The policies that these arguments give, each as kico wrote it; after kubectl had them, they are the same.
#[track_caller]
fn check(inputs: &[&str], more: &[&str], format: &str) -> Vec<Value> {
    let dir = tempfile::tempdir().expect("a scratch directory can be made");
    let file = dir.path().join("policies.yaml");
    let done = Command::new(env!("CARGO_BIN_EXE_kico"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["analyze", "-q"])
        .args(inputs)
        .args(more)
        .args(["-o", &format!("{format}={}", file.display())])
        .output()
        .expect("kico can be started");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let written = std::fs::read_to_string(&file).expect("it was written");
    let written: Vec<Value> = serde_yaml::Deserializer::from_str(&written)
        .map(|document| Value::deserialize(document).expect("YAML that has a place in JSON"))
        .collect();

    let kubectl = Command::new("kubectl")
        .args(["label", "--local", "read=back", "-o", "json", "-f"])
        .arg(&file)
        .output()
        .expect("kubectl can be started");
    assert!(kubectl.status.success(), "{}", String::from_utf8_lossy(&kubectl.stderr));
    let read = serde_json::Deserializer::from_slice(&kubectl.stdout).into_iter::<Value>();
    let mut read: Vec<Value> = read.map(|object| object.expect("JSON")).collect();
    for object in &mut read {
        let labels = object["metadata"]["labels"].as_object_mut().expect("kico's own label");
        assert_eq!(labels.remove("read"), Some("back".into()));
    }
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(read, written);
    }
    written
}

/// How many are incomplete, are egress policies, shut a namespace.
fn kinds(policies: &[Value]) -> (usize, usize, usize) {
    let count = |is: fn(&&Value) -> bool| policies.iter().filter(is).count();
    (
        count(|policy| policy["metadata"]["labels"]["kico.dev/incomplete"] == "true"),
        count(|policy| policy["spec"]["egress"].is_array()),
        count(|policy| policy["metadata"]["name"] == "default-deny-ingress"),
    )
}

#[test]
fn the_samples_policies_of_either_direction_complete_or_not() {
    if !has_kubectl() {
        return;
    }
    let both = ["--policy-types", "ingress,egress"];
    let deny = ["--default-deny", "--default-deny=sock-shop", "--default-deny=kube-system"];
    let all = check(&SAMPLE, &[&both[..], &deny].concat(), "netpol");
    let (incomplete, egress, denies) = kinds(&all);
    assert!(incomplete >= 3 && egress >= 10 && denies >= 2, "{incomplete} {egress} {denies}");
    assert!(all.iter().any(|policy| policy["metadata"]["annotations"].is_object()));
    assert_eq!(check(&SAMPLE, &[], "netpol").len() + egress + denies, all.len());

    let bare = check(&SAMPLE, &[&both[..], &deny, &["--no-evidence"]].concat(), "netpol");
    assert_eq!(kinds(&bare), (incomplete, egress, denies));
    assert!(bare.iter().all(|policy| policy["metadata"]["annotations"].is_null()));

    let cilium = check(&SAMPLE, &both, "ciliumnetworkpolicy");
    assert!(cilium.iter().all(|policy| policy["kind"] == "CiliumNetworkPolicy"));
    let text = json!(cilium).to_string();
    assert!(text.contains("toFQDNs") && text.contains("matchPattern"), "{text}");
    assert!(kinds(&cilium).0 > 0 && kinds(&cilium).1 >= 10);
}

/// What some reader of YAML takes for a number, a boolean, a date or nothing; all of them legal names of namespaces.
const NAMES: [&str; 16] = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "null",
    "true",
    "1e3",
    "0x1f",
    "123",
    "0123",
    "0o7",
    "0b1",
    "2026-01-02",
    "inf",
];
/// The same of what only a label may be.
const LABELS: [&str; 10] =
    ["Yes", "NULL", "1_000", "1.20", "685_230.15", "1E3", "True", "Y", "OFF", "1.e1"];

/// Every trap is a namespace, a workload, a Service, a label's key and its value; each asks the next one.
fn traps(dir: &Path) -> [String; 3] {
    let mut items = Vec::new();
    let mut log = String::new();
    let dns = json!({"k8s-app": "kube-dns"});
    let ports =
        json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53}]);
    load(&mut items, "kube-system", "kube-dns", &dns, "10.9.9.9", &ports);
    for (number, name) in NAMES.iter().enumerate() {
        let label = LABELS[number % LABELS.len()];
        let labels = json!({"app": name, *name: name, "l": label, label: "x"});
        let ports = json!([{"name": "web", "port": 80}]);
        load(&mut items, name, name, &labels, &format!("10.0.0.{number}"), &ports);
        let next = NAMES[(number + 1) % NAMES.len()];
        log += &format!(
            "[INFO] 10.0.0.{number}:4000 - 1 \"A IN {next}.{next}.svc.cluster.local. udp 41 false 512\" NOERROR qr,aa,rd 92 0.1s\n"
        );
    }
    let file = |name: &str| dir.join(name).display().to_string();
    let snapshot = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    std::fs::write(file("pods.json"), snapshot).expect("it can be written");
    std::fs::write(file("log.txt"), log).expect("it can be written");
    [file("log.txt"), "-S".into(), file("pods.json")]
}

/// A namespace, a Deployment with one pod, and a Service before it.
fn load(
    items: &mut Vec<Value>,
    namespace: &str,
    name: &str,
    labels: &Value,
    address: &str,
    ports: &Value,
) {
    let meta = json!({"namespace": namespace, "name": name, "labels": labels});
    let owner = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": "u", "controller": true}]);
    let mut pod = meta.clone();
    pod["ownerReferences"] = owner;
    let status = json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]});
    let whole = json!({"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}});
    items.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": whole}));
    items.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "status": status}));
    items.push(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec":
        {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}));
    items.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec":
        {"selector": labels, "ports": ports}}));
}

#[test]
fn names_and_labels_that_yaml_would_take_for_something_else() {
    if !has_kubectl() {
        return;
    }
    let dir = tempfile::tempdir().expect("a scratch directory can be made");
    let inputs = traps(dir.path());
    let inputs = inputs.each_ref().map(String::as_str);
    let both = ["--policy-types", "ingress,egress", "--default-deny"];
    for (format, denies) in [("netpol", NAMES.len()), ("ciliumnetworkpolicy", 0)] {
        let more = if denies > 0 { &both[..] } else { &both[..2] };
        let all = check(&inputs, more, format);
        assert_eq!(kinds(&all).2, denies);
        assert_eq!(all.len(), 2 * NAMES.len() + denies);
        for name in NAMES {
            let own = all.iter().filter(|policy| policy["metadata"]["namespace"] == name);
            let own: Vec<&Value> =
                own.filter(|policy| policy["metadata"]["name"] != "default-deny-ingress").collect();
            assert_eq!(own.len(), 2, "{name}");
            for policy in own {
                let text = policy["spec"].to_string();
                assert!(text.contains(&format!("\"{name}\":\"{name}\"")) || denies == 0, "{text}");
            }
        }
    }
}
