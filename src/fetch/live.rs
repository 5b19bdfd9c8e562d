//! The one-liner's view of a cluster, in memory and nowhere else: its objects, CoreDNS's logs as they are, and then the logs as they
//! grow, until whoever judges them has seen enough.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;
use tokio::sync::watch;

use super::api::{Api, Limits};
use super::connect::{self, Target};
use super::logs::{self, Container};
use super::objects::{self, OTHERS, PODS};
use super::{Missed, dns};
use crate::time;

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Which cluster.
    pub target: Target,
    /// The namespace of the pod that is asked for; `None`: the context's.
    pub namespace: Option<String>,
    /// How long to wait for a line that matters.
    pub wait: Duration,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The namespace that is meant.
    pub namespace: String,
    /// A List of objects, as JSON.
    pub snapshot: String,
    /// What could not be had.
    pub missed: Vec<Missed>,
    /// Log name → its bytes so far.
    pub logs: Vec<(String, Vec<u8>)>,
}

/// Whether it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Enough,
    /// Some more lines may tell.
    More,
}

/// Shows a judge what there is, then what comes, until it has enough, the time is over, or a signal comes.
pub async fn live(
    asked: &Live,
    mut stop: watch::Receiver<bool>,
    judge: &mut dyn FnMut(&Seen) -> Result<Verdict>,
) -> Result<()> {
    let api = Api::new(connect::config(&asked.target).await?, Limits::default()).await;
    let api = api.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let namespace = asked.namespace.clone().unwrap_or_else(|| api.namespace().to_owned());
    let found = dns::find(&api, &[], None).await;
    let pods = found.map_err(|(namespace, fault)| dns::not_found(&api, &namespace, &fault))?;
    let containers: Vec<Container> = pods.iter().flat_map(|pod| pod.containers.clone()).collect();
    if containers.is_empty() {
        bail!(
            "no CoreDNS pod found in kube-system or openshift-dns: use kico fetch --dns-namespace NS -l LABELS"
        );
    }
    let mut seen = Seen { namespace: namespace.clone(), ..Seen::default() };
    let mut namespaces: BTreeSet<String> =
        containers.iter().map(|container| container.namespace.clone()).collect();
    namespaces.insert(namespace);
    let mut items = Vec::new();
    let mut wide = true;
    for resource in std::iter::once(&PODS).chain(OTHERS) {
        let (some, fault) = objects::reachable(&api, *resource, &namespaces, &mut |_| {}).await;
        wide &= fault.is_none() || *resource != PODS;
        items.extend(some.into_iter().map(|item| item.json));
        seen.missed.extend(fault.map(|fault| Missed {
            what: resource.name(),
            why: fault.to_string(),
            forbidden: fault.is_forbidden(),
        }));
    }
    for (container, pod) in pods.iter().filter_map(|pod| Some((pod.containers.first()?, pod))) {
        for name in &pod.config_maps {
            items.extend(
                dns::config_map(&api, &container.namespace, name).await.ok().map(|item| item.json),
            );
        }
    }
    let record = json!({"when": time::seconds(api.now()), "podsClusterWide": wide}).to_string();
    let meta = json!({"name": "kico-capture", "namespace": "kube-system"});
    items.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"record": record}}).to_string());
    seen.snapshot =
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{}]}}", items.join(","));
    for container in &containers {
        let mut bytes = Vec::new();
        let mut sink = |line: &[u8]| {
            bytes.extend_from_slice(line);
            Ok(())
        };
        let got = tokio::select! {
            got = logs::pull(&api, container, None, false, &mut sink) => got?,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        seen.missed.extend(got.problem.map(|fault| Missed {
            what: format!("the log of {}/{}", container.namespace, container.pod),
            why: fault.to_string(),
            forbidden: fault.is_forbidden(),
        }));
        seen.logs.push((format!("{}/{}", container.namespace, container.pod), bytes));
    }
    if judge(&seen)? == Verdict::Enough {
        return Ok(());
    }
    follow(&api, &containers, asked.wait, &mut seen, &mut stop, judge).await
}

/// The same logs once more, from their beginnings, and on.
async fn follow(
    api: &Api,
    containers: &[Container],
    wait: Duration,
    seen: &mut Seen,
    stop: &mut watch::Receiver<bool>,
    judge: &mut dyn FnMut(&Seen) -> Result<Verdict>,
) -> Result<()> {
    let (end_all, end) = watch::channel(false);
    let buffers: Vec<RefCell<Vec<u8>>> = containers.iter().map(|_| RefCell::default()).collect();
    let grown = Cell::new(false);
    let mut running = FuturesUnordered::new();
    for (container, buffer) in containers.iter().zip(&buffers) {
        let (mut end, grown) = (end.clone(), &grown);
        running.push(async move {
            let mut sink = |line: &[u8]| {
                buffer.borrow_mut().extend_from_slice(line);
                grown.set(true);
                Ok(())
            };
            logs::follow(api, container, None, &mut end, &mut sink).await
        });
    }
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    let mut look = tokio::time::interval(Duration::from_millis(300));
    loop {
        tokio::select! {
            done = running.next() => match done {
                Some(done) => drop(done?),
                None => return Ok(()),
            },
            () = &mut deadline => break,
            _ = stop.wait_for(|stop| *stop) => break,
            _ = look.tick() => {
                let whole = buffers.iter().zip(&seen.logs).all(|(buffer, (_, log))| buffer.borrow().len() >= log.len());
                if whole && grown.replace(false) {
                    for ((_, log), buffer) in seen.logs.iter_mut().zip(&buffers) {
                        log.clone_from(&buffer.borrow());
                    }
                    if judge(seen)? == Verdict::Enough {
                        break;
                    }
                }
            }
        }
    }
    end_all.send_replace(true);
    Ok(())
}
