//! The truth from the client's side: what each workload asked for that an egress policy can say, and who asked for more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::truth::{End, Spec, Truth, Tuple, Who};
use super::{Asked, CACHE, PLACES, SERVICE, World};
use crate::Allowed;

impl World {
    /// Reads the log again, for the clients' sake.
    pub(super) fn egress_truth(&self) -> (BTreeSet<Tuple>, BTreeSet<usize>) {
        let (mut evidence, mut partial) = (BTreeSet::new(), BTreeSet::new());
        let mut services: BTreeMap<(usize, usize), Option<BTreeSet<String>>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.answered) {
            let Who::One(client) = self.who(row.ip, row.time) else {
                // Whoever may have asked may need what was asked for.
                if row.ip != self.node {
                    let held = self.holders(row.ip, row.time);
                    partial.extend(held.iter().map(|pod| self.pods[*pod].load));
                }
                continue;
            };
            match &row.asked {
                Asked::Nothing => _ = partial.insert(client),
                Asked::Service(service, port) => {
                    let of = &self.services[*service];
                    let foreign = !of.selector.is_empty()
                        && of.forged.iter().any(|pod| !self.backs(*service, *pod));
                    if of.kind != "ClusterIP" || of.external_ip || foreign {
                        partial.insert(client);
                    }
                    if of.kind != "ClusterIP" || of.external_ip {
                        continue;
                    }
                    let ports =
                        services.entry((client, *service)).or_insert_with(|| Some(BTreeSet::new()));
                    match port {
                        Some(port) => ports.iter_mut().for_each(|p| _ = p.insert(port.clone())),
                        None => *ports = None,
                    }
                }
                Asked::Pod(address) => match self.who(*address, row.time) {
                    Who::Doubtful => _ = partial.insert(client),
                    Who::One(server) => {
                        let held = self.holders(*address, row.time);
                        let ports: Vec<_> =
                            held.iter().flat_map(|pod| &self.pods[*pod].ports).collect();
                        if ports.is_empty() {
                            partial.insert(client);
                        }
                        evidence.extend(ports.into_iter().map(|(_, number, protocol)| {
                            (client, End::Load(server), (Ok(*number), *protocol))
                        }));
                    }
                },
            }
        }
        for ((client, service), ports) in services {
            let ends = self.ends(service, ports.as_ref());
            if ends.is_empty() || ends.values().any(BTreeSet::is_empty) {
                partial.insert(client);
            }
            for (end, specs) in ends {
                evidence.extend(specs.into_iter().map(|spec| (client, end, spec)));
            }
        }
        let on_host = |end: &End| matches!(end, End::Load(load) if self.loads[*load].host);
        partial.extend(evidence.iter().filter(|t| on_host(&t.1)).map(|t| t.0));
        evidence.retain(|t| !on_host(&t.1) && !self.loads[t.0].host && !self.is_dns(t.0));
        (evidence, partial)
    }

    /// What stands behind a Service, each with the ports that were asked for.
    fn ends(
        &self,
        service: usize,
        only: Option<&BTreeSet<String>>,
    ) -> BTreeMap<End, BTreeSet<Spec>> {
        let of = &self.services[service];
        if !of.selector.is_empty() {
            let behind = self.behind(service).into_iter();
            return behind.map(|s| (End::Load(s), self.specs(service, s, only))).collect();
        }
        // Somebody wrote them down: port 22 on pods, 6443 elsewhere, both called web.
        let declared = of.ports.is_empty() || of.ports.iter().any(|(name, ..)| name == "web");
        let asked = only.is_none_or(|only| only.contains("web"));
        let mut ends: BTreeMap<End, BTreeSet<Spec>> = BTreeMap::new();
        let forged = of.forged.iter().map(|pod| (self.pods[*pod].ip, 22));
        for (ip, port) in forged.chain(of.manual.iter().map(|ip| (*ip, 6443))) {
            let pods = |pod: &usize| ip != self.node && self.pods[*pod].ip == ip;
            let held = (0..self.pods.len()).filter(pods).count();
            let running = self.running(ip).find(pods).map(|pod| self.pods[pod].load);
            let end = match running {
                Some(load) => End::Load(load),
                None if held == 0 => End::Address(ip),
                // A pod's that is gone.
                None => continue,
            };
            let specs = ends.entry(end).or_default();
            if declared && asked {
                specs.insert((Ok(port), "TCP"));
            }
        }
        ends
    }

    /// What egress policies should allow, pod by pod; servers beyond the pods are [`PLACES`]. Each client that has a
    /// policy may ask DNS.
    pub(crate) fn expected_egress(&self, truth: &Truth) -> Allowed {
        let mut expected = Allowed::new();
        let Some(dns) = self.services.iter().position(|service| service.name == "kube-dns") else {
            return expected;
        };
        let running = |load: usize| {
            let pods = self.pods.iter().enumerate();
            pods.filter(move |(_, pod)| pod.load == load && !pod.finished).map(|(at, _)| at)
        };
        let at = |ip: IpAddr| {
            let pods = self.pods.iter().enumerate();
            let pods = pods.filter(move |(_, pod)| pod.ip == ip && !pod.finished).map(|(p, _)| p);
            let places = PLACES.iter().enumerate().filter(move |(_, place)| **place == ip);
            pods.chain(places.map(|(place, _)| self.pods.len() + place))
        };
        for (client, end, (target, protocol)) in self.closed(&truth.egress) {
            for c in running(client) {
                match end {
                    End::Load(server) => {
                        let ports =
                            running(server).map(|s| (s, self.resolve(s, &target, protocol)));
                        let open = ports.filter_map(|(s, port)| Some((c, s, port?, protocol)));
                        expected.extend(open);
                    }
                    End::Address(ip) => {
                        let port = *target.as_ref().expect("an endpoint's port is a number");
                        expected.extend(at(ip).map(|s| (c, s, port, protocol)));
                    }
                }
                for protocol in ["UDP", "TCP"] {
                    let own = |pod: usize| match &self.services[dns].ports[0].2 {
                        Ok(number) => *number,
                        Err(_) => self.pods[pod].ports[0].1,
                    };
                    let pods = self.backing(dns).into_iter();
                    expected.extend(pods.map(|s| (c, s, own(s), protocol)));
                    if self.loads.iter().any(|load| load.name == "node-local-dns") {
                        let cache = at(SERVICE).chain(at(CACHE));
                        expected.extend(cache.map(|s| (c, s, 53, protocol)));
                    }
                }
            }
        }
        expected
    }

    /// Everything that the log proves, pod by pod; but for what rests on endpoints that somebody wrote down, which are
    /// evidence for no ingress policy.
    pub(crate) fn proven(&self, truth: &Truth) -> Allowed {
        let mut proven = Allowed::new();
        let is_dns = |end: &End| matches!(end, End::Load(load) if self.is_dns(*load));
        let dns =
            truth.egress.iter().filter(|tuple| is_dns(&tuple.1) && tuple.2 != (Ok(22), "TCP"));
        for (client, end, (target, protocol)) in truth.evidence.iter().chain(dns) {
            let End::Load(server) = end else { continue };
            let running = |load: usize| {
                let pods = 0..self.pods.len();
                pods.filter(move |pod| self.pods[*pod].load == load && !self.pods[*pod].finished)
            };
            for s in running(*server) {
                let Some(port) = self.resolve(s, target, protocol) else { continue };
                proven.extend(running(*client).map(|c| (c, s, port, *protocol)));
            }
        }
        proven
    }
}
