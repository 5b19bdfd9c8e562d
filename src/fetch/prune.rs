//! An object as the API server gives it → what a capture keeps of it: the fields that the snapshot reads (SEMANTICS 10),
//! by name, and nothing else. No env value, no command, no secret, no annotation but those used can reach a file, since
//! what is not named here is dropped.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::cluster::objects::is_kept_annotation;

/// A container whose lookups may never reach CoreDNS has this name among its env; the value is not looked at.
const ISTIO_DNS: &str = "ISTIO_META_DNS_CAPTURE";

const META: &[&str] = &[
    "namespace",
    "name",
    "uid",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionTimestamp",
    "ownerReferences.apiVersion",
    "ownerReferences.kind",
    "ownerReferences.name",
    "ownerReferences.uid",
    "ownerReferences.controller",
];

/// Of a pod's spec, and of the spec in a controller's template.
const POD: &[&str] = &[
    "hostNetwork",
    "nodeName",
    "dnsPolicy",
    "dnsConfig.searches",
    "hostname",
    "subdomain",
    "containers.name",
    "containers.ports.name",
    "containers.ports.containerPort",
    "containers.ports.protocol",
    "containers.ports.hostPort",
    "containers.env.name",
    "initContainers.name",
    "initContainers.ports.name",
    "initContainers.ports.containerPort",
    "initContainers.ports.protocol",
    "initContainers.ports.hostPort",
    "initContainers.restartPolicy",
    "initContainers.env.name",
];

/// Fields below the object's top, by kind. Lists are walked through. `@pod` and `@meta` stand for the two above.
fn fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" => &[
            "spec.@pod",
            "status.phase",
            "status.podIP",
            "status.podIPs.ip",
            "status.startTime",
            "status.conditions.type",
            "status.conditions.status",
            "status.conditions.lastTransitionTime",
            "status.containerStatuses.name",
            "status.containerStatuses.state.running.startedAt",
            "status.containerStatuses.state.terminated.startedAt",
            "status.containerStatuses.state.terminated.finishedAt",
            "status.containerStatuses.lastState.terminated.startedAt",
            "status.containerStatuses.lastState.terminated.finishedAt",
            "status.initContainerStatuses.name",
            "status.initContainerStatuses.state.running.startedAt",
            "status.initContainerStatuses.state.terminated.startedAt",
            "status.initContainerStatuses.state.terminated.finishedAt",
            "status.initContainerStatuses.lastState.terminated.startedAt",
            "status.initContainerStatuses.lastState.terminated.finishedAt",
        ],
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => &[
            "spec.selector",
            "spec.template.metadata.@meta",
            "spec.template.spec.@pod",
            "status.conditions.lastTransitionTime",
            "status.conditions.lastUpdateTime",
        ],
        "CronJob" => &[
            "spec.schedule",
            "spec.jobTemplate.spec.selector",
            "spec.jobTemplate.spec.template.metadata.@meta",
            "spec.jobTemplate.spec.template.spec.@pod",
        ],
        "Service" => &[
            "spec.type",
            "spec.selector",
            "spec.ports.name",
            "spec.ports.port",
            "spec.ports.protocol",
            "spec.ports.targetPort",
            "spec.ports.nodePort",
            "spec.clusterIP",
            "spec.clusterIPs",
            "spec.externalName",
            "spec.externalIPs",
        ],
        "EndpointSlice" => &[
            "addressType",
            "endpoints.addresses",
            "endpoints.hostname",
            "endpoints.conditions.ready",
            "endpoints.targetRef.kind",
            "endpoints.targetRef.namespace",
            "endpoints.targetRef.name",
            "endpoints.targetRef.uid",
            "ports.name",
            "ports.port",
            "ports.protocol",
        ],
        "NetworkPolicy" => &["spec"],
        "Node" => &[
            "spec.podCIDR",
            "spec.podCIDRs",
            "status.addresses.type",
            "status.addresses.address",
            "status.conditions.lastTransitionTime",
            "status.conditions.lastHeartbeatTime",
        ],
        "Ingress" => &["spec.defaultBackend.service", "spec.rules.http.paths.backend.service"],
        "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" | "UDPRoute" => &[
            "spec.rules.backendRefs.group",
            "spec.rules.backendRefs.kind",
            "spec.rules.backendRefs.namespace",
            "spec.rules.backendRefs.name",
            "spec.rules.backendRefs.port",
            "spec.rules.backendRefs.filters.requestMirror.backendRef",
            "spec.rules.filters.requestMirror.backendRef",
        ],
        "Gateway" => &["spec.listeners.port"],
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => &[
            "webhooks.clientConfig.service.namespace",
            "webhooks.clientConfig.service.name",
            "webhooks.clientConfig.service.port",
        ],
        "APIService" => &["spec.service.namespace", "spec.service.name", "spec.service.port"],
        "ServiceMonitor" | "PodMonitor" => &[
            "spec.selector",
            "spec.namespaceSelector.any",
            "spec.namespaceSelector.matchNames",
            "spec.endpoints.port",
            "spec.endpoints.targetPort",
            "spec.podMetricsEndpoints.port",
            "spec.podMetricsEndpoints.portNumber",
            "spec.podMetricsEndpoints.targetPort",
        ],
        "ConfigMap" => &["data.Corefile"],
        _ => &[],
    }
}

/// What is kept, as a tree: a leaf is kept whole.
#[derive(Debug, Default)]
pub(crate) struct Keep(BTreeMap<&'static str, Keep>);

impl Keep {
    /// What is kept of objects of this kind.
    pub(crate) fn of(kind: &str) -> Keep {
        let mut keep = Keep::default();
        keep.add("metadata.@meta");
        fields(kind).iter().for_each(|path| keep.add(path));
        keep
    }

    fn add(&mut self, path: &'static str) {
        let (step, rest) = path.split_once('.').unwrap_or((path, ""));
        match step {
            "@meta" => META.iter().for_each(|path| self.add(path)),
            "@pod" => POD.iter().for_each(|path| self.add(path)),
            step if rest.is_empty() => drop(self.0.entry(step).or_default()),
            step => self.0.entry(step).or_default().add(rest),
        }
    }

    /// Drops everything else.
    pub(crate) fn prune(&self, value: &mut Value) {
        match value {
            Value::Array(all) => all.iter_mut().for_each(|value| self.prune(value)),
            Value::Object(map) => self.prune_map(map),
            // A scalar where a map should be is nothing that is read.
            value => *value = Value::Null,
        }
    }

    fn prune_map(&self, map: &mut Map<String, Value>) {
        map.retain(|key, value| {
            let Some(keep) = self.0.get(key.as_str()) else { return false };
            if !keep.0.is_empty() {
                keep.prune(value);
            }
            match (key.as_str(), value) {
                (_, Value::Null) => false,
                ("annotations", Value::Object(all)) => {
                    all.retain(|key, _| is_kept_annotation(key));
                    !all.is_empty()
                }
                ("env", Value::Array(all)) => {
                    all.retain(|entry| {
                        entry.get("name").and_then(Value::as_str) == Some(ISTIO_DNS)
                    });
                    !all.is_empty()
                }
                _ => true,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::snapshot;
    use serde_json::json;

    fn pruned(kind: &str, mut object: Value) -> Value {
        Keep::of(kind).prune(&mut object["object"]);
        object["object"].take()
    }

    #[test]
    fn of_a_pod_no_secret_is_kept() {
        let pod = json!({"object": {
            "metadata": {"name": "a", "namespace": "b", "uid": "u", "labels": {"app": "x"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "canary", "prometheus.io/port": "80"},
                "managedFields": [{"manager": "canary"}], "ownerReferences": [{"kind": "ReplicaSet", "name": "r", "uid": "v", "controller": true, "extra": "canary"}]},
            "spec": {"nodeName": "n", "serviceAccountName": "canary", "volumes": [{"secret": {"secretName": "canary"}}],
                "containers": [{"name": "c", "image": "canary", "command": ["canary"], "args": ["canary"],
                    "env": [{"name": "TOKEN", "value": "canary"}, {"name": "ISTIO_META_DNS_CAPTURE", "value": "canary"}],
                    "ports": [{"containerPort": 80, "hostIP": "canary"}]}]},
            "status": {"phase": "Running", "message": "canary", "podIPs": [{"ip": "10.0.0.1"}],
                "containerStatuses": [{"name": "c", "state": {"terminated": {"message": "canary", "finishedAt": "2026-01-01T00:00:00Z"}}}]},
            "canary": "canary",
        }});
        let kept = pruned("Pod", pod);
        assert!(!kept.to_string().contains("canary"), "{kept}");
        assert_eq!(
            kept["spec"]["containers"][0]["env"],
            json!([{"name": "ISTIO_META_DNS_CAPTURE"}])
        );
        assert_eq!(kept["metadata"]["annotations"], json!({"prometheus.io/port": "80"}));
        assert_eq!(
            kept["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"],
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn what_dates_a_snapshot_is_kept() {
        for (api, kind, field) in [
            ("v1", "Node", "lastHeartbeatTime"),
            ("v1", "Node", "lastTransitionTime"),
            ("apps/v1", "Deployment", "lastUpdateTime"),
            ("apps/v1", "ReplicaSet", "lastTransitionTime"),
            ("batch/v1", "Job", "lastTransitionTime"),
        ] {
            let mut object = json!({
                "metadata": {"name": "x", "creationTimestamp": "2026-03-14T10:00:00Z"},
                "status": {"conditions": [{"message": "canary", field: "2026-03-14T12:00:00Z"}]},
            });
            Keep::of(kind).prune(&mut object);
            assert!(!object.to_string().contains("canary"), "{object}");
            (object["apiVersion"], object["kind"]) = (api.into(), kind.into());
            let read = snapshot::from_text("pods.json", &object.to_string(), &[]).unwrap();
            assert_eq!(read.moments[0].time, crate::time::parse("2026-03-14T12:00:00Z"), "{kind}");
        }
    }

    /// The fields named here are those that the snapshot reads: a pruned sample gives the very same snapshot.
    #[test]
    fn a_pruned_snapshot_reads_as_the_whole_one() {
        let text = std::fs::read_to_string("testdata/sock-shop/pods.json").unwrap();
        let mut list: Value = serde_json::from_str(&text).unwrap();
        let read = |text: &str| {
            let mut read = snapshot::from_text("pods.json", text, &[]).unwrap();
            // Sets, which are printed in any order; which pods there are stands above.
            read.moments.clear();
            format!("{read:#?}")
        };
        let whole = read(&text);
        let mut kinds = std::collections::BTreeSet::new();
        for item in list["items"].as_array_mut().unwrap() {
            let kind = item["kind"].as_str().unwrap().to_owned();
            let version = item["apiVersion"].clone();
            Keep::of(&kind).prune(item);
            item["kind"] = kind.clone().into();
            item["apiVersion"] = version;
            kinds.insert(kind);
        }
        assert!(kinds.len() > 8, "{kinds:?}");
        assert_eq!(read(&list.to_string()), whole);
    }
}
