//! What the flags name, looked up in the cluster.

use std::collections::BTreeSet;

use anyhow::bail;

use super::{Ends, Servers};
use crate::cluster::Cluster;
use crate::cluster::model::Pod;
use crate::cluster::workloads::WorkloadId;
use crate::connections::clients::index;
use crate::text;

/// Looks names up, within the namespaces of `-n`.
pub(super) struct Finder<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) namespaces: &'a [String],
}

impl Finder<'_> {
    pub(super) fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let snapshot = &self.cluster.snapshot;
        let named = snapshot.namespaces.iter().map(|meta| meta.name.as_str());
        let services = snapshot.services.iter().map(|service| service.meta.namespace.as_str());
        let workloads =
            self.cluster.workloads.list.iter().map(|workload| workload.namespace.as_str());
        self.expect("namespace", name, name, named.chain(services).chain(workloads))
    }

    /// `--pod`: unique, or told apart by `-n`.
    pub(super) fn pod(&self, name: &str, flag: &mut Servers) -> anyhow::Result<()> {
        let pods = || {
            self.cluster
                .snapshot
                .pods
                .iter()
                .enumerate()
                .filter(|(_, p)| self.is_in(&p.meta.namespace))
        };
        let named = self.cluster.snapshot.pods.iter().filter(|pod| pod.meta.name == name);
        let places: BTreeSet<&str> = named.clone().map(|p| p.meta.namespace.as_str()).collect();
        if !places.is_empty() && !named.clone().any(|pod| self.is_in(&pod.meta.namespace)) {
            let (asked, places) = (self.namespaces.join(", "), Vec::from_iter(places).join(", "));
            let [name, asked, places] = [name, &asked, &places].map(text::terminal);
            bail!("pod \"{name}\" is not in namespace {asked} but in {places}: change -n");
        }
        self.expect("pod", name, name, pods().map(|(_, pod)| pod.meta.name.as_str()))?;
        let found: Vec<(usize, &str)> = pods()
            .filter(|(_, pod)| pod.meta.name == name)
            .map(|(at, pod)| (at, pod.meta.namespace.as_str()))
            .collect();
        let mut namespaces: Vec<&str> = found.iter().map(|(_, namespace)| *namespace).collect();
        namespaces.dedup();
        if namespaces.len() > 1 {
            let (name, list) = (text::terminal(name), namespaces.join(", "));
            bail!("pod \"{name}\" is in several namespaces ({}): add -n", text::terminal(&list));
        }
        for (at, namespace) in found {
            flag.pods.insert((namespace.to_owned(), name.to_owned()));
            flag.workloads.extend(self.cluster.workloads.of_pod.get(at));
            for (service, backends) in
                self.cluster.snapshot.services.iter().zip(&self.cluster.backends)
            {
                if backends.workloads.iter().any(|behind| behind.pods.contains(&at)) {
                    flag.services
                        .insert((service.meta.namespace.clone(), service.meta.name.clone()));
                }
            }
        }
        Ok(())
    }

    /// `--service`: every Service of that name.
    pub(super) fn service(&self, name: &str, flag: &mut Servers) -> anyhow::Result<()> {
        let services = &self.cluster.snapshot.services;
        let inside = services.iter().filter(|service| self.is_in(&service.meta.namespace));
        if !services.is_empty() {
            self.expect("service", name, name, inside.map(|service| service.meta.name.as_str()))?;
        }
        flag.services.insert((String::new(), name.to_owned()));
        for (service, backends) in services.iter().zip(&self.cluster.backends) {
            if service.meta.name == name {
                flag.workloads.extend(backends.workloads.iter().map(|behind| behind.workload));
            }
        }
        let namespaces: BTreeSet<&str> = self
            .cluster
            .workloads
            .list
            .iter()
            .map(|workload| workload.namespace.as_str())
            .collect();
        flag.workloads.extend(namespaces.iter().filter_map(|n| self.inferred(n, name)));
        Ok(())
    }

    /// `--workload KIND/NAME`.
    pub(super) fn workload(&self, value: &str, flag: &mut Servers) -> anyhow::Result<()> {
        let Some((kind, name)) =
            value.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
        else {
            bail!(
                "--workload {}: give KIND/NAME, for example deployment/web",
                text::terminal(value)
            );
        };
        let kind = full_kind(kind);
        let list = || {
            self.cluster.workloads.list.iter().enumerate().filter(|(_, w)| self.is_in(&w.namespace))
        };
        let all: Vec<String> =
            list().map(|(_, w)| format!("{}/{}", w.kind.to_ascii_lowercase(), w.name)).collect();
        let wanted = format!("{kind}/{name}");
        self.expect("workload", value, &wanted, all.iter().map(String::as_str))?;
        let found = list().zip(&all).filter(|(_, named)| **named == wanted);
        for ((at, workload), _) in found {
            flag.workloads.insert(WorkloadId(index(at)));
            let pods = workload.pods.iter().filter_map(|pod| self.cluster.snapshot.pods.get(*pod));
            flag.pods.extend(pods.map(|pod| (pod.meta.namespace.clone(), pod.meta.name.clone())));
        }
        flag.by_workload = true;
        for (service, backends) in self.cluster.snapshot.services.iter().zip(&self.cluster.backends)
        {
            if backends.workloads.iter().any(|behind| flag.workloads.contains(&behind.workload)) {
                flag.services.insert((service.meta.namespace.clone(), service.meta.name.clone()));
            }
        }
        Ok(())
    }

    /// `--to NS[/NAME]`.
    pub(super) fn to(&self, value: &str, flag: &mut Servers) -> anyhow::Result<()> {
        let (namespace, name) = split(value);
        self.namespace(namespace)?;
        let Some(name) = name else {
            flag.namespaces.insert(namespace.to_owned());
            let list = self.cluster.workloads.list.iter().enumerate();
            let inside = list.filter(|(_, workload)| workload.namespace == namespace);
            flag.workloads.extend(inside.map(|(at, _)| WorkloadId(index(at))));
            return Ok(());
        };
        let ends = self.ends(namespace, name);
        let services = self.cluster.snapshot.services.iter().zip(&self.cluster.backends);
        let services = services.filter(|(service, _)| service.meta.namespace == namespace);
        let known = services.clone().map(|(service, _)| service.meta.name.as_str());
        if !self.cluster.snapshot.services.is_empty() {
            self.expect(
                "service, workload or pod",
                value,
                name,
                known.chain(self.names_in(namespace)),
            )?;
        }
        flag.services.insert((namespace.to_owned(), name.to_owned()));
        flag.pods.insert((namespace.to_owned(), name.to_owned()));
        for (service, backends) in services {
            let behind = backends.workloads.iter().map(|behind| behind.workload);
            if service.meta.name == name {
                flag.workloads.extend(behind);
            } else if behind.clone().any(|id| ends.workloads.contains(&id)) {
                flag.services.insert((namespace.to_owned(), service.meta.name.clone()));
            }
        }
        let list = ends.workloads.iter().map(|id| self.cluster.workloads.get(*id));
        let pods =
            list.flat_map(|w| &w.pods).filter_map(|pod| self.cluster.snapshot.pods.get(*pod));
        flag.pods.extend(pods.map(|pod| (pod.meta.namespace.clone(), pod.meta.name.clone())));
        flag.workloads.extend(ends.workloads);
        flag.workloads.extend(self.inferred(namespace, name));
        Ok(())
    }

    /// `--from NS[/NAME]`.
    pub(super) fn from(&self, value: &str, from: &mut Ends) -> anyhow::Result<()> {
        let (namespace, name) = split(value);
        self.namespace(namespace)?;
        let Some(name) = name else {
            from.namespaces.insert(namespace.to_owned());
            let list = self.cluster.workloads.list.iter().enumerate();
            let inside = list.filter(|(_, workload)| workload.namespace == namespace);
            from.workloads.extend(inside.map(|(at, _)| WorkloadId(index(at))));
            return Ok(());
        };
        self.expect("workload or pod", value, name, self.names_in(namespace))?;
        let ends = self.ends(namespace, name);
        from.workloads.extend(ends.workloads);
        from.pods.extend(ends.pods);
        Ok(())
    }

    /// The workloads and pods of that name.
    fn ends(&self, namespace: &str, name: &str) -> Ends {
        let mut ends = Ends::default();
        for (at, workload) in self.cluster.workloads.list.iter().enumerate() {
            if workload.namespace == namespace && workload.name == name {
                ends.workloads.insert(WorkloadId(index(at)));
            }
        }
        ends.pods.insert((namespace.to_owned(), name.to_owned()));
        ends
    }

    /// With a snapshot of pods alone, the workload that a Service's name means.
    fn inferred(&self, namespace: &str, service: &str) -> Option<WorkloadId> {
        self.cluster.infer_service(namespace, service).ok().map(|inferred| inferred.workload)
    }

    fn names_in<'s>(&'s self, namespace: &'s str) -> impl Iterator<Item = &'s str> {
        let workloads = self.cluster.workloads.list.iter().map(|w| (&w.namespace, w.name.as_str()));
        let pods = self
            .cluster
            .snapshot
            .pods
            .iter()
            .map(|pod| (&pod.meta.namespace, pod.meta.name.as_str()));
        workloads.chain(pods).filter(move |(of, _)| *of == namespace).map(|(_, name)| name)
    }

    fn is_in(&self, namespace: &String) -> bool {
        self.namespaces.is_empty() || self.namespaces.contains(namespace)
    }

    /// The workloads that all flags choose.
    pub(super) fn subjects(&self, servers: &[Servers]) -> Option<BTreeSet<WorkloadId>> {
        if servers.is_empty() && self.namespaces.is_empty() {
            return None;
        }
        let list = self.cluster.workloads.list.iter().enumerate();
        let inside = list.filter(|(_, workload)| self.is_in(&workload.namespace));
        let ids = inside.map(|(at, _)| WorkloadId(index(at)));
        Some(ids.filter(|id| servers.iter().all(|flag| flag.workloads.contains(id))).collect())
    }

    /// The workloads that `-n` and `--from` choose; one of whose pods they name too.
    pub(super) fn clients(&self, from: Option<&Ends>) -> Option<BTreeSet<WorkloadId>> {
        if from.is_none() && self.namespaces.is_empty() {
            return None;
        }
        let is_from = |id: &WorkloadId| {
            let Some(from) = from else { return true };
            let pods = self.cluster.workloads.get(*id).pods.iter();
            let mut pods = pods.filter_map(|pod| self.cluster.snapshot.pods.get(*pod));
            let named = |pod: &Pod| (pod.meta.namespace.clone(), pod.meta.name.clone());
            from.workloads.contains(id) || pods.any(|pod| from.pods.contains(&named(pod)))
        };
        let list = self.cluster.workloads.iter();
        let inside = list.filter(|(_, workload)| self.is_in(&workload.namespace));
        Some(inside.map(|(id, _)| id).filter(is_from).collect())
    }

    /// That `wanted` is one of `candidates`; else an error with the nearest of them. `shown` is what was typed.
    fn expect<'c>(
        &self,
        what: &str,
        shown: &str,
        wanted: &str,
        candidates: impl Iterator<Item = &'c str>,
    ) -> anyhow::Result<()> {
        if !self.cluster.snapshot.given {
            return Ok(());
        }
        let candidates: BTreeSet<&str> = candidates.collect();
        if candidates.contains(wanted) {
            return Ok(());
        }
        let near = nearest(wanted, &candidates, what == "pod");
        let shown = text::terminal(shown);
        let within = match self.namespaces {
            [] => String::new(),
            _ if what == "namespace" => String::new(),
            some => format!(" in namespace {}", text::terminal(&some.join(", "))),
        };
        if near.is_empty() {
            bail!("the snapshot has no {what} \"{shown}\"{within}");
        }
        bail!(
            "the snapshot has no {what} \"{shown}\"{within}; the nearest: {}",
            text::terminal(&near.join(", "))
        )
    }
}

fn split(value: &str) -> (&str, Option<&str>) {
    value.split_once('/').map_or((value, None), |(namespace, name)| (namespace, Some(name)))
}

/// kubectl's plural and short names.
pub(crate) fn full_kind(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    // One of another group: `sts.apps.kruise.io`.
    let (word, group) = kind.split_at(kind.find('.').unwrap_or(kind.len()));
    let full = match word {
        "deploy" | "deployments" => "deployment",
        "sts" | "statefulsets" => "statefulset",
        "ds" | "daemonsets" => "daemonset",
        "rs" | "replicasets" => "replicaset",
        "cj" | "cronjobs" => "cronjob",
        "jobs" => "job",
        "po" | "pods" => "pod",
        word => word,
    };
    format!("{full}{group}")
}

/// Whether a workload differs only by the group of its kind: `statefulset/db` and `statefulset.apps.kruise.io/db`.
fn is_of_other_group(wanted: &str, candidate: &str) -> bool {
    let Some((kind, name)) = wanted.split_once('/') else { return false };
    let Some((other, same)) = candidate.split_once('/') else { return false };
    same == name && other.strip_prefix(kind).is_some_and(|group| group.starts_with('.'))
}

/// Up to three candidates that are a few edits away (pods: or begin so, as nobody types their tails), or that
/// contain what was typed.
fn nearest<'c>(wanted: &str, candidates: &BTreeSet<&'c str>, pods: bool) -> Vec<&'c str> {
    let limit = (wanted.chars().count() / 3).max(2);
    let mut near: Vec<(usize, &str)> = (candidates.iter())
        .map(|candidate| {
            let whole = strsim::osa_distance(wanted, candidate);
            let heads = [wanted.len(), wanted.len() + 1].map(|end| candidate.get(..end));
            let heads = heads.into_iter().flatten().map(|head| strsim::osa_distance(wanted, head));
            let begins = heads.filter(|distance| pods && *distance <= wanted.len() / 3).min();
            let same = if is_of_other_group(wanted, candidate) { 0 } else { whole };
            (begins.map_or(same, |begins| begins.min(same)), *candidate)
        })
        .filter(|(distance, name)| {
            *distance <= limit || (wanted.len() >= 3 && name.contains(wanted))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}
