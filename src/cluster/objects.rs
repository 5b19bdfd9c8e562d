//! Kubernetes JSON → [`super::model`]: narrow types that keep only what the model has, so that a secret in env or
//! annotations is dropped while it is parsed. YAML comes here as JSON. Knows no files, and never fails the whole:
//! an object that cannot be read is named, without its values.

mod config;
mod controller;
mod entrance;
mod meta;
mod monitor;
mod network;
mod pod;
mod shell;
mod strict;
mod unique;

use super::model;
use crate::time::Time;

pub(crate) use config::CaptureRecord;
#[cfg(feature = "fetch")]
pub(crate) use meta::is_kept as is_kept_annotation;
pub(crate) use meta::masked;
pub(crate) use shell::{Shell, documents};

/// Reads one object. `dns_namespaces`: where a ConfigMap's Corefile counts.
pub(crate) fn read(shell: &Shell<'_>, dns_namespaces: &[String]) -> Read {
    let mut notes = Vec::new();
    let object = match shell.kind {
        "" => Err("it has no kind".to_owned()),
        _ if !is_read(shell) => Ok(Object::Skipped(skipped_name(shell))),
        _ if shell.repeated.is_some() => {
            Err(format!("the key `{}` stands there twice", shell.repeated.unwrap_or_default()))
        }
        "Pod" => pod::read(shell, &mut notes).map(|(pod, time)| Object::Pod(Box::new(pod), time)),
        "Service" => network::service(shell, &mut notes).map(Box::new).map(Object::Service),
        "EndpointSlice" => network::slice(shell, &mut notes)
            .map(|slice| slice.map_or(Object::Nothing, |slice| Object::Slice(Box::new(slice)))),
        "Endpoints" => network::endpoints(shell, &mut notes).map(Object::Endpoints),
        "NetworkPolicy" => network::policy(shell).map(Box::new).map(Object::Policy),
        "Namespace" => meta::read(shell).map(Box::new).map(Object::Namespace),
        "Node" => network::node(shell, &mut notes)
            .map(|node| Object::Node(Box::new(node), meta::latest_condition(shell))),
        "ConfigMap" => config::read(shell, dns_namespaces),
        "Ingress" => entrance::ingress(shell).map(Box::new).map(Object::Entrance),
        "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" | "UDPRoute" => {
            entrance::route(shell, shell.kind).map(Box::new).map(Object::Entrance)
        }
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            entrance::webhooks(shell, shell.kind).map(Box::new).map(Object::Entrance)
        }
        "APIService" => entrance::api_service(shell).map(Box::new).map(Object::Entrance),
        "CustomResourceDefinition" => {
            entrance::definition(shell).map(Box::new).map(Object::Entrance)
        }
        "Gateway" => entrance::gateway(shell).map(Box::new).map(Object::Gateway),
        "ServiceMonitor" | "PodMonitor" => {
            monitor::read(shell, shell.kind).map(Box::new).map(Object::Monitor)
        }
        _ => controller::read(shell, shell.kind)
            .map(|one| Object::Controller(Box::new(one), meta::latest_condition(shell))),
    };
    let kind = if shell.kind.is_empty() { "object" } else { shell.kind };
    let who = || format!("{kind} {}", meta::who(shell));
    match object {
        Ok(object) => {
            let broken = notes.iter().map(|n| format!("{}: {n}", who())).collect();
            Read { object, broken, hidden: None }
        }
        Err(why) => {
            let broken = vec![format!("{}: {why}", who())];
            Read { object: Object::Nothing, broken, hidden: hidden(shell).map(Box::new) }
        }
    }
}

/// What an object that could not be read may hide: traffic that it led to pods, or the pods themselves and what says which
/// there are. One without a kind may have been anything.
fn hidden(shell: &Shell<'_>) -> Option<model::Hidden> {
    let pods = match shell.kind {
        "" | "Pod" | "Namespace" | "Service" | "EndpointSlice" | "Endpoints" => true,
        "ReplicaSet" | "Deployment" | "DaemonSet" | "StatefulSet" | "Job" | "CronJob" => true,
        "Ingress" | "Gateway" | "APIService" | "CustomResourceDefinition" => false,
        "ServiceMonitor" | "PodMonitor" => false,
        kind if kind.ends_with("Route") || kind.ends_with("WebhookConfiguration") => false,
        _ => return None,
    };
    let namespace = match shell.kind {
        "Namespace" => meta::name(shell),
        // What somebody wrote by hand may lead to any pod.
        "" | "EndpointSlice" | "Endpoints" => None,
        kind if pods || kind == "Ingress" => meta::namespace(shell),
        _ => None,
    };
    let kind = if shell.kind.is_empty() { "object" } else { shell.kind };
    Some(model::Hidden { object: format!("{kind} {}", meta::who(shell)), namespace, pods })
}

/// An object as it was read, and what of it could not be: fragments that begin with its kind and name.
pub(crate) struct Read {
    pub(crate) object: Object,
    pub(crate) broken: Vec<String>,
    /// If all of it is lost, what that may hide.
    pub(crate) hidden: Option<Box<model::Hidden>>,
}

/// What an object was. Each is moved several times on its way into the snapshot, and is large: the box is not.
#[derive(PartialEq)]
pub(crate) enum Object {
    /// A pod, and the latest time that it mentions.
    Pod(Box<model::Pod>, Option<Time>),
    /// A controller, and the latest time of its conditions.
    Controller(Box<model::Controller>, Option<Time>),
    Service(Box<model::Service>),
    Slice(Box<model::EndpointSlice>),
    /// Legacy Endpoints: one slice for each of its subsets.
    Endpoints(Vec<model::EndpointSlice>),
    Namespace(Box<model::Meta>),
    /// A node, and the latest time of its conditions: the kubelet renews them every few minutes.
    Node(Box<model::Node>, Option<Time>),
    Policy(Box<model::NetworkPolicy>),
    Entrance(Box<model::Entrance>),
    Gateway(Box<model::Gateway>),
    Monitor(Box<model::Monitor>),
    Corefile(Box<model::Corefile>),
    Capture(Box<CaptureRecord>),
    /// Any other ConfigMap, or an object that is broken.
    Nothing,
    /// Of a kind that kico does not read.
    Skipped(String),
}

impl Object {
    /// The latest time that it mentions: of most kinds, its creation.
    pub(crate) fn latest(&self) -> Option<Time> {
        match self {
            Object::Pod(_, latest) => *latest,
            Object::Controller(controller, latest) => controller.meta.created.max(*latest),
            Object::Service(service) => service.meta.created,
            Object::Slice(slice) => slice.meta.created,
            Object::Namespace(meta) => meta.created,
            Object::Node(node, latest) => node.meta.created.max(*latest),
            Object::Policy(policy) => policy.meta.created,
            Object::Entrance(entrance) => entrance.meta.created,
            Object::Gateway(gateway) => gateway.meta.created,
            Object::Monitor(monitor) => monitor.meta.created,
            _ => None,
        }
    }

    /// What it has in common with its other states: kind, namespace, name, and of a pod its uid.
    pub(crate) fn key(&self) -> Option<[&str; 4]> {
        fn of<'a>(kind: &'a str, meta: &'a model::Meta) -> Option<[&'a str; 4]> {
            Some([kind, &meta.namespace, &meta.name, ""])
        }
        match self {
            Object::Pod(pod, _) => {
                Some(["Pod", &pod.meta.namespace, &pod.meta.name, &pod.meta.uid])
            }
            Object::Controller(controller, _) => of(&controller.kind, &controller.meta),
            Object::Service(service) => of("Service", &service.meta),
            Object::Slice(slice) => of("EndpointSlice", &slice.meta),
            Object::Endpoints(slices) => of("Endpoints", &slices.first()?.meta),
            Object::Namespace(meta) => of("Namespace", meta),
            Object::Node(node, _) => of("Node", &node.meta),
            Object::Policy(policy) => of("NetworkPolicy", &policy.meta),
            Object::Entrance(entrance) => of(&entrance.kind, &entrance.meta),
            Object::Gateway(gateway) => of("Gateway", &gateway.meta),
            Object::Monitor(monitor) => of(&monitor.kind, &monitor.meta),
            Object::Corefile(file) => Some(["ConfigMap", &file.namespace, &file.name, ""]),
            Object::Capture(_) | Object::Nothing | Object::Skipped(_) => None,
        }
    }

    /// Whether both say the same. The times of conditions say nothing but when they were read.
    pub(crate) fn says(&self, other: &Object) -> bool {
        match (self, other) {
            (Object::Pod(one, _), Object::Pod(other, _)) => one == other,
            (Object::Controller(one, _), Object::Controller(other, _)) => one == other,
            (Object::Node(one, _), Object::Node(other, _)) => one == other,
            (one, other) => one == other,
        }
    }
}

/// The kinds that kico reads, and their API groups: Knative has a Service too, Calico a NetworkPolicy,
/// Istio a Gateway.
const KINDS: [(&str, &[&str]); 27] = [
    ("Pod", &[""]),
    ("Service", &[""]),
    ("Namespace", &[""]),
    ("Node", &[""]),
    ("Endpoints", &[""]),
    ("ConfigMap", &[""]),
    ("EndpointSlice", &["discovery.k8s.io"]),
    ("NetworkPolicy", &["networking.k8s.io", "extensions"]),
    ("ReplicaSet", &["apps", "extensions"]),
    ("Deployment", &["apps", "extensions"]),
    ("DaemonSet", &["apps", "extensions"]),
    ("StatefulSet", &["apps"]),
    ("Job", &["batch"]),
    ("CronJob", &["batch"]),
    ("Ingress", &["networking.k8s.io", "extensions"]),
    ("Gateway", &[GATEWAY]),
    ("HTTPRoute", &[GATEWAY]),
    ("GRPCRoute", &[GATEWAY]),
    ("TCPRoute", &[GATEWAY]),
    ("TLSRoute", &[GATEWAY]),
    ("UDPRoute", &[GATEWAY]),
    ("ServiceMonitor", &["monitoring.coreos.com"]),
    ("PodMonitor", &["monitoring.coreos.com"]),
    ("ValidatingWebhookConfiguration", &["admissionregistration.k8s.io"]),
    ("MutatingWebhookConfiguration", &["admissionregistration.k8s.io"]),
    ("APIService", &["apiregistration.k8s.io"]),
    ("CustomResourceDefinition", &["apiextensions.k8s.io"]),
];

const GATEWAY: &str = "gateway.networking.k8s.io";

fn groups(kind: &str) -> Option<&'static [&'static str]> {
    KINDS.iter().find(|(known, _)| *known == kind).map(|(_, groups)| *groups)
}

/// Whether some objects of this kind are read.
pub(crate) fn is_known(kind: &str) -> bool {
    groups(kind).is_some()
}

/// The group of an `apiVersion`; its version does not matter.
fn group(api: &str) -> &str {
    api.split_once('/').map_or("", |(group, _)| group)
}

fn is_read(shell: &Shell<'_>) -> bool {
    groups(shell.kind)
        .is_some_and(|groups| shell.api.is_empty() || groups.contains(&group(shell.api)))
}

/// An owner's kind and group: a StatefulSet of OpenKruise and one of `apps` are two workloads. Where the kind alone would
/// be taken for one that is read, the group stands behind it, as `kubectl` writes it, and not beside. Without an `apiVersion`
/// it is what its kind says; likewise in Kubernetes' own groups, which alone have no dot: written by hand, they may be mixed up.
fn owner_kind(kind: String, api: &str) -> (String, String) {
    let known = match kind.as_str() {
        // A ReplicaSet that is not there is inferred to be one's.
        "Rollout" => Some(&["argoproj.io"][..]),
        kind => groups(kind),
    };
    let group = group(api);
    match known {
        Some(own) if !group.contains('.') || own.contains(&group) => (kind, String::new()),
        Some(_) => (format!("{kind}.{group}"), String::new()),
        None => (kind, group.to_owned()),
    }
}

/// Its kind, with the group where the kind alone would be taken for one that is read.
fn skipped_name(shell: &Shell<'_>) -> String {
    match is_known(shell.kind) {
        true => format!("{}.{}", shell.kind, group(shell.api)),
        false => shell.kind.to_owned(),
    }
}
