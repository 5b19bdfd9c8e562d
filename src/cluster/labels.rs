//! Labels in little memory: an object has a few, and a cluster has many objects. All texts of one object stand in one
//! piece, one behind the other; a map takes five times as much.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// Labels, annotations, or a Service's selector: each key once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Key, value, key, value, …: sorted by key.
    texts: Box<str>,
    pairs: Box<[Pair]>,
}

/// Where a key begins in `texts`, where it ends and its value begins, and where that ends. A snapshot's file never holds
/// so much that a number has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair(u32, u32, u32);

impl Labels {
    /// Of pairs that are sorted by key, each key once.
    pub(super) fn of_sorted<T: AsRef<str>>(pairs: &[(T, T)]) -> Labels {
        let length = |(key, value): &(T, T)| key.as_ref().len() + value.as_ref().len();
        let mut texts = String::with_capacity(pairs.iter().map(length).sum());
        let mut push = |text: &T| {
            texts.push_str(text.as_ref());
            u32::try_from(texts.len()).unwrap_or(u32::MAX)
        };
        let mut end = 0;
        let pair = |(key, value): &(T, T)| {
            let start = end;
            let middle = push(key);
            end = push(value);
            Pair(start, middle, end)
        };
        let pairs = pairs.iter().map(pair).collect();
        Labels { texts: texts.into_boxed_str(), pairs }
    }

    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|pair| self.key(pair).cmp(key)).ok()?;
        self.pairs.get(at).map(|pair| self.value(pair))
    }

    /// Whether there is a label of this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|pair| (self.key(pair), self.value(pair)))
    }

    /// As the API's own types have them.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn key(&self, pair: &Pair) -> &str {
        self.texts.get(pair.0 as usize..pair.1 as usize).unwrap_or_default()
    }

    fn value(&self, pair: &Pair) -> &str {
        self.texts.get(pair.1 as usize..pair.2 as usize).unwrap_or_default()
    }
}

/// Of two values of one key the last.
impl FromIterator<(String, String)> for Labels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Labels {
        pairs.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Labels {
        Labels::of_sorted(&map.into_iter().collect::<Vec<_>>())
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Labels) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    proptest::proptest! {
        #[test]
        fn they_are_a_map(pairs: Vec<(String, String)>, other: Vec<(String, String)>, key: String) {
            let map: BTreeMap<String, String> = pairs.iter().cloned().collect();
            let labels: Labels = pairs.iter().cloned().collect();
            proptest::prop_assert_eq!(&labels.to_map(), &map);
            proptest::prop_assert_eq!(labels.is_empty(), map.is_empty());
            for key in map.keys().chain([&key]) {
                proptest::prop_assert_eq!(labels.get(key), map.get(key).map(String::as_str));
            }
            let others: BTreeMap<String, String> = other.iter().cloned().collect();
            proptest::prop_assert_eq!(labels.cmp(&other.into_iter().collect()), map.cmp(&others));
        }
    }

    #[test]
    fn where_a_text_ends_and_the_next_begins_makes_a_difference() {
        assert_ne!(labels(&[("ab", "c")]), labels(&[("a", "bc")]));
        assert_ne!(labels(&[("a", "bcd")]), labels(&[("a", "b"), ("c", "d")]));
        assert_eq!(labels(&[("a", "")]).get("a"), Some(""));
        assert_eq!(labels(&[("a", "1"), ("a", "2")]), labels(&[("a", "2")]));
    }
}
