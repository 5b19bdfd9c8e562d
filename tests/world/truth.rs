//! What the world's log proves, and what of it selectors can say: worked out pod by pod, from the world alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use kico::policy::Direction;
use kico::time::Time;
use serde_yaml::Value;

use super::{Asked, World};
use crate::Allowed;
use crate::evaluator::{Labels, selects};

/// A port of a workload: a number, or what each pod's port of that name is.
pub(super) type Spec = (Result<u16, String>, &'static str);

/// What is connected to: a workload by index, or an address that is no pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Load(usize),
    Address(IpAddr),
}

/// Client, server, port: workloads by index.
pub(super) type Tuple = (usize, End, Spec);

/// Labels that change from pod to pod.
const VOLATILE: [&str; 3] = ["pod-template-hash", "controller-revision-hash", "job-name"];

/// What the log proves.
pub(crate) struct Truth {
    pub(super) evidence: BTreeSet<Tuple>,
    /// Workloads that somebody asked for who cannot be named, or in a way that proves nothing.
    doubtful: BTreeSet<usize>,
    /// The same from the client's side, for what an egress policy can say.
    pub(super) egress: BTreeSet<Tuple>,
    /// Workloads that asked, or may have asked, for what no egress policy can say.
    partial: BTreeSet<usize>,
}

impl Truth {
    /// What a policy for this workload would have to leave out.
    pub(crate) fn left_out(
        &self,
        world: &World,
        subject: &(String, String, String),
        direction: Direction,
    ) -> Vec<String> {
        let is = |load: &usize| {
            let load = &world.loads[*load];
            (&load.namespace, load.kind, &load.name) == (&subject.0, subject.1.as_str(), &subject.2)
        };
        let (evidence, doubtful) = match direction {
            Direction::Ingress => (&self.evidence, &self.doubtful),
            Direction::Egress => (&self.egress, &self.partial),
        };
        let kept = world.closed(evidence);
        let dropped = evidence.difference(&kept).filter(|(client, server, _)| match direction {
            Direction::Ingress => matches!(server, End::Load(server) if is(server)),
            Direction::Egress => is(client),
        });
        let doubtful = doubtful.iter().filter(|load| is(load)).map(|_| "somebody".to_owned());
        dropped.map(|tuple| format!("{tuple:?}")).chain(doubtful).collect()
    }
}

/// Who asked.
pub(super) enum Who {
    One(usize),
    Doubtful,
}

impl World {
    /// Reads the log as somebody would who knows who held which address when.
    pub(crate) fn truth(&self) -> Truth {
        let (egress, partial) = self.egress_truth();
        let mut truth =
            Truth { evidence: BTreeSet::new(), doubtful: BTreeSet::new(), egress, partial };
        // Whether a client asked for a Service by SRV names alone, and for which ports.
        let mut services: BTreeMap<(usize, usize), Option<BTreeSet<String>>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.answered) {
            // Whoever asks for an alias reaches what it leads to, and no policy of that says so.
            if let Asked::Service(service, _) = row.asked
                && self.services[service].kind == "ExternalName"
                && let Some(end) = self.end_of(service)
            {
                truth.doubtful.extend(self.behind(end));
            }
            if let Asked::Service(service, _) = row.asked {
                truth.doubtful.extend(self.written_down(service));
            }
            match (&row.asked, self.who(row.ip, row.time)) {
                (Asked::Nothing, _) => {}
                (Asked::Service(service, _), Who::Doubtful) => {
                    truth.doubtful.extend(self.behind(*service));
                }
                (Asked::Service(service, _), Who::One(_))
                    if self.services[*service].external_ip =>
                {
                    truth.doubtful.extend(self.behind(*service));
                }
                (Asked::Service(service, port), Who::One(client)) => {
                    let ports =
                        services.entry((client, *service)).or_insert_with(|| Some(BTreeSet::new()));
                    match port {
                        Some(port) => {
                            ports.iter_mut().for_each(|ports| _ = ports.insert(port.clone()))
                        }
                        None => *ports = None,
                    }
                }
                (Asked::Pod(address), who) => match (who, self.who(*address, row.time)) {
                    (_, Who::Doubtful) => {
                        // A pod that may have been meant is still somebody's.
                        truth
                            .doubtful
                            .extend(self.running(*address).map(|pod| self.pods[pod].load));
                    }
                    (Who::Doubtful, Who::One(server)) => _ = truth.doubtful.insert(server),
                    (Who::One(client), Who::One(server)) => {
                        let held = self.holders(*address, row.time);
                        let ports = held.iter().flat_map(|pod| &self.pods[*pod].ports);
                        let specs = ports.map(|(_, number, protocol)| (Ok(*number), *protocol));
                        truth.evidence.extend(specs.map(|spec| (client, End::Load(server), spec)));
                    }
                },
            }
        }
        for ((client, service), ports) in services {
            for server in self.behind(service) {
                let specs = self.specs(service, server, ports.as_ref());
                if specs.is_empty() {
                    truth.doubtful.insert(server);
                }
                truth
                    .evidence
                    .extend(specs.into_iter().map(|spec| (client, End::Load(server), spec)));
            }
        }
        // What is never the subject of a policy is nobody's right.
        let may = |load: usize| !self.loads[load].host && !self.is_dns(load);
        truth.evidence.retain(|tuple| matches!(tuple.1, End::Load(load) if may(load)));
        truth
    }

    /// The pods that held an address: at that time, or ever.
    pub(super) fn holders(&self, ip: IpAddr, time: Option<Time>) -> Vec<usize> {
        let held = |pod: &usize| {
            let pod = &self.pods[*pod];
            let then = time.is_none_or(|t| pod.start <= t && pod.end.is_none_or(|end| t <= end));
            pod.ip == ip && then
        };
        (0..self.pods.len()).filter(held).collect()
    }

    pub(super) fn running(&self, ip: IpAddr) -> impl Iterator<Item = usize> {
        self.holders(ip, None).into_iter().filter(|pod| !self.pods[*pod].finished)
    }

    pub(super) fn who(&self, ip: IpAddr, time: Option<Time>) -> Who {
        if ip == self.node {
            return Who::Doubtful;
        }
        let loads: BTreeSet<usize> =
            self.holders(ip, time).iter().map(|pod| self.pods[*pod].load).collect();
        match (loads.first(), loads.len()) {
            (Some(one), 1) => Who::One(*one),
            _ => Who::Doubtful,
        }
    }

    /// Whether a pod is one of a Service's own.
    pub(super) fn backs(&self, service: usize, pod: usize) -> bool {
        let (service, pod) = (&self.services[service], &self.pods[pod]);
        service.kind == "ClusterIP"
            && pod.namespace == service.namespace
            && !pod.finished
            && has_all(&service.selector, &pod.labels)
    }

    /// The pods behind a Service.
    pub(super) fn backing(&self, service: usize) -> Vec<usize> {
        (0..self.pods.len()).filter(|pod| self.backs(service, *pod)).collect()
    }

    /// The workloads behind a Service: its pods' owners, and those whose template it selects, unless EndpointSlices
    /// name its pods.
    pub(super) fn behind(&self, service: usize) -> BTreeSet<usize> {
        let pods = self.backing(service);
        let mut loads: BTreeSet<usize> = pods.iter().map(|pod| self.pods[*pod].load).collect();
        let of = &self.services[service];
        if of.kind == "ClusterIP" && (pods.is_empty() || !of.sliced) {
            loads.extend((0..self.loads.len()).filter(|load| {
                let made = &self.loads[*load];
                let mut pods = self.pods.iter().filter(|pod| pod.load == *load);
                let over = made.kind == "Job" && pods.all(|pod| pod.finished);
                let templated = !matches!(made.kind, "Pod" | "Rollout") && !over;
                templated && made.namespace == of.namespace && has_all(&of.selector, &made.labels)
            }));
        }
        loads
    }

    /// The workloads whose pods somebody wrote down beside a Service's own.
    fn written_down(&self, service: usize) -> BTreeSet<usize> {
        let of = &self.services[service];
        let own = self.behind(service);
        let is_other = |pod: &&usize| {
            let made = &self.pods[**pod];
            of.kind == "ClusterIP"
                && !made.finished
                && made.ip != self.node
                && !own.contains(&made.load)
        };
        of.forged.iter().filter(is_other).map(|pod| self.pods[*pod].load).collect()
    }

    /// The Service that an alias leads to in the end; aliases lead to earlier ones only.
    fn end_of(&self, service: usize) -> Option<usize> {
        match self.services[service].kind {
            "ExternalName" => self.end_of(self.services[service].leads_to?),
            _ => Some(service),
        }
    }

    /// A Service's ports on one workload's pods.
    pub(super) fn specs(
        &self,
        service: usize,
        load: usize,
        only: Option<&BTreeSet<String>>,
    ) -> BTreeSet<Spec> {
        let of = &self.services[service];
        let mut members: Vec<usize> =
            self.backing(service).into_iter().filter(|pod| self.pods[*pod].load == load).collect();
        if members.is_empty() {
            // The template is that of its first pod.
            members.extend(self.pods.iter().position(|pod| pod.load == load));
        }
        if of.ports.is_empty() {
            let ports = members.iter().flat_map(|pod| &self.pods[*pod].ports);
            return ports.map(|(_, number, protocol)| (Ok(*number), *protocol)).collect();
        }
        let asked =
            of.ports.iter().filter(|(name, ..)| only.is_none_or(|only| only.contains(name)));
        // A name that none of them declares leads nowhere.
        asked
            .filter_map(|(_, protocol, target)| {
                let numbers: BTreeSet<u16> =
                    members.iter().filter_map(|pod| self.resolve(*pod, target, protocol)).collect();
                let target = match (target, numbers.first()) {
                    (Ok(number), _) => Ok(*number),
                    (Err(_), None) => return None,
                    (Err(_), Some(number)) if numbers.len() == 1 => Ok(*number),
                    (Err(name), _) => Err(name.clone()),
                };
                Some((target, *protocol))
            })
            .collect()
    }

    /// A port on a pod.
    pub(super) fn resolve(
        &self,
        pod: usize,
        target: &Result<u16, String>,
        protocol: &str,
    ) -> Option<u16> {
        match target {
            Ok(number) => Some(*number),
            Err(name) => {
                let mut ports = self.pods[pod].ports.iter();
                ports.find(|port| port.0 == *name && port.2 == protocol).map(|port| port.1)
            }
        }
    }

    /// How a workload is selected: by its controller, else by what lasts of its labels. Nothing at all is no selector.
    fn selector(&self, load: usize) -> Option<Value> {
        let made = &self.loads[load];
        if let Some(selector) = &made.selector {
            return Some(selector.clone());
        }
        let mut labels = made.labels.clone();
        let pods: Vec<_> = self.pods.iter().filter(|pod| pod.load == load).collect();
        if made.kind == "Rollout" {
            labels = pods.first()?.labels.clone();
            labels.retain(|key, value| pods.iter().all(|pod| pod.labels.get(key) == Some(value)));
        }
        labels.retain(|key, _| !VOLATILE.contains(&key.as_str()));
        let pairs = serde_yaml::to_value(&labels).expect("labels");
        let selector = serde_yaml::to_value(BTreeMap::from([("matchLabels", pairs)]));
        (!labels.is_empty()).then(|| selector.expect("a selector"))
    }

    /// The workloads whose running pods a workload's selector matches, and itself; nobody, if it has none.
    fn reach(&self, load: usize) -> Option<BTreeSet<usize>> {
        let selector = self.selector(load)?;
        let namespace = &self.loads[load].namespace;
        let pods = self.pods.iter().filter(|pod| !pod.finished && pod.namespace == *namespace);
        let matched = pods.filter(|pod| selects(&selector, &pod.labels)).map(|pod| pod.load);
        Some(matched.chain([load]).collect())
    }

    /// The largest part of the evidence that holds for all whom its selectors reach.
    pub(super) fn closed(&self, evidence: &BTreeSet<Tuple>) -> BTreeSet<Tuple> {
        let reach: Vec<_> = (0..self.loads.len()).map(|load| self.reach(load)).collect();
        let mut kept = evidence.clone();
        loop {
            let stands = |(client, server, spec): &Tuple| {
                let servers: Option<BTreeSet<End>> = match server {
                    End::Load(load) => reach[*load]
                        .as_ref()
                        .map(|all| all.iter().copied().map(End::Load).collect()),
                    End::Address(_) => Some(BTreeSet::from([*server])),
                };
                let (Some(clients), Some(servers)) = (&reach[*client], servers) else {
                    return false;
                };
                clients
                    .iter()
                    .all(|c| servers.iter().all(|s| kept.contains(&(*c, *s, spec.clone()))))
            };
            let next: BTreeSet<Tuple> =
                kept.iter().filter(|tuple| stands(tuple)).cloned().collect();
            if next.len() == kept.len() {
                return kept;
            }
            kept = next;
        }
    }

    /// What policies should allow, pod by pod.
    pub(crate) fn expected(&self, truth: &Truth) -> Allowed {
        let mut expected = Allowed::new();
        for (client, server, (target, protocol)) in self.closed(&truth.evidence) {
            let End::Load(server) = server else { continue };
            for (s, to) in
                self.pods.iter().enumerate().filter(|(_, pod)| pod.load == server && !pod.finished)
            {
                let Some(port) = self.resolve(s, &target, protocol) else { continue };
                let from = self
                    .pods
                    .iter()
                    .enumerate()
                    .filter(|(_, pod)| pod.load == client && !pod.finished);
                expected.extend(from.map(|(c, _)| (c, s, port, protocol)));
                assert!(!to.finished);
            }
        }
        expected
    }
}

/// A Service's selector; an empty one selects nothing.
fn has_all(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
