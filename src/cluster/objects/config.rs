//! ConfigMaps: the Corefile, and kico's own capture record.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::meta::{self, When, moment};
use super::{Object, Shell};
use crate::cluster::model::Corefile;
use crate::time::Time;

/// What a capture says of itself: the JSON text under the key `record` of an object of kind ConfigMap named
/// `kico-capture`, which stands beside the captured objects and never in a cluster.
///
/// ```json
/// {"when": "2026-03-14T23:59:55Z", "cluster": "UID of kube-system", "podsClusterWide": true,
///  "gone": {"UID of a pod": "2026-03-14T23:41:02Z"}, "missed": [{"what": "nodes", "why": "forbidden"}]}
/// ```
///
/// Other fields may stand there; each of these may be missing or `null`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CaptureRecord {
    /// When the objects were listed.
    pub(crate) when: Option<Time>,
    /// The uid of the namespace kube-system.
    pub(crate) cluster: Option<String>,
    /// Whether the pods of all namespaces were listed.
    pub(crate) pods_cluster_wide: bool,
    /// Whether the NetworkPolicies of all namespaces were: none of them is among what was missed.
    pub(crate) policies_cluster_wide: bool,
    /// Pods that were seen and were gone when the objects were listed: uid → since when at the latest.
    pub(crate) gone: BTreeMap<String, Time>,
}

/// A ConfigMap.
pub(super) fn read(shell: &Shell<'_>, dns_namespaces: &[String]) -> Result<Object, String> {
    let meta = meta::read(shell)?;
    // A uid is the cluster's: whoever may write a ConfigMap there is not believed.
    if meta.name == "kico-capture" && meta.uid.is_empty() {
        let data: CaptureData = meta::field(shell, "data")?;
        return capture(&data.record.unwrap_or_default()).map(Box::new).map(Object::Capture);
    }
    if !dns_namespaces.contains(&meta.namespace) {
        return Ok(Object::Nothing);
    }
    let data: CorefileData = meta::field(shell, "data")?;
    Ok(match data.corefile {
        None => Object::Nothing,
        Some(text) => {
            let (namespace, name) = (meta.namespace, meta.name);
            Object::Corefile(Box::new(Corefile { namespace, name, text }))
        }
    })
}

fn capture(text: &str) -> Result<CaptureRecord, String> {
    let raw: RawRecord = serde_json::from_str(text)
        .map_err(|error| format!("data.record: {}", meta::masked(&error)))?;
    let gone = raw.gone.unwrap_or_default().into_iter();
    Ok(CaptureRecord {
        when: moment(raw.when),
        cluster: raw.cluster.filter(|uid| !uid.is_empty()),
        pods_cluster_wide: raw.pods_cluster_wide == Some(true),
        policies_cluster_wide: raw.missed.is_some_and(|missed| {
            !missed.iter().any(|Missed { what }| what.starts_with("networkpolicies"))
        }),
        gone: gone.filter_map(|(uid, when)| Some((uid, moment(Some(when))?))).collect(),
    })
}

#[derive(Default, Deserialize)]
struct CorefileData {
    #[serde(rename = "Corefile")]
    corefile: Option<String>,
}

#[derive(Default, Deserialize)]
struct CaptureData {
    record: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRecord {
    when: Option<When>,
    cluster: Option<String>,
    pods_cluster_wide: Option<bool>,
    gone: Option<BTreeMap<String, When>>,
    missed: Option<Vec<Missed>>,
}

#[derive(Deserialize)]
struct Missed {
    what: String,
}
