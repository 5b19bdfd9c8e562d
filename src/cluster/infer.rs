//! A Service that the snapshot cannot have, because it holds pods alone: which workload stands behind its name, and with
//! which ports (DESIGN 3). Only where exactly one workload can be meant; everything else is refused with the reason.

use super::Cluster;
use super::ports::{self, Port};
use super::workloads::{Workload, WorkloadId};

/// What stands behind a Service, by its name alone (status `selector inferred`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// The one workload that bears the Service's name.
    pub workload: WorkloadId,
    /// The ports that its containers declare, sorted; may be none.
    pub ports: Vec<Port>,
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
    /// ones too: of two, neither is guessed.
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
        match bearers[..] {
            [(id, workload)] => Ok(Inferred { workload: id, ports: self.declared(workload) }),
            [] => Err(format!("no workload of {namespace} bears the name {service}")),
            _ => {
                let words: Vec<String> =
                    bearers.iter().map(|(_, w)| format!("{}/{}", w.kind, w.name)).collect();
                let words = words.join(", ");
                Err(format!("several workloads of {namespace} bear the name {service}: {words}"))
            }
        }
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
    fn declared(&self, workload: &Workload) -> Vec<Port> {
        let containers = |pod: &usize| &self.snapshot.pods[*pod].containers[..];
        let present = workload.pods.iter().filter(|pod| self.is_present(**pod));
        let (found, _) = ports::declared(present.map(containers));
        if !found.is_empty() {
            return found;
        }
        let template =
            workload.controller.map(|c| &self.snapshot.controllers[c].template_containers[..]);
        let (found, _) = ports::declared(template.into_iter());
        if !found.is_empty() {
            return found;
        }
        ports::declared(workload.pods.iter().map(containers)).0
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Pod, Snapshot};
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
        let cluster = cluster(Snapshot { pods, ..Snapshot::default() });
        let said = match cluster.infer_service("shop", "db") {
            Ok(Inferred { workload, ports }) => {
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
    fn ports_are_those_of_the_pods_that_are_there_else_of_the_template() {
        let old = until(web("a", "StatefulSet", "db", "", "sql:5431"), "10:00:00");
        let new = web("b", "StatefulSet", "db", "", "sql:5432");
        check(vec![old.clone(), new], "shop/StatefulSet/db Number(5432)");
        check(vec![old], "shop/StatefulSet/db Number(5431)");
    }
}
