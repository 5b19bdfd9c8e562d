//! Texts that come again and again → small numbers. Two tables, both on the way of every record: names, and the
//! clients' texts as they stand in the log.
//!
//! The tables' seeds are random: names are chosen by those who ask, and must not be able to fill one bucket. No order
//! of these tables ever reaches an output.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};

/// Spelled names, each once, one behind the other in one text. A name's number is its place among them.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Vec<u8>,
    /// Where each name ends, and the next one starts.
    ends: Vec<usize>,
    table: HashTable<Known>,
    state: RandomState,
}

/// Where a name stands, again, and which it is: one access to memory less for each record.
#[derive(Clone, Copy, Debug)]
struct Known {
    start: usize,
    len: u32,
    id: u32,
}

impl Known {
    #[inline]
    fn bytes(self, text: &[u8]) -> &[u8] {
        text.get(self.start..self.start + self.len as usize).unwrap_or_default()
    }
}

impl Names {
    #[inline]
    pub(super) fn hash(&self, name: &[u8]) -> u64 {
        hash(&self.state, name)
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, name: &[u8]) -> Option<u32> {
        Some(self.table.find(hash, |known| known.bytes(&self.text) == name)?.id)
    }

    /// The name's number, a new one if need be.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        let name = name.as_bytes();
        let hash = self.hash(name);
        if let Some(id) = self.find(hash, name) {
            return id;
        }
        let known = Known { start: self.text.len(), len: small(name.len()), id: small(self.len()) };
        self.text.extend_from_slice(name);
        self.ends.push(self.text.len());
        self.know(hash, known);
        known.id
    }

    fn know(&mut self, name_hash: u64, known: Known) {
        let rehash = |known: &Known| hash(&self.state, known.bytes(&self.text));
        self.table.insert_unique(name_hash, known, rehash);
    }

    pub(super) fn get(&self, id: u32) -> &str {
        let name = self.span(id as usize).and_then(|span| self.text.get(span));
        name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    fn span(&self, id: usize) -> Option<Range<usize>> {
        let start = id.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        Some(start..*self.ends.get(id)?)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// No name can be found any more: they can still be got.
    pub(super) fn drop_table(&mut self) {
        self.table = HashTable::new();
    }

    /// Forgets all names but these, in place. What was the first of these is number 0 now, and so on.
    pub(super) fn keep(&mut self, these: &[bool]) {
        self.table.clear();
        let (mut old, mut start) = (0, 0);
        for (nth, keep) in (0..self.ends.len()).zip(these) {
            let end = self.ends[nth];
            if *keep {
                self.text.copy_within(old..end, start);
                let id = self.table.len();
                let known = Known { start, len: small(end - old), id: small(id) };
                start += end - old;
                self.ends[id] = start;
                self.know(self.hash(known.bytes(&self.text)), known);
            }
            old = end;
        }
        self.ends.truncate(self.table.len());
        self.text.truncate(start);
    }
}

#[inline]
fn hash(state: &RandomState, bytes: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Counts of things in memory fit: a tally of four thousand million rows would not.
pub(super) fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Clients' texts → numbers. A cache: it may be emptied at any time.
#[derive(Debug, Default)]
pub(super) struct Texts {
    short: HashTable<(Short, u32)>,
    long: HashMap<Box<[u8]>, u32, RandomState>,
    state: RandomState,
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

    #[inline]
    fn hash(self, state: &RandomState) -> u64 {
        let mut hasher = state.build_hasher();
        hasher.write_u64(self.first);
        hasher.write_u64(self.last);
        hasher.finish()
    }
}

impl Texts {
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        match Short::of(text) {
            Some(short) => {
                let hash = short.hash(&self.state);
                Some(self.short.find(hash, |(known, _)| *known == short)?.1)
            }
            None => self.long.get(text).copied(),
        }
    }

    /// Remembers a text that was not found.
    pub(super) fn insert(&mut self, text: &[u8], id: u32) {
        match Short::of(text) {
            Some(short) => {
                let state = &self.state;
                let hash = short.hash(state);
                self.short.insert_unique(hash, (short, id), |(known, _)| known.hash(state));
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
