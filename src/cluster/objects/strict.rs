//! Says which key of an object a type of the API's dropped: `matchLabel` instead of `matchLabels` would leave an empty
//! selector, which selects everything. The API server refuses such a key too.

use serde_json::Value;

/// The path of the first key that `raw` has and `kept` lacks. A `null` is the same as absence.
pub(super) fn dropped(raw: &Value, kept: &Value, path: &str) -> Option<String> {
    match (raw, kept) {
        (Value::Object(raw), Value::Object(kept)) => raw.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match kept.get(key) {
                Some(kept) => dropped(value, kept, &path),
                None => (!value.is_null()).then_some(path),
            }
        }),
        (Value::Array(raw), Value::Array(kept)) => {
            raw.iter().zip(kept).find_map(|(raw, kept)| dropped(raw, kept, path))
        }
        _ => None,
    }
}
