//! Metadata, and the small values that all kinds share: times, labels, addresses. `null` is the same as absence
//! everywhere; a key that stands twice, or a value of the wrong type, is the object's end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use smallvec::SmallVec;

use super::Shell;
use crate::cluster::model::{Labels, Meta, Owner};
use crate::time::{self, Time};

/// An object's metadata. Without a name it is no object.
pub(super) fn read(shell: &Shell<'_>) -> Result<Meta, String> {
    let raw: RawMeta<'_> = field(shell, "metadata")?;
    let name = raw.name.unwrap_or_default();
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    let controls = |owner: &RawOwner<'_>| owner.controller == Some(true);
    let owner = raw.owner_references.unwrap_or_default().into_iter().find(controls);
    Ok(Meta {
        namespace: raw.namespace.unwrap_or_default(),
        name,
        uid: raw.uid.unwrap_or_default(),
        labels: raw.labels.unwrap_or_default().0,
        annotations: raw.annotations.unwrap_or_default().0,
        created: moment(raw.creation_timestamp),
        deleted: moment(raw.deletion_timestamp),
        owner: owner.map(RawOwner::into_model),
    })
}

/// The latest time of the conditions in its status. What cannot be read dates nothing.
pub(super) fn latest_condition(shell: &Shell<'_>) -> Option<Time> {
    let Status { conditions } = field(shell, "status").ok()?;
    let times =
        |c: RawCondition| [c.last_transition_time, c.last_update_time, c.last_heartbeat_time];
    conditions.into_iter().flatten().flat_map(times).filter_map(moment).max()
}

/// `namespace/name` for a message, of an object that need not be whole.
pub(super) fn who(shell: &Shell<'_>) -> String {
    let Who { namespace, name } = field(shell, "metadata").unwrap_or_default();
    let some = |text: &String| !text.is_empty();
    match (namespace.filter(some), name.filter(some)) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (None, Some(name)) => name,
        (_, None) => "without a name".to_owned(),
    }
}

/// The namespace of an object that need not be whole, if it says one.
pub(super) fn namespace(shell: &Shell<'_>) -> Option<String> {
    let who: Who = field(shell, "metadata").ok()?;
    who.namespace.filter(|namespace| !namespace.is_empty())
}

/// The name of an object that need not be whole, if it says one.
pub(super) fn name(shell: &Shell<'_>) -> Option<String> {
    let who: Who = field(shell, "metadata").ok()?;
    who.name.filter(|name| !name.is_empty())
}

/// A field of the object's top level; absent or `null` is its default.
pub(super) fn field<'a, T>(shell: &Shell<'a>, name: &str) -> Result<T, String>
where
    T: Deserialize<'a> + Default,
{
    let Some(text) = shell.get(name) else { return Ok(T::default()) };
    // serde reads a list as a struct, by position.
    if text.starts_with('[') && matches!(name, "metadata" | "spec" | "status" | "data") {
        return Err(format!("{name}: invalid type: sequence, expected a map"));
    }
    match serde_json::from_str::<Option<T>>(text) {
        Ok(value) => Ok(value.unwrap_or_default()),
        Err(error) => Err(format!("{name}: {}", masked(&error))),
    }
}

/// What serde_json says, less the position in the fragment, and less the value: it may be a secret in the wrong place.
pub(crate) fn masked(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(place.as_str()).unwrap_or(&text);
    match text.rsplit_once(", expected ") {
        Some((seen, expected)) => {
            let end = seen.find(['`', '"']).unwrap_or(seen.len());
            let seen = seen.get(..end).unwrap_or_default().trim_end();
            // Of a type of ours, the name.
            let expected = if expected.starts_with("struct ") { "a map" } else { expected };
            format!("{seen}, expected {expected}")
        }
        None => text.to_owned(),
    }
}

/// Reads an address. What is none is noted, with the field that it stands in, and dropped; an empty one only dropped.
pub(super) fn address(text: &str, field: &str, notes: &mut Vec<String>) -> Option<IpAddr> {
    if text.is_empty() {
        return None;
    }
    let address: Option<IpAddr> = text.parse().ok();
    if address.is_none() {
        notes.push(format!("{field}: invalid address, ignored"));
    }
    address.map(|address| address.to_canonical())
}

/// A time, if it is set.
pub(super) fn moment(when: Option<When>) -> Option<Time> {
    when.and_then(|when| when.0)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta<'a> {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    labels: Option<RawLabels>,
    annotations: Option<KeptAnnotations>,
    creation_timestamp: Option<When>,
    deletion_timestamp: Option<When>,
    #[serde(borrow)]
    owner_references: Option<Vec<RawOwner<'a>>>,
}

#[derive(Default, Deserialize)]
struct Status {
    conditions: Option<Vec<RawCondition>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCondition {
    last_transition_time: Option<When>,
    last_update_time: Option<When>,
    last_heartbeat_time: Option<When>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOwner<'a> {
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    kind: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    controller: Option<bool>,
}

impl RawOwner<'_> {
    fn into_model(self) -> Owner {
        let api = self.api_version.as_ref().map_or("", Text::as_str);
        let (kind, group) = super::owner_kind(self.kind.unwrap_or_default(), api);
        let (name, uid) = (self.name.unwrap_or_default(), self.uid.unwrap_or_default());
        Owner { kind, group, name, uid }
    }
}

#[derive(Default, Deserialize)]
struct Who {
    namespace: Option<String>,
    name: Option<String>,
}

/// A text that stays where it stands in the file, if it has no escapes: for what is looked at and not kept. serde's own
/// `Option<Cow<str>>` copies each.
pub(super) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// An RFC 3339 time. The zero of Go's clock, which no time of ours can be, is no time.
#[derive(Clone, Copy)]
pub(super) struct When(Option<Time>);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<When, D::Error> {
        deserializer.deserialize_str(WhenVisitor)
    }
}

struct WhenVisitor;

impl Visitor<'_> for WhenVisitor {
    type Value = When;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2026-03-14T23:59:55Z")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<When, E> {
        if text.starts_with("0001-01-01T00:00:00") {
            return Ok(When(None));
        }
        match time::parse(text) {
            Some(time) => Ok(When(Some(time))),
            None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

/// Labels or a selector: texts, each key once. A number is none: `kubectl` refuses it too.
#[derive(Default)]
pub(super) struct RawLabels(pub(super) Labels);

impl<'de> Deserialize<'de> for RawLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawLabels, D::Error> {
        let visitor = LabelsVisitor { keep: |_| true, of: |pairs| Labels::of_sorted(pairs) };
        deserializer.deserialize_map(visitor).map(RawLabels)
    }
}

/// The labels of a label selector, as the API's own type has them.
#[derive(Default)]
pub(super) struct MatchLabels(pub(super) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for MatchLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MatchLabels, D::Error> {
        fn owned(pairs: &[Pair<'_>]) -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        }
        let visitor = LabelsVisitor { keep: |_| true, of: owned };
        deserializer.deserialize_map(visitor).map(MatchLabels)
    }
}

/// Those annotations that SEMANTICS 10 lists.
#[derive(Default)]
pub(super) struct KeptAnnotations(pub(super) Labels);

/// A node's tunnel addresses, beside Calico's, which are all in one domain.
const FLANNEL: [&str; 3] = [
    "flannel.alpha.coreos.com/public-ip",
    "flannel.alpha.coreos.com/public-ip-overwrite",
    "flannel.alpha.coreos.com/public-ipv6",
];

/// Whether an annotation is one of those.
pub(crate) fn is_kept(annotation: &str) -> bool {
    let calico = annotation.strip_prefix("projectcalico.org/");
    let tunnel = |key: &str| key.ends_with("TunnelAddr") || key.ends_with("WireguardInterfaceAddr");
    annotation.starts_with("prometheus.io/")
        || annotation.starts_with("sidecar.istio.io/")
        || calico.is_some_and(tunnel)
        || FLANNEL.contains(&annotation)
}

impl<'de> Deserialize<'de> for KeptAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeptAnnotations, D::Error> {
        let visitor = LabelsVisitor { keep: is_kept, of: |pairs| Labels::of_sorted(pairs) };
        deserializer.deserialize_map(visitor).map(KeptAnnotations)
    }
}

/// A key and its value, where they stand in the file.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

struct LabelsVisitor<T> {
    keep: fn(&str) -> bool,
    /// Sorted pairs → what is kept of them.
    of: fn(&[Pair<'_>]) -> T,
}

impl<'de, T> Visitor<'de> for LabelsVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        // Sorted, as the API server writes them; and any that are not.
        let mut sorted: SmallVec<[Pair<'de>; 8]> = SmallVec::new();
        let mut others = BTreeMap::new();
        while let Some(Text(key)) = map.next_key()? {
            if !(self.keep)(&key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Text(value) = map.next_value()?;
            if sorted.last().is_none_or(|(last, _)| *last < key) {
                sorted.push((key, value));
            } else if sorted.binary_search_by(|(known, _)| known.cmp(&key)).is_ok()
                || others.insert(key, value).is_some()
            {
                return Err(A::Error::custom("a key stands there twice"));
            }
        }
        if !others.is_empty() {
            sorted.extend(others);
            sorted.sort_unstable();
        }
        Ok((self.of)(&sorted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_stand_in_any_order_but_none_twice() {
        for (json, expected) in [
            (r#"{"a": "1", "b": "2", "c": "3"}"#, Some("a1 b2 c3")),
            (r#"{"c": "3", "a": "1", "d": "4", "b": "2"}"#, Some("a1 b2 c3 d4")),
            (r#"{}"#, Some("")),
            (r#"{"a": "1", "a": "1"}"#, None),
            (r#"{"a": "1", "b": "2", "a": "1"}"#, None),
            (r#"{"b": "2", "a": "1", "c": "3", "a": "1"}"#, None),
            (r#"{"b": "2", "a": "1", "b": "2"}"#, None),
        ] {
            let shown = |pairs: BTreeMap<String, String>| {
                pairs.iter().map(|(k, v)| format!("{k}{v}")).collect::<Vec<_>>().join(" ")
            };
            let labels = serde_json::from_str(json).ok().map(|RawLabels(labels)| labels.to_map());
            assert_eq!(labels.map(shown).as_deref(), expected, "{json}");
            let map = serde_json::from_str(json).ok().map(|MatchLabels(map)| map);
            assert_eq!(map.map(shown).as_deref(), expected, "{json}");
        }
    }
}
