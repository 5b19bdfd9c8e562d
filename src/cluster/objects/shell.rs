//! The top level of an object, or of a list of them: where each field stands in the file, unread. So that a broken
//! object costs itself and not its file, and that the objects can be read in parallel.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// The fields that some kind needs; all others are skipped as they are met.
const FIELDS: [&str; 11] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "status",
    "data",
    "addressType",
    "endpoints",
    "ports",
    "subsets",
    "webhooks",
];

/// An object's fields, or a list's objects.
#[derive(Default)]
pub(crate) struct Shell<'a> {
    /// `Pod`. Empty until whoever knows the list has said it: not every object of a `PodList` says that it is a pod.
    pub(crate) kind: &'a str,
    /// `apps/v1`; empty if nobody says.
    pub(crate) api: &'a str,
    fields: [Option<&'a RawValue>; FIELDS.len()],
    /// A list's objects; `null` is an empty list.
    pub(crate) items: Option<Vec<Shell<'a>>>,
    /// Whether this is a bare JSON array of objects.
    pub(crate) is_array: bool,
    /// A field that stands there twice.
    pub(crate) repeated: Option<&'static str>,
}

impl<'a> Shell<'a> {
    /// A field's JSON text.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let at = FIELDS.iter().position(|field| *field == name)?;
        self.fields.get(at).copied().flatten().map(RawValue::get)
    }

    /// A field that is a text without escapes, such as `kind`.
    pub(crate) fn word(&self, name: &str) -> Option<&'a str> {
        serde_json::from_str(self.get(name)?).ok()
    }
}

impl Shell<'_> {
    /// Whether some field is nested deeper than any Kubernetes object is.
    pub(crate) fn is_too_deep(&self) -> bool {
        let texts = self.fields.iter().flatten().map(|value| value.get());
        texts.filter(|text| brackets(text) > DEEPEST).any(|text| depth(text) > DEEPEST)
    }
}

/// serde_json's own limit, which it does not hold to in what it skips.
const DEEPEST: usize = 128;

/// How many brackets open. Most objects have fewer than they may nest, and counting is cheap: sixteen bytes at a time.
fn brackets(json: &str) -> usize {
    // `[` and `{`, and no other byte, differ in this bit alone.
    let opens = |byte: &u8| u8::from(byte | 0x20 == b'{');
    let pieces = json.as_bytes().chunks(usize::from(u8::MAX));
    pieces.map(|piece| usize::from(piece.iter().map(opens).sum::<u8>())).sum()
}

fn depth(json: &str) -> usize {
    let (mut rest, mut depth, mut deepest) = (json.as_bytes(), 0usize, 0);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = behind_text(rest),
            _ => {}
        }
    }
    deepest
}

/// What follows a text, whose first quote is behind us.
fn behind_text(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_escape = rest.get(at) == Some(&b'\\');
        rest = rest.get(at + 1 + usize::from(is_escape)..).unwrap_or_default();
        if !is_escape {
            return rest;
        }
    }
    &[]
}

/// The objects of a JSON text: one, several one after the other, or arrays of them.
pub(crate) fn documents(text: &str) -> impl Iterator<Item = serde_json::Result<Shell<'_>>> {
    serde_json::Deserializer::from_str(text).into_iter()
}

impl<'de> Deserialize<'de> for Shell<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shell<'de>, D::Error> {
        deserializer.deserialize_any(Top)
    }
}

struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Shell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shell<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Shell { items: Some(items), is_array: true, ..Shell::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shell<'de>, A::Error> {
        let mut shell = Shell::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match key {
                Key::Items if shell.items.is_some() => {
                    return Err(A::Error::custom("the key `items` stands there twice"));
                }
                Key::Items => {
                    shell.items =
                        Some(map.next_value::<Option<Vec<Shell<'de>>>>()?.unwrap_or_default());
                }
                Key::Field(at) => {
                    let value = map.next_value()?;
                    let field = shell.fields.get_mut(at);
                    if field.is_some_and(|field| field.replace(value).is_some()) {
                        shell.repeated = FIELDS.get(at).copied();
                    }
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(shell)
    }
}

enum Key {
    Items,
    Field(usize),
    Other,
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        let field = || FIELDS.iter().position(|field| *field == key);
        Ok(if key == "items" { Key::Items } else { field().map_or(Key::Other, Key::Field) })
    }
}
