//! Names → what was asked for (SEMANTICS 3). Each distinct name is read once for each namespace it is asked from.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use super::clients::Interner;
use super::{GroupBy, Server, ServerKind, Status};
use crate::cluster::Cluster;
use crate::cluster::addresses::Holder;
use crate::cluster::backends::Port;
use crate::cluster::infer::Inferred;
use crate::cluster::names::Meaning;
use crate::cluster::ports;
use crate::cluster::workloads::WorkloadId;
use crate::time::Time;

/// A server, whatever the view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Service {
        namespace: String,
        name: String,
        index: Option<usize>,
    },
    Pod {
        index: usize,
        shared: bool,
    },
    /// A `pod.Z` name of an address that no one pod is known to have held.
    Address {
        address: IpAddr,
        namespace: String,
        workload: Option<WorkloadId>,
    },
    External(String),
}

/// An SRV name's port and protocol.
pub(super) type Srv = (String, String);

/// What one name is, asked from one namespace.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Index in [`Servers::asked`]; an SRV name's port and protocol; whether the name is an endpoint's.
    Server { id: u32, port: Option<Arc<Srv>>, widened: bool },
    /// Who held the address depends on when.
    Pod { address: IpAddr, namespace: Arc<str> },
    /// No connection.
    Nothing,
}

/// All servers asked for.
pub(super) struct Servers<'a> {
    cluster: &'a Cluster,
    asked: Interner<Asked>,
    /// Which of them answered; the rest did not.
    answered: Vec<bool>,
    /// By the name's number, and the namespace that it is asked from where that may matter.
    targets: HashMap<(u32, Option<&'a str>), Target>,
    /// What most servers outside the cluster share.
    no_ports: Arc<[Port]>,
}

/// A server as a view shows it, before its connections say which of its ports were meant.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) server: Arc<Server>,
    pub(super) status: Vec<Status>,
    /// Whether the snapshot has it.
    pub(super) is_known: bool,
    /// Whether a pod's address was also held by others, and the log has no times.
    pub(super) is_shared: bool,
}

impl<'a> Servers<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Servers<'a> {
        let (answered, targets) = (Vec::new(), HashMap::new());
        Servers { cluster, asked: Interner::new(), answered, targets, no_ports: [].into() }
    }

    /// What a name is for a client of this namespace.
    pub(super) fn target(&mut self, id: u32, name: &str, namespace: Option<&'a str>) -> &Target {
        let Servers { cluster, asked, targets, .. } = self;
        let namespace = namespace.filter(|namespace| cluster.is_own(name, namespace));
        targets.entry((id, namespace)).or_insert_with(|| match cluster.meaning(name, namespace) {
            Meaning::Service { namespace, service, index, port, widened } => {
                let id = asked.id(Asked::Service { namespace, name: service, index });
                Target::Server { id, port: port.map(Arc::new), widened }
            }
            Meaning::External(name) => {
                Target::Server { id: asked.id(Asked::External(name)), port: None, widened: false }
            }
            Meaning::Pod { address, namespace } => {
                Target::Pod { address, namespace: namespace.into() }
            }
            Meaning::Nothing => Target::Nothing,
        })
    }

    /// The server behind a `pod.Z` name at that time.
    pub(super) fn pod(
        &mut self,
        address: IpAddr,
        namespace: &str,
        seen: Option<(Time, Time)>,
    ) -> u32 {
        let nobody = |workload| Asked::Address { address, namespace: namespace.into(), workload };
        self.asked.id(match self.cluster.addresses.holder(address, seen) {
            Holder::Workload { workload, pods, shared } => match pods.as_slice() {
                [index] => Asked::Pod { index: *index, shared },
                _ => nobody(Some(workload)),
            },
            _ => nobody(None),
        })
    }

    /// Notes that it answered.
    pub(super) fn answer(&mut self, id: u32) {
        let id = id as usize;
        if id >= self.answered.len() {
            self.answered.resize(self.asked.list.len().max(id + 1), false);
        }
        if let Some(answered) = self.answered.get_mut(id) {
            *answered = true;
        }
    }

    /// The namespaces of the Services that answered.
    pub(super) fn answered_namespaces(&self) -> impl Iterator<Item = String> {
        self.asked.list.iter().zip(&self.answered).filter_map(|(asked, answered)| match asked {
            Asked::Service { namespace, .. } if *answered => Some(namespace.clone()),
            _ => None,
        })
    }

    /// Every server as this view shows it, and its place in the view's order: what is shown as one has one place.
    pub(super) fn shown(&self, group_by: GroupBy) -> (Vec<Shown>, Vec<u32>) {
        let all: Vec<Shown> = (self.asked.list.iter())
            .map(|asked| {
                let (server, status) = self.show(asked);
                let is_view = group_by == GroupBy::Namespace;
                let server = Arc::new(if is_view { by_namespace(server) } else { server });
                let is_known =
                    matches!(asked, Asked::Service { index: Some(_), .. } | Asked::Pod { .. });
                let is_shared = matches!(asked, Asked::Pod { shared: true, .. });
                Shown { server, status, is_known, is_shared }
            })
            .collect();
        let mut order: Vec<(_, usize)> =
            all.iter().map(|shown| shown.server.key()).zip(0..).collect();
        order.sort_unstable();
        let mut places = vec![0; all.len()];
        for (place, same) in (0..).zip(order.chunk_by(|a, b| a.0 == b.0)) {
            for (_, id) in same {
                if let Some(slot) = places.get_mut(*id) {
                    *slot = place;
                }
            }
        }
        (all, places)
    }

    fn show(&self, asked: &Asked) -> (Server, Vec<Status>) {
        let none = &self.no_ports;
        let blank = |kind, namespace: &str, name: &str| Server {
            kind,
            namespace: namespace.into(),
            name: name.into(),
            ports: Arc::clone(none),
            workloads: Vec::new(),
            in_snapshot: None,
            service: None,
        };
        let mut status = Vec::new();
        let server = match asked {
            Asked::External(name) => blank(ServerKind::External, "", name),
            Asked::Service { namespace, name, index: Some(index) } => {
                let service = self.cluster.snapshot.services.get(*index);
                let behind = self.cluster.backends.get(*index);
                let ports: Arc<[Port]> = behind.map_or(&[][..], |b| &b.ports).into();
                let workloads =
                    behind.iter().flat_map(|b| &b.workloads).map(|b| b.workload).collect();
                if service.is_some_and(|service| service.kind == "ExternalName") {
                    status.push(Status::ExternalName);
                } else if ports.is_empty() {
                    status.push(Status::NoPorts);
                }
                let server = blank(ServerKind::Service, namespace, name);
                Server {
                    ports,
                    workloads,
                    in_snapshot: Some(true),
                    service: Some(*index),
                    ..server
                }
            }
            Asked::Service { namespace, name, index: None } => {
                status.push(Status::NotInSnapshot);
                let server = Server {
                    in_snapshot: Some(false),
                    ..blank(ServerKind::Service, namespace, name)
                };
                match self.cluster.infer_service(namespace, name) {
                    Err(_) => server,
                    Ok(Inferred { workload, ports, .. }) => {
                        status.push(Status::SelectorInferred);
                        if ports.is_empty() {
                            status.push(Status::NoPorts);
                        }
                        Server { ports: ports.into(), workloads: vec![workload], ..server }
                    }
                }
            }
            Asked::Pod { index, shared } => {
                let pod = self.cluster.snapshot.pods.get(*index);
                let (namespace, name) = pod.map_or(("", ""), |p| (&p.meta.namespace, &p.meta.name));
                let ports = ports::declared(pod.iter().map(|p| &p.containers[..])).0;
                if ports.is_empty() {
                    status.push(Status::NoPorts);
                }
                if *shared {
                    status.push(Status::SharedAddress);
                }
                let workloads =
                    self.cluster.workloads.of_pod.get(*index).copied().into_iter().collect();
                let server = blank(ServerKind::Pod, namespace, name);
                Server { ports: ports.into(), workloads, in_snapshot: Some(true), ..server }
            }
            Asked::Address { address, namespace, workload } => {
                status.push(Status::NotInSnapshot);
                let workloads = workload.iter().copied().collect();
                let server = blank(ServerKind::Pod, namespace, &address.to_string());
                Server { workloads, in_snapshot: Some(false), ..server }
            }
        };
        if server.workloads.iter().any(|id| self.cluster.workloads.get(*id).inferred) {
            status.push(Status::OwnerInferred);
        }
        (server, status)
    }
}

/// Whether an SRV name's port and protocol ask for this port.
pub(super) fn is_asked(port: &Port, (name, protocol): &Srv) -> bool {
    port.name.eq_ignore_ascii_case(name) && port.protocol.text().eq_ignore_ascii_case(protocol)
}

fn by_namespace(server: Server) -> Server {
    if server.kind == ServerKind::External {
        return server;
    }
    let name = server.namespace.clone();
    Server { kind: ServerKind::Namespace, name, service: None, ..server }
}

impl Shown {
    /// Both, where a view shows them as one.
    pub(super) fn merge(&mut self, more: &Shown) {
        fn union<T: Ord + Clone>(mine: &mut Vec<T>, more: &[T]) {
            mine.extend_from_slice(more);
            mine.sort();
            mine.dedup();
        }
        let server = Arc::make_mut(&mut self.server);
        let mut ports = server.ports.to_vec();
        union(&mut ports, &more.server.ports);
        server.ports = ports.into();
        union(&mut server.workloads, &more.server.workloads);
        union(&mut self.status, &more.status);
        server.in_snapshot = match (server.in_snapshot, more.server.in_snapshot) {
            (Some(a), Some(b)) => Some(a && b),
            (one, other) => one.or(other),
        };
    }
}

impl Server {
    fn key(&self) -> (ServerKind, &str, &str) {
        (self.kind, &self.namespace, &self.name)
    }
}
