//! Label selectors, exactly as the API documents them: an empty selector matches everything.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::model::Labels;

/// Whether a Service's selector matches. An empty one matches nothing: such a Service has no pods of its own.
pub fn matches_map(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a label selector matches. An operator that the API does not know matches nothing.
pub fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(k, v)| labels.get(k) == Some(v));
    equal
        && selector.match_expressions.iter().flatten().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = || requirement.values.iter().flatten().any(|v| Some(v) == value);
            match requirement.operator.as_str() {
                "In" => listed(),
                // A pod without the key fits NotIn.
                "NotIn" => !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
