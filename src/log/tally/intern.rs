//! Texts that come again and again → small numbers. Two tables, both on the way of every record: names, and the
//! clients' texts as they stand in the log.
//!
//! The tables' seeds are random: names are chosen by those who ask, and must not be able to fill one bucket. No order
//! of these tables ever reaches an output.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};

/// Spelled names, each once, one behind the other in one text.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    spans: Vec<Span>,
    table: HashTable<Known>,
    state: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    len: u32,
}

/// The span, again, and whose it is: one access to memory less for each record.
#[derive(Clone, Copy, Debug)]
struct Known {
    start: usize,
    len: u32,
    id: u32,
}

impl Names {
    #[inline]
    pub(super) fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(name);
        hasher.finish()
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, name: &[u8]) -> Option<u32> {
        let text = self.text.as_bytes();
        let same = |known: &Known| bytes_of(text, known) == name;
        Some(self.table.find(hash, same)?.id)
    }

    /// The name's number, a new one if need be.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        let hash = self.hash(name.as_bytes());
        if let Some(id) = self.find(hash, name.as_bytes()) {
            return id;
        }
        let id = small(self.spans.len());
        let (start, len) = (self.text.len(), small(name.len()));
        self.text.push_str(name);
        self.spans.push(Span { start, len });
        let (text, state) = (self.text.as_bytes(), &self.state);
        self.table.insert_unique(hash, Known { start, len, id }, |known| {
            let mut hasher = state.build_hasher();
            hasher.write(bytes_of(text, known));
            hasher.finish()
        });
        id
    }

    pub(super) fn get(&self, id: u32) -> &str {
        let span = self.spans.get(id as usize);
        span.and_then(|s| self.text.get(s.start..s.start + s.len as usize)).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
}

#[inline]
fn bytes_of<'t>(text: &'t [u8], known: &Known) -> &'t [u8] {
    text.get(known.start..known.start + known.len as usize).unwrap_or_default()
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
}
