//! A Service that the snapshot cannot have, because it holds pods alone: which workload stands behind its name, and with
//! which ports (DESIGN 3). Only where exactly one workload can be meant; everything else is refused with the reason.
//! EndpointSlices beside the pods only narrow that: they may be written by hand, and the selector that would tell is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::Cluster;
use super::backends::is_target;
use super::model::{EndpointSlice, Pod};
use super::ports::{self, Port, PortSource};
use super::workloads::{Workload, WorkloadId};

/// What stands behind a Service, by its name alone (status `selector inferred`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// The one workload that bears the Service's name.
    pub workload: WorkloadId,
    /// The ports that its containers declare, and its EndpointSlices too where there are some; sorted, may be none.
    pub ports: Vec<Port>,
    /// How they were found.
    pub source: PortSource,
}

/// Labels that name what a pod is.
const NAMES: [&str; 4] = ["app", "name", "app.kubernetes.io/name", "k8s-app"];

impl Cluster {
    /// Whether the snapshot holds any Services at all. Without one, it was taken of pods alone.
    pub fn has_services(&self) -> bool {
        !self.snapshot.services.is_empty()
    }

    /// Which workload a Service's name means, or a lower-case fragment that says why none can be named.
    ///
    /// A snapshot that holds Services, of whatever namespace, infers nothing: that this one is not among them may say
    /// that it does not exist, and a name is no proof against that. Every workload that bears the name counts, finished
    /// ones too: of two, neither is guessed, unless EndpointSlices say which. Where the snapshot holds those, the workload must
    /// also be the only one that this Service's lead to.
    pub fn infer_service(&self, namespace: &str, service: &str) -> Result<Inferred, String> {
        if !self.snapshot.given {
            return Err("no snapshot was given".into());
        }
        if self.has_services() {
            return Err(format!("the snapshot has Services, and no {namespace}/{service}"));
        }
        let bears = |(_, workload): &(WorkloadId, &Workload)| {
            workload.namespace == namespace && self.bears(workload, service)
        };
        let bearers: Vec<(WorkloadId, &Workload)> = self.workloads.iter().filter(bears).collect();
        if !self.snapshot.slices.is_empty() && !bearers.is_empty() {
            return self.infer_by_slices(namespace, service, &bearers);
        }
        match bearers[..] {
            [(id, workload)] => {
                let (ports, source) = self.declared(workload);
                Ok(Inferred { workload: id, ports, source })
            }
            [] => Err(format!("no workload of {namespace} bears the name {service}")),
            _ => {
                let words = words(bearers.iter().map(|(_, workload)| *workload));
                Err(format!("several workloads of {namespace} bear the name {service}: {words}"))
            }
        }
    }

    /// The one of these workloads that the Service's EndpointSlices lead to, if they lead to no other.
    fn infer_by_slices(
        &self,
        namespace: &str,
        service: &str,
        bearers: &[(WorkloadId, &Workload)],
    ) -> Result<Inferred, String> {
        let whose = format!("EndpointSlices of {namespace}/{service}");
        let own =
            |slice: &&EndpointSlice| slice.meta.namespace == namespace && slice.service == service;
        let (mut pods, mut listing) = (BTreeSet::new(), Vec::new());
        for slice in self.snapshot.slices.iter().filter(own) {
            let seats = self.seats(slice).ok_or_else(|| {
                format!("the {whose} list what is no pod of it: somebody writes them by hand")
            })?;
            if !seats.is_empty() {
                listing.push(slice);
            }
            pods.extend(seats);
        }
        let owners = Vec::from_iter(self.workloads.owners(pods));
        let owner_words = || words(owners.iter().map(|id| self.workloads.get(*id)));
        let id = match owners[..] {
            [] => return Err(format!("the snapshot has EndpointSlices, and no pod in {whose}")),
            [id] => id,
            _ => return Err(format!("the {whose} lead to several workloads: {}", owner_words())),
        };
        let Some((_, workload)) = bearers.iter().find(|(bearer, _)| *bearer == id) else {
            let word = owner_words();
            return Err(format!("the {whose} lead to {word}, which does not bear its name"));
        };
        let (listed, by_slice) = ports::listed(listing.into_iter());
        let (mut ports, mut source) = self.declared(workload);
        if !listed.is_empty() {
            let mut numbers = BTreeMap::new();
            for port in &listed {
                if numbers.insert((&port.name, port.protocol), &port.port).is_some() {
                    return Err(format!("the pods in the {whose} differ in their ports"));
                }
            }
            let same = |a: &Port, b: &Port| (&a.port, a.protocol) == (&b.port, b.protocol);
            let both = listed.iter().filter(|port| ports.iter().any(|own| same(port, own)));
            ports = both.cloned().collect();
            source = if ports.is_empty() { PortSource::None } else { by_slice };
        }
        Ok(Inferred { workload: id, ports, source })
    }

    /// The pods that a slice leads to: those that it names, that hold the address, and are still there. `None`: some
    /// endpoint names no pod of the slice's namespace, and the control plane did not write it.
    fn seats(&self, slice: &EndpointSlice) -> Option<BTreeSet<usize>> {
        let mut seats = BTreeSet::new();
        for endpoint in &slice.endpoints {
            let (namespace, name, _) = endpoint.pod.as_ref()?;
            if *namespace != slice.meta.namespace {
                return None;
            }
            let pods = &self.snapshot.pods;
            let place = |pod: &Pod| {
                (pod.meta.namespace.as_str(), pod.meta.name.as_str()).cmp(&(namespace, name))
            };
            let first = pods.partition_point(|pod| place(pod).is_lt());
            let named = (first..pods.len()).take_while(|at| place(&pods[*at]).is_eq());
            seats.extend(named.filter(|at| {
                let holds = |address| endpoint.addresses.contains(address);
                self.is_present(*at)
                    && is_target(endpoint, &pods[*at])
                    && pods[*at].addresses.iter().any(holds)
            }));
        }
        Some(seats)
    }

    /// As its own name, or as the value of a naming label of its template or of any of its pods.
    fn bears(&self, workload: &Workload, name: &str) -> bool {
        let template = workload.controller.map(|c| &self.snapshot.controllers[c].template_labels);
        let pods = workload.pods.iter().map(|pod| &self.snapshot.pods[*pod].meta.labels);
        let mut labels = template.into_iter().chain(pods);
        workload.name == name
            || labels.any(|labels| {
                NAMES.iter().any(|key| labels.get(key).is_some_and(|value| value == name))
            })
    }

    /// The containers' ports: of the pods that are still there, else of the template, else of those that were.
    fn declared(&self, workload: &Workload) -> (Vec<Port>, PortSource) {
        let containers = |pod: &usize| &self.snapshot.pods[*pod].containers[..];
        let present = workload.pods.iter().filter(|pod| self.is_present(**pod));
        let found = ports::declared(present.map(containers));
        if !found.0.is_empty() {
            return found;
        }
        let template =
            workload.controller.map(|c| &self.snapshot.controllers[c].template_containers[..]);
        let found = ports::declared(template.into_iter());
        if !found.0.is_empty() {
            return found;
        }
        ports::declared(workload.pods.iter().map(containers))
    }
}

/// `StatefulSet/db, Job/dump`
fn words<'a>(workloads: impl Iterator<Item = &'a Workload>) -> String {
    workloads.map(|w| format!("{}/{}", w.kind, w.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::model::Snapshot;
    use super::super::tests_support::*;
    use super::*;

    fn web(name: &str, kind: &str, top: &str, labels: &str, ports: &str) -> Pod {
        Pod {
            containers: vec![container(ports)],
            ..owned(pod("shop", name, ""), kind, top, labels)
        }
    }

    /// `StatefulSet/db 5432/Tcp`, or the refusal.
    #[track_caller]
    fn check(pods: Vec<Pod>, expected: &str) {
        check_listed(pods, vec![], expected);
    }

    #[track_caller]
    fn check_listed(pods: Vec<Pod>, slices: Vec<EndpointSlice>, expected: &str) {
        let cluster = cluster(Snapshot { pods, slices, ..Snapshot::default() });
        let said = match cluster.infer_service("shop", "db") {
            Ok(Inferred { workload, ports, .. }) => {
                let ports: Vec<String> = ports.iter().map(|p| format!(" {:?}", p.port)).collect();
                format!("{}{}", cluster.word(workload), ports.concat())
            }
            Err(reason) => reason,
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn exactly_one_workload_must_bear_the_services_name() {
        check(
            vec![web("a", "StatefulSet", "db", "", "sql:5432")],
            "shop/StatefulSet/db Number(5432)",
        );
        for key in NAMES {
            let labels = format!("{key}=db");
            check(
                vec![
                    web("a", "StatefulSet", "pg", &labels, "sql:5432 :9187"),
                    web("b", "StatefulSet", "pg", &labels, "sql:5432"),
                    web("c", "Deployment", "api", "app=api role=db", ""),
                    Pod { meta: meta("bank", "db"), ..Pod::default() },
                ],
                "shop/StatefulSet/pg Number(5432) Number(9187)",
            );
        }
        check(
            vec![web("a", "StatefulSet", "pg", "app=pg", "")],
            "no workload of shop bears the name db",
        );
        check(
            vec![
                web("a", "StatefulSet", "db", "", "sql:5432"),
                until(web("b", "Job", "dump", "app=db", ""), "10:00:00"),
            ],
            "several workloads of shop bear the name db: Job/dump, StatefulSet/db",
        );
    }

    #[test]
    fn nothing_is_inferred_beside_services_or_without_a_snapshot() {
        let pods = vec![web("a", "StatefulSet", "db", "", "sql:5432")];
        let services = vec![service("bank", "api", "app=api", "")];
        let made = cluster(Snapshot { pods, services, ..Snapshot::default() });
        assert!(made.has_services());
        let refusal = made.infer_service("shop", "db").unwrap_err();
        assert_eq!(refusal, "the snapshot has Services, and no shop/db");
        let none = Cluster::new(Snapshot::default(), &[]);
        assert_eq!(none.infer_service("shop", "db").unwrap_err(), "no snapshot was given");
    }

    #[test]
    fn endpoint_slices_narrow_what_the_name_says_and_never_widen_it() {
        let at = |name: &str, kind: &str, top: &str, labels: &str, address: &str, ports: &str| {
            let pod = web(name, kind, top, labels, ports);
            Pod { addresses: vec![ip(address)], ..pod }
        };
        let pods = || {
            vec![
                at("a", "StatefulSet", "db", "app=db", "10.0.0.1", "sql:5432 :9187"),
                at("b", "Deployment", "dump", "app=db", "10.0.0.2", "sql:5432"),
                at("c", "Deployment", "web", "app=web", "10.0.0.3", "sql:5432"),
            ]
        };
        let of = |ports: &str, endpoints: &[(&str, &str)]| slice("shop", "db", ports, endpoints);
        // Of two that bear the name the one that they lead to, on the ports that both say.
        let own = of("sql:5432", &[("10.0.0.1", "a")]);
        check_listed(pods(), vec![own.clone()], "shop/StatefulSet/db Number(5432)");
        let bare = of("", &[("10.0.0.1", "a")]);
        check_listed(pods(), vec![bare], "shop/StatefulSet/db Number(5432) Number(9187)");
        let odd = of("sql:22", &[("10.0.0.1", "a")]);
        check_listed(pods(), vec![odd], "shop/StatefulSet/db");
        // A pod that was not there yet when pods were listed is nobody; so is one of another uid, or at another address.
        let newer = of("sql:5432", &[("10.0.0.1", "a"), ("10.0.0.9", "new"), ("10.0.0.8", "c")]);
        check_listed(pods(), vec![newer], "shop/StatefulSet/db Number(5432)");
        let only = |listed: Vec<EndpointSlice>, expected: &str| {
            let one = pods().into_iter().filter(|pod| pod.meta.name != "b").collect();
            check_listed(one, listed, expected);
        };
        let none = "the snapshot has EndpointSlices, and no pod in EndpointSlices of shop/db";
        only(vec![of("sql:5432", &[])], none);
        only(vec![of("sql:5432", &[("10.0.0.8", "a")])], none);
        only(vec![slice("shop", "other", "sql:5432", &[("10.0.0.1", "a")])], none);
        only(vec![slice("bank", "db", "sql:5432", &[("10.0.0.1", "a")])], none);
        let mut again = own.clone();
        again.endpoints[0].pod.as_mut().unwrap().2 = "another".into();
        only(vec![again], none);
        only(
            vec![of("sql:5432", &[("10.0.0.3", "c")])],
            "the EndpointSlices of shop/db lead to Deployment/web, which does not bear its name",
        );
        let by_hand =
            "the EndpointSlices of shop/db list what is no pod of it: somebody writes them by hand";
        only(vec![own.clone(), of("sql:5432", &[("10.0.0.1", "")])], by_hand);
        let mut theirs = own.clone();
        theirs.endpoints[0].pod.as_mut().unwrap().0 = "bank".into();
        only(vec![theirs], by_hand);
        check_listed(
            pods(),
            vec![own.clone(), of("sql:5432", &[("10.0.0.2", "b")])],
            "the EndpointSlices of shop/db lead to several workloads: Deployment/dump, StatefulSet/db",
        );
        let mut more = pods();
        more.push(at("d", "StatefulSet", "db", "app=db", "10.0.0.4", "sql:6432"));
        check_listed(
            more,
            vec![own, of("sql:6432", &[("10.0.0.4", "d")])],
            "the pods in the EndpointSlices of shop/db differ in their ports",
        );
    }

    #[test]
    fn ports_are_those_of_the_pods_that_are_there_else_of_the_template() {
        let old = until(web("a", "StatefulSet", "db", "", "sql:5431"), "10:00:00");
        let new = web("b", "StatefulSet", "db", "", "sql:5432");
        check(vec![old.clone(), new], "shop/StatefulSet/db Number(5432)");
        check(vec![old], "shop/StatefulSet/db Number(5431)");
    }
}
