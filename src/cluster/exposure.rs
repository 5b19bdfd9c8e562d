//! Traffic that the snapshot shows and DNS cannot: what comes from outside, from Prometheus, from the API server. A
//! policy made of lookups alone would cut it. Says only what is open; who may use it is for others to decide.

use std::collections::{BTreeMap, BTreeSet};

use super::Cluster;
use super::aliases::Lead;
use super::backends::{PodPort, Port};
use super::endpoints::{foreign_pods, written_by_hand};
use super::model::{Entrance, Labels, Meta, Monitor, Pod, Service, TargetPort, Watched};
use super::selector::matches;
use super::workloads::{Workload, WorkloadId};

/// One reason why a workload is reached by those who never asked for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposure {
    /// `Ingress`, `LoadBalancer`, `scrape annotation`, `ServiceMonitor`, `hostNetwork`, …
    pub kind: String,
    /// The object that shows it: `Ingress shop/web`, `APIService v1.metrics.k8s.io`. Untrusted text.
    pub object: String,
    /// How: a lower-case fragment that the object's name follows.
    pub why: &'static str,
    /// What a rule would have to allow: `from Prometheus, on 9102`. Untrusted text.
    pub needs: String,
}

/// All exposed workloads, each with its reasons, sorted.
pub fn exposed(cluster: &Cluster) -> BTreeMap<WorkloadId, Vec<Exposure>> {
    let mut found = Found { cluster, all: BTreeMap::new() };
    for index in 0..cluster.snapshot.services.len() {
        found.service(index);
    }
    for entrance in &cluster.snapshot.entrances {
        found.entrance(entrance);
    }
    for monitor in cluster.snapshot.monitors.iter().filter(|m| m.kind == "ServiceMonitor") {
        found.service_monitor(monitor);
    }
    for (id, workload) in cluster.workloads.iter() {
        found.workload(id, workload);
    }
    found.all.into_iter().map(|(id, all)| (id, all.into_iter().collect())).collect()
}

/// Where such traffic is looked for, beside pods: the kinds of which the snapshot holds some, and those of which it holds
/// none, so that nobody can tell whether the cluster does. Each in a fixed order.
pub fn kinds(cluster: &Cluster) -> (Vec<&'static str>, Vec<&'static str>) {
    let snapshot = &cluster.snapshot;
    let holds = |kind: &str| match kind {
        "Service" => !snapshot.services.is_empty(),
        "Gateway" => !snapshot.gateways.is_empty(),
        "ServiceMonitor" | "PodMonitor" => snapshot.monitors.iter().any(|m| m.kind == kind),
        _ => snapshot.entrances.iter().any(|entrance| entrance.kind == kind),
    };
    let all = [
        "Service",
        "Ingress",
        "Gateway",
        "HTTPRoute",
        "GRPCRoute",
        "TCPRoute",
        "TLSRoute",
        "UDPRoute",
        "ServiceMonitor",
        "PodMonitor",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "APIService",
    ];
    all.into_iter().partition(|kind| holds(kind))
}

/// The namespaces of Services that the API server calls, with the objects that say so: shut, they take more down than
/// themselves.
pub fn called_by_the_api_server(cluster: &Cluster) -> BTreeMap<&str, BTreeSet<String>> {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for entrance in cluster.snapshot.entrances.iter().filter(|entrance| is_called(entrance)) {
        for service in &entrance.services {
            let objects = found.entry(&service.namespace).or_default();
            objects.insert(display(&entrance.kind, &entrance.meta));
        }
    }
    found
}

/// The label that the implementation of a Gateway puts on the pods that it runs for it.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

struct Found<'a> {
    cluster: &'a Cluster,
    all: BTreeMap<WorkloadId, BTreeSet<Exposure>>,
}

impl Found<'_> {
    fn add(
        &mut self,
        id: WorkloadId,
        kind: &str,
        object: String,
        why: &'static str,
        needs: String,
    ) {
        let exposure = Exposure { kind: kind.to_owned(), object, why, needs };
        self.all.entry(id).or_default().insert(exposure);
    }

    /// The workloads behind a Service, or behind the one that it is an alias of, with their ports; also where somebody wrote
    /// their pods down by hand.
    fn behind(&self, service: usize) -> Vec<(WorkloadId, Vec<Port>)> {
        let service = match self.cluster.leads_to(service) {
            Some(Lead::Service(end)) => end,
            _ => service,
        };
        let own = self.cluster.backends.get(service).map_or(&[][..], |all| &all.workloads);
        let mut found: Vec<_> = own.iter().map(|b| (b.workload, b.ports.clone())).collect();
        for listed in written_by_hand(self.cluster, service).into_values() {
            let owners = self.cluster.workloads.owners(listed.pods);
            found.extend(owners.into_iter().map(|id| (id, listed.ports.clone())));
        }
        // Pods that are not its own, too: what comes in goes wherever the slices say.
        let ports = self.cluster.backends.get(service).map_or(&[][..], |all| &all.ports);
        let mut foreign = self.cluster.workloads.owners(foreign_pods(self.cluster, service));
        foreign.retain(|id| !found.iter().any(|(known, _)| known == id));
        found.extend(foreign.into_iter().map(|id| (id, ports.to_vec())));
        found
    }

    /// By its type, by its addresses, by its annotation.
    fn service(&mut self, index: usize) {
        let Some(service) = self.cluster.snapshot.services.get(index) else { return };
        let object = || display("Service", &service.meta);
        for (id, behind) in self.behind(index) {
            let outside =
                || format!("from outside the cluster{}", on(ports(service, &behind, None)));
            match service.kind.as_str() {
                "LoadBalancer" => {
                    let why = "it is reached from outside, by type LoadBalancer of";
                    self.add(id, "LoadBalancer", object(), why, outside());
                }
                "NodePort" => {
                    let why = "it is reached from outside, by type NodePort of";
                    self.add(id, "NodePort", object(), why, outside());
                }
                _ => {}
            }
            if !service.external_ips.is_empty() {
                let why = "it is reached from outside, by externalIPs of";
                self.add(id, "externalIPs", object(), why, outside());
            }
            for rewrite in self.cluster.rewrites.iter().filter(|rewrite| rewrite.leads_to(service))
            {
                let why = "names outside the cluster are rewritten to it, by the Corefile of";
                let needs =
                    format!("from whoever asks for those{}", on(ports(service, &behind, None)));
                self.add(id, "rewrite", rewrite.object.clone(), why, needs);
            }
            if let Some(needs) = scrape(&service.meta.annotations) {
                self.add(id, "scrape annotation", object(), SCRAPED, needs);
            }
        }
    }

    /// By what leads to Services.
    fn entrance(&mut self, entrance: &Entrance) {
        let (why, who) = match is_called(entrance) {
            true => ("the API server calls it, by", "from the API server"),
            false => ("traffic comes in through", "from the pods that carry it"),
        };
        for to in &entrance.services {
            let Some(index) = self.cluster.service(&to.namespace, &to.name) else { continue };
            let Some(service) = self.cluster.snapshot.services.get(index) else { continue };
            for (id, behind) in self.behind(index) {
                let needs = format!("{who}{}", on(ports(service, &behind, to.port.as_ref())));
                let object = display(&entrance.kind, &entrance.meta);
                self.add(id, &entrance.kind, object, why, needs);
            }
        }
    }

    fn service_monitor(&mut self, monitor: &Monitor) {
        for (index, service) in self.cluster.snapshot.services.iter().enumerate() {
            if watches(monitor, &service.meta.namespace)
                && matches(&monitor.selector, &service.meta.labels)
            {
                for (id, _) in self.behind(index) {
                    self.monitored(id, monitor);
                }
            }
        }
    }

    fn monitored(&mut self, id: WorkloadId, monitor: &Monitor) {
        let ports = monitor.ports.iter().map(|port| match port {
            TargetPort::Number(number) => number.to_string(),
            TargetPort::Name(name) => name.clone(),
        });
        let needs = format!("from Prometheus{}", on(ports.collect()));
        let object = display(&monitor.kind, &monitor.meta);
        self.add(id, &monitor.kind, object, "it is scraped, by", needs);
    }

    /// By its own pods, those that are there and those that its template would make.
    fn workload(&mut self, id: WorkloadId, workload: &Workload) {
        let snapshot = &self.cluster.snapshot;
        let template = workload.controller.and_then(|index| snapshot.controllers.get(index));
        let pods = workload.pods.iter().filter(|pod| self.cluster.is_present(**pod));
        let pods: Vec<&Pod> = pods.filter_map(|pod| snapshot.pods.get(*pod)).collect();
        let made = template.map(|t| (&t.template_labels, &t.template_annotations));
        let both: BTreeSet<(&Labels, &Labels)> =
            pods.iter().map(|pod| (&pod.meta.labels, &pod.meta.annotations)).chain(made).collect();
        let object = || format!("{} {}/{}", workload.kind, workload.namespace, workload.name);
        let on_host = template.is_some_and(|template| template.template_host_network);
        if on_host || pods.iter().any(|pod| pod.host_network) {
            let why = "its pods use hostNetwork, and are reached by their node's address:";
            self.add(id, "hostNetwork", object(), why, "nothing: no policy has an effect".into());
        }
        let templates = template.map(|template| &template.template_containers);
        let containers = pods.iter().filter(|pod| !pod.host_network).map(|pod| &pod.containers);
        let containers = containers.chain(templates.filter(|_| !on_host)).flatten();
        let ports = containers.flat_map(|container| &container.ports);
        let ports: BTreeSet<u16> =
            ports.filter(|port| port.host_port.is_some()).map(|port| port.port).collect();
        if !ports.is_empty() {
            let why = "nodes listen for it, on the hostPort of";
            let needs = format!(
                "from outside the cluster{}",
                on(ports.iter().map(u16::to_string).collect())
            );
            self.add(id, "hostPort", object(), why, needs);
        }
        for (labels, annotations) in both {
            if let Some(needs) = scrape(annotations) {
                self.add(id, "scrape annotation", object(), SCRAPED, needs);
            }
            for gateway in &snapshot.gateways {
                if gateway.meta.namespace == workload.namespace
                    && labels.get(GATEWAY_NAME) == Some(&gateway.meta.name)
                {
                    let ports = gateway.ports.iter().map(u16::to_string).collect();
                    let needs = format!("from outside the cluster, as it listens{}", on(ports));
                    let object = display("Gateway", &gateway.meta);
                    self.add(id, "Gateway", object, "it carries the traffic of", needs);
                }
            }
            for monitor in snapshot.monitors.iter().filter(|m| m.kind == "PodMonitor") {
                if watches(monitor, &workload.namespace) && matches(&monitor.selector, labels) {
                    self.monitored(id, monitor);
                }
            }
        }
    }
}

const SCRAPED: &str = "it is scraped, by the annotation prometheus.io/scrape of";

/// What Prometheus needs, if these annotations ask it to come.
fn scrape(annotations: &Labels) -> Option<String> {
    let asks = annotations.get("prometheus.io/scrape");
    let asks = asks.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let port = annotations.get("prometheus.io/port").map(str::to_owned);
    asks.then(|| format!("from Prometheus{}", on(port.into_iter().collect())))
}

fn watches(monitor: &Monitor, namespace: &str) -> bool {
    match &monitor.namespaces {
        Watched::Own => monitor.meta.namespace == namespace,
        Watched::All => true,
        Watched::Named(names) => names.iter().any(|name| name == namespace),
    }
}

/// Webhooks, of conversions too, and aggregated APIs: their traffic is the API server's.
fn is_called(entrance: &Entrance) -> bool {
    matches!(&*entrance.kind, "APIService" | "CustomResourceDefinition")
        || entrance.kind.ends_with("WebhookConfiguration")
}

/// The pods' ports behind one of a Service's own, or behind all of them.
fn ports(service: &Service, behind: &[Port], wanted: Option<&TargetPort>) -> BTreeSet<String> {
    let name = wanted.and_then(|wanted| {
        let is_it = |port: &&super::model::ServicePort| match wanted {
            TargetPort::Number(number) => port.port == *number,
            TargetPort::Name(name) => port.name == *name,
        };
        service.ports.iter().find(is_it).map(|port| port.name.as_str())
    });
    let ports = behind.iter().filter(|port| name.is_none_or(|name| port.name == name));
    let text = ports.map(|port| match &port.port {
        PodPort::Number(number) => format!("{number}/{}", port.protocol.text()),
        PodPort::Name(name) => format!("{name}/{}", port.protocol.text()),
    });
    text.collect()
}

/// `, on 80/TCP, 443/TCP`; nothing if no port is known.
fn on(ports: BTreeSet<String>) -> String {
    match ports.is_empty() {
        true => String::new(),
        false => format!(", on {}", ports.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

fn display(kind: &str, meta: &Meta) -> String {
    match meta.namespace.is_empty() {
        true => format!("{kind} {}", meta.name),
        false => format!("{kind} {}/{}", meta.namespace, meta.name),
    }
}

#[cfg(test)]
mod tests;
