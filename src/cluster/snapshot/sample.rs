//! Objects as kubectl writes them, for tests: small ones, to be changed by index (`pod["spec"]["hostNetwork"]`).

use serde_json::{Value, json};

/// A running pod; its uid is `uid-NAME`.
pub(crate) fn pod(namespace: &str, name: &str, ip: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "creationTimestamp": "2026-03-14T10:00:00Z",
            "labels": {"app": name},
            "name": name,
            "namespace": namespace,
            "uid": format!("uid-{name}"),
        },
        "spec": {"containers": [{"name": "main", "ports": [{"containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    })
}

/// Any other object, with this spec; its uid is `uid-NAME`.
pub(crate) fn object(api: &str, kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}")},
        "spec": spec,
    })
}

/// A ConfigMap; without a uid.
pub(crate) fn config(namespace: &str, name: &str, key: &str, text: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "data": {key: text},
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
    })
}

/// The namespace kube-system, whose uid is the cluster's.
pub(crate) fn cluster(uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": uid}})
}

/// What `kubectl get ... -o json` writes.
pub(crate) fn list(items: &[Value]) -> String {
    let list = json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}});
    format!("{list:#}\n")
}

/// What `kubectl get ... -o yaml` writes.
pub(crate) fn yaml_list(items: &[Value]) -> String {
    let items = serde_yaml::to_string(items).unwrap();
    format!("apiVersion: v1\nitems:\n{items}kind: List\nmetadata:\n  resourceVersion: \"\"\n")
}
