//! Small clusters for tests, made of the model's own structs:
//! `Pod { node: "n1".into(), ..pod("shop", "api-0", "10.1.0.5") }`.

use std::net::IpAddr;

use super::Cluster;
use super::model::*;
use crate::time::{self, Time};

/// A moment of the day on which all tests happen: `at("10:00:05")`.
pub(crate) fn at(clock: &str) -> Time {
    time::parse(&format!("2026-04-02T{clock}Z")).unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `labels("app=api tier=web")`
pub(crate) fn labels(pairs: &str) -> Labels {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap();
        (key.to_string(), value.to_string())
    };
    pairs.split_whitespace().map(pair).collect()
}

/// The uid says where it is, so that every test object has its own.
pub(crate) fn meta(namespace: &str, name: &str) -> Meta {
    Meta {
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("{namespace}/{name}"),
        ..Meta::default()
    }
}

/// An owner whose uid is that of [`controller`].
pub(crate) fn owner(namespace: &str, kind: &str, name: &str) -> Option<Owner> {
    let uid = format!("{kind}/{namespace}/{name}");
    Some(Owner { kind: kind.into(), name: name.into(), uid, ..Owner::default() })
}

/// A running pod at one address, without times; empty text: at none.
pub(crate) fn pod(namespace: &str, name: &str, address: &str) -> Pod {
    Pod {
        meta: meta(namespace, name),
        phase: "Running".into(),
        addresses: address.split_whitespace().map(ip).collect(),
        ..Pod::default()
    }
}

/// The same, owned by a controller, with labels.
pub(crate) fn owned(mut pod: Pod, kind: &str, name: &str, pairs: &str) -> Pod {
    pod.meta.owner = owner(&pod.meta.namespace, kind, name);
    pod.meta.labels = labels(pairs);
    pod
}

/// A pod that may hold its address from `start` on, and surely holds it two seconds later.
pub(crate) fn since(mut pod: Pod, start: &str) -> Pod {
    pod.meta.created = Some(at(start));
    pod.start = Some(at(start));
    pod.started = Some(at(start) + 2 * time::SECOND);
    pod
}

/// A pod that succeeded at `end`.
pub(crate) fn until(mut pod: Pod, end: &str) -> Pod {
    pod.phase = "Succeeded".into();
    pod.finished = Some(at(end));
    pod
}

/// A controller whose pods, and whose selector, have these labels.
pub(crate) fn controller(kind: &str, namespace: &str, name: &str, pairs: &str) -> Controller {
    let mut meta = meta(namespace, name);
    meta.uid = format!("{kind}/{namespace}/{name}");
    Controller {
        kind: kind.into(),
        meta,
        template_labels: labels(pairs),
        selector: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
            match_labels: Some(labels(pairs).to_map()),
            match_expressions: None,
        }),
        ..Controller::default()
    }
}

/// A Service of kind ClusterIP; `ports`: `http:80:8080 dns:53:dns/UDP`, name, port and target.
pub(crate) fn service(namespace: &str, name: &str, selector: &str, ports: &str) -> Service {
    Service {
        meta: meta(namespace, name),
        kind: "ClusterIP".into(),
        selector: labels(selector),
        ports: ports.split_whitespace().map(service_port).collect(),
        ..Service::default()
    }
}

fn service_port(text: &str) -> ServicePort {
    let (text, protocol) = protocol(text);
    let [name, port, target] = text.split(':').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let target = match target.parse() {
        Ok(number) => TargetPort::Number(number),
        Err(_) => TargetPort::Name(target.into()),
    };
    ServicePort { name: name.into(), port: port.parse().unwrap(), protocol, target }
}

fn protocol(text: &str) -> (&str, Protocol) {
    match text.strip_suffix("/UDP") {
        Some(rest) => (rest, Protocol::Udp),
        None => (text, Protocol::Tcp),
    }
}

/// A container; `ports`: `http:8080 dns:53/UDP :9090`, name and port.
pub(crate) fn container(ports: &str) -> Container {
    let port = |text: &str| {
        let (text, protocol) = protocol(text);
        let (name, port) = text.split_once(':').unwrap();
        ContainerPort { name: name.into(), port: port.parse().unwrap(), protocol, host_port: None }
    };
    Container { name: "main".into(), ports: ports.split_whitespace().map(port).collect() }
}

/// A slice of a Service; `ports`: `http:8080`, name and number; endpoints: address and pod of the same namespace.
pub(crate) fn slice(
    namespace: &str,
    service: &str,
    ports: &str,
    endpoints: &[(&str, &str)],
) -> EndpointSlice {
    let port =
        |p: ContainerPort| EndpointPort { name: p.name, port: Some(p.port), protocol: p.protocol };
    let endpoint = |(address, pod): &(&str, &str)| Endpoint {
        addresses: vec![ip(address)],
        hostname: String::new(),
        pod: (!pod.is_empty())
            .then(|| (namespace.to_string(), pod.to_string(), format!("{namespace}/{pod}"))),
    };
    EndpointSlice {
        meta: meta(namespace, &format!("{service}-x1")),
        service: service.into(),
        endpoints: endpoints.iter().map(endpoint).collect(),
        ports: container(ports).ports.into_iter().map(port).collect(),
    }
}

/// One snapshot that holds these pods, taken at that time.
pub(crate) fn moment(clock: &str, pods: &[&Pod]) -> Moment {
    Moment {
        time: Some(at(clock)),
        pods: Some(pods.iter().map(|pod| pod.meta.uid.clone()).collect()),
        namespaces: pods.iter().map(|pod| pod.meta.namespace.clone()).collect(),
        ..Moment::default()
    }
}

/// A cluster of these objects, sorted as a read snapshot is.
pub(crate) fn cluster(mut snapshot: Snapshot) -> Cluster {
    let place = |meta: &Meta| (meta.namespace.clone(), meta.name.clone(), meta.uid.clone());
    snapshot.given = true;
    snapshot.dns_namespaces = vec!["kube-system".into(), "openshift-dns".into()];
    snapshot.moments.sort_by_key(|moment| moment.time);
    snapshot.pods.sort_by_key(|pod| place(&pod.meta));
    snapshot
        .controllers
        .sort_by_key(|c| (c.meta.namespace.clone(), c.kind.clone(), c.meta.name.clone()));
    snapshot.services.sort_by_key(|service| place(&service.meta));
    snapshot.slices.sort_by_key(|slice| place(&slice.meta));
    snapshot.nodes.sort_by_key(|node| place(&node.meta));
    Cluster::new(snapshot, &[])
}

impl Cluster {
    /// A workload as `namespace/kind/name`.
    pub(crate) fn word(&self, id: super::workloads::WorkloadId) -> String {
        let w = self.workloads.get(id);
        format!("{}/{}/{}", w.namespace, w.kind, w.name)
    }

    /// The workload of the pod of this name.
    pub(crate) fn owner_of(&self, pod: &str) -> String {
        let index = self.snapshot.pods.iter().position(|p| p.meta.name == pod).unwrap();
        self.word(self.workloads.of_pod[index])
    }
}
