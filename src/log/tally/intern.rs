//! Clients' texts as they stand in the log → small numbers.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::table::{Slot, Table, fold, keys};

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

/// A short text and its client.
#[derive(Clone, Copy, Debug)]
struct Text {
    short: Short,
    id: u32,
}

impl Slot for Text {
    const EMPTY: Text = Text { short: Short { first: 0, last: 0, len: 0 }, id: u32::MAX };

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

/// A text of 4 to 16 bytes, which every IPv4 address is, read as two numbers that overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short {
    first: u64,
    last: u64,
    len: u32,
}

impl Short {
    #[inline]
    fn of(text: &[u8]) -> Option<Short> {
        let len = text.len() as u32;
        match len {
            8..=16 => {
                let first = u64::from_le_bytes(*text.first_chunk()?);
                Some(Short { first, last: u64::from_le_bytes(*text.last_chunk()?), len })
            }
            4..=7 => {
                let first = u32::from_le_bytes(*text.first_chunk()?).into();
                Some(Short { first, last: u32::from_le_bytes(*text.last_chunk()?).into(), len })
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn hash(self, keys: [u64; 2]) -> u64 {
        fold(self.first ^ keys[0], self.last ^ keys[1])
    }
}

impl Texts {
    #[inline(always)]
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        match Short::of(text) {
            Some(short) => {
                let at = self.short.find(short.hash(self.keys), |known| known.short == short)?;
                Some(self.short.slot(at).id)
            }
            None => self.long.get(text).copied(),
        }
    }

    /// Remembers a text that was not found.
    pub(super) fn insert(&mut self, text: &[u8], id: u32) {
        match Short::of(text) {
            Some(short) => {
                self.short.insert(Text { short, id }, |known| known.short.hash(self.keys));
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
