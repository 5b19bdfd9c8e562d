//! One YAML document written as JSON, value by value. Numbers stay numbers, keys become texts as kubectl makes them;
//! what has no place in JSON, such as a merge key or a tag of one's own, is refused.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Aliases are followed, but not so far that the text grows out of proportion.
pub(super) fn to_json(yaml: &str) -> Result<String, serde_yaml::Error> {
    let most = yaml.len().saturating_mul(16).saturating_add(4096);
    let mut writer = Writer { json: Vec::with_capacity(yaml.len()), most, is_key: false };
    (&mut writer).deserialize(serde_yaml::Deserializer::from_str(yaml))?;
    String::from_utf8(writer.json).map_err(serde_yaml::Error::custom)
}

struct Writer {
    json: Vec<u8>,
    most: usize,
    /// Whether the next value is a key.
    is_key: bool,
}

impl Writer {
    fn raw<E: Error>(&mut self, text: &str) -> Result<(), E> {
        self.json.extend_from_slice(text.as_bytes());
        if self.json.len() > self.most {
            return Err(E::custom("its aliases repeat too much"));
        }
        Ok(())
    }

    /// A value that JSON writes without quotes.
    fn bare<E: Error>(&mut self, value: impl fmt::Display) -> Result<(), E> {
        let quote = if self.is_key { "\"" } else { "" };
        self.raw(&format!("{quote}{value}{quote}"))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Writer {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Writer {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_key { "a key" } else { "a value that JSON has" })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.is_key && text == "<<" {
            return Err(E::custom("a merge key `<<` is not followed"));
        }
        serde_json::to_writer(&mut self.json, text).map_err(E::custom)?;
        self.raw("")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.bare(value)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.bare(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.bare(number)
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<(), E> {
        self.bare(number)
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<(), E> {
        self.bare(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        // JSON has no infinity. Where a text is needed, any number is wrong.
        self.bare(if number.is_finite() { number } else { 0.0 })
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.bare("null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.is_key {
            return Err(A::Error::custom("a key is a list"));
        }
        let mut between = "[";
        loop {
            let end = self.json.len();
            self.raw(between)?;
            if seq.next_element_seed(&mut *self)?.is_none() {
                self.json.truncate(end);
                return self.raw(if between == "[" { "[]" } else { "]" });
            }
            between = ",";
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.is_key {
            return Err(A::Error::custom("a key is a map"));
        }
        let mut between = "{";
        loop {
            let end = self.json.len();
            self.raw(between)?;
            self.is_key = true;
            let key = map.next_key_seed(&mut *self)?;
            self.is_key = false;
            if key.is_none() {
                self.json.truncate(end);
                return self.raw(if between == "{" { "{}" } else { "}" });
            }
            self.raw(":")?;
            map.next_value_seed(&mut *self)?;
            between = ",";
        }
    }
}
