//! Which labels name a workload and which change from pod to pod, and what the API accepts as one.
//! It decides nothing about who may connect.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cluster::model::Labels;
use crate::name::is_label;

/// Labels that a rollout, a schedule, a node or a chart's version changes.
const VOLATILE: [&str; 14] = [
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "job-name",
    "app.kubernetes.io/version",
    "helm.sh/chart",
    "chart",
    "heritage",
    "service.istio.io/canonical-revision",
    "security.istio.io/tlsMode",
];

/// Prefixes all of whose labels are such.
const VOLATILE_PREFIXES: [&str; 3] =
    ["batch.kubernetes.io/", "topology.kubernetes.io/", "failure-domain.beta.kubernetes.io/"];

/// Whether a label says nothing lasting about the workload. `app.kubernetes.io/instance` does: without it two
/// releases of one chart are one.
pub(super) fn is_volatile(key: &str) -> bool {
    VOLATILE.contains(&key) || VOLATILE_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The labels that all of them have with the same value, less the volatile ones. Of none: none.
pub(super) fn common<'a>(mut all: impl Iterator<Item = &'a Labels>) -> BTreeMap<String, String> {
    let Some(first) = all.next() else { return BTreeMap::new() };
    let mut labels = first.to_map();
    labels.retain(|key, _| !is_volatile(key));
    for other in all {
        labels.retain(|key, value| other.get(key) == Some(value.as_str()));
    }
    labels
}

/// Whether a selector has no requirement at all, and so matches everything.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.iter().flatten().next().is_none()
        && selector.match_expressions.iter().flatten().next().is_none()
}

/// Whether the API would accept this selector. What it would not accept is no selector that was ever in force.
pub(super) fn is_legal(selector: &LabelSelector) -> bool {
    let pairs = selector.match_labels.iter().flatten().all(|(k, v)| is_key(k) && is_value(v));
    pairs
        && selector.match_expressions.iter().flatten().all(|requirement| {
            let values = || requirement.values.iter().flatten();
            let fits = match requirement.operator.as_str() {
                "In" | "NotIn" => values().next().is_some(),
                "Exists" | "DoesNotExist" => values().next().is_none(),
                _ => false,
            };
            fits && is_key(&requirement.key) && values().all(|value| is_value(value))
        })
}

/// A label's key: `[prefix/]name`, the prefix a DNS subdomain.
pub(super) fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_value(name)
}

/// A label's value: empty, or at most 63 of `[A-Za-z0-9_.-]` with a letter or digit at either end.
pub(super) fn is_value(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = value.bytes().next().into_iter().chain(value.bytes().last());
    value.len() <= 63
        && value.bytes().all(inner)
        && ends.into_iter().all(|b| b.is_ascii_alphanumeric())
}

/// A DNS subdomain: what names of most objects are.
pub(super) fn is_subdomain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 253
        && text.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(plain)
                && !part.starts_with('-')
                && !part.ends_with('-')
        })
}

/// Whether a container may call its port so: at most 15 of `[a-z0-9-]`, a letter among them, no two hyphens in a row.
pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && is_label(text)
        && !text.contains("--")
        && text.bytes().any(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn volatile_labels_go_and_the_instance_stays() {
        for (key, volatile) in [
            ("pod-template-hash", true),
            ("rollouts-pod-template-hash", true),
            ("controller-revision-hash", true),
            ("pod-template-generation", true),
            ("statefulset.kubernetes.io/pod-name", true),
            ("apps.kubernetes.io/pod-index", true),
            ("batch.kubernetes.io/controller-uid", true),
            ("batch.kubernetes.io/job-name", true),
            ("batch.kubernetes.io/job-completion-index", true),
            ("controller-uid", true),
            ("job-name", true),
            ("topology.kubernetes.io/zone", true),
            ("failure-domain.beta.kubernetes.io/region", true),
            ("app.kubernetes.io/version", true),
            ("helm.sh/chart", true),
            ("chart", true),
            ("heritage", true),
            ("service.istio.io/canonical-revision", true),
            ("security.istio.io/tlsMode", true),
            ("app.kubernetes.io/instance", false),
            ("app.kubernetes.io/name", false),
            ("app", false),
            ("charts", false),
            ("release", false),
        ] {
            assert_eq!(is_volatile(key), volatile, "{key}");
        }
    }

    #[test]
    fn common_labels_are_those_of_all() {
        let a = labels(&[("app", "x"), ("tier", "a"), ("job-name", "x-1")]);
        let b = labels(&[("app", "x"), ("tier", "b"), ("job-name", "x-1")]);
        assert_eq!(common([&a, &b].into_iter()), labels(&[("app", "x")]).to_map());
        assert_eq!(common([&a, &Labels::default()].into_iter()), BTreeMap::new());
        assert_eq!(common(std::iter::empty()), BTreeMap::new());
    }

    #[test]
    fn only_what_the_api_accepts_is_legal() {
        for (key, value, legal) in [
            ("app", "x", true),
            ("app", "", true),
            ("example.com/app", "A.b_c-1", true),
            ("", "x", false),
            ("Example.com/app", "x", false),
            ("/app", "x", false),
            ("a/b/c", "x", false),
            ("app", "x\n- {}", false),
            ("app", "-x", false),
            ("app", "x.", false),
            ("app", "été", false),
            ("app\": {}", "x", false),
        ] {
            let selector = LabelSelector {
                match_labels: Some(labels(&[(key, value)]).to_map()),
                ..LabelSelector::default()
            };
            assert_eq!(is_legal(&selector), legal, "{key}={value}");
        }
        assert!(!is_value(&"a".repeat(64)));
        for (name, legal) in [
            ("http", true),
            ("8080", false),
            ("a--b", false),
            ("abcdefghijklmnop", false),
            ("", false),
        ] {
            assert_eq!(is_port_name(name), legal, "{name}");
        }
    }
}
