//! Every pod's latest state while the logs are followed: listed once, then watched. Where the server can no longer say
//! what happened since (410), pods are listed again, and the time in between is named.

use std::collections::BTreeMap;

use kube::api::WatchParams;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use super::api::{Api, Fault};
use super::objects::{self, PODS, whole};
use super::prune::Keep;
use crate::time::Time;

/// The pods that were seen.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    /// uid → the object, pruned, in its latest state.
    pub(crate) latest: BTreeMap<String, String>,
    /// uid → when it was gone.
    pub(crate) gone: BTreeMap<String, Time>,
    /// From when on pods were watched.
    pub(crate) from: Option<Time>,
    /// In between nobody watched.
    pub(crate) lapses: Vec<(Time, Time)>,
    /// Why pods cannot be watched at all.
    pub(crate) problem: Option<Fault>,
}

/// Watches until `end`.
pub(crate) async fn pods(api: &Api, pods: &mut Pods, mut end: watch::Receiver<bool>) {
    let mut lost_since: Option<Time> = None;
    while !*end.borrow() {
        let mut nothing = |_: &Value| {};
        let listed = tokio::select! {
            listed = objects::list(api, PODS, None, &mut nothing) => listed,
            _ = end.wait_for(|end| *end) => return,
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(fault) => {
                pods.problem = Some(fault);
                lost_since = lost_since.or_else(|| Some(api.now()));
                tokio::select! {
                    () = sleep(api.limits.pause * 4) => {}
                    _ = end.wait_for(|end| *end) => {}
                }
                continue;
            }
        };
        let now = api.now();
        let before = lost_since.unwrap_or(now);
        let all: BTreeMap<String, String> =
            listed.items.into_iter().map(|item| (item.uid, item.json)).collect();
        for uid in pods.latest.keys().filter(|uid| !all.contains_key(*uid)) {
            // Since when nobody knows: from when on it was not watched.
            pods.gone.entry(uid.clone()).or_insert(before);
        }
        pods.latest.extend(all);
        pods.problem = None;
        pods.from = pods.from.or(Some(now));
        if let Some(since) = lost_since.take() {
            pods.lapses.push((since, now));
        }
        lost_since = Some(watched(api, pods, listed.version, &mut end).await);
        if pods.problem.as_ref().is_some_and(Fault::is_forbidden) {
            return;
        }
    }
}

/// Watches from a version on, over reconnects, until the end or until the server has forgotten that version. Gives the last moment
/// that was surely watched.
async fn watched(
    api: &Api,
    pods: &mut Pods,
    mut version: String,
    end: &mut watch::Receiver<bool>,
) -> Time {
    let keep = Keep::of("Pod");
    let mut sure = api.now();
    loop {
        let params = WatchParams { timeout: Some(240), ..WatchParams::default() };
        let Ok(request) = kube::core::Request::new(PODS.path(None)).watch(&params, &version) else {
            return sure;
        };
        let opened = tokio::select! {
            opened = api.open(&request) => opened,
            _ = end.wait_for(|end| *end) => return sure,
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(fault) if fault.is_expired() => return sure,
            Err(fault) => {
                pods.problem = Some(fault);
                return sure;
            }
        };
        let mut part: Vec<u8> = Vec::new();
        loop {
            let piece = tokio::select! {
                piece = stream.next() => piece,
                _ = end.wait_for(|end| *end) => return sure,
            };
            // A quiet watch is as good as a cut one: it goes on from its version.
            let Ok(Some(bytes)) = piece else { break };
            part.extend_from_slice(&bytes);
            if part.len() > api.limits.page {
                return sure;
            }
            while let Some(at) = memchr::memchr(b'\n', &part) {
                let line: Vec<u8> = part.drain(..=at).collect();
                let Ok(mut event) = serde_json::from_slice::<Event>(&line) else { return sure };
                if let Some(next) = event.object["metadata"]["resourceVersion"].as_str() {
                    version = next.to_owned();
                }
                sure = api.now();
                let uid = event.object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
                match event.kind.as_str() {
                    "ADDED" | "MODIFIED" | "DELETED" if !uid.is_empty() => {
                        if event.kind == "DELETED" {
                            pods.gone.insert(uid.clone(), sure);
                        }
                        keep.prune(&mut event.object);
                        pods.latest.insert(uid, whole(PODS, &event.object));
                    }
                    "ERROR" => return sure,
                    _ => {}
                }
            }
        }
        tokio::select! {
            () = sleep(api.limits.pause) => {}
            _ = end.wait_for(|end| *end) => return sure,
        }
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}
