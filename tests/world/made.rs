//! The world as kico gets it: a snapshot, and a tally.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kico::cluster::model::{
    Container, ContainerPort, Controller, Endpoint, EndpointPort, EndpointSlice, Meta, Moment,
    Node, Owner, Pod, Protocol, Service, ServicePort, Snapshot, TargetPort,
};
use kico::log::record::{Kind, QType, Rcode};
use kico::log::tally::{Numbers, Row, Sighting, Tally};

use super::{Dice, HOUR, Load, NAMESPACES, SERVICE, START, SYSTEM, World};

impl World {
    /// What `kubectl get ... -o json` would have said, two hours after the last change.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let named = |name: &&str| Meta { name: (*name).into(), ..Meta::default() };
        let namespace = |name: &&str| Meta {
            labels: self.namespaces().remove(*name).unwrap_or_default().into(),
            ..named(name)
        };
        let pods: Vec<Pod> = (0..self.pods.len()).map(|pod| self.pod(pod)).collect();
        let moment = Moment {
            path: "pods.json".into(),
            time: Some(START + 4 * HOUR),
            pods: Some(pods.iter().map(|pod| pod.meta.uid.clone()).collect()),
            namespaces: NAMESPACES.iter().chain([&SYSTEM]).map(|n| (*n).to_owned()).collect(),
            ..Moment::default()
        };
        let mut snapshot = Snapshot {
            given: true,
            moments: vec![moment],
            pods,
            controllers: (0..self.loads.len()).flat_map(|load| self.controllers(load)).collect(),
            services: self.services.iter().map(|made| service(made, self)).collect(),
            slices: (0..self.services.len()).flat_map(|service| self.slices(service)).collect(),
            namespaces: NAMESPACES.iter().chain([&SYSTEM]).map(namespace).collect(),
            nodes: vec![Node {
                meta: named(&"node-1"),
                addresses: vec![self.node],
                ..Node::default()
            }],
            dns_namespaces: vec!["kube-system".into()],
            ..Snapshot::default()
        };
        let key = |meta: &Meta| (meta.namespace.clone(), meta.name.clone(), meta.uid.clone());
        snapshot.pods.sort_by_key(|pod| key(&pod.meta));
        snapshot
            .controllers
            .sort_by_key(|c| (c.meta.namespace.clone(), c.kind.clone(), c.meta.name.clone()));
        snapshot.services.sort_by_key(|service| key(&service.meta));
        snapshot.slices.sort_by_key(|slice| key(&slice.meta));
        snapshot
    }

    fn pod(&self, index: usize) -> Pod {
        let made = &self.pods[index];
        let load = &self.loads[made.load];
        let owner = match load.kind {
            "Pod" => None,
            "Deployment" => Some(owner("ReplicaSet", &format!("{}-5d8", load.name), load)),
            "CronJob" => Some(owner("Job", &format!("{}-1", load.name), load)),
            kind => Some(owner(kind, &load.name, load)),
        };
        let ports = made.ports.iter().map(|(name, port, protocol)| ContainerPort {
            host_port: None,
            name: name.clone(),
            port: *port,
            protocol: as_protocol(protocol),
        });
        Pod {
            meta: Meta {
                namespace: load.namespace.clone(),
                name: made.name.clone(),
                uid: format!("pod-{index}"),
                labels: made.labels.clone().into(),
                created: Some(made.start),
                owner,
                ..Meta::default()
            },
            node: "node-1".into(),
            host_network: load.host,
            containers: vec![Container { name: "main".into(), ports: ports.collect() }],
            phase: if made.finished { "Succeeded" } else { "Running" }.into(),
            addresses: vec![made.ip],
            start: Some(made.start),
            started: Some(made.start),
            finished: made.end,
            network_ready: Some(made.start),
            last_transition: made.end.or(Some(made.start)),
            ..Pod::default()
        }
    }

    /// The controller, and what stands between it and its pods. A Rollout is no kind that a snapshot is asked for.
    fn controllers(&self, index: usize) -> Vec<Controller> {
        let load = &self.loads[index];
        let selector = load.selector.as_ref().map(|selector| {
            serde_yaml::from_value::<LabelSelector>(selector.clone()).expect("a selector")
        });
        let first = self.pods.iter().find(|pod| pod.load == index);
        let containers = first.map(|pod| Container {
            name: "main".into(),
            ports: pod
                .ports
                .iter()
                .map(|(name, port, protocol)| ContainerPort {
                    host_port: None,
                    name: name.clone(),
                    port: *port,
                    protocol: as_protocol(protocol),
                })
                .collect(),
        });
        let make = |kind: &str, name: &str, owner: Option<Owner>| Controller {
            kind: kind.into(),
            meta: Meta {
                namespace: load.namespace.clone(),
                name: name.into(),
                uid: format!("{kind}/{}/{name}", load.namespace),
                created: Some(START),
                owner,
                ..Meta::default()
            },
            selector: match kind {
                "CronJob" => None,
                "Job" => Some(LabelSelector {
                    match_labels: Some(BTreeMap::from([("controller-uid".into(), name.into())])),
                    match_expressions: None,
                }),
                _ => selector.clone(),
            },
            template_labels: load.labels.clone().into(),
            template_annotations: Default::default(),
            template_containers: containers.iter().cloned().collect(),
            template_host_network: load.host,
            schedule: String::new(),
        };
        let top = make(load.kind, &load.name, None);
        let between = |kind: &str, suffix: &str| {
            make(kind, &format!("{}{suffix}", load.name), Some(owner(load.kind, &load.name, load)))
        };
        match load.kind {
            "Pod" | "Rollout" => vec![],
            "Deployment" => vec![top, between("ReplicaSet", "-5d8")],
            "CronJob" => vec![top, between("Job", "-1")],
            _ => vec![top],
        }
    }

    /// What the control plane writes down, one slice a set of numbers; and what somebody forged.
    fn slices(&self, index: usize) -> Vec<EndpointSlice> {
        let service = &self.services[index];
        let slice =
            |name: String, endpoints: Vec<Endpoint>, ports: Vec<EndpointPort>| EndpointSlice {
                meta: Meta { namespace: service.namespace.clone(), name, ..Meta::default() },
                service: service.name.clone(),
                endpoints,
                ports,
            };
        let endpoint = |pod: &usize| Endpoint {
            addresses: vec![self.pods[*pod].ip],
            hostname: String::new(),
            pod: Some((
                self.loads[self.pods[*pod].load].namespace.clone(),
                self.pods[*pod].name.clone(),
                format!("pod-{pod}"),
            )),
        };
        let port = |name: &str, number: u16, protocol: &str| EndpointPort {
            name: name.into(),
            port: Some(number),
            protocol: as_protocol(protocol),
        };
        let mut slices = Vec::new();
        if service.sliced {
            for pod in self.backing(index) {
                let resolved = service.ports.iter().filter_map(|(name, protocol, target)| {
                    let number = self.resolve(pod, target, protocol)?;
                    Some(port(name, number, protocol))
                });
                slices.push(slice(
                    format!("{}-{pod}", service.name),
                    vec![endpoint(&pod)],
                    resolved.collect(),
                ));
            }
        }
        // Anybody who may write EndpointSlices may write down anybody's address: of a pod of another namespace, or of
        // one that the Service does not select.
        let foreign: Vec<Endpoint> =
            service.forged.iter().filter(|pod| !self.backs(index, **pod)).map(endpoint).collect();
        if !foreign.is_empty() {
            slices.push(slice(
                format!("{}-forged", service.name),
                foreign,
                vec![port("web", 22, "TCP")],
            ));
        }
        if !service.manual.is_empty() {
            let outside = |ip: &IpAddr| Endpoint { addresses: vec![*ip], ..Endpoint::default() };
            slices.push(slice(
                format!("{}-manual", service.name),
                service.manual.iter().map(outside).collect(),
                vec![port("web", 6443, "TCP")],
            ));
        }
        slices
    }

    /// The log, counted; without every other row or so.
    pub(crate) fn tally(&self, without: Option<u64>) -> Tally {
        let mut dice = Dice(without.unwrap_or_default() ^ 0xabcd);
        let rows = self.rows.iter().filter(|_| without.is_none() || dice.one_in(2));
        let (mut names, mut paths) = (Numbers::default(), Numbers::default());
        let rows: Vec<Row> = rows
            .map(|row| {
                let rcode = if row.answered { Rcode::NOERROR } else { Rcode::NXDOMAIN };
                let qtype = if row.name.starts_with('_') { QType::SRV } else { QType::A };
                Row {
                    client: row.ip,
                    name: names.of(&row.name),
                    counts: [(Kind { qtype, rcode }, 1)].into_iter().collect(),
                    sighting: Sighting {
                        seen: row.time.map(|time| (time, time)),
                        path: paths.of("dns.log"),
                        line: 1,
                    },
                    answered: None,
                }
            })
            .collect();
        Tally::of(rows, names, paths)
    }
}

fn owner(kind: &str, name: &str, load: &Load) -> Owner {
    let uid = format!("{kind}/{}/{name}", load.namespace);
    Owner { kind: kind.into(), name: name.into(), uid, ..Owner::default() }
}

fn service(made: &super::Service, world: &World) -> Service {
    Service {
        meta: Meta {
            namespace: made.namespace.clone(),
            name: made.name.clone(),
            ..Meta::default()
        },
        kind: made.kind.into(),
        selector: made.selector.clone().into(),
        ports: made
            .ports
            .iter()
            .map(|(name, protocol, target)| ServicePort {
                name: name.clone(),
                // Never the pods' port (but for DNS): a policy that says it is wrong.
                port: if made.namespace == SYSTEM && name != "metrics" { 53 } else { 22 },
                protocol: as_protocol(protocol),
                target: match target {
                    Ok(number) => TargetPort::Number(*number),
                    Err(name) => TargetPort::Name(name.clone()),
                },
            })
            .collect(),
        cluster_ips: vec![SERVICE],
        headless: made.ports.is_empty(),
        external_name: match (made.kind, made.leads_to.map(|index| &world.services[index])) {
            ("ExternalName", Some(to)) => {
                format!("{}.{}.svc.cluster.local", to.name, to.namespace)
            }
            ("ExternalName", None) => "example.org".into(),
            _ => String::new(),
        },
        external_ips: if made.external_ip { vec!["203.0.113.5".into()] } else { Vec::new() },
    }
}

fn as_protocol(text: &str) -> Protocol {
    if text == "UDP" { Protocol::Udp } else { Protocol::Tcp }
}
