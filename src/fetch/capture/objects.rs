//! The objects of a capture: pods and Services before the logs, all kinds after them, and then everything into its place.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::dns::{self, DnsPod};
use super::super::objects::{self, Item, OTHERS, PODS, Resource, SERVICES, SLICES};
use super::{Capture, Captured, Missed, Step};
use crate::coverage::plural;
use crate::files::Beside;
use crate::time::Time;

/// A Service as it was before the logs, or an EndpointSlice of it.
pub(super) struct Old {
    /// The Service: `shop/web`.
    service: String,
    kind: &'static str,
    json: String,
}

impl Capture<'_> {
    pub(super) async fn pods_before(&mut self) {
        (self.said)(Step::Now("listing pods"));
        // What is forbidden now is forbidden afterwards, too, and said then.
        if let Ok(listed) = objects::list(self.api, PODS, None, &mut |_| {}).await {
            self.before = listed.items.into_iter().map(|item| (item.uid, item.json)).collect();
        }
    }

    /// Services, and what stands behind them: one that is deleted meanwhile was asked for by its name.
    pub(super) async fn services_before(&mut self) {
        for resource in [SERVICES, SLICES] {
            (self.said)(Step::Now(&format!("listing {}", resource.plural)));
            let items = match objects::list(self.api, resource, None, &mut |_| {}).await {
                Ok(listed) => listed.items,
                Err(_) => return,
            };
            self.services.extend(items.into_iter().map(|item| {
                let meta = serde_json::from_str::<Value>(&item.json).unwrap_or_default();
                Old {
                    service: service_of(resource, &meta["metadata"]),
                    kind: resource.kind,
                    json: item.json,
                }
            }));
        }
    }

    /// All objects after the logs, the record, and everything into its place.
    pub(super) async fn finish(mut self, pods: &[DnsPod]) -> Result<Captured> {
        // They came as they were whole; what is said of them comes in order.
        self.logs.sort_by(|a, b| a.file.cmp(&b.file));
        self.judge_logs();
        let mut out = List::create(&self.asked.directory.join("pods.json"))?;
        // Pods first: what changes hands most is asked for as near to the logs as can be.
        let (when, wide) = self.pods_after(&mut out).await?;
        let (mut cluster, mut present) = (None, BTreeSet::new());
        let mut all_services = true;
        for resource in OTHERS {
            (self.said)(Step::Now(&format!("listing {}", resource.plural)));
            let mut each = |object: &Value| {
                if resource.kind == "Namespace" && object["metadata"]["name"] == "kube-system" {
                    cluster = object["metadata"]["uid"].as_str().map(str::to_owned);
                }
                if *resource == SERVICES {
                    present.insert(service_of(SERVICES, &object["metadata"]));
                }
            };
            let (items, whole) = self.reachable(*resource, &mut each).await;
            all_services &= whole || *resource != SERVICES;
            self.count(resource.kind, items.len());
            items.iter().try_for_each(|item| out.add(&item.json))?;
        }
        for old in std::mem::take(&mut self.services) {
            if !present.contains(&old.service) {
                out.add(&old.json)?;
                self.count(old.kind, 1);
                if all_services && old.kind == SERVICES.kind {
                    self.vanished.insert(old.service);
                }
            }
        }
        if let count @ 1.. = self.vanished.len() as u64 {
            let services = plural(count, "Service", "Services");
            self.captured.notes.push(format!("kept, though deleted meanwhile: {services}"));
        }
        self.corefiles(pods, &mut out).await?;
        out.add(&self.record(when, wide, cluster).to_string())?;
        let out = out.end()?;
        for log in self.logs {
            if let Some(file) = log.out {
                file.commit()?;
                self.captured.logs.push((log.file, log.got.bytes));
            }
        }
        out.commit()?;
        Ok(self.captured)
    }

    /// Each pod once, by uid, in its latest state. Gives when they were listed, and whether they were all that there are.
    async fn pods_after(&mut self, out: &mut List) -> Result<(Time, bool)> {
        (self.said)(Step::Now("listing pods"));
        let (after, wide) = self.reachable(PODS, &mut |_| {}).await;
        let when = self.api.now();
        let present: BTreeSet<&str> = after.iter().map(|item| item.uid.as_str()).collect();
        if wide {
            for uid in self.before.keys().filter(|uid| !present.contains(uid.as_str())) {
                self.gone.entry(uid.clone()).or_insert(when);
            }
        }
        // What is there is not gone, whatever was said before.
        self.gone.retain(|uid, _| !present.contains(uid.as_str()));
        self.count("Pod", after.len());
        after.iter().try_for_each(|item| out.add(&item.json))?;
        for (_, json) in self.before.iter().filter(|(uid, _)| !present.contains(uid.as_str())) {
            out.add(json)?;
        }
        Ok((when, wide))
    }

    /// The ConfigMaps that the DNS pods mount.
    async fn corefiles(&mut self, pods: &[DnsPod], out: &mut List) -> Result<()> {
        let mut maps = BTreeSet::new();
        for pod in pods {
            let namespace =
                pod.containers.first().map_or("", |container| container.namespace.as_str());
            maps.extend(pod.config_maps.iter().map(|name| (namespace, name)));
        }
        for (namespace, name) in maps {
            match dns::config_map(self.api, namespace, name).await {
                Ok(item) => {
                    self.count("ConfigMap", 1);
                    out.add(&item.json)?;
                }
                // Mounted as optional.
                Err(fault) if fault.is_absent() => {}
                Err(fault) => self.captured.missed.push(Missed {
                    what: format!("configmap {name} in {namespace}"),
                    why: fault.to_string(),
                    forbidden: fault.is_forbidden(),
                }),
            }
        }
        Ok(())
    }

    /// All objects of a kind that are ours to see: with those of other namespaces missing, if they are.
    async fn reachable(
        &mut self,
        resource: Resource,
        each: &mut dyn FnMut(&Value),
    ) -> (Vec<Item>, bool) {
        let mut namespaces: BTreeSet<String> =
            self.logs.iter().map(|log| log.container.namespace.clone()).collect();
        namespaces.insert(self.api.namespace().to_owned());
        let (items, fault) = objects::reachable(self.api, resource, &namespaces, each).await;
        let whole = fault.is_none();
        self.captured.missed.extend(fault.map(|fault| Missed {
            what: match items.is_empty() {
                true => resource.name(),
                false => format!("{} of other namespaces", resource.name()),
            },
            why: fault.to_string(),
            forbidden: fault.is_forbidden(),
        }));
        (items, whole)
    }

    fn count(&mut self, kind: &str, objects: usize) {
        *self.captured.objects.entry(kind.into()).or_default() += objects;
    }
}

/// `shop/web`: the Service that this is, or that this EndpointSlice is of.
fn service_of(resource: Resource, meta: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = match resource == SLICES {
        true => &meta["labels"]["kubernetes.io/service-name"],
        false => &meta["name"],
    };
    format!("{}/{}", text(&meta["namespace"]), text(name))
}

/// A List as kubectl writes it, one object a line.
struct List {
    out: Beside,
    has_items: bool,
}

impl List {
    fn create(path: &Path) -> Result<List> {
        Ok(List { out: Beside::create_private(path)?, has_items: false })
    }

    fn add(&mut self, item: &str) -> Result<()> {
        let before: &[u8] = match std::mem::replace(&mut self.has_items, true) {
            false => b"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{},\"items\":[\n",
            true => b",\n",
        };
        self.write(before)?;
        self.write(item.as_bytes())
    }

    /// Whole, and not yet in its place. It holds an item at least: the record.
    fn end(mut self) -> Result<Beside> {
        self.write(b"\n]}\n")?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).context("cannot write pods.json")
    }
}
