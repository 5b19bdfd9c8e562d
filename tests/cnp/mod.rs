//! What a CiliumNetworkPolicy may hold, and what it means. Written from Cilium's CRD and documentation on plain YAML
//! values; it shares no code with kico, so that one mistake cannot hide another.

pub(crate) mod evaluate;
pub(crate) mod schema;

use serde_yaml::Value;

/// The items of a list; of what is none, nothing.
fn list(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}
