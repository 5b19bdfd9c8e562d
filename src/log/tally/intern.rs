//! Clients' texts as they stand in the log → small numbers.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::table::{Slot, Table, hash, keys};

/// Counts of things in memory fit: a tally of four thousand million rows would not.
pub(super) fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Clients' texts → numbers. A cache: it may be emptied at any time.
#[derive(Debug)]
pub(super) struct Texts {
    short: Table<Text>,
    long: HashMap<Box<[u8]>, u32, RandomState>,
    keys: [u64; 2],
}

/// A packed text and its client.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Text {
    packed: u64,
    id: u32,
}

impl Slot for Text {
    const EMPTY: Text = Text { packed: 0, id: u32::MAX };

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.id == u32::MAX
    }
}

impl Default for Texts {
    fn default() -> Texts {
        Texts { short: Table::default(), long: HashMap::default(), keys: keys() }
    }
}

/// A text of 8 to 15 digits and dots, as nearly every IPv4 address is, in four bits each; no two have the same.
#[inline(always)]
fn pack(text: &[u8]) -> Option<u64> {
    const EVERY: u64 = 0x0101_0101_0101_0101;
    let word = |eight: Option<&[u8; 8]>| eight.map(|eight| u64::from_le_bytes(*eight));
    let (first, last) = (word(text.first_chunk())?, word(text.last_chunk())?);
    // From a dot to a nine, which are twelve: those are 1 to 12, and 0 is no byte.
    let odd = |word: u64| {
        word | word.wrapping_add(EVERY * (0x7f - b'9') as u64)
            | word.wrapping_sub(EVERY * b'.' as u64)
    };
    if (odd(first) | odd(last)) & (EVERY * 0x80) != 0 || text.len() > 15 {
        return None;
    }
    let number = |word: u64| word - EVERY * (b'.' - 1) as u64;
    // Those of the last eight bytes that are not among the first.
    let more = (number(last) >> 8) >> (8 * (15 - text.len()));
    Some(number(first) | more << 4)
}

impl Texts {
    #[inline(always)]
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        match pack(text) {
            Some(packed) => {
                let at =
                    self.short.find(hash(packed, self.keys), |known| known.packed == packed)?;
                Some(self.short.slot(at).id)
            }
            None => self.long.get(text).copied(),
        }
    }

    /// Remembers a text that was not found.
    pub(super) fn insert(&mut self, text: &[u8], id: u32) {
        match pack(text) {
            Some(packed) => {
                let keys = self.keys;
                self.short.insert(Text { packed, id }, |known| hash(known.packed, keys));
            }
            None => _ = self.long.insert(text.into(), id),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    pub(super) fn clear(&mut self) {
        self.short.clear();
        self.long.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_told_apart(a in "[.-:]{0,17}|\\PC{0,16}", b in "[.0-9]{8,15}", cut in 0..16_usize) {
            prop_assert_eq!(pack(a.as_bytes()).is_some(), (8..16).contains(&a.len()) && a.bytes().all(|b| (b'.'..=b'9').contains(&b)));
            let shorter = b.get(..cut).unwrap_or(&b);
            for other in [&a, shorter] {
                if let Some(packed) = pack(other.as_bytes()) {
                    prop_assert_eq!(Some(packed) == pack(b.as_bytes()), other == b);
                }
            }
        }

        #[test]
        fn an_address_is_packed(address: Ipv4Addr) {
            let text = address.to_string();
            prop_assert_eq!(pack(text.as_bytes()).is_some(), text.len() >= 8);
        }
    }

    #[test]
    fn texts_of_any_sort_are_found() {
        let mut texts = Texts::default();
        let all: [&[u8]; 7] = [
            b"10.0.0.1",
            b"10.0.0.10",
            b"1.2.3.4",
            b"255.255.255.255",
            b"fd00::1",
            b"",
            b"10.0.0.1\0",
        ];
        (0..).zip(all).for_each(|(id, text)| texts.insert(text, id));
        let found: Vec<_> = all.iter().map(|text| texts.find(text)).collect();
        assert_eq!(found, (0..7).map(Some).collect::<Vec<_>>());
        assert_eq!((texts.find(b"10.0.0.11"), texts.len()), (None, 7));
        texts.clear();
        assert_eq!((texts.find(b"10.0.0.1"), texts.find(b"fd00::1"), texts.len()), (None, None, 0));
    }
}
