//! What a capture says of itself: what was asked, got and missed, and when.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Capture;
use crate::time::{self, SECOND, Time};

impl Capture<'_> {
    /// The record, as an object of the capture. `when`: pods were listed, all of the cluster's (`wide`) or not.
    pub(super) fn record(&self, when: Time, wide: bool, cluster: Option<String>) -> Value {
        let shown = |time: Option<Time>| time.map(time::format);
        let logs = self.logs.iter().map(|log| {
            json!({
                "file": log.out.as_ref().map(|_| &log.file), "namespace": log.container.namespace, "pod": log.container.pod,
                "container": log.container.name, "previous": log.previous, "bytes": log.got.bytes, "lines": log.got.lines,
                "first": shown(log.got.first), "last": shown(log.got.last),
                "gaps": log.got.gaps.iter().map(|(from, to)| json!([time::format(*from), time::format(*to)])).collect::<Vec<_>>(),
                "problem": log.got.problem.as_ref().map(ToString::to_string),
            })
        });
        let missed = self
            .captured
            .missed
            .iter()
            .map(|missed| json!({"what": missed.what, "why": missed.why}));
        let gone: BTreeMap<&String, String> =
            self.gone.iter().map(|(uid, time)| (uid, time::format(*time))).collect();
        let record = json!({
            "when": time::seconds(when / SECOND * SECOND), "began": time::seconds(self.began), "cluster": cluster,
            "podsClusterWide": wide, "gone": gone, "vanished": self.vanished,
            "asked": {
                "since": self.asked.since.map(|time| time.as_secs()), "for": self.asked.follow.map(|time| time.as_secs()),
                "previous": self.asked.previous, "dnsNamespaces": self.asked.dns_namespaces, "selector": self.asked.selector,
                "insecureSkipTlsVerify": self.asked.target.insecure,
            },
            "logs": logs.collect::<Vec<_>>(), "objects": self.captured.objects, "missed": missed.collect::<Vec<_>>(),
            "notes": self.captured.notes,
        });
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "kico-capture", "namespace": "kube-system"},
            "data": {"record": record.to_string()},
        })
    }
}
