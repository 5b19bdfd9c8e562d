//! Hand-made clusters and reports, so that what is tested here is the policies alone.

mod cilium;
mod deny;
mod egress;
mod incomplete;
mod output;
mod wider;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_yaml::Value;

use super::*;
use crate::cluster::Cluster;
use crate::cluster::backends::{Backend, Backends, PodPort, Port, PortSource};
use crate::cluster::lifetimes::Lifetime;
use crate::cluster::model::{
    Container, ContainerPort, Controller, Labels, Meta, Owner, Pod, Protocol,
};
use crate::cluster::model::{Service, Snapshot};
use crate::cluster::workloads::{Workload, Workloads};
use crate::connections::{Client, Connection, Names, Proof, Report, Server, ServerKind, Status};
use crate::log::Place;

pub(super) fn cluster() -> Cluster {
    Cluster {
        snapshot: Snapshot { dns_namespaces: vec!["kube-system".into()], ..Snapshot::default() },
        domains: vec!["cluster.local".into()],
        workloads: Workloads::default(),
        addresses: Default::default(),
        services: BTreeMap::new(),
        backends: Vec::new(),
        autopath: false,
        rewrites: Vec::new(),
        lifetimes: Vec::new(),
        slices: Vec::new(),
        dns_services: Vec::new(),
    }
}

/// Whether kubectl can be asked. In CI it must be.
pub(super) fn has_kubectl() -> bool {
    let found = Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found || !ci, "kubectl must be on the PATH");
    found
}

fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect()
}

fn tcp(number: u16) -> Port {
    Port { port: PodPort::Number(number), protocol: Protocol::Tcp, name: String::new() }
}

const PRESENT: Lifetime = Lifetime {
    made_again: None,
    may: 0,
    sure: None,
    end: None,
    exact: false,
    first_seen: None,
    last_seen: None,
    finished: false,
};

/// A cluster and a report, being made.
struct World {
    cluster: Cluster,
    report: Report,
}

impl World {
    fn new() -> World {
        World { cluster: cluster(), report: Report::default() }
    }

    /// A workload with one running pod of these labels, and without a controller in the snapshot.
    fn orphan(&mut self, kind: &str, name: &str, pod: &str) -> WorkloadId {
        let (namespace, name) = name.split_once('/').unwrap();
        let index = self.cluster.snapshot.pods.len();
        let id = WorkloadId(self.cluster.workloads.list.len() as u32);
        let owner = (kind != "Pod").then(|| Owner {
            kind: kind.into(),
            name: name.into(),
            ..Owner::default()
        });
        self.cluster.snapshot.pods.push(Pod {
            meta: Meta {
                namespace: namespace.into(),
                name: format!("{name}-{index}"),
                labels: labels(pod),
                owner,
                ..Meta::default()
            },
            phase: "Running".into(),
            ..Pod::default()
        });
        self.cluster.workloads.of_pod.push(id);
        self.cluster.lifetimes.push(PRESENT);
        self.cluster.workloads.list.push(Workload {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            controller: None,
            pods: vec![index],
            inferred: false,
        });
        id
    }

    /// A workload with a controller whose selector and template are these labels.
    fn controller(&mut self, kind: &str, name: &str, selector: &str) -> WorkloadId {
        let id = self.orphan(kind, name, &format!("{selector},pod-template-hash=7d4"));
        let index = self.cluster.snapshot.controllers.len();
        let workload = &mut self.cluster.workloads.list[id.0 as usize];
        workload.controller = Some(index);
        self.cluster.snapshot.controllers.push(Controller {
            kind: kind.into(),
            meta: Meta {
                namespace: workload.namespace.clone(),
                name: workload.name.clone(),
                ..Meta::default()
            },
            selector: Some(LabelSelector {
                match_labels: Some(labels(selector).to_map()),
                match_expressions: None,
            }),
            template_labels: labels(selector),
            ..Controller::default()
        });
        id
    }

    fn deployment(&mut self, name: &str, selector: &str) -> WorkloadId {
        self.controller("Deployment", name, selector)
    }

    fn control(&mut self, id: WorkloadId) -> &mut Controller {
        let index = self.cluster.workloads.get(id).controller.unwrap();
        &mut self.cluster.snapshot.controllers[index]
    }

    /// Its pod has ended for good.
    fn finish(&mut self, id: WorkloadId) {
        let pod = self.cluster.workloads.get(id).pods[0];
        self.cluster.lifetimes[pod].finished = true;
    }

    fn pod(&mut self, id: WorkloadId) -> &mut Pod {
        let index = self.cluster.workloads.get(id).pods[0];
        &mut self.cluster.snapshot.pods[index]
    }

    /// A Service with these workloads behind it, all with the same ports.
    fn service(&mut self, name: &str, behind: &[WorkloadId], ports: &[Port]) -> usize {
        let (namespace, name) = name.split_once('/').unwrap();
        let key = (namespace.to_owned(), name.to_owned());
        self.cluster.services.insert(key, self.cluster.snapshot.services.len());
        self.cluster.snapshot.services.push(Service {
            meta: Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() },
            kind: "ClusterIP".into(),
            selector: labels("app=x"),
            ..Service::default()
        });
        let backend = |id: &WorkloadId| Backend {
            workload: *id,
            pods: self.cluster.workloads.get(*id).pods.clone(),
            ports: ports.to_vec(),
        };
        self.cluster.backends.push(Backends {
            workloads: behind.iter().map(backend).collect(),
            ports: ports.to_vec(),
            source: PortSource::EndpointSlice,
            foreign: Vec::new(),
        });
        self.cluster.backends.len() - 1
    }

    /// A Service that is another name for something.
    fn alias(&mut self, name: &str, target: &str) -> usize {
        let service = self.service(name, &[], &[]);
        let of = &mut self.cluster.snapshot.services[service];
        (of.kind, of.external_name) = ("ExternalName".into(), target.into());
        of.selector = labels("");
        service
    }

    /// A connection of a workload to a Service.
    fn asked(&mut self, client: WorkloadId, service: usize) -> &mut Connection {
        let of = self.cluster.workloads.get(client);
        let client = Client {
            kind: of.kind.clone(),
            namespace: of.namespace.clone(),
            name: of.name.clone(),
            ips: Vec::new(),
            pods: Vec::new(),
            candidates: Vec::new(),
            workload: Some(client),
        };
        self.asked_by(client, service)
    }

    /// A connection of what is no workload.
    fn asked_as(&mut self, kind: &str, name: &str, service: usize) -> &mut Connection {
        let ips: Vec<IpAddr> = name.parse().into_iter().collect();
        let client = Client {
            kind: kind.into(),
            namespace: String::new(),
            name: name.into(),
            ips,
            pods: Vec::new(),
            candidates: Vec::new(),
            workload: None,
        };
        self.asked_by(client, service)
    }

    fn asked_by(&mut self, client: Client, service: usize) -> &mut Connection {
        let meta = &self.cluster.snapshot.services[service].meta;
        let backends = &self.cluster.backends[service];
        let name = format!("{}.{}.svc.cluster.local", meta.name, meta.namespace);
        let names: Names = [name.into()].into();
        self.report.connections.push(Connection {
            client: client.into(),
            server: Arc::new(Server {
                kind: ServerKind::Service,
                namespace: meta.namespace.clone(),
                name: meta.name.clone(),
                ports: backends.ports[..].into(),
                workloads: backends.workloads.iter().map(|b| b.workload).collect(),
                in_snapshot: Some(true),
                service: Some(service),
            }),
            names: Arc::clone(&names),
            queries: 2,
            lookups: 1,
            failed: 0,
            attempts: 0,
            seen: None,
            status: vec![Status::Ok],
            proof: Some(Proof { names, ports: backends.ports[..].into() }),
            place: Place { path: "dns.log".into(), line: 1 },
        });
        self.report.connections.last_mut().unwrap()
    }

    fn build(&self) -> Policies {
        self.build_with(&options())
    }

    fn build_with(&self, options: &Options<'_>) -> Policies {
        build(&self.report, &self.cluster, options)
    }

    /// The one policy there is, read back from its YAML.
    fn only(&self) -> Value {
        let policies = self.build();
        let all = [policies.complete, policies.incomplete].concat();
        assert_eq!(all.len(), 1, "{:?}", policies.refused);
        read(&all[0])
    }

    /// The one connection is by these names instead.
    fn renamed(&mut self, name: &str) -> &mut Proof {
        let connection = &mut self.report.connections[0];
        connection.names = [name.into()].into();
        let proof = connection.proof.as_mut().unwrap();
        proof.names = [name.into()].into();
        proof
    }

    /// Nothing is written, and the one refusal says this.
    fn refuses(&self, part: &str) {
        let policies = self.build();
        assert_eq!((policies.complete, policies.incomplete), (vec![], vec![]));
        let reasons: Vec<_> = policies.refused.iter().map(|r| &r.reason).collect();
        assert!(reasons.len() == 1 && reasons[0].contains(part), "{reasons:?}");
    }

    /// One policy, incomplete, and a reason says this.
    fn leaves_out(&self, part: &str) -> Value {
        let policies = self.build();
        assert_eq!(policies.complete, []);
        assert_eq!(policies.incomplete.len(), 1, "{:?}", policies.refused);
        let reasons = &policies.incomplete[0].incomplete;
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{reasons:?}");
        read(&policies.incomplete[0])
    }
}

fn options() -> Options<'static> {
    Options {
        strict: false,
        allow_nodes: false,
        evidence: true,
        changed_evidence: Vec::new(),
        directions: &[Direction::Ingress],
        subjects: &|_| true,
        clients: &|_| true,
    }
}

/// The document that a reader sees.
fn read(policy: &Policy) -> Value {
    serde_yaml::from_str(&yaml::document(policy, yaml::Place::File).unwrap()).unwrap()
}

/// `user` asks for `user-db`, the story of the original.
fn sock_shop() -> (World, WorkloadId, WorkloadId, usize) {
    let mut world = World::new();
    let user = world.deployment("sock-shop/user", "app=user");
    let db = world.deployment("sock-shop/user-db", "app=user-db");
    let service = world.service("sock-shop/user-db", &[db], &[tcp(27017)]);
    world.asked(user, service);
    (world, user, db, service)
}
